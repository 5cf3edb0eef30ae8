"""A PostgreSQL and a Redis of the test's own on sockets in private folders, where they are installed."""
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.parse

PATIENCE_S = 120


def server_user():
    """Whom servers run as where we are root: they refuse to."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None


def need(found, what):
    """A skip that says so; a failure where CI promises the server."""
    if found:
        return
    if os.environ.get("CI"):
        raise AssertionError(f"{what} is not installed")
    raise unittest.SkipTest(f"skip: {what} is not installed")


class Postgres:
    def __init__(self):
        folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
        need(folders, "a PostgreSQL server (Debian package postgresql-15)")
        self.bin = folders[0]
        self.folder = tempfile.TemporaryDirectory(prefix="dougong-pg-")
        self.home = self.folder.name
        self.user = server_user()
        password = os.path.join(self.home, "password")
        with open(password, "w", encoding="utf-8") as file:
            file.write("geheim\n")
        if self.user:
            os.chown(self.home, self.user.pw_uid, self.user.pw_gid)
            os.chown(password, self.user.pw_uid, self.user.pw_gid)
        subprocess.run([f"{self.bin}/initdb", f"--pgdata={self.home}/data", "--username=dougong",
                        "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8",
                        "--locale=C.UTF-8", "--no-sync"],
                       check=True, stdout=subprocess.DEVNULL, **self.as_user())
        self.process = None
        self.start()

    def as_user(self):
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "cwd": "/"} if self.user else {}

    def start(self):
        self.process = subprocess.Popen(
            [f"{self.bin}/postgres", "-D", f"{self.home}/data", "-k", self.home, "-c",
             "listen_addresses=", "-c", "fsync=on"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self.as_user())
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with open(f"{self.home}/data/postmaster.pid", encoding="utf-8") as file:
                    if "ready" in file.read():
                        return
            except FileNotFoundError:
                pass
            time.sleep(0.02)
        raise AssertionError("PostgreSQL does not come up")

    def kill(self):
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.kill()
        self.folder.cleanup()

    def rows(self, sql):
        """The first column of what it answers."""
        done = subprocess.run(["psql", "-XAtq", "-h", self.home, "-U", "dougong", "-d", "postgres", "-c", sql], check=True,
                              text=True, capture_output=True, env={**os.environ, "PGPASSWORD": "geheim"})
        return done.stdout.split()

    def url(self, schema="dougong"):
        host = urllib.parse.quote(self.home, safe="")
        return f"postgresql://dougong:geheim@{host}/postgres?schema={schema}"


class Redis:
    def __init__(self):
        self.program = shutil.which("redis-server")
        need(self.program, "a Redis server (Debian package redis-server)")
        self.folder = tempfile.TemporaryDirectory(prefix="dougong-redis-")
        self.socket = os.path.join(self.folder.name, "redis.sock")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [self.program, "--port", "0", "--unixsocket", self.socket, "--dir", self.folder.name,
             "--appendonly", "yes", "--appendfsync", "always", "--save", ""],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and self.process.poll() is None:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(self.socket) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("Redis does not come up")

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.kill()
        self.folder.cleanup()

    def url(self, prefix="dougong"):
        return f"redis+unix://{self.socket}?prefix={prefix}"
