#pragma once
// Reads a SentencePiece tokenizer.model: a protocol buffer with pieces, their scores and kinds, and
// how text is normalised. Format: sentencepiece_model.proto.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "engine/tokenizer/tokenizer.h"

namespace engine {

struct SentencePieceModel {
    std::vector<std::string> pieces;
    std::vector<float> scores;
    std::vector<TokenKind> kinds;
    bool unigram = true;  ///< else byte-pair merges in order of scores
    TokenId unk = 0, bos = 1, eos = 2, pad = -1;
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = true;
    std::string precompiled_charsmap;
};

/// Errors: data_loss (not such a file, or cut off), unimplemented (word and char models).
base::Result<SentencePieceModel> parse_sentencepiece(std::span<const std::byte> bytes);

}  // namespace engine
