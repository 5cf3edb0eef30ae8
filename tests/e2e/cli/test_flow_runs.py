"""Workflows from the command line: run here, over a server, killed between and in their steps."""
import http.client
import http.server
import json
import signal
import subprocess
import threading
import unittest

from program import DOUGONG, PATIENCE_S, ProgramTest

STEPS = """
name: three
steps:
  - {id: a, http: {url: "URL/a"}}
  - {id: b, http: {url: "URL/b"}}
  - {id: c, http: {url: "URL/c", query: {seen: "{{ steps.a.output.body.n + steps.b.output.body.n }}"}}}
output: {sum: "{{ steps.c.output.body.n }}", seen: "{{ steps.c.output.body.path }}"}
"""
GATE = """
name: gate
steps:
  - {id: ask, human: {ask: answer, prompt: "How many?", form: {type: object, properties: {n: {type: integer}}, required: [n]}}}
  - {id: twice, set: {n: "{{ steps.ask.output.answer.n * 2 }}"}}
"""


class Counting:
    """A server of numbers that remembers every request; `hold` names paths it does not answer."""

    def __init__(self, test):
        self.requests, self.hold = [], set()
        self.changed = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path = self.path.split("?")[0]
                with outer.changed:
                    outer.requests.append((path, self.headers["Idempotency-Key"]))
                    outer.changed.notify_all()
                    outer.changed.wait_for(lambda: path not in outer.hold, PATIENCE_S)
                body = json.dumps({"n": len(path), "path": self.path}).encode()
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # who asked was killed

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.shutdown)

    def wait_for(self, path):
        with self.changed:
            assert self.changed.wait_for(lambda: any(p == path for p, _ in self.requests), PATIENCE_S)

    def let(self, path):
        with self.changed:
            self.hold.discard(path)
            self.changed.notify_all()

    def keys(self, path):
        return [key for p, key in self.requests if p == path]


def post(server, path, body, kind="application/json"):
    connection = server.connect()
    connection.request("POST", path, body, {"Content-Type": kind})
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, answer


class FlowRuns(ProgramTest):
    def test_a_killed_run_goes_on_where_it_stood(self):
        numbers = Counting(self)
        numbers.hold = {"/b"}
        file = self.write("three.yaml", STEPS.replace("URL", numbers.url))
        first = subprocess.Popen([DOUGONG, "flow", "run", file], stdout=subprocess.PIPE, text=True,
                                 env=self.environment(), cwd=self.home)
        run = first.stdout.readline().strip()
        self.assertTrue(run.startswith("run_"), run)
        numbers.wait_for("/b")
        first.send_signal(signal.SIGKILL)
        first.communicate(timeout=PATIENCE_S)
        listed = self.run_program("flow", "list", "--status", "open")
        self.assertIn(run, listed.stdout)
        numbers.let("/b")
        second = self.run_program("flow", "watch", run)
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertEqual(json.loads(second.stdout.splitlines()[-1]), {"sum": 2, "seen": "/c?seen=4"})
        self.assertEqual(len(numbers.keys("/a")), 1, "a finished step is never called again")
        self.assertEqual(len(numbers.keys("/b")), 2)
        self.assertEqual(len(set(numbers.keys("/b"))), 1, "with the same key")
        self.assertEqual(len(numbers.keys("/c")), 1)
        shown = json.loads(self.run_program("flow", "show", run, "--json").stdout)
        self.assertEqual(shown["status"], "completed")

    def test_a_server_that_is_killed_while_a_person_thinks(self):
        server = self.serve()
        file = self.write("gate.yaml", GATE)
        started = self.run_program("flow", "run", file, "--detach", "--url", server.url)
        run = started.stdout.strip()
        self.assertTrue(run.startswith("run_"), started.stderr)
        server.process.send_signal(signal.SIGKILL)
        server.wait()
        server = self.serve()
        waiting = self.run_program("flow", "list", "--waiting", "human", "--url", server.url)
        self.assertIn(run, waiting.stdout)
        self.assertIn("waits for a person: ask", waiting.stdout)
        health = self.run_program("flow", "health", "--url", server.url)
        self.assertRegex(health.stdout, "runs +1 open, 1 waiting")
        told = json.loads(self.run_program("flow", "health", "--url", server.url, "--json").stdout)
        self.assertGreaterEqual(told["journal"]["records"], 0)
        wrong = self.run_program("flow", "answer", run, "ask", "--answer", '{"n": "two"}', "--url", server.url)
        self.assertEqual(wrong.returncode, 64)
        right = self.run_program("flow", "answer", run, "ask", "--answer", '{"n": 4}', "--url", server.url)
        self.assertEqual(right.returncode, 0, right.stderr)
        watched = self.run_program("flow", "watch", run, "--url", server.url)
        self.assertEqual(json.loads(watched.stdout.splitlines()[-1]), {"n": 8})
        self.assertIn("/v1/runs/{id}/watch", server.get("/openapi.json")[1])

    def test_a_busy_server_that_is_killed_loses_nothing(self):
        server = self.serve()
        steps = ", ".join(f'{{"id": "s{i}", "call": {{"function": "echo", "arguments": {{"n": "{{{{ input.n + {i} }}}}"}}}}}}'
                          for i in range(10))
        self.assertEqual(post(server, "/v1/workflows", '{"name": "ten", "steps": [%s]}' % steps)[0], 201)
        started, ended = [], {}

        def client(first):
            for n in range(first, first + 10_000):
                try:
                    if n % 2:
                        status, run = post(server, "/v1/workflows/ten/runs", json.dumps({"input": {"n": n}}))
                        started.append((run["id"], n))
                    else:
                        status, run = post(server, "/v1/workflows/ten/runs",
                                           json.dumps({"input": {"n": n}, "wait_ms": 60000}))
                        ended[run["id"]] = n
                        assert run["output"] == {"n": n + 9}, run
                except (OSError, http.client.HTTPException):
                    return  # it is dead

        clients = [threading.Thread(target=client, args=(10_000 * i,)) for i in range(8)]
        for one in clients:
            one.start()
        while len(ended) < 100:
            clients[0].join(0.01)
        server.process.send_signal(signal.SIGKILL)
        server.wait()
        for one in clients:
            one.join(PATIENCE_S)
        server = self.serve()
        for run, n in [*started, *ended.items()]:
            while True:  # a run that stood in its middle goes on by itself
                status, body = server.get(f"/v1/runs/{run}")
                self.assertEqual(status, 200, body)
                if json.loads(body)["status"] != "running":
                    break
            self.assertEqual(json.loads(body)["output"], {"n": n + 9})
        while json.loads(server.get("/v1/flow")[1])["runs_open"]:
            pass  # those that nobody heard of end, too

    def test_what_goes_wrong_is_said(self):
        unknown = self.run_program("flow", "run", "nothing")
        self.assertEqual(unknown.returncode, 66)
        self.assertIn("there is no workflow 'nothing'", unknown.stderr)
        file = self.write("bad.yaml", "name: bad\ninput: {type: object, required: [n]}\n"
                                      "steps: [{id: e, end: {fail: \"n is {{ input.n }}\"}}]\n")
        self.assertEqual(self.run_program("flow", "run", file, "--input", "{}").returncode, 64)
        self.assertEqual(self.run_program("flow", "run", file, "--input", "{").returncode, 64)
        failed = self.run_program("flow", "run", file, "--input", '{"n": 3}')
        self.assertEqual(failed.returncode, 1)
        self.assertIn("n is 3", failed.stdout)
        self.assertEqual(self.run_program("flow", "show", "run_nobody").returncode, 66)
        later = self.write("later.yaml", "name: later\nsteps: [{id: t, tool: x}]\n")
        self.assertIn("there is no tool 'x'", self.run_program("flow", "deploy", later).stderr)

    def test_code_runs_in_a_sandbox_and_its_result_is_the_output(self):
        doctor = self.run_program("sandbox", "doctor", "--json")
        if doctor.returncode != 0:
            self.skipTest("this host gives no sandbox: " + doctor.stderr)
        file = self.write("code.yaml", """
name: code
steps:
  - {id: py, code: {language: python, args: {xs: [1, 2, 3]}, source: "result = {'sum': sum(args['xs'])}"}}
  - {id: sh, code: {language: bash, args: "{{ steps.py.output.result }}", source: "echo got $ARGS"}}
  - {id: bad, code: {language: python, source: "raise ValueError('no such row')"}, on_error: skip}
output: {sum: "{{ steps.py.output.result.sum }}", said: "{{ steps.sh.output.result }}", why: "{{ steps.bad.error.message }}"}
""")
        done = self.run_program("flow", "run", file)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        output = json.loads(done.stdout.splitlines()[-1])
        self.assertEqual(output["sum"], 6)
        self.assertEqual(output["said"], 'got {"sum":6}')
        self.assertIn("no such row", output["why"])


if __name__ == "__main__":
    unittest.main()
