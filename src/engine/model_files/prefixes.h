#pragma once
// What an embedding model expects before a text that asks and before one that answers.

#include <optional>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace engine {

/// Keys of a GGUF file, written by convert_model.
constexpr std::string_view kQueryPrefixKey = "dougong.query_prefix";
constexpr std::string_view kDocumentPrefixKey = "dougong.document_prefix";

struct ModelPrefixes {
    std::optional<std::string> query, document;  ///< nothing: the file does not say
};

/// Errors: those of GgufFile::open; data_loss (a key that is no string).
base::Result<ModelPrefixes> read_prefixes(const std::string& path);

}  // namespace engine
