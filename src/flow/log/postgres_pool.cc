#include "flow/log/postgres_pool.h"

namespace flow {

using base::Result;
using base::store::PipeAnswer;
using base::store::PipeStatement;

Result<std::unique_ptr<base::store::PostgresPipe>> PostgresPool::take() {
    {
        std::unique_lock lock(mutex_);
        given_.wait(lock, [&] { return in_use_ < connections_max_; });
        ++in_use_;
        while (!idle_.empty()) {
            auto pipe = std::move(idle_.back());
            idle_.pop_back();
            if (!pipe->lost()) return pipe;
        }
    }
    auto made = connect_();
    if (!made) give(nullptr);
    return made;
}

void PostgresPool::give(std::unique_ptr<Pipe> pipe) {
    const std::lock_guard lock(mutex_);
    --in_use_;
    if (pipe != nullptr && !pipe->lost()) idle_.push_back(std::move(pipe));
    given_.notify_one();
}

Result<std::vector<PipeAnswer>> PostgresPool::run(std::span<const PipeStatement> statements) {
    for (bool again = true;; again = false) {
        auto pipe = DG_TRY(take());
        auto answers = pipe->run(statements);
        const bool lost = pipe->lost();
        give(std::move(pipe));
        if (answers || !again || !lost) return answers;
        const std::lock_guard lock(mutex_);
        idle_.clear();  // the others are as old
    }
}

Result<PipeAnswer> PostgresPool::run(const PipeStatement& statement) {
    auto answers = DG_TRY(run({&statement, 1}));
    return std::move(answers[0]);
}

}  // namespace flow
