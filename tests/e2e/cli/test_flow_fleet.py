"""Three servers on one PostgreSQL, killed and stopped at random while they work: every run ends once."""
import collections
import http.client
import http.server
import json
import os
import random
import signal
import threading
import unittest

from databases import Postgres
from program import PATIENCE_S, ProgramTest

FLOW = """
name: order
steps:
  - {id: twice, call: {function: echo, arguments: {n: "{{ input.n * 2 }}"}}}
  - {id: a, http: {method: POST, url: "URL/a/{{ run.id }}"}}
  - {id: ok, human: {ask: approve, prompt: "Go on?"}}
  - {id: b, http: {method: POST, url: "URL/b/{{ run.id }}"}}
  - {id: paid, wait: {signal: paid}}
  - {id: sub, subflow: {workflow: child, input: {n: "{{ input.n }}"}}}
output: {n: "{{ steps.twice.output.n }}", child: "{{ steps.sub.output.n }}", paid: "{{ steps.paid.output.n }}"}
"""
CHILD = """
name: child
steps:
  - {id: c, http: {method: POST, url: "URL/c/{{ run.id }}"}}
  - {id: d, call: {function: echo, arguments: {n: "{{ input.n + 1 }}"}}}
"""
SEED = int(os.environ.get("DG_SEED", "0")) or random.randrange(1, 1 << 30)


class Counter:
    """Remembers the idempotency keys of every path."""

    def __init__(self, test):
        self.keys, self.lock = collections.defaultdict(list), threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                with outer.lock:
                    outer.keys[self.path].append(self.headers["Idempotency-Key"])
                try:
                    self.send_response(200)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"ok")
                except OSError:
                    pass  # who asked was killed

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.shutdown)


def ask(server, method, path, body=None, patience=PATIENCE_S):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=patience)
    try:
        kind = "application/yaml" if path == "/v1/workflows" else "application/json"
        connection.request(method, path, body, {"Content-Type": kind})
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else {}
    finally:
        connection.close()


class FleetTest(ProgramTest):
    def setUp(self):
        super().setUp()
        self.postgres = Postgres()
        self.addCleanup(self.postgres.stop)

    def node(self, **more):
        return self.serve("--sandbox.enabled", "off", "--memory.enabled", "off",
                          env={"DOUGONG_FLOW_STORE": "postgresql",
                               "DOUGONG_FLOW_POSTGRESQL": self.postgres.url("fleet"),
                               "DOUGONG_FLOW_LEASE_S": "1", **more})

    def test_every_process_answers_for_every_run(self):
        one, two = self.node(), self.node()
        counter = Counter(self)
        for text in (CHILD, FLOW):
            self.assertEqual(ask(one, "POST", "/v1/workflows", text.replace("URL", counter.url))[0], 201)
        status, run = ask(two, "POST", "/v1/workflows/order/runs", '{"input": {"n": 4}, "idempotency_key": "k"}')
        self.assertEqual(status, 201, run)
        self.assertEqual(ask(one, "POST", "/v1/workflows/order/runs", '{"input": {"n": 4}, "idempotency_key": "k"}')[1]["id"],
                         run["id"])
        path = f"/v1/runs/{run['id']}"
        stream = http.client.HTTPConnection("127.0.0.1", one.port, timeout=PATIENCE_S)
        stream.request("GET", path + "/watch")
        watched = stream.getresponse()
        lines = []
        while not lines or "step_waiting" not in lines[-1]:
            lines.append(watched.readline().decode())
        wrong = ask(one, "POST", path + "/answer", '{"step": "ok", "decision": "perhaps"}')
        self.assertEqual((wrong[0], wrong[1]["error"]["param"]), (400, "decision"))
        self.assertEqual(ask(one, "POST", path + "/answer", '{"step": "ok", "decision": "approved"}')[0], 200)
        self.assertEqual(ask(one, "POST", path + "/signals/paid", '{"n": 7}')[0], 202)
        status, ended = ask(one, "POST", "/v1/workflows/order/runs",
                            '{"input": {"n": 4}, "idempotency_key": "k", "wait_ms": 60000}')
        self.assertEqual((status, ended.get("output")), (200, {"n": 8, "child": 5, "paid": 7}), ended)
        rest = watched.read().decode()  # ends with the run
        stream.close()
        self.assertIn("event: run_completed", rest)
        self.assertEqual(ask(two, "GET", path)[1]["status"], "completed")
        self.assertEqual(ask(one, "POST", path + "/cancel", "{}")[0], 400)
        # A new version at one is what the other starts.
        self.assertEqual(ask(one, "POST", "/v1/workflows", CHILD.replace("URL", counter.url) + "description: new\n")[1]["version"], 2)
        self.assertEqual(ask(two, "GET", "/v1/workflows/child")[1]["version"], 2)

    def test_what_is_wrong_with_the_configuration_is_said(self):
        for env, words in (({"DOUGONG_FLOW_STORE": "postgresql"}, "flow.postgresql"),
                           ({"DOUGONG_FLOW_POSTGRESQL": "postgresql://h/d"}, "flow.store"),
                           ({"DOUGONG_FLOW_STORE": "postgresql", "DOUGONG_FLOW_POSTGRESQL": "mysql://a:geheim@h/d"},
                            "postgresql://USER")):
            done = self.run_program("flow", "list", env=env)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)
            self.assertNotIn("geheim", done.stderr)

    def test_killed_and_stopped_servers_lose_and_double_nothing(self):
        print(f"DG_SEED={SEED}", flush=True)
        chance = random.Random(SEED)
        faults_wanted, open_max = int(os.environ.get("DG_FLEET_FAULTS", "5")), 100
        counter = Counter(self)
        servers = [self.node() for _ in range(3)]
        for text in (CHILD, FLOW):
            self.assertEqual(ask(servers[0], "POST", "/v1/workflows", text.replace("URL", counter.url))[0], 201)
        alive, lock = set(range(3)), threading.Lock()
        ids, failures = {}, []

        def anywhere(method, path, body=None):
            """Any server that runs; another when it dies over it."""
            for _ in range(400):
                with lock:
                    server = servers[random.choice(sorted(alive))]
                try:
                    status, answer = ask(server, method, path, body, 5)
                    if status < 500:
                        return status, answer
                except (OSError, http.client.HTTPException, ValueError):
                    pass
            raise AssertionError(f"nobody answers {method} {path}")

        def start(first):
            try:
                n = first
                while not enough.is_set():
                    if len(ids) - progress[0] > open_max:
                        enough.wait(0.05)
                        continue
                    status, run = anywhere("POST", "/v1/workflows/order/runs",
                                           json.dumps({"input": {"n": n}, "idempotency_key": f"run-{n}"}))
                    assert status in (200, 201), run
                    ids[run["id"]] = n
                    n += 4
            except Exception as error:  # told by the main thread
                failures.append(error)

        done, enough, progress = threading.Event(), threading.Event(), [0]

        def people():
            try:
                while not done.is_set():
                    for run in anywhere("GET", "/v1/runs?waiting=human&limit=1000")[1].get("data", []):
                        status, answer = anywhere("POST", f"/v1/runs/{run['id']}/answer",
                                                  '{"step": "ok", "decision": "approved"}')
                        assert status in (200, 404), answer  # 404: it was answered the last time
                    for run in anywhere("GET", "/v1/runs?waiting=signal:paid&limit=1000")[1].get("data", []):
                        status, answer = anywhere("POST", f"/v1/runs/{run['id']}/signals/paid", '{"n": 7}')
                        assert status in (202, 400), answer  # 400: it is over by now
            except Exception as error:
                failures.append(error)

        def ended():
            progress[0] = int(self.postgres.rows("SELECT count(*) FROM fleet.flow_runs WHERE workflow = 'order' AND "
                                                 "status >= 3")[0])
            return progress[0]

        def dead():
            return int(self.postgres.rows("SELECT count(*) FROM fleet.flow_workers WHERE dead")[0])

        threads = [threading.Thread(target=start, args=(i,)) for i in range(4)] + [threading.Thread(target=people)]
        for one in threads:
            one.start()
        faults = collections.Counter()
        while sum(faults.values()) < faults_wanted and not failures:
            victim = chance.randrange(3)
            kind = chance.choice(("kill", "stop"))
            faults[kind] += 1
            before = dead()
            with lock:
                alive.discard(victim)
            servers[victim].process.send_signal(signal.SIGKILL if kind == "kill" else signal.SIGSTOP)
            # The two that are left find out and go on, with what the victim had, too.
            goal = ended() + 5
            while (ended() < goal or dead() == before) and not failures:
                threads[4].join(0.05)
            if kind == "kill":
                servers[victim].kill()
                servers[victim] = self.node()
            else:
                servers[victim].process.send_signal(signal.SIGCONT)
            with lock:
                alive.add(victim)
            goal = ended() + 5
            while ended() < goal and not failures:
                threads[4].join(0.05)
        enough.set()
        for one in threads[:4]:
            one.join(PATIENCE_S)
        while ended() < len(ids) and not failures:
            threads[4].join(0.05)
        done.set()
        threads[4].join(PATIENCE_S)
        self.assertEqual(failures, [])
        runs = len(ids)
        children = set()
        for run, n in ids.items():
            status, shown = anywhere("GET", f"/v1/runs/{run}")
            self.assertEqual((status, shown["status"], shown["output"]),
                             (200, "completed", {"n": 2 * n, "child": n + 1, "paid": 7}))
            events = anywhere("GET", f"/v1/runs/{run}/events?limit=1000")[1]["data"]
            finished = collections.Counter(e["step"] for e in events if e["event"] == "step_finished")
            self.assertEqual(finished, dict.fromkeys(("twice", "a", "ok", "b", "paid", "sub"), 1))
            self.assertEqual(sum(e["event"] == "run_completed" for e in events), 1)
            children |= {e["name"] for e in events if e["event"] == "step_child"}
            for step in "ab":
                self.assertEqual(len(set(counter.keys[f"/{step}/{run}"])), 1, "one key however often it was asked")
        self.assertEqual(len(children), runs, "each run had one child")
        for child in children:
            self.assertEqual(len(set(counter.keys[f"/c/{child}"])), 1)
        self.assertEqual(len(counter.keys), 3 * runs)
        self.assertEqual(self.postgres.rows("SELECT count(*) FROM fleet.flow_runs WHERE status < 3"), ["0"])
        again = sum(len(keys) for keys in counter.keys.values()) - len(counter.keys)
        print(f"{runs} runs, faults {dict(faults)}, calls made again {again} of {len(counter.keys)}", flush=True)


if __name__ == "__main__":
    unittest.main()
