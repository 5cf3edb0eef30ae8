#include "gate/field_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace gate {
namespace {

using base::Code;
using base::fail_on;
namespace json = base::json;

constexpr double kUnbounded = 0;

constexpr FieldSpec kModel{
    "model", kString, Use::optional,
    0,       0,       "Model id from GET /v1/models. May be left out where only one can be meant."};
constexpr FieldSpec kModelOrFirst{
    "model", kString, Use::optional, 0, 0, "Model id; default: the first of GET /v1/models."};

constexpr FieldSpec kContextOverflow{
    "context_overflow",
    kString,
    Use::optional,
    0,
    0,
    "Extension: \"error\" (default): a prompt over the context is refused, an answer ends with it. "
    "\"shift\": the oldest turns of a chat are left out, and when the context is full tokens "
    "behind "
    "the system prompt are forgotten and the answer goes on, without max_tokens for as many tokens "
    "as the context holds."};

constexpr std::array kStreaming = {
    FieldSpec{"stream", kBoolean, Use::optional, 0, 0, "Answer as server-sent events."},
    FieldSpec{"stream_options", kObject, Use::optional, 0, 0,
              "{\"include_usage\": true} adds a last event with token counts. Extension: "
              "{\"resumable\": true} numbers the events and keeps the stream when the client is "
              "gone; GET /v1/streams/{id} goes on after Last-Event-ID."},
    FieldSpec{"metadata", 0, Use::ignored, 0, 0, "Accepted, no effect."},
    FieldSpec{"store", 0, Use::ignored, 0, 0, "Accepted, no effect: only /v1/responses stores."},
    FieldSpec{"n", kInteger, Use::optional, 1, 128, "Choices per prompt; default 1."},
};

constexpr std::array kSampling = {
    FieldSpec{"stop", kString | kArray, Use::optional, 0, 0,
              "Up to 16 strings that end the answer; they are not part of it."},
    FieldSpec{"seed", kInteger, Use::optional, kUnbounded, kUnbounded,
              "Same seed, same answer; choice i uses seed + i."},
    FieldSpec{"temperature", kNumber, Use::optional, 0, 2, "0 is greedy; default 1."},
    FieldSpec{"top_p", kNumber, Use::optional, 0, 1, "Nucleus sampling; 1 is off."},
    FieldSpec{"top_k", kInteger, Use::optional, -1, 1'000'000, "Extension; 0 or -1 is off."},
    FieldSpec{"min_p", kNumber, Use::optional, 0, 1, "Extension; 0 is off."},
    FieldSpec{"typical_p", kNumber, Use::optional, 0, 1, "Extension; 1 is off."},
    FieldSpec{"repetition_penalty", kNumber, Use::optional, 0.01, 10, "Extension; 1 is off."},
    FieldSpec{"presence_penalty", kNumber, Use::optional, -2, 2, "Default 0."},
    FieldSpec{"frequency_penalty", kNumber, Use::optional, -2, 2, "Default 0."},
    FieldSpec{"logit_bias", kObject, Use::optional, 0, 0,
              "Token id (as a string) to a bias from -100 to 100."},
    FieldSpec{"ignore_eos", kBoolean, Use::optional, 0, 0,
              "Extension for benchmarks: go on after the end token."},
    FieldSpec{"session_id", kString, Use::optional, 0, 0,
              "Extension: requests of one conversation, whose cached prefix is kept for the next "
              "turn; also the header X-Session-Id."},
    FieldSpec{"cache_id", kString, Use::optional, 0, 0,
              "Extension: a prefix kept by POST /v1/caches. A plain prompt continues it; a chat's "
              "messages begin with those that were kept."},
    FieldSpec{"priority", kInteger, Use::optional, -100, 100,
              "Extension: higher goes first; default 0."},
    FieldSpec{"guided_json", kObject | kString, Use::optional, 0, 0,
              "Extension: the answer is JSON of this schema."},
    FieldSpec{"guided_regex", kString, Use::optional, 0, 0,
              "Extension: the answer matches this regular expression."},
    FieldSpec{"guided_choice", kArray, Use::optional, 0, 0,
              "Extension: the answer is one of these strings."},
    FieldSpec{"guided_grammar", kString, Use::optional, 0, 0,
              "Extension: the answer is a text of this EBNF grammar."},
    FieldSpec{"grammar", kString, Use::optional, 0, 0, "The same as guided_grammar."},
    FieldSpec{"user", 0, Use::ignored, 0, 0, "Accepted, no effect."},
    FieldSpec{"service_tier", 0, Use::ignored, 0, 0, "Accepted, no effect."},
    FieldSpec{"safety_identifier", 0, Use::ignored, 0, 0, "Accepted, no effect."},
    FieldSpec{"prompt_cache_key", 0, Use::ignored, 0, 0, "Accepted, no effect."},
    FieldSpec{"prompt_cache_retention", 0, Use::ignored, 0, 0, "Accepted, no effect."},
};

constexpr std::array kChat = {
    kContextOverflow,
    FieldSpec{"messages", kArray, Use::required, 0, 0,
              "The conversation: objects with role (system, developer, user, assistant, tool) and "
              "content (a string, or parts of type text)."},
    FieldSpec{"max_tokens", kInteger, Use::optional, 1, 16'777'216,
              "Longest answer in tokens; default: until the context is full."},
    FieldSpec{"max_completion_tokens", kInteger, Use::optional, 1, 16'777'216,
              "The same as max_tokens, which it overrides."},
    FieldSpec{"logprobs", kBoolean, Use::optional, 0, 0, "Return log probabilities."},
    FieldSpec{"top_logprobs", kInteger, Use::optional, 0, 20,
              "Alternatives per token; needs logprobs: true."},
    FieldSpec{"tools", kArray, Use::optional, 0, 0,
              "Functions the model may call: {\"type\": \"function\", \"function\": {\"name\", "
              "\"description\", \"parameters\", \"strict\"}}."},
    FieldSpec{"tool_choice", kString | kObject, Use::optional, 0, 0,
              "\"auto\" (default), \"none\" (tools are then not shown to the model), \"required\", "
              "or {\"type\": \"function\", \"function\": {\"name\"}}."},
    FieldSpec{"parallel_tool_calls", kBoolean, Use::optional, 0, 0,
              "May an answer hold several calls? Default true."},
    FieldSpec{
        "response_format", kObject, Use::optional, 0, 0,
        "{\"type\": \"text\"}, {\"type\": \"json_object\"} or {\"type\": \"json_schema\", "
        "\"json_schema\": {\"name\", \"schema\"}}; a schema is enforced whether strict or not."},
    FieldSpec{"reasoning_effort", kString, Use::optional, 0, 0,
              "none, minimal, low, medium, high or xhigh, for templates that know reasoning_effort "
              "or enable_thinking."},
    FieldSpec{"reasoning_format", kString, Use::optional, 0, 0,
              "Extension: auto (default) gives what the model thinks apart, as reasoning_content; "
              "none leaves it in the text."},
    FieldSpec{"chat_template_kwargs", kObject, Use::optional, 0, 0,
              "Extension: more variables for the chat template."},
    FieldSpec{"modalities", kArray, Use::optional, 0, 0, "Only [\"text\"]."},
    FieldSpec{"verbosity", 0, Use::ignored, 0, 0, "Accepted, no effect."},
    FieldSpec{"prediction", 0, Use::ignored, 0, 0, "Accepted, no effect."},
    FieldSpec{"audio", 0, Use::refused, 0, 0, "Audio output is not supported; leave it out."},
    FieldSpec{"functions", 0, Use::refused, 0, 0, "Use tools instead."},
    FieldSpec{"function_call", 0, Use::refused, 0, 0, "Use tool_choice instead."},
    FieldSpec{"web_search_options", 0, Use::refused, 0, 0, "Web search is not supported."},
    FieldSpec{"moderation", 0, Use::refused, 0, 0, "Moderation is not supported."},
};

constexpr std::array kCompletion = {
    kContextOverflow,
    FieldSpec{"prompt", kString | kArray, Use::required, 0, 0,
              "A string, strings, token ids, or arrays of token ids."},
    FieldSpec{"max_tokens", kInteger, Use::optional, 1, 16'777'216,
              "Longest answer in tokens; default 16."},
    FieldSpec{"logprobs", kInteger, Use::optional, 0, 20,
              "Return log probabilities with that many alternatives."},
    FieldSpec{"echo", kBoolean, Use::optional, 0, 0,
              "Put the prompt before the answer; not together with logprobs."},
    FieldSpec{"best_of", kInteger, Use::optional, 1, 128, "Must equal n."},
    FieldSpec{"suffix", kString, Use::optional, 0, 0,
              "Only null or empty: fill-in-the-middle is not supported."},
};

constexpr std::array kEmbedding = {
    kModel,
    FieldSpec{"input", kString | kArray, Use::required, 0, 0,
              "A string, strings, token ids, or arrays of token ids."},
    FieldSpec{"encoding_format", kString, Use::optional, 0, 0, "float (default) or base64."},
    FieldSpec{"dimensions", kInteger, Use::optional, 1, 1'000'000,
              "Keep this many leading numbers and scale to length 1."},
    FieldSpec{"user", 0, Use::ignored, 0, 0, "Accepted, no effect."},
};

constexpr std::array kTokenize = {
    kModelOrFirst,
    FieldSpec{"text", kString, Use::optional, 0, 0, "What to split into tokens."},
    FieldSpec{"prompt", kString, Use::optional, 0, 0, "The same as text."},
    FieldSpec{"content", kString, Use::optional, 0, 0, "The same as text."},
    FieldSpec{"add_special", kBoolean, Use::optional, 0, 0,
              "Add the model's begin and end tokens; default true."},
    FieldSpec{"add_special_tokens", kBoolean, Use::optional, 0, 0, "The same as add_special."},
};

constexpr std::array kDetokenize = {
    kModelOrFirst,
    FieldSpec{"tokens", kArray, Use::required, 0, 0, "Token ids."},
};

constexpr std::array kResponses = {
    FieldSpec{"input", kString | kArray, Use::required, 0, 0,
              "A text, or items: messages, function_call, function_call_output, reasoning."},
    FieldSpec{"instructions", kString, Use::optional, 0, 0,
              "A system message in front; not carried over to later responses."},
    FieldSpec{"previous_response_id", kString, Use::optional, 0, 0,
              "A stored response that this one continues."},
    FieldSpec{"max_output_tokens", kInteger, Use::optional, 1, 16'777'216,
              "Longest answer in tokens, reasoning included; default: until the context is full."},
    FieldSpec{"tools", kArray, Use::optional, 0, 0,
              "Functions: {\"type\": \"function\", \"name\", \"description\", \"parameters\", "
              "\"strict\"}."},
    FieldSpec{"tool_choice", kString | kObject, Use::optional, 0, 0,
              "\"auto\" (default), \"none\", \"required\" or {\"type\": \"function\", \"name\"}."},
    FieldSpec{"parallel_tool_calls", kBoolean, Use::optional, 0, 0,
              "May an answer hold several calls? Default true."},
    FieldSpec{"text", kObject, Use::optional, 0, 0,
              "{\"format\": {\"type\": \"text\" | \"json_object\" | \"json_schema\"...}}."},
    FieldSpec{"reasoning", kObject, Use::optional, 0, 0, "{\"effort\": none to xhigh}."},
    FieldSpec{"top_logprobs", kInteger, Use::optional, 0, 20,
              "Alternatives per token; log probabilities come with it."},
    FieldSpec{"include", kArray, Use::optional, 0, 0,
              "\"message.output_text.logprobs\" asks for log probabilities; "
              "\"reasoning.encrypted_content\" has no effect."},
    FieldSpec{"stream", kBoolean, Use::optional, 0, 0, "Answer as typed server-sent events."},
    FieldSpec{"stream_options", kObject, Use::optional, 0, 0,
              "Extension: {\"resumable\": true} keeps the stream when the client is gone, as "
              "background does; GET /v1/responses/{id}?stream=true&starting_after=N goes on."},
    FieldSpec{"background", kBoolean, Use::optional, 0, 0,
              "Answer at once and go on without the client; needs store."},
    FieldSpec{"store", kBoolean, Use::optional, 0, 0,
              "Keep the response in memory, among the newest, for GET and previous_response_id; "
              "default true."},
    FieldSpec{"metadata", kObject, Use::optional, 0, 0, "Repeated in the response."},
    FieldSpec{
        "truncation", kString, Use::optional, 0, 0,
        "\"disabled\" (default): an input over the context is an error, an answer ends with "
        "it. \"auto\": the oldest turns are left out, and the answer goes on when the context "
        "is full."},
    FieldSpec{"chat_template_kwargs", kObject, Use::optional, 0, 0,
              "Extension: more variables for the chat template."},
    FieldSpec{"max_tool_calls", 0, Use::ignored, 0, 0, "Accepted, no effect: no built-in tools."},
    FieldSpec{"prompt_cache_options", 0, Use::ignored, 0, 0, "Accepted, no effect."},
    FieldSpec{"conversation", 0, Use::refused, 0, 0, "Use previous_response_id instead."},
    FieldSpec{"prompt", 0, Use::refused, 0, 0, "Prompt templates are not stored here."},
    FieldSpec{"context_management", 0, Use::refused, 0, 0, "The context is not compacted here."},
    FieldSpec{"moderation", 0, Use::refused, 0, 0, "Moderation is not supported."},
};

constexpr std::array kRerank = {
    kModel,
    FieldSpec{"query", kString, Use::required, 0, 0, "What the documents should answer."},
    FieldSpec{"documents", kArray, Use::required, 0, 0, "Texts, or objects with text."},
    FieldSpec{"top_n", kInteger, Use::optional, 1, 1'000'000,
              "Only that many results; default: all."},
    FieldSpec{"return_documents", kBoolean, Use::optional, 0, 0,
              "Repeat each document in its result; default false."},
    FieldSpec{"max_tokens_per_doc", 0, Use::ignored, 0, 0, "Accepted, no effect."},
    FieldSpec{"user", 0, Use::ignored, 0, 0, "Accepted, no effect."},
};

constexpr std::array kScore = {
    kModel,
    FieldSpec{"text_1", kString, Use::required, 0, 0, "The query."},
    FieldSpec{"text_2", kString | kArray, Use::required, 0, 0, "One text or several."},
    FieldSpec{"user", 0, Use::ignored, 0, 0, "Accepted, no effect."},
};

constexpr std::array kCache = {
    kModel,
    FieldSpec{"messages", kArray, Use::optional, 0, 0,
              "The beginning of conversations, as in chat. One of messages, prompt, tokens."},
    FieldSpec{"prompt", kString, Use::optional, 0, 0, "The beginning of texts."},
    FieldSpec{"tokens", kArray, Use::optional, 0, 0, "The beginning as token ids."},
    FieldSpec{"ttl_seconds", kNumber, Use::optional, 1, 604'800,
              "How long it is kept; default 3600."},
};

template <std::size_t N>
std::vector<FieldSpec> with_sampling(const std::array<FieldSpec, N>& own, bool streaming) {
    std::vector<FieldSpec> all{kModel};
    all.insert(all.end(), own.begin(), own.end());
    if (streaming) all.insert(all.end(), kStreaming.begin(), kStreaming.end());
    all.insert(all.end(), kSampling.begin(), kSampling.end());
    return all;
}

base::Result<void> check_value(const FieldSpec& field, const json::value& value) {
    const std::string name(field.name);
    if (field.use == Use::ignored) return {};
    if (field.use == Use::refused) {
        return fail_on(name, Code::unimplemented, "'{}' is not supported. {}", name, field.text);
    }
    if (field.types != 0 && (type_of(value) & field.types) == 0) {
        return fail_on(name, Code::invalid_argument, "'{}' must be {}, not {}", name,
                       describe_types(field.types), describe_types(type_of(value)));
    }
    if (value.is_number() && field.minimum < field.maximum) {
        const double number = value.to_number<double>();
        if (!(number >= field.minimum && number <= field.maximum)) {
            return fail_on(name, Code::invalid_argument, "'{}' is {}; it must be from {} to {}",
                           name, base::to_text(value), field.minimum, field.maximum);
        }
    }
    return {};
}

}  // namespace

std::span<const FieldSpec> chat_fields() {
    static const std::vector<FieldSpec> fields = with_sampling(kChat, true);
    return fields;
}
std::span<const FieldSpec> completion_fields() {
    static const std::vector<FieldSpec> fields = with_sampling(kCompletion, true);
    return fields;
}
std::span<const FieldSpec> responses_fields() {
    static const std::vector<FieldSpec> fields = with_sampling(kResponses, false);
    return fields;
}
std::span<const FieldSpec> rerank_fields() {
    return kRerank;
}
std::span<const FieldSpec> score_fields() {
    return kScore;
}
std::span<const FieldSpec> cache_fields() {
    return kCache;
}
std::span<const FieldSpec> embedding_fields() {
    return kEmbedding;
}
std::span<const FieldSpec> tokenize_fields() {
    return kTokenize;
}
std::span<const FieldSpec> detokenize_fields() {
    return kDetokenize;
}

std::string describe_types(std::uint8_t types) {
    if (types == 0) return "null";
    constexpr std::array<std::pair<JsonType, std::string_view>, 6> kNames = {
        {{kBoolean, "true or false"},
         {kNumber, "a number"},
         {kInteger, "an integer"},
         {kString, "a string"},
         {kArray, "an array"},
         {kObject, "an object"}}};
    std::string text;
    for (const auto& [type, name] : kNames) {
        if ((types & type) == 0 || (type == kInteger && (types & kNumber) != 0)) continue;
        text += fmt::format("{}{}", text.empty() ? "" : " or ", name);
    }
    return text;
}

std::uint8_t type_of(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            return 0;
        case json::kind::bool_:
            return kBoolean;
        case json::kind::int64:
        case json::kind::uint64:
            return kInteger | kNumber;
        case json::kind::double_: {
            // 16.0 is an integer to most clients' languages.
            const double number = value.get_double();
            const bool whole = std::floor(number) == number && std::abs(number) < 9e15;
            return whole ? kInteger | kNumber : static_cast<std::uint8_t>(kNumber);
        }
        case json::kind::string:
            return kString;
        case json::kind::array:
            return kArray;
        case json::kind::object:
            return kObject;
    }
    return 0;
}

base::Result<void> check_fields(const json::object& body, std::span<const FieldSpec> fields) {
    for (const FieldSpec& field : fields) {
        const json::value* const value = body.if_contains(field.name);
        if (value != nullptr && !value->is_null()) {
            DG_TRY(check_value(field, *value));
        } else if (field.use == Use::required) {
            return fail_on(std::string(field.name), Code::failed_precondition,
                           "'{}' is missing. {}", field.name, field.text);
        }
    }
    for (const auto& entry : body) {
        const std::string_view key(entry.key().data(), entry.key().size());
        if (std::ranges::find(fields, key, &FieldSpec::name) == fields.end()) {
            return fail_on(std::string(key.substr(0, 100)), Code::not_found,
                           "'{}' is not a field of this request; remove it or correct its name "
                           "(all fields are in /openapi.json)",
                           key.substr(0, 100));
        }
    }
    return {};
}

}  // namespace gate
