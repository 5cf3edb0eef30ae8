#include "gate/request_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "gate/field_table.h"
#include "gate/json_text.h"

namespace gate {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

std::string_view view(const json::string& text) {
    return {text.data(), text.size()};
}

Result<json::object> parse_object(std::string_view body) {
    if (body.empty()) {
        return base::fail(Code::invalid_argument, "the body is empty; send a JSON object");
    }
    if (const auto offset = utf8_error_offset(body)) {
        return base::fail(Code::invalid_argument,
                          "the body is not UTF-8: byte {} is 0x{:02x}; encode it as UTF-8", *offset,
                          static_cast<unsigned char>(body[*offset]));
    }
    json::value value = DG_TRY(base::parse_json(body));
    if (!value.is_object()) {
        return base::fail(Code::invalid_argument, "the body is {}; send a JSON object",
                          value.is_null() ? "null" : describe_types(type_of(value)));
    }
    return std::move(value.get_object());
}

/// The field's value, null when absent or null. Its type has been checked by check_fields.
const json::value* find(const json::object& body, std::string_view name) {
    const json::value* const value = body.if_contains(name);
    return value != nullptr && !value->is_null() ? value : nullptr;
}

bool flag(const json::object& body, std::string_view name, bool otherwise = false) {
    const json::value* const value = find(body, name);
    return value != nullptr ? value->get_bool() : otherwise;
}

std::optional<std::int64_t> integer(const json::object& body, std::string_view name) {
    const json::value* const value = find(body, name);
    if (value == nullptr) return std::nullopt;
    if (value->is_uint64()) return static_cast<std::int64_t>(value->get_uint64());
    return value->is_double() ? static_cast<std::int64_t>(value->get_double()) : value->get_int64();
}

float number(const json::object& body, std::string_view name, float otherwise) {
    const json::value* const value = find(body, name);
    return value != nullptr ? value->to_number<float>() : otherwise;
}

std::optional<std::int32_t> token_id(const json::value& value) {
    if ((type_of(value) & kInteger) == 0) return std::nullopt;
    const double id = value.to_number<double>();
    if (id < 0 || id > INT32_MAX) return std::nullopt;
    return static_cast<std::int32_t>(id);
}

Result<std::vector<std::int32_t>> token_ids(const json::array& list, const std::string& path) {
    std::vector<std::int32_t> ids;
    ids.reserve(list.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
        const auto id = token_id(list[i]);
        if (!id) {
            return fail_on(fmt::format("{}[{}]", path, i), Code::invalid_argument,
                           "'{}[{}]' must be a token id, a whole number from 0 to {}", path, i,
                           INT32_MAX);
        }
        ids.push_back(*id);
    }
    return ids;
}

using TextOrTokens = std::variant<std::string, std::vector<std::int32_t>>;

/// string | [string...] | [id...] | [[id...]...], the shapes of `prompt` and `input`.
Result<std::vector<TextOrTokens>> texts_or_tokens(const json::value& value, const std::string& path,
                                                  std::size_t count_max) {
    std::vector<TextOrTokens> all;
    if (value.is_string()) {
        all.emplace_back(std::string(view(value.get_string())));
        return all;
    }
    const json::array& list = value.get_array();
    if (list.empty()) return fail_on(path, Code::invalid_argument, "'{}' is an empty array", path);
    if (type_of(list[0]) & kNumber) {
        all.emplace_back(DG_TRY(token_ids(list, path)));
        return all;
    }
    if (list.size() > count_max) {
        return fail_on(path, Code::invalid_argument,
                       "'{}' has {} entries, over the limit of {}; send several requests", path,
                       list.size(), count_max);
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
        const std::string at = fmt::format("{}[{}]", path, i);
        if (list[i].is_string() && list[0].is_string()) {
            all.emplace_back(std::string(view(list[i].get_string())));
        } else if (list[i].is_array() && list[0].is_array()) {
            all.emplace_back(DG_TRY(token_ids(list[i].get_array(), at)));
        } else {
            return fail_on(at, Code::invalid_argument,
                           "'{}' is {}; '{}' takes a string, strings, token ids, or arrays of "
                           "token ids, not a mixture",
                           at, describe_types(type_of(list[i])), path);
        }
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto* const ids = std::get_if<std::vector<std::int32_t>>(&all[i]);
        if (ids != nullptr && ids->empty()) {
            return fail_on(fmt::format("{}[{}]", path, i), Code::invalid_argument,
                           "'{}[{}]' has no tokens", path, i);
        }
    }
    return all;
}

Result<std::vector<std::string>> stop_strings(const json::object& body, const ParseLimits& limits) {
    std::vector<std::string> stops;
    const json::value* const value = find(body, "stop");
    if (value == nullptr) return stops;
    if (value->is_string()) {
        stops.emplace_back(view(value->get_string()));
    } else {
        for (const json::value& entry : value->get_array()) {
            if (!entry.is_string()) {
                return fail_on("stop", Code::invalid_argument, "'stop' may hold strings only");
            }
            stops.emplace_back(view(entry.get_string()));
        }
    }
    if (stops.size() > limits.stop_max) {
        return fail_on("stop", Code::invalid_argument,
                       "'stop' has {} strings; at most {} are allowed", stops.size(),
                       limits.stop_max);
    }
    if (std::ranges::any_of(stops, &std::string::empty)) {
        return fail_on("stop", Code::invalid_argument,
                       "'stop' holds an empty string, which would end every answer at once");
    }
    return stops;
}

Result<std::vector<std::pair<std::int32_t, float>>> logit_bias(const json::object& body) {
    std::vector<std::pair<std::int32_t, float>> biases;
    const json::value* const value = find(body, "logit_bias");
    if (value == nullptr) return biases;
    for (const auto& entry : value->get_object()) {
        const std::string_view key(entry.key().data(), entry.key().size());
        const std::string path = fmt::format("logit_bias.{}", key.substr(0, 40));
        std::int32_t id = -1;
        const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (error != std::errc() || end != key.data() + key.size() || id < 0) {
            return fail_on(path, Code::invalid_argument,
                           "'{}': the name must be a token id; ask /tokenize", path);
        }
        if ((type_of(entry.value()) & kNumber) == 0 ||
            std::abs(entry.value().to_number<double>()) > 100) {
            return fail_on(path, Code::invalid_argument, "'{}' must be a number from -100 to 100",
                           path);
        }
        biases.emplace_back(id, entry.value().to_number<float>());
    }
    return biases;
}

Result<Sampling> sampling(const json::object& body) {
    Sampling out;
    out.temperature = number(body, "temperature", 1);
    out.top_p = number(body, "top_p", 1);
    out.top_k =
        static_cast<std::uint32_t>(std::max<std::int64_t>(0, integer(body, "top_k").value_or(0)));
    out.min_p = number(body, "min_p", 0);
    out.typical_p = number(body, "typical_p", 1);
    out.repetition_penalty = number(body, "repetition_penalty", 1);
    out.presence_penalty = number(body, "presence_penalty", 0);
    out.frequency_penalty = number(body, "frequency_penalty", 0);
    out.logit_bias = DG_TRY(logit_bias(body));
    if (const auto seed = integer(body, "seed")) out.seed = static_cast<std::uint64_t>(*seed);
    return out;
}

/// Empty when the request leaves the choice to the server.
std::string model_name(const json::object& body) {
    const json::value* const model = find(body, "model");
    return model == nullptr ? std::string() : std::string(view(model->get_string()));
}

/// What both APIs share.
Result<GenerationCall> parse_shared(const json::object& body, const ParseLimits& limits) {
    GenerationCall call;
    call.request.model = model_name(body);
    call.request.sampling = DG_TRY(sampling(body));
    call.request.stop = DG_TRY(stop_strings(body, limits));
    call.request.ignore_eos = flag(body, "ignore_eos");
    call.stream = flag(body, "stream");
    call.n = static_cast<std::uint32_t>(integer(body, "n").value_or(1));
    if (call.n > limits.n_max) {
        return fail_on("n", Code::invalid_argument, "'n' is {}; this server allows at most {}",
                       call.n, limits.n_max);
    }
    if (const json::value* const options = find(body, "stream_options")) {
        if (!call.stream) {
            return fail_on("stream_options", Code::invalid_argument,
                           "'stream_options' needs \"stream\": true");
        }
        for (const auto& entry : options->get_object()) {
            const bool usage = entry.key() == "include_usage";
            if (!usage && entry.key() != "include_obfuscation") {
                return fail_on(fmt::format("stream_options.{}", std::string(entry.key())),
                               Code::not_found, "'stream_options.{}' is unknown; use include_usage",
                               std::string(entry.key()));
            }
            if (!entry.value().is_bool()) {
                return fail_on("stream_options.include_usage", Code::invalid_argument,
                               "'stream_options.include_usage' must be true or false");
            }
            if (usage) call.include_usage = entry.value().get_bool();
        }
    }
    return call;
}

/// The text of one content part, or an error that names what it is.
Result<std::string> part_text(const json::value& part, const std::string& path) {
    const json::object* const object = part.if_object();
    const json::value* const type = object != nullptr ? object->if_contains("type") : nullptr;
    if (type == nullptr || !type->is_string()) {
        return fail_on(path, Code::invalid_argument,
                       "'{}' must be an object such as {{\"type\": \"text\", \"text\": \"...\"}}",
                       path);
    }
    const std::string_view kind = view(type->get_string());
    if (kind != "text" && kind != "refusal") {
        return fail_on(path, Code::unimplemented,
                       "'{}' has type '{}'; the models served here take text parts only", path,
                       kind.substr(0, 40));
    }
    const json::value* const text = object->if_contains(kind);
    if (text == nullptr || !text->is_string()) {
        return fail_on(path, Code::invalid_argument, "'{}.{}' must be a string", path, kind);
    }
    return std::string(view(text->get_string()));
}

/// Templates expect a string: parts are joined, null (an assistant that only called tools) is "".
/// Null only where it may be absent: templates tell "no words, only a tool call" from "".
Result<json::value> message_content(const json::object& message, const std::string& path) {
    const json::value* const content = find(message, "content");
    if (content == nullptr) {
        if (find(message, "tool_calls") != nullptr || find(message, "refusal") != nullptr) {
            return json::value();
        }
        return fail_on(path + ".content", Code::failed_precondition, "'{}.content' is missing",
                       path);
    }
    if (content->is_string()) return *content;
    const json::array* const parts = content->if_array();
    if (parts == nullptr) {
        return fail_on(path + ".content", Code::invalid_argument,
                       "'{}.content' must be a string or an array of parts, not {}", path,
                       describe_types(type_of(*content)));
    }
    std::string joined;
    for (std::size_t i = 0; i < parts->size(); ++i) {
        joined += DG_TRY(part_text((*parts)[i], fmt::format("{}.content[{}]", path, i)));
    }
    return json::value(joined);
}

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant",
                                                    "tool"};
// Passed to the template beside role and content.
constexpr std::array<std::string_view, 5> kMessageFields = {"name", "tool_calls", "tool_call_id",
                                                            "reasoning_content", "thinking"};
// Part of what clients send back when they repeat an answer.
constexpr std::array<std::string_view, 6> kMessageIgnored = {
    "role", "content", "refusal", "annotations", "audio", "function_call"};

Result<json::object> parse_message(const json::value& value, const std::string& path) {
    const json::object* const message = value.if_object();
    if (message == nullptr) {
        return fail_on(path, Code::invalid_argument, "'{}' must be an object with role and content",
                       path);
    }
    const json::value* const role = message->if_contains("role");
    const std::string_view name =
        role != nullptr && role->is_string() ? view(role->get_string()) : std::string_view();
    if (std::ranges::find(kRoles, name) == kRoles.end()) {
        return fail_on(path + ".role", Code::invalid_argument,
                       "'{}.role' must be one of system, developer, user, assistant, tool", path);
    }
    json::object out;
    // OpenAI renamed the role; the templates of open models know the old name only.
    out["role"] = name == "developer" ? "system" : name;
    out["content"] = DG_TRY(message_content(*message, path));
    for (const auto& entry : *message) {
        const std::string_view key(entry.key().data(), entry.key().size());
        if (std::ranges::find(kMessageFields, key) != kMessageFields.end()) {
            if (!entry.value().is_null()) out[key] = entry.value();
        } else if (std::ranges::find(kMessageIgnored, key) == kMessageIgnored.end()) {
            return fail_on(fmt::format("{}.{}", path, key.substr(0, 100)), Code::not_found,
                           "'{}.{}' is not a field of a message; remove it", path,
                           key.substr(0, 100));
        }
    }
    return out;
}

/// Only the shape {"type": "text"}; other formats would silently give free text.
Result<void> check_response_format(const json::object& body) {
    const json::value* const format = find(body, "response_format");
    if (format == nullptr) return {};
    const json::value* const type = format->get_object().if_contains("type");
    if (type != nullptr && type->is_string() && type->get_string() == "text") return {};
    return fail_on("response_format", Code::unimplemented,
                   "'response_format' {} is not supported; use {{\"type\": \"text\"}} and ask for "
                   "the form you need in the prompt",
                   base::to_text(*format).substr(0, 200));
}

Result<bool> tools_wanted(const json::object& body) {
    const json::value* const choice = find(body, "tool_choice");
    if (choice == nullptr) return true;
    if (choice->is_string() && choice->get_string() == "none") return false;
    if (choice->is_string() && choice->get_string() == "auto") return true;
    return fail_on("tool_choice", Code::unimplemented,
                   "'tool_choice' must be \"auto\" or \"none\": calls cannot be forced here");
}

Result<void> parse_chat_logprobs(const json::object& body, GenerationCall& call) {
    const auto top = integer(body, "top_logprobs");
    if (flag(body, "logprobs")) {
        call.request.top_logprobs = static_cast<std::uint32_t>(top.value_or(0));
    } else if (top && *top > 0) {
        return fail_on("top_logprobs", Code::invalid_argument,
                       "'top_logprobs' needs \"logprobs\": true");
    }
    return {};
}

Result<void> check_modalities(const json::object& body) {
    const json::value* const modalities = find(body, "modalities");
    if (modalities == nullptr) return {};
    for (const json::value& entry : modalities->get_array()) {
        if (!entry.is_string() || entry.get_string() != "text") {
            return fail_on("modalities", Code::unimplemented,
                           "'modalities' may only be [\"text\"]");
        }
    }
    return {};
}

}  // namespace

Result<GenerationCall> parse_chat_request(std::string_view text, const ParseLimits& limits) {
    const json::object body = DG_TRY(parse_object(text));
    DG_TRY(check_fields(body, chat_fields()));
    GenerationCall call = DG_TRY(parse_shared(body, limits));
    const json::array& messages = body.at("messages").get_array();
    if (messages.empty()) {
        return fail_on("messages", Code::invalid_argument,
                       "'messages' is empty; send at least one message");
    }
    json::array checked;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        checked.push_back(DG_TRY(parse_message(messages[i], fmt::format("messages[{}]", i))));
    }
    call.prompts.push_back(Prompt{std::move(checked), {}, {}});
    DG_TRY(check_response_format(body));
    DG_TRY(check_modalities(body));
    DG_TRY(parse_chat_logprobs(body, call));
    const bool show_tools = DG_TRY(tools_wanted(body));
    if (const json::value* const tools = find(body, "tools");
        tools != nullptr && show_tools && !tools->get_array().empty()) {
        call.request.tools = *tools;
    }
    if (const json::value* const extra = find(body, "chat_template_kwargs")) {
        call.request.template_extra = extra->get_object();
    }
    const auto longest = integer(body, "max_completion_tokens");
    call.request.max_tokens =
        static_cast<std::uint32_t>(longest ? *longest : integer(body, "max_tokens").value_or(0));
    return call;
}

Result<GenerationCall> parse_completion_request(std::string_view text, const ParseLimits& limits) {
    const json::object body = DG_TRY(parse_object(text));
    DG_TRY(check_fields(body, completion_fields()));
    GenerationCall call = DG_TRY(parse_shared(body, limits));
    call.chat = false;
    call.request.max_tokens = static_cast<std::uint32_t>(integer(body, "max_tokens").value_or(16));
    if (const auto top = integer(body, "logprobs")) {
        call.request.top_logprobs = static_cast<std::uint32_t>(*top);
    }
    call.echo = flag(body, "echo");
    if (call.echo && call.request.top_logprobs) {
        return fail_on("echo", Code::unimplemented,
                       "'echo' together with 'logprobs' is not supported; leave one out");
    }
    if (const auto best = integer(body, "best_of"); best && *best != call.n) {
        return fail_on("best_of", Code::unimplemented,
                       "'best_of' is {} and 'n' is {}; only equal numbers are supported", *best,
                       call.n);
    }
    if (const json::value* const suffix = find(body, "suffix");
        suffix != nullptr && !suffix->get_string().empty()) {
        return fail_on("suffix", Code::unimplemented,
                       "'suffix' (fill in the middle) is not supported; leave it out");
    }
    for (TextOrTokens& prompt :
         DG_TRY(texts_or_tokens(body.at("prompt"), "prompt", limits.prompts_max))) {
        if (auto* const words = std::get_if<std::string>(&prompt)) {
            call.prompts.push_back(Prompt{{}, std::move(*words), {}});
        } else {
            call.prompts.push_back(Prompt{{}, {}, std::get<1>(std::move(prompt))});
        }
    }
    if (call.prompts.size() * call.n > limits.prompts_max) {
        return fail_on("n", Code::invalid_argument,
                       "{} prompts times n = {} is over the limit of {} answers per request",
                       call.prompts.size(), call.n, limits.prompts_max);
    }
    return call;
}

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

}  // namespace gate
