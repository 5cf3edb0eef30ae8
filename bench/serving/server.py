"""Starts an inference server for a measurement and talks to it as an OpenAI client would."""
import http.client
import json
import pathlib
import random
import signal
import socket
import subprocess
import threading
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server process on a free port of the loopback, ended when the block ends."""

    def __init__(self, name, command, health="/health"):
        self.name = name
        self.port = free_port()
        self.health = health
        self.started_s = time.monotonic()
        self.process = subprocess.Popen([*command, "--host", "127.0.0.1", "--port", str(self.port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __enter__(self):
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended with status {self.process.returncode}")
            try:
                if self.get(self.health)[0] == 200:
                    break
            except OSError:
                pass
            time.sleep(0.002)
        self.ready_s = time.monotonic() - self.started_s
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, body

    def memory_bytes(self):
        """Resident memory of the process; pages of mapped files count too."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        return 0

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def stream(self, tokens, max_tokens, stamps=None, path="/v1/completions", **fields):
        """One streamed answer to a prompt of token ids. Returns its figures; raises on an error."""
        body = {"prompt": tokens, "max_tokens": max_tokens, "stream": True, "temperature": 0,
                "ignore_eos": True, "stream_options": {"include_usage": True}, **fields}
        body = {key: value for key, value in body.items() if value is not None}
        stamps = [] if stamps is None else stamps
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1200)
        begin = time.monotonic()
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise RuntimeError(f"{self.name}: {response.status} {response.read(300).decode()}")
        usage = {}
        for line in response:
            if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                continue
            now = time.monotonic()
            event = json.loads(line[6:])
            usage = event.get("usage") or usage
            if event.get("choices") and event["choices"][0].get("finish_reason") is None:
                stamps.append(now)
        connection.close()
        end = time.monotonic()
        return {"first_s": (stamps[0] if stamps else end) - begin, "total_s": end - begin,
                "tokens": usage.get("completion_tokens", len(stamps)),
                "cached": (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)}


def random_tokens(count, seed, below):
    """Prompts of ids, so that tokenizers do not matter; the low ids are often control tokens."""
    chance = random.Random(seed)
    return [chance.randrange(300, below) for _ in range(count)]


def together(calls):
    """Runs the calls at once; returns (seconds, results in order)."""
    results = [None] * len(calls)

    def run(index):
        results[index] = calls[index]()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - begin, results


def forget_file(path):
    """Drops a file from the page cache, so that the next read is from the disk."""
    import os
    handle = os.open(path, os.O_RDONLY)
    os.fdatasync(handle)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(handle)
