#!/usr/bin/env python3
"""The journal beside the disk's floor, in turns on one disk: journal.py BENCH FLOOR DIR [ROUNDS [SECONDS]]

BENCH is build/release/bench/bench_flow_journal; FLOOR a bare append log with the modes `fsyncpre DIR SECONDS` (one thread
writes 256 bytes into a preallocated file and syncs) and `log DIR SECONDS CLIENTS` (group commit). Prints medians and
ratios; with --out FILE writes them with machine and load."""

import argparse
import json
import statistics
import subprocess
from pathlib import Path

from machine import machine


def run(*command):
    answer = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return json.loads(answer.stdout.splitlines()[-1])


def medians(rows):
    numbers = [key for key, value in rows[0].items() if isinstance(value, (int, float))]
    return {key: round(statistics.median(row[key] for row in rows), 2) for key in numbers}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", type=Path)
    parser.add_argument("floor", type=Path)
    parser.add_argument("dir", type=Path)
    parser.add_argument("rounds", type=int, nargs="?", default=3)
    parser.add_argument("seconds", type=float, nargs="?", default=3)
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 64, 256])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()

    rows = {}
    for _ in range(args.rounds):
        for clients in args.clients:
            rows.setdefault(f"journal {clients}", []).append(
                run(args.bench, "commit", args.dir, args.seconds, clients))
            floor = ["fsyncpre", args.dir / "floor", args.seconds] if clients == 1 else [
                "log", args.dir / "floor", args.seconds, clients]
            rows.setdefault(f"floor {clients}", []).append(run(args.floor, *floor))
        rows.setdefault("append by one thread, 256 open", []).append(
            run(args.bench, "append", args.dir, args.seconds, 256))
        rows.setdefault("replay", []).append(run(args.bench, "replay", args.dir, 1_000_000))
    result = {name: medians(of_one) for name, of_one in rows.items()}
    for clients in args.clients:
        ours, floor = result[f"journal {clients}"], result[f"floor {clients}"]
        result[f"ratio {clients}"] = {
            "ops": round(ours["ops_per_s"] / floor["ops_per_s"], 2),
            "p50": round(ours["p50_us"] / floor["p50_us"], 2)}
    for name, row in result.items():
        print(name, json.dumps(row))
    if args.out:
        args.out.write_text(json.dumps({
            **machine(), "rounds": args.rounds, "seconds": args.seconds, "medians": result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
