"""Steps done outside of the server: the Python SDK, its example beside the one for Node, servers and workers that die."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import unittest

from program import PATIENCE_S, ProgramTest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "sdk" / "python"))
from dougong import Client, DougongError, RunFailed, StepError, Worker  # noqa: E402


def flow(name, *functions):
    """Steps that one worker function does, one after another."""
    return {"name": name, "steps": [
        {"id": function, "worker": {"queue": "q", "function": function, "arguments": "{{ input }}"},
         "retry": {"attempts": 3, "backoff": "1ms"}} for function in functions]}


class FlowWorkers(ProgramTest):
    def setUp(self):
        super().setUp()
        self.server = self.serve("--sandbox.enabled", "off")
        self.client = Client(self.server.url)
        self.addCleanup(self.client.close)

    def work(self, *, stops=True, **options):
        """A worker on a thread, once its steps are named: call the result's start()."""
        worker = Worker(self.server.url, **options)
        thread = threading.Thread(target=worker.run, daemon=True)

        def start():
            thread.start()
            if stops:
                self.addCleanup(thread.join, PATIENCE_S)
                self.addCleanup(worker.stop, 0)
        worker.start, worker.thread = start, thread
        return worker

    def test_steps_are_functions(self):
        worker, keys = self.work(), []

        @worker.step("q")
        def good(arguments, context):
            context.tokens = 7
            return {"y": arguments["x"] + 1}

        @worker.step("q")
        async def flaky(arguments, context):
            keys.append(context.idempotency_key)
            if context.attempt < 3:
                raise RuntimeError("busy")
            return {"z": arguments["x"]}

        @worker.step("q", "bad")
        def refuses(arguments):
            raise StepError("invalid_argument", "never")

        @worker.step("q")
        def nonsense(arguments):
            return object()
        worker.start()
        self.client.deploy(flow("good", "good", "flaky"))
        self.assertEqual(self.client.run("good", {"x": 4}), {"z": 4})
        self.assertEqual(len(keys), 3)
        self.assertEqual(len(set(keys)), 1)
        for name, words in (("bad", "never"), ("nonsense", "no JSON")):
            self.client.deploy(flow(name, name))
            with self.assertRaisesRegex(RunFailed, words):
                self.client.run(name)
        listed = self.client.workers()["workers"][0]
        self.assertEqual(listed["queues"], {"q": ["good", "flaky", "bad", "nonsense"]})
        shown = self.run_program("flow", "workers", "--url", self.server.url)
        self.assertIn(worker.name, shown.stdout)

    def test_many_runs_at_once(self):
        worker = self.work(concurrency=5)
        lock, now, most = threading.Lock(), 0, 0

        @worker.step("q")
        def double(arguments):
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            with lock:
                now -= 1
            return arguments["n"] * 2
        worker.start()
        self.client.deploy(flow("many", "double"))
        runs = [self.client.start("many", {"n": n})["id"] for n in range(100)]
        self.assertEqual([self.client.wait(run) for run in runs], [2 * n for n in range(100)])
        self.assertLessEqual(most, 5)

    def test_a_client_steers_runs(self):
        self.client.deploy("name: gate\nsteps:\n- {id: ok, human: {ask: approve, prompt: \"Go?\"}}\n- {id: paid, wait: {signal: paid}}\n")
        run = self.client.start("gate", idempotency_key="order-7")["id"]
        self.assertEqual(self.client.start("gate", idempotency_key="order-7")["id"], run)
        self.client.approve(run, "ok", by="ann")
        self.client.signal(run, "paid", {"amount": 3})
        self.assertEqual(self.client.wait(run), {"amount": 3})
        places = [event["place"] for event in self.client.events(run)]
        self.assertEqual([event["place"] for event in self.client.events(run, after=2)], places[2:])
        self.assertEqual(len(self.client.list(workflow="gate")["data"]), 1)
        other = self.client.start("gate")["id"]
        self.client.cancel(other, why="late")
        with self.assertRaises(RunFailed):
            self.client.wait(other)
        with self.assertRaises(DougongError) as refused:
            self.client.start("nothing")
        self.assertEqual(refused.exception.code, "not_found")
        self.assertFalse(self.client.validate("name: x\nsteps: [{}]")["valid"])

    def test_a_cancelled_run_stops_its_function_and_stop_lets_others_end(self):
        worker, began, stopped = self.work(), threading.Event(), threading.Event()
        going, go = threading.Event(), threading.Event()

        @worker.step("q")
        def long(arguments, context):
            began.set()
            if context.cancelled.wait(PATIENCE_S):
                stopped.set()

        @worker.step("q")
        def last(arguments):
            going.set()
            go.wait(PATIENCE_S)
            return "whole"
        worker.start()
        self.client.deploy(flow("long", "long"))
        run = self.client.start("long")["id"]
        self.assertTrue(began.wait(PATIENCE_S))
        self.client.cancel(run)
        self.assertTrue(stopped.wait(PATIENCE_S))
        self.client.deploy(flow("last", "last"))
        run = self.client.start("last")["id"]
        self.assertTrue(going.wait(PATIENCE_S))
        worker.stop()
        go.set()
        worker.thread.join(PATIENCE_S)
        self.assertEqual(self.client.wait(run), "whole")

    def test_a_server_that_is_killed_gives_the_step_again(self):
        unreachable, began, keys = threading.Event(), threading.Event(), []
        worker = self.work(lease_ms=300, on_event=lambda kind, _: unreachable.set() if kind == "unreachable" else None)

        @worker.step("q")
        def f(arguments, context):
            keys.append(context.idempotency_key)
            began.set()
            if len(keys) == 1:
                unreachable.wait(PATIENCE_S)
            return len(keys)
        worker.start()
        self.client.deploy(flow("again", "f"))
        run = self.client.start("again")["id"]
        self.assertTrue(began.wait(PATIENCE_S))
        self.server.process.send_signal(signal.SIGKILL)
        self.server.wait()
        self.assertTrue(unreachable.wait(PATIENCE_S))
        self.server = self.serve("--sandbox.enabled", "off", "--port", str(self.server.port))
        self.assertEqual(self.client.wait(run), 2)
        self.assertEqual(len(keys), 2)
        self.assertEqual(keys[0], keys[1])

    def test_a_worker_that_is_killed_loses_its_lease(self):
        script = ("import sys; sys.path.insert(0, sys.argv[2])\nfrom dougong import Worker\nimport threading\n"
                  "w = Worker(sys.argv[1], lease_ms=300)\n@w.step('q')\ndef f(arguments, context):\n"
                  "    print(context.idempotency_key, flush=True)\n    threading.Event().wait()\nw.run()\n")
        doomed = subprocess.Popen([sys.executable, "-c", script, self.server.url, str(ROOT / "sdk" / "python")],
                                  stdout=subprocess.PIPE, text=True)
        self.client.deploy(flow("lost", "f"))
        run = self.client.start("lost")["id"]
        key = doomed.stdout.readline().strip()
        doomed.kill()
        doomed.communicate()
        heir, contexts = self.work(), []

        @heir.step("q")
        def f(arguments, context):
            contexts.append(context)
            return "mine"
        heir.start()
        self.assertEqual(self.client.wait(run), "mine")
        self.assertEqual([(c.giving, c.attempt, c.idempotency_key) for c in contexts], [(2, 1, key)])

    def test_a_server_that_ends_does_not_wait_for_workers(self):
        os.mkdir(self.home + "/2")
        server = self.serve("--sandbox.enabled", "off", "--server.drain_timeout_s", "3600", env={"HOME": self.home + "/2"})
        worker, client = Worker(server.url), Client(server.url)
        worker.step("q", "f")(lambda arguments: 1)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        client.deploy(flow("one", "f"))
        self.assertEqual(client.run("one"), 1)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(), 0, "it would wait for an hour")
        worker.stop(0)
        thread.join(PATIENCE_S)

    def test_queues_priorities_and_schedules(self):
        worker, go, began, order = self.work(concurrency=4), threading.Event(), threading.Event(), []

        @worker.step("q")
        def work(arguments):
            order.append(arguments["n"])
            began.set()
            go.wait(PATIENCE_S)
            return arguments["n"]
        worker.start()
        self.client.deploy({"name": "queued", "queues": {"one": {"concurrency": 1}}, "schedules": [
            {"name": "rarely", "cron": "0 0 1 1 *", "input": {"n": 9}}], "steps": [
            {"id": "s", "queue": "one", "worker": {"queue": "q", "function": "work", "arguments": "{{ input }}"}}]})
        first = self.client.start("queued", {"n": 0})["id"]
        self.assertTrue(began.wait(PATIENCE_S))
        low = self.client.start("queued", {"n": 1}, priority=1)["id"]
        high = self.client.start("queued", {"n": 2}, priority=5)["id"]
        queue = self.client.queues()[0]
        self.assertEqual((queue["workflow"], queue["queue"], queue["running"], queue["waiting"]), ("queued", "one", 1, 2))
        go.set()
        self.assertEqual([self.client.wait(run) for run in (first, low, high)], [0, 1, 2])
        self.assertEqual(order, [0, 2, 1])
        schedule = self.client.schedules()[0]
        self.assertEqual((schedule["workflow"], schedule["name"], schedule["paused"]), ("queued", "rarely", False))
        self.client.schedule("queued", "pause", name="rarely")
        self.assertTrue(self.client.schedules()[0]["paused"])
        self.client.schedule("queued", "resume")
        self.assertFalse(self.client.schedules()[0]["paused"])
        self.assertEqual(self.client.wait(self.client.schedule("queued", "trigger")["id"]), 9)
        with self.assertRaises(DougongError) as refused:
            self.client.schedule("queued", "pause", name="never")
        self.assertEqual(refused.exception.code, "not_found")

    def test_several_servers_share_one_worker(self):
        os.mkdir(self.home + "/2")
        servers = [self.server, self.serve("--sandbox.enabled", "off", env={"HOME": self.home + "/2"})]
        worker = Worker([server.url for server in servers], concurrency=3)
        worker.step("q", "f")(lambda arguments: arguments["n"])
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        for server in servers:
            client = Client(server.url)
            self.addCleanup(client.close)
            client.deploy(flow("shared", "f"))
            runs = [client.start("shared", {"n": n})["id"] for n in range(10)]
            self.assertEqual([client.wait(run) for run in runs], list(range(10)))
        servers[1].kill()  # the other is served all the same
        self.assertEqual(self.client.run("shared", {"n": 7}), 7)
        worker.stop()
        thread.join(PATIENCE_S)
        self.assertFalse(thread.is_alive())
        with self.assertRaises(ValueError):
            Worker([])

    def test_what_is_wrong_is_told(self):
        with self.assertRaises(ValueError):
            Worker("ftp://x")
        with self.assertRaises(ValueError):
            Worker(self.server.url).run()
        wrong = Worker(self.server.url, tenant="a b")
        wrong.step("q", "f")(lambda arguments: 1)
        with self.assertRaises(DougongError):
            wrong.run()
        server = self.run_program("flow", "run", self.write("local.json", json.dumps(flow("local", "f"))))
        self.assertNotEqual(server.returncode, 0)

    @unittest.skipUnless(shutil.which("node"), "node is not here: the example in two languages does not run")
    def test_the_example_in_two_languages(self):
        folder = ROOT / "examples" / "flows"
        workers = [subprocess.Popen([*command, self.server.url], stdout=subprocess.PIPE, text=True)
                   for command in (["node", str(folder / "workers/parcels.mjs")],
                                   [sys.executable, str(folder / "workers/parcels.py")])]
        for worker in workers:
            self.addCleanup(worker.communicate)
            self.addCleanup(worker.kill)
        parcels = [{"id": str(n), "sizes_cm": [10, 20, n]} for n in range(1, 41)]
        done = self.run_program("flow", "run", str(folder / "parcels.yaml"), "--url", self.server.url,
                                "--input", json.dumps({"parcels": parcels}))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        prices = json.loads(done.stdout.splitlines()[-1])["prices"]
        self.assertEqual([price["id"] for price in prices], [parcel["id"] for parcel in parcels])
        self.assertEqual(len({price["booked_as"] for price in prices}), 40)
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
        self.assertEqual([worker.wait(PATIENCE_S) for worker in workers], [0, 0])


if __name__ == "__main__":
    unittest.main()
