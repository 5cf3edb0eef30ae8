// Embeddings, tokens, ranking, kept prefixes: requests that are checked and done.
#include "gate/request_parser.h"

#include <fmt/format.h>

#include "gate/body_reader.h"
#include "gate/field_table.h"
#include "gate/generation_fields.h"
#include "gate/message_parser.h"

namespace gate {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

Result<EmbeddingCall> parse_embedding_request(std::string_view text, const ParseLimits& limits) {
    const json::object body = DG_TRY(parse_object(text));
    DG_TRY(check_fields(body, embedding_fields()));
    EmbeddingCall call;
    call.model = model_name(body);
    call.inputs = DG_TRY(texts_or_tokens(body.at("input"), "input", limits.embed_inputs_max));
    for (std::size_t i = 0; i < call.inputs.size(); ++i) {
        const auto* const words = std::get_if<std::string>(&call.inputs[i]);
        if (words != nullptr && words->empty()) {
            return fail_on(fmt::format("input[{}]", i), Code::invalid_argument,
                           "'input[{}]' is empty; there is nothing to embed", i);
        }
    }
    if (const json::value* const format = find(body, "encoding_format")) {
        const std::string_view name = view(format->get_string());
        if (name != "float" && name != "base64") {
            return fail_on("encoding_format", Code::invalid_argument,
                           "'encoding_format' must be \"float\" or \"base64\"");
        }
        call.base64 = name == "base64";
    }
    if (const auto dimensions = integer(body, "dimensions")) {
        call.dimensions = static_cast<std::uint32_t>(*dimensions);
    }
    return call;
}

Result<TokenizeCall> parse_tokenize_request(std::string_view text) {
    const json::object body = DG_TRY(parse_object(text));
    DG_TRY(check_fields(body, tokenize_fields()));
    TokenizeCall call;
    call.model = model_name(body);
    const json::value* source = nullptr;
    for (const std::string_view name : {"text", "prompt", "content"}) {
        if (source == nullptr) source = find(body, name);
    }
    if (source == nullptr) {
        return fail_on("text", Code::failed_precondition, "'text' is missing");
    }
    call.text = view(source->get_string());
    call.add_special = flag(body, "add_special", flag(body, "add_special_tokens", true));
    return call;
}

Result<DetokenizeCall> parse_detokenize_request(std::string_view text) {
    const json::object body = DG_TRY(parse_object(text));
    DG_TRY(check_fields(body, detokenize_fields()));
    DetokenizeCall call;
    call.model = model_name(body);
    call.tokens = DG_TRY(token_ids(body.at("tokens").get_array(), "tokens"));
    return call;
}

namespace {

Result<std::vector<std::string>> document_texts(const json::array& documents,
                                                const std::string& path,
                                                const ParseLimits& limits) {
    if (documents.empty()) {
        return fail_on(path, Code::invalid_argument, "'{}' is empty; there is nothing to rank",
                       path);
    }
    if (documents.size() > limits.documents_max) {
        return fail_on(path, Code::invalid_argument,
                       "'{}' has {} entries, over the limit of {}; send several requests", path,
                       documents.size(), limits.documents_max);
    }
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < documents.size(); ++i) {
        const std::string at = fmt::format("{}[{}]", path, i);
        if (documents[i].is_string()) {
            texts.emplace_back(view(documents[i].get_string()));
        } else if (documents[i].is_object()) {
            texts.emplace_back(DG_TRY(required_text(documents[i].get_object(), "text", at)));
        } else {
            return fail_on(at, Code::invalid_argument,
                           "'{}' must be a string or an object with text, not {}", at,
                           describe_types(type_of(documents[i])));
        }
    }
    return texts;
}

}  // namespace

Result<RankCall> parse_rerank_request(std::string_view body_text, const ParseLimits& limits) {
    const json::object body = DG_TRY(parse_object(body_text));
    DG_TRY(check_fields(body, rerank_fields()));
    RankCall call;
    call.model = model_name(body);
    call.query = text(body, "query");
    call.documents = DG_TRY(document_texts(body.at("documents").get_array(), "documents", limits));
    call.return_documents = flag(body, "return_documents");
    if (const auto top = integer(body, "top_n")) call.top_n = static_cast<std::uint32_t>(*top);
    return call;
}

Result<RankCall> parse_score_request(std::string_view body_text, const ParseLimits& limits) {
    const json::object body = DG_TRY(parse_object(body_text));
    DG_TRY(check_fields(body, score_fields()));
    RankCall call;
    call.model = model_name(body);
    call.query = text(body, "text_1");
    const json::value& texts = body.at("text_2");
    const json::array list = texts.is_array() ? texts.get_array() : json::array{texts};
    call.documents = DG_TRY(document_texts(list, "text_2", limits));
    return call;
}

Result<CacheCall> parse_cache_request(std::string_view body_text) {
    const json::object body = DG_TRY(parse_object(body_text));
    DG_TRY(check_fields(body, cache_fields()));
    CacheCall call;
    call.model = model_name(body);
    call.time_to_live = std::chrono::duration_cast<base::Duration>(
        std::chrono::duration<double>(number(body, "ttl_seconds", 3600)));
    int given = 0;
    if (const json::value* const messages = find(body, "messages")) {
        ++given;
        call.prompt.messages = DG_TRY(parse_messages(messages->get_array(), "messages"));
    }
    if (const json::value* const prompt = find(body, "prompt")) {
        ++given;
        call.prompt.text = view(prompt->get_string());
    }
    if (const json::value* const tokens = find(body, "tokens")) {
        ++given;
        call.prompt.tokens = DG_TRY(token_ids(tokens->get_array(), "tokens"));
    }
    if (given != 1) {
        return fail_on("messages", Code::failed_precondition,
                       "give one of 'messages', 'prompt' and 'tokens', not {}", given);
    }
    return call;
}

}  // namespace gate
