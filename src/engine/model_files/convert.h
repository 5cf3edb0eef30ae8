#pragma once
// Turns a model as its authors publish it into one GGUF file.

#include <optional>
#include <string>

#include "base/core/result.h"
#include "engine/model_files/file_type.h"
#include "engine/model_files/progress.h"

namespace engine {

/// What a source does not say of itself, or says otherwise.
struct ConvertOptions {
    std::string name = {};     ///< general.name; empty: as the file or folder is called
    std::string license = {};  ///< general.license
    std::string pooling = {};  ///< of an encoder: "mean" or "cls"; empty: 1_Pooling/config.json,
                               ///< else cls for bge models, mean for others
    /// Put before each text; nothing: as config_sentence_transformers.json says, if it does.
    std::optional<std::string> query_prefix = {}, document_prefix = {};
};

/// Converts to `output` with weights as `type` says. `source` is one of
///   - a folder with config.json, safetensors (single or sharded) and tokenizer.json,
///     tokenizer.model or vocab.txt: architectures llama, mistral, qwen2, qwen3, gemma3, phi3,
///     bert; a bert with a classifier of one label becomes a cross-encoder;
///   - an ONNX file of a bert (floats or weights in 8 bits) or the folder it is in; beside it
///     tokenizer.json, FILE-tokenizer.json or vocab.txt, and config.json if there is one;
///   - a folder with vocab.json and one *.safetensors of the Universal Sentence Encoder lite.
/// `output` appears whole or not at all. threads: 0 = one per core.
/// Errors: invalid_argument (an option), not_found (which file is missing), unimplemented
/// (architecture or tokenizer: named), data_loss (malformed file, tensor missing or of the wrong
/// shape: named), cancelled, resource_exhausted (disk full).
base::Result<ModelFileReport> convert_model(const std::string& source, const std::string& output,
                                            FileType type, const ModelFileProgressFn& progress = {},
                                            std::uint32_t threads = 0,
                                            const ConvertOptions& options = {});

}  // namespace engine
