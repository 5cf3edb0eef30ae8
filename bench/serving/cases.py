"""What is measured of a running server. Each case takes a way to start one and gives figures; the
number is the goal's in docs/spec.md."""
import statistics
import subprocess
import threading
import time

from server import forget_file, random_tokens, together

SCHEMA = {"type": "object", "required": ["name", "tags", "items", "score"], "additionalProperties": False,
          "properties": {
              "name": {"type": "string"}, "score": {"type": "number"},
              "kind": {"enum": ["alpha", "beta", "gamma"]},
              "tags": {"type": "array", "items": {"type": "string"}, "minItems": 3},
              "items": {"type": "array", "minItems": 3, "items": {
                  "type": "object", "required": ["id", "ok"],
                  "properties": {"id": {"type": "integer"}, "ok": {"type": "boolean"}}}}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "record", "schema": SCHEMA}}


def warm(server, vocab):
    server.stream(random_tokens(32, 0, vocab), 4)


def prefix(start, options):
    """Goal 6: the first token of a long prompt that was seen before, against its suffix alone."""
    with start(slots=1) as server:
        warm(server, options.vocab)
        new, cached, suffix, found = [], [], [], 0
        for repeat in range(options.repeats):
            shared = random_tokens(options.prefix_tokens, 100 + repeat, options.vocab)
            tail = [random_tokens(16, 7000 + 3 * repeat + i, options.vocab) for i in range(3)]
            new.append(server.stream(shared + tail[0], 2)["first_s"])
            answer = server.stream(shared + tail[1], 2)
            cached.append(answer["first_s"])
            found = answer["cached"]
            suffix.append(server.stream(tail[2], 2)["first_s"])
        return {"prefix_tokens": options.prefix_tokens, "new_ms": 1e3 * statistics.median(new),
                "cached_ms": 1e3 * statistics.median(cached), "suffix_ms": 1e3 * statistics.median(suffix),
                "cached_over_suffix": statistics.median(cached) / statistics.median(suffix),
                "cached_tokens": found}


def evict(start, options):
    """Goal 6: a prefix that comes back after others had the server."""
    with start(slots=1) as server:
        warm(server, options.vocab)
        shared = random_tokens(1024, 1, options.vocab)
        first = server.stream(shared + random_tokens(16, 2, options.vocab), 2)["first_s"]
        for other in range(4):
            server.stream(random_tokens(1040, 50 + other, options.vocab), 2)
        again = server.stream(shared + random_tokens(16, 3, options.vocab), 2)
        return {"first_ms": 1e3 * first, "again_ms": 1e3 * again["first_s"], "cached_tokens": again["cached"]}


def stall(start, options):
    """Goal 8: the longest gap of a running stream while a long prompt arrives."""
    with start(slots=2) as server:
        warm(server, options.vocab)
        alone = server.stream(random_tokens(options.stall_tokens, 5, options.vocab), 1)["total_s"]
        stamps, done = [], threading.Event()

        def run():
            server.stream(random_tokens(32, 1, options.vocab), options.stream_tokens, stamps=stamps)
            done.set()

        thread = threading.Thread(target=run)
        thread.start()
        while len(stamps) < 60 and not done.is_set():
            time.sleep(0.002)
        begin = time.monotonic()
        answer = server.stream(random_tokens(options.stall_tokens, 2, options.vocab), 1)
        end = time.monotonic()
        thread.join()
        gaps = [(late - early, late) for early, late in zip(stamps, stamps[1:])]
        before = [gap for gap, at in gaps if at < begin]
        during = [gap for gap, at in gaps if begin <= at and at - gap <= end]
        normal = statistics.median(before)
        return {"prompt_tokens": options.stall_tokens, "normal_gap_ms": 1e3 * normal,
                "worst_gap_ms": 1e3 * max(during), "worst_over_normal": max(during) / normal,
                "median_gap_ms": 1e3 * statistics.median(during), "tokens_during": len(during),
                "prompt_alone_s": alone, "prompt_beside_s": answer["first_s"],
                "prefill_rate_share": alone / answer["first_s"]}


def shared(start, options):
    """Goal 9: many agents on one long prefix, all running at once."""
    with start(slots=options.agents) as server:
        warm(server, options.vocab)
        before = server.memory_bytes()
        prefix_tokens = random_tokens(options.shared_tokens, 9, options.vocab)
        server.stream(prefix_tokens + random_tokens(16, 1, options.vocab), 2)
        one = server.memory_bytes()
        seconds, answers = together([
            lambda i=i: server.stream(prefix_tokens + random_tokens(16, 100 + i, options.vocab), 16)
            for i in range(options.agents)])
        return {"agents": options.agents, "prefix_tokens": options.shared_tokens,
                "one_copy_mb": (one - before) / 1e6, "all_mb": (server.memory_bytes() - before) / 1e6,
                "seconds": seconds, "cached_tokens_min": min(a["cached"] for a in answers)}


def schema(start, options):
    """Goal 13: decode rate with a JSON schema against free text, in a chat."""
    def rate(server, **fields):
        answer = server.stream(None, options.decode_tokens, path="/v1/chat/completions", messages=[
            {"role": "user", "content": "Describe a long record with many tags and items."}], **fields)
        return (answer["tokens"] - 1) / (answer["total_s"] - answer["first_s"]), answer["first_s"]

    with start(slots=1) as server:
        warm(server, options.vocab)
        rate(server, response_format=FORMAT)
        pairs = [(rate(server), rate(server, response_format=FORMAT)) for _ in range(options.repeats)]
        return {"free_tokens_per_s": statistics.median(free for (free, _), _ in pairs),
                "schema_tokens_per_s": statistics.median(bound for _, (bound, _) in pairs),
                "schema_over_free": statistics.median(bound / free for (free, _), (bound, _) in pairs),
                "schema_first_token_ms": 1e3 * statistics.median(first for _, (_, first) in pairs)}


def load(start, options):
    """Goal 14: from the start of the process to the first token, with the file cached or not."""
    figures = {}
    for kind in ("cold", "warm"):
        first, ready = [], []
        for _ in range(options.repeats):
            if kind == "cold":
                for path in options.files_read(start):
                    forget_file(path)
            with start(slots=1) as server:
                ready.append(server.ready_s)
                server.stream(random_tokens(8, 1, options.vocab), 1)
                first.append(time.monotonic() - server.started_s)
                figures["memory_mb"] = server.memory_bytes() / 1e6
        figures[f"{kind}_ready_ms"] = 1e3 * statistics.median(ready)
        figures[f"{kind}_first_token_ms"] = 1e3 * statistics.median(first)
    return figures


def busy(start, options):
    """Goal 22: decode beside busy neighbours, as a share of what an even split would give."""
    def rate(server):
        answer = server.stream(random_tokens(32, 3, options.vocab), options.decode_tokens)
        return (answer["tokens"] - 1) / (answer["total_s"] - answer["first_s"])

    with start(slots=1) as server:
        warm(server, options.vocab)
        alone = statistics.median(rate(server) for _ in range(options.repeats))
        others = [subprocess.Popen(["yes"], stdout=subprocess.DEVNULL) for _ in range(4)]
        try:
            beside = statistics.median(rate(server) for _ in range(options.repeats))
        finally:
            for other in others:
                other.kill()
                other.wait()
    # Every runnable thread is due the same time: ours are `threads` of `threads` + 4.
    due = min(1.0, options.cores / (options.threads + 4))
    return {"alone_tokens_per_s": alone, "beside_4_busy_tokens_per_s": beside,
            "share_of_fair": beside / (alone * due)}


def concurrency(start, options):
    """Goal 3 through the API: all tokens per second of several streams."""
    figures = {}
    with start(slots=max(options.streams)) as server:
        warm(server, options.vocab)
        for count in options.streams:
            rates = []
            for repeat in range(options.repeats):
                seconds, answers = together([
                    lambda i=i: server.stream(random_tokens(32, 900 + 50 * repeat + i, options.vocab),
                                              options.decode_tokens) for i in range(count)])
                rates.append(sum(answer["tokens"] for answer in answers) / seconds)
            figures[f"streams_{count}_tokens_per_s"] = statistics.median(rates)
    return figures


CASES = {case.__name__: case
         for case in (prefix, evict, stall, shared, schema, load, busy, concurrency)}
