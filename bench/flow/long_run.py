#!/usr/bin/env python3
"""One very long run: long_run.py BENCH DIR [--shapes while each set] [--events N ...] [--out FILE]

BENCH is build/release/bench/bench_flow_long_run. Lets a run come to N events, kills the process with SIGKILL while it
goes on, opens what it left (after dropping the page cache, where that is allowed), and measures when the next event is
durable."""
import argparse
import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from machine import machine


def size_mb(folder):
    return round(sum(f.stat().st_blocks for f in folder.rglob("*") if f.is_file()) * 512 / 1e6, 1)


def measure(bench, folder, shape, events):
    shutil.rmtree(folder, ignore_errors=True)
    running = subprocess.Popen([bench, "run", folder, shape, str(events)], stdout=subprocess.PIPE, text=True)
    row = json.loads(running.stdout.readline())
    running.send_signal(signal.SIGKILL)
    running.wait()
    row.pop("run")
    row["journal_mb"], row["blobs_mb"] = size_mb(folder / "journal"), size_mb(folder / "blobs")
    row["index_mb"] = round(sum(f.stat().st_blocks for f in folder.glob("runs.db*")) * 512 / 1e6, 1)
    try:
        os.sync()
        Path("/proc/sys/vm/drop_caches").write_text("1")
        row["page_cache"] = "dropped"
    except OSError:
        row["page_cache"] = "kept"
    again = subprocess.run([bench, "resume", folder], check=True, stdout=subprocess.PIPE, text=True)
    row["after_kill"] = json.loads(again.stdout)
    shutil.rmtree(folder, ignore_errors=True)
    return {"shape": shape, **row}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", type=Path)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--shapes", nargs="+", default=["while", "each", "set"])
    parser.add_argument("--events", nargs="+", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--out", type=Path, help="rows of other shapes and sizes in it are kept")
    args = parser.parse_args()
    rows = json.loads(args.out.read_text())["results"] if args.out and args.out.exists() else []
    for shape in args.shapes:
        for events in args.events:
            row = {"goal": events, **measure(args.bench, args.dir, shape, events)}
            print(json.dumps(row), flush=True)
            rows = [old for old in rows if (old["shape"], old["goal"]) != (shape, events)] + [row]
    if args.out:
        args.out.write_text(json.dumps({
            "command": "bench/flow/long_run.py build/release/bench/bench_flow_long_run DIR --out FILE",
            **machine(), "results": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
