"""Packs that come with the program, begun and judged: a scripted model over the real tools."""
import json
import os
import unittest
from pathlib import Path

from program import ProgramTest
from scripted_model import ScriptedModel, call, final, results

PACKS = Path(__file__).resolve().parents[3] / "packs"
FIZZBUZZ = ("def fizzbuzz(n):\n"
            "    return ['FizzBuzz' if i % 15 == 0 else 'Fizz' if i % 3 == 0 else 'Buzz' if i % 5 == 0 else str(i)\n"
            "            for i in range(1, n + 1)]\n")
TESTS = ("import unittest\nfrom fizzbuzz import fizzbuzz\n\n"
         "class Fizz(unittest.TestCase):\n"
         "    def test_it(self):\n"
         "        self.assertEqual(fizzbuzz(5), ['1', '2', 'Fizz', '4', 'Buzz'])\n")


def turn_of(messages):
    return sum(1 for one in messages if one["role"] == "assistant")


class AgentPacks(ProgramTest):
    def evaluate(self, pack, script, *arguments):
        model = ScriptedModel(self, script)
        done = self.run_program("agent", "eval", str(pack), "--upstream", model.url, "--json", *arguments)
        return done, json.loads(done.stdout) if done.stdout else None

    def needs_sandbox(self):
        if self.run_program("sandbox", "run", "--", "true").returncode != 0:
            raise unittest.SkipTest("no sandboxes on this machine")

    def test_a_new_pack_runs_and_is_judged(self):
        made = self.run_program("agent", "new", "helper")
        self.assertEqual(made.stdout.strip(), "packs/helper/pack.yaml")
        self.assertEqual(self.run_program("agent", "new", "helper").returncode, 73, "never written over")
        self.assertNotEqual(self.run_program("agent", "new", "Big Name").returncode, 0)

        def script(messages):
            if turn_of(messages) == 0:
                return [call("calculator", {"expression": "0.17 * 2340"})]
            return final(f"{results(messages)['call_calculator']['result']['result']:.1f}")
        done, told = self.evaluate(os.path.join(self.home, "packs/helper"), script, "--times", "2")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual((told["passed"], told["of"], told["evals"][0]["passed"]), (1, 1, 2))
        done, told = self.evaluate(os.path.join(self.home, "packs/helper"), lambda _: final("no idea"))
        self.assertEqual((done.returncode, told["passed"]), (1, 0))
        self.assertIn("397.8", told["evals"][0]["runs"][0]["why"])
        listed = self.run_program("agent", "list")
        self.assertIn("helper", listed.stdout)
        wrong = self.run_program("agent", "deploy", self.write("bad.yaml", "name: bad\ninstructions: x\ntools: [clok]\n"))
        self.assertIn("bad.yaml:3:9", wrong.stderr)
        self.assertIn("clock", wrong.stderr)

    def test_coder_writes_tests_and_runs_them(self):
        self.needs_sandbox()

        def script(messages):
            turn = turn_of(messages)
            if turn == 0:
                return [call("write_file", {"path": "fizzbuzz.py", "content": FIZZBUZZ}, "a"),
                        call("write_file", {"path": "test_fizzbuzz.py", "content": TESTS}, "b")]
            if turn == 1:
                return [call("bash", {"command": "python3 -m unittest 2>&1"}, "t"),
                        call("bash", {"command": "curl http://example.org"}, "c")]
            told = results(messages)
            passed = told["t"]["result"]["exit_code"] == 0 and "neither" in told["c"]["error"]
            return [call("final_answer", {"summary": told["t"]["result"]["stdout"], "tests_passed": passed,
                                          "files": ["fizzbuzz.py", "test_fizzbuzz.py"]})]
        done, told = self.evaluate(PACKS / "coder", script, "--name", "fizzbuzz")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        run = told["evals"][0]["runs"][0]["run"]
        kept = self.run_program("flow", "files", run, "fizzbuzz.py")
        self.assertEqual(kept.stdout, FIZZBUZZ, "the files outlive the run")

    def test_docs_qa_cites_what_it_found(self):
        added = self.run_program("knowledge", "add", str(PACKS / "docs-qa/docs"))
        self.assertEqual(added.returncode, 0, added.stderr)

        def script(messages):
            if turn_of(messages) == 0:
                return [call("knowledge_search", {"query": messages[-1]["content"]})]
            found = results(messages)["call_knowledge_search"]["result"]["passages"]
            best = found[0]
            return [call("final_answer", {"found": "canteen" not in str(messages[1]), "answer": best["text"][:1900],
                                          "citations": [{"cite": best["cite"], "quote": best["text"][:500]}]})]
        done, told = self.evaluate(PACKS / "docs-qa", script)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual((told["passed"], told["of"]), (3, 3))

    def test_log_triage_is_held_to_its_schema(self):
        self.needs_sandbox()

        def script(messages):
            lines = [one for one in messages[1]["content"].splitlines() if " ERROR " in one]
            if turn_of(messages) == 0:
                return [call("write_file", {"path": "log.txt", "content": "\n".join(lines)})]
            if turn_of(messages) == 1:
                return [call("python", {"code": "print(sorted(open('log.txt'))[0].split()[1])"})]
            if turn_of(messages) == 2:  # not as the schema says: told, and repaired
                return [call("final_answer", {"severity": "bad"})]
            service = results(messages)["call_python"]["result"]["stdout"].strip()
            return [call("final_answer", {"severity": "error", "service": service, "cause": lines[0],
                                          "evidence": lines[:2], "next_steps": []})]
        done, told = self.evaluate(PACKS / "log-triage", script)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual((told["passed"], told["of"]), (2, 2))


if __name__ == "__main__":
    unittest.main()
