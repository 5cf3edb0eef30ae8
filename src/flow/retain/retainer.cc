#include "flow/retain/retainer.h"

#include <future>
#include <limits>

namespace flow {

using base::Result;

namespace {

constexpr std::chrono::minutes kLookEvery{1};

}  // namespace

Retainer::Retainer(Parts parts, std::int64_t keep_ms)
    : parts_(std::move(parts)), keep_ms_(keep_ms) {
    if (parts_.metrics != nullptr) {
        removed_ = &parts_.metrics->counter("dougong_flow_runs_removed_total",
                                            "Finished runs that left the store.");
        archived_ = &parts_.metrics->counter("dougong_flow_runs_archived_total",
                                             "Finished runs that went into the archive.");
        failures_ = &parts_.metrics->counter(
            "dougong_flow_retention_failures_total",
            "Times that finished runs could not be let go; they stay, and it is tried again.");
    }
    if (keep_ms_ > 0) {
        job_ = std::make_unique<base::BatchJob>([this] { return let_go(); }, kLookEvery);
    }
}

Retainer::~Retainer() {
    job_.reset();
}

Result<std::size_t> Retainer::let_go() {
    PurgeRequest request;
    request.any_tenant = true;
    request.finished_before_ms = parts_.clock.unix_ns() / 1'000'000 - keep_ms_;
    RunId after;
    bool more = false;
    const auto purged = purge(request, std::numeric_limits<std::uint32_t>::max(), after, more);
    if (!purged && failures_ != nullptr) failures_->add(1);
    DG_TRY(purged);
    return 0;  // the next look is in a minute
}

Result<Purged> Retainer::purge(const PurgeRequest& request, std::uint32_t batches, RunId& after,
                               bool& more) {
    const std::lock_guard lock(one_);
    const RetentionParts parts{parts_.log, parts_.retiring, parts_.definitions,
                               parts_.archive.get(),
                               [this](std::span<const RunHead> heads) { return remove(heads); }};
    Purged out;
    more = true;
    for (std::uint32_t i = 0; i < batches && more; ++i) {
        Purged some =
            DG_TRY(purge_batch(parts, request, parts_.clock.unix_ns() / 1'000'000, after, more));
        if (removed_ != nullptr && !request.dry_run) {
            removed_->add(static_cast<double>(some.removed));
            archived_->add(static_cast<double>(some.archived));
        }
        if (!request.dry_run && some.removed != 0 && parts_.forget) {
            DG_TRY(parts_.forget({some.runs.begin(), some.runs.end()}));
        }
        out += some;
    }
    if (!request.dry_run && out.removed != 0) DG_TRY(parts_.retiring.reclaim());
    return out;
}

/// On the runtime's thread, where runs are written; a shared database is asked from here.
Result<void> Retainer::remove(std::span<const RunHead> heads) {
    std::promise<Result<void>> promise;
    std::future<Result<void>> removed = promise.get_future();
    const auto go = [this, heads, &promise] {
        parts_.retiring.remove(
            heads, [&promise](Result<void> done) { promise.set_value(std::move(done)); });
    };
    if (parts_.runtime.fleet() != nullptr) {
        go();
    } else {
        parts_.runtime.post(go);
    }
    return removed.get();
}

}  // namespace flow
