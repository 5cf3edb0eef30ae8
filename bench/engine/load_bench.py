#!/usr/bin/env python3
"""From the start of a process to the first token, and the memory it takes.

For each model: with nothing in the page cache and with everything in it; without a side file of
packed weights (engine.packed_dir off) and with one made before. Only the model's and the side
file's own pages are dropped from the cache (posix_fadvise). The file's own time is what reading it
takes by two threads into large pages, measured in the same round. Rounds are interleaved; medians
are printed and written as JSON.

  bench/engine/load_bench.py --program build/release/dougong MODEL.gguf... --out FILE
  with --peer PROGRAM --peer-libs FOLDER also llama.cpp (bench/engine/peers/llama_cpp_bench.c).
"""
import argparse
import http.client
import json
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

CHUNK = 4 << 20


def drop_pages(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def read_pages(path):
    with open(path, "rb", buffering=0) as file:
        while file.read(CHUNK):
            pass


def read_limit_s(path, threads=2):
    """Reading the file into memory that is there already."""
    size = os.path.getsize(path)
    memory = mmap.mmap(-1, size)
    memory.madvise(mmap.MADV_HUGEPAGE)
    for at in range(0, size, 4096):
        memory[at] = 0
    view = memoryview(memory)
    fd = os.open(path, os.O_RDONLY)
    offsets = iter(range(0, size, CHUNK))

    def work():
        for at in offsets:
            os.preadv(fd, [view[at:min(at + CHUNK, size)]], at)

    class Shared:
        def __init__(self, iterator):
            self.iterator, self.lock = iterator, threading.Lock()

        def __iter__(self):
            return self

        def __next__(self):
            with self.lock:
                return next(self.iterator)

    offsets = Shared(offsets)
    workers = [threading.Thread(target=work) for _ in range(threads)]
    begin = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    seconds = time.monotonic() - begin
    os.close(fd)
    view.release()
    memory.close()
    return seconds


def memory_bytes(pid):
    fields = {}
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            name, _, value = line.partition(":")
            fields[name] = value.split()[:1]
    return {key: int(fields[key][0]) * 1024 for key in ("VmRSS", "VmHWM", "RssAnon", "RssFile")}


def ask_first_token(url):
    parts = urllib.parse.urlparse(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    body = {"prompt": "Once upon a time", "max_tokens": 1, "temperature": 0, "ignore_eos": True}
    connection.request("POST", "/v1/completions", json.dumps(body),
                       {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        sys.exit(f"the server answered {answer.status}: {text[:300]}")


def serve_once(args, model, packed_dir):
    command = [args.program, "serve", "--port", "0", "--model", model, "--threads",
               str(args.threads), "--engine.packed_dir", packed_dir, "--models.on_demand=false",
               "--server.console=false", "--log-level", "off"]
    begin = time.monotonic()
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    url, ready = "", 0.0
    for line in server.stdout:
        if line.startswith("listening"):
            url = line.split()[1]
        if line.startswith("API"):
            ready = time.monotonic() - begin
            break
    if not url or not ready:
        sys.exit(f"{command} did not start")
    ask_first_token(url)
    first = time.monotonic() - begin
    memory = memory_bytes(server.pid)
    if packed_dir != "off":
        wait_for_side_file(packed_dir)
    server.terminate()
    server.wait()
    return {"ready_ms": ready * 1e3, "first_token_ms": first * 1e3, **memory}


def wait_for_side_file(folder):
    """Until it is written: a killed run leaves none."""
    for _ in range(600):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        if any(name.endswith(".packed") for name in names):
            return
        time.sleep(0.1)


def peer_once(args, model):
    command = [args.peer, args.peer_libs, model, str(args.threads), "4", "2", "1"]
    peer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    text = peer.stdout.read()
    _, _, usage = os.wait4(peer.pid, 0)
    result = json.loads(text.strip().splitlines()[-1])
    first = result["load_ms"] + 4e3 / result["prefill_tokens_per_s"]
    return {"ready_ms": result["load_ms"], "first_token_ms": first,
            "VmHWM": usage.ru_maxrss * 1024}


def measure_round(args, model, folder, samples):
    def add(name, result):
        samples.setdefault(name, []).append(result)

    side_files = lambda: [os.path.join(folder, name) for name in os.listdir(folder)]
    for cache in ("cold", "warm"):
        prepare = drop_pages if cache == "cold" else read_pages
        prepare(model)
        add(f"read, {cache}", {"first_token_ms": read_limit_s(model) * 1e3})
        for packed in ("off", folder):
            for path in [model] + (side_files() if packed != "off" else []):
                prepare(path)
            kind = "without side file" if packed == "off" else "with side file"
            add(f"dougong {kind}, {cache}", serve_once(args, model, packed))
        if args.peer:
            prepare(model)
            add(f"llama.cpp, {cache}", peer_once(args, model))


def medians(samples):
    table = {}
    for name, results in samples.items():
        table[name] = {key: round(statistics.median(result[key] for result in results), 1)
                       for key in results[0]}
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--program", default="build/release/dougong")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer")
    parser.add_argument("--peer-libs")
    parser.add_argument("--out")
    args = parser.parse_args()
    report = {"what": "process start to first token, medians", "threads": args.threads,
              "rounds": args.rounds, "load_average_before": os.getloadavg()[0], "models": {}}
    for model in args.models:
        samples = {}
        with tempfile.TemporaryDirectory() as folder:
            serve_once(args, model, folder)  # makes the side file
            for _ in range(args.rounds):
                measure_round(args, model, folder, samples)
        table = medians(samples)
        report["models"][os.path.basename(model)] = {"file_bytes": os.path.getsize(model),
                                                     "results": table}
        print(os.path.basename(model), f"{os.path.getsize(model) / 1e6:.0f} MB")
        for name, row in table.items():
            ready = f"{row['ready_ms']:8.0f}" if "ready_ms" in row else " " * 8
            peak = f"{row['VmHWM'] / 1e6:8.0f}" if "VmHWM" in row else ""
            rss = f"{row['VmRSS'] / 1e6:8.0f}" if "VmRSS" in row else " " * 8
            print(f"  {name:<34} ready {ready} ms  first token {row['first_token_ms']:8.0f} ms"
                  f"  RSS {rss} MB, peak {peak} MB")
    report["load_average_after"] = os.getloadavg()[0]
    if args.out:
        with open(args.out, "w") as out:
            json.dump(report, out, indent=1)
            out.write("\n")


if __name__ == "__main__":
    main()
