#pragma once
// The tokenizer models behind Tokenizer::create, one file each. Internal to this folder.

#include <memory>

#include "engine/tokenizer/tokenizer.h"

namespace engine {

using TokenizerResult = base::Result<std::shared_ptr<const Tokenizer>>;

/// "gpt2": pre-split by family, then byte-level BPE. Exact on any bytes.
TokenizerResult make_byte_bpe(Vocabulary vocabulary);
/// "llama": SentencePiece BPE, score-driven, with byte fallback.
TokenizerResult make_sentence_bpe(Vocabulary vocabulary);
/// "t5" (SentencePiece unigram) and "unigram" (the rules of Universal Sentence Encoder lite).
TokenizerResult make_unigram(Vocabulary vocabulary);
/// "bert": WordPiece, lower-cased and stripped of accents.
TokenizerResult make_word_piece(Vocabulary vocabulary);

/// U+2581, which SentencePiece vocabularies write for a space.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

/// `stored` with every U+2581 turned back into a space.
std::string with_plain_spaces(std::string_view stored);

}  // namespace engine
