#include "flow/log/postgres_places.h"

#include <algorithm>
#include <limits>

namespace flow {

using base::Code;
using base::fail;
using base::Result;
using base::store::Row;
using base::store::Transaction;

namespace {

constexpr std::uint64_t kNoBound = std::numeric_limits<std::uint64_t>::max();

std::int64_t signed_of(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}
std::uint64_t unsigned_of(std::int64_t value) {
    return static_cast<std::uint64_t>(value);
}

/// The bounds of the newest version that anybody runs.
Result<QueueBoard::Limits> newest_limits(Transaction& tx, const SharedPlaces::Wish& wish) {
    QueueBoard::Limits limits = wish.limits;
    bool newer = true;
    DG_TRY(
        tx.query("SELECT version, concurrency, starts, window_ms FROM flow_queues WHERE queue = $1",
                 {std::string_view(wish.queue)}, [&](const Row& row) {
                     const QueueBoard::Limits known{
                         static_cast<std::uint32_t>(row.integer(1)),
                         static_cast<std::uint32_t>(row.integer(2)),
                         base::Duration(std::chrono::milliseconds(row.integer(3)))};
                     newer = row.integer(0) < std::int64_t{wish.version};
                     if (!newer) limits = known;
                     return false;
                 }));
    if (!newer) return limits;
    const auto window = std::chrono::ceil<std::chrono::milliseconds>(limits.window).count();
    DG_TRY(tx.run(
        "INSERT INTO flow_queues(queue, version, concurrency, starts, window_ms) VALUES "
        "($1, $2, $3, $4, $5) ON CONFLICT (queue) DO UPDATE SET version = "
        "excluded.version, concurrency = excluded.concurrency, starts = excluded.starts, "
        "window_ms = excluded.window_ms",
        {std::string_view(wish.queue), std::int64_t{wish.version}, std::int64_t{limits.concurrency},
         std::int64_t{limits.starts}, std::int64_t{window}}));
    return limits;
}

/// Of a rate: how many may begin now, which is written down.
Result<std::uint64_t> begin(Transaction& tx, const SharedPlaces::Wish& wish,
                            const QueueBoard::Limits& limits, std::uint64_t want,
                            std::uint64_t waiting_workers, std::int64_t now_ms,
                            std::chrono::milliseconds& due_in) {
    const auto window = std::chrono::ceil<std::chrono::milliseconds>(limits.window).count();
    DG_TRY(tx.run("DELETE FROM flow_begun WHERE queue = $1 AND at <= $2",
                  {std::string_view(wish.queue), std::int64_t{now_ms - window}}));
    std::uint64_t used = 0;
    std::int64_t oldest_ms = now_ms;
    DG_TRY(
        tx.query("SELECT coalesce(sum(count), 0)::int8, coalesce(min(at), $2)::int8 FROM "
                 "flow_begun WHERE queue = $1",
                 {std::string_view(wish.queue), now_ms}, [&](const Row& row) {
                     used = unsigned_of(row.integer(0));
                     oldest_ms = row.integer(1);
                     return false;
                 }));
    const std::uint64_t free = limits.starts - std::min<std::uint64_t>(used, limits.starts);
    const std::uint64_t fair =
        (free + waiting_workers - 1) / std::max<std::uint64_t>(1, waiting_workers);
    const std::uint64_t starts = std::min(want, fair);
    if (starts != 0) {
        DG_TRY(
            tx.run("INSERT INTO flow_begun(queue, at, count) VALUES ($1, $2, $3) ON CONFLICT "
                   "(queue, at) DO UPDATE SET count = flow_begun.count + excluded.count",
                   {std::string_view(wish.queue), now_ms, signed_of(starts)}));
    }
    if (starts < wish.waiting) {
        due_in = std::chrono::milliseconds(std::max<std::int64_t>(1, oldest_ms + window - now_ms));
    }
    return starts;
}

}  // namespace

Result<std::unique_ptr<PostgresPlaces>> PostgresPlaces::open(PostgresRunLog& log) {
    auto store = DG_TRY(base::store::Store::open(log.worker().options().url, {.readers = 1}));
    return std::unique_ptr<PostgresPlaces>(new PostgresPlaces(log, std::move(store)));
}

Result<SharedPlaces::Grant> PostgresPlaces::share_one(Transaction& tx, const Wish& wish,
                                                      std::int64_t worker,
                                                      std::int64_t now_ms) const {
    const QueueBoard::Limits limits = DG_TRY(newest_limits(tx, wish));
    std::vector<PlaceWant> wants{
        {wish.running + wish.waiting, wish.waiting == 0 ? 0 : wish.oldest_since_ms, worker}};
    std::uint64_t others = 0, had = 0, waiting_workers = wish.waiting != 0 ? 1 : 0;
    std::vector<std::int64_t> who_wait;
    std::int64_t told_waiting = -1, told_since = -1;
    DG_TRY(
        tx.query("SELECT p.worker, p.held, p.waiting, p.since FROM flow_places p JOIN "
                 "flow_workers w ON w.id = p.worker AND NOT w.dead WHERE p.queue = $1",
                 {std::string_view(wish.queue)}, [&](const Row& row) {
                     if (row.integer(0) == worker) {
                         had = unsigned_of(row.integer(1));
                         told_waiting = row.integer(2);
                         told_since = row.integer(3);
                         return true;
                     }
                     others += unsigned_of(row.integer(1));
                     wants.push_back({unsigned_of(row.integer(1) + row.integer(2)), row.integer(3),
                                      row.integer(0)});
                     if (row.integer(2) == 0) return true;
                     who_wait.push_back(row.integer(0));
                     ++waiting_workers;
                     return true;
                 }));
    Grant grant;
    QueueBoard::Allowance& has = grant.allowance;
    const std::uint64_t want = wish.running + wish.waiting;
    if (limits.concurrency == 0) {
        has.places = has.keep = kNoBound;
    } else {
        const std::uint64_t free =
            limits.concurrency - std::min<std::uint64_t>(others, limits.concurrency);
        has.keep = fair_share(limits.concurrency, wants, worker);
        has.places = std::max(wish.running, std::min(has.keep, free));
    }
    has.starts = kNoBound;
    if (limits.starts != 0) {
        const std::uint64_t room = std::min(want, has.places) - wish.running;
        has.starts = DG_TRY(begin(tx, wish, limits, room, waiting_workers, now_ms, grant.due_in));
    }
    const std::uint64_t held = std::min(has.places, want);
    const std::int64_t since = wants[0].since_ms;
    if (want == 0) {
        DG_TRY(tx.run("DELETE FROM flow_places WHERE queue = $1 AND worker = $2",
                      {std::string_view(wish.queue), worker}));
        if (wants.size() == 1 && limits.starts == 0) {  // a rate has to remember
            DG_TRY(
                tx.run("DELETE FROM flow_queues WHERE queue = $1", {std::string_view(wish.queue)}));
        }
    } else if (held != had || told_waiting != signed_of(wish.waiting) || told_since != since) {
        DG_TRY(
            tx.run("INSERT INTO flow_places(queue, worker, held, waiting, since) VALUES ($1, $2, "
                   "$3, $4, $5) ON CONFLICT (queue, worker) DO UPDATE SET held = excluded.held, "
                   "waiting = excluded.waiting, since = excluded.since",
                   {std::string_view(wish.queue), worker, signed_of(held), signed_of(wish.waiting),
                    since}));
    }
    if (held >= had) return grant;
    for (const std::int64_t other : who_wait) {
        const std::string channel = log_.worker().channels() + std::to_string(other);
        DG_TRY(tx.query("SELECT pg_notify($1, 'places')::text", {std::string_view(channel)},
                        [](const Row&) { return true; }));
    }
    return grant;
}

Result<std::vector<SharedPlaces::Grant>> PostgresPlaces::share(std::span<const Wish> wishes) {
    const std::int64_t worker = log_.worker().proof().worker;
    if (worker == 0) {
        return fail(Code::unavailable, "this process lost its lease; it is about to get another");
    }
    static const std::string kAlive =
        "SELECT coalesce($2::int8, (extract(epoch FROM clock_timestamp()) * 1000)::int8) FROM "
        "flow_workers WHERE id = $1 AND NOT dead";
    std::vector<Grant> grants;
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        grants.clear();
        std::int64_t now_ms = 0;
        const base::Clock* clock = log_.worker().options().clock;
        DG_TRY(tx.query(kAlive,
                        {worker, clock == nullptr ? base::store::Parameter(nullptr)
                                                  : base::store::Parameter(std::int64_t{
                                                        clock->unix_ns() / 1'000'000})},
                        [&](const Row& row) {
                            now_ms = row.integer(0);
                            return false;
                        }));
        if (now_ms == 0) return fail(Code::unavailable, "this process lost its lease");
        for (const Wish& wish : wishes) {
            grants.push_back(DG_TRY(share_one(tx, wish, worker, now_ms)));
        }
        return {};
    }));
    return grants;
}

}  // namespace flow
