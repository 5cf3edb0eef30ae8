#include "gate/chat_writer.h"

#include <fmt/format.h>

#include <iterator>

#include "gate/json_text.h"

namespace gate {
namespace {

template <class... Args>
void append(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

void append_usage(std::string& out, const UsageTotals& usage) {
    append(out,
           R"("usage":{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},)"
           R"("prompt_tokens_details":{{"cached_tokens":{}}},)"
           R"("completion_tokens_details":{{"reasoning_tokens":{}}}}})",
           usage.prompt_tokens, usage.completion_tokens,
           usage.prompt_tokens + usage.completion_tokens, usage.cached_tokens,
           usage.reasoning_tokens);
}

/// The members that only the first piece of a call has.
void append_call_head(std::string& out, std::string_view id, std::string_view name) {
    out += R"("id":)";
    append_json_string(out, id);
    out += R"(,"type":"function","function":{"name":)";
    append_json_string(out, name);
    out += R"(,"arguments":)";
}

}  // namespace

ChatWriter::ChatWriter(Facts facts) : facts_(std::move(facts)) {
    event_head_ = "data: {\"id\":";
    append_json_string(event_head_, facts_.id);
    append(event_head_, ",\"object\":\"{}\",\"created\":{},\"model\":",
           facts_.chat ? "chat.completion.chunk" : "text_completion", facts_.created_unix_s);
    append_json_string(event_head_, facts_.model);
    event_head_ += ",\"system_fingerprint\":";
    append_json_string(event_head_, facts_.system_fingerprint);
    event_head_ += ",\"choices\":[";
    event_tail_ = facts_.include_usage ? "],\"usage\":null}\n\n" : "]}\n\n";
}

/// An event as far as the choice's index.
std::string& ChatWriter::open_event(EventText& out, std::uint32_t index) const {
    std::string& event = out.begin();
    event.append(event_head_).append("{\"index\":");
    if (index < 10) {
        event += static_cast<char>('0' + index);
    } else {
        append(event, "{}", index);
    }
    event += ',';
    return event;
}

/// What follows the delta or text.
void ChatWriter::close_event(std::string& out, LogprobText* logprobs) const {
    out += ",\"logprobs\":";
    if (logprobs != nullptr && !logprobs->empty()) {
        logprobs->append_to(out, facts_.chat);
    } else {
        out += "null";
    }
    out.append(",\"finish_reason\":null}").append(event_tail_);
}

void ChatWriter::append_piece(EventText& out, std::uint32_t index, const Piece& piece,
                              LogprobText* logprobs) const {
    if (piece.kind != Piece::Kind::call) {
        std::string& event = open_event(out, index);
        event += !facts_.chat                      ? "\"text\":\""
                 : piece.kind == Piece::Kind::text ? "\"delta\":{\"content\":\""
                                                   : "\"delta\":{\"reasoning_content\":\"";
        append_json_escaped(event, piece.text);
        event += facts_.chat ? "\"}" : "\"";
        return close_event(event, piece.kind == Piece::Kind::text ? logprobs : nullptr);
    }
    if (!piece.call_id.empty() || !piece.call_name.empty()) {
        std::string& event = open_event(out, index);
        append(event, "\"delta\":{{\"tool_calls\":[{{\"index\":{},", piece.call_index);
        append_call_head(event, piece.call_id, piece.call_name);
        event += "\"\"}}]}";
        close_event(event, nullptr);
    }
    if (piece.text.empty()) return;
    std::string& event = open_event(out, index);
    append(event, "\"delta\":{{\"tool_calls\":[{{\"index\":{},\"function\":{{\"arguments\":\"",
           piece.call_index);
    append_json_escaped(event, piece.text);
    event += "\"}}]}";
    close_event(event, nullptr);
}

void ChatWriter::append_events(EventText& out, std::uint32_t index, ChoiceOutput& choice) {
    const bool has_output = !choice.pieces.empty() || !choice.logprobs.empty();
    if (facts_.chat && !choice.role_sent && (has_output || choice.ended)) {
        choice.role_sent = true;
        std::string& event = open_event(out, index);
        event += R"("delta":{"role":"assistant","content":""})";
        close_event(event, nullptr);
    }
    for (const Piece& piece : choice.pieces.pieces()) {
        append_piece(out, index, piece, &choice.logprobs);
    }
    choice.pieces.clear();
    if (!choice.logprobs.empty()) {  // of tokens that are part of a character still to come
        append_piece(out, index, Piece{}, &choice.logprobs);
    }
    if (choice.ended && !std::exchange(choice.finish_sent, true) &&
        choice.end.finish != Finish::error) {
        append_finish(out, index, choice.end);
    }
}

void ChatWriter::append_finish(EventText& out, std::uint32_t index,
                               const GenerationEnd& end) const {
    std::string& event = open_event(out, index);
    append(event, "{},\"logprobs\":null,\"finish_reason\":\"{}\"}}],",
           facts_.chat ? "\"delta\":{}" : "\"text\":\"\"", finish_reason(end.finish));
    if (facts_.include_usage) event += "\"usage\":null,";
    append_timings(event, timings_of(end));
    event += "}\n\n";
}

void ChatWriter::append_end(EventText& out, const AnswerEnd& end) {
    if (end.error) {
        out.begin().append("data: ").append(error_json(*end.error)).append("\n\n");
    } else if (facts_.include_usage) {
        std::string& event = out.begin();
        event.append(event_head_).append("],");
        append_usage(event, end.usage);
        event += ',';
        append_timings(event, end.timings);
        event += "}\n\n";
    }
    out.begin() += "data: [DONE]\n\n";
}

void ChatWriter::append_message(std::string& out, const JoinedAnswer& answer) const {
    out += R"("message":{"role":"assistant","content":)";
    if (answer.text.empty() && !answer.calls.empty()) {
        out += "null";
    } else {
        append_json_string(out, answer.text);
    }
    if (!answer.reasoning.empty()) {
        out += R"(,"reasoning_content":)";
        append_json_string(out, answer.reasoning);
    }
    out += R"(,"refusal":null)";
    for (std::size_t i = 0; i < answer.calls.size(); ++i) {
        out += i == 0 ? ",\"tool_calls\":[{" : ",{";
        append_call_head(out, answer.calls[i].id, answer.calls[i].name);
        append_json_string(out, answer.calls[i].arguments);
        out += "}}";
    }
    out += answer.calls.empty() ? "}" : "]}";
}

std::string ChatWriter::whole_answer(std::span<ChoiceOutput* const> choices, const AnswerEnd& end) {
    std::string out = "{\"id\":";
    append_json_string(out, facts_.id);
    append(out, ",\"object\":\"{}\",\"created\":{},\"model\":",
           facts_.chat ? "chat.completion" : "text_completion", facts_.created_unix_s);
    append_json_string(out, facts_.model);
    out += ",\"system_fingerprint\":";
    append_json_string(out, facts_.system_fingerprint);
    out += ",\"choices\":[";
    for (std::size_t i = 0; i < choices.size(); ++i) {
        ChoiceOutput& choice = *choices[i];
        const JoinedAnswer answer = join(choice.pieces.pieces());
        append(out, "{}{{\"index\":{},", i > 0 ? "," : "", i);
        if (facts_.chat) {
            append_message(out, answer);
        } else {
            out += "\"text\":";
            append_json_string(out, answer.text);
        }
        out += ",\"logprobs\":";
        if (facts_.logprobs) {
            choice.logprobs.append_to(out, facts_.chat);
        } else {
            out += "null";
        }
        append(out, ",\"finish_reason\":\"{}\"}}", finish_reason(choice.end.finish));
    }
    out += "],";
    append_usage(out, end.usage);
    out += ',';
    append_timings(out, end.timings);
    out += '}';
    return out;
}

}  // namespace gate
