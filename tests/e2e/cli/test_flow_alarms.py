"""Alarms: told by webhook, also when the server is killed between deciding and telling."""
import base64
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import threading
import unittest

from program import PATIENCE_S, ProgramTest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "sdk" / "python"))
from dougong import Client  # noqa: E402

KEY = b"0123456789abcdef0123456789abcdef"
FAILS = """
name: fails
steps: [{id: s, set: {n: "{{ 1 / 0 }}"}}]
"""
RULES = """
webhooks:
  - {name: ops, url: "http://127.0.0.1:%d/hook", secret_env: OPS_KEY}
rules:
  - name: failing
    when: {failure_rate: 0.5, over: 1h, at_least: 3}
    note: see the runbook
"""


class Receiver:
    """A real one: checks signatures, answers as it is told, keeps what came."""

    def __init__(self):
        self.status = 200
        self.got = queue.Queue()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.got.put((dict(self.headers), body))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def next(self):
        headers, body = self.got.get(timeout=PATIENCE_S)
        headers = {name.lower(): value for name, value in headers.items()}
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        right = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{right}", headers
        return headers["webhook-id"], json.loads(body)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class FlowAlarms(ProgramTest):
    def setUp(self):
        super().setUp()
        self.receiver = Receiver()
        self.addCleanup(self.receiver.close)
        self.rules = self.write("alarms.yaml", RULES % self.receiver.port)
        self.start("0")

    def start(self, port):
        self.server = self.serve("--sandbox.enabled", "off", "--flow.alarms", self.rules, "--port", port,
                                 env={"OPS_KEY": "whsec_" + base64.b64encode(KEY).decode()})
        self.client = Client(self.server.url, retries=20)
        self.addCleanup(self.client.close)

    def kill(self):
        self.server.process.send_signal(signal.SIGKILL)
        self.server.wait()

    def alarms(self, *arguments):
        return self.run_program("flow", "alarms", *arguments, "--url", self.server.url)

    def fail(self, runs):
        for _ in range(runs):
            run = self.client.start("fails", {})["id"]
            with self.assertRaises(Exception):
                self.client.wait(run)

    def until(self, is_so):
        """Asks again until it is so; the server is asked, nothing is slept away."""
        for _ in range(100_000):
            found = is_so()
            if found:
                return found
        raise AssertionError("it never was so")

    def deliveries(self, status):
        return json.loads(self.alarms("deliveries", "--status", status, "--json").stdout)["data"]

    def test_fires_and_is_delivered_signed(self):
        self.client.deploy(FAILS)
        self.fail(3)
        sent, message = self.receiver.next()
        self.assertEqual(message["type"], "flow.alarm.fired")
        self.assertEqual(message["data"]["alarm"], "failing")
        self.assertEqual(message["data"]["workflow"], "fails")
        self.assertEqual(message["data"]["note"], "see the runbook")
        self.assertEqual(len(message["data"]["runs"]), 3)
        done = self.until(lambda: self.deliveries("delivered"))
        self.assertEqual([each["id"] for each in done], [sent])
        shown = self.alarms("show", "failing")
        self.assertIn("100% of 3 runs failed", shown.stdout)
        self.assertIn(message["data"]["runs"][0]["id"], shown.stdout)
        taken = self.alarms("ack", "failing", "--by", "ann")
        self.assertEqual(taken.returncode, 0, taken.stderr)
        self.assertIn("taken by ann", self.alarms("list").stdout)
        self.assertIn("fired", self.alarms("history").stdout)
        status, metrics = self.server.get("/metrics")
        self.assertIn('dougong_flow_alarms{phase="firing"} 1', metrics)

    def test_killed_between_firing_and_delivery_it_is_delivered_after_the_restart(self):
        self.client.deploy(FAILS)
        self.receiver.status = 503
        self.fail(3)
        first, _ = self.receiver.next()
        self.kill()
        self.receiver.status = 200
        self.start(str(self.server.port))
        again, message = self.receiver.next()
        self.assertEqual(again, first, "one message keeps its id over processes")
        self.assertEqual(message["type"], "flow.alarm.fired")
        done = self.until(lambda: self.deliveries("delivered"))
        self.assertEqual([each["id"] for each in done], [first])
        self.assertTrue(self.receiver.got.empty(), "and it was told once more, not twice")

    def test_killed_before_it_is_decided_it_fires_after_the_restart(self):
        self.client.deploy(FAILS)
        self.alarms("test", "failing")
        self.receiver.next()
        self.fail(3)
        self.kill()  # most often before the next look, which is within a second
        self.start(str(self.server.port))
        _, message = self.receiver.next()
        self.assertEqual(message["type"], "flow.alarm.fired")
        self.assertEqual(message["data"]["runs_total"], 3)

    def test_rules_by_command_a_test_and_dead_messages(self):
        added = self.alarms("add", "hung", "--when", '{"stuck": "1h"}', "--webhook", "ops")
        self.assertEqual(added.returncode, 0, added.stderr)
        wrong = self.alarms("add", "hung2", "--when", '{"stuck": "soon"}')
        self.assertNotEqual(wrong.returncode, 0)
        self.assertIn("when.stuck", wrong.stderr)
        self.assertIn("did you mean", self.alarms("add", "x", "--when", '{"stuck": "1h"}', "--webhook", "op").stderr)
        self.assertIn("hung", self.alarms("list").stdout)
        tested = self.alarms("test", "hung")
        self.assertEqual(tested.returncode, 0, tested.stderr)
        _, message = self.receiver.next()
        self.assertEqual(message["type"], "flow.alarm.test")
        self.receiver.status = 500
        self.assertEqual(self.alarms("test", "hung").returncode, 1)
        self.receiver.next()
        self.assertIn("silenced until", self.alarms("silence", "hung", "--for", "2h").stdout)
        self.assertNotEqual(self.alarms("remove", "failing").returncode, 0, "the file's rules stay")
        self.assertEqual(self.alarms("remove", "hung").returncode, 0)
        self.receiver.status = 410
        self.client.deploy(FAILS)
        self.fail(3)
        self.receiver.next()
        dead = self.until(lambda: self.deliveries("dead"))
        self.assertIn("410", dead[0]["error"])
        self.receiver.status = 200
        self.assertEqual(self.alarms("deliveries", "--retry", dead[0]["id"]).returncode, 0)
        sent, _ = self.receiver.next()
        self.assertEqual(sent, dead[0]["id"])
        schema = json.loads(self.alarms("schema").stdout)
        self.assertIn("flow.alarm.fired", schema["properties"]["type"]["enum"])

    def test_a_file_that_is_wrong_stops_the_start_and_says_where(self):
        self.kill()
        self.write("alarms.yaml", "rules:\n  - {name: a, when: {stuck: soon}}\n")
        out = self.run_program("serve", "--model", "smoke", "--port", "0", "--flow.alarms", self.rules)
        self.assertNotEqual(out.returncode, 0)
        self.assertIn("alarms.yaml:2:29", out.stderr)


NODE = shutil.which("node")
WATCH = """
const socket = new WebSocket(process.argv[1]);
socket.onmessage = ({data}) => console.log(data);
socket.onclose = ({code, reason}) => { console.log(JSON.stringify({code, reason})); };
"""


@unittest.skipUnless(NODE and subprocess.run(
    [NODE, "--experimental-websocket", "-e", "process.exit(typeof WebSocket === 'function' ? 0 : 1)"],
    capture_output=True, env={**os.environ}).returncode == 0, "no Node.js with WebSocket")
class FlowWebSocket(ProgramTest):
    def test_another_implementation_of_the_protocol_hears_the_run_to_its_end(self):
        server = self.serve("--sandbox.enabled", "off")
        client = Client(server.url, retries=20)
        self.addCleanup(client.close)
        client.deploy("name: w\nsteps: [{id: s, set: {n: 1}}, {id: go, wait: {signal: go}}]\n")
        run = client.start("w", {})["id"]
        url = server.url.replace("http", "ws") + f"/v1/runs/{run}/watch?after=1"
        node = subprocess.Popen([NODE, "--experimental-websocket", "-e", WATCH, url],
                                stdout=subprocess.PIPE, text=True)
        self.addCleanup(node.stdout.close)
        self.addCleanup(node.kill)
        messages = []
        for line in node.stdout:
            messages.append(json.loads(line))
            if messages[-1].get("event") == "step_waiting":
                client.signal(run, "go", {"n": 7})
        ids = [message["id"] for message in messages if "id" in message]
        self.assertEqual(ids, list(range(2, 2 + len(ids))))
        self.assertEqual(messages[-2]["event"], "run_completed")
        self.assertEqual(messages[-1], {"code": 1000, "reason": "the run is over"})
