"""Makes cross-encoder/: a small BERT with a ranking head in random numbers, as ONNX, and the scores
that onnxruntime gives. Needs onnx, onnxruntime, tokenizers and numpy:

    python3 tests/golden/engine/make_cross_encoder.py
"""

import json
import math
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

DIM, HEADS, LAYERS, FFN, PLACES = 32, 4, 2, 64, 48
WORDS = """the a of is in what where who capital france paris city river germany berlin cat dog sat on
mat how many people live rain weather today book page ##s ##ed ##ing ? . , 中 国 北 京""".split()
PAIRS = [
    ("What is the capital of France?", "Paris is the capital city of France."),
    ("What is the capital of France?", "Berlin is the capital of Germany."),
    ("What is the capital of France?", "The cat sat on the mat."),
    ("who lives in berlin", "How many people live in Berlin?"),
    ("weather", "It rained today, books and pages"),
    ("中国", "北京 is the capital of 中国"),
    ("unknownword", "a"),
    ("the " * 12, "dog " * 20),
]


def tokenizer_json():
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + WORDS
    template = lambda ids: [
        ({"SpecialToken": {"id": i, "type_id": t}} if i.startswith("[") else
         {"Sequence": {"id": i, "type_id": t}}) for i, t in ids]
    special = {name: {"id": name, "ids": [vocab.index(name)], "tokens": [name]}
               for name in ("[CLS]", "[SEP]")}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": vocab[i], "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False, "special": True}
                         for i in range(5)],
        "normalizer": {"type": "BertNormalizer", "clean_text": True,
                       "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": template([("[CLS]", 0), ("A", 0), ("[SEP]", 0)]),
            "pair": template([("[CLS]", 0), ("A", 0), ("[SEP]", 0), ("B", 1), ("[SEP]", 1)]),
            "special_tokens": special},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {w: i for i, w in enumerate(vocab)}}}


class Graph:
    def __init__(self, rng):
        self.rng, self.nodes, self.tensors, self.count = rng, [], [], 0

    def tensor(self, name, values, kind=np.float32):
        self.tensors.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def node(self, op, inputs, **attributes):
        self.count += 1
        out = f"/{op}_{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [out], name=out, **attributes))
        return out

    def random(self, name, *shape, scale, mean=0.0):
        return self.tensor(name, mean + scale * self.rng.standard_normal(shape))

    def linear(self, name, x, rows, columns, scale=0.25):
        matrix = self.random(f"onnx::MatMul_{self.count}", columns, rows, scale=scale)
        bias = self.random(name + ".bias", rows, scale=0.1)
        return self.node("Add", [bias, self.node("MatMul", [x, matrix])])

    def norm(self, name, x):
        weight = self.random(name + ".weight", DIM, scale=0.1, mean=1.0)
        bias = self.random(name + ".bias", DIM, scale=0.1)
        return self.node("LayerNormalization", [x, weight, bias], axis=-1, epsilon=1e-12)

    def heads(self, x):
        shape = self.tensor(f"shape_{self.count}", [0, 0, HEADS, DIM // HEADS], np.int64)
        return self.node("Transpose", [self.node("Reshape", [x, shape])], perm=[0, 2, 1, 3])

    def block(self, name, x):
        q, k, v = (self.heads(self.linear(f"{name}.attention.self.{part}", x, DIM, DIM))
                   for part in ("query", "key", "value"))
        scores = self.node("MatMul", [q, self.node("Transpose", [k], perm=[0, 1, 3, 2])])
        root = self.tensor(f"root_{self.count}", math.sqrt(DIM // HEADS))
        seen = self.node("Softmax", [self.node("Div", [scores, root])], axis=-1)
        mixed = self.node("Transpose", [self.node("MatMul", [seen, v])], perm=[0, 2, 1, 3])
        flat = self.node("Reshape", [mixed, self.tensor(f"flat_{self.count}", [0, 0, DIM],
                                                        np.int64)])
        out = self.linear(f"{name}.attention.output.dense", flat, DIM, DIM)
        x = self.norm(f"{name}.attention.output.LayerNorm", self.node("Add", [out, x]))
        up = self.linear(f"{name}.intermediate.dense", x, FFN, DIM)
        erf = self.node("Erf", [self.node("Div", [up, self.tensor(f"two_{self.count}",
                                                                 math.sqrt(2))])])
        one = self.node("Add", [erf, self.tensor(f"one_{self.count}", 1.0)])
        half = self.tensor(f"half_{self.count}", 0.5)
        gelu = self.node("Mul", [self.node("Mul", [up, one]), half])
        down = self.linear(f"{name}.output.dense", gelu, DIM, FFN)
        return self.norm(f"{name}.output.LayerNorm", self.node("Add", [down, x]))


def build(vocab_size):
    g = Graph(np.random.default_rng(20260301))
    p = "bert.embeddings."
    words = g.random(p + "word_embeddings.weight", vocab_size, DIM, scale=1.0)
    types = g.random(p + "token_type_embeddings.weight", 2, DIM, scale=0.5)
    places = g.random(p + "position_embeddings.weight", PLACES, DIM, scale=0.3)
    x = g.node("Add", [g.node("Gather", [words, "input_ids"]),
                       g.node("Gather", [types, "token_type_ids"])])
    x = g.norm(p + "LayerNorm", g.node("Add", [x, g.node("Gather", [places, "places"])]))
    for layer in range(LAYERS):
        x = g.block(f"bert.encoder.layer.{layer}", x)
    first = g.node("Gather", [x, g.tensor("first", 0, np.int64)], axis=1)
    pooler = g.random("bert.pooler.dense.weight", DIM, DIM, scale=0.25)
    pooled = g.node("Tanh", [g.node("Gemm", [first, pooler, g.random(
        "bert.pooler.dense.bias", DIM, scale=0.1)], transB=1)])
    head = g.random("classifier.weight", 1, DIM, scale=0.6)
    last = g.node("Gemm", [pooled, head, g.random("classifier.bias", 1, scale=0.1)], transB=1)
    g.nodes.append(helper.make_node("Identity", [last], ["logits"]))
    ids = lambda name: helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
    graph = helper.make_graph(
        g.nodes, "cross-encoder", [ids("input_ids"), ids("token_type_ids"), ids("places")],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1])], g.tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def main():
    folder = pathlib.Path(__file__).parent / "cross-encoder"
    folder.mkdir(exist_ok=True)
    text = json.dumps(tokenizer_json(), ensure_ascii=False, indent=1)
    (folder / "tokenizer.json").write_text(text + "\n")
    tokenizer = Tokenizer.from_str(text)
    model = build(tokenizer.get_vocab_size())
    (folder / "model.onnx").write_bytes(model)
    session = onnxruntime.InferenceSession(model)
    cases = []
    for query, document in PAIRS:
        pair = tokenizer.encode(query, document)
        row = lambda values: np.asarray([values], np.int64)
        logit = float(session.run(None, {"input_ids": row(pair.ids),
                                         "token_type_ids": row(pair.type_ids),
                                         "places": row(list(range(len(pair.ids))))})[0][0][0])
        cases.append({"query": query, "document": document, "ids": pair.ids, "logit": logit,
                      "score": 1 / (1 + math.exp(-logit))})
        print(f"{logit:9.5f}  {query!r} {document!r}")
    (folder / "scores.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


main()
