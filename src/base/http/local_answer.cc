#include "base/http/local_answer.h"

#include <utility>

namespace base::http {

void LocalAnswer::send(Response response) {
    const std::lock_guard lock(mutex_);
    response_ = std::move(response);
    ended_ = true;
    changed_.notify_all();
}

void LocalAnswer::begin_stream(int status, Headers headers) {
    const std::lock_guard lock(mutex_);
    response_.status = status;
    response_.headers = std::move(headers);
}

bool LocalAnswer::write(std::string_view chunk) {
    const std::lock_guard lock(mutex_);
    waiting_ += chunk;
    changed_.notify_all();
    return !closed_;
}

void LocalAnswer::end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
}

Response LocalAnswer::take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_; });
    return std::move(response_);
}

std::optional<std::string> LocalAnswer::next() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(200),
                      [&] { return ended_ || !waiting_.empty(); });
    if (ended_ && waiting_.empty()) return std::nullopt;
    return std::exchange(waiting_, {});
}

int LocalAnswer::status() {
    const std::lock_guard lock(mutex_);
    return response_.status;
}

}  // namespace base::http
