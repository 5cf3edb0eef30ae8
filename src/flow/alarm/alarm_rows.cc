#include "flow/alarm/alarm_rows.h"

#include <fmt/format.h>

namespace flow {

using base::Code;
using base::Result;
using base::store::Parameter;
using base::store::Row;
using base::store::Transaction;

namespace {

constexpr std::int64_t kMinuteMs = 60'000;

std::int64_t number(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}

constexpr std::string_view kDeliveryColumns =
    "id, tenant, rule, workflow, webhook, body, made, next, claimed, ended, attempts, status, "
    "error";

AlarmDelivery delivery_of(const Row& row) {
    AlarmDelivery out;
    out.id = row.text(0);
    out.tenant = row.text(1);
    out.rule = row.text(2);
    out.workflow = row.text(3);
    out.webhook = row.text(4);
    out.body = row.text(5);
    out.made_ms = row.integer(6);
    out.next_ms = row.integer(7);
    out.claimed_ms = row.integer(8);
    out.ended_ms = row.integer(9);
    out.attempts = static_cast<std::uint32_t>(row.integer(10));
    out.status = row.text(11);
    out.error = row.text(12);
    return out;
}

Result<std::vector<AlarmDelivery>> deliveries(Transaction& tx, std::string_view where,
                                              std::initializer_list<Parameter> parameters) {
    std::vector<AlarmDelivery> out;
    DG_TRY(tx.query(
        fmt::format("SELECT {} FROM flow_alarm_deliveries WHERE {}", kDeliveryColumns, where),
        parameters, [&](const Row& row) {
            out.push_back(delivery_of(row));
            return true;
        }));
    return out;
}

NotedRun noted_of(const Row& row) {
    NotedRun out;
    out.tenant = row.text(0);
    out.rule = row.text(1);
    out.workflow = row.text(2);
    out.run.run = run_id_from(row.text(3)).value_or(RunId());
    out.run.at_ms = row.integer(4);
    out.keep_until_ms = row.integer(5);
    out.run.detail = row.text(6);
    return out;
}

Result<void> run(Transaction& tx, std::string_view sql,
                 std::initializer_list<Parameter> parameters) {
    DG_TRY(tx.run(sql, parameters));
    return {};
}

}  // namespace

void AlarmCounts::add(const AlarmCounts& more) {
    completed += more.completed;
    failed += more.failed;
    tokens += more.tokens;
    run_ms += more.run_ms;
    cost_usd += more.cost_usd;
}

std::vector<std::string> alarm_tables(const base::store::Dialect& dialect) {
    return {
        "CREATE TABLE flow_alarm_rules(tenant TEXT NOT NULL, name TEXT NOT NULL, rule TEXT NOT "
        "NULL, PRIMARY KEY(tenant, name))",
        "CREATE TABLE flow_alarm_silences(tenant TEXT NOT NULL, rule TEXT NOT NULL, until BIGINT "
        "NOT NULL, who TEXT NOT NULL, PRIMARY KEY(tenant, rule))",
        "CREATE TABLE flow_alarm_states(tenant TEXT NOT NULL, rule TEXT NOT NULL, workflow TEXT "
        "NOT NULL, state TEXT NOT NULL, PRIMARY KEY(tenant, rule, workflow))",
        "CREATE TABLE flow_alarm_counts(tenant TEXT NOT NULL, workflow TEXT NOT NULL, minute "
        "BIGINT NOT NULL, completed BIGINT NOT NULL, failed BIGINT NOT NULL, tokens BIGINT NOT "
        "NULL, run_ms BIGINT NOT NULL, cost DOUBLE PRECISION NOT NULL, PRIMARY KEY(tenant, "
        "workflow, minute))",
        "CREATE TABLE flow_alarm_runs(tenant TEXT NOT NULL, rule TEXT NOT NULL, workflow TEXT NOT "
        "NULL, run TEXT NOT NULL, at BIGINT NOT NULL, keep BIGINT NOT NULL, detail TEXT NOT NULL, "
        "PRIMARY KEY(tenant, rule, run))",
        "CREATE INDEX flow_alarm_runs_keep ON flow_alarm_runs(keep)",
        "CREATE TABLE flow_alarm_deliveries(id TEXT PRIMARY KEY, tenant TEXT NOT NULL, rule TEXT "
        "NOT NULL, workflow TEXT NOT NULL, webhook TEXT NOT NULL, body TEXT NOT NULL, made BIGINT "
        "NOT NULL, next BIGINT NOT NULL, claimed BIGINT NOT NULL, ended BIGINT NOT NULL, attempts "
        "BIGINT NOT NULL, status TEXT NOT NULL, error TEXT NOT NULL)",
        "CREATE INDEX flow_alarm_deliveries_due ON flow_alarm_deliveries(next) WHERE status = "
        "'due'",
        fmt::format("CREATE TABLE flow_alarm_lines(number {}, tenant TEXT NOT NULL, rule TEXT NOT "
                    "NULL, workflow TEXT NOT NULL, at BIGINT NOT NULL, what TEXT NOT NULL, who "
                    "TEXT NOT NULL, said TEXT NOT NULL)",
                    dialect.integer_key),
        "CREATE TABLE flow_alarm_leader(one BIGINT PRIMARY KEY, holder TEXT NOT NULL, until BIGINT "
        "NOT NULL, counted BIGINT NOT NULL)",
        "INSERT INTO flow_alarm_leader(one, holder, until, counted) VALUES (1, '', 0, 0)",
    };
}

// ---- what is counted ---------------------------------------------------------------------------

Result<void> add_counts(Transaction& tx, const CountKey& key, const AlarmCounts& counts) {
    const auto& [tenant, workflow, minute] = key;
    return run(
        tx,
        "INSERT INTO flow_alarm_counts(tenant, workflow, minute, completed, failed, tokens, "
        "run_ms, cost) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT(tenant, "
        "workflow, minute) DO UPDATE SET completed = flow_alarm_counts.completed + $4, "
        "failed = flow_alarm_counts.failed + $5, tokens = flow_alarm_counts.tokens + $6, "
        "run_ms = flow_alarm_counts.run_ms + $7, cost = flow_alarm_counts.cost + $8",
        {std::string_view(tenant), std::string_view(workflow), minute, number(counts.completed),
         number(counts.failed), number(counts.tokens), number(counts.run_ms), counts.cost_usd});
}

Result<std::map<std::string, AlarmCounts>> counts_since(Transaction& tx, const AlarmRule& rule,
                                                        std::int64_t from_ms) {
    std::map<std::string, AlarmCounts> out;
    DG_TRY(tx.query(
        "SELECT workflow, sum(completed), sum(failed), sum(tokens), sum(run_ms), sum(cost) FROM "
        "flow_alarm_counts WHERE tenant = $1 AND minute >= $2 AND ($3 = '' OR workflow = $3) "
        "GROUP BY workflow",
        {std::string_view(rule.tenant), from_ms / kMinuteMs, std::string_view(rule.workflow)},
        [&](const Row& row) {
            const auto count = [&](int column) {
                return static_cast<std::uint64_t>(row.integer(column));
            };
            out[std::string(row.text(0))] = {.completed = count(1),
                                             .failed = count(2),
                                             .tokens = count(3),
                                             .run_ms = count(4),
                                             .cost_usd = row.real(5)};
            return true;
        }));
    return out;
}

Result<bool> note_run(Transaction& tx, const NotedRun& noted) {
    const std::string id = to_text(noted.run.run);
    const std::int64_t fresh =
        DG_TRY(tx.run("INSERT INTO flow_alarm_runs(tenant, rule, workflow, run, at, keep, detail) "
                      "VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT(tenant, rule, run) DO "
                      "NOTHING",
                      {std::string_view(noted.tenant), std::string_view(noted.rule),
                       std::string_view(noted.workflow), std::string_view(id), noted.run.at_ms,
                       noted.keep_until_ms, std::string_view(noted.run.detail)}));
    if (fresh != 0) return true;
    DG_TRY(
        tx.run("UPDATE flow_alarm_runs SET keep = $4 WHERE tenant = $1 AND rule = $2 AND run = "
               "$3 AND keep < $4",
               {std::string_view(noted.tenant), std::string_view(noted.rule), std::string_view(id),
                noted.keep_until_ms}));
    return false;
}

Result<void> forget_run(Transaction& tx, const NotedRun& noted) {
    const std::string id = to_text(noted.run.run);
    return run(
        tx, "DELETE FROM flow_alarm_runs WHERE tenant = $1 AND rule = $2 AND run = $3",
        {std::string_view(noted.tenant), std::string_view(noted.rule), std::string_view(id)});
}

Result<std::map<std::string, AlarmReading>> runs_since(Transaction& tx, const AlarmRule& rule,
                                                       std::int64_t from_ms, std::size_t runs_max) {
    std::map<std::string, AlarmReading> out;
    DG_TRY(tx.query(
        "SELECT workflow, count(*) FROM flow_alarm_runs WHERE tenant = $1 AND rule = "
        "$2 AND at >= $3 GROUP BY workflow",
        {std::string_view(rule.tenant), std::string_view(rule.name), from_ms}, [&](const Row& row) {
            out[std::string(row.text(0))].runs_total = static_cast<std::uint64_t>(row.integer(1));
            return true;
        }));
    for (auto& [workflow, reading] : out) {
        DG_TRY(tx.query(
            "SELECT tenant, rule, workflow, run, at, keep, detail FROM flow_alarm_runs WHERE "
            "tenant = $1 AND rule = $2 AND at >= $3 AND workflow = $4 ORDER BY at DESC, run LIMIT "
            "$5",
            {std::string_view(rule.tenant), std::string_view(rule.name), from_ms,
             std::string_view(workflow), static_cast<std::int64_t>(runs_max)},
            [&](const Row& row) {
                reading.runs.push_back(noted_of(row).run);
                return true;
            }));
    }
    return out;
}

Result<std::vector<NotedRun>> runs_to_check(Transaction& tx, std::int64_t now_ms,
                                            std::size_t limit) {
    std::vector<NotedRun> out;
    DG_TRY(
        tx.query("SELECT tenant, rule, workflow, run, at, keep, detail FROM flow_alarm_runs "
                 "WHERE keep <= $1 ORDER BY keep LIMIT $2",
                 {now_ms, static_cast<std::int64_t>(limit)}, [&](const Row& row) {
                     out.push_back(noted_of(row));
                     return true;
                 }));
    return out;
}

// ---- rules and their states --------------------------------------------------------------------

Result<std::map<std::string, AlarmState>> states_of(Transaction& tx, const AlarmRule& rule) {
    std::map<std::string, AlarmState> out;
    DG_TRY(tx.query(
        "SELECT workflow, state FROM flow_alarm_states WHERE tenant = $1 AND rule = $2",
        {std::string_view(rule.tenant), std::string_view(rule.name)}, [&](const Row& row) {
            const auto parsed = base::parse_json(row.text(1));
            out[std::string(row.text(0))] = parsed ? alarm_state_from(*parsed) : AlarmState();
            return true;
        }));
    return out;
}

Result<void> put_state(Transaction& tx, const AlarmRule& rule, std::string_view workflow,
                       const AlarmState& state) {
    const std::string text = base::to_text(to_json(state));
    return run(tx,
               "INSERT INTO flow_alarm_states(tenant, rule, workflow, state) VALUES ($1, $2, $3, "
               "$4) ON CONFLICT(tenant, rule, workflow) DO UPDATE SET state = $4",
               {std::string_view(rule.tenant), std::string_view(rule.name), workflow,
                std::string_view(text)});
}

Result<std::vector<AlarmRule>> stored_rules(Transaction& tx) {
    std::vector<AlarmRule> out;
    Result<void> read;
    DG_TRY(tx.query("SELECT tenant, rule FROM flow_alarm_rules", {}, [&](const Row& row) {
        auto rule = [&]() -> Result<AlarmRule> {
            const base::json::value text = DG_TRY(base::parse_json(row.text(1)));
            return read_alarm_rule(text.as_object(), "");
        }();
        if (!rule) {
            read = std::unexpected(std::move(rule).error());
            return false;
        }
        rule->tenant = row.text(0);
        out.push_back(*std::move(rule));
        return true;
    }));
    DG_TRY(read);
    return out;
}

Result<void> add_rule(Transaction& tx, const AlarmRule& rule) {
    const std::string text = base::to_text(to_json(rule));
    const std::int64_t made = DG_TRY(tx.run(
        "INSERT INTO flow_alarm_rules(tenant, name, rule) VALUES ($1, $2, $3) ON "
        "CONFLICT(tenant, name) DO NOTHING",
        {std::string_view(rule.tenant), std::string_view(rule.name), std::string_view(text)}));
    if (made != 0) return {};
    return base::fail_on("name", Code::already_exists,
                         "there is an alarm '{}'; remove it first, or choose another name",
                         rule.name);
}

Result<bool> remove_rule(Transaction& tx, std::string_view tenant, std::string_view name) {
    for (const std::string_view table :
         {"flow_alarm_states", "flow_alarm_runs", "flow_alarm_silences"}) {
        DG_TRY(tx.run(fmt::format("DELETE FROM {} WHERE tenant = $1 AND rule = $2", table),
                      {tenant, name}));
    }
    return DG_TRY(tx.run("DELETE FROM flow_alarm_rules WHERE tenant = $1 AND name = $2",
                         {tenant, name})) != 0;
}

Result<void> forget_others(Transaction& tx, std::span<const AlarmRule> rules) {
    std::vector<std::pair<std::string, std::string>> gone;
    DG_TRY(
        tx.query("SELECT DISTINCT tenant, rule FROM flow_alarm_states UNION SELECT DISTINCT "
                 "tenant, rule FROM flow_alarm_runs",
                 {}, [&](const Row& row) {
                     for (const AlarmRule& rule : rules) {
                         if (rule.tenant == row.text(0) && rule.name == row.text(1)) return true;
                     }
                     gone.emplace_back(row.text(0), row.text(1));
                     return true;
                 }));
    for (const auto& [tenant, rule] : gone) DG_TRY(remove_rule(tx, tenant, rule));
    return {};
}

Result<std::optional<AlarmSilence>> silence_of(Transaction& tx, std::string_view tenant,
                                               std::string_view rule) {
    std::optional<AlarmSilence> out;
    DG_TRY(tx.query("SELECT until, who FROM flow_alarm_silences WHERE tenant = $1 AND rule = $2",
                    {tenant, rule}, [&](const Row& row) {
                        out = AlarmSilence{row.integer(0), std::string(row.text(1))};
                        return false;
                    }));
    return out;
}

Result<void> put_silence(Transaction& tx, std::string_view tenant, std::string_view rule,
                         const AlarmSilence& silence) {
    return run(tx,
               "INSERT INTO flow_alarm_silences(tenant, rule, until, who) VALUES ($1, $2, $3, $4) "
               "ON CONFLICT(tenant, rule) DO UPDATE SET until = $3, who = $4",
               {tenant, rule, silence.until_ms, std::string_view(silence.by)});
}

// ---- what is told ------------------------------------------------------------------------------

Result<void> add_delivery(Transaction& tx, const AlarmDelivery& delivery) {
    return run(tx,
               fmt::format("INSERT INTO flow_alarm_deliveries({}) VALUES ($1, $2, $3, $4, $5, $6, "
                           "$7, $8, 0, 0, 0, 'due', '') ON CONFLICT(id) DO NOTHING",
                           kDeliveryColumns),
               {std::string_view(delivery.id), std::string_view(delivery.tenant),
                std::string_view(delivery.rule), std::string_view(delivery.workflow),
                std::string_view(delivery.webhook), std::string_view(delivery.body),
                delivery.made_ms, delivery.next_ms});
}

Result<std::vector<AlarmDelivery>> claim_deliveries(Transaction& tx, std::int64_t now_ms,
                                                    std::int64_t claimed_before_ms,
                                                    std::size_t limit) {
    auto out = DG_TRY(
        deliveries(tx, "status = 'due' AND next <= $1 AND claimed <= $2 ORDER BY next, id LIMIT $3",
                   {now_ms, claimed_before_ms, static_cast<std::int64_t>(limit)}));
    for (AlarmDelivery& each : out) {
        each.claimed_ms = now_ms;
        DG_TRY(tx.run("UPDATE flow_alarm_deliveries SET claimed = $2 WHERE id = $1",
                      {std::string_view(each.id), now_ms}));
    }
    return out;
}

Result<void> put_delivery(Transaction& tx, const AlarmDelivery& delivery) {
    return run(tx,
               "UPDATE flow_alarm_deliveries SET next = $2, claimed = $3, ended = $4, attempts = "
               "$5, status = $6, error = $7 WHERE id = $1",
               {std::string_view(delivery.id), delivery.next_ms, delivery.claimed_ms,
                delivery.ended_ms, std::int64_t{delivery.attempts},
                std::string_view(delivery.status), std::string_view(delivery.error)});
}

Result<std::optional<AlarmDelivery>> find_delivery(Transaction& tx, std::string_view tenant,
                                                   std::string_view id) {
    auto found = DG_TRY(deliveries(tx, "tenant = $1 AND id = $2", {tenant, id}));
    if (found.empty()) return std::optional<AlarmDelivery>();
    return std::optional(std::move(found.front()));
}

Result<std::vector<AlarmDelivery>> list_deliveries(Transaction& tx, std::string_view tenant,
                                                   std::string_view status, std::uint32_t limit) {
    return deliveries(tx,
                      "tenant = $1 AND ($2 = '' OR status = $2) ORDER BY made DESC, id LIMIT $3",
                      {tenant, status, std::int64_t{limit}});
}

Result<std::uint64_t> deliveries_due(Transaction& tx) {
    std::uint64_t out = 0;
    DG_TRY(tx.query("SELECT count(*) FROM flow_alarm_deliveries WHERE status = 'due'", {},
                    [&](const Row& row) {
                        out = static_cast<std::uint64_t>(row.integer(0));
                        return false;
                    }));
    return out;
}

Result<void> drop_claims(Transaction& tx) {
    return run(tx, "UPDATE flow_alarm_deliveries SET claimed = 0 WHERE status = 'due'", {});
}

Result<void> add_line(Transaction& tx, std::string_view tenant, const AlarmLine& line) {
    return run(
        tx,
        "INSERT INTO flow_alarm_lines(tenant, rule, workflow, at, what, who, said) VALUES "
        "($1, $2, $3, $4, $5, $6, $7)",
        {tenant, std::string_view(line.rule), std::string_view(line.workflow), line.at_ms,
         std::string_view(line.what), std::string_view(line.by), std::string_view(line.text)});
}

Result<std::vector<AlarmLine>> list_lines(Transaction& tx, std::string_view tenant,
                                          std::string_view rule, std::int64_t before,
                                          std::uint32_t limit) {
    std::vector<AlarmLine> out;
    DG_TRY(tx.query(
        "SELECT number, at, rule, workflow, what, who, said FROM flow_alarm_lines WHERE tenant = "
        "$1 AND ($2 = '' OR rule = $2) AND ($3 = 0 OR number < $3) ORDER BY number DESC LIMIT $4",
        {tenant, rule, before, std::int64_t{limit}}, [&](const Row& row) {
            out.push_back({.number = row.integer(0),
                           .at_ms = row.integer(1),
                           .rule = std::string(row.text(2)),
                           .workflow = std::string(row.text(3)),
                           .what = std::string(row.text(4)),
                           .by = std::string(row.text(5)),
                           .text = std::string(row.text(6))});
            return true;
        }));
    return out;
}

Result<void> prune(Transaction& tx, std::int64_t counts_ms, std::int64_t told_ms) {
    DG_TRY(run(tx, "DELETE FROM flow_alarm_counts WHERE minute < $1", {counts_ms / kMinuteMs}));
    DG_TRY(run(tx, "DELETE FROM flow_alarm_deliveries WHERE status <> 'due' AND ended < $1",
               {told_ms}));
    return run(tx, "DELETE FROM flow_alarm_lines WHERE at < $1", {told_ms});
}

// ---- who decides -------------------------------------------------------------------------------

Result<bool> lead(Transaction& tx, std::string_view holder, std::int64_t now_ms,
                  std::int64_t until_ms) {
    return DG_TRY(tx.run("UPDATE flow_alarm_leader SET holder = $1, until = $3 WHERE one = 1 AND "
                         "(holder = $1 OR until <= $2)",
                         {holder, now_ms, until_ms})) != 0;
}

Result<std::int64_t> counted_to(Transaction& tx) {
    std::int64_t out = 0;
    DG_TRY(tx.query("SELECT counted FROM flow_alarm_leader WHERE one = 1", {}, [&](const Row& row) {
        out = row.integer(0);
        return false;
    }));
    return out;
}

Result<void> put_counted_to(Transaction& tx, std::int64_t at_ms) {
    return run(tx, "UPDATE flow_alarm_leader SET counted = $1 WHERE one = 1 AND counted < $1",
               {at_ms});
}

}  // namespace flow
