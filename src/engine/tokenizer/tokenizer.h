#pragma once
// Text to token ids and back. Immutable after construction: share it between threads.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace engine {

using TokenId = std::int32_t;

struct EncodeOptions {
    bool add_special = true;     ///< BOS/EOS (CLS/SEP) as the model wants them
    bool parse_special = false;  ///< text like "<|im_start|>" becomes its control token
};

enum class TokenKind : std::uint8_t { normal, unknown, control, user_defined, unused, byte };

/// Everything a vocabulary needs, whatever file it came from (GGUF keys in comments).
struct Vocabulary {
    std::string model;                ///< tokenizer.ggml.model: gpt2, llama, bert, t5/unigram
    std::string pre;                  ///< tokenizer.ggml.pre: qwen2, llama-bpe, smollm...
    std::vector<std::string> tokens;  ///< as stored (byte-level BPE: mapped characters)
    std::vector<float> scores;        ///< may be empty
    std::vector<TokenKind> kinds;     ///< may be empty: all normal
    std::vector<std::string> merges;  ///< "left right"
    TokenId bos = -1, eos = -1, eot = -1, unk = -1, sep = -1, pad = -1, cls = -1, mask = -1;
    std::optional<bool> add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;
    std::vector<TokenId> eog_extra;   ///< further end-of-generation ids
    std::string normalizer_charsmap;  ///< SentencePiece precompiled map, may be empty
};

class Tokenizer {
public:
    /// Errors: unimplemented (model or pre-split rule unknown: named), data_loss (ids out of
    /// range).
    static base::Result<std::shared_ptr<const Tokenizer>> create(Vocabulary vocabulary);
    virtual ~Tokenizer() = default;

    /// Any bytes; invalid UTF-8 survives through byte tokens where the vocabulary has them.
    virtual std::vector<TokenId> encode(std::string_view text,
                                        EncodeOptions options = {}) const = 0;
    /// The bytes a token stands for in the middle of a text. Control tokens give "" unless
    /// `special`. Out-of-range ids give "".
    virtual std::string piece(TokenId id, bool special = false) const = 0;
    /// Concatenated pieces, leading-space rule applied.
    virtual std::string decode(std::span<const TokenId> ids, bool special = false) const = 0;

    const Vocabulary& vocabulary() const { return vocabulary_; }
    std::uint32_t size() const { return static_cast<std::uint32_t>(vocabulary_.tokens.size()); }
    TokenId bos() const { return vocabulary_.bos; }
    TokenId eos() const { return vocabulary_.eos; }
    /// True for every token after which generation ends (EOS, EOT, <|im_end|>, ...).
    bool ends_generation(TokenId id) const;
    bool is_control(TokenId id) const;
    /// The id of a token by its exact stored text.
    std::optional<TokenId> find(std::string_view token) const;

protected:
    explicit Tokenizer(Vocabulary vocabulary);
    Vocabulary vocabulary_;

private:
    struct Index;
    std::shared_ptr<const Index> index_;
};

}  // namespace engine
