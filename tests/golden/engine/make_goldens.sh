#!/bin/sh
# Remakes the golden data in this folder with an installed llama.cpp. The tests only read the result.
#   LLAMA_LIB_DIR      folder with libllama*.so, libggml*.so and the ggml backends
#   LLAMA_SOURCE_DIR   checkout of the same version (for include/llama.h and ggml/include)
#   DG_MODELS_DIR      folder with SmolLM2-135M-Instruct.Q4_1.gguf (default ~/.cache/dougong/models)
#   DOUGONG            the built program
#   DG_TEST_GRAPH      the built test_engine_graph, which writes the synthetic models
set -eu
here=$(cd "$(dirname "$0")" && pwd)
models=${DG_MODELS_DIR:-$HOME/.cache/dougong/models}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

set -- "$LLAMA_LIB_DIR"/libllama.*so "$LLAMA_LIB_DIR"/libggml.*so "$LLAMA_LIB_DIR"/libggml-base.*so
c++ -O1 -std=c++20 -I"$LLAMA_SOURCE_DIR/include" -I"$LLAMA_SOURCE_DIR/ggml/include" \
    "$here/llama_reference.cc" -o "$work/reference" "$@" -Wl,-rpath,"$LLAMA_LIB_DIR"
reference() { "$work/reference" "$LLAMA_LIB_DIR" "$@"; }

# The default model with its weights written out as F32, so that no activation is quantised.
"$DOUGONG" models quantize "$models/SmolLM2-135M-Instruct.Q4_1.gguf" "$work/default.gguf" F32
reference "$work/default.gguf" "$here/smollm2-135m-f32.top32" top 32 text "$here"/texts/*.txt
gzip -9nf "$here/smollm2-135m-f32.top32"
rm "$work/default.gguf"

reference "$here/../../../assets/stories260K-f16.gguf" "$here/stories260k-f16.top8" top 8 \
    text "$here/texts/story.txt"
gzip -9nf "$here/stories260k-f16.top8"

# Synthetic models: the test program writes each model and the ids to evaluate.
DG_WRITE_SYNTHETIC="$work" "$DG_TEST_GRAPH" --gtest_filter='*SyntheticModels.*' >/dev/null
for model in "$work"/*.gguf; do
    name=$(basename "$model" .gguf)
    what=$(cat "$work/$name.what")
    REFERENCE_CONTEXT=$(cat "$work/$name.context") \
        reference "$model" "$here/synthetic-$name.$what" "$what" ids "$(cat "$work/$name.ids")"
    gzip -9nf "$here/synthetic-$name.$what"
done
