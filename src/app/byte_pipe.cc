#include "app/byte_pipe.h"

#include <algorithm>

namespace app {

bool BytePipe::write(std::string_view bytes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return left_ || waiting_.size() < kWaitingBytesMax; });
    if (left_) return false;
    waiting_ += bytes;
    changed_.notify_all();
    return true;
}

void BytePipe::end(bool complete) {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    complete_ = complete;
    changed_.notify_all();
}

std::optional<std::size_t> BytePipe::read(std::span<char> into) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
    if (ended_ && !complete_) return std::nullopt;
    const std::size_t count = std::min(into.size(), waiting_.size());
    std::copy_n(waiting_.begin(), count, into.begin());
    waiting_.erase(0, count);
    changed_.notify_all();
    return count;
}

void BytePipe::leave() {
    const std::lock_guard lock(mutex_);
    left_ = true;
    changed_.notify_all();
}

}  // namespace app
