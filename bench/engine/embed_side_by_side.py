"""Texts into vectors, beside onnxruntime on the same weights: texts a second in batches, and how long
one text takes. Both get two threads; ours is asked over HTTP on loopback, onnxruntime in this
process. Needs onnxruntime, tokenizers and numpy.

    python3 bench/engine/embed_side_by_side.py --dougong build/release/dougong --model M.gguf \
        --onnx M.onnx --tokenizer tokenizer.json --texts LINES.txt --pooling mean
"""

import argparse
import http.client
import json
import pathlib
import re
import statistics
import subprocess
import time

import numpy as np
import onnxruntime
from tokenizers import Tokenizer


class Ours:
    def __init__(self, program, model, threads):
        self.name = pathlib.Path(model).stem
        self.child = subprocess.Popen(
            [program, "serve", "--model", model, "--port", "0", "--memory.enabled", "off",
             "--engine.threads", str(threads), "--log.level", "error"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.child.stdout:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                break
        self.connection = http.client.HTTPConnection("127.0.0.1", int(found.group(1)))
        while self.ask(["ready?"])[0] == 503:  # the model is still loading
            time.sleep(.05)

    def ask(self, texts):
        body = json.dumps({"model": self.name, "input": texts, "encoding_format": "base64"})
        self.connection.request("POST", "/v1/embeddings", body,
                                {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def embed(self, texts):
        status, data = self.ask(texts)
        assert status == 200, data[:300]
        return data

    def stop(self):
        self.child.terminate()
        self.child.wait()


class Onnxruntime:
    def __init__(self, path, tokenizer, pooling, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options,
                                                    providers=["CPUExecutionProvider"])
        self.tokenizer = Tokenizer.from_file(tokenizer)
        self.tokenizer.enable_truncation(512)
        self.tokenizer.enable_padding()
        self.pooling = pooling
        self.inputs = {i.name for i in self.session.get_inputs()}

    def embed(self, texts):
        rows = self.tokenizer.encode_batch(texts)
        ids = np.array([row.ids for row in rows], np.int64)
        mask = np.array([row.attention_mask for row in rows], np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self.session.run(None, {k: v for k, v in feed.items() if k in self.inputs})[0]
        if self.pooling == "mean":
            vectors = (hidden * mask[..., None]).sum(1) / mask.sum(1)[:, None]
        else:
            vectors = hidden[:, 0]
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def measure(embed, texts, batch, seconds):
    """Texts a second in batches of texts of like length, and milliseconds of one text."""
    ordered = sorted(texts, key=len)
    batches = [ordered[i:i + batch] for i in range(0, len(ordered), batch)]
    embed(batches[len(batches) // 2])
    done, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        for one in batches:
            embed(one)
        done += len(ordered)
    rate = done / (time.perf_counter() - begin)
    times = []
    for text in texts[:200]:
        start = time.perf_counter()
        embed([text])
        times.append((time.perf_counter() - start) * 1000)
    return {"texts_per_s": round(rate, 1), "one_text_ms_p50": round(statistics.median(times), 2),
            "one_text_ms_p95": round(sorted(times)[int(len(times) * .95)], 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("dougong", "model", "onnx", "tokenizer", "texts"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--pooling", default="mean", choices=["mean", "cls"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--limit", type=int, default=512)
    args = parser.parse_args()
    with open(args.texts, encoding="utf-8") as file:
        texts = [line.strip() for line in file if line.strip()][:args.limit]
    theirs = Onnxruntime(args.onnx, args.tokenizer, args.pooling, args.threads)
    tokens = sum(sum(row.attention_mask) for row in theirs.tokenizer.encode_batch(texts))
    out = {"model": args.model.split("/")[-1], "onnx": args.onnx.split("/")[-1],
           "threads": args.threads, "batch": args.batch, "texts": len(texts),
           "tokens_per_text": round(tokens / len(texts), 1),
           "onnxruntime_version": onnxruntime.__version__}
    ours = Ours(args.dougong, args.model, args.threads)
    try:
        for turn in (1, 2):  # in turn, so that a slower machine is slower for both
            out[f"dougong_{turn}"] = measure(ours.embed, texts, args.batch, args.seconds)
            out[f"onnxruntime_{turn}"] = measure(theirs.embed, texts, args.batch, args.seconds)
    finally:
        ours.stop()
    print(json.dumps(out, indent=1))


main()
