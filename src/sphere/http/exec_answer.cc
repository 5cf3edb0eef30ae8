#include "sphere/http/exec_answer.h"

#include <fmt/format.h>

#include <csignal>
#include <utility>

#include "base/api/error_answer.h"
#include "base/core/base64.h"
#include "base/json/json.h"
#include "base/json/json_text.h"
#include "sphere/http/spec_json.h"

namespace sphere {
namespace {

namespace json = base::json;
using base::http::text_response;

void append_event(std::string& out, std::string_view name, std::string_view data) {
    out += fmt::format("event: {}\ndata: {}\n\n", name, data);
}

}  // namespace

std::size_t unfinished_character(std::string_view text) {
    for (std::size_t back = 1; back <= 3 && back <= text.size(); ++back) {
        const auto byte = static_cast<unsigned char>(text[text.size() - back]);
        if (byte < 0x80) break;
        if (byte < 0xc0) continue;
        const std::size_t wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
        return wanted > back ? text.size() - back : text.size();
    }
    return text.size();
}

bool OutputText::append_json(std::string& out, std::string_view bytes, bool last) {
    held_ += bytes;
    std::size_t complete = held_.size();
    if (!last) {
        complete =
            encoding_ == OutputEncoding::text ? unfinished_character(held_) : held_.size() / 3 * 3;
    }
    if (complete == 0) return false;
    const std::string_view ready(held_.data(), complete);
    if (encoding_ == OutputEncoding::text) {
        base::append_json_string(out, ready);
    } else {
        out += '"';
        base::append_base64(out, ready);
        out += '"';
    }
    held_.erase(0, complete);
    return true;
}

ExecAnswer::ExecAnswer(Sphere& sphere, LogBook& book, SandboxId sandbox,
                       base::http::ResponderPtr responder, OutputEncoding encoding, bool stream)
    : sphere_(sphere),
      book_(book),
      sandbox_(std::move(sandbox)),
      responder_(std::move(responder)),
      stream_(stream),
      out_(encoding),
      err_(encoding) {}

void ExecAnswer::begin(const ExecSpec& spec) {
    self_ = shared_from_this();
    const std::shared_ptr<ExecAnswer> keep = self_;
    log_.emplace(book_, sandbox_, spec.argv, spec.tty);
    const auto started = sphere_.start(sandbox_, spec, *this);
    if (!started) {
        self_.reset();
        responder_->send(base::api::error_response(started.error()));
        return;
    }
    log_->started(*started);
    if (stream_) {
        responder_->set_source([keep](std::string& out) { keep->fill(out); });
        responder_->begin_stream(
            200, {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}});
        std::string event;
        append_event(event, "start", base::to_text(json::object{{"exec", *started}}));
        responder_->write(event);
    }
    std::optional<std::string> early;
    {
        const std::lock_guard lock(mutex_);
        exec_ = *started;
        open_ = true;
        early = std::move(early_);
    }
    if (early) responder_->send(text_response(200, "application/json", std::move(*early)));
    tell();  // what came meanwhile
    responder_->on_closed([keep] { keep->client_left(); });
}

void ExecAnswer::tell() {
    {
        const std::lock_guard lock(mutex_);
        if (!open_ || !stream_) return;
    }
    responder_->notify();
}

void ExecAnswer::client_left() {
    ExecId exec = 0;
    {
        const std::lock_guard lock(mutex_);
        left_ = true;
        events_.clear();
        if (ended_) return;
        exec = exec_;
    }
    (void)sphere_.signal(sandbox_, exec, SIGKILL);  // it may have ended just now
}

void ExecAnswer::append_output(Stream stream, std::string_view bytes, bool last) {
    StreamState& from = state(stream);
    std::string data = fmt::format(R"({{"stream":"{}","{}":)",
                                   stream == Stream::out ? "out" : "err", from.text.member());
    if (!from.text.append_json(data, bytes, last)) return;
    data += '}';
    const std::lock_guard lock(mutex_);
    if (!left_) append_event(events_, "output", data);
}

void ExecAnswer::on_output(Stream stream, std::string_view bytes) {
    log_->append(stream, bytes);
    if (!stream_) {
        state(stream).gathered += bytes;
        return;
    }
    append_output(stream, bytes, false);
    tell();
}

void ExecAnswer::on_end(const ExecResult& result) {
    const std::shared_ptr<ExecAnswer> keep = std::move(self_);
    log_->end(result);
    json::object answer = to_json(result);
    if (stream_) {
        append_output(Stream::out, "", true);
        append_output(Stream::err, "", true);
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
            if (!left_) append_event(events_, "end", base::to_text(answer));
        }
        tell();
        return;
    }
    std::string body = R"({"object":"exec")";
    for (const Stream stream : {Stream::out, Stream::err}) {
        StreamState& from = state(stream);
        body += stream == Stream::out ? R"(,"stdout":)" : R"(,"stderr":)";
        if (!from.text.append_json(body, from.gathered, true)) body += R"("")";
    }
    body += ',' + base::to_text(answer).substr(1);
    {
        // Who has the answer finds the command in the log.
        const std::lock_guard lock(mutex_);
        ended_ = true;
        if (!open_) {
            early_ = std::move(body);
            return;
        }
    }
    responder_->send(text_response(200, "application/json", std::move(body)));
}

void ExecAnswer::fill(std::string& out) {
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
