"""Agents: a scripted model calls real tools; runs that are killed go on to the same answer."""
import json
import os
import subprocess
import unittest

from program import DOUGONG, PATIENCE_S, ProgramTest
from scripted_model import ScriptedModel, call, final, results

HELPER = """
name: helper
instructions: You compute with {{ braces }} in your text.
tools: [calculator, clock, memory_add, memory_search, python, read_file, write_file, list_files, ask_human]
policy:
  rules:
    - {tool: write_file, when: "'secret' in arguments.path", do: deny, why: not there}
    - {tool: memory_add, do: ask, why: It would be kept.}
limits: {turns: 8, repeats: 2}
"""
# For the smoke model, whose context is 512 tokens.
SMALL = """
name: small
instructions: Judge.
model: {max_tokens: 90, parallel_calls: false, temperature: 1, seed: 4}
limits: {turns: 3, tokens: 100000}
output: {enum: [good, bad, unclear]}
"""


def turn_of(messages):
    return sum(1 for one in messages if one["role"] == "assistant")


class AgentRuns(ProgramTest):
    def agent(self, pack, script, *arguments, **more):
        model = ScriptedModel(self, script, **more)
        path = self.write("helper/pack.yaml", pack)
        return model, self.run_program("agent", "run", os.path.dirname(path), "--upstream", model.url,
                                       "--upstream-model", "scripted", "--json", *arguments)

    def output(self, done):
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return json.loads(done.stdout)["output"]

    def test_calls_tools_and_answers(self):
        def script(messages):
            if turn_of(messages) == 0:
                return [call("calculator", {"expression": "17 * 2340 / 100"}), call("clock", {})]
            return final(f"It is {results(messages)['call_calculator']['result']['result']}.")
        model, done = self.agent(HELPER, script, "What", "is", "17 %", "of", "2340?")
        output = self.output(done)
        self.assertEqual(output["answer"], "It is 397.8.")
        self.assertEqual(output["tool_calls"], {"calculator": 1, "clock": 1})
        self.assertEqual(output["turns"], 2)
        asked = model.asked[0]
        self.assertEqual(asked["tool_choice"], "required")
        self.assertEqual(asked["model"], "scripted")
        self.assertIn("{{ braces }}", asked["messages"][0]["content"], "a pack's text is no template")
        self.assertEqual(asked["messages"][-1]["content"], "What is 17 % of 2340?")

    def test_refused_calls_are_told_and_not_made(self):
        def script(messages):
            if turn_of(messages) == 0:
                return [call("calculator", {"formula": "1"}, "a"), call("calculater", {}, "b"),
                        call("write_file", {"path": "secret.txt", "content": "x"}, "c"),
                        call("calculator", {"expression": "1 / 0"}, "d")]
            told = results(messages)
            return final(json.dumps({name: one.get("error") for name, one in told.items()}))
        _, done = self.agent(HELPER, script, "Try.")
        answer = json.loads(self.output(done)["answer"])
        self.assertIn("expression", answer["a"])
        self.assertIn("calculator", answer["b"], "what was meant")
        self.assertIn("not there", answer["c"], "the rule's reason")
        self.assertIn("formula", answer["d"])

    def test_the_same_call_again_and_again_ends_the_search(self):
        def script(messages):
            if "Answer now" in str(messages[-1]["content"]):
                return final("enough")
            return [call("calculator", {"expression": "2 + 2"})]
        model, done = self.agent(HELPER, script, "Count.")
        output = self.output(done)
        self.assertEqual(output["answer"], "enough")
        self.assertIn("2 times", output["ended_by"])
        self.assertEqual(model.asked[-1]["tool_choice"]["function"]["name"], "final_answer")

    def test_a_model_that_never_answers_fails_the_run(self):
        _, done = self.agent(HELPER, lambda messages: [call("clock", {}, f"c{len(messages)}")], "Wait.")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["status"], "failed")
        self.assertIn("no answer came", done.stdout)

    def test_a_long_conversation_is_summed_up(self):
        def script(messages):
            if "Sum up" in str(messages[-1]["content"]):
                return "Found so far: " + ", ".join(results(messages))
            told = results(messages)
            if "c4" in told:
                return final("done: " + messages[2]["content"])
            number = max([int(name[1:]) for name in told], default=0) + 1
            return [call("calculator", {"expression": f"{number}" + " + 1" * 90}, f"c{number}")]
        pack = HELPER.replace("turns: 8", "turns: 12, context_tokens: 512")
        model, done = self.agent(pack, script, "Go on and on.")
        self.assertIn("Found so far: c1", self.output(done)["answer"])
        sizes = [len(json.dumps(one["messages"])) for one in model.asked]
        self.assertLess(sizes[-1], max(sizes), "what is asked becomes smaller again")
        self.assertNotIn("tools", next(one for one in model.asked if "Sum up" in one["messages"][-1]["content"]))

    def test_a_person_is_asked_before_what_the_policy_says(self):
        def script(messages):
            if turn_of(messages) == 0:
                return [call("memory_add", {"content": "The kite is red."})]
            if turn_of(messages) == 1:
                return [call("memory_search", {"query": "which colour is the kite"})]
            return final(json.dumps(results(messages)))
        model = ScriptedModel(self, script)
        path = self.write("helper/pack.yaml", HELPER)
        started = subprocess.Popen(
            [DOUGONG, "agent", "run", os.path.dirname(path), "Keep it.", "--upstream", model.url],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.home,
            env=self.environment())
        self.addCleanup(started.kill)
        lines = []
        for line in started.stderr:
            lines.append(line)
            if "--approve" in line:
                break
        self.assertIn("It would be kept.", "".join(lines))
        run = lines[0].strip()
        started.kill()
        started.communicate()
        step = line.split("'")[1]
        edited = json.dumps({"content": "The kite is blue."})
        answered = self.run_program("flow", "answer", run, step, "--answer", edited)
        self.assertEqual(answered.returncode, 0, answered.stderr)
        done = self.run_program("agent", "resume", run, "--upstream", model.url, "--json")
        self.assertIn("blue", self.output(done)["answer"])
        self.assertNotIn("red", self.output(done)["answer"])

    def test_files_outlive_a_kill_at_any_call(self):
        if self.run_program("sandbox", "run", "--", "true").returncode != 0:
            raise unittest.SkipTest("no sandboxes on this machine")
        path = self.write("helper/pack.yaml", HELPER)

        def script(messages):
            turn = turn_of(messages)
            if turn == 0:
                return [call("write_file", {"path": "notes/a.txt", "content": "7"}, "w")]
            if turn == 1:
                return [call("python", {"code": "n = int(open('notes/a.txt').read())\n"
                                                "open('notes/b.txt', 'w').write(str(n * 6))\nprint(n)"}, "p")]
            if turn == 2:
                return [call("read_file", {"path": "notes/b.txt"}, "r"), call("list_files", {}, "l")]
            return final(json.dumps(results(messages), sort_keys=True))

        def whole(home, kill_at=0):
            process = []

            def before(number):
                if number == kill_at:
                    process[0].kill()
            model = ScriptedModel(self, script, before_answer=before)
            env = {"HOME": self.home, "XDG_DATA_HOME": os.path.join(self.home, home)}
            first = subprocess.Popen([DOUGONG, "agent", "run", os.path.dirname(path), "Count.", "--json",
                                      "--upstream", model.url, "--key", "the-run"], text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.home,
                                     env=self.environment(**env))
            process.append(first)
            out, errors = first.communicate(timeout=PATIENCE_S)
            if kill_at == 0:
                self.assertEqual(first.returncode, 0, errors)
                return json.loads(out)["output"], len(model.asked)
            self.assertEqual(first.returncode, -9)
            listed = self.run_program("flow", "list", "--json", env=env)
            run = json.loads(listed.stdout)["data"][0]["id"]
            done = self.run_program("agent", "resume", run, "--upstream", model.url, "--json", env=env)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return json.loads(done.stdout)["output"], len(model.asked)

        expected, asked = whole("plain")
        self.assertIn("42", expected["answer"])
        self.assertEqual([one["name"] for one in expected["files"]], ["notes/a.txt", "notes/b.txt"])
        del expected["workspace"]
        for kill_at in range(1, asked + 1):
            output, again = whole(f"killed{kill_at}", kill_at)
            del output["workspace"]
            self.assertEqual(output, expected, f"killed while the model was asked for turn {kill_at}")
            self.assertEqual(again, asked + 1, "finished turns are not asked for again")

    def test_the_model_inside_is_held_to_calls_and_gives_the_same_answer_after_a_kill(self):
        """Grammar holds a model that can only write toy stories to a call that parses."""
        path = self.write("small/pack.yaml", SMALL)
        done = self.run_program("agent", "run", path, "The sun is green.", "--model", "smoke", "--json")
        answer = self.output(done)
        self.assertIn(answer["answer"], ("good", "bad", "unclear"))
        self.assertEqual(answer["turns"], 1)
        killed = subprocess.Popen([DOUGONG, "agent", "run", path, "The sun is green.", "--model", "smoke"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.home,
                                  env=self.environment())
        run = killed.stderr.readline().strip()  # its start is durable, and nothing else needs to be
        killed.kill()
        killed.communicate()
        again = self.run_program("agent", "resume", run, "--model", "smoke", "--json")
        self.assertEqual(self.output(again), answer)

    def test_over_http(self):
        server = self.serve()
        connection = server.connect()
        self.addCleanup(connection.close)

        def ask(method, path, body=None, kind="application/json"):
            connection.request(method, path, body, {"content-type": kind})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        status, wrong = ask("POST", "/v1/agents?file=p.yaml", "name: a\ninstructions: x\ntools: [calcul]\n",
                            "application/yaml")
        self.assertEqual(status, 400)
        self.assertIn("p.yaml:3:9", wrong["error"]["message"])
        status, made = ask("POST", "/v1/agents", SMALL, "application/yaml")
        self.assertEqual((status, made["name"], made["version"]), (201, "small", 1))
        self.assertEqual([one["name"] for one in ask("GET", "/v1/agents")[1]["data"]], ["small"])
        self.assertEqual(ask("GET", "/v1/agents/small")[1]["pack"]["limits"]["turns"], 3)
        status, refused = ask("POST", "/v1/agents/small/runs", json.dumps({"input": {}}))
        self.assertEqual(status, 400)
        status, started = ask("POST", "/v1/agents/small/runs", json.dumps({"goal": "Add.", "wait_ms": 60000}))
        self.assertEqual(started["status"], "completed", started)
        status, seen = ask("GET", "/v1/runs/" + started["id"])
        self.assertEqual(seen["workflow"], "agent.small")
        self.assertEqual(seen["labels"]["agent"], "small")


if __name__ == "__main__":
    unittest.main()
