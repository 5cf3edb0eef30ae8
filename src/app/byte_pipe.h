#pragma once
// Bytes from one thread to another, a bounded amount at a time.

#include <condition_variable>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace app {

class BytePipe {
public:
    /// Waits for room. False: the reader has left.
    bool write(std::string_view bytes);
    /// What was written is all there is; not `complete`: the reader must not take it for whole.
    void end(bool complete);

    /// Waits for bytes. 0: the end; nothing: it ended incomplete.
    std::optional<std::size_t> read(std::span<char> into);
    void leave();

private:
    static constexpr std::size_t kWaitingBytesMax = 256 * 1024;

    std::mutex mutex_;  // guards the rest
    std::condition_variable changed_;
    std::string waiting_;
    bool ended_ = false, complete_ = false, left_ = false;
};

}  // namespace app
