#!/usr/bin/env python3
"""Dougong's server and llama-server on the same model and threads, case by case, in turn.

  bench/serving/side_by_side.py --model MODEL.gguf --peer .../llama-server --save
  bench/serving/side_by_side.py --model MODEL.gguf --cases stall,prefix        (ours alone)

The peer is any llama-server v0.5.0: the sources that bench/engine/side_by_side.py unpacks build one.
Needs Python's standard library only. Close other programs: wall clocks are what is measured.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys

from cases import CASES
from server import Server

ROOT = pathlib.Path(__file__).resolve().parents[2]


def machine():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{os.cpu_count()} cores {line.split(':')[1].strip()}"
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dougong", default=str(ROOT / "build/release/dougong"))
    parser.add_argument("--flags", default="", help="more flags for dougong serve, separated by blanks")
    parser.add_argument("--peer", help="a llama-server program")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--context", type=int, default=8192, help="tokens of one request")
    parser.add_argument("--vocab", type=int, default=30000, help="token ids are drawn below this")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--prefix-tokens", type=int, default=4096)
    parser.add_argument("--stall-tokens", type=int, default=8000)
    parser.add_argument("--stream-tokens", type=int, default=2000)
    parser.add_argument("--shared-tokens", type=int, default=8000)
    parser.add_argument("--agents", type=int, default=64)
    parser.add_argument("--decode-tokens", type=int, default=128)
    parser.add_argument("--streams", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 4, 8, 16])
    parser.add_argument("--save", action="store_true", help="write bench/results/serving-*.json")
    options = parser.parse_args()
    options.cores = os.cpu_count()

    def ours(slots, context=None):
        return Server("dougong", [options.dougong, "serve", "--model", options.model, "--threads",
                                  str(options.threads), "--context", str(context or options.context),
                                  "--engine.running_max", str(max(16, slots)),
                                  *options.flags.split()], health="/readyz")

    def theirs(slots, context=None):
        return Server("llama.cpp", [options.peer, "-m", options.model, "-t", str(options.threads), "-np", str(slots),
                                    "-c", str((context or options.context) * slots)])

    options.files_read = lambda start: [options.model]
    sides = {"dougong": ours, **({"llama.cpp": theirs} if options.peer else {})}

    results = {}
    for name in options.cases.split(","):
        results[name] = {}
        for side, start in sides.items():
            try:
                results[name][side] = CASES[name](start, options)
            except (RuntimeError, OSError, ValueError) as error:
                results[name][side] = {"error": str(error)[:300]}
            rounded = {key: round(value, 3) if isinstance(value, float) else value
                       for key, value in results[name][side].items()}
            results[name][side] = rounded
            print(f"{name:12} {side:10} " + "  ".join(f"{key} {value}" for key, value in rounded.items()), flush=True)
    if options.save:
        commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], check=True,
                                capture_output=True, text=True).stdout.strip()
        out = ROOT / "bench/results" / f"serving-{pathlib.Path(options.model).stem}-t{options.threads}.json"
        kept = json.loads(out.read_text())["cases"] if out.exists() else {}
        given = [word for word in sys.argv[1:] if word != "--save"]
        given = ["LLAMA_SERVER" if word == options.peer else pathlib.Path(word).name if "/" in word else word
                 for word in given]
        out.write_text(json.dumps({
            "date": datetime.date.today().isoformat(), "commit": commit, "machine": machine(),
            "model": pathlib.Path(options.model).name, "threads": options.threads,
            "command": "bench/serving/side_by_side.py " + " ".join(given),
            "cases": {**kept, **results}}, indent=1) + "\n")
        print(f"kept in {out.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
