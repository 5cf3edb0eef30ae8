#include "engine/model_files/hf_vocabulary.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "base/files/files.h"
#include "engine/model_files/json_fields.h"
#include "engine/model_files/sentencepiece.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::uint64_t kSentencePieceBytesMax = 256u << 20;
constexpr std::uint64_t kVocabTextBytesMax = 64u << 20;
constexpr std::uint32_t kTokensMax = 1u << 24;
constexpr std::string_view kSpace = "\u2581";  // SentencePiece's visible space

// Kinds by their number in tokenizer.ggml.token_type.
enum Kind : std::int32_t {
    kNormal = 1,
    kUnknown = 2,
    kControl = 3,
    kUserDefined = 4,
    kUnused = 5,
    kByte = 6
};

struct TokenTable {
    std::vector<std::string> tokens;
    std::vector<float> scores;
    std::vector<std::int32_t> kinds;

    void grow(std::size_t size) {
        while (tokens.size() < size) {
            tokens.push_back(fmt::format("[PAD{}]", tokens.size()));
            scores.push_back(-1000.f);
            kinds.push_back(kUnused);
        }
    }
    Result<void> put(std::uint32_t id, std::string token, float score, std::int32_t kind) {
        if (id >= kTokensMax) {
            return base::fail(Code::data_loss, "token `{}` has id {}, over {}", token, id,
                              kTokensMax);
        }
        grow(id + 1);
        tokens[id] = std::move(token);
        scores[id] = score;
        kinds[id] = kind;
        return {};
    }
    std::optional<std::uint32_t> find(std::string_view token) const {
        const auto found = std::ranges::find(tokens, token);
        if (found == tokens.end()) return std::nullopt;
        return static_cast<std::uint32_t>(found - tokens.begin());
    }
};

bool is_byte_token(std::string_view token) {
    return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
}

/// Every regular expression and every `type` in a pre_tokenizer, which may be a sequence.
struct SplitRules {
    std::vector<std::string> types, patterns;
};

void collect_rules(const base::json::value& value, SplitRules& rules) {
    const base::json::object* object = value.if_object();
    if (object == nullptr) return;
    if (const auto* type = object->if_contains("type"); type && type->is_string()) {
        rules.types.emplace_back(type->get_string());
    }
    if (const auto* pattern = object->if_contains("pattern"); pattern && pattern->is_object()) {
        const auto* regex = pattern->get_object().if_contains("Regex");
        if (regex && regex->is_string()) rules.patterns.emplace_back(regex->get_string());
    }
    const auto* inner = object->if_contains("pretokenizers");
    if (inner == nullptr || !inner->is_array()) return;
    for (const base::json::value& rule : inner->get_array()) collect_rules(rule, rules);
}

/// tokenizer.ggml.pre for a byte-level BPE: recognised by the rules that tell the families apart.
Result<std::string> pre_split_name(const base::json::object& tokenizer, const std::string& path) {
    SplitRules rules;
    if (const auto* pre = tokenizer.if_contains("pre_tokenizer")) collect_rules(*pre, rules);
    const auto has_type = [&](std::string_view type) {
        return std::ranges::find(rules.types, type) != rules.types.end();
    };
    if (rules.patterns.empty() && has_type("ByteLevel")) {
        return std::string(has_type("Digits") ? "smollm" : "gpt-2");
    }
    constexpr std::string_view kLetters = "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|";
    for (const std::string& pattern : rules.patterns) {
        if (pattern.find(kLetters) == std::string::npos) continue;
        if (pattern.find("|\\p{N}{1,3}|") != std::string::npos) return std::string("llama-bpe");
        if (pattern.find("|\\p{N}|") != std::string::npos) return std::string("qwen2");
    }
    return fail_on(path, Code::unimplemented, "{}: its pre-tokenizer rule is not known here: {}",
                   path, rules.patterns.empty() ? "(no pattern)" : rules.patterns.front());
}

Result<std::vector<std::string>> read_merges(const base::json::object& model,
                                             const std::string& path) {
    std::vector<std::string> merges;
    const base::json::value* list = model.if_contains("merges");
    if (list == nullptr || !list->is_array()) {
        return fail_on(path, Code::data_loss, "{}: its model has no array `merges`", path);
    }
    for (const base::json::value& merge : list->get_array()) {
        if (merge.is_string()) {
            merges.emplace_back(merge.get_string());
            continue;
        }
        const base::json::array* pair = merge.if_array();
        if (!pair || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string()) {
            return fail_on(path, Code::data_loss, "{}: merge {} is not a pair of tokens", path,
                           merges.size());
        }
        merges.push_back(std::string((*pair)[0].get_string()) + " " +
                         std::string((*pair)[1].get_string()));
    }
    return merges;
}

/// The score a merged token gets so that SentencePiece's rule (highest score first) merges in the
/// same order as the list.
std::unordered_map<std::string, float> scores_from_merges(const std::vector<std::string>& merges) {
    std::unordered_map<std::string, float> scores;
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
        std::string merged = merges[rank];
        const std::size_t space = merged.find(' ');
        if (space != std::string::npos) merged.erase(space, 1);
        scores.emplace(std::move(merged), -static_cast<float>(rank));
    }
    return scores;
}

Result<const base::json::object*> vocab_object(const base::json::object& model,
                                               const std::string& path) {
    return JsonFields(model, path).object("vocab");
}

/// WordPiece lowers letters here, as uncased models want it. One that says it keeps them does no
/// harm while its vocabulary has no capitals: those of a text would all be unknown.
Result<void> check_lower_case(const base::json::object& object, const char* field,
                              const TokenTable& table, const std::string& path) {
    if (DG_TRY(JsonFields(object, path).bool_or(field, true))) return {};
    const auto has_capitals = [](const std::string& token) {
        if (token.starts_with('[') || token.starts_with(std::string(kSpace) + "<")) return false;
        return std::ranges::any_of(token, [](char c) { return c >= 'A' && c <= 'Z'; });
    };
    const auto found = std::ranges::find_if(table.tokens, has_capitals);
    if (found == table.tokens.end()) return {};
    return fail_on(path, Code::unimplemented,
                   "{}: its tokenizer keeps the case of letters (token `{}`); uncased BERT models "
                   "can be converted",
                   path, *found);
}

void start_wordpiece(GgufWriter& writer) {
    writer.set_string("tokenizer.ggml.model", "bert");
    writer.set_string("tokenizer.ggml.pre", "default");
}

/// Stored the way SentencePiece would: word starts carry the visible space, continuations lose
/// their ##.
Result<void> put_wordpiece(TokenTable& table, std::uint32_t id, std::string_view token) {
    const bool special = token.starts_with('[') && token.ends_with(']') && token.size() > 2;
    std::string stored = special ? std::string(token)
                         : token.starts_with("##") && token.size() > 2
                             ? std::string(token.substr(2))
                             : std::string(kSpace) + std::string(token);
    return table.put(id, std::move(stored), 0.f, special ? kControl : kNormal);
}

/// vocab.txt of a BERT: a token a line, its number is its id.
Result<TokenTable> load_vocab_txt(const std::string& path, GgufWriter& writer) {
    const std::string text = DG_TRY(base::read_file(path, kVocabTextBytesMax));
    start_wordpiece(writer);
    TokenTable table;
    std::uint32_t id = 0;
    for (std::size_t at = 0; at < text.size(); ++id) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        std::string_view token(text.data() + at, end - at);
        if (token.ends_with('\r')) token.remove_suffix(1);
        DG_TRY(put_wordpiece(table, id, token));
        at = end + 1;
    }
    if (table.find("[UNK]")) return table;
    return fail_on(path, Code::unimplemented, "{} has no [UNK]: not the vocabulary of a BERT",
                   path);
}

/// tokenizer.json, whose `model` decides what kind of vocabulary it is.
class TokenizerJson {
public:
    TokenizerJson(const base::json::object& root, const std::string& path)
        : root_(root), path_(path) {}

    Result<TokenTable> load(GgufWriter& writer);

private:
    Result<void> load_bpe(const base::json::object& model, GgufWriter& writer);
    Result<void> load_unigram(const base::json::object& model, GgufWriter& writer);
    Result<void> load_wordpiece(const base::json::object& model, GgufWriter& writer);
    Result<void> load_added();
    Result<void> put_vocab(const base::json::object& vocab,
                           const std::unordered_map<std::string, float>& scores);

    const base::json::object& root_;
    const std::string& path_;
    TokenTable table_;
};

Result<TokenTable> TokenizerJson::load(GgufWriter& writer) {
    const base::json::object& model = *DG_TRY(JsonFields(root_, path_).object("model"));
    const JsonFields fields(model, path_);
    // Old files leave the type out of BPE models; their merges give them away.
    const std::string type =
        DG_TRY(fields.string_or("type", fields.has("merges") ? "BPE" : "(none)"));
    if (type == "BPE") {
        DG_TRY(load_bpe(model, writer));
    } else if (type == "Unigram") {
        DG_TRY(load_unigram(model, writer));
    } else if (type == "WordPiece") {
        DG_TRY(load_wordpiece(model, writer));
    } else {
        return fail_on(path_, Code::unimplemented,
                       "{}: tokenizer model `{}`; BPE, Unigram and "
                       "WordPiece are supported",
                       path_, type);
    }
    DG_TRY(load_added());
    return std::move(table_);
}

Result<void> TokenizerJson::put_vocab(const base::json::object& vocab,
                                      const std::unordered_map<std::string, float>& scores) {
    for (const auto& [token, id_value] : vocab) {
        const auto id = as_u32(id_value);
        if (!id) return fail_on(path_, Code::data_loss, "{}: token `{}` has no id", path_, token);
        std::string text(token);
        const auto score = scores.find(text);
        const bool byte = !scores.empty() && is_byte_token(text);
        DG_TRY(table_.put(*id, text, score == scores.end() ? 0.f : score->second,
                          byte ? kByte : kNormal));
    }
    return {};
}

Result<void> TokenizerJson::load_bpe(const base::json::object& model, GgufWriter& writer) {
    const base::json::object& vocab = *DG_TRY(vocab_object(model, path_));
    const std::vector<std::string> merges = DG_TRY(read_merges(model, path_));
    const bool byte_fallback = DG_TRY(JsonFields(model, path_).bool_or("byte_fallback", false));
    if (byte_fallback) {  // a SentencePiece BPE in another file format
        writer.set_string("tokenizer.ggml.model", "llama");
        writer.set_string("tokenizer.ggml.pre", "default");
        return put_vocab(vocab, scores_from_merges(merges));
    }
    writer.set_string("tokenizer.ggml.model", "gpt2");
    writer.set_string("tokenizer.ggml.pre", DG_TRY(pre_split_name(root_, path_)));
    writer.set_strings("tokenizer.ggml.merges", merges);
    return put_vocab(vocab, {});
}

Result<void> TokenizerJson::load_unigram(const base::json::object& model, GgufWriter& writer) {
    const base::json::value* vocab = model.if_contains("vocab");
    if (vocab == nullptr || !vocab->is_array()) {
        return fail_on(path_, Code::data_loss, "{}: its model has no array `vocab`", path_);
    }
    const std::uint32_t unk = DG_TRY(JsonFields(model, path_).u32_or("unk_id", 0));
    for (const base::json::value& pair : vocab->get_array()) {
        const base::json::array* fields = pair.if_array();
        const auto id = static_cast<std::uint32_t>(table_.tokens.size());
        if (!fields || fields->size() != 2 || !(*fields)[0].is_string() ||
            !(*fields)[1].is_number()) {
            return fail_on(path_, Code::data_loss, "{}: element {} of vocab is no [token, score]",
                           path_, id);
        }
        std::string token((*fields)[0].get_string());
        const std::int32_t kind = id == unk ? kUnknown : is_byte_token(token) ? kByte : kNormal;
        DG_TRY(table_.put(id, std::move(token), (*fields)[1].to_number<float>(), kind));
    }
    writer.set_string("tokenizer.ggml.model", "t5");
    writer.set_string("tokenizer.ggml.pre", "default");
    writer.set_u32("tokenizer.ggml.unknown_token_id", unk);
    return {};
}

Result<void> TokenizerJson::load_wordpiece(const base::json::object& model, GgufWriter& writer) {
    start_wordpiece(writer);
    for (const auto& [token, id_value] : *DG_TRY(vocab_object(model, path_))) {
        const auto id = as_u32(id_value);
        if (!id) {
            return fail_on(path_, Code::data_loss, "{}: token `{}` has no id", path_,
                           std::string_view(token));
        }
        DG_TRY(put_wordpiece(table_, *id, token));
    }
    const base::json::value* normalizer = root_.if_contains("normalizer");
    if (normalizer == nullptr || !normalizer->is_object()) return {};
    return check_lower_case(normalizer->get_object(), "lowercase", table_, path_);
}

Result<void> TokenizerJson::load_added() {
    const base::json::value* added = root_.if_contains("added_tokens");
    if (added == nullptr || !added->is_array()) return {};
    for (const base::json::value& value : added->get_array()) {
        const base::json::object* object = value.if_object();
        if (object == nullptr) {
            return fail_on(path_, Code::data_loss, "{}: an added token is no object", path_);
        }
        const JsonFields fields(*object, path_);
        const std::uint32_t id = DG_TRY(fields.u32("id"));
        std::string content = DG_TRY(fields.string("content"));
        const bool special = DG_TRY(fields.bool_or("special", false));
        if (id < table_.kinds.size() && table_.kinds[id] == kUnknown) continue;
        const bool unknown = content == "<unk>";
        DG_TRY(table_.put(id, std::move(content), 0.f,
                          unknown   ? kUnknown
                          : special ? kControl
                                    : kUserDefined));
    }
    return {};
}

Result<TokenTable> load_sentencepiece(const std::string& path, GgufWriter& writer) {
    const std::string bytes = DG_TRY(base::read_file(path, kSentencePieceBytesMax));
    auto parsed = parse_sentencepiece(std::as_bytes(std::span(bytes)));
    if (!parsed) return std::unexpected(std::move(parsed).error().with_context(path));
    SentencePieceModel& model = *parsed;
    TokenTable table;
    table.tokens = std::move(model.pieces);
    table.scores = std::move(model.scores);
    for (const TokenKind kind : model.kinds) table.kinds.push_back(static_cast<int>(kind) + 1);
    writer.set_string("tokenizer.ggml.model", model.unigram ? "t5" : "llama");
    writer.set_string("tokenizer.ggml.pre", "default");
    const auto set_id = [&](const char* key, TokenId id) {
        if (id >= 0) writer.set_u32(key, static_cast<std::uint32_t>(id));
    };
    set_id("tokenizer.ggml.unknown_token_id", model.unk);
    set_id("tokenizer.ggml.bos_token_id", model.bos);
    set_id("tokenizer.ggml.eos_token_id", model.eos);
    set_id("tokenizer.ggml.padding_token_id", model.pad);
    writer.set_bool("tokenizer.ggml.add_space_prefix", model.add_dummy_prefix);
    if (model.unigram) {
        writer.set_bool("tokenizer.ggml.remove_extra_whitespaces", model.remove_extra_whitespaces);
        if (!model.precompiled_charsmap.empty()) {
            writer.set_bytes("tokenizer.ggml.precompiled_charsmap", model.precompiled_charsmap);
        }
    }
    return table;
}

/// added_tokens.json / tokenizer_config.json name tokens that a tokenizer.model lacks.
Result<void> add_decoder_tokens(const base::json::object& tokenizer_config, const std::string& path,
                                TokenTable& table) {
    const base::json::value* added = tokenizer_config.if_contains("added_tokens_decoder");
    if (added == nullptr || !added->is_object()) return {};
    for (const auto& [key, value] : added->get_object()) {
        const base::json::object* object = value.if_object();
        std::uint32_t id = 0;
        const auto number = base::parse_json(key);
        const auto parsed = number ? as_u32(*number) : std::nullopt;
        if (object == nullptr || !parsed) {
            return fail_on(path, Code::data_loss, "{}: added token `{}` is malformed", path, key);
        }
        id = *parsed;
        const JsonFields fields(*object, path);
        std::string content = DG_TRY(fields.string("content"));
        const bool special = DG_TRY(fields.bool_or("special", false));
        if (id < table.tokens.size() && table.tokens[id] == content) continue;
        DG_TRY(table.put(id, std::move(content), -1000.f, special ? kControl : kUserDefined));
    }
    return {};
}

/// A token field is its text or an object with `content`.
std::optional<std::string> token_text(const base::json::object& config, std::string_view key) {
    const base::json::value* value = config.if_contains(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_string()) return std::string(value->get_string());
    const base::json::object* object = value->if_object();
    const base::json::value* content = object ? object->if_contains("content") : nullptr;
    if (content == nullptr || !content->is_string()) return std::nullopt;
    return std::string(content->get_string());
}

/// An id field is a number or, for ends, a list of them: the first counts.
std::optional<std::uint32_t> id_field(const base::json::object& config, std::string_view key) {
    const base::json::value* value = config.if_contains(key);
    if (value == nullptr) return std::nullopt;
    if (value->is_array() && !value->get_array().empty()) return as_u32(value->get_array()[0]);
    return as_u32(*value);
}

/// tokenizer_config.json wins over config.json, whose ids are sometimes those of a base model.
void set_special_ids(const base::json::object& config, const base::json::object& tokenizer_config,
                     const TokenTable& table, GgufWriter& writer) {
    constexpr std::pair<std::string_view, std::string_view> kSpecials[] = {
        {"bos_token", "bos"},     {"eos_token", "eos"}, {"unk_token", "unknown"},
        {"pad_token", "padding"}, {"cls_token", "cls"}, {"sep_token", "seperator"},
        {"mask_token", "mask"}};
    for (const auto& [field, name] : kSpecials) {
        const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
        const auto text = token_text(tokenizer_config, field);
        auto id = text ? table.find(*text) : std::nullopt;
        if (!id && !writer.has(key)) id = id_field(config, std::string(field) + "_id");
        if (id && *id < table.tokens.size()) writer.set_u32(key, *id);
    }
    for (const char* name : {"add_bos_token", "add_eos_token"}) {
        const base::json::value* value = tokenizer_config.if_contains(name);
        if (value && value->is_bool()) {
            writer.set_bool(fmt::format("tokenizer.ggml.{}", name), value->get_bool());
        }
    }
}

/// The marks that a BERT's vocabulary has by these names, where no file says which they are.
void set_bert_ids(const TokenTable& table, GgufWriter& writer) {
    constexpr std::pair<std::string_view, std::string_view> kMarks[] = {{"[CLS]", "cls"},
                                                                        {"[SEP]", "seperator"},
                                                                        {"[PAD]", "padding"},
                                                                        {"[UNK]", "unknown"},
                                                                        {"[MASK]", "mask"}};
    for (const auto& [token, name] : kMarks) {
        const std::string key = fmt::format("tokenizer.ggml.{}_token_id", name);
        if (writer.has(key)) continue;
        if (const auto id = table.find(token)) writer.set_u32(key, *id);
    }
}

/// The template is a string, a list of named ones (the default is taken), or a file of its own.
Result<void> set_chat_template(const std::string& folder,
                               const base::json::object& tokenizer_config, GgufWriter& writer) {
    const std::string file = folder + "/chat_template.jinja";
    if (base::path_exists(file)) {
        writer.set_string("tokenizer.chat_template", DG_TRY(base::read_file(file, 16u << 20)));
        return {};
    }
    const base::json::value* value = tokenizer_config.if_contains("chat_template");
    if (value == nullptr) return {};
    if (value->is_string()) {
        writer.set_string("tokenizer.chat_template", value->get_string());
        return {};
    }
    if (!value->is_array()) return {};
    for (const base::json::value& named : value->get_array()) {
        const base::json::object* object = named.if_object();
        if (object == nullptr || token_text(*object, "name") != "default") continue;
        if (const auto text = token_text(*object, "template")) {
            writer.set_string("tokenizer.chat_template", *text);
        }
    }
    return {};
}

}  // namespace

Result<void> set_hf_vocabulary(const SourcePlace& place, const base::json::object& config,
                               std::uint32_t vocab_size, GgufWriter& writer) {
    const std::string& folder = place.folder;
    const std::string tokenizer_path = place.tokenizer_json();
    const std::string vocab_path = folder + "/vocab.txt";
    const std::string model_path = folder + "/tokenizer.model";
    const std::string config_path = folder + "/tokenizer_config.json";
    base::json::value tokenizer_config = base::json::object();
    if (base::path_exists(config_path)) {
        tokenizer_config = DG_TRY(parse_object_file(config_path));
    }
    const base::json::object& special = tokenizer_config.get_object();
    TokenTable table;
    if (base::path_exists(model_path)) {  // has the real scores where both exist
        table = DG_TRY(load_sentencepiece(model_path, writer));
        DG_TRY(add_decoder_tokens(special, config_path, table));
    } else if (!tokenizer_path.empty()) {
        const base::json::value json = DG_TRY(parse_object_file(tokenizer_path));
        table = DG_TRY(TokenizerJson(json.get_object(), tokenizer_path).load(writer));
    } else if (base::path_exists(vocab_path)) {
        table = DG_TRY(load_vocab_txt(vocab_path, writer));
        DG_TRY(check_lower_case(special, "do_lower_case", table, config_path));
    } else {
        return fail_on(folder, Code::not_found,
                       "{} holds neither tokenizer.json, tokenizer.model nor vocab.txt", folder);
    }
    if (vocab_size >= kTokensMax) {
        return fail_on(folder, Code::data_loss, "{}: vocab_size is {}", folder, vocab_size);
    }
    table.grow(vocab_size);
    writer.set_strings("tokenizer.ggml.tokens", table.tokens);
    writer.set_f32s("tokenizer.ggml.scores", table.scores);
    writer.set_i32s("tokenizer.ggml.token_type", table.kinds);
    set_special_ids(config, special, table, writer);
    set_bert_ids(table, writer);
    return set_chat_template(folder, special, writer);
}

}  // namespace engine
