#include "flow/log/postgres_batch.h"

#include <fmt/format.h>

#include <unordered_map>

#include "base/json/json.h"
#include "flow/log/head_row.h"
#include "flow/log/postgres_tables.h"

namespace flow {

using base::store::pipe_bytes;
using base::store::pipe_null;
using base::store::pipe_value;
using base::store::PipeColumn;
using base::store::PipeStatement;
using base::store::PipeType;
using base::store::PipeValue;
namespace json = base::json;

namespace {

std::int64_t signed_of(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}

constexpr std::string_view kInsertRuns =
    "INSERT INTO flow_runs(id, tenant, workflow, version, hash, key, status, started, updated, "
    "finished, due, calls, parent, labels, error, waiting, events, owner, totals) SELECT u.id, "
    "u.tenant, "
    "u.workflow, u.version, u.hash, u.key, u.status, u.started, u.updated, u.finished, u.due, "
    "u.calls, u.parent, u.labels, u.error, u.waiting, string_to_array(u.events, ','), u.owner, "
    "u.totals FROM "
    "unnest($1::uuid[], $2::text[], $3::text[], $4::int8[], $5::text[], $6::text[], $7::int8[], "
    "$8::int8[], $9::int8[], $10::int8[], $11::int8[], $12::int8[], $13::uuid[], $14::text[], "
    "$15::text[], $16::text[], $17::text[], $18::int8[], $19::text[]) AS u(id, tenant, workflow, "
    "version, hash, key, status, started, updated, finished, due, calls, parent, labels, error, "
    "waiting, events, owner, totals)";

// Fails with 2201E, the logarithm of zero, when one of them is another worker's by now.
constexpr std::string_view kUpdateRuns =
    "WITH changed AS (UPDATE flow_runs AS r SET version = u.version, hash = u.hash, status = "
    "u.status, updated = "
    "u.updated, finished = u.finished, due = u.due, calls = u.calls, error = u.error, waiting = "
    "u.waiting, events = string_to_array(u.events, ','), owner = u.owner, totals = u.totals FROM "
    "unnest($1::uuid[], "
    "$2::int8[], $3::text[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[], "
    "$9::text[], $10::text[], $11::text[], $12::int8[], $13::text[]) AS u(id, version, hash, "
    "status, updated, finished, due, calls, error, waiting, events, owner, totals) WHERE r.id = "
    "u.id AND r.owner IN (0, $14) "
    "RETURNING 1) SELECT ln((count(*) = $15)::int) FROM changed";

constexpr std::string_view kInsertRecords =
    "INSERT INTO flow_records(run, first, count, body) SELECT * FROM unnest($1::uuid[], "
    "$2::int8[], $3::int8[], $4::bytea[])";

constexpr std::string_view kPutSnapshots =
    "INSERT INTO flow_snapshots(run, at, state) SELECT * FROM unnest($1::uuid[], $2::int8[], "
    "$3::bytea[]) ON CONFLICT (run) DO UPDATE SET at = excluded.at, state = excluded.state";

constexpr std::string_view kBroadcast =
    "WITH put AS (INSERT INTO flow_inbox(run, input, asker, token) SELECT r.id, $2, 0, 0 FROM "
    "flow_runs r WHERE r.events @> ARRAY[$1] AND r.events IS NOT NULL AND r.owner <> 0 AND r.id <> "
    "ALL($3::uuid[]) RETURNING run) SELECT pg_notify($4 || r.owner::text, 'inbox') FROM put JOIN "
    "flow_runs r ON r.id = put.run";

constexpr std::string_view kPost =
    "WITH put AS (INSERT INTO flow_inbox(run, input, asker, token) SELECT r.id, u.input, u.asker, "
    "u.token FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::int8[], $5::int8[]) WITH "
    "ORDINALITY AS u(run, tenant, input, asker, token, place) JOIN flow_runs r ON r.id = u.run AND "
    "(u.tenant IS NULL OR r.tenant = u.tenant) WHERE r.owner <> 0 ORDER BY u.place RETURNING run, "
    "token) SELECT "
    "put.token, pg_notify($6 || r.owner::text, 'inbox')::text FROM put JOIN flow_runs r ON r.id = "
    "put.run";

constexpr std::string_view kTake = "DELETE FROM flow_inbox WHERE number = ANY($1::int8[])";

constexpr std::string_view kReply =
    "WITH put AS (INSERT INTO flow_replies(worker, token, code, message, subject) SELECT * FROM "
    "unnest($1::int8[], $2::int8[], $3::int8[], $4::bytea[], $5::bytea[]) ON CONFLICT DO NOTHING "
    "RETURNING worker) SELECT pg_notify($6 || put.worker::text, 'reply') FROM put";

constexpr std::string_view kTellWatchers =
    "SELECT pg_notify($2 || w.worker::text, 'moved') FROM flow_watches w WHERE w.run = "
    "ANY($1::uuid[])";

}  // namespace

std::string now_sql(int place) {
    return fmt::format("coalesce(${}::int8, (extract(epoch FROM clock_timestamp()) * 1000)::int8)",
                       place);
}

QueuedCommit queued(const SharedCommit& commit, RunLog::Done done) {
    QueuedCommit out;
    out.done = std::move(done);
    out.bytes = 256;
    for (const RunChange& change : commit.changes) {
        QueuedCommit::Change& kept = out.changes.emplace_back();
        kept.head = change.head;
        kept.created = change.created;
        kept.first = change.first;
        kept.count = change.events.size();
        for (const Event& event : change.events) encode(event, kept.events);
        kept.snapshot = change.snapshot;
        out.bytes += 512 + kept.events.size() + kept.snapshot.size();
    }
    for (const Posting& posting : commit.postings) {
        QueuedCommit::Post& kept = out.posts.emplace_back();
        kept.run = posting.run;
        kept.tenant = posting.tenant;
        if (!posting.run) kept.event = event_key(posting.tenant, posting.event);
        kept.input = encode(posting.input);
        kept.told = posting.told;
        kept.checked = posting.checked;
        out.bytes += kept.input.size() + 16 * kept.told.size();
    }
    out.settled.assign(commit.settled.begin(), commit.settled.end());
    return out;
}

PostgresBatch::PostgresBatch(const BatchFrame& frame) : frame_(frame) {
    static const std::string kHeld =
        "WITH held AS (UPDATE flow_workers SET commits = $3, lease_until = greatest(lease_until, " +
        now_sql(4) + " + $5) WHERE id = $1 AND fence = $2 AND NOT dead AND lease_until > " +
        now_sql(4) + " RETURNING 1) SELECT 1 / count(*) FROM held";
    out_.push_back({kHeld,
                    {pipe_value(frame_.worker), pipe_value(frame_.fence),
                     pipe_value(frame_.commits), frame_.now, pipe_value(frame_.lease_ms)}});
}

void PostgresBatch::add(const QueuedCommit& commit) {
    commits_.push_back(&commit);
}

std::vector<PipeStatement> PostgresBatch::take(std::size_t& asked) {
    take_broadcasts();  // before heads: who begins to wait in this batch was decided after
    take_heads();
    take_records();
    take_inbox();
    asked = asked_;
    return std::move(out_);
}

void PostgresBatch::take_broadcasts() {
    for (const QueuedCommit* commit : commits_) {
        for (const QueuedCommit::Post& post : commit->posts) {
            if (post.run) continue;
            PipeColumn told(PipeType::uuid);
            for (const RunId run : post.told) told.add(uuid_of(run));
            out_.push_back({kBroadcast,
                            {pipe_value(std::string_view(post.event)), pipe_bytes(post.input),
                             told.take(), pipe_value(std::string_view(frame_.channels))}});
        }
    }
}

/// Each run's last head; many changes of one run are one row.
void PostgresBatch::take_heads() {
    struct Last {
        const RunHead* head = nullptr;
        bool created = false;
    };
    std::vector<Last> lasts;
    std::unordered_map<RunId, std::size_t> places;
    for (const QueuedCommit* commit : commits_) {
        for (const QueuedCommit::Change& change : commit->changes) {
            const auto [place, added] = places.emplace(change.head.id, lasts.size());
            if (added) lasts.emplace_back();
            Last& last = lasts[place->second];
            last.head = &change.head;
            last.created = last.created || change.created;
        }
    }
    const auto columns = [](std::initializer_list<PipeType> types) {
        return std::vector<PipeColumn>(types.begin(), types.end());
    };
    constexpr auto I = PipeType::integer, T = PipeType::text, U = PipeType::uuid;
    std::vector<PipeColumn> made =
        columns({U, T, T, I, T, T, I, I, I, I, I, I, U, T, T, T, T, I, T});
    std::vector<PipeColumn> changed = columns({U, I, T, I, I, I, I, I, T, T, T, I, T});
    for (const Last& last : lasts) {
        const RunHead& head = *last.head;
        const std::string keys = event_keys(head);
        const PipeValue events = keys.empty() ? pipe_null(T) : pipe_value(std::string_view(keys));
        const std::int64_t owner = is_final(head.status) ? 0 : frame_.worker;
        const std::string error = storable(head.error), waiting = waiting_text(head.waiting),
                          totals = totals_text(head);
        std::vector<PipeValue> row;
        if (last.created) {
            row = {uuid_of(head.id),
                   pipe_value(std::string_view(head.tenant)),
                   pipe_value(std::string_view(head.workflow)),
                   pipe_value(std::int64_t{head.version}),
                   pipe_value(std::string_view(head.hash)),
                   pipe_value(std::string_view(head.idempotency_key)),
                   pipe_value(static_cast<std::int64_t>(head.status)),
                   pipe_value(head.started_ms),
                   pipe_value(head.updated_ms),
                   pipe_value(head.finished_ms),
                   pipe_value(head.due_ms),
                   pipe_value(std::int64_t{head.calls_out}),
                   head.parent ? uuid_of(*head.parent) : pipe_null(U),
                   head.labels.is_null()
                       ? pipe_null(T)
                       : pipe_value(std::string_view(json::serialize(head.labels))),
                   pipe_value(std::string_view(error)),
                   pipe_value(std::string_view(waiting)),
                   events,
                   pipe_value(owner),
                   pipe_value(std::string_view(totals))};
        } else {
            row = {uuid_of(head.id),
                   pipe_value(std::int64_t{head.version}),
                   pipe_value(std::string_view(head.hash)),
                   pipe_value(static_cast<std::int64_t>(head.status)),
                   pipe_value(head.updated_ms),
                   pipe_value(head.finished_ms),
                   pipe_value(head.due_ms),
                   pipe_value(std::int64_t{head.calls_out}),
                   pipe_value(std::string_view(error)),
                   pipe_value(std::string_view(waiting)),
                   events,
                   pipe_value(owner),
                   pipe_value(std::string_view(totals))};
        }
        std::vector<PipeColumn>& into = last.created ? made : changed;
        for (std::size_t i = 0; i < row.size(); ++i) into[i].add(row[i]);
    }
    for (auto& [sql, into] :
         {std::pair<std::string_view, std::vector<PipeColumn>&>{kInsertRuns, made},
          {kUpdateRuns, changed}}) {
        const auto rows = static_cast<std::int64_t>(into[0].size());
        if (rows == 0) continue;
        PipeStatement& statement = out_.emplace_back(PipeStatement{sql});
        for (PipeColumn& column : into) statement.values.push_back(column.take());
        if (sql != kUpdateRuns) continue;
        statement.values.push_back(pipe_value(frame_.worker));
        statement.values.push_back(pipe_value(rows));
    }
}

void PostgresBatch::take_records() {
    PipeColumn runs(PipeType::uuid), firsts(PipeType::integer), counts(PipeType::integer),
        bodies(PipeType::bytes), watched(PipeType::uuid);
    std::unordered_map<RunId, const QueuedCommit::Change*> snapshots;
    for (const QueuedCommit* commit : commits_) {
        for (const QueuedCommit::Change& change : commit->changes) {
            watched.add(uuid_of(change.head.id));
            if (!change.snapshot.empty()) snapshots[change.head.id] = &change;
            if (change.count == 0) continue;
            runs.add(uuid_of(change.head.id));
            firsts.add(signed_of(change.first));
            counts.add(signed_of(change.count));
            bodies.add(pipe_bytes(change.events));
        }
    }
    if (runs.size() != 0) {
        out_.push_back(
            {kInsertRecords, {runs.take(), firsts.take(), counts.take(), bodies.take()}});
    }
    if (!snapshots.empty()) {
        PipeColumn ids(PipeType::uuid), at(PipeType::integer), states(PipeType::bytes);
        for (const auto& [id, change] : snapshots) {
            ids.add(uuid_of(id));
            at.add(signed_of(change->first + change->count));
            states.add(pipe_bytes(change->snapshot));
        }
        out_.push_back({kPutSnapshots, {ids.take(), at.take(), states.take()}});
    }
    if (frame_.watched && watched.size() != 0) {
        out_.push_back(
            {kTellWatchers, {watched.take(), pipe_value(std::string_view(frame_.channels))}});
    }
}

void PostgresBatch::take_inbox() {
    PipeColumn runs(PipeType::uuid), tenants(PipeType::text), inputs(PipeType::bytes),
        askers(PipeType::integer), tokens(PipeType::integer), taken(PipeType::integer);
    PipeColumn workers(PipeType::integer), answered(PipeType::integer), codes(PipeType::integer),
        messages(PipeType::bytes), subjects(PipeType::bytes);
    for (const QueuedCommit* commit : commits_) {
        for (const QueuedCommit::Post& post : commit->posts) {
            if (!post.run) continue;
            runs.add(uuid_of(post.run));
            tenants.add(post.checked ? pipe_null(PipeType::text)
                                     : pipe_value(std::string_view(post.tenant)));
            inputs.add(pipe_bytes(post.input));
            askers.add(post.token == 0 ? 0 : frame_.worker);
            tokens.add(signed_of(post.token));
        }
        for (const Settled& one : commit->settled) {
            taken.add(signed_of(one.number));
            if (one.asker == 0) continue;
            workers.add(one.asker);
            answered.add(signed_of(one.token));
            codes.add(one.refusal ? static_cast<std::int64_t>(one.refusal->code) : -1);
            messages.add(pipe_bytes(one.refusal ? one.refusal->message : ""));
            subjects.add(pipe_bytes(one.refusal ? one.refusal->subject : ""));
        }
    }
    const PipeValue channels = pipe_value(std::string_view(frame_.channels));
    if (runs.size() != 0) {
        asked_ = out_.size();
        out_.push_back(
            {kPost,
             {runs.take(), tenants.take(), inputs.take(), askers.take(), tokens.take(), channels}});
    }
    if (taken.size() != 0) out_.push_back({kTake, {taken.take()}});
    if (workers.size() != 0) {
        out_.push_back({kReply,
                        {workers.take(), answered.take(), codes.take(), messages.take(),
                         subjects.take(), channels}});
    }
}

}  // namespace flow
