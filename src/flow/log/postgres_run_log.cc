#include "flow/log/postgres_run_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/store/store.h"
#include "flow/log/head_row.h"
#include "flow/log/postgres_tables.h"
#include "flow/log/status_number.h"

namespace flow {

using base::Code;
using base::fail;
using base::Result;
using base::store::pipe_value;
using base::store::PipeAnswer;
using base::store::PipeStatement;
using base::store::PipeValue;
using base::store::Row;

namespace {

constexpr std::size_t kReadersMax = 8;  // connections; a server has a hundred for all

std::unexpected<base::Error> unknown(RunId id) {
    return fail(Code::not_found, "there is no run {}", to_text(id));
}

/// Events that stand one behind the other.
Result<void> decode_all(std::string_view bytes, std::vector<Event>& out) {
    while (!bytes.empty()) out.push_back(DG_TRY(decode_event(bytes)));
    return {};
}

}  // namespace

PostgresRunLog::PostgresRunLog(const PostgresOptions& options,
                               base::store::PostgresLocation location)
    : worker_(options, std::move(location)),
      writer_(worker_,
              {.lost = [this] { member_.lost(); },
               .unheard = [this](std::vector<std::uint64_t> tokens) { member_.unheard(tokens); }}),
      member_(worker_, writer_,
              [this](RunId run, std::uint64_t skip, std::uint32_t limit) {
                  return history(run, skip, limit);
              }),
      pool_([this] { return worker_.connect("_read"); }, kReadersMax) {}

Result<std::unique_ptr<PostgresRunLog>> PostgresRunLog::open(const PostgresOptions& options) {
    auto location = DG_TRY(base::store::parse_postgres(options.url));
    {
        // Makes the schema, and says what is wrong with a server we cannot use.
        const auto store = DG_TRY(base::store::Store::open(options.url, {.readers = 1}));
        DG_TRY(base::store::migrate(*store, "flow_runs", run_tables()));
    }
    std::unique_ptr<PostgresRunLog> log(new PostgresRunLog(options, std::move(location)));
    DG_TRY(log->rejoin());
    return log;
}

PostgresRunLog::~PostgresRunLog() {
    leave();
}

void PostgresRunLog::join(Events events, bool take_up) {
    member_.join(std::move(events), take_up);
}

void PostgresRunLog::leave() {
    if (std::exchange(left_, true)) return;
    member_.stop();
    writer_.stop();
    if (auto pipe = worker_.connect("_leave"); pipe) (void)worker_.leave(**pipe);
}

void PostgresRunLog::abandon() {
    left_ = true;
    (void)worker_.lose();  // what waits fails
    member_.stop();
    writer_.stop();
}

// ---- writing -----------------------------------------------------------------------------------

void PostgresRunLog::append(std::span<const RunChange> changes, Done done) {
    writer_.append(queued({.changes = changes}, std::move(done)));
}

void PostgresRunLog::commit(const SharedCommit& commit, Done done) {
    if (commit.settled.empty()) return writer_.append(queued(commit, std::move(done)));
    auto settled =
        std::make_shared<std::vector<Settled>>(commit.settled.begin(), commit.settled.end());
    writer_.append(queued(commit, [this, settled, done = std::move(done)](Result<void> result) {
        for (const Settled& one : *settled) {
            if (result) member_.forget(one.number);  // it is in the inbox no more
        }
        done(std::move(result));
    }));
}

void PostgresRunLog::ask(Posting posting, Done done) {
    auto shared = std::make_shared<Done>(std::move(done));
    const std::uint64_t token = member_.expect(*shared);
    QueuedCommit commit = queued({.changes = {}, .postings = {&posting, 1}},
                                 [this, token, shared](Result<void> written) {
                                     if (!written) member_.refused(token, std::move(written));
                                 });
    commit.posts[0].token = token;
    writer_.append(std::move(commit));
}

/// A run that is over, or whose worker's lease is, becomes ours; both are looked at under the lock
/// that a commit of that worker would need.
Result<std::optional<Claimed>> PostgresRunLog::own(RunId run) {
    static const std::string kOwn =
        "WITH free AS (SELECT r.id, (SELECT w.lease_until <> 0 FROM flow_workers w WHERE w.id = "
        "r.owner) AS crashed FROM flow_runs r WHERE r.id = $2 AND (r.owner = 0 OR r.owner IN "
        "(SELECT id FROM flow_workers WHERE dead)) FOR UPDATE OF r) UPDATE flow_runs AS r SET "
        "owner "
        "= $1 FROM free WHERE r.id = free.id RETURNING coalesce(free.crashed, false)::int";
    static const std::string kHead =
        "SELECT " + std::string(kHeadColumns) + ", r.owner FROM flow_runs r WHERE r.id = $1";
    const PostgresWorker::Proof proof = worker_.proof();
    if (proof.worker == 0) {
        return fail(Code::unavailable, "this process lost its lease; it is about to get another");
    }
    const std::array<PipeStatement, 2> statements{
        PipeStatement{kOwn, {pipe_value(proof.worker), uuid_of(run)}},
        PipeStatement{kHead, {uuid_of(run)}}};
    const auto answers = DG_TRY(pool_.run(statements));
    std::optional<Claimed> out;
    bool ours = false;
    answers[1].each([&](const Row& row) {
        out.emplace(postgres_head_of(row), answers[0].integer() != 0);
        ours = row.integer(kHeadColumnCount) == proof.worker;
    });
    if (!out) return unknown(run);
    if (!ours) out.reset();
    return out;
}

Result<std::string> PostgresRunLog::owner_url(RunId run) {
    const PipeAnswer answer = DG_TRY(
        read({"SELECT w.url FROM flow_runs r JOIN flow_workers w ON w.id = r.owner WHERE r.id = $1 "
              "AND NOT w.dead AND w.id <> $2",
              {uuid_of(run), pipe_value(worker_.proof().worker)}}));
    std::string url;
    answer.each([&](const Row& row) { url = row.text(0); });
    return url;
}

Result<std::vector<FleetWorker>> PostgresRunLog::workers() {
    const std::int64_t self = worker_.proof().worker;
    const PipeAnswer answer = DG_TRY(
        read({"SELECT w.id, w.url, w.lease_until, (SELECT count(*) FROM flow_runs r WHERE r.owner "
              "= w.id AND r.owner <> 0) FROM flow_workers w WHERE NOT w.dead ORDER BY w.id"}));
    std::vector<FleetWorker> out;
    answer.each([&](const Row& row) {
        out.push_back({row.integer(0), std::string(row.text(1)), row.integer(2),
                       static_cast<std::uint64_t>(row.integer(3)), row.integer(0) == self});
    });
    return out;
}

// ---- reading -----------------------------------------------------------------------------------

Result<StoredRun> PostgresRunLog::load(RunId id) {
    static const std::string kLoad =
        "SELECT " + std::string(kHeadColumns) +
        ", s.state, (SELECT string_agg(e.body, ''::bytea ORDER BY e.first) FROM flow_records e "
        "WHERE e.run = r.id AND e.first >= coalesce(s.at, 0)) FROM flow_runs r LEFT JOIN "
        "flow_snapshots s ON s.run = r.id WHERE r.id = $1";
    const PipeAnswer answer = DG_TRY(read({kLoad, {uuid_of(id)}}));
    if (answer.rows() == 0) return unknown(id);
    StoredRun out;
    Result<void> decoded;
    answer.each([&](const Row& row) {
        out.head = postgres_head_of(row);
        out.snapshot = row.text(kHeadColumnCount);
        decoded = decode_all(row.text(kHeadColumnCount + 1), out.events);
    });
    DG_TRY(std::move(decoded));
    return out;
}

Result<std::vector<Event>> PostgresRunLog::history(RunId id, std::uint64_t skip,
                                                   std::uint32_t limit) {
    const auto from = static_cast<std::int64_t>(skip);
    const PipeAnswer answer = DG_TRY(
        read({"SELECT r.id, e.first, e.body FROM flow_runs r LEFT JOIN flow_records e ON e.run = "
              "r.id AND e.first + e.count > $2 AND e.first >= coalesce((SELECT max(x.first) FROM "
              "flow_records x WHERE x.run = $1 AND x.first <= $2), 0) AND e.first < $2 + $3 WHERE "
              "r.id = $1 ORDER BY e.first",
              {uuid_of(id), pipe_value(from), pipe_value(std::int64_t{limit})}}));
    if (answer.rows() == 0) return unknown(id);
    std::vector<Event> out;
    Result<void> decoded;
    answer.each([&](const Row& row) {
        std::vector<Event> part;
        if (decoded) decoded = decode_all(row.text(2), part);
        auto place = static_cast<std::uint64_t>(row.integer(1));
        for (Event& event : part) {
            if (place++ >= skip && out.size() < limit) out.push_back(std::move(event));
        }
    });
    DG_TRY(std::move(decoded));
    return out;
}

Result<std::uint64_t> PostgresRunLog::length(RunId id) {
    const PipeAnswer answer =
        DG_TRY(read({"SELECT first + count FROM flow_records WHERE run = $1 ORDER BY first DESC "
                     "LIMIT 1",
                     {uuid_of(id)}}));
    if (answer.rows() == 0) return unknown(id);
    std::uint64_t length = 0;
    answer.each([&](const Row& row) { length = static_cast<std::uint64_t>(row.integer(0)); });
    return length;
}

Result<RunHead> PostgresRunLog::load_head(RunId id) {
    static const std::string kHead =
        "SELECT " + std::string(kHeadColumns) + " FROM flow_runs r WHERE r.id = $1";
    const PipeAnswer answer = DG_TRY(read({kHead, {uuid_of(id)}}));
    if (answer.rows() == 0) return unknown(id);
    RunHead head;
    answer.each([&](const Row& row) { head = postgres_head_of(row); });
    return head;
}

Result<std::optional<RunId>> PostgresRunLog::by_key(std::string_view tenant, std::string_view key) {
    const PipeAnswer answer =
        DG_TRY(read({"SELECT id FROM flow_runs WHERE tenant = $1 AND key = $2 AND key <> ''",
                     {pipe_value(tenant), pipe_value(key)}}));
    std::optional<RunId> found;
    answer.each([&](const Row& row) { found = id_of(row.text(0)); });
    return found;
}

Result<void> PostgresRunLog::open_runs(const std::function<void(const RunHead&)>& each) {
    static const std::string kOpen = "SELECT " + std::string(kHeadColumns) +
                                     " FROM flow_runs r WHERE r.owner <> 0 AND r.status "
                                     "< 3 ORDER BY r.id";
    const PipeAnswer answer = DG_TRY(read({kOpen}));
    answer.each([&](const Row& row) { each(postgres_head_of(row)); });
    return {};
}

namespace {

/// The condition of a filter, and its values.
Result<std::string> where(const RunFilter& filter, std::vector<PipeValue>& values) {
    std::string sql = "r.tenant = $1";
    values.push_back(pipe_value(std::string_view(filter.tenant)));
    const auto add = [&](std::string_view before, PipeValue value, std::string_view after = "") {
        values.push_back(std::move(value));
        sql += fmt::format(" AND {} ${}{}", before, values.size(), after);
    };
    const auto text = [](std::string_view value) { return pipe_value(value); };
    if (!filter.workflow.empty()) add("r.workflow =", text(filter.workflow));
    if (filter.status == "open") {
        sql += " AND r.status < 3";
    } else if (!filter.status.empty()) {
        // As numbers in the text: only so the partial indexes are seen to hold what is asked for.
        const std::int64_t status = DG_TRY(status_number(filter.status));
        sql += " AND r.status = " + std::to_string(status);
        if (status < 3) sql += " AND r.status < 3";
    }
    if (!filter.waiting.empty()) {
        sql += " AND r.status < 3";
        add("position(", text("\n" + waiting_word(filter.waiting)), " IN r.waiting) > 0");
    }
    if (filter.parent) add("r.parent =", uuid_of(*filter.parent));
    if (filter.started_from_ms != 0) add("r.started >=", pipe_value(filter.started_from_ms));
    if (filter.started_to_ms != 0) add("r.started <", pipe_value(filter.started_to_ms));
    if (!filter.label_name.empty()) {
        add("r.labels::json ->>", text(filter.label_name));
        values.push_back(text(filter.label_value));
        sql += " = $" + std::to_string(values.size());
    }
    if (!filter.text.empty()) {
        add("position(lower(", text(storable(filter.text)), ") IN lower(r.error)) > 0");
    }
    return sql;
}

}  // namespace

Result<std::vector<RunHead>> PostgresRunLog::list(const RunFilter& filter) {
    std::vector<PipeValue> values;
    std::string sql = "SELECT " + std::string(kHeadColumns) + " FROM flow_runs r WHERE " +
                      DG_TRY(where(filter, values));
    if (filter.after) {
        values.push_back(uuid_of(*filter.after));
        sql += " AND r.id < $" + std::to_string(values.size());
    }
    values.push_back(pipe_value(static_cast<std::int64_t>(std::min(filter.limit, 1000u))));
    sql += " ORDER BY r.id DESC LIMIT $" + std::to_string(values.size());
    const PipeAnswer answer = DG_TRY(read({sql, std::move(values)}));
    std::vector<RunHead> out;
    answer.each([&](const Row& row) { out.push_back(postgres_head_of(row)); });
    return out;
}

Result<RunCounts> PostgresRunLog::count(const RunFilter& filter) {
    std::vector<PipeValue> values;
    const std::string sql =
        "SELECT r.status, count(*), count(*) FILTER (WHERE r.waiting <> '') FROM flow_runs r "
        "WHERE " +
        DG_TRY(where(filter, values)) + " GROUP BY r.status";
    const PipeAnswer answer = DG_TRY(read({sql, std::move(values)}));
    RunCounts out;
    answer.each([&](const Row& row) {
        out.by_status.at(static_cast<std::size_t>(row.integer(0))) =
            static_cast<std::uint64_t>(row.integer(1));
        out.waiting += static_cast<std::uint64_t>(row.integer(2));
    });
    return out;
}

}  // namespace flow
