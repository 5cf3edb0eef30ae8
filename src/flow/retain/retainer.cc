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
    DG_TRY(purge(request, std::numeric_limits<std::uint32_t>::max(), after, more));
    return 0;  // the next look is in a minute
}

Result<Purged> Retainer::purge(const PurgeRequest& request, std::uint32_t batches, RunId& after,
                               bool& more) {
    const std::lock_guard lock(one_);
    const RetentionParts parts{parts_.log, parts_.retiring, parts_.definitions,
                               parts_.archive.get(),
                               [this](std::vector<RunId> runs) { return remove(std::move(runs)); }};
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
Result<std::vector<RunId>> Retainer::remove(std::vector<RunId> runs) {
    std::vector<RunHead> heads;
    heads.reserve(runs.size());
    for (const RunId run : runs) {
        RunHead head = DG_TRY(parts_.log.load_head(run));
        if (is_final(head.status)) heads.push_back(std::move(head));
    }
    auto promise = std::make_shared<std::promise<Result<void>>>();
    std::future<Result<void>> removed = promise->get_future();
    const auto go = [this, &heads, promise] {
        parts_.retiring.remove(
            heads, [promise](Result<void> done) { promise->set_value(std::move(done)); });
    };
    if (parts_.runtime.fleet() != nullptr) {
        go();
    } else {
        parts_.runtime.post(go);
    }
    DG_TRY(removed.get());
    runs.clear();
    for (const RunHead& head : heads) runs.push_back(head.id);
    return runs;
}

}  // namespace flow
