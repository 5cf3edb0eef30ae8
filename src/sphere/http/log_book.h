#pragma once
// The latest output of the commands that ran in each box, kept in memory so that somebody who comes
// later, or somebody else of the tenant, can read it: a bounded ring for each command, a bounded
// number of commands for each box, a bounded number of boxes.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/json/json.h"
#include "sphere/sphere.h"

namespace sphere {

struct LogBookOptions {
    std::size_t bytes_per_exec = 64 * 1024;
    std::size_t execs_per_box = 64;
    std::size_t boxes_max = 1024;  ///< of more, the one written to longest ago goes
    /// Takes secrets of a box out of its output, which it gets by whole lines (of at most
    /// bytes_per_exec), so that one is not split between two calls. Unset: nothing is taken out.
    /// Called under no lock, on the thread that writes.
    std::function<std::string(const SandboxId& box, std::string_view text)> scrub = {};
};

/// Thread-safe.
class LogBook {
public:
    LogBook(const base::Clock& clock, LogBookOptions options);

    /// One command's way into the book, which outlives it. A command prints, and may end, before
    /// whoever started it knows its number: what comes before started() waits for it.
    class Writer {
    public:
        Writer(LogBook& book, SandboxId box, std::vector<std::string> argv, bool tty);
        void started(ExecId exec);
        void append(Stream stream, std::string_view bytes);
        void end(const ExecResult& result);

    private:
        void put_complete(Stream stream, bool last);
        void put_end();

        LogBook& book_;
        const SandboxId box_;
        const std::vector<std::string> argv_;
        const bool tty_;
        std::mutex mutex_;          // guards the rest
        std::uint64_t number_ = 0;  ///< of the entry, within its box; 0 before started()
        std::string held_[2];       ///< of each stream, what is not complete
        std::optional<ExecResult> result_;
    };

    /// What happened in a box after the event `after` (0: all that is kept), in order, as server-
    /// sent events `start`, `output`, `end`; each has an id to go on from.
    struct News {
        std::string events;
        std::uint64_t last = 0;
    };
    News events_after(const SandboxId& box, std::uint64_t after) const;
    /// The commands that are kept, oldest first, each with its output.
    base::json::array listing(const SandboxId& box) const;

    /// `tell` is called after each event of the box, on the writer's thread, until unfollow.
    std::uint64_t follow(const SandboxId& box, std::function<void()> tell);
    void unfollow(const SandboxId& box, std::uint64_t follower);

private:
    struct Piece {
        std::uint64_t id;
        Stream stream;
        std::string text;
    };
    struct Entry {
        std::uint64_t number, start_id, end_id = 0;
        ExecId exec;
        std::vector<std::string> argv;
        bool tty;
        std::int64_t started_unix_ms, ended_unix_ms = 0;
        std::deque<Piece> pieces;
        std::size_t bytes = 0;
        std::uint64_t dropped = 0;
        base::json::object result;
    };
    struct Box {
        std::uint64_t next_id = 1, next_entry = 1;
        std::deque<Entry> entries;
        std::map<std::uint64_t, std::function<void()>> followers;
    };

    /// The new entry's number.
    std::uint64_t add(const SandboxId& box, ExecId exec, const std::vector<std::string>& argv,
                      bool tty);
    void put(const SandboxId& box, std::uint64_t number, Stream stream, std::string text);
    void change(const SandboxId& box, std::uint64_t number,
                const std::function<void(Box&, Entry&)>& change);
    static base::json::object head_json(const Entry& entry);

    const base::Clock& clock_;
    const LogBookOptions options_;

    mutable std::mutex mutex_;  // guards the rest; followers are called without it
    std::map<SandboxId, Box, std::less<>> boxes_;
    std::deque<SandboxId> order_;  ///< by the latest command, oldest first
    std::uint64_t next_follower_ = 1;
};

}  // namespace sphere
