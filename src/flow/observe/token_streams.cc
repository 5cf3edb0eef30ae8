#include "flow/observe/token_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <future>

#include "base/api/error_answer.h"

namespace flow {
namespace {

namespace json = base::json;

std::string frame(std::string_view event, json::object data, std::string_view id = {}) {
    json::object whole{{"event", event}};
    for (auto& [name, value] : data) whole[name] = std::move(value);
    return fmt::format("{}{}{}event: {}\ndata: {}\n\n", id.empty() ? "" : "id: ", id,
                       id.empty() ? "" : "\n", event, base::to_text(whole));
}

/// "CALL-TOKENS"; zeros where it says nothing.
std::pair<std::int64_t, std::uint64_t> id_of(std::string_view text) {
    std::int64_t call = 0;
    std::uint64_t tokens = 0;
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, call);
    if (first.ec != std::errc() || first.ptr == end || *first.ptr != '-') return {};
    if (std::from_chars(first.ptr + 1, end, tokens).ec != std::errc()) return {};
    return {call, tokens};
}

/// What ends a step's stream; empty: nothing that this event says.
std::string_view end_word(const Event& event) {
    switch (event.kind) {
        case EventKind::step_finished:
            return "done";
        case EventKind::step_failed:
            return event.until_ms == 0 ? "failed" : "";
        case EventKind::step_skipped:
            return "skipped";
        default:
            return "";
    }
}

bool ends_run(EventKind kind) {
    return kind == EventKind::run_completed || kind == EventKind::run_failed ||
           kind == EventKind::run_cancelled;
}

json::object done_data(std::string_view path, std::string_view status, const json::value& output,
                       const std::optional<base::Error>& error) {
    json::object out{{"step", path}, {"status", status}};
    if (!output.is_null()) out["output"] = output;
    if (error) out["error"] = error->message;
    return out;
}

}  // namespace

void TokenStreams::attach(Runtime& runtime) {
    runtime_ = &runtime;
    std::promise<void> attached;
    runtime.post([&] {
        watcher_ = runtime.engine().watch(
            [this](RunId run, const std::vector<Event>& events, std::uint64_t) {
                if (known_.load(std::memory_order_relaxed) != 0) heard(run, events);
            });
        attached.set_value();
    });
    attached.get_future().wait();
}

void TokenStreams::detach() {
    Runtime* const runtime = std::exchange(runtime_, nullptr);
    if (runtime == nullptr) return;
    std::promise<void> detached;
    runtime->post([&] {
        runtime->engine().unwatch(watcher_);
        detached.set_value();
    });
    detached.get_future().wait();
    const std::lock_guard lock(mutex_);
    for (auto& [id, run] : runs_) {
        for (Reader& reader : run.readers) reader.responder->end();
    }
    runs_.clear();
    known_ = 0;
}

std::shared_ptr<TokenStreams::Call> TokenStreams::begin(RunId run, std::string_view path,
                                                        std::uint32_t attempt) {
    std::shared_ptr<Call> call(new Call(*this, run, std::string(path)));
    const std::lock_guard lock(mutex_);
    call->attempt_ = attempt;
    call->number_ = std::max(clock_.unix_ns() / 1'000'000, number_last_ + 1);
    number_last_ = call->number_;
    Run& known = runs_[run];
    known_ = runs_.size();
    known.calls.insert_or_assign(std::string(path), call);
    std::erase_if(known.readers, [&](Reader& reader) {
        return (reader.path.empty() || reader.path == path) && !catch_up(reader, *call);
    });
    return call;
}

/// Gives a reader what it lacks of a call. False: it reads too slowly or is gone.
bool TokenStreams::catch_up(Reader& reader, const Call& call) {
    const bool whole_run = reader.path.empty();
    const auto about = [&] {
        return json::object{
            {"step", call.path_}, {"attempt", call.attempt_}, {"call", call.number_}};
    };
    std::string text;
    if (whole_run || reader.call != call.number_) {
        reader.tokens = 0;
        reader.call = call.number_;
        text += frame("attempt", about(),
                      whole_run ? std::string() : fmt::format("{}-0", call.number_));
    }
    if (reader.tokens < call.ends_.size()) {
        const std::size_t from = reader.tokens == 0 ? 0 : call.ends_[reader.tokens - 1];
        json::object data = about();
        data["index"] = reader.tokens;
        data["text"] = std::string_view(call.text_).substr(from);
        reader.tokens = call.ends_.size();
        text +=
            frame("token", std::move(data),
                  whole_run ? std::string() : fmt::format("{}-{}", call.number_, reader.tokens));
    }
    return text.empty() || reader.responder->write(text);
}

void TokenStreams::write(Call& call, std::string_view token) {
    if (token.empty()) return;
    const std::lock_guard lock(mutex_);
    const auto run = runs_.find(call.run_);
    if (run == runs_.end()) return;
    const auto current = run->second.calls.find(call.path_);
    if (current == run->second.calls.end() || current->second.get() != &call) return;
    const std::uint64_t index = call.tokens_++;
    if (call.text_.size() + token.size() <= kTextBytesMax && index == call.ends_.size()) {
        call.text_ += token;
        call.ends_.push_back(static_cast<std::uint32_t>(call.text_.size()));
    }
    json::object data{{"step", call.path_},
                      {"attempt", call.attempt_},
                      {"call", call.number_},
                      {"index", index},
                      {"text", token}};
    const std::string for_run = frame("token", data);
    const std::string for_step =
        frame("token", std::move(data), fmt::format("{}-{}", call.number_, index + 1));
    std::erase_if(run->second.readers, [&](Reader& reader) {
        if (reader.path.empty()) return !reader.responder->write(for_run);
        if (reader.path != call.path_) return false;
        reader.tokens = index + 1;
        return !reader.responder->write(for_step);
    });
}

/// On the runtime's thread: ends of steps and runs.
void TokenStreams::heard(RunId id, const std::vector<Event>& events) {
    const std::lock_guard lock(mutex_);
    const auto run = runs_.find(id);
    if (run == runs_.end()) return;
    for (const Event& event : events) {
        if (ends_run(event.kind)) {
            for (Reader& reader : run->second.readers) {
                if (reader.alone) reader.responder->end();
                if (reader.path.empty()) continue;  // the run's stream is ended by who began it
                reader.responder->write(
                    frame("done", done_data(reader.path, "cancelled", nullptr, event.error)));
                reader.responder->end();
            }
            runs_.erase(run);
            known_ = runs_.size();
            return;
        }
        if (event.path.empty()) continue;
        if (event.kind == EventKind::step_failed) run->second.calls.erase(event.path);
        const std::string_view word = end_word(event);
        if (word.empty()) continue;
        run->second.calls.erase(event.path);
        std::erase_if(run->second.readers, [&](Reader& reader) {
            if (reader.path != event.path) return false;
            reader.responder->write(
                frame("done", done_data(event.path, word, event.value, event.error)));
            reader.responder->end();
            return true;
        });
    }
    tidy(id);
}

void TokenStreams::tidy(RunId id) {
    const auto run = runs_.find(id);
    if (run == runs_.end()) return;
    std::erase_if(run->second.readers,
                  [](const Reader& reader) { return reader.responder->closed(); });
    if (run->second.calls.empty() && run->second.readers.empty()) runs_.erase(run);
    known_ = runs_.size();
}

void TokenStreams::join(RunId id, const base::http::ResponderPtr& responder, bool alone) {
    Runtime* const runtime = runtime_;
    if (runtime == nullptr) return;
    if (alone) {
        responder->begin_stream(
            200, {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}});
    }
    // There, so that the run cannot end between the look and the entry.
    runtime->post([this, runtime, id, responder, alone] {
        const auto state = runtime->engine().state(id);
        if (!state || is_final((*state)->status)) {
            if (alone) responder->end();
            return;
        }
        const std::lock_guard lock(mutex_);
        Run& run = runs_[id];
        known_ = runs_.size();
        Reader reader{responder, {}, 0, 0, alone};
        // From here on nothing is missed: who passes this on, and who waits for it, sees that.
        if (alone) responder->write(": open\n\n");
        for (const auto& [path, call] : run.calls) {
            if (!catch_up(reader, *call)) return tidy(id);
        }
        run.readers.push_back(std::move(reader));
    });
}

void TokenStreams::open_step(RunId id, const std::string& path, std::string_view last_id,
                             const base::http::ResponderPtr& responder) {
    const auto [call, tokens] = id_of(last_id);
    Reader reader{responder, path, call, tokens, false};
    Runtime* const runtime = runtime_;
    if (runtime == nullptr) return;
    // On the runtime's thread, so that the step cannot end between the look and the entry.
    std::promise<base::Result<void>> opened;
    runtime->post([&] {
        const auto state = runtime->engine().state(id);
        if (!state) return opened.set_value(std::unexpected(state.error()));
        if (find_definition(*(*state)->definition, path) == nullptr) {
            return opened.set_value(base::fail_on("path", base::Code::not_found,
                                                  "workflow '{}' has no step '{}'",
                                                  (*state)->definition->name, path));
        }
        responder->begin_stream(
            200, {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}});
        // Looks only; find_step takes what it could change.
        const auto step = find_step(const_cast<RunState&>(**state), path);
        const bool over = is_final((*state)->status) || (step && is_settled(step->state->status));
        if (over) {
            const std::string_view status =
                step ? status_name(step->state->status) : std::string_view("pending");
            responder->write(
                frame("done", done_data(path, status, step ? step->state->output : json::value(),
                                        step ? step->state->error : std::nullopt)));
            responder->end();
            return opened.set_value({});
        }
        const std::lock_guard lock(mutex_);
        Run& run = runs_[id];
        known_ = runs_.size();
        const auto current = run.calls.find(path);
        if (current == run.calls.end() || catch_up(reader, *current->second)) {
            run.readers.push_back(std::move(reader));
        }
        opened.set_value({});
    });
    if (const auto done = opened.get_future().get(); !done) {
        responder->send(base::api::error_response(done.error()));
    }
}

}  // namespace flow
