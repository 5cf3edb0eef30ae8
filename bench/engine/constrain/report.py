#!/usr/bin/env python3
"""Runs the constrained-decoding benches and writes bench/results/constrain-<model>.json.

Usage: report.py --build build/release --model MODEL.gguf --cases CASES.jsonl.gz [--suite SUITE.json.gz ...]

CASES are MaskBench lines, SUITE files the JSON Schema Test Suite as one object of files. Times are CPU time of
one thread, except where the key says wall.
"""
import argparse
import datetime
import json
import pathlib
import platform
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]


def numbers(text, names):
    return dict(zip(names, [float(n) if "." in n else int(n) for n in re.findall(r"\d+(?:\.\d+)?", text)]))


def parse_cases(out):
    lines = out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("schemas "))
    result = numbers(lines[at], ["schemas", "compiled", "all_instances_right"])
    result |= numbers(lines[at + 1], ["valid_accepted", "valid", "invalid_rejected", "invalid"])
    result["compile_us"] = numbers(lines[at + 2].split(":", 1)[1].replace("p50", "").replace("p99", ""), ["p50", "p99"])
    tokens, rest = lines[at + 3].split(":", 1)
    result["mask_tokens"] = int(re.search(r"\d+", tokens).group())
    rest = rest.replace("p50", "").replace("p99", "")
    result["mask_us"] = numbers(rest, ["average", "p50", "p99", "max"])
    result["refused"] = {}
    for line in lines[at + 4:]:
        if found := re.match(r"  refused +(\d+)  (.*)", line):
            result["refused"][found.group(2)] = int(found.group(1))
    return result


def parse_tools(out):
    first, second = out.splitlines()[:2]
    result = numbers(first.replace("per 100 KB", "per"), ["tools", "schema_bytes", "compile_ms", "compile_ms_per_100_kb",
                                                          "first_state_ms", "grammar_kib", "calls", "states_kib"])
    rest = second.split(":", 1)[1].replace("p50", "").replace("p99", "")
    result["mask_us"] = numbers(rest, ["average", "p50", "p99", "max"])
    return result


def parse_overhead(out):
    result = {"setting": out.splitlines()[0]}
    for line in out.splitlines()[1:]:
        if found := re.match(r"(.+?) +wall +([\d.]+) ms \(([\d.]+) of free\) +CPU +([\d.]+) ms \(([\d.]+)", line):
            keys = ["wall_ms_per_token", "wall_of_free", "cpu_ms_per_token", "cpu_of_free"]
            result[found.group(1)] = dict(zip(keys, map(float, found.groups()[1:])))
        elif found := re.match(r"forced share.*: ([\d.]+)", line):
            result["forced_share_one_spelling"] = float(found.group(1))
    return result


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--build", default="build/release")
    options.add_argument("--model", required=True)
    options.add_argument("--cases", required=True)
    options.add_argument("--suite", action="append", default=[])
    options.add_argument("--tokens", default="128")
    options.add_argument("--rounds", default="7")
    options = options.parse_args()
    bench = pathlib.Path(options.build) / "bench"

    def run(program, *arguments):
        return subprocess.run([bench / program, options.model, *arguments], check=True, text=True,
                              capture_output=True).stdout

    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], text=True, capture_output=True)
    name = pathlib.Path(options.model).name
    result = {
        "date": datetime.date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "machine": f"{platform.machine()}, {platform.processor() or 'unknown processor'}",
        "model": name,
        "command": f"bench/engine/constrain/report.py --model {name} --cases {pathlib.Path(options.cases).name} "
                   f"--tokens {options.tokens} --rounds {options.rounds}",
        "cases": parse_cases(run("bench_constrain", options.cases)),
        "suites": {pathlib.Path(s).name: parse_cases(run("bench_constrain", s, "suite")) for s in options.suite},
        "tools": parse_tools(run("bench_constrain", "-", "tools")),
        "overhead": [parse_overhead(run("bench_constrain_overhead", options.tokens, options.rounds, "1", t))
                     for t in ("0.8", "0")],
    }
    out = ROOT / "bench/results" / f"constrain-{pathlib.Path(options.model).stem}.json"
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(out.relative_to(ROOT))


if __name__ == "__main__":
    main()
