"""What servers on one PostgreSQL share besides runs: large values, deaths, places, schedules, words of models."""
import http.client
import http.server
import json
import signal
import threading
import unittest

import test_flow_fleet as fleet
from program import PATIENCE_S, ProgramTest
from databases import Postgres

ask = fleet.ask


class Outside:
    """What http steps call: `answer` decides with (run) on a thread of its own."""

    def __init__(self, test, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                answer(self.path.rsplit("/", 1)[1])
                try:
                    self.send_response(200)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"ok")
                except OSError:
                    pass  # who asked was killed

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        test.addCleanup(server.shutdown)


class SharedTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.postgres = Postgres()
        self.addCleanup(self.postgres.stop)

    node = fleet.FleetTest.node

    def deploy(self, server, text):
        status, answer = ask(server, "POST", "/v1/workflows", text)
        self.assertEqual(status, 201, answer)

    def begin(self, server, name, value=None):
        status, run = ask(server, "POST", f"/v1/workflows/{name}/runs", json.dumps({"input": value or {}}))
        self.assertEqual(status, 201, run)
        return run["id"]

    def until(self, look):
        """What `look` gives once it gives something; each look is a request or a query."""
        for _ in range(100_000):
            found = look()
            if found:
                return found
        raise AssertionError("it never came")

    def test_large_values_and_requests_are_seen_at_every_process(self):
        one, two = self.node(), self.node()
        self.deploy(one, "name: large\nsteps:\n- {id: a, set: {text: \"{{ input.text }}\"}}\n"
                         "- {id: w, http: {method: POST, url: \"http://127.0.0.1:9/{{ input.n }}\"}, retry: {attempts: 2, backoff: 1h}}\n"
                         "- {id: ok, human: {ask: approve, prompt: Go}}\noutput: {text: \"{{ vars.text }}\"}\n")
        text = "\x00äx" * 200_000
        run = self.begin(one, "large", {"text": text, "n": 7})
        self.assertEqual(ask(two, "GET", f"/v1/runs/{run}")[1]["input"]["text"], text)
        self.assertGreater(int(self.postgres.rows("SELECT count(*) FROM fleet.flow_blobs")[0]), 0)
        self.assertLess(int(self.postgres.rows("SELECT max(length(body)) FROM fleet.flow_records")[0]), 100_000)
        status, step = ask(two, "GET", f"/v1/runs/{run}/step?path=w")
        self.assertEqual((status, step["request"]["url"]), (200, "http://127.0.0.1:9/7"), step)
        self.assertEqual(ask(two, "GET", "/v1/runs/counts?workflow=large")[1]["total"], 1)
        one.kill()
        events = ask(two, "GET", f"/v1/runs/{run}/events?limit=1000")[1]["data"]
        self.assertEqual(events[0]["value"]["input"]["text"], text)
        self.until(lambda: ask(two, "POST", f"/v1/runs/{run}/cancel", "{}")[0] == 200)

    def test_a_step_that_kills_three_processes_is_quarantined(self):
        servers, deaths, harmless = {}, [], threading.Event()

        def poison(run):
            if harmless.is_set():
                return
            url = self.postgres.rows("SELECT w.url FROM fleet.flow_runs r JOIN fleet.flow_workers w ON w.id = r.owner WHERE "
                                     "r.workflow = 'poison'")[0]
            servers[url].process.send_signal(signal.SIGKILL)
            deaths.append(url)
            came.set()

        outside, came = Outside(self, poison), threading.Event()
        for _ in range(2):
            server = self.node()
            servers[server.url] = server
        alive = list(servers)
        self.deploy(servers[alive[0]], "name: poison\nsteps: [{id: p, http: {method: POST, url: \""
                    + outside.url + "/{{ run.id }}\"}, timeout: 0}]\n")
        run = self.begin(servers[alive[0]], "poison")
        for death in range(3):
            self.assertTrue(came.wait(PATIENCE_S), death)
            came.clear()
            servers[deaths[-1]].kill()
            alive.remove(deaths[-1])
            server = self.node()
            servers[server.url] = server
            alive.append(server.url)
        look = servers[alive[0]]
        shown = self.until(lambda: (lambda it: it if it["status"] == "paused" else None)(ask(look, "GET", f"/v1/runs/{run}")[1]))
        self.assertIn("quarantined", json.dumps(shown))
        listed = self.until(lambda: ask(look, "GET", "/v1/runs?waiting=quarantine")[1]["data"])
        self.assertEqual([one["id"] for one in listed], [run])
        self.assertEqual(len(deaths), 3)
        harmless.set()
        self.assertEqual(ask(servers[alive[1]], "POST", f"/v1/runs/{run}/retry", '{"step": "p"}')[0], 200)
        self.until(lambda: ask(look, "GET", f"/v1/runs/{run}")[1]["status"] == "completed")

    def test_servers_that_end_in_order_count_for_no_step(self):
        asked, hold = threading.Semaphore(0), threading.Event()
        outside = Outside(self, lambda run: (asked.release(), hold.wait(PATIENCE_S)))
        server, other = self.node(), self.node()
        self.deploy(server, "name: slow\nsteps: [{id: p, http: {method: POST, url: \"" + outside.url + "/{{ run.id }}\"}, timeout: 0}]\n")
        run = self.begin(server, "slow")
        for _ in range(4):
            self.assertTrue(asked.acquire(timeout=PATIENCE_S))
            server.process.send_signal(signal.SIGTERM)
            server, other = other, self.node()
        self.assertTrue(asked.acquire(timeout=PATIENCE_S))
        hold.set()
        self.until(lambda: ask(other, "GET", f"/v1/runs/{run}")[1]["status"] == "completed")
        events = ask(other, "GET", f"/v1/runs/{run}/events?limit=1000")[1]["data"]
        self.assertNotIn("step_lost", [event["event"] for event in events])

    def test_a_queue_lets_in_no_more_over_all_processes(self):
        changed, now, most, go, gone = threading.Condition(), [0], [0], threading.Semaphore(0), threading.Semaphore(0)

        def answer(run):
            with changed:
                now[0] += 1
                most[0] = max(most[0], now[0])
                changed.notify_all()
            go.acquire(timeout=PATIENCE_S)
            with changed:
                now[0] -= 1
                gone.release()

        outside = Outside(self, answer)
        servers = [self.node(), self.node()]
        self.deploy(servers[0], "name: narrow\nqueues: {few: {concurrency: 2}}\nsteps: [{id: p, queue: few, http: {method: POST, url: \""
                    + outside.url + "/{{ run.id }}\"}}]\n")
        runs = [self.begin(server, "narrow") for _ in range(5) for server in servers]
        for left in range(len(runs), 0, -1):
            with changed:
                self.assertTrue(changed.wait_for(lambda: now[0] == min(2, left), PATIENCE_S), "a place is free, and nobody has it")
            go.release()
            self.assertTrue(gone.acquire(timeout=PATIENCE_S))
        for run in runs:
            self.until(lambda: ask(servers[0], "GET", f"/v1/runs/{run}")[1]["status"] == "completed")
        self.assertEqual(most[0], 2)

    def test_words_of_models_are_told_at_every_process(self):
        one, two = self.node(), self.node()
        self.deploy(one, "name: tale\nsteps:\n- {id: ok, human: {ask: approve, prompt: Go}}\n"
                         "- {id: say, llm: {prompt: Once upon a time, max_tokens: 40, temperature: 0}}\n")
        run = self.begin(one, "tale")
        streams = []
        for path in ("steps/say/stream", "watch", "tokens"):
            connection = http.client.HTTPConnection("127.0.0.1", two.port, timeout=PATIENCE_S)
            self.addCleanup(connection.close)
            connection.request("GET", f"/v1/runs/{run}/{path}")
            streams.append(connection)
        # Each is open at the owner before the model is asked.
        answers = [connection.getresponse() for connection in streams]
        self.assertEqual([answer.status for answer in answers], [200, 200, 200])
        self.assertEqual(ask(two, "POST", f"/v1/runs/{run}/answer", '{"step": "ok", "decision": "approved"}')[0], 200)
        for answer in answers:
            text = answer.read().decode()
            self.assertIn("event: token", text)
            for frame in text.strip().split("\n\n"):
                if frame.startswith(":"):
                    continue
                data = [line for line in frame.split("\n") if line.startswith("data: ")]
                self.assertEqual(len(data), 1, "whole events: " + frame)
                json.loads(data[0][6:])
            if answer is answers[0]:
                self.assertIn("event: done", text)

    def test_schedulers_of_two_processes_start_each_moment_once(self):
        servers = [self.node(), self.node()]
        self.deploy(servers[0], "name: tick\nschedules: [{every: 1s, overlap: allow, catch_up: all, catch_up_max: 1000}]\n"
                                "steps: [{id: s, call: {function: echo, arguments: {}}}]\n")

        def count():
            return int(self.postgres.rows("SELECT count(*) FROM fleet.flow_runs")[0])
        for i in range(4):
            goal = count() + 2
            self.until(lambda: count() >= goal)
            servers[i % 2].process.send_signal(signal.SIGKILL)
            goal = count() + 2
            self.until(lambda: count() >= goal)  # the other one alone
            servers[i % 2].kill()
            servers[i % 2] = self.node()
        self.assertEqual(ask(servers[0], "POST", "/v1/schedules/tick/pause", "{}")[0], 200)
        self.until(lambda: self.postgres.rows("SELECT count(*) FROM fleet.flow_runs WHERE status < 3") == ["0"])
        moments = sorted(int(row.rsplit("/", 1)[1]) for row in self.postgres.rows("SELECT key FROM fleet.flow_runs"))
        self.assertEqual(moments, list(range(moments[0], moments[0] + len(moments))), "each once, none left out")
        self.assertGreaterEqual(len(moments), 16)


if __name__ == "__main__":
    unittest.main()
