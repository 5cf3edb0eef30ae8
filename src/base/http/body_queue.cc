#include "base/http/body_queue.h"

#include <utility>

namespace base::http {
namespace {

class Body final : public RequestBody {
public:
    explicit Body(std::shared_ptr<BodyQueue> queue) : queue_(std::move(queue)) {}
    ~Body() override { queue_->abandon(); }
    Body(const Body&) = delete;
    Body& operator=(const Body&) = delete;

    Result<std::string> next() override { return queue_->next(); }

private:
    std::shared_ptr<BodyQueue> queue_;
};

}  // namespace

RequestBodyPtr make_body(std::shared_ptr<BodyQueue> queue) {
    return std::make_shared<Body>(std::move(queue));
}

bool BodyQueue::has_room() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size() < kWaitingBytesMax;
}

void BodyQueue::push(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    if (abandoned_ || ended_) return;
    waiting_.append(bytes);
    changed_.notify_all();
}

void BodyQueue::end(std::optional<Error> error) {
    const std::lock_guard lock(mutex_);
    wake_ = nullptr;
    if (std::exchange(ended_, true)) return;
    error_ = std::move(error);
    changed_.notify_all();
}

bool BodyQueue::abandoned() const {
    const std::lock_guard lock(mutex_);
    return abandoned_;
}

Result<std::string> BodyQueue::next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
    // What came before a failure is of no use: whoever takes it would have to take it back.
    if (error_) return std::unexpected(*error_);
    if (wake_) wake_();
    return std::exchange(waiting_, {});
}

void BodyQueue::abandon() {
    const std::lock_guard lock(mutex_);
    abandoned_ = true;
    waiting_.clear();
    if (wake_) wake_();
}

}  // namespace base::http
