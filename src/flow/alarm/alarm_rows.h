#pragma once
// What alarms are made of, as rows of a store that many processes may share: counts by minute, runs
// that are noted, states, what has to be delivered, what was told.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/store/store.h"
#include "flow/alarm/evaluate.h"

namespace flow {

/// What ended, and what was used, in one minute of a workflow.
struct AlarmCounts {
    std::uint64_t completed = 0, failed = 0, tokens = 0, run_ms = 0;
    double cost_usd = 0;
    void add(const AlarmCounts& more);
    bool operator==(const AlarmCounts&) const = default;
};
/// Tenant, workflow, the minute since 1970.
using CountKey = std::tuple<std::string, std::string, std::int64_t>;

/// A run that a rule is about.
struct NotedRun {
    std::string tenant, rule, workflow;
    AlarmRun run;
    std::int64_t keep_until_ms = 0;  ///< then it is looked at again, or forgotten
};

/// A message to one webhook.
struct AlarmDelivery {
    std::string id;  ///< the same one whenever it is sent again
    std::string tenant, rule, workflow, webhook, body;
    std::int64_t made_ms = 0, next_ms = 0, claimed_ms = 0, ended_ms = 0;
    std::uint32_t attempts = 0;
    std::string status = "due";  ///< due, delivered, dead
    std::string error;           ///< why the last attempt failed
};

/// One line of what happened to alarms.
struct AlarmLine {
    std::int64_t number = 0, at_ms = 0;
    std::string rule, workflow, what, by, text;
};

/// A rule's reason to be quiet.
struct AlarmSilence {
    std::int64_t until_ms = 0;
    std::string by;
};

std::vector<std::string> alarm_tables(const base::store::Dialect& dialect);

// All within a transaction; errors are the store's.

base::Result<void> add_counts(base::store::Transaction& tx, const CountKey& key,
                              const AlarmCounts& counts);
/// Of a tenant's workflows (one, or all of them) since `from_ms`, by workflow.
base::Result<std::map<std::string, AlarmCounts>> counts_since(base::store::Transaction& tx,
                                                              const AlarmRule& rule,
                                                              std::int64_t from_ms);
/// False: it is noted already; then only how long it is kept changes.
base::Result<bool> note_run(base::store::Transaction& tx, const NotedRun& noted);
base::Result<void> forget_run(base::store::Transaction& tx, const NotedRun& noted);
/// The newest `runs_max` of each workflow since `from_ms`, and how many there are.
base::Result<std::map<std::string, AlarmReading>> runs_since(base::store::Transaction& tx,
                                                             const AlarmRule& rule,
                                                             std::int64_t from_ms,
                                                             std::size_t runs_max);
/// Those that are to be looked at again.
base::Result<std::vector<NotedRun>> runs_to_check(base::store::Transaction& tx, std::int64_t now_ms,
                                                  std::size_t limit);

base::Result<std::map<std::string, AlarmState>> states_of(base::store::Transaction& tx,
                                                          const AlarmRule& rule);
base::Result<void> put_state(base::store::Transaction& tx, const AlarmRule& rule,
                             std::string_view workflow, const AlarmState& state);

base::Result<std::vector<AlarmRule>> stored_rules(base::store::Transaction& tx);
/// Errors: already_exists.
base::Result<void> add_rule(base::store::Transaction& tx, const AlarmRule& rule);
/// With all that was kept for it. False: there was none.
base::Result<bool> remove_rule(base::store::Transaction& tx, std::string_view tenant,
                               std::string_view name);
/// Forgets what is kept for rules that are no more.
base::Result<void> forget_others(base::store::Transaction& tx, std::span<const AlarmRule> rules);

base::Result<std::optional<AlarmSilence>> silence_of(base::store::Transaction& tx,
                                                     std::string_view tenant,
                                                     std::string_view rule);
base::Result<void> put_silence(base::store::Transaction& tx, std::string_view tenant,
                               std::string_view rule, const AlarmSilence& silence);

/// One that is there already stays as it is.
base::Result<void> add_delivery(base::store::Transaction& tx, const AlarmDelivery& delivery);
/// Due ones that nobody has claimed since `claimed_before_ms`, the oldest first; claims them.
base::Result<std::vector<AlarmDelivery>> claim_deliveries(base::store::Transaction& tx,
                                                          std::int64_t now_ms,
                                                          std::int64_t claimed_before_ms,
                                                          std::size_t limit);
base::Result<void> put_delivery(base::store::Transaction& tx, const AlarmDelivery& delivery);
base::Result<std::optional<AlarmDelivery>> find_delivery(base::store::Transaction& tx,
                                                         std::string_view tenant,
                                                         std::string_view id);
/// The newest first; `status` empty: any.
base::Result<std::vector<AlarmDelivery>> list_deliveries(base::store::Transaction& tx,
                                                         std::string_view tenant,
                                                         std::string_view status,
                                                         std::uint32_t limit);
base::Result<std::uint64_t> deliveries_due(base::store::Transaction& tx);
/// After a start of the only process: nobody is at them.
base::Result<void> drop_claims(base::store::Transaction& tx);

base::Result<void> add_line(base::store::Transaction& tx, std::string_view tenant,
                            const AlarmLine& line);
/// The newest first, older than `before` (0: all).
base::Result<std::vector<AlarmLine>> list_lines(base::store::Transaction& tx,
                                                std::string_view tenant, std::string_view rule,
                                                std::int64_t before, std::uint32_t limit);

/// Forgets counts before `counts_ms`, ended deliveries and lines before `told_ms`.
base::Result<void> prune(base::store::Transaction& tx, std::int64_t counts_ms,
                         std::int64_t told_ms);

/// Who decides, of the processes that share the store: takes the place when its time is over.
base::Result<bool> lead(base::store::Transaction& tx, std::string_view holder, std::int64_t now_ms,
                        std::int64_t until_ms);
/// Up to when counts are written; 0: never.
base::Result<std::int64_t> counted_to(base::store::Transaction& tx);
base::Result<void> put_counted_to(base::store::Transaction& tx, std::int64_t at_ms);

}  // namespace flow
