"""examples/long_task, and the server under it, killed at random moments."""
import json
import pathlib
import random
import signal
import subprocess
import sys
import unittest

from program import PATIENCE_S, ProgramTest

EXAMPLE = pathlib.Path(__file__).resolve().parents[3] / "examples" / "long_task"
sys.path.insert(0, str(EXAMPLE))
import long_task  # noqa: E402


class LongTaskTest(ProgramTest):
    def start(self, server):
        return subprocess.Popen([sys.executable, str(EXAMPLE / "long_task.py"), "--url", server.url],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def get(self, server, path):
        status, body = server.get(path)
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def test_it_ends_right_however_often_it_is_killed(self):
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        server = self.serve()
        task = "/v1/tasks/three%20days%20of%20reports"
        for kill in range(4):
            worker = self.start(server)
            lines = chance.randrange(1, 18)
            for _ in range(lines):
                if not worker.stdout.readline():
                    break
            # The worker dies, and every other time the server first, with a call in its hands.
            if kill % 2:
                server.process.send_signal(signal.SIGKILL)
                server.wait()
            worker.kill()
            worker.communicate(timeout=PATIENCE_S)
            if kill % 2:
                server = self.serve()
            status, body = server.get(task)
            if status == 404:
                continue
            last = json.loads(body)
            state = last["state"]
            hours = range(state["hour"])
            self.assertEqual(state["total"], sum(map(long_task.report_of, hours)), f"seed {seed}")
            self.assertEqual(state["hour"], last["number"], f"seed {seed}")
            self.assertIn(f"{last['number']} checkpoints", last["summary"]["text"])
            self.assertEqual(last["summary"]["results"][-1], last["result"])
        worker = self.start(server)
        out, err = worker.communicate(timeout=PATIENCE_S)
        self.assertEqual(worker.returncode, 0, err)
        total = sum(map(long_task.report_of, range(long_task.HOURS)))
        self.assertIn(f"done: {long_task.HOURS} hours, total {total}", out, f"seed {seed}")

        last = self.get(server, task)
        self.assertTrue(last["finished"])
        self.assertEqual(last["summary"]["checkpoints"], long_task.HOURS)
        first_day = self.get(server, task + "?name=end%20of%20day%201")
        self.assertEqual(first_day["number"], 24)
        self.assertEqual(first_day["state"]["hour"], 24)
        numbers = [c["number"] for c in self.get(server, task + "/checkpoints?limit=1000")["data"]]
        self.assertEqual(numbers, list(range(long_task.HOURS, 0, -1)))
        # Each step is one memory, whatever was killed in between.
        found = self.get(server, "/v1/memories?limit=1000")["data"]
        self.assertEqual(len([e for e in found if e["metadata"].get("task")]), long_task.HOURS)
        late = self.run_program("memory", "search", "highest report", "--url", server.url, "--json")
        self.assertEqual(late.returncode, 0, late.stderr)
        self.assertIn("highest", json.loads(late.stdout)["data"][0]["memory"]["content"])


if __name__ == "__main__":
    unittest.main()
