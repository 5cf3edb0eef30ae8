#pragma once
// Turns a model as its authors publish it into one GGUF file.

#include <string>

#include "base/core/result.h"
#include "engine/model_files/file_type.h"
#include "engine/model_files/progress.h"

namespace engine {

/// Converts to `output` with weights as `type` says. `source` is one of
///   - a folder with config.json, safetensors (single or sharded) and tokenizer.json or
///     tokenizer.model: architectures llama, mistral, qwen2, qwen3, gemma3, phi3, bert;
///   - a folder with vocab.json and one *.safetensors of the Universal Sentence Encoder lite.
/// `output` appears whole or not at all. threads: 0 = one per core.
/// Errors: not_found (which file is missing), unimplemented (architecture or tokenizer: named),
/// data_loss (malformed file, tensor missing or of the wrong shape: named), cancelled,
/// resource_exhausted (disk full).
base::Result<ModelFileReport> convert_model(const std::string& source, const std::string& output,
                                            FileType type, const ModelFileProgressFn& progress = {},
                                            std::uint32_t threads = 0);

}  // namespace engine
