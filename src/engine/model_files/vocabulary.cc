// Vocabulary from the tokenizer.ggml.* keys of a GGUF file.

#include <limits>

#include "engine/model_files/gguf.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

Result<TokenId> token_id(const GgufFile& file, std::string_view key, std::size_t tokens) {
    if (!file.has(key)) return TokenId{-1};
    const std::uint32_t id = DG_TRY(file.get_u32(key));
    if (id == std::numeric_limits<std::uint32_t>::max()) return TokenId{-1};  // "none" in old files
    if (id >= tokens) {
        return fail_on(file.path(), Code::data_loss,
                       "{}: {} is {}, but the vocabulary has {} tokens", file.path(), key, id,
                       tokens);
    }
    return static_cast<TokenId>(id);
}

Result<std::optional<bool>> maybe_bool(const GgufFile& file, std::string_view key) {
    std::optional<bool> value;
    if (file.has(key)) value = DG_TRY(file.get_bool(key));
    return value;
}

Result<std::vector<TokenKind>> token_kinds(const GgufFile& file, std::size_t tokens) {
    constexpr std::string_view kKey = "tokenizer.ggml.token_type";
    std::vector<TokenKind> kinds;
    if (!file.has(kKey)) return kinds;
    for (const std::int32_t number : DG_TRY(file.get_i32s(kKey))) {
        // Stored: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte; 0 undefined.
        if (number < 0 || number > 6) {
            return fail_on(file.path(), Code::data_loss, "{}: {} has unknown kind {} at token {}",
                           file.path(), kKey, number, kinds.size());
        }
        kinds.push_back(number == 0 ? TokenKind::normal : static_cast<TokenKind>(number - 1));
    }
    if (kinds.size() != tokens) {
        return fail_on(file.path(), Code::data_loss, "{}: {} has {} elements, expected {}",
                       file.path(), kKey, kinds.size(), tokens);
    }
    return kinds;
}

/// An array of bytes, stored as u8 or i8.
Result<std::string> get_bytes(const GgufFile& file, std::string_view key) {
    std::string bytes;
    const GgufEntry* entry = file.find(key);
    if (entry == nullptr) return bytes;
    if (entry->type != GgufType::array ||
        (entry->element_type != GgufType::u8 && entry->element_type != GgufType::i8)) {
        return fail_on(file.path(), Code::data_loss, "{}: key {} is not an array of bytes",
                       file.path(), key);
    }
    bytes.assign(reinterpret_cast<const char*>(entry->value.data()), entry->value.size());
    return bytes;
}

}  // namespace

Result<Vocabulary> load_vocabulary(const GgufFile& file) {
    const std::string prefix = "tokenizer.ggml.";
    Vocabulary vocabulary;
    vocabulary.model = DG_TRY(file.get_string(prefix + "model"));
    vocabulary.pre = DG_TRY(file.get_string_or(prefix + "pre", ""));
    vocabulary.tokens = DG_TRY(file.get_strings(prefix + "tokens"));
    const std::size_t tokens = vocabulary.tokens.size();
    if (file.has(prefix + "scores")) vocabulary.scores = DG_TRY(file.get_f32s(prefix + "scores"));
    if (!vocabulary.scores.empty() && vocabulary.scores.size() != tokens) {
        return fail_on(file.path(), Code::data_loss, "{}: {} scores for {} tokens", file.path(),
                       vocabulary.scores.size(), tokens);
    }
    vocabulary.kinds = DG_TRY(token_kinds(file, tokens));
    if (file.has(prefix + "merges"))
        vocabulary.merges = DG_TRY(file.get_strings(prefix + "merges"));
    vocabulary.bos = DG_TRY(token_id(file, prefix + "bos_token_id", tokens));
    vocabulary.eos = DG_TRY(token_id(file, prefix + "eos_token_id", tokens));
    vocabulary.eot = DG_TRY(token_id(file, prefix + "eot_token_id", tokens));
    vocabulary.unk = DG_TRY(token_id(file, prefix + "unknown_token_id", tokens));
    // Both spellings occur in published files.
    const bool seperator = file.has(prefix + "seperator_token_id");
    vocabulary.sep = DG_TRY(
        token_id(file, prefix + (seperator ? "seperator_token_id" : "separator_token_id"), tokens));
    vocabulary.pad = DG_TRY(token_id(file, prefix + "padding_token_id", tokens));
    vocabulary.cls = DG_TRY(token_id(file, prefix + "cls_token_id", tokens));
    vocabulary.mask = DG_TRY(token_id(file, prefix + "mask_token_id", tokens));
    vocabulary.add_bos = DG_TRY(maybe_bool(file, prefix + "add_bos_token"));
    vocabulary.add_eos = DG_TRY(maybe_bool(file, prefix + "add_eos_token"));
    vocabulary.add_space_prefix = DG_TRY(maybe_bool(file, prefix + "add_space_prefix"));
    vocabulary.remove_extra_whitespaces =
        DG_TRY(maybe_bool(file, prefix + "remove_extra_whitespaces"));
    vocabulary.normalizer_charsmap = DG_TRY(get_bytes(file, prefix + "precompiled_charsmap"));
    const TokenId eom = DG_TRY(token_id(file, prefix + "eom_token_id", tokens));
    if (eom >= 0) vocabulary.eog_extra.push_back(eom);
    return vocabulary;
}

}  // namespace engine
