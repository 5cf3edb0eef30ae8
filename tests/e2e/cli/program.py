"""Starts the program under test and talks to it."""
import http.client
import json
import os
import signal
import subprocess
import tempfile
import unittest
import urllib.parse

DOUGONG = os.environ.get("DOUGONG", "build/release/dougong")
PATIENCE_S = 60  # how long anything may take before the test fails; never slept away


class ProgramTest(unittest.TestCase):
    """Gives each test an empty home, so that nobody's configuration or models are seen."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="dougong-cli-")
        self.addCleanup(folder.cleanup)
        self.home = folder.name

    def environment(self, **more):
        kept = {key: value for key, value in os.environ.items()
                if not key.startswith(("DOUGONG_", "XDG_")) and key != "NOTIFY_SOCKET"}
        return {**kept, "HOME": self.home, "NO_COLOR": "1", **more}

    def run_program(self, *arguments, stdin="", env=None):
        return subprocess.run([DOUGONG, *arguments], input=stdin, text=True, capture_output=True,
                              timeout=PATIENCE_S, env=self.environment(**(env or {})), cwd=self.home)

    def write(self, name, text):
        path = os.path.join(self.home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def serve(self, *arguments, env=None):
        server = Server(self, [DOUGONG, "serve", "--model", "smoke", "--port", "0", *arguments],
                        self.environment(**(env or {})))
        self.addCleanup(server.kill)
        return server


class Server:
    def __init__(self, test, command, environment):
        self.test = test
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=environment, cwd=environment["HOME"])
        self.announced = []
        for line in self.process.stdout:
            self.announced.append(line.rstrip("\n"))
            if line.startswith("API"):
                break
        else:
            test.fail(f"serve ended: {self.process.stderr.read()}")
        self.url = self.announced[0].split()[1]
        self.port = urllib.parse.urlsplit(self.url).port

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)

    def get(self, path):
        connection = self.connect()
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def start_stream(self, max_tokens):
        """Asks for a long streamed completion; returns the response, its head already read."""
        connection = self.connect()
        body = json.dumps({"model": "stories260K", "prompt": "Once upon a time", "stream": True,
                           "max_tokens": max_tokens, "ignore_eos": True, "temperature": 0})
        connection.request("POST", "/v1/completions", body, {"content-type": "application/json"})
        return connection.getresponse()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        return self.process.wait(PATIENCE_S)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
