"""People and agents over agents: told while they work, stopped at once, asked by each other."""
import json
import os
import threading
import time
import unittest

from program import PATIENCE_S, ProgramTest
from scripted_model import ScriptedModel, call, final, results

SLEEPER = """
name: sleeper
instructions: Sleep.
tools: [python]
limits: {turns: 5, tool_time: 10m}
"""
WORKER = """
name: worker
instructions: You add.
tools: [calculator]
"""
MANAGER = """
name: manager
instructions: You have others add.
agents: [worker]
limits: {turns: 5}
"""


def turn_of(messages):
    return sum(1 for one in messages if one["role"] == "assistant")


def processes_with(mark):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    if mark.encode() in file.read():
                        found.append(int(name))
            except OSError:
                pass  # it has ended
    return found


class AgentSteering(ProgramTest):
    def start(self, script, **more):
        model = ScriptedModel(self, script, **more)
        server = self.serve("--upstream", model.url, "--upstream-model", "scripted")
        connection = server.connect()
        self.addCleanup(connection.close)

        def ask(method, path, body=None):
            text = body if isinstance(body, str) else json.dumps(body) if body is not None else None
            kind = "application/yaml" if isinstance(body, str) else "application/json"
            connection.request(method, path, text, {"content-type": kind})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        return model, ask

    def until(self, holds, what):
        end = time.monotonic() + PATIENCE_S
        while not holds():
            self.assertLess(time.monotonic(), end, what)

    def test_what_a_person_says_is_heard_before_the_end(self):
        asked, go_on = threading.Event(), threading.Event()

        def wait(number):
            if number == 1:
                asked.set()
                go_on.wait(PATIENCE_S)

        def script(messages):
            heard = [one["content"] for one in messages if one["role"] == "user"]
            return final(" / ".join(heard))
        _, ask = self.start(script, before_answer=wait)
        self.assertEqual(ask("POST", "/v1/agents", WORKER)[0], 201)
        _, started = ask("POST", "/v1/agents/worker/runs", {"goal": "Add."})
        self.assertTrue(asked.wait(PATIENCE_S))
        self.assertEqual(ask("POST", f"/v1/runs/{started['id']}/signals/steer", {"message": "Subtract!"})[0], 202)
        go_on.set()
        state = {}

        def over():
            state.update(ask("GET", "/v1/runs/" + started["id"])[1])
            return state["status"] not in ("running", "paused")
        self.until(over, "the run does not end")
        self.assertEqual(state["output"]["answer"], "Add. / Subtract!")
        self.assertEqual(state["output"]["turns"], 2)

    def test_a_stop_reaches_what_tools_run(self):
        if self.run_program("sandbox", "run", "--", "true").returncode != 0:
            raise unittest.SkipTest("no sandboxes on this machine")
        mark = f"agent-stop-{os.getpid()}"
        _, ask = self.start(lambda messages: [call("python", {"code": f"import time # {mark}\ntime.sleep(600)"})])
        self.assertEqual(ask("POST", "/v1/agents", SLEEPER)[0], 201)
        self.assertEqual(ask("POST", "/v1/agents", WORKER)[0], 201)
        runs = [ask("POST", "/v1/agents/sleeper/runs", {"goal": f"Sleep {i}."})[1]["id"] for i in range(3)]
        self.until(lambda: len(processes_with(mark)) >= 3, "the tools do not run")
        self.assertEqual(ask("POST", "/v1/agents/stop", {"agent": "worker"})[1]["runs"], 0, "others go on")
        self.assertEqual(ask("POST", "/v1/agents/stop", {"agent": "nobody"})[0], 404)
        began = time.monotonic()
        status, stopped = ask("POST", "/v1/agents/stop", {"why": "gone astray", "by": "kim"})
        answered = time.monotonic()
        self.until(lambda: not processes_with(mark), "tools outlive the stop")
        print(f"[stop answered after {1e3 * (answered - began):.1f} ms, the last tool was dead after "
              f"{1e3 * (time.monotonic() - began):.1f} ms]", flush=True)
        self.assertEqual((status, stopped["runs"], stopped["stopped"]), (200, 3, 3))
        for run in runs:
            self.assertEqual(ask("GET", "/v1/runs/" + run)[1]["status"], "cancelled")
        self.assertEqual(ask("POST", "/v1/agents/stop", {})[1]["runs"], 0)

    def test_agents_ask_agents_but_not_in_circles(self):
        def script(messages):
            if "others add" in messages[0]["content"]:
                if turn_of(messages) == 0:
                    return [call("ask_worker", {"goal": "Add 1 and 2."}, "a"),
                            call("ask_worker", {"goal": "Add 3 and 4."}, "b")]
                told = results(messages)
                return final([told[name]["result"]["answer"] for name in "ab"].__repr__())
            if turn_of(messages) == 0:
                numbers = [word.strip(".") for word in messages[1]["content"].split() if word[0].isdigit()]
                return [call("calculator", {"expression": " + ".join(numbers)})]
            return final(str(results(messages)["call_calculator"]["result"]["result"]))
        _, ask = self.start(script)
        status, refused = ask("POST", "/v1/agents", MANAGER)
        self.assertIn("worker", refused["error"]["message"])
        self.assertEqual(ask("POST", "/v1/agents", WORKER)[0], 201)
        self.assertEqual(ask("POST", "/v1/agents", MANAGER)[0], 201)
        _, done = ask("POST", "/v1/agents/manager/runs", {"goal": "Add all.", "wait_ms": 60000})
        self.assertEqual(done["status"], "completed", done)
        self.assertEqual(done["output"]["answer"], "['3', '7']")
        status, refused = ask("POST", "/v1/agents", WORKER + "agents: [manager]\n")
        self.assertEqual(status, 400)
        self.assertIn("circles", refused["error"]["message"])


if __name__ == "__main__":
    unittest.main()
