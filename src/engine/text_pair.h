#pragma once
// A query and a document as a cross-encoder reads them together.

#include <cstddef>
#include <string_view>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace engine {

struct TextPair {
    std::vector<TokenId> tokens;
    std::size_t second_at = 0;  ///< the document's first token
};

/// `query` as the tokenizer encodes it with its special tokens. BERT's own way is
/// [CLS] query [SEP] document [SEP]; models with a SentencePiece vocabulary (XLM-RoBERTa) are
/// trained with two separators in the middle: <s> query </s></s> document </s>.
TextPair encode_pair(const Tokenizer& tokenizer, const std::vector<TokenId>& query,
                     std::string_view document);

}  // namespace engine
