// Byte-level BPE: split off special tokens, cut the rest into words by the family's rule, and merge
// the bytes of each word. Every byte is a token, so any input survives the round trip.

#include <algorithm>
#include <array>
#include <atomic>
#include <span>

#include "base/core/utf8.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/merge_table.h"
#include "engine/tokenizer/models.h"
#include "engine/tokenizer/pre_split.h"
#include "engine/tokenizer/special_tokens.h"
#include "engine/tokenizer/string_table.h"

namespace engine {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// Buffers of one encode call, reused from word to word.
struct Scratch {
    std::vector<std::string_view> words;
    std::vector<Symbol> symbols;
    MergeTable::Scratch merging;
};

class ByteBpe final : public Tokenizer {
public:
    ByteBpe(Vocabulary vocabulary, PreSplitter pre_splitter);

    std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const override;
    std::string piece(TokenId id, bool special) const override;
    std::string decode(std::span<const TokenId> ids, bool special) const override;

private:
    /// Whether merging the bytes of a token gives that token. Learned on first use; racing threads
    /// write the same answer.
    enum class Whole : std::uint8_t { unknown, yes, no };

    void index_tokens();
    void index_merges();
    Symbol symbol_for(std::string_view bytes, std::uint64_t hash);
    Symbol symbol_for(std::string_view bytes) {
        return symbol_for(bytes, StringTable::hash(bytes));
    }
    Symbol joined_symbol(const std::string& joined, Symbol guess);
    void encode_text(std::string_view text, Scratch& scratch, std::vector<TokenId>& out) const;
    void encode_valid(std::string_view text, Scratch& scratch, std::vector<TokenId>& out) const;
    void encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& out) const;
    bool is_whole(TokenId id, std::string_view word, Scratch& scratch) const;
    void merge_word(std::string_view word, Scratch& scratch) const;
    void put(Symbol symbol, std::vector<TokenId>& out) const;
    std::string repaired(std::string_view bytes) const;
    bool has_token(char byte) const;

    PreSplitter pre_splitter_;
    SpecialTokens special_;
    std::vector<std::string> bytes_;  ///< by token id, then texts that only occur inside merges
    StringTable by_bytes_;
    std::array<Symbol, 256> byte_symbols_{};
    MergeTable merges_;
    std::unique_ptr<std::atomic<Whole>[]> whole_;
    bool texts_differ_ = true;  ///< no two text tokens stand for the same bytes
    bool adds_bos_ = false;
    bool adds_eos_ = false;
};

/// One line of the merge list.
struct Pair {
    std::string left, right;
    std::uint64_t left_hash = 0, right_hash = 0;
};
constexpr std::size_t kPairsTogether = 16;

bool is_text(const Vocabulary& vocabulary, std::size_t id) {
    return vocabulary.kinds.empty() || vocabulary.kinds[id] == TokenKind::normal;
}

ByteBpe::ByteBpe(Vocabulary vocabulary, PreSplitter pre_splitter)
    : Tokenizer(std::move(vocabulary)),
      pre_splitter_(std::move(pre_splitter)),
      special_(vocabulary_),
      by_bytes_(vocabulary_.tokens.size()),  // what merges make are tokens, but for a few
      merges_(vocabulary_.merges.size()),
      whole_(new std::atomic<Whole>[vocabulary_.tokens.size()]()) {
    adds_bos_ = vocabulary_.add_bos.value_or(pre_splitter_.adds_bos()) && vocabulary_.bos >= 0;
    adds_eos_ = vocabulary_.add_eos.value_or(false) && vocabulary_.eos >= 0;
    // The table points into these strings, so the vector must never move them.
    bytes_.reserve(vocabulary_.tokens.size() + vocabulary_.merges.size() * 3 + 256);
    index_tokens();
    index_merges();
}

void ByteBpe::index_tokens() {
    const ByteAlphabet alphabet;
    for (std::size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
        if (is_text(vocabulary_, i)) {
            bytes_.push_back(alphabet.bytes_of(vocabulary_.tokens[i]));
            texts_differ_ &= by_bytes_.insert(bytes_.back(), static_cast<TokenId>(i));
        } else {
            bytes_.push_back(vocabulary_.tokens[i]);
        }
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
        byte_symbols_[byte] = symbol_for(std::string(1, static_cast<char>(byte)));
    }
}

Symbol ByteBpe::symbol_for(std::string_view bytes, std::uint64_t hash) {
    if (const Symbol known = by_bytes_.find(bytes, hash); known >= 0) return known;
    const auto fresh = static_cast<Symbol>(bytes_.size());
    bytes_.emplace_back(bytes);
    by_bytes_.insert(bytes_.back(), fresh);
    return fresh;
}

void ByteBpe::index_merges() {
    const ByteAlphabet alphabet;
    std::uint32_t rank = 0;
    Symbol joined = -1;
    std::array<Pair, kPairsTogether> pairs;
    const std::vector<std::string>& lines = vocabulary_.merges;
    for (std::size_t begin = 0; begin < lines.size(); begin += kPairsTogether) {
        std::size_t count = 0;
        for (std::size_t i = begin; i < std::min(begin + kPairsTogether, lines.size()); ++i) {
            const std::string_view line = lines[i];
            const std::size_t space = line.find(' ', 1);
            if (space == std::string_view::npos) continue;
            Pair& pair = pairs[count++];
            alphabet.write_bytes_of(line.substr(0, space), pair.left);
            alphabet.write_bytes_of(line.substr(space + 1), pair.right);
            pair.left_hash = StringTable::hash(pair.left);
            pair.right_hash = StringTable::hash(pair.right);
            by_bytes_.prefetch_place(pair.left_hash);
            by_bytes_.prefetch_place(pair.right_hash);
        }
        for (const Pair& pair : std::span(pairs).first(count)) {
            by_bytes_.prefetch_text(pair.left_hash);
            by_bytes_.prefetch_text(pair.right_hash);
        }
        for (Pair& pair : std::span(pairs).first(count)) {
            const Symbol left = symbol_for(pair.left, pair.left_hash);
            const Symbol right = symbol_for(pair.right, pair.right_hash);
            joined = joined_symbol(pair.left.append(pair.right), joined + 1);
            merges_.add(left, right, {rank++, joined});
        }
    }
}

/// Published vocabularies number tokens in the order of the merges that make them, so that most are
/// found without a search. `guess` may be any number.
Symbol ByteBpe::joined_symbol(const std::string& joined, Symbol guess) {
    const auto index = static_cast<std::size_t>(guess);
    const bool right = texts_differ_ && guess >= 0 && index < vocabulary_.tokens.size() &&
                       is_text(vocabulary_, index) && bytes_[index] == joined;
    return right ? guess : symbol_for(joined);
}

std::vector<TokenId> ByteBpe::encode(std::string_view text, EncodeOptions options) const {
    std::vector<TokenId> out;
    out.reserve(text.size() / 3 + 2);
    Scratch scratch;
    if (options.add_special && adds_bos_) out.push_back(vocabulary_.bos);
    special_.split(
        text, options.parse_special,
        [&](std::string_view plain) { encode_text(plain, scratch, out); },
        [&](TokenId id) { out.push_back(id); });
    if (options.add_special && adds_eos_) out.push_back(vocabulary_.eos);
    return out;
}

// The expressions need valid UTF-8; runs of invalid bytes between valid text become words of their
// own. Some vocabularies lack the bytes that UTF-8 never uses: those are written as U+FFFD.
void ByteBpe::encode_text(std::string_view text, Scratch& scratch,
                          std::vector<TokenId>& out) const {
    while (!text.empty()) {
        const std::size_t valid = base::utf8_valid_prefix_bytes(text);
        if (valid > 0) encode_valid(text.substr(0, valid), scratch, out);
        text.remove_prefix(valid);
        std::size_t invalid = 0;
        while (invalid < text.size() && !base::utf8_at(text, invalid).valid) ++invalid;
        if (invalid > 0) encode_word(repaired(text.substr(0, invalid)), scratch, out);
        text.remove_prefix(invalid);
    }
}

void ByteBpe::encode_valid(std::string_view text, Scratch& scratch,
                           std::vector<TokenId>& out) const {
    pre_splitter_.split(text, scratch.words);
    for (const std::string_view word : scratch.words) encode_word(word, scratch, out);
}

void ByteBpe::encode_word(std::string_view word, Scratch& scratch,
                          std::vector<TokenId>& out) const {
    const Symbol whole = by_bytes_.find(word);
    if (whole >= 0 && static_cast<std::uint32_t>(whole) < size() &&
        (pre_splitter_.ignores_merges() || is_whole(whole, word, scratch))) {
        out.push_back(whole);
        return;
    }
    merge_word(word, scratch);
    for (const Symbol symbol : scratch.symbols) put(symbol, out);
}

bool ByteBpe::is_whole(TokenId id, std::string_view word, Scratch& scratch) const {
    std::atomic<Whole>& known = whole_[static_cast<std::size_t>(id)];
    Whole whole = known.load(std::memory_order_relaxed);
    if (whole == Whole::unknown) {
        merge_word(word, scratch);
        whole = scratch.symbols.size() == 1 ? Whole::yes : Whole::no;
        known.store(whole, std::memory_order_relaxed);
    }
    return whole == Whole::yes;
}

void ByteBpe::merge_word(std::string_view word, Scratch& scratch) const {
    scratch.symbols.clear();
    for (const char byte : word) {
        scratch.symbols.push_back(byte_symbols_[static_cast<unsigned char>(byte)]);
    }
    merges_.merge(scratch.symbols, scratch.merging);
}

/// `bytes` with U+FFFD for each that has no token.
std::string ByteBpe::repaired(std::string_view bytes) const {
    std::string out;
    for (const char byte : bytes) {
        if (has_token(byte)) {
            out.push_back(byte);
        } else {
            out.append(kReplacement);
        }
    }
    return out;
}

bool ByteBpe::has_token(char byte) const {
    return static_cast<std::uint32_t>(byte_symbols_[static_cast<unsigned char>(byte)]) < size();
}

// A merge may name a text that is no token: its bytes go out one by one. A byte that has no token
// gives the unknown token, unless that is a control token, which text must not become.
void ByteBpe::put(Symbol symbol, std::vector<TokenId>& out) const {
    if (static_cast<std::uint32_t>(symbol) < size()) {
        out.push_back(symbol);
        return;
    }
    for (const char byte : bytes_[static_cast<std::size_t>(symbol)]) {
        if (has_token(byte)) {
            out.push_back(byte_symbols_[static_cast<unsigned char>(byte)]);
        } else if (vocabulary_.unk >= 0 && !is_control(vocabulary_.unk)) {
            out.push_back(vocabulary_.unk);
        }
    }
}

std::string ByteBpe::piece(TokenId id, bool special) const {
    if (id < 0 || static_cast<std::uint32_t>(id) >= size()) return {};
    if (is_control(id) && !special) return {};
    return bytes_[static_cast<std::size_t>(id)];
}

std::string ByteBpe::decode(std::span<const TokenId> ids, bool special) const {
    std::string out;
    for (const TokenId id : ids) {
        if (id < 0 || static_cast<std::uint32_t>(id) >= size()) continue;
        if (special || !is_control(id)) out.append(bytes_[static_cast<std::size_t>(id)]);
    }
    return out;
}

}  // namespace

TokenizerResult make_byte_bpe(Vocabulary vocabulary) {
    PreSplitter pre_splitter = DG_TRY(PreSplitter::create(vocabulary.pre));
    return std::make_shared<const ByteBpe>(std::move(vocabulary), std::move(pre_splitter));
}

}  // namespace engine
