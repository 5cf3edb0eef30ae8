// SentencePiece unigram: of all ways to cut the text into tokens, the one with the highest sum of
// log probabilities (Kudo 2018), found by dynamic programming from left to right.
//
// Two dialects. "t5" is SentencePiece itself: compiled normaliser map, unknown characters cost more
// than the rarest token, ties go to the first candidate. "unigram", or the pre-split rule
// "use-lite", is what Universal Sentence Encoder lite was trained behind: NFKC, spaces kept one for
// one, ids without normal kind never match, a character that no token covers restarts the sum at
// zero, ties go to the later candidate.

#include <algorithm>
#include <limits>

#include "base/core/utf8.h"
#include "engine/tokenizer/models.h"
#include "engine/tokenizer/normalize.h"
#include "engine/tokenizer/special_tokens.h"

namespace engine {
namespace {

// As SentencePiece: an unknown character scores this much below the rarest token.
constexpr double kUnknownPenalty = 10.0;
// Universal Sentence Encoder reserves its first ids, whatever the file says about them.
constexpr TokenId kReservedIds = 6;

struct Best {
    TokenId id = -1;
    std::uint32_t start = 0;  ///< byte where the last token of the best cut begins
    double score = 0.0;
    bool reached = false;
};

class Unigram final : public Tokenizer {
public:
    Unigram(Vocabulary vocabulary, CharsMap charsmap);

    std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override;
    std::string piece(TokenId id, bool special) const override;
    std::string decode(std::span<const TokenId> ids, bool special) const override;

private:
    void index_tokens();
    void encode_text(std::string_view text, std::vector<TokenId>& out) const;
    std::string normalized(std::string_view text) const;
    std::string normalized_sentencepiece(std::string_view text) const;
    void relax(std::vector<Best>& best, std::size_t at, std::size_t character_bytes,
               std::string_view text) const;
    void offer(Best& end, const Best& start, std::size_t at, TokenId id, double score) const;
    void collect(const std::vector<Best>& best, std::vector<TokenId>& out) const;

    SpecialTokens special_;
    CharsMap charsmap_;
    ByteTrie trie_;
    ByteTrie user_defined_;
    std::vector<std::string> plain_;
    TokenId unknown_ = 0;
    double unknown_score_ = 0.0;
    bool sentence_encoder_ = false;
    bool space_prefix_ = true;
    bool merges_spaces_ = true;
    bool adds_bos_ = false;
    bool adds_eos_ = false;
};

Unigram::Unigram(Vocabulary vocabulary, CharsMap charsmap)
    : Tokenizer(std::move(vocabulary)), special_(vocabulary_), charsmap_(std::move(charsmap)) {
    sentence_encoder_ = vocabulary_.model == "unigram" || vocabulary_.pre == "use-lite";
    unknown_ = std::max(vocabulary_.unk, 0);
    space_prefix_ = vocabulary_.add_space_prefix.value_or(true);
    merges_spaces_ = vocabulary_.remove_extra_whitespaces.value_or(!sentence_encoder_);
    adds_bos_ = vocabulary_.add_bos.value_or(false) && vocabulary_.bos >= 0;
    adds_eos_ = vocabulary_.add_eos.value_or(!sentence_encoder_) && vocabulary_.eos >= 0;
    index_tokens();
}

void Unigram::index_tokens() {
    float lowest = 0.0f;
    for (std::size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
        const auto id = static_cast<TokenId>(i);
        const TokenKind kind = vocabulary_.kinds.empty() ? TokenKind::normal : vocabulary_.kinds[i];
        plain_.push_back(is_control(id) ? vocabulary_.tokens[i]
                                        : with_plain_spaces(vocabulary_.tokens[i]));
        if (sentence_encoder_ && id < kReservedIds) continue;
        if (kind == TokenKind::user_defined) user_defined_.insert(vocabulary_.tokens[i], id);
        if (kind == TokenKind::normal || kind == TokenKind::user_defined ||
            (kind == TokenKind::unused && !sentence_encoder_)) {
            trie_.insert(vocabulary_.tokens[i], id);
        }
        if (kind == TokenKind::normal && !vocabulary_.scores.empty()) {
            lowest = std::min(lowest, vocabulary_.scores[i]);
        }
    }
    unknown_score_ = double{lowest} - kUnknownPenalty;
}

std::vector<TokenId> Unigram::encode(std::string_view text, EncodeOptions options) const {
    std::vector<TokenId> out;
    if (options.add_special && adds_bos_) out.push_back(vocabulary_.bos);
    special_.split(
        text, options.parse_special, [&](std::string_view plain) { encode_text(plain, out); },
        [&](TokenId id) { out.push_back(id); });
    if (options.add_special && adds_eos_) out.push_back(vocabulary_.eos);
    return out;
}

std::string Unigram::normalized(std::string_view text) const {
    if (!sentence_encoder_) return normalized_sentencepiece(text);
    std::string out(kSpaceMark);
    for (const char byte : to_nfkc(text)) {
        if (byte == ' ') {
            out.append(kSpaceMark);
        } else {
            out.push_back(byte);
        }
    }
    return out;
}

std::string Unigram::normalized_sentencepiece(std::string_view text) const {
    std::string out;
    bool in_word = false;
    bool prefixed = false;
    const auto put = [&](std::string_view bytes) {
        for (const char byte : bytes) {
            if (byte == ' ') {
                in_word = false;
                if (!merges_spaces_) out.append(kSpaceMark);
                continue;
            }
            if (!in_word &&
                (merges_spaces_ ? space_prefix_ || !out.empty() : space_prefix_ && !prefixed)) {
                out.append(kSpaceMark);
                prefixed = true;
            }
            in_word = true;
            out.push_back(byte);
        }
    };
    for (std::size_t at = 0; at < text.size();) {
        const std::string_view rest = text.substr(at);
        if (const auto match = user_defined_.longest_prefix(rest); match.bytes > 0) {
            put(rest.substr(0, match.bytes));
            at += match.bytes;
        } else if (const auto replaced = charsmap_.longest_prefix(rest);
                   replaced.consumed_bytes > 0) {
            put(replaced.text);
            at += replaced.consumed_bytes;
        } else {
            const base::Utf8Char next = base::utf8_at(text, at);
            put(next.valid ? rest.substr(0, next.bytes) : std::string_view("\xEF\xBF\xBD"));
            at += next.bytes;
        }
    }
    return out;
}

void Unigram::encode_text(std::string_view text, std::vector<TokenId>& out) const {
    const std::string prepared = normalized(text);
    if (prepared.empty()) return;
    std::vector<Best> best(prepared.size() + 1);
    best[0].reached = true;
    for (std::size_t at = 0; at < prepared.size();) {
        const std::size_t bytes = base::utf8_at(prepared, at).bytes;
        relax(best, at, bytes, prepared);
        at += bytes;
    }
    collect(best, out);
}

/// Extends the best cut that ends at `at` by every token that starts there.
void Unigram::relax(std::vector<Best>& best, std::size_t at, std::size_t character_bytes,
                    std::string_view text) const {
    const Best start = best[at];
    bool covers_character = false;
    trie_.for_each_prefix(text.substr(at), [&](TokenId id, std::size_t bytes) {
        covers_character = covers_character || bytes == character_bytes;
        const auto index = static_cast<std::size_t>(id);
        const bool free =
            !vocabulary_.kinds.empty() && vocabulary_.kinds[index] == TokenKind::user_defined;
        const double score =
            free || vocabulary_.scores.empty() ? 0.0 : double{vocabulary_.scores[index]};
        offer(best[at + bytes], start, at, id, start.score + score);
    });
    Best& end = best[at + character_bytes];
    if (sentence_encoder_) {
        if (!end.reached) end = {unknown_, static_cast<std::uint32_t>(at), 0.0, true};
    } else if (!covers_character) {
        offer(end, start, at, unknown_, start.score + unknown_score_);
    }
}

void Unigram::offer(Best& end, const Best& start, std::size_t at, TokenId id, double score) const {
    if (!start.reached) return;
    // In the sentence encoder a sum of exactly zero counts as "nothing found yet".
    const bool better = sentence_encoder_ ? end.score == 0.0 || score >= end.score
                                          : !end.reached || score > end.score;
    if (better) end = {id, static_cast<std::uint32_t>(at), score, true};
}

void Unigram::collect(const std::vector<Best>& best, std::vector<TokenId>& out) const {
    const auto first = static_cast<std::ptrdiff_t>(out.size());
    bool previous_unknown = false;
    for (std::size_t at = best.size() - 1; at > 0; at = best[at].start) {
        const bool unknown = best[at].id == unknown_;
        if (!(unknown && previous_unknown)) out.push_back(best[at].id);
        previous_unknown = unknown;
    }
    std::reverse(out.begin() + first, out.end());
}

std::string Unigram::piece(TokenId id, bool special) const {
    if (id < 0 || static_cast<std::uint32_t>(id) >= size()) return {};
    if (is_control(id) && !special) return {};
    return plain_[static_cast<std::size_t>(id)];
}

std::string Unigram::decode(std::span<const TokenId> ids, bool special) const {
    std::string out;
    for (const TokenId id : ids) out.append(piece(id, special));
    if (space_prefix_ && out.starts_with(' ')) out.erase(0, 1);
    return out;
}

}  // namespace

TokenizerResult make_unigram(Vocabulary vocabulary) {
    CharsMap charsmap = DG_TRY(CharsMap::parse(vocabulary.normalizer_charsmap));
    return std::make_shared<const Unigram>(std::move(vocabulary), std::move(charsmap));
}

}  // namespace engine
