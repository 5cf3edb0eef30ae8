#pragma once
// Server-sent events as text, numbered when their stream can be read again, and the memory of such
// a stream.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

namespace gate {

/// Where writers put the events of a stream. In front of each event they call begin().
class EventText {
public:
    /// Events are appended to `out`, from `next_id` on; `numbered` ones get an id line.
    EventText(std::string& out, std::uint64_t next_id, bool numbered)
        : out_(&out), next_id_(next_id), numbered_(numbered) {}

    /// Starts an event; the caller appends its lines and the empty line to the result.
    std::string& begin();
    std::uint64_t next_id() const { return next_id_; }

private:
    std::string* out_;
    std::uint64_t next_id_;
    bool numbered_;
};

/// The events of one stream, for readers that come back. The oldest go when they take more bytes
/// than allowed. Not thread-safe.
class EventLog {
public:
    explicit EventLog(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    /// `events` numbered from next_id() to `next_id` - 1.
    void add(std::string events, std::uint64_t next_id);
    std::uint64_t first_id() const { return blocks_.empty() ? next_id_ : blocks_.front().first_id; }
    std::uint64_t next_id() const { return next_id_; }
    std::size_t bytes() const { return bytes_; }
    /// Appends the events from `id` on. Pre: first_id() <= id.
    void read(std::uint64_t id, std::string& out) const;

private:
    struct Block {
        std::uint64_t first_id = 0;
        std::string events;
    };
    const std::size_t bytes_max_;
    std::deque<Block> blocks_;
    std::uint64_t next_id_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace gate
