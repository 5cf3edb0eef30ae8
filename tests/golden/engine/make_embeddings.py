"""Vectors of a published encoder by onnxruntime, as NAME-embeddings.json.gz. Needs onnxruntime,
tokenizers and numpy; the files come from the package that `dougong models pull NAME` names:

    python3 tests/golden/engine/make_embeddings.py NAME MODEL.onnx TOKENIZER.json mean|cls
"""

import gzip
import json
import pathlib
import sys

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

TEXTS = [
    "how old are you?", "what is your age?", "the quick brown fox jumps over the lazy dog.",
    "c++23 std::expected<t, e> & foo_bar(baz) != 0x1f", "今天天气很好，我们去公园散步。",
    "北京是中国的首都", "mixed 中文 and english, 数字123！", "he said: \"it's 5 o'clock\" - didn't he?",
    " ".join(["memory systems for agents store what was said and find it again."] * 12)]


def main():
    name, model, tokenizer, pooling = sys.argv[1:]
    tokens = Tokenizer.from_file(tokenizer)
    tokens.no_truncation()
    tokens.no_padding()
    session = onnxruntime.InferenceSession(model)
    inputs = {i.name for i in session.get_inputs()}
    cases = []
    for text in TEXTS:
        ids = np.array([tokens.encode(text).ids])
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids),
                "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(None, {k: v for k, v in feed.items() if k in inputs})[0][0]
        vector = hidden.mean(0) if pooling == "mean" else hidden[0]
        vector = vector / np.linalg.norm(vector)
        cases.append({"text": text, "ids": ids[0].tolist(),
                      "embedding": [round(float(x), 6) for x in vector]})
    path = pathlib.Path(__file__).parent / f"{name}-embeddings.json.gz"
    data = json.dumps(cases, ensure_ascii=False).encode()
    path.write_bytes(gzip.compress(data, mtime=0))
    print(path.name, len(cases), "texts")


main()
