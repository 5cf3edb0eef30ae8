#!/usr/bin/env python3
"""Very many waiting runs: waiting.py BENCH DIR [--runs N] [--timers N] [--spread SECONDS] [--window SECONDS] [--out FILE]

BENCH is build/release/bench/bench_flow_waiting. Fills DIR with runs that wait for a signal, kills the process with SIGKILL,
opens what it left (after dropping the page cache, where that is allowed), and measures how late timers fire."""
import argparse
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from machine import machine


def phase(*command):
    answer = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", type=Path)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--timers", type=int, default=1_000_000)
    parser.add_argument("--spread", type=float, default=300)
    parser.add_argument("--window", type=float, default=300)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    result = {}
    if args.runs:
        shutil.rmtree(args.dir, ignore_errors=True)
        filling = subprocess.Popen([args.bench, "fill", args.dir, str(args.runs)], stdout=subprocess.PIPE, text=True)
        result["fill"] = json.loads(filling.stdout.readline())
        filling.send_signal(signal.SIGKILL)
        filling.wait()
        result["disk_mb"] = round(sum(f.stat().st_blocks for f in args.dir.rglob("*") if f.is_file()) * 512 / 1e6)
        try:
            os.sync()
            Path("/proc/sys/vm/drop_caches").write_text("1")
            result["page_cache"] = "dropped"
        except OSError:
            result["page_cache"] = "kept"
        result["after_kill"] = phase(args.bench, "ready", args.dir)
        result["after_close"] = phase(args.bench, "ready", args.dir)
    if args.timers:
        shutil.rmtree(args.dir, ignore_errors=True)
        result["timers"] = phase(args.bench, "timers", args.dir, args.timers, args.spread, args.window)
    shutil.rmtree(args.dir, ignore_errors=True)
    for name, row in result.items():
        print(name, json.dumps(row))
    if args.out:
        args.out.write_text(json.dumps({
            "command": "bench/flow/waiting.py build/release/bench/bench_flow_waiting DIR "
                       f"--runs {args.runs} --timers {args.timers} --spread {args.spread:g} --window {args.window:g}",
            **machine(), "results": result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
