#!/usr/bin/env python3
"""Dougong and llama.cpp on the same file, threads and token counts, in turn in one run.

The peer is llama.cpp as the npm package node-llama-cpp ships it (prebuilt, with its headers), put
into build/peers by this script on first use, or any llama.cpp named by --peer-lib/--peer-include.
Rounds alternate A B A B so that a drift of the machine's speed hits both; medians and the median of
the pairwise ratios are printed and, with --save, kept in bench/results.

  bench/engine/side_by_side.py --model MODEL.gguf --threads 2 --rounds 5 --save
  bench/engine/side_by_side.py --model MODEL.gguf --depth 1024 --depth 4096 --decode 32
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "build" / "peers"
PEER_VERSION = "3.22.1"  # carries llama.cpp v0.5.0
COLUMNS = ["load_ms", "prefill_tokens_per_s", "prefill_tokens_per_cpu_s", "decode_tokens_per_s",
           "decode_tokens_per_cpu_s"]


def run(command, **kwargs):
    return subprocess.run(command, check=True, text=True, **kwargs)


def obtain_peer():
    """Installs the prebuilt peer from npm; returns (library folder, include folders)."""
    modules = PEERS / "node_modules"
    headers = PEERS / "llama.cpp"
    platform_name = "linux-x64" if platform.machine() == "x86_64" else "linux-arm64"
    if not (modules / "@node-llama-cpp" / platform_name).exists():
        print(f"installing the peer, node-llama-cpp {PEER_VERSION}, into {PEERS.relative_to(ROOT)}",
              file=sys.stderr)
        PEERS.mkdir(parents=True, exist_ok=True)
        # The optional packages are builds for every GPU, most of a gigabyte: only ours is wanted.
        run(["npm", "install", "--prefix", str(PEERS), "--ignore-scripts", "--no-audit", "--no-fund",
             "--omit=optional", f"node-llama-cpp@{PEER_VERSION}",
             f"@node-llama-cpp/{platform_name}@{PEER_VERSION}"], stdout=subprocess.DEVNULL)
    if not headers.exists():
        run(["git", "clone", "-q", str(modules / "node-llama-cpp/llama/gitRelease.bundle"),
             str(headers)], stderr=subprocess.DEVNULL)
    libraries = modules / "@node-llama-cpp" / platform_name / "bins" / platform_name
    return libraries, [headers / "include", headers / "ggml" / "include"]


def build_peer(libraries, includes):
    program = PEERS / "llama_cpp_bench"
    source = ROOT / "bench/engine/peers/llama_cpp_bench.c"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        found = {path.name.split(".")[0]: path for path in sorted(libraries.glob("lib*.so*"))}
        run(["cc", "-O2", str(source), "-o", str(program),
             *[f"-I{folder}" for folder in includes], f"-L{libraries}",
             f"-l:{found['libllama'].name}", f"-l:{found['libggml'].name}",
             f"-Wl,-rpath,{libraries}", "-Wl,--allow-shlib-undefined"])
    return program


def measure(command):
    return json.loads(run(command, capture_output=True).stdout.strip().splitlines()[-1])


def depth_columns(depths):
    return [f"decode_at_{depth}_tokens_per_{unit}" for depth in depths for unit in ("s", "cpu_s")]


def with_depths(figures):
    """Lifts the rows of decode_at_depth to columns."""
    for row in figures.pop("decode_at_depth", []):
        for unit in ("s", "cpu_s"):
            figures[f"decode_at_{row['depth']}_tokens_per_{unit}"] = row[f"tokens_per_{unit}"]
    return figures


def machine():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return f"{os.cpu_count()} cores {line.split(':')[1].strip()}"
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--dougong", default=str(ROOT / "build/release/dougong"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--decode", type=int, default=128)
    parser.add_argument("--depth", type=int, action="append", default=[],
                        help="also decode with this many tokens in the cache; may be repeated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer-lib", type=pathlib.Path)
    parser.add_argument("--peer-include", type=pathlib.Path, action="append")
    parser.add_argument("--save", action="store_true", help="write bench/results/engine-*.json")
    args = parser.parse_args()

    libraries, includes = (args.peer_lib, args.peer_include) if args.peer_lib else obtain_peer()
    PEERS.mkdir(parents=True, exist_ok=True)
    peer = build_peer(libraries, includes)
    counts = [str(args.prompt), str(args.decode)]
    depths = [str(depth) for depth in args.depth]
    ours = [args.dougong, "bench", args.model, "--threads", str(args.threads), "--prompt-tokens",
            counts[0], "--decode-tokens", counts[1], "--repeats", "1", "--json",
            *[word for depth in depths for word in ("--depth", depth)]]
    if args.depth:
        ours += ["--context", str(max(args.depth) + args.prompt + args.decode + 64)]
    # At depth llama.cpp is measured with its fused attention and without: the better one counts.
    theirs = [str(peer), str(libraries), args.model, str(args.threads), *counts, "1", *depths]

    rounds = []
    for index in range(args.rounds):
        rounds.append({"dougong": with_depths(measure(ours)),
                       "llama.cpp": with_depths(measure(theirs))})
        if args.depth:
            rounds[-1]["llama.cpp fa off"] = with_depths(measure([*theirs, "nofa"]))
            for column in depth_columns(args.depth):
                rounds[-1]["llama.cpp"][column] = max(
                    rounds[-1][peer_run][column] for peer_run in ("llama.cpp", "llama.cpp fa off"))
        print(f"round {index + 1}/{args.rounds}", file=sys.stderr)

    summary = {}
    for column in COLUMNS + depth_columns(args.depth):
        mine = [r["dougong"][column] for r in rounds]
        peers = [r["llama.cpp"][column] for r in rounds]
        ratio = statistics.median(a / b for a, b in zip(mine, peers))
        summary[column] = {"dougong": statistics.median(mine), "llama.cpp": statistics.median(peers),
                           "ratio": round(ratio, 3)}
        print(f"{column:34} dougong {statistics.median(mine):10.1f}   llama.cpp "
              f"{statistics.median(peers):10.1f}   ratio {ratio:.2f}")
    for column in depth_columns(args.depth):
        base = summary["decode_tokens_per_cpu_s" if "cpu" in column else "decode_tokens_per_s"]
        for engine in ("dougong", "llama.cpp"):
            summary[column][f"{engine} share of depth 0"] = round(
                summary[column][engine] / base[engine], 3)
        print(f"{column:34} share of depth 0: dougong "
              f"{summary[column]['dougong share of depth 0']:.1%}, llama.cpp "
              f"{summary[column]['llama.cpp share of depth 0']:.1%}")
    if args.save:
        commit = run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
                     capture_output=True).stdout.strip()
        kind = "-depth" if args.depth else ""
        name = f"engine-{pathlib.Path(args.model).stem}{kind}-t{args.threads}.json"
        out = ROOT / "bench/results" / name
        out.write_text(json.dumps({
            "date": datetime.date.today().isoformat(), "commit": commit, "machine": machine(),
            "model": pathlib.Path(args.model).name, "threads": args.threads,
            "command": f"bench/engine/side_by_side.py --model {pathlib.Path(args.model).name} "
                       f"--threads {args.threads} --prompt {args.prompt} --decode {args.decode} "
                       f"{''.join(f'--depth {depth} ' for depth in args.depth)}"
                       f"--rounds {args.rounds}",
            "median": summary, "rounds": rounds}, indent=1) + "\n")
        print(f"saved {out.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
