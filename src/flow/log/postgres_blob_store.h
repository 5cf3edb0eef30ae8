#pragma once
// Values that are too large for an event as rows, in pieces, so that every process that shares the
// runs reads them and none is held in memory twice.

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_set>

#include "base/core/clock.h"
#include "flow/blobs/blob_store.h"
#include "flow/log/postgres_pool.h"

namespace flow {

class PostgresBlobStore final : public BlobStore {
public:
    struct Options {
        std::size_t piece_bytes = 4u << 20;  ///< of a value in one row
        /// What was put longer ago and is of no run was left by a process that died.
        std::chrono::hours orphan_after{24};
    };
    /// The tables exist (PostgresRunLog::open). Both outlive it.
    PostgresBlobStore(PostgresPool& pool, const base::Clock& clock, Options options)
        : pool_(pool), clock_(clock), options_(options) {}
    PostgresBlobStore(PostgresPool& pool, const base::Clock& clock)
        : PostgresBlobStore(pool, clock, Options{}) {}

    base::Result<std::string> put(RunId run, std::string_view bytes) override;
    base::Result<std::string> get(RunId run, std::string_view hash) override;
    base::Result<void> remove(RunId run, std::string_view hash) override;
    /// The database knows its runs: `known` is not asked. Beside put, too, as others put meanwhile.
    base::Result<std::size_t> collect(
        const std::function<base::Result<bool>(RunId)>& known) override;

private:
    bool put_lately(const std::string& name);

    PostgresPool& pool_;
    const base::Clock& clock_;
    const Options options_;
    std::mutex mutex_;  // guards what is below
    /// Run and hash of what this process has made durable since `since_`.
    std::unordered_set<std::string> lately_;
    base::Instant since_{};
};

}  // namespace flow
