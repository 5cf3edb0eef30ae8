// /v1/chat/completions and /v1/completions.
#include <fmt/format.h>

#include "gate/body_reader.h"
#include "gate/field_table.h"
#include "gate/generation_fields.h"
#include "gate/message_parser.h"
#include "gate/request_parser.h"
#include "gate/tool_fields.h"

namespace gate {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

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
    call.prompts.push_back(
        Prompt{DG_TRY(parse_messages(body.at("messages").get_array(), "messages")), {}, {}});
    DG_TRY(check_modalities(body));
    DG_TRY(parse_chat_logprobs(body, call));
    ToolFields tools = DG_TRY(parse_tools(body, ToolShape::nested));
    call.request.tools = std::move(tools.tools);
    call.request.tool_choice = std::move(tools.choice);
    call.request.format = DG_TRY(parse_answer_format(body));
    if (const json::value* const extra = find(body, "chat_template_kwargs")) {
        call.request.template_extra = extra->get_object();
    }
    DG_TRY(read_reasoning(body, call.request));
    DG_TRY(read_overflow(body, "context_overflow", "error", "shift", call.request));
    const auto longest = integer(body, "max_completion_tokens");
    call.request.max_tokens =
        static_cast<std::uint32_t>(longest ? *longest : integer(body, "max_tokens").value_or(0));
    return call;
}

Result<GenerationCall> parse_completion_request(std::string_view text, const ParseLimits& limits) {
    const json::object body = DG_TRY(parse_object(text));
    DG_TRY(check_fields(body, completion_fields()));
    GenerationCall call = DG_TRY(parse_shared(body, limits));
    call.api = Api::completions;
    call.request.max_tokens = static_cast<std::uint32_t>(integer(body, "max_tokens").value_or(16));
    if (const auto top = integer(body, "logprobs")) {
        call.request.top_logprobs = static_cast<std::uint32_t>(*top);
    }
    call.request.format = DG_TRY(parse_answer_format(body));
    DG_TRY(read_overflow(body, "context_overflow", "error", "shift", call.request));
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

}  // namespace gate
