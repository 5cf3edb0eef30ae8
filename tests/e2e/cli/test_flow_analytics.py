"""examples/analytics: real code in sandboxes, a person's decision, files handed from step to step; the server killed
after every step."""
import contextlib
import functools
import http.server
import json
import os
import signal
import threading
import unittest

from databases import Postgres
from program import ProgramTest

EXAMPLE = os.path.join(os.path.dirname(__file__), "../../../examples/analytics")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Analytics(ProgramTest):
    def setUp(self):
        super().setUp()
        doctor = self.run_program("sandbox", "doctor", "--json")
        if doctor.returncode != 0:
            self.skipTest("NO SANDBOX CAN BE MADE ON THIS HOST: " + doctor.stderr)

    def readings(self):
        handler = functools.partial(Quiet, directory=os.path.join(EXAMPLE, "data"))
        files = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=files.serve_forever, daemon=True).start()
        self.addCleanup(files.server_close)
        self.addCleanup(files.shutdown)
        return f"http://127.0.0.1:{files.server_port}/office_temperature.csv"

    def start(self, server, *more):
        started = self.run_program("flow", "run", os.path.join(EXAMPLE, "analytics.yaml"), "--detach", "--url",
                                   server.url, "--input", json.dumps({"url": self.readings()}), *more)
        self.assertEqual(started.returncode, 0, started.stderr)
        return started.stdout.strip()

    def events(self, server, run, after=0):
        """Live ones, as they come, until the run is over."""
        with contextlib.closing(server.connect()) as connection:
            connection.request("GET", f"/v1/runs/{run}/watch?after={after}")
            with connection.getresponse() as response:
                for line in response:
                    if line.startswith(b"data: "):
                        yield json.loads(line[6:])

    def kill(self, server):
        server.process.send_signal(signal.SIGKILL)
        server.wait()

    def follow_and_kill(self, server, run):
        """Kills the server after each step's end and starts it again. Gives the server and how often it died."""
        killed_after, over = set(), False
        while not over:
            for event in self.events(server, run):
                if event["event"] == "step_waiting":
                    answer = self.run_program("flow", "answer", run, "gate", "--approve", "--url", server.url,
                                              env={"USER": "kim"})
                    # Answered already, when this is an old event.
                    self.assertIn(answer.returncode, (0, 66), answer.stderr)
                if event["event"] == "run_paused":
                    # Of two fits that run at once the slower was at work at three deaths, for which it can do nothing.
                    self.run_program("flow", "resume", run, "--url", server.url)
                if event["event"] == "step_finished" and event["step"] not in killed_after:
                    killed_after.add(event["step"])
                    self.kill(server)
                    server = self.serve()
                    break
                over = event["event"] in ("run_completed", "run_failed", "run_cancelled")
        return server, len(killed_after)

    def test_killed_after_every_step_it_ends_as_if_nothing_had_happened(self):
        server = self.serve()
        run = self.start(server)
        server, deaths = self.follow_and_kill(server, run)
        self.assertGreaterEqual(deaths, 9, "every step, the rounds of training too")
        history = list(self.events(server, run))
        finished = [event["step"] for event in history if event["event"] == "step_finished"]
        self.assertEqual(len(finished), len(set(finished)), "no step ended twice")
        self.assertEqual(set(finished) - {f"train[{i}].fit" for i in range(5)},
                         {"collect", "clean", "features", "train", "evaluate", "gate", "report"})
        output = history[-1]["value"]
        self.assertEqual(output["approved_by"], "kim")
        self.assertLess(output["scores"]["mae"], output["scores"]["mae_last_value"])

        calm = self.start(server)
        for event in self.events(server, calm):
            if event["event"] == "step_waiting":
                self.run_program("flow", "answer", calm, "gate", "--approve", "--url", server.url)
        self.assertEqual(event["event"], "run_completed")
        self.assertEqual(event["value"]["scores"], output["scores"])

        listed = json.loads(self.run_program("flow", "files", run, "--json", "--url", server.url).stdout)
        self.assertEqual([step["step"] for step in listed["data"]], ["clean", "features", "evaluate", "report"])
        page = self.run_program("flow", "files", run, "report.html", "--url", server.url)
        self.assertIn("Approved by kim", page.stdout)
        missing = self.run_program("flow", "files", run, "clean.csv", "--step", "train", "--url", server.url)
        self.assertEqual(missing.returncode, 66)
        self.assertIn("there are clean, features, evaluate, report", missing.stderr)

    def test_three_servers_on_one_database_whose_owner_of_the_run_is_killed_again_and_again(self):
        postgres = Postgres()
        self.addCleanup(postgres.stop)

        def node():
            return self.serve("--memory.enabled", "off", env={
                "DOUGONG_FLOW_STORE": "postgresql", "DOUGONG_FLOW_POSTGRESQL": postgres.url("analytics"),
                "DOUGONG_FLOW_LEASE_S": "1", "USER": "kim"})

        def owner(nodes):
            """The one whose run it is; none while it is nobody's."""
            fleet = json.loads(nodes[0].get("/v1/flow/health")[1])["fleet"]
            urls = [worker["url"] for worker in fleet if worker["runs"]]
            return next((one for one in nodes if any(url.endswith(f":{one.port}") for url in urls)), None)

        nodes = [node() for _ in range(3)]
        run = self.start(nodes[0])
        fatal, deaths, over = ["clean", "train[1].fit", "evaluate"], 0, False
        while not over:
            for event in self.events(nodes[0], run):
                if event["event"] == "step_waiting":
                    answer = self.run_program("flow", "answer", run, "gate", "--approve", "--url", nodes[-1].url)
                    self.assertIn(answer.returncode, (0, 66), answer.stderr)
                if event["event"] == "step_finished" and event["step"] in fatal:
                    fatal.remove(event["step"])
                    while (dying := owner(nodes)) is None:
                        pass
                    deaths += 1
                    self.kill(dying)
                    nodes = [one for one in nodes if one is not dying] + [node()]
                    break
                over = event["event"] in ("run_completed", "run_failed", "run_cancelled")
        self.assertEqual((event["event"], deaths), ("run_completed", 3), event)
        self.assertLess(event["value"]["scores"]["mae"], event["value"]["scores"]["mae_last_value"])
        finished = [one["step"] for one in self.events(nodes[0], run) if one["event"] == "step_finished"]
        self.assertEqual(len(finished), len(set(finished)), "no step ended twice")
        page = self.run_program("flow", "files", run, "report.html", "--url", nodes[1].url)
        self.assertIn("<svg", page.stdout)

    def test_too_little_data_is_a_failure_that_says_so(self):
        done = self.run_program("flow", "run", os.path.join(EXAMPLE, "analytics.yaml"), "--input",
                                json.dumps({"url": self.readings(), "rows_min": 100_000}))
        self.assertEqual(done.returncode, 1)
        self.assertIn("only 3001 hours have a reading, 100000 are needed", done.stdout)

    def test_what_a_step_kept_later_ones_find_and_others_do_not(self):
        file = self.write("files.yaml", """
name: files
steps:
  - {id: a, code: {language: bash, source: "echo one > both; echo a > mine", keep_workspace: true}}
  - {id: b, code: {language: bash, source: "echo two > both", keep_workspace: true}}
  - {id: alone, code: {language: bash, source: "ls | grep -v '^step'; true"}}
  - id: last
    code:
      language: bash
      source: "cat both mine"
      workspace: ["{{ steps.a.output.workspace }}", "{{ steps.b.output.workspace }}"]
  - {id: bad, code: {language: bash, source: "true", workspace: "ws-nothing"}, on_error: skip}
output: {alone: "{{ steps.alone.output.result }}", last: "{{ steps.last.output.result }}", why: "{{ steps.bad.error.message }}"}
""")
        done = self.run_program("flow", "run", file)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        output = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(output["alone"], "")
        self.assertEqual(output["last"], "two\na")
        self.assertIn("keep_workspace: true", output["why"])
        careless = self.write("careless.yaml", """
name: careless
steps:
  - {id: a, code: {language: bash, source: "true"}}
  - {id: b, code: {language: bash, source: "true", workspace: "{{ steps.a.output.workspace }}"}}
""")
        refused = self.run_program("flow", "validate", careless)
        self.assertIn("'a' keeps no files: give it `keep_workspace: true`", refused.stderr + refused.stdout)

    def test_code_of_a_cancelled_run_ends(self):
        server = self.serve()
        file = self.write("long.yaml", "name: long\nsteps: [{id: s, code: {language: bash, source: 'sleep 600'}}]\n")
        run = self.run_program("flow", "run", file, "--detach", "--url", server.url).stdout.strip()

        def busy():
            boxes = json.loads(server.get("/v1/sandboxes")[1])["data"]
            return [box for box in boxes if box["usage"]["running"]]
        while not busy():
            pass
        self.run_program("flow", "cancel", run, "--url", server.url)
        while busy():
            pass


if __name__ == "__main__":
    unittest.main()
