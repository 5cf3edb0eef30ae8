#include "sphere/http/log_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/core/utf8.h"
#include "sphere/http/exec_answer.h"
#include "sphere/http/spec_json.h"

namespace sphere {

namespace json = base::json;

namespace {

/// Bytes that are no UTF-8 as U+FFFD: a log is text.
std::string readable(std::string_view bytes) {
    std::string out;
    for (std::size_t at = 0; at < bytes.size();) {
        const base::Utf8Char c = base::utf8_at(bytes, at);
        out += c.valid ? bytes.substr(at, c.bytes) : std::string_view("\xEF\xBF\xBD");
        at += c.valid ? c.bytes : 1;
    }
    return out;
}

void append_event(std::string& out, std::uint64_t id, std::string_view name,
                  const json::object& data) {
    out += fmt::format("id: {}\nevent: {}\ndata: {}\n\n", id, name, base::to_text(data));
}

std::int64_t unix_ms(const base::Clock& clock) {
    return clock.unix_ns() / 1'000'000;
}

}  // namespace

LogBook::LogBook(const base::Clock& clock, LogBookOptions options)
    : clock_(clock), options_(std::move(options)) {}

std::uint64_t LogBook::add(const SandboxId& box, ExecId exec, const std::vector<std::string>& argv,
                           bool tty) {
    std::vector<std::string> shown;
    for (const std::string& word : argv) {
        constexpr std::size_t kWordBytesMax = 4096;
        std::string text = readable(options_.scrub ? options_.scrub(box, word) : word);
        if (text.size() > kWordBytesMax) {
            text.resize(kWordBytesMax);
            text.resize(base::utf8_valid_prefix_bytes(text));
            text += "…";
        }
        shown.push_back(std::move(text));
    }
    std::vector<std::function<void()>> tell;
    std::uint64_t number = 0;
    {
        const std::lock_guard lock(mutex_);
        Box& at = boxes_[box];
        std::erase(order_, box);
        order_.push_back(box);
        number = at.next_entry++;
        at.entries.push_back({.number = number,
                              .start_id = at.next_id++,
                              .exec = exec,
                              .argv = std::move(shown),
                              .tty = tty,
                              .started_unix_ms = unix_ms(clock_),
                              .pieces = {},
                              .result = {}});
        if (at.entries.size() > options_.execs_per_box) at.entries.pop_front();
        while (order_.size() > options_.boxes_max) {
            boxes_.erase(order_.front());
            order_.pop_front();
        }
        for (const auto& [id, follower] : at.followers) tell.push_back(follower);
    }
    for (const auto& follower : tell) follower();
    return number;
}

void LogBook::change(const SandboxId& box, std::uint64_t number,
                     const std::function<void(Box&, Entry&)>& change) {
    std::vector<std::function<void()>> tell;
    {
        const std::lock_guard lock(mutex_);
        const auto at = boxes_.find(box);
        if (at == boxes_.end()) return;
        const auto entry = std::ranges::find(at->second.entries, number, &Entry::number);
        if (entry == at->second.entries.end()) return;
        change(at->second, *entry);
        for (const auto& [id, follower] : at->second.followers) tell.push_back(follower);
    }
    for (const auto& follower : tell) follower();
}

void LogBook::put(const SandboxId& box, std::uint64_t number, Stream stream, std::string text) {
    const std::size_t max = options_.bytes_per_exec;
    change(box, number, [&](Box& at, Entry& entry) {
        entry.bytes += text.size();
        entry.pieces.push_back({at.next_id++, stream, std::move(text)});
        while (entry.bytes > max && entry.pieces.size() > 1) {
            entry.bytes -= entry.pieces.front().text.size();
            entry.dropped += entry.pieces.front().text.size();
            entry.pieces.pop_front();
        }
    });
}

LogBook::Writer::Writer(LogBook& book, SandboxId box, std::vector<std::string> argv, bool tty)
    : book_(book), box_(std::move(box)), argv_(std::move(argv)), tty_(tty) {}

void LogBook::Writer::started(ExecId exec) {
    const std::lock_guard lock(mutex_);
    number_ = book_.add(box_, exec, argv_, tty_);
    put_complete(Stream::out, false);
    put_complete(Stream::err, false);
    if (result_) put_end();
}

void LogBook::Writer::append(Stream stream, std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    std::string& held = held_[stream == Stream::out ? 0 : 1];
    held += bytes;
    if (number_ != 0) return put_complete(stream, false);
    // A ring, here too: the newest counts.
    const std::size_t max = book_.options_.bytes_per_exec;
    if (held.size() > max) held.erase(0, held.size() - max);
}

void LogBook::Writer::end(const ExecResult& result) {
    const std::lock_guard lock(mutex_);
    result_ = result;
    if (number_ != 0) put_end();
}

void LogBook::Writer::put_complete(Stream stream, bool last) {
    std::string& held = held_[stream == Stream::out ? 0 : 1];
    std::size_t whole = held.size();
    if (!last && book_.options_.scrub) {
        const std::size_t line = held.find_last_of("\r\n");
        whole = line == std::string::npos ? 0 : line + 1;
        if (held.size() - whole > book_.options_.bytes_per_exec) whole = held.size();
    } else if (!last) {
        whole = unfinished_character(held);
    }
    if (whole == 0) return;
    const std::string_view ready(held.data(), whole);
    book_.put(
        box_, number_, stream,
        readable(book_.options_.scrub ? book_.options_.scrub(box_, ready) : std::string(ready)));
    held.erase(0, whole);
}

void LogBook::Writer::put_end() {
    put_complete(Stream::out, true);
    put_complete(Stream::err, true);
    book_.change(box_, number_, [this](Box& box, Entry& entry) {
        entry.end_id = box.next_id++;
        entry.ended_unix_ms = unix_ms(book_.clock_);
        entry.result = to_json(*result_);
    });
}

json::object LogBook::head_json(const Entry& entry) {
    return {{"exec", entry.exec},
            {"argv", json::array(entry.argv.begin(), entry.argv.end())},
            {"tty", entry.tty},
            {"started_at_ms", entry.started_unix_ms}};
}

LogBook::News LogBook::events_after(const SandboxId& box, std::uint64_t after) const {
    const std::lock_guard lock(mutex_);
    News news{.events = {}, .last = after};
    const auto at = boxes_.find(box);
    if (at == boxes_.end()) return news;
    news.last = at->second.next_id - 1;
    // Commands run side by side: their events are told in the order in which they came.
    std::map<std::uint64_t, std::string> events;
    for (const Entry& entry : at->second.entries) {
        if (entry.start_id > after) {
            append_event(events[entry.start_id], entry.start_id, "start", head_json(entry));
        }
        for (const Piece& piece : entry.pieces) {
            if (piece.id <= after) continue;
            append_event(events[piece.id], piece.id, "output",
                         {{"exec", entry.exec},
                          {"stream", piece.stream == Stream::out ? "out" : "err"},
                          {"text", piece.text}});
        }
        if (entry.end_id > after) {
            json::object end = entry.result;
            end["exec"] = entry.exec;
            end["ended_at_ms"] = entry.ended_unix_ms;
            append_event(events[entry.end_id], entry.end_id, "end", end);
        }
    }
    for (const auto& [id, text] : events) news.events += text;
    return news;
}

json::array LogBook::listing(const SandboxId& box) const {
    const std::lock_guard lock(mutex_);
    json::array out;
    const auto at = boxes_.find(box);
    if (at == boxes_.end()) return out;
    for (const Entry& entry : at->second.entries) {
        json::object one = head_json(entry);
        json::array output;
        for (const Piece& piece : entry.pieces) {
            const std::string_view stream = piece.stream == Stream::out ? "out" : "err";
            if (!output.empty() && output.back().at("stream") == json::string_view(stream)) {
                output.back().at("text").as_string() += piece.text;
            } else {
                output.push_back(json::object{{"stream", stream}, {"text", piece.text}});
            }
        }
        one["output"] = std::move(output);
        one["dropped_bytes"] = entry.dropped;
        if (entry.end_id != 0) {
            one["ended_at_ms"] = entry.ended_unix_ms;
            one["result"] = entry.result;
        }
        out.push_back(std::move(one));
    }
    return out;
}

std::uint64_t LogBook::follow(const SandboxId& box, std::function<void()> tell) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t id = next_follower_++;
    if (!boxes_.contains(box)) order_.push_back(box);
    boxes_[box].followers[id] = std::move(tell);
    return id;
}

void LogBook::unfollow(const SandboxId& box, std::uint64_t follower) {
    const std::lock_guard lock(mutex_);
    const auto at = boxes_.find(box);
    if (at != boxes_.end()) at->second.followers.erase(follower);
}

}  // namespace sphere
