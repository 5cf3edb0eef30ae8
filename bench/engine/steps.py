#!/usr/bin/env python3
"""Prefill and batched decoding of Dougong and llama.cpp on the same files, step for step.

Both programs stay up with the model loaded and are asked in turn (A B A B, the order changing each
round), so that a drift of the machine hits both. Medians of tokens per second and per CPU second,
medians of the pairwise ratios, and the share of the machine's read bandwidth that decoding reached.

  bench/engine/steps.py --threads 1 2 --rounds 5 --save MODEL.gguf...

The peer is fetched on first use (see side_by_side.py), or named by --peer-lib and --peer-include.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys

import side_by_side

ROOT = side_by_side.ROOT
BATCHES = [1, 2, 4, 8, 16]


class Program:
    """One engine with one model loaded."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.facts = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = self.read()
        if "error" in answer:
            sys.exit(f"{command}: {answer['error']}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def build_peer(libraries, includes):
    program = side_by_side.PEERS / "llama_cpp_steps"
    source = ROOT / "bench/engine/peers/llama_cpp_steps.c"
    side_by_side.PEERS.mkdir(parents=True, exist_ok=True)
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        found = {path.name.split(".")[0]: path for path in sorted(libraries.glob("lib*.so*"))}
        side_by_side.run(["cc", "-O2", str(source), "-o", str(program),
                          *[f"-I{folder}" for folder in includes], f"-L{libraries}",
                          f"-l:{found['libllama'].name}", f"-l:{found['libggml'].name}",
                          f"-Wl,-rpath,{libraries}", "-Wl,--allow-shlib-undefined"])
    return program


def only_avx2(libraries):
    """A folder of links to the peer's libraries without the builds for newer instruction sets."""
    folder = side_by_side.PEERS / "avx2"
    folder.mkdir(parents=True, exist_ok=True)
    for path in libraries.glob("lib*.so*"):
        link = folder / path.name
        if path.name.startswith("libggml-cpu-") and "haswell" not in path.name:
            continue
        if not link.exists():
            link.symlink_to(path)
    return folder


def points(args):
    """(column, command, tokens) of everything measured."""
    yield f"prefill {args.prompt}", f"prefill {args.prompt}", args.prompt
    for batch in args.batches:
        # As many tokens per point as makes steps of any batch size about equally well measured.
        steps = max(4, args.decode // (1 if batch < 4 else 2 if batch < 16 else 4))
        yield f"decode x{batch}", f"decode {batch} {steps}", batch * steps


def measure(model, threads, args, libraries, peer):
    ours = Program([args.steps, model, str(threads), *([args.isa] if args.isa else [])])
    theirs = Program([str(peer), str(libraries), model, str(threads)])
    both = {"dougong": ours, "llama.cpp": theirs}
    limit = ours.ask("limits")["read_bytes_per_s"]
    taken = {name: {column: [] for column, _, _ in points(args)} for name in both}
    for index in range(-1, args.rounds):  # -1: warm-up
        order = list(both) if index % 2 == 0 else list(reversed(both))
        for column, command, tokens in points(args):
            for name in order:
                if index < 0:
                    both[name].ask(command.replace(str(args.prompt), "64")
                                   if "prefill" in command else f"{' '.join(command.split()[:2])} 2")
                    continue
                answer = both[name].ask(command)
                taken[name][column].append({"per_s": tokens / answer["wall_s"],
                                            "per_cpu_s": tokens / answer["cpu_s"]})
    result = {"threads": threads, "read_bytes_per_s": round(limit),
              "token_bytes": ours.facts["token_bytes"], "target": ours.facts["target"]}
    for column, _, _ in points(args):
        row = {}
        for unit in ("per_s", "per_cpu_s"):
            mine = [sample[unit] for sample in taken["dougong"][column]]
            peers = [sample[unit] for sample in taken["llama.cpp"][column]]
            ratio = statistics.median(a / b for a, b in zip(mine, peers))
            row[unit] = {"dougong": round(statistics.median(mine), 1),
                         "llama.cpp": round(statistics.median(peers), 1), "ratio": round(ratio, 2)}
        result[column] = row
        print(f"  t{threads} {column:12} {row['per_s']['dougong']:9.1f} {row['per_s']['llama.cpp']:9.1f}"
              f"  x{row['per_s']['ratio']:.2f}    per CPU s {row['per_cpu_s']['dougong']:9.1f}"
              f" {row['per_cpu_s']['llama.cpp']:9.1f}  x{row['per_cpu_s']['ratio']:.2f}", flush=True)
    # Neighbours only ever slow a reading down: the better of two is nearer the limit.
    limit = max(limit, ours.ask("limits")["read_bytes_per_s"])
    result["read_bytes_per_s"] = round(limit)
    ours.close()
    theirs.close()
    if "decode x1" in result and limit > 0:
        for unit in ("per_s", "per_cpu_s"):
            rates = result["decode x1"][unit]
            rates["share_of_read_limit"] = {name: round(rates[name] * result["token_bytes"] / limit, 2)
                                            for name in both}
        print(f"  t{threads} read limit {limit / 1e9:.1f} GB/s; decode x1 reaches "
              f"{result['decode x1']['per_s']['share_of_read_limit']}", flush=True)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--steps", default=str(ROOT / "build/release/bench/bench_engine_steps"))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--decode", type=int, default=64, help="steps at batch 1")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--isa", choices=["avx2"], help="both without anything newer")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-lib", type=pathlib.Path)
    parser.add_argument("--peer-include", type=pathlib.Path, action="append")
    parser.add_argument("--save", action="store_true", help="write bench/results/steps-MODEL-tN.json")
    args = parser.parse_args()

    libraries, includes = ((args.peer_lib, args.peer_include) if args.peer_lib
                           else side_by_side.obtain_peer())
    peer = build_peer(libraries, includes)
    if args.isa:
        libraries = only_avx2(libraries)
    suffix = "-t" + "-".join(map(str, args.threads)) + (f"-{args.isa}" if args.isa else "")
    commit = side_by_side.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
                              capture_output=True).stdout.strip()
    for model in args.models:
        name = pathlib.Path(model).stem
        print(f"{name}: dougong, llama.cpp, tokens/s; load {os.getloadavg()[0]:.1f}")
        results = [measure(model, threads, args, libraries, peer) for threads in args.threads]
        if not args.save:
            continue
        out = ROOT / "bench/results" / f"steps-{name}{suffix}.json"
        out.write_text(json.dumps({
            "date": datetime.date.today().isoformat(), "commit": commit,
            "machine": side_by_side.machine(), "model": name,
            "command": f"bench/engine/steps.py --threads {' '.join(map(str, args.threads))} "
                       f"--rounds {args.rounds} --prompt {args.prompt} --decode {args.decode} "
                       f"--batches {' '.join(map(str, args.batches))} "
                       f"{'--isa ' + args.isa + ' ' if args.isa else ''}{pathlib.Path(model).name}",
            "load_average": os.getloadavg()[0], "results": results}, indent=1) + "\n")
        print(f"saved {out.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
