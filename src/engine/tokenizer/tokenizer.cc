#include "engine/tokenizer/tokenizer.h"

#include <algorithm>
#include <array>

#include "engine/tokenizer/models.h"
#include "engine/tokenizer/string_table.h"

namespace engine {
namespace {

// Texts that end a turn or a document, as the model makers write them: files often declare only one
// of them. The one table of them.
constexpr std::array<std::string_view, 23> kTurnEnds = {"<|im_end|>",
                                                        "<|eot_id|>",
                                                        "<|eom_id|>",
                                                        "<|end|>",
                                                        "<|return|>",
                                                        "<|call|>",
                                                        "<|endoftext|>",
                                                        "<|end_of_text|>",
                                                        "<|end_of_turn|>",
                                                        "<|eot|>",
                                                        "<|eom|>",
                                                        "<|end_of_role|>",
                                                        "<|END_OF_TURN_TOKEN|>",
                                                        "<｜end▁of▁sentence｜>",
                                                        "<end_of_turn>",
                                                        "<turn|>",
                                                        "<end_of_utterance>",
                                                        "<eos>",
                                                        "<EOT>",
                                                        "_<EOT>",
                                                        "[EOT]",
                                                        "</s>",
                                                        "[e~["};

/// Whether a token of this text ends a turn. In text "</s>" may be ordinary letters; nothing but a
/// marker is written "<|...|>", whatever kind the file gives it.
bool ends_turn(const Vocabulary& vocabulary, TokenId id) {
    const auto index = static_cast<std::size_t>(id);
    if (vocabulary.kinds.empty() || vocabulary.tokens[index].starts_with("<|")) return true;
    const TokenKind kind = vocabulary.kinds[index];
    return kind == TokenKind::control || kind == TokenKind::user_defined;
}

// The longest in published vocabularies are runs of some hundred spaces. Indexing a token costs the
// square of its length.
constexpr std::size_t kTokenBytesMax = 4096;

base::Result<void> check_id(std::string_view name, TokenId id, std::size_t size) {
    if (id >= -1 && id < static_cast<TokenId>(size)) return {};
    return base::fail(
        base::Code::data_loss,
        "vocabulary: {} is token {}, but there are {} tokens; the model file is damaged", name, id,
        size);
}

base::Result<void> check(const Vocabulary& vocabulary) {
    const std::size_t size = vocabulary.tokens.size();
    if (size == 0 || size > (1u << 24)) {
        return base::fail(base::Code::data_loss, "vocabulary: {} tokens, expected 1 to {}", size,
                          1u << 24);
    }
    const auto longest = std::ranges::max_element(vocabulary.tokens, {}, &std::string::size);
    if (longest->size() > kTokenBytesMax) {
        return base::fail(base::Code::data_loss,
                          "vocabulary: token {} has {} bytes, expected at most {}; the model file "
                          "is damaged",
                          longest - vocabulary.tokens.begin(), longest->size(), kTokenBytesMax);
    }
    const auto check_length = [&](std::string_view what, std::size_t length) -> base::Result<void> {
        if (length == 0 || length == size) return {};
        return base::fail(base::Code::data_loss, "vocabulary: {} {} for {} tokens", length, what,
                          size);
    };
    DG_TRY(check_length("scores", vocabulary.scores.size()));
    DG_TRY(check_length("token kinds", vocabulary.kinds.size()));
    const std::pair<std::string_view, TokenId> named[] = {
        {"bos", vocabulary.bos}, {"eos", vocabulary.eos},  {"eot", vocabulary.eot},
        {"unk", vocabulary.unk}, {"sep", vocabulary.sep},  {"pad", vocabulary.pad},
        {"cls", vocabulary.cls}, {"mask", vocabulary.mask}};
    for (const auto& [name, id] : named) {
        if (auto checked = check_id(name, id, size); !checked) return checked;
    }
    for (const TokenId id : vocabulary.eog_extra) {
        if (auto checked = check_id("end of generation", id, size); !checked) return checked;
    }
    return {};
}

}  // namespace

struct Tokenizer::Index {
    StringTable by_text;
    std::vector<bool> ends_generation;
};

base::Result<std::shared_ptr<const Tokenizer>> Tokenizer::create(Vocabulary vocabulary) {
    if (auto checked = check(vocabulary); !checked) return std::unexpected(checked.error());
    if (vocabulary.model == "gpt2") return make_byte_bpe(std::move(vocabulary));
    if (vocabulary.model == "llama") return make_sentence_bpe(std::move(vocabulary));
    if (vocabulary.model == "bert") return make_word_piece(std::move(vocabulary));
    if (vocabulary.model == "t5" || vocabulary.model == "unigram") {
        return make_unigram(std::move(vocabulary));
    }
    return base::fail(base::Code::unimplemented,
                      "the tokenizer model \"{}\" is not known; known are: gpt2, llama, bert, t5, "
                      "unigram",
                      vocabulary.model);
}

Tokenizer::Tokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {
    auto index = std::make_shared<Index>();
    index->by_text = StringTable(vocabulary_.tokens.size());
    for (std::size_t i = 0; i < vocabulary_.tokens.size(); ++i) {
        index->by_text.insert(vocabulary_.tokens[i], static_cast<TokenId>(i));
    }
    index->ends_generation.resize(vocabulary_.tokens.size());
    const auto mark = [&](TokenId id) {
        if (id >= 0) index->ends_generation[static_cast<std::size_t>(id)] = true;
    };
    mark(vocabulary_.eos);
    mark(vocabulary_.eot);
    for (const TokenId id : vocabulary_.eog_extra) mark(id);
    for (const std::string_view text : kTurnEnds) {
        const TokenId id = index->by_text.find(text);
        if (id >= 0 && ends_turn(vocabulary_, id)) mark(id);
    }
    // Harmony models end messages with <|end|> but turns with <|return|> or <|call|>.
    const TokenId message_end = index->by_text.find("<|end|>");
    if (message_end >= 0 && index->by_text.find("<|return|>") >= 0 &&
        index->by_text.find("<|call|>") >= 0 && message_end != vocabulary_.eos) {
        index->ends_generation[static_cast<std::size_t>(message_end)] = false;
    }
    index_ = std::move(index);
}

bool Tokenizer::ends_generation(TokenId id) const {
    return id >= 0 && static_cast<std::uint32_t>(id) < size() &&
           index_->ends_generation[static_cast<std::size_t>(id)];
}

bool Tokenizer::is_control(TokenId id) const {
    if (id < 0 || static_cast<std::uint32_t>(id) >= size() || vocabulary_.kinds.empty()) {
        return false;
    }
    const TokenKind kind = vocabulary_.kinds[static_cast<std::size_t>(id)];
    return kind == TokenKind::control || kind == TokenKind::unknown;
}

std::optional<TokenId> Tokenizer::find(std::string_view token) const {
    const TokenId id = index_->by_text.find(token);
    return id < 0 ? std::nullopt : std::optional(id);
}

std::string with_plain_spaces(std::string_view stored) {
    std::string out;
    out.reserve(stored.size());
    for (std::size_t at = 0; at < stored.size();) {
        if (stored.substr(at).starts_with(kSpaceMark)) {
            out.push_back(' ');
            at += kSpaceMark.size();
        } else {
            out.push_back(stored[at++]);
        }
    }
    return out;
}

}  // namespace engine
