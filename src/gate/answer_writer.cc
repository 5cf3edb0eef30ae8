#include "gate/answer_writer.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "gate/json_text.h"

namespace gate {
namespace {

template <class... Args>
void append(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

void append_token_fields(std::string& out, const TokenText& token) {
    out += R"({"token":)";
    append_json_string(out, token.bytes);
    out += R"(,"logprob":)";
    append_json_float(out, token.logprob);
    out += R"(,"bytes":[)";
    for (std::size_t i = 0; i < token.bytes.size(); ++i) {
        append(out, "{}{}", i > 0 ? "," : "",
               static_cast<unsigned>(static_cast<unsigned char>(token.bytes[i])));
    }
    out += ']';
}

std::optional<double> between(base::Instant from, base::Instant to) {
    if (from.ns == 0 || to.ns == 0 || to < from) return std::nullopt;
    return base::to_millis(to - from);
}

}  // namespace

std::string_view finish_reason(Finish finish) {
    switch (finish) {
        case Finish::stop:
            return "stop";
        case Finish::tool_calls:
            return "tool_calls";
        case Finish::length:
        case Finish::cancelled:
        case Finish::deadline:
            return "length";
        case Finish::error:
            return "error";
    }
    return "error";
}

Timings timings_of(const GenerationEnd& end) {
    Timings out;
    out.template_ms = between(end.received, end.templated);
    out.queue_ms = between(end.templated, end.started);
    out.prefill_ms = between(end.started, end.first_token);
    out.decode_ms = between(end.first_token, end.finished);
    out.ttft_ms = between(end.received, end.first_token);
    out.total_ms = between(end.received, end.finished);
    const std::uint32_t computed =
        end.prompt_tokens - std::min(end.cached_tokens, end.prompt_tokens);
    if (out.prefill_ms && *out.prefill_ms > 0) {
        out.prefill_tokens_per_s = 1000.0 * computed / *out.prefill_ms;
    }
    if (out.decode_ms && *out.decode_ms > 0 && end.completion_tokens > 1) {
        out.decode_tokens_per_s = 1000.0 * (end.completion_tokens - 1) / *out.decode_ms;
    }
    out.context_dropped_tokens = end.context_dropped_tokens;
    return out;
}

void append_timings(std::string& out, const Timings& timings) {
    out += R"("timings":{)";
    bool first = true;
    const auto field = [&](std::string_view name, std::optional<double> value) {
        append(out, "{}\"{}\":", first ? "" : ",", name);
        first = false;
        append_json_millis(out, value);
    };
    field("ttft_ms", timings.ttft_ms);
    field("queue_ms", timings.queue_ms);
    field("template_ms", timings.template_ms);
    field("prefill_ms", timings.prefill_ms);
    field("decode_ms", timings.decode_ms);
    field("total_ms", timings.total_ms);
    field("prefill_tokens_per_s", timings.prefill_tokens_per_s);
    field("decode_tokens_per_s", timings.decode_tokens_per_s);
    append(out, ",\"context_dropped_tokens\":{}}}", timings.context_dropped_tokens);
}

std::string LogprobText::take_entries() {
    return std::exchange(tokens_, {});
}

void LogprobText::add(bool chat, std::span<const TokenLogprobs> tokens) {
    for (const TokenLogprobs& token : tokens) add_one(chat, token);
}

void LogprobText::add_one(bool chat, const TokenLogprobs& token) {
    const auto& [chosen, top] = token;
    const bool first = tokens_.empty();
    if (!first) tokens_ += ',';
    if (chat) {
        append_token_fields(tokens_, chosen);
        tokens_ += R"(,"top_logprobs":[)";
        for (std::size_t i = 0; i < top.size(); ++i) {
            if (i > 0) tokens_ += ',';
            append_token_fields(tokens_, top[i]);
            tokens_ += '}';
        }
        tokens_ += "]}";
        return;
    }
    append_json_string(tokens_, chosen.bytes);
    const std::string_view comma = first ? "" : ",";
    values_ += comma;
    append_json_float(values_, chosen.logprob);
    append(offsets_, "{}{}", comma, offset_bytes_);
    offset_bytes_ += chosen.bytes.size();
    alternatives_.append(comma).append("{");
    for (std::size_t i = 0; i < top.size(); ++i) {
        if (i > 0) alternatives_ += ',';
        append_json_string(alternatives_, top[i].bytes);
        alternatives_ += ':';
        append_json_float(alternatives_, top[i].logprob);
    }
    alternatives_ += '}';
}

void LogprobText::append_to(std::string& out, bool chat) {
    if (chat) {
        append(out, R"({{"content":[{}],"refusal":null}})", tokens_);
    } else {
        append(out,
               R"({{"tokens":[{}],"token_logprobs":[{}],"top_logprobs":[{}],"text_offset":[{}]}})",
               tokens_, values_, alternatives_, offsets_);
    }
    tokens_.clear();
    values_.clear();
    alternatives_.clear();
    offsets_.clear();
}

}  // namespace gate
