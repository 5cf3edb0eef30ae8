#include "sphere/http/cell_answer.h"

#include <fmt/format.h>

#include <utility>

#include "base/api/error_answer.h"
#include "base/json/json_text.h"

namespace sphere {
namespace {

namespace json = base::json;

json::object to_json(const CellResult& result) {
    json::object body = {{"object", "cell"},
                         {"number", result.number},
                         {"status", cell_status_name(result.status)},
                         {"exit_code", result.exit_code},
                         {"output_bytes", result.output_bytes},
                         {"output_dropped", result.output_dropped},
                         {"duration_ms", static_cast<double>(result.wall.count()) / 1000}};
    if (!result.result_text.empty()) {
        json::object shown = {{"text/plain", result.result_text}};
        if (const auto value = base::parse_json(result.result_json)) {
            shown["application/json"] = *value;
        }
        if (result.result_truncated) shown["truncated"] = true;
        body["result"] = std::move(shown);
    }
    if (!result.error.name.empty()) {
        body["error"] = {{"name", result.error.name},
                         {"message", result.error.message},
                         {"traceback", result.error.traceback}};
    }
    return body;
}

}  // namespace

json::object to_json(const SessionInfo& info) {
    json::object body = {{"id", std::to_string(info.id)},
                         {"object", "session"},
                         {"sandbox", info.sandbox},
                         {"language", language_name(info.language)},
                         {"version", info.version},
                         {"state", session_state_name(info.state)},
                         {"cells", info.cells}};
    if (info.forked_from != 0) body["forked_from"] = std::to_string(info.forked_from);
    if (!info.end_reason.empty()) body["end_reason"] = info.end_reason;
    return body;
}

CellAnswer::CellAnswer(SessionManager& sessions, SandboxId box, SessionId session,
                       base::http::ResponderPtr responder, bool stream)
    : sessions_(sessions),
      box_(std::move(box)),
      session_(session),
      responder_(std::move(responder)),
      stream_(stream) {}

void CellAnswer::begin(const CellSpec& cell) {
    const std::shared_ptr<CellAnswer> keep = shared_from_this();
    const auto started = sessions_.start(box_, session_, cell, keep);
    if (!started) return responder_->send(base::api::error_response(started.error()));
    if (stream_) {
        responder_->set_source([keep](std::string& out) { keep->fill(out); });
        responder_->begin_stream(
            200, {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}});
    }
    {
        const std::lock_guard lock(mutex_);
        open_ = true;
    }
    tell();  // what came meanwhile
    responder_->on_closed([keep] { keep->client_left(); });
}

void CellAnswer::tell() {
    {
        const std::lock_guard lock(mutex_);
        if (!open_ || !stream_) return;
    }
    responder_->notify();
}

void CellAnswer::client_left() {
    {
        const std::lock_guard lock(mutex_);
        left_ = true;
        events_.clear();
        if (ended_) return;
    }
    (void)sessions_.interrupt(box_, session_);  // it may have ended just now
}

void CellAnswer::append_output(Stream stream, std::string_view bytes, bool last) {
    OutputText& text = stream == Stream::out ? out_text_ : err_text_;
    std::string data =
        fmt::format(R"({{"stream":"{}","text":)", stream == Stream::out ? "out" : "err");
    if (!text.append_json(data, bytes, last)) return;
    const std::lock_guard lock(mutex_);
    if (!left_) events_ += fmt::format("event: output\ndata: {}}}\n\n", data);
}

void CellAnswer::on_output(Stream stream, std::string_view bytes) {
    if (!stream_) {
        (stream == Stream::out ? out_ : err_) += bytes;
        return;
    }
    append_output(stream, bytes, false);
    tell();
}

void CellAnswer::on_result(const CellResult& result) {
    const std::string body = base::to_text(to_json(result));
    if (stream_) {
        append_output(Stream::out, "", true);
        append_output(Stream::err, "", true);
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
            if (!left_) events_ += fmt::format("event: end\ndata: {}\n\n", body);
        }
        return tell();
    }
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    std::string whole = R"({"stdout":)";
    base::append_json_string(whole, out_);
    whole += R"(,"stderr":)";
    base::append_json_string(whole, err_);
    whole += ',' + body.substr(1);
    responder_->send(base::http::text_response(200, "application/json", std::move(whole)));
}

void CellAnswer::fill(std::string& out) {
    bool over = false;
    {
        const std::lock_guard lock(mutex_);
        out += events_;
        events_.clear();
        over = ended_;
    }
    if (over) responder_->end();
}

}  // namespace sphere
