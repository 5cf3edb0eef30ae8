#!/usr/bin/env python3
"""Writes types.gguf: random blocks of every tensor type beside the floats the `gguf` Python package
decodes from them, and one metadata entry of every value type. Synthetic data, fixed seed.

Usage: make_types_gguf.py types.gguf        (needs: pip install gguf)
"""
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Q

TYPES = [Q.F32, Q.F16, Q.BF16, Q.Q8_0, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1,
         Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K]
# Byte offsets of half-precision fields in a block: these get sane values, the rest is random.
HALVES = {Q.Q8_0: [0], Q.Q4_0: [0], Q.Q4_1: [0, 2], Q.Q5_0: [0], Q.Q5_1: [0, 2],
          Q.Q2_K: [80, 82], Q.Q3_K: [108], Q.Q4_K: [0, 2], Q.Q5_K: [0, 2], Q.Q6_K: [208]}
ROWS, COLUMNS = 2, 256


def random_blocks(rng, kind):
    block, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (ROWS * COLUMNS // block, size), dtype=np.uint8)
    for offset in HALVES.get(kind, []):
        halves = rng.normal(0, 0.05, len(blocks)).astype(np.float16)
        blocks[:, offset:offset + 2] = halves.view(np.uint8).reshape(-1, 2)
    return blocks.reshape(ROWS, -1)


def main():
    rng = np.random.default_rng(20261121)
    writer = gguf.GGUFWriter(sys.argv[1], "llama")
    writer.add_uint8("t.u8", 200)
    writer.add_int8("t.i8", -100)
    writer.add_uint16("t.u16", 60000)
    writer.add_int16("t.i16", -30000)
    writer.add_uint32("t.u32", 4000000000)
    writer.add_int32("t.i32", -2000000000)
    writer.add_float32("t.f32", 1.5)
    writer.add_bool("t.bool", True)
    writer.add_string("t.string", "h\u00e9llo \u4e16\u754c")
    writer.add_uint64("t.u64", 2**63 + 1)
    writer.add_int64("t.i64", -2**62)
    writer.add_float64("t.f64", 0.1)
    writer.add_array("t.strings", ["a", "", "\u2581b"])
    writer.add_array("t.i32s", [1, -2, 3])
    writer.add_array("t.f32s", [0.5, -0.25])
    values = rng.normal(0, 1, (ROWS, COLUMNS)).astype(np.float32)
    for kind in TYPES:
        name = kind.name.lower()
        if kind == Q.F32:
            stored = expected = values
        elif kind == Q.F16:
            stored = values.astype(np.float16)
            expected = stored.astype(np.float32)
        elif kind == Q.BF16:
            stored = gguf.quants.quantize(values, kind)
            expected = gguf.quants.dequantize(stored, kind)
        else:
            stored = random_blocks(rng, kind)
            expected = gguf.quants.dequantize(stored, kind)
        writer.add_tensor(f"{name}.stored", stored, raw_dtype=kind)
        if kind != Q.F32:
            writer.add_tensor(f"{name}.expected", expected.astype(np.float32))
    # The one block type whose encoding every program agrees on.
    writer.add_tensor("q8_0.encoded", gguf.quants.quantize(values, Q.Q8_0), raw_dtype=Q.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
