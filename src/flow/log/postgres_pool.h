#pragma once
// Connections that threads take for one call each.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/store/postgres_pipe.h"

namespace flow {

/// Thread-safe.
class PostgresPool {
public:
    using Pipe = base::store::PostgresPipe;
    using Connect = std::function<base::Result<std::unique_ptr<Pipe>>()>;
    /// At most `connections_max` at a time; more callers wait.
    PostgresPool(Connect connect, std::size_t connections_max)
        : connect_(std::move(connect)), connections_max_(connections_max) {}

    /// One transaction of what may be run twice: a connection may have been lost long ago without
    /// being told. Errors: the server's.
    base::Result<std::vector<base::store::PipeAnswer>> run(
        std::span<const base::store::PipeStatement> statements);
    base::Result<base::store::PipeAnswer> run(const base::store::PipeStatement& statement);

private:
    base::Result<std::unique_ptr<Pipe>> take();
    void give(std::unique_ptr<Pipe> pipe);

    const Connect connect_;
    const std::size_t connections_max_;
    std::mutex mutex_;  // guards what is below
    std::condition_variable given_;
    std::vector<std::unique_ptr<Pipe>> idle_;
    std::size_t in_use_ = 0;
};

}  // namespace flow
