// SentencePiece BPE: spaces become U+2581, characters merge by the score of the token they make,
// and characters the vocabulary lacks fall back to byte tokens.

#include <algorithm>
#include <map>

#include "base/core/utf8.h"
#include "engine/tokenizer/merge_table.h"
#include "engine/tokenizer/models.h"
#include "engine/tokenizer/special_tokens.h"
#include "engine/tokenizer/string_table.h"

namespace engine {
namespace {

struct Scratch {
    std::string marked;  ///< the text with U+2581 for spaces
    std::vector<Symbol> symbols;
    std::vector<std::string_view> characters;  ///< beside symbols before merging
    MergeTable::Scratch merging;
};

class SentenceBpe final : public Tokenizer {
public:
    explicit SentenceBpe(Vocabulary vocabulary);

    std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override;
    std::string piece(TokenId id, bool special) const override;
    std::string decode(std::span<const TokenId> ids, bool special) const override;

private:
    void index_tokens();
    void index_merges();
    void index_splits(std::string_view text, Symbol merged, std::uint32_t rank);
    void encode_text(std::string_view text, bool prefix, Scratch& scratch,
                     std::vector<TokenId>& out) const;
    void encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& out) const;
    void put_unknown(std::string_view character, std::vector<TokenId>& out) const;
    std::size_t word_end(std::string_view marked, std::size_t at) const;

    SpecialTokens special_;
    StringTable parts_;                   ///< tokens, and characters that only occur inside tokens
    std::vector<std::string> plain_;      ///< by token id: the bytes it prints
    std::vector<std::string_view> rare_;  ///< characters with symbols past the vocabulary
    std::array<TokenId, 256> byte_tokens_{};
    MergeTable merges_;
    bool cuts_at_spaces_ = true;  ///< no token has U+2581 after another character
    bool space_prefix_ = true;
    bool adds_bos_ = false;
    bool adds_eos_ = false;
};

/// Tokens that text may become: not control tokens, so that a user cannot type one.
bool is_text(const Vocabulary& vocabulary, std::size_t id) {
    if (vocabulary.kinds.empty()) return true;
    const TokenKind kind = vocabulary.kinds[id];
    return kind == TokenKind::normal || kind == TokenKind::user_defined;
}

SentenceBpe::SentenceBpe(Vocabulary vocabulary)
    : Tokenizer(std::move(vocabulary)),
      special_(vocabulary_),
      parts_(vocabulary_.tokens.size() * 2) {
    space_prefix_ = vocabulary_.add_space_prefix.value_or(true);
    adds_bos_ = vocabulary_.add_bos.value_or(true) && vocabulary_.bos >= 0;
    adds_eos_ = vocabulary_.add_eos.value_or(false) && vocabulary_.eos >= 0;
    index_tokens();
    index_merges();
}

/// The byte a token like "<0x0A>" stands for, or -1.
int byte_of(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return -1;
    int value = 0;
    for (const char digit : token.substr(3, 2)) {
        const bool decimal = digit >= '0' && digit <= '9';
        if (!decimal && !(digit >= 'A' && digit <= 'F')) return -1;
        value = value * 16 + (decimal ? digit - '0' : digit - 'A' + 10);
    }
    return value;
}

void SentenceBpe::index_tokens() {
    byte_tokens_.fill(-1);
    plain_.reserve(vocabulary_.tokens.size());
    for (std::size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
        const std::string& text = vocabulary_.tokens[i];
        const auto id = static_cast<TokenId>(i);
        if (!vocabulary_.kinds.empty() && vocabulary_.kinds[i] == TokenKind::byte) {
            const int byte = byte_of(text);
            plain_.push_back(byte < 0 ? text : std::string(1, static_cast<char>(byte)));
            if (byte >= 0) byte_tokens_[static_cast<std::size_t>(byte)] = id;
            continue;
        }
        plain_.push_back(is_control(id) ? text : with_plain_spaces(text));
        if (!is_text(vocabulary_, i)) continue;
        parts_.insert(text, id);
        bool other_before = false;
        for (std::size_t at = 0; at < text.size(); ++at) {
            const bool mark = std::string_view(text).substr(at).starts_with(kSpaceMark);
            if (mark && other_before) cuts_at_spaces_ = false;
            other_before = other_before || !mark;
            if (mark) at += kSpaceMark.size() - 1;
        }
    }
}

// SentencePiece merges whichever neighbours make the highest-scored token, so every way to cut a
// token in two is a merge, ranked by the token's score; equal scores share a rank.
void SentenceBpe::index_merges() {
    std::vector<TokenId> by_score;
    std::size_t splits = 0;
    for (std::size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
        if (!is_text(vocabulary_, i) || plain_[i].size() < 2) continue;
        by_score.push_back(static_cast<TokenId>(i));
        splits += base::utf8_length(vocabulary_.tokens[i]);
    }
    const auto score = [&](TokenId id) {
        return vocabulary_.scores.empty() ? 0.0f : vocabulary_.scores[static_cast<std::size_t>(id)];
    };
    std::stable_sort(by_score.begin(), by_score.end(),
                     [&](TokenId a, TokenId b) { return score(a) > score(b); });
    merges_ = MergeTable(splits);
    std::uint32_t rank = 0;
    for (std::size_t i = 0; i < by_score.size(); ++i) {
        if (i > 0 && score(by_score[i]) < score(by_score[i - 1])) ++rank;
        const std::string& text = vocabulary_.tokens[static_cast<std::size_t>(by_score[i])];
        if (parts_.find(text) == by_score[i]) index_splits(text, by_score[i], rank);
    }
}

void SentenceBpe::index_splits(std::string_view text, Symbol merged, std::uint32_t rank) {
    const auto part = [&](std::string_view bytes) {
        Symbol symbol = parts_.find(bytes);
        if (symbol < 0 && base::utf8_at(bytes, 0).bytes == bytes.size()) {
            symbol = static_cast<Symbol>(vocabulary_.tokens.size() + rare_.size());
            rare_.push_back(bytes);
            parts_.insert(bytes, symbol);
        }
        return symbol;
    };
    for (std::size_t at = base::utf8_at(text, 0).bytes; at < text.size();
         at += base::utf8_at(text, at).bytes) {
        const Symbol left = part(text.substr(0, at));
        const Symbol right = part(text.substr(at));
        if (left >= 0 && right >= 0) merges_.add(left, right, {rank, merged});
    }
}

std::vector<TokenId> SentenceBpe::encode(std::string_view text, EncodeOptions options) const {
    std::vector<TokenId> out;
    out.reserve(text.size() / 3 + 2);
    Scratch scratch;
    bool after_special = true;
    if (options.add_special && adds_bos_) out.push_back(vocabulary_.bos);
    special_.split(
        text, options.parse_special,
        [&](std::string_view plain) {
            encode_text(plain, space_prefix_ && after_special, scratch, out);
            after_special = false;
        },
        [&](TokenId id) {
            out.push_back(id);
            after_special = true;
        });
    if (options.add_special && adds_eos_) out.push_back(vocabulary_.eos);
    return out;
}

void SentenceBpe::encode_text(std::string_view text, bool prefix, Scratch& scratch,
                              std::vector<TokenId>& out) const {
    std::string& marked = scratch.marked;
    marked.clear();
    if (prefix) marked.append(kSpaceMark);
    for (const char byte : text) {
        if (byte == ' ') {
            marked.append(kSpaceMark);
        } else {
            marked.push_back(byte);
        }
    }
    for (std::size_t at = 0; at < marked.size();) {
        const std::size_t end = cuts_at_spaces_ ? word_end(marked, at) : marked.size();
        encode_word(std::string_view(marked).substr(at, end - at), scratch, out);
        at = end;
    }
}

/// Where the run of marks followed by other characters that starts at `at` ends.
std::size_t SentenceBpe::word_end(std::string_view marked, std::size_t at) const {
    while (marked.substr(at).starts_with(kSpaceMark)) at += kSpaceMark.size();
    return std::min(marked.find(kSpaceMark, at), marked.size());
}

void SentenceBpe::encode_word(std::string_view word, Scratch& scratch,
                              std::vector<TokenId>& out) const {
    auto& symbols = scratch.symbols;
    symbols.clear();
    scratch.characters.clear();
    for (std::size_t at = 0; at < word.size();) {
        const std::size_t bytes = base::utf8_at(word, at).bytes;
        const std::string_view character = word.substr(at, bytes);
        const Symbol symbol = parts_.find(character);
        // An unknown character is a negative symbol, which never merges and tells which one it is.
        symbols.push_back(symbol >= 0 ? symbol
                                      : -1 - static_cast<Symbol>(scratch.characters.size()));
        if (symbol < 0) scratch.characters.push_back(character);
        at += bytes;
    }
    merges_.merge(symbols, scratch.merging);
    for (const Symbol symbol : symbols) {
        if (symbol < 0) {
            put_unknown(scratch.characters[static_cast<std::size_t>(-1 - symbol)], out);
        } else if (static_cast<std::uint32_t>(symbol) < size()) {
            out.push_back(symbol);
        } else {
            put_unknown(rare_[static_cast<std::size_t>(symbol) - size()], out);
        }
    }
}

void SentenceBpe::put_unknown(std::string_view character, std::vector<TokenId>& out) const {
    const bool has_bytes = std::all_of(character.begin(), character.end(), [&](char byte) {
        return byte_tokens_[static_cast<unsigned char>(byte)] >= 0;
    });
    if (has_bytes) {
        for (const char byte : character) {
            out.push_back(byte_tokens_[static_cast<unsigned char>(byte)]);
        }
    } else if (vocabulary_.unk >= 0) {
        out.push_back(vocabulary_.unk);
    }
}

std::string SentenceBpe::piece(TokenId id, bool special) const {
    if (id < 0 || static_cast<std::uint32_t>(id) >= size()) return {};
    if (is_control(id) && !special) return {};
    return plain_[static_cast<std::size_t>(id)];
}

// Encoding puts a space before text that starts the sequence or follows a special token; decoding
// takes that one space away again.
std::string SentenceBpe::decode(std::span<const TokenId> ids, bool special) const {
    std::string out;
    bool after_special = true;
    for (const TokenId id : ids) {
        if (id < 0 || static_cast<std::uint32_t>(id) >= size()) continue;
        std::string text = piece(id, special);
        const bool is_special =
            is_control(id) ||
            (!vocabulary_.kinds.empty() &&
             vocabulary_.kinds[static_cast<std::size_t>(id)] == TokenKind::user_defined);
        if (space_prefix_ && after_special && !is_special && text.starts_with(' '))
            text.erase(0, 1);
        after_special = is_special;
        out.append(text);
    }
    return out;
}

}  // namespace

TokenizerResult make_sentence_bpe(Vocabulary vocabulary) {
    return std::make_shared<const SentenceBpe>(std::move(vocabulary));
}

}  // namespace engine
