// Embeddings of short-term entries: who waits for one, who makes it, where it is kept.
#include <algorithm>
#include <iterator>

#include "memory/truth/half.h"
#include "memory/truth/redis_truth.h"

namespace memory::truth {
namespace {

using base::Result;
using base::redis::Command;
using base::redis::Reply;
using base::redis::Session;

constexpr std::int64_t kClaimMs = 60'000;

}  // namespace

RedisTruth::~RedisTruth() {
    static_cast<void>(flush_touches());
    if (claims_.empty()) return;
    // Those that are not embedded yet are others' to take; where this fails, in a minute.
    static_cast<void>(redis_->read([&](Session& session) -> Result<void> {
        Command give_up{"DEL"};
        for (const std::string& claim : claims_) {
            if (DG_TRY(session.run({"GET", claim})).text == claimer_) give_up.push_back(claim);
        }
        if (give_up.size() > 1) DG_TRY(session.run(give_up));
        return {};
    }));
}

Result<std::vector<Truth::Unembedded>> RedisTruth::unembedded(std::string_view model,
                                                              std::uint32_t limit) {
    std::vector<Unembedded> out;
    {
        const std::lock_guard lock(mutex_);
        claims_.clear();
    }
    for (const std::string& tenant : DG_TRY(tenants())) {
        if (out.size() >= limit) break;
        DG_TRY(want(tenant, model));
        DG_TRY(
            redis_->read([&](Session& session) { return take_bare(session, tenant, limit, out); }));
    }
    return out;
}

Result<std::uint64_t> RedisTruth::embeddings_pending() {
    std::uint64_t pending = 0;
    for (const std::string& tenant : DG_TRY(tenants())) {
        DG_TRY(redis_->read([&](Session& session) -> Result<void> {
            const auto count = DG_TRY(session.run({"SCARD", keys_of(tenant)("bare")}));
            pending += static_cast<std::uint64_t>(count.integer);
            return {};
        }));
    }
    return pending;
}

Result<std::vector<Change>> RedisTruth::set_embeddings(std::string_view model,
                                                       std::span<const Unembedded> rows,
                                                       std::span<const float> vectors,
                                                       std::uint32_t dims) {
    std::vector<Change> out;
    std::map<std::string_view, std::vector<std::size_t>> by_tenant;
    for (std::size_t i = 0; i < rows.size(); ++i) by_tenant[rows[i].tenant].push_back(i);
    for (const auto& [tenant, places] : by_tenant) {
        std::vector<Change> made;
        DG_TRY(change(tenant, [&](SessionDraft& draft, const SessionKeys& keys) -> Result<void> {
            made.clear();
            for (const std::size_t i : places) {
                auto stored = DG_TRY(draft.load(rows[i].row));
                if (!stored || stored->state != RowState::live ||
                    stored->entry.version != rows[i].version) {
                    continue;
                }
                const std::string row = std::to_string(stored->row);
                const std::string half = to_half(vectors.subspan(i * dims, dims));
                draft.put(*stored);
                draft.write({"HSET", keys.vectors(model), row, half});
                draft.write({"SREM", keys("bare"), row});
                draft.write({"DEL", keys("claim:" + row)});
                made.push_back(change_of(*stored));
                made.back().embedding = from_half(half);
            }
            return {};
        }));
        std::ranges::move(made, std::back_inserter(out));
    }
    return out;
}

Result<void> RedisTruth::want(const std::string& tenant, std::string_view model) {
    {
        const std::lock_guard lock(mutex_);
        if (wanted_[tenant] == model) return {};
    }
    DG_TRY(change(tenant, [&](SessionDraft& draft, const SessionKeys& keys) -> Result<void> {
        const auto wanted = DG_TRY(draft.run({"HGET", keys("meta"), "model"}));
        if (wanted.text == model) return {};
        draft.write({"HSET", keys("meta"), "model", std::string(model)});
        draft.write({"SADD", keys("models"), std::string(model)});
        for (const Reply& row : DG_TRY(draft.run({"HKEYS", keys("entries")})).list) {
            const auto stored = DG_TRY(draft.load(number(row.text)));
            const auto has = DG_TRY(draft.run({"HEXISTS", keys.vectors(model), row.text}));
            if (stored && stored->state == RowState::live && has.integer == 0) {
                draft.write({"SADD", keys("bare"), row.text});
            }
        }
        return {};
    }));
    const std::lock_guard lock(mutex_);
    wanted_[tenant] = model;
    return {};
}

Result<void> RedisTruth::take_bare(Session& session, const std::string& tenant, std::uint32_t limit,
                                   std::vector<Unembedded>& out) {
    const SessionKeys keys = keys_of(tenant);
    const auto bare = DG_TRY(session.run({"SMEMBERS", keys("bare")}));
    for (const Reply& row : bare.list) {
        if (out.size() >= limit) return {};
        const std::string claim = keys("claim:" + row.text);
        const auto taken =
            DG_TRY(session.run({"SET", claim, claimer_, "NX", "PX", std::to_string(kClaimMs)}));
        if (taken.nil && DG_TRY(session.run({"GET", claim})).text != claimer_) continue;
        {
            const std::lock_guard lock(mutex_);
            claims_.insert(claim);
        }
        SessionDraft draft(session, keys, tenant);
        const auto stored = DG_TRY(draft.load(number(row.text)));
        if (!stored || stored->state != RowState::live) continue;
        const Entry& entry = stored->entry;
        out.push_back(
            {.tenant = tenant,
             .row = stored->row,
             .version = entry.version,
             .text = entry.speaker.empty() ? entry.content : entry.speaker + ": " + entry.content});
    }
    return {};
}

Result<void> RedisTruth::forget_vectors(SessionDraft& draft, const SessionKeys& keys, RowId row) {
    for (const Reply& model : DG_TRY(draft.run({"SMEMBERS", keys("models")})).list) {
        draft.write({"HDEL", keys.vectors(model.text), std::to_string(row)});
    }
    return {};
}

}  // namespace memory::truth
