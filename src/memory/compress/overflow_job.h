#pragma once
// Compresses sessions that have become too large, in the background, without being asked: to half
// of what is allowed, so that it is seldom done. Nothing is dropped: old memories that follow each
// other become summaries, and it can be taken back as any compression.

#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/exec/batch_job.h"
#include "memory/compress/compression.h"
#include "memory/memory.h"
#include "memory/truth/truth.h"

namespace memory::compress {

struct SessionSize {
    std::uint64_t entries = 0, tokens = 0;
};

class OverflowJob {
public:
    /// What a session of that scope has; `row` is one of it.
    using Measure = std::function<base::Result<SessionSize>(const Scope& scope, truth::RowId row)>;

    /// All outlive it.
    OverflowJob(Compressor& compressor, const CompressWhen& when, bool by_model, Measure measure);

    /// What was written. Sessions are measured when they are first heard of, and again when they
    /// may have grown too large.
    void notify(std::span<const truth::Change> changes);
    base::Result<void> settle() { return job_.settle(); }
    /// Adds what was done since the start.
    void stats(StoreStats& out) const;

private:
    struct Session {
        Scope scope;
        truth::RowId row = 0;
        SessionSize size;  ///< at most
        bool measured = false;
        /// Tried in vain at this size: not again before it has grown.
        std::uint64_t tried_entries = 0;
    };

    bool too_large(const SessionSize& size) const;
    bool due(const Session& session) const;
    /// The next session that waits: how many were looked at.
    base::Result<std::size_t> one();
    /// Measures the session and compresses it if it is too large; its size afterwards.
    base::Result<SessionSize> fit(Session session);
    Policy policy_for(const SessionSize& size) const;

    Compressor& compressor_;
    const CompressWhen when_;
    const bool by_model_;
    const Measure measure_;
    mutable std::mutex mutex_;                           // guards what follows
    std::unordered_map<std::string, Session> sessions_;  // by their scope
    std::set<std::string> waiting_;
    std::uint64_t compressed_ = 0, by_model_count_ = 0, picked_ = 0;
    std::string summary_error_;
    base::BatchJob job_;  // stopped first
};

}  // namespace memory::compress
