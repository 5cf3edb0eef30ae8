"""What is done to whole runs from the command line: forked, replayed, gone back, quarantined."""
import json
import signal
import subprocess
import unittest

from program import DOUGONG, PATIENCE_S, ProgramTest
from test_flow_runs import STEPS, Counting

LONG = """
name: long
steps:
  - {id: plan, set: {goal: 1}, checkpoint: {name: planned, summary: "goal {{ vars.goal }}"}}
  - {id: change, set: {goal: 2}}
  - {id: gate, human: {ask: approve, prompt: "Go on?"}}
"""


class FlowChanges(ProgramTest):
    def done(self, *arguments):
        result = self.run_program("flow", *arguments)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return result.stdout

    def test_a_run_is_forked_exported_and_replayed(self):
        numbers = Counting(self)
        text = STEPS.replace("URL", numbers.url)
        run = self.done("run", self.write("three.yaml", text)).split()[0]
        made = json.loads(self.done("fork", run, "--step", "c", "--with",
                                    json.dumps({"url": numbers.url + "/other"}), "--json"))
        self.assertEqual(made["forked_from"], {"run": run, "step": "c"})
        watched = self.done("watch", made["id"])
        self.assertEqual(json.loads(watched.splitlines()[-1])["seen"], "/other")
        self.assertEqual([len(numbers.keys(path)) for path in ("/a", "/b", "/c", "/other")], [1, 1, 1, 1])
        file = f"{self.home}/run.json"
        self.done("export", run, "-o", file)
        before = len(numbers.requests)
        self.assertIn("the same", self.done("replay", file))
        self.assertIn("the same", self.done("replay", made["id"]))
        words = self.write("words.yaml", text.replace("/b\"", "/bb\""))
        self.assertIn("step b would be asked something else", self.done("replay", file, "--definition", words))
        other = self.write("other.yaml", text.replace("{id: c,", "{id: c, if: steps.b.output.body.n > 9,"))
        differs = self.run_program("flow", "replay", run, "--definition", other, "--json")
        self.assertEqual(differs.returncode, 1, differs.stderr)
        difference = json.loads(differs.stdout)["difference"]
        self.assertEqual((difference["recorded"]["event"], difference["today"]["event"]),
                         ("step_started", "step_skipped"))
        self.assertEqual(len(numbers.requests), before, "a replay makes no call")
        wrong = self.run_program("flow", "fork", run, "--step", "nope")
        self.assertEqual(wrong.returncode, 66)
        self.assertIn("no step 'nope'", wrong.stderr)

    def test_a_failed_step_is_retried_with_other_input(self):
        numbers = Counting(self)
        text = STEPS.replace("URL/b", "http://127.0.0.1:1/b").replace("URL", numbers.url)
        text = text.replace("{id: b,", "{id: b, retry: 1,")
        failed = self.run_program("flow", "run", self.write("three.yaml", text))
        self.assertEqual(failed.returncode, 1, failed.stdout)
        run = failed.stdout.split()[0]
        self.done("retry", run, "--with", json.dumps({"url": numbers.url + "/instead"}))
        self.done("watch", run)
        self.assertEqual(len(numbers.keys("/a")), 1)
        self.assertEqual(len(numbers.keys("/instead")), 1)

    def test_a_run_goes_back_to_a_checkpoint(self):
        run = self.done("run", self.write("long.yaml", LONG), "--detach").split()[0]
        shown = json.loads(self.done("show", run, "--json"))
        self.assertEqual(shown["checkpoints"][0]["value"], {"summary": "goal 1"})
        self.assertEqual(shown["vars"], {"goal": 2})
        self.done("resume", run, "--checkpoint", "last")
        steps = json.loads(self.done("show", run, "--json"))["root"]["steps"]
        self.assertEqual([step.get("resets", 0) for step in steps], [0, 1, 1])
        none = self.run_program("flow", "resume", run, "--checkpoint", "trained")
        self.assertEqual(none.returncode, 66)
        self.assertIn("it has reached planned", none.stderr)

    def test_a_step_that_kills_its_process_is_quarantined(self):
        numbers = Counting(self)
        numbers.hold = {"/b"}
        arguments = ["run", self.write("three.yaml", STEPS.replace("URL", numbers.url))]
        for deaths in range(1, 4):
            victim = subprocess.Popen([DOUGONG, "flow", *arguments], stdout=subprocess.PIPE, text=True,
                                      env=self.environment(), cwd=self.home)
            if deaths == 1:
                run = victim.stdout.readline().strip()
                arguments = ["watch", run]
            with numbers.changed:
                self.assertTrue(numbers.changed.wait_for(
                    lambda: len(numbers.keys("/b")) == deaths, PATIENCE_S))
            victim.send_signal(signal.SIGKILL)
            victim.communicate(timeout=PATIENCE_S)
        last = subprocess.Popen([DOUGONG, "flow", "watch", run], stdout=subprocess.PIPE, text=True,
                                env=self.environment(), cwd=self.home)
        for line in last.stdout:
            if "paused" in line:
                break
        last.send_signal(signal.SIGTERM)
        last.communicate(timeout=PATIENCE_S)
        self.assertIn(run, self.done("list", "--waiting", "quarantine"))
        self.assertEqual(len(numbers.keys("/b")), 3)
        numbers.let("/b")
        self.done("retry", run, "b")
        self.done("watch", run)
        self.assertEqual(len(numbers.keys("/b")), 4)


if __name__ == "__main__":
    unittest.main()
