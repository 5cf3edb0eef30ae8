#pragma once
// A few connections for reads, made when they are first needed and kept.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/store/connection.h"

namespace base::store {

class Readers {
public:
    using Connect = std::function<Result<std::unique_ptr<Connection>>()>;
    Readers(Connect connect, std::uint32_t connections_max)
        : connect_(std::move(connect)), connections_max_(connections_max) {}

    /// Waits for a connection. Runs `work` in a transaction that sees one state.
    Result<void> read(const Work& work);
    /// Waits until nobody reads; `task` runs while nobody may.
    Result<void> alone(const std::function<Result<void>()>& task);
    /// Closes the connections that nobody uses.
    void forget_idle();

private:
    Result<std::unique_ptr<Connection>> take();
    void give(std::unique_ptr<Connection> connection);

    const Connect connect_;
    const std::uint32_t connections_max_;
    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::vector<std::unique_ptr<Connection>> idle_;
    std::uint32_t in_use_ = 0;
    bool held_off_ = false;
};

}  // namespace base::store
