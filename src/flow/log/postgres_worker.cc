#include "flow/log/postgres_worker.h"

#include <fmt/format.h>

#include "base/core/crc32c.h"
#include "flow/log/postgres_batch.h"

namespace flow {

using base::Result;
using base::store::pipe_null;
using base::store::pipe_value;
using base::store::PipeType;
using base::store::PipeValue;

namespace {

// A lease that ended at 0 was given up; any other end of a worker is a crash.
constexpr std::string_view kGiveUp =
    "UPDATE flow_workers SET dead = true, fence = fence + 1, lease_until = 0 WHERE id = $1 AND NOT "
    "dead";

}  // namespace

PostgresWorker::PostgresWorker(PostgresOptions options, base::store::PostgresLocation location)
    : options_(std::move(options)),
      location_(std::move(location)),
      // Channels are the database's, not the schema's, and their names are short.
      channels_(fmt::format("dougong_flow_{:08x}_", base::crc32c(location_.schema))),
      url_(options_.own_url) {}

void PostgresWorker::announce(std::string url) {
    const std::lock_guard lock(mutex_);
    url_ = std::move(url);  // the next renewal writes it
}

PostgresWorker::Proof PostgresWorker::proof() const {
    const std::lock_guard lock(mutex_);
    return proof_;
}

Result<std::unique_ptr<base::store::PostgresPipe>> PostgresWorker::connect(
    std::string_view part) const {
    // By this name others end what a process that hangs has begun.
    // Plans are made once, when tables are small, and kept when they are not: by index from the
    // start.
    return Pipe::open(location_, {.name = fmt::format("{}{}{}", channels_, proof().worker, part),
                                  .set = "SET enable_seqscan = off; SET enable_hashjoin = off; SET "
                                         "enable_mergejoin = off;"});
}

PipeValue PostgresWorker::now() const {
    if (options_.clock == nullptr) return pipe_null(PipeType::integer);
    return pipe_value(options_.clock->unix_ns() / 1'000'000);
}

Result<void> PostgresWorker::join(Pipe& pipe) {
    static const std::string kJoin =
        "INSERT INTO flow_workers(fence, dead, lease_until, commits, url, joined) VALUES (1, "
        "false, " +
        now_sql(1) + " + $2, 0, $3, " + now_sql(1) + ") RETURNING id";
    std::string url;
    std::int64_t last = 0;
    {
        const std::lock_guard lock(mutex_);
        url = url_;
        last = last_;
    }
    // Who it was before lives: its runs were not lost in a crash, unless others said so by now.
    const auto answers = DG_TRY(pipe.run(
        {{kGiveUp, {pipe_value(last)}},
         {kJoin, {now(), pipe_value(options_.lease.count()), pipe_value(std::string_view(url))}}}));
    const std::lock_guard lock(mutex_);
    last_ = answers[1].integer();
    proof_ = {last_, 1};
    return {};
}

Result<PostgresWorker::Glance> PostgresWorker::glance(Pipe& pipe) const {
    static const std::string kGlance =
        "SELECT (lease_until > " + now_sql(2) + ")::int, (lease_until - " + now_sql(2) +
        " < $3 OR url <> $4)::int, (EXISTS (SELECT 1 FROM flow_workers o WHERE NOT o.dead AND "
        "o.lease_until <= " +
        now_sql(2) +
        ") OR EXISTS (SELECT 1 FROM flow_runs r WHERE r.owner <> 0 AND r.owner IN (SELECT id FROM "
        "flow_workers WHERE dead)))::int FROM flow_workers WHERE id = $1 AND NOT dead";
    const Proof held = proof();
    std::string url;
    {
        const std::lock_guard lock(mutex_);
        url = url_;
    }
    const auto answers = DG_TRY(
        pipe.run({{kGlance,
                   {pipe_value(held.worker), now(), pipe_value(options_.lease.count() * 2 / 3),
                    pipe_value(std::string_view(url))}}}));
    return Glance{answers[0].integer(0) != 0, answers[0].integer(1) != 0,
                  answers[0].integer(2) != 0};
}

Result<bool> PostgresWorker::renew(Pipe& pipe) {
    static const std::string kRenew =
        "UPDATE flow_workers SET lease_until = greatest(lease_until, " + now_sql(2) +
        " + $3), url = $4 WHERE id = $1 AND NOT dead AND lease_until > " + now_sql(2);
    const Proof held = proof();
    if (held.worker == 0) return true;
    std::string url;
    {
        const std::lock_guard lock(mutex_);
        url = url_;
    }
    const auto answers =
        DG_TRY(pipe.run({{kRenew,
                          {pipe_value(held.worker), now(), pipe_value(options_.lease.count()),
                           pipe_value(std::string_view(url))}}}));
    return answers[0].changed() == 1;
}

Result<bool> PostgresWorker::was_committed(Pipe& pipe, std::int64_t number) {
    const Proof held = proof();
    const auto answers = DG_TRY(pipe.run(
        {{"UPDATE flow_workers SET fence = fence + 1 WHERE id = $1 AND fence = $2 AND NOT dead",
          {pipe_value(held.worker), pipe_value(held.fence)}},
         {"SELECT commits, fence, dead FROM flow_workers WHERE id = $1",
          {pipe_value(held.worker)}}}));
    if (answers[1].rows() == 0) {
        return base::fail(base::Code::data_loss, "the row of worker {} is gone from {}",
                          held.worker, location_.shown);
    }
    {
        const std::lock_guard lock(mutex_);
        if (proof_.worker == held.worker) proof_.fence = answers[1].integer(1);
    }
    return answers[1].integer(0) == number;
}

Result<void> PostgresWorker::leave(Pipe& pipe) {
    const Proof held = proof();
    if (held.worker == 0) return {};
    lose();
    DG_TRY(pipe.run({{kGiveUp, {pipe_value(held.worker)}},
                     {"SELECT pg_notify($1 || id::text, 'claim') FROM flow_workers WHERE NOT dead",
                      {pipe_value(std::string_view(channels_))}}}));
    return {};
}

bool PostgresWorker::lose() {
    const std::lock_guard lock(mutex_);
    const bool member = proof_.worker != 0;
    proof_ = {};
    return member;
}

}  // namespace flow
