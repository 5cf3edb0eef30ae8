"""Runs that start by themselves, and runs that wait for their turn, while servers are killed."""
import json
import pathlib
import queue
import signal
import sys
import threading

from program import PATIENCE_S, ProgramTest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "sdk" / "python"))
from dougong import Client, Worker  # noqa: E402

EVERY_SECOND = """
name: tick
schedules: [{name: second, every: 1s, overlap: allow, catch_up: all, catch_up_max: 1000}]
steps: [{id: s, worker: {queue: q, function: f}}]
"""
NARROW = """
name: narrow
queues: {few: {concurrency: 2}}
steps: [{id: s, worker: {queue: q, function: f, arguments: "{{ input }}"}, queue: few}]
"""


class FlowSchedules(ProgramTest):
    def setUp(self):
        super().setUp()
        self.server = self.serve("--sandbox.enabled", "off")
        self.client = Client(self.server.url, retries=20)
        self.addCleanup(self.client.close)

    def start_again(self):
        self.server.process.send_signal(signal.SIGKILL)
        self.server.wait()
        self.server = self.serve("--sandbox.enabled", "off", "--port", str(self.server.port))

    def work(self, function, **options):
        worker = Worker(self.server.url, **options)
        worker.step("q", "f")(function)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        self.addCleanup(thread.join, PATIENCE_S)
        self.addCleanup(worker.stop, 0)

    def test_every_moment_has_one_run_whatever_is_killed(self):
        done = queue.Queue()
        self.work(lambda arguments, context: done.put(context.run))
        self.client.deploy(EVERY_SECOND)
        seen = set()

        def see(count):
            """So many runs that were not seen before; a step that the kill cut off comes again."""
            goal = len(seen) + count
            while len(seen) < goal:
                seen.add(done.get(timeout=PATIENCE_S))
        for _ in range(3):
            see(2)
            self.start_again()
        see(1)
        self.assertEqual(self.run_program("flow", "schedules", "pause", "tick", "--url", self.server.url).returncode, 0)
        shown = self.run_program("flow", "schedules", "--url", self.server.url)
        self.assertIn("every 1 s", shown.stdout)
        self.assertIn("paused", shown.stdout)
        runs = self.client.list(workflow="tick", limit=1000)["data"]
        moments = sorted(int(run["idempotency_key"].rsplit("/", 1)[1]) for run in runs)
        self.assertGreaterEqual(len(moments), 7)
        self.assertEqual(moments, list(range(moments[0], moments[0] + len(moments))))
        by_hand = self.run_program("flow", "schedules", "trigger", "tick", "--url", self.server.url)
        self.assertIsNone(self.client.wait(by_hand.stdout.strip()))

    def test_a_queue_lets_in_no_more_also_after_a_kill(self):
        lock, now, most = threading.Lock(), set(), [0]
        began, go = queue.Queue(), threading.Event()

        def f(arguments, context):
            with lock:
                now.add(context.run)
                most[0] = max(most[0], len(now))
            began.put(context.run)
            go.wait(PATIENCE_S)
            with lock:
                now.discard(context.run)
            return arguments["n"]
        self.work(f, concurrency=16)
        self.client.deploy(NARROW)
        runs = [self.client.start("narrow", {"n": n})["id"] for n in range(6)]
        first = {began.get(timeout=PATIENCE_S), began.get(timeout=PATIENCE_S)}
        listed = json.loads(self.run_program("flow", "queues", "--json", "--url", self.server.url).stdout)["data"]
        self.assertEqual([(q["running"], q["waiting"]) for q in listed], [(2, 4)])
        waiting = self.client.list(waiting="queue")["data"]
        self.assertEqual({run["id"] for run in waiting}, set(runs) - first)
        self.start_again()
        self.assertEqual({began.get(timeout=PATIENCE_S), began.get(timeout=PATIENCE_S)}, first)
        go.set()
        self.assertEqual([self.client.wait(run) for run in runs], list(range(6)))
        self.assertEqual(most[0], 2)
