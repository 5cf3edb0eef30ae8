// WordPiece as BERT uses it: lower-case, strip accents, split at spaces, punctuation and CJK
// characters, then take the longest token at each place of a word. A word with an uncovered place
// becomes one unknown token. Vocabularies store word starts with a leading U+2581.

#include <utf8proc.h>

#include <algorithm>

#include "base/core/utf8.h"
#include "engine/tokenizer/byte_trie.h"
#include "engine/tokenizer/models.h"
#include "engine/tokenizer/normalize.h"
#include "engine/tokenizer/special_tokens.h"

namespace engine {
namespace {

// As in BERT's reference tokenizer: a longer word is unknown.
constexpr std::size_t kWordCharactersMax = 100;

bool is_cjk(char32_t code) {
    constexpr std::pair<char32_t, char32_t> kRanges[] = {
        {0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
        {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
    return std::any_of(std::begin(kRanges), std::end(kRanges),
                       [&](auto& range) { return code >= range.first && code <= range.second; });
}

enum class CharacterClass { word, space, dropped, alone };

CharacterClass classify(char32_t code) {
    if (code == '\t' || code == '\n' || code == '\r') return CharacterClass::space;
    if (code == 0 || code == 0xFFFD) return CharacterClass::dropped;
    switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
        case UTF8PROC_CATEGORY_ZS:
        case UTF8PROC_CATEGORY_ZL:
        case UTF8PROC_CATEGORY_ZP:
            return CharacterClass::space;
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CO:
        case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_MN:
            return CharacterClass::dropped;
        case UTF8PROC_CATEGORY_PC:
        case UTF8PROC_CATEGORY_PD:
        case UTF8PROC_CATEGORY_PS:
        case UTF8PROC_CATEGORY_PE:
        case UTF8PROC_CATEGORY_PI:
        case UTF8PROC_CATEGORY_PF:
        case UTF8PROC_CATEGORY_PO:
            return CharacterClass::alone;
        default:
            break;
    }
    const bool ascii_symbol = code < 0x7F && code > 0x20 && !(code >= '0' && code <= '9') &&
                              !((code | 0x20) >= 'a' && (code | 0x20) <= 'z');
    return ascii_symbol || is_cjk(code) ? CharacterClass::alone : CharacterClass::word;
}

class WordPiece final : public Tokenizer {
public:
    explicit WordPiece(Vocabulary vocabulary);

    std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override;
    std::string piece(TokenId id, bool special) const override;
    std::string decode(std::span<const TokenId> ids, bool special) const override;

private:
    void encode_text(std::string_view text, std::vector<TokenId>& out) const;
    void encode_word(std::string& word, std::vector<TokenId>& out) const;

    SpecialTokens special_;
    ByteTrie trie_;
    std::vector<std::string> plain_;
    TokenId first_ = -1;  ///< CLS
    TokenId last_ = -1;   ///< SEP
};

WordPiece::WordPiece(Vocabulary vocabulary)
    : Tokenizer(std::move(vocabulary)), special_(vocabulary_) {
    if (vocabulary_.add_bos.value_or(true)) {
        first_ = vocabulary_.cls >= 0 ? vocabulary_.cls : vocabulary_.bos;
    }
    if (vocabulary_.add_eos.value_or(true)) {
        last_ = vocabulary_.sep >= 0 ? vocabulary_.sep : vocabulary_.eos;
    }
    for (std::size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
        const auto id = static_cast<TokenId>(i);
        plain_.push_back(is_control(id) ? vocabulary_.tokens[i]
                                        : with_plain_spaces(vocabulary_.tokens[i]));
        if (!is_control(id)) trie_.insert(vocabulary_.tokens[i], id);
    }
}

std::vector<TokenId> WordPiece::encode(std::string_view text, EncodeOptions options) const {
    std::vector<TokenId> out;
    if (options.add_special && first_ >= 0) out.push_back(first_);
    special_.split(
        text, options.parse_special, [&](std::string_view plain) { encode_text(plain, out); },
        [&](TokenId id) { out.push_back(id); });
    if (options.add_special && last_ >= 0) out.push_back(last_);
    return out;
}

void WordPiece::encode_text(std::string_view text, std::vector<TokenId>& out) const {
    const std::string decomposed = to_nfd(text);
    std::string word;
    for (std::size_t at = 0; at < decomposed.size();) {
        const base::Utf8Char next = base::utf8_at(decomposed, at);
        at += next.bytes;
        const CharacterClass kind = classify(next.code);
        if (kind == CharacterClass::dropped) continue;
        if (kind != CharacterClass::word) encode_word(word, out);
        if (kind == CharacterClass::space) continue;
        base::append_utf8(word, static_cast<char32_t>(
                                    utf8proc_tolower(static_cast<utf8proc_int32_t>(next.code))));
        if (kind == CharacterClass::alone) encode_word(word, out);
    }
    encode_word(word, out);
}

/// Appends the tokens of `word` and empties it.
void WordPiece::encode_word(std::string& word, std::vector<TokenId>& out) const {
    if (word.empty()) return;
    const std::size_t before = out.size();
    const std::string marked = std::string(kSpaceMark) + word;
    bool covered = base::utf8_length(word) <= kWordCharactersMax;
    for (std::size_t at = 0; covered && at < marked.size();) {
        const auto match = trie_.longest_prefix(std::string_view(marked).substr(at));
        covered = match.bytes > 0;
        if (covered) out.push_back(match.id);
        at += match.bytes;
    }
    if (!covered) {
        out.resize(before);
        if (vocabulary_.unk >= 0) out.push_back(vocabulary_.unk);
    }
    word.clear();
}

std::string WordPiece::piece(TokenId id, bool special) const {
    if (id < 0 || static_cast<std::uint32_t>(id) >= size()) return {};
    if (is_control(id) && !special) return {};
    return plain_[static_cast<std::size_t>(id)];
}

std::string WordPiece::decode(std::span<const TokenId> ids, bool special) const {
    std::string out;
    for (const TokenId id : ids) out.append(piece(id, special));
    if (out.starts_with(' ')) out.erase(0, 1);
    return out;
}

}  // namespace

TokenizerResult make_word_piece(Vocabulary vocabulary) {
    return std::make_shared<const WordPiece>(std::move(vocabulary));
}

}  // namespace engine
