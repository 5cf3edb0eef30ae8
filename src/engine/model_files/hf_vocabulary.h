#pragma once
// The vocabulary of a Hugging Face style folder: tokenizer.json, tokenizer.model or vocab.txt,
// special tokens and the chat template.

#include <string>

#include "base/core/result.h"
#include "base/json/json.h"
#include "engine/model_files/gguf_writer.h"
#include "engine/model_files/source_model.h"

namespace engine {

/// Sets the tokenizer.* keys. `config` is config.json's object; `vocab_size` pads the list when the
/// embedding has more rows than the tokenizer has tokens (0: no padding). Errors: not_found (no
/// tokenizer file), unimplemented (tokenizer type or pre-split rule, or one that keeps the case of
/// letters: named), data_loss.
base::Result<void> set_hf_vocabulary(const SourcePlace& place, const base::json::object& config,
                                     std::uint32_t vocab_size, GgufWriter& writer);

}  // namespace engine
