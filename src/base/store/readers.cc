#include "base/store/readers.h"

namespace base::store {

Result<void> Readers::read(const Work& work) {
    std::unique_ptr<Connection> connection = DG_TRY(take());
    Result<void> result = connection->begin_read();
    if (result) {
        result = work(*connection);
        connection->rollback();  // nothing was changed
    }
    give(std::move(connection));
    return result;
}

Result<void> Readers::alone(const std::function<Result<void>()>& task) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !held_off_; });
    held_off_ = true;
    changed_.wait(lock, [&] { return in_use_ == 0; });
    lock.unlock();
    Result<void> result = task();
    lock.lock();
    held_off_ = false;
    changed_.notify_all();
    return result;
}

void Readers::forget_idle() {
    std::vector<std::unique_ptr<Connection>> idle;  // closed without the lock
    const std::lock_guard lock(mutex_);
    idle.swap(idle_);
}

Result<std::unique_ptr<Connection>> Readers::take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !held_off_ && in_use_ < connections_max_; });
    ++in_use_;
    if (!idle_.empty()) {
        std::unique_ptr<Connection> connection = std::move(idle_.back());
        idle_.pop_back();
        return connection;
    }
    lock.unlock();
    Result<std::unique_ptr<Connection>> made = connect_();
    if (!made) give(nullptr);
    return made;
}

void Readers::give(std::unique_ptr<Connection> connection) {
    std::lock_guard lock(mutex_);
    --in_use_;
    if (connection) idle_.push_back(std::move(connection));
    changed_.notify_all();
}

}  // namespace base::store
