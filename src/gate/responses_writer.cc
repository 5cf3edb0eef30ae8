#include "gate/responses_writer.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "gate/json_text.h"

namespace gate {
namespace {

namespace json = base::json;

template <class... Args>
void append(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

void append_usage(std::string& out, const UsageTotals& usage) {
    append(out,
           R"({{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{}}},)"
           R"("output_tokens":{},"output_tokens_details":{{"reasoning_tokens":{}}},)"
           R"("total_tokens":{}}})",
           usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens,
           usage.reasoning_tokens, usage.prompt_tokens + usage.completion_tokens);
}

bool cut_short(Finish finish) {
    return finish == Finish::length || finish == Finish::deadline;
}

}  // namespace

ResponsesWriter::ResponsesWriter(Facts facts) : facts_(std::move(facts)) {
    id_suffix_ = facts_.id.substr(facts_.id.find('_') + 1);
    for (const auto& entry : facts_.echo) {
        echo_ += ',';
        append_json_string(echo_, {entry.key().data(), entry.key().size()});
        echo_ += ':';
        echo_ += base::to_text(entry.value());
    }
}

/// Up to and including the sequence number; the caller goes on with a comma.
std::string& ResponsesWriter::event(EventText& out, std::string_view type) const {
    const std::uint64_t number = out.next_id();
    std::string& text = out.begin();
    append(text, "event: {0}\ndata: {{\"type\":\"{0}\",\"sequence_number\":{1}", type, number);
    return text;
}

std::string& ResponsesWriter::item_event(EventText& out, std::string_view type,
                                         const Item& item) const {
    std::string& text = event(out, type);
    append(text, R"(,"item_id":"{}","output_index":{})", item.id, items_.size() - 1);
    if (item.kind != ItemKind::call) text += R"(,"content_index":0)";
    return text;
}

void ResponsesWriter::append_part(std::string& out, const Item& item, bool empty) const {
    if (item.kind == ItemKind::reasoning) {
        out += R"({"type":"reasoning_text","text":)";
        append_json_string(out, empty ? "" : item.text);
        out += '}';
        return;
    }
    out += R"({"type":"output_text","annotations":[],"logprobs":[)";
    if (!empty) out += item.logprobs;
    out += R"(],"text":)";
    append_json_string(out, empty ? "" : item.text);
    out += '}';
}

void ResponsesWriter::append_item(std::string& out, const Item& item,
                                  std::string_view status) const {
    const bool fresh = status == "in_progress";
    append(out, R"({{"id":"{}","status":"{}",)", item.id, status);
    if (item.kind == ItemKind::call) {
        out += R"("type":"function_call","call_id":)";
        append_json_string(out, item.call_id);
        out += R"(,"name":)";
        append_json_string(out, item.name);
        out += R"(,"arguments":)";
        append_json_string(out, fresh ? "" : item.text);
        out += '}';
        return;
    }
    out += item.kind == ItemKind::message ? R"("type":"message","role":"assistant","content":[)"
                                          : R"("type":"reasoning","summary":[],"content":[)";
    if (!fresh) append_part(out, item, false);
    out += "]}";
}

/// Tells that the last item has begun.
void ResponsesWriter::open_item(EventText& out) const {
    const Item& item = items_.back();
    std::string& added = event(out, "response.output_item.added");
    append(added, R"(,"output_index":{},"item":)", items_.size() - 1);
    append_item(added, item, "in_progress");
    added += "}\n\n";
    if (item.kind == ItemKind::call) return;
    std::string& part = item_event(out, "response.content_part.added", item);
    part += R"(,"part":)";
    append_part(part, item, true);
    part += "}\n\n";
}

/// The last item is complete.
void ResponsesWriter::close_item(EventText* out, std::string_view status) {
    if (items_.empty() || std::exchange(items_.back().closed, true) || out == nullptr) return;
    const Item& item = items_.back();
    if (item.kind == ItemKind::call) {
        std::string& done = item_event(*out, "response.function_call_arguments.done", item);
        done += R"(,"name":)";
        append_json_string(done, item.name);
        done += R"(,"arguments":)";
        append_json_string(done, item.text);
        done += "}\n\n";
    } else {
        const bool message = item.kind == ItemKind::message;
        std::string& done = item_event(
            *out, message ? "response.output_text.done" : "response.reasoning_text.done", item);
        if (message) append(done, R"(,"logprobs":[{}])", item.logprobs);
        done += R"(,"text":)";
        append_json_string(done, item.text);
        done += "}\n\n";
        std::string& part = item_event(*out, "response.content_part.done", item);
        part += R"(,"part":)";
        append_part(part, item, false);
        part += "}\n\n";
    }
    std::string& done = event(*out, "response.output_item.done");
    append(done, R"(,"output_index":{},"item":)", items_.size() - 1);
    append_item(done, item, status);
    done += "}\n\n";
}

ResponsesWriter::Item& ResponsesWriter::item_for(EventText* out, const Piece& piece) {
    const ItemKind kind = piece.kind == Piece::Kind::text        ? ItemKind::message
                          : piece.kind == Piece::Kind::reasoning ? ItemKind::reasoning
                                                                 : ItemKind::call;
    const bool new_call =
        kind == ItemKind::call && (!piece.call_id.empty() || !piece.call_name.empty());
    if (!items_.empty() && items_.back().kind == kind && !items_.back().closed && !new_call) {
        return items_.back();
    }
    close_item(out, "completed");
    constexpr std::string_view kPrefixes[] = {"rs", "msg", "fc"};
    Item item{kind, {}, {}, {}, piece.call_index, piece.call_id, piece.call_name, false};
    item.id = fmt::format("{}_{}_{}", kPrefixes[static_cast<int>(kind)], id_suffix_, items_.size());
    items_.push_back(std::move(item));
    if (out != nullptr) open_item(*out);
    return items_.back();
}

void ResponsesWriter::take(EventText* out, ChoiceOutput& choice) {
    for (const Piece& piece : choice.pieces.pieces()) {
        Item& item = item_for(out, piece);
        item.text += piece.text;
        std::string logprobs;
        if (item.kind == ItemKind::message) logprobs = choice.logprobs.take_entries();
        if (!logprobs.empty()) {
            if (!item.logprobs.empty()) item.logprobs += ',';
            item.logprobs += logprobs;
        }
        if (out == nullptr || piece.text.empty()) continue;
        const std::string_view type = item.kind == ItemKind::message ? "response.output_text.delta"
                                      : item.kind == ItemKind::reasoning
                                          ? "response.reasoning_text.delta"
                                          : "response.function_call_arguments.delta";
        std::string& delta = item_event(*out, type, item);
        if (item.kind == ItemKind::message) append(delta, R"(,"logprobs":[{}])", logprobs);
        delta += R"(,"delta":)";
        append_json_string(delta, piece.text);
        delta += "}\n\n";
    }
    choice.pieces.clear();
    if (!choice.ended || std::exchange(choice.finish_sent, true)) return;
    finish_ = choice.end.finish;
    const bool whole = finish_ == Finish::stop || finish_ == Finish::tool_calls;
    close_item(out, whole ? "completed" : "incomplete");
}

void ResponsesWriter::append_events(EventText& out, std::uint32_t, ChoiceOutput& choice) {
    if (!std::exchange(begun_, true)) {
        for (const std::string_view type : {"response.created", "response.in_progress"}) {
            std::string& text = event(out, type);
            text += ",\"response\":";
            append_response(text, "in_progress", nullptr);
            text += "}\n\n";
        }
    }
    take(&out, choice);
}

std::string_view ResponsesWriter::final_status(const AnswerEnd& end) const {
    if (end.error) return "failed";
    if (finish_ == Finish::cancelled) return "cancelled";
    return cut_short(finish_) ? "incomplete" : "completed";
}

void ResponsesWriter::append_end(EventText& out, const AnswerEnd& end) {
    const std::string_view status = final_status(end);
    // A stream has no event of its own for a cancelled response: it is one that stays incomplete.
    std::string& text = event(out, status == "failed"      ? "response.failed"
                                   : status == "completed" ? "response.completed"
                                                           : "response.incomplete");
    text += ",\"response\":";
    append_response(text, status, &end);
    text += "}\n\n";
}

std::string ResponsesWriter::whole_answer(std::span<ChoiceOutput* const> choices,
                                          const AnswerEnd& end) {
    take(nullptr, *choices.front());
    std::string out;
    append_response(out, final_status(end), &end);
    return out;
}

std::string ResponsesWriter::unfinished(std::string_view status) const {
    std::string out;
    append_response(out, status, nullptr);
    return out;
}

void ResponsesWriter::append_response(std::string& out, std::string_view status,
                                      const AnswerEnd* end) const {
    append(out, R"({{"id":"{}","object":"response","created_at":{},"status":"{}",)", facts_.id,
           facts_.created_unix_s, status);
    out += R"("error":)";
    if (end != nullptr && end->error) {
        out += R"({"code":"server_error","message":)";
        append_json_string(out, end->error->message);
        out += '}';
    } else {
        out += "null";
    }
    out += status == "incomplete"
               ? R"(,"incomplete_details":{"reason":"max_output_tokens"},"output":[)"
               : R"(,"incomplete_details":null,"output":[)";
    if (end != nullptr) {
        for (std::size_t i = 0; i < items_.size(); ++i) {
            if (i > 0) out += ',';
            const bool last = i + 1 == items_.size();
            append_item(out, items_[i], last && status != "completed" ? "incomplete" : "completed");
        }
    }
    out += "],\"usage\":";
    if (end != nullptr) {
        append_usage(out, end->usage);
        out += ',';
        append_timings(out, end->timings);
    } else {
        out += "null";
    }
    out.append(echo_).append("}");
}

json::object ResponsesWriter::message() const {
    std::string text, reasoning;
    json::array calls;
    for (const Item& item : items_) {
        if (item.kind == ItemKind::message) text += item.text;
        if (item.kind == ItemKind::reasoning) reasoning += item.text;
        if (item.kind != ItemKind::call) continue;
        calls.push_back(json::object{
            {"id", item.call_id},
            {"type", "function"},
            {"function", json::object{{"name", item.name}, {"arguments", item.text}}}});
    }
    json::object message{{"role", "assistant"}, {"content", text}};
    if (text.empty() && !calls.empty()) message["content"] = nullptr;
    if (!reasoning.empty()) message["reasoning_content"] = reasoning;
    if (!calls.empty()) message["tool_calls"] = std::move(calls);
    return message;
}

}  // namespace gate
