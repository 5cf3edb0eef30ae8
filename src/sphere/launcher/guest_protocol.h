#pragma once
// What the server and the agent in a container or virtual machine say to each other. The messages
// are protocol.h's, sent one behind the other over one stream of bytes; a command's streams, which
// a box is given as descriptors, travel as messages here.
//
//   configured, by the agent, as soon as it listens: a serial line loses what came before;
//   guest_setup -> ready or setup_failed, once; then
//   start -> started or start_failed; input -> input_taken; output; exited, the last of a command.
//
// Output needs no window of its own: the agent stops reading a command while the stream is full.
// Input does, so that one command that does not read cannot stop the others: at most kInputWindow
// bytes may be on their way.

#include "sphere/launcher/protocol.h"

namespace sphere::launcher {

inline constexpr std::size_t kInputWindow = 64 * 1024;
inline constexpr std::size_t kStreamPiece = 32 * 1024;

enum GuestFlags : std::uint32_t {
    kGuestLoopback = 1,  ///< bring lo up
    kGuestMachine = 2,   ///< mount everything itself: its kernel did nothing
};
/// Followed by `filter_count` sock_filter, which each command obeys.
struct GuestSetup {
    static constexpr Type kType = Type::guest_setup;
    Head head;
    std::uint32_t flags = 0, filter_count = 0;
    std::uint64_t tmp_bytes = 0, workspace_bytes = 0, inodes = 0;
};
/// Followed by the bytes; none with `ends` set ends the input.
struct Input {
    static constexpr Type kType = Type::input;
    Head head;
    std::uint64_t exec = 0;
    std::uint32_t ends = 0, unused = 0;
};
struct InputTaken {
    static constexpr Type kType = Type::input_taken;
    Head head;
    std::uint64_t exec = 0;
    std::uint64_t bytes = 0;
};
/// Followed by the bytes.
struct Output {
    static constexpr Type kType = Type::output;
    Head head;
    std::uint64_t exec = 0;
    std::uint32_t errors = 0;  ///< 1: stderr
    std::uint32_t unused = 0;
};
struct Resize {
    static constexpr Type kType = Type::resize;
    Head head;
    std::uint64_t exec = 0;
    std::uint16_t columns = 0, rows = 0;
    std::uint32_t unused = 0;
};

/// Cuts a stream of bytes into packets; what a line carried before the first is skipped. `buffer`
/// holds at least one of the largest.
class PacketCutter {
public:
    explicit PacketCutter(std::span<std::byte> buffer) : buffer_(buffer) {}
    /// Where the next bytes go; never empty after next() said there is none.
    std::span<std::byte> room() { return buffer_.subspan(filled_); }
    void add(std::size_t bytes) { filled_ += bytes; }
    /// The next whole packet, valid until the next call; empty when more bytes are needed.
    std::span<std::byte> next();
    /// What came is no packet of this protocol; the stream cannot be used any more.
    bool unsound() const { return unsound_; }

private:
    std::span<std::byte> buffer_;
    std::size_t filled_ = 0, given_ = 0;
    bool begun_ = false, unsound_ = false;
};

}  // namespace sphere::launcher
