#pragma once
// Where the events of runs are kept: the only truth about them. Embedded over the journal
// (`log/journal_run_log.h`); in a shared database where many processes work on the same runs.

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "flow/run/event.h"
#include "flow/run/run_id.h"
#include "flow/run/state.h"

namespace flow {

/// What can be asked of runs without folding their events.
struct RunHead {
    RunId id;
    std::string tenant, workflow, hash, idempotency_key;
    std::uint32_t version = 0;
    RunStatus status = RunStatus::running;
    std::int64_t started_ms = 0, updated_ms = 0, finished_ms = 0;
    std::int64_t due_ms = 0;  ///< when it wants to be looked at; 0: never
    std::optional<RunId> parent;
    base::json::value labels;
    std::string error;                 ///< why it failed, is paused or was cancelled
    std::vector<std::string> waiting;  ///< "human:gate", "signal:paid", "event/news"
    bool calls_out = false;            ///< something outside is at work for it
    std::optional<RunId> forked_from;
    std::uint64_t events = 0;           ///< so far
    std::optional<ShortTotals> totals;  ///< none: an older version wrote it last
};

/// What is added to one run.
struct RunChange {
    RunHead head = {};
    bool created = false;
    std::uint64_t first = 0;  ///< place of the first of its events among the run's
    std::vector<Event> events = {};
    std::string snapshot = {};  ///< the state after them as JSON; empty: none
};

struct StoredRun {
    RunHead head;
    std::string snapshot;       ///< the last one; empty: the events are all
    std::vector<Event> events;  ///< after it
};

struct RunFilter {
    std::string tenant = {}, workflow = {}, status = {}, label_name = {}, label_value = {},
                waiting = {};  ///< empty: any
    std::optional<RunId> parent = {};
    std::int64_t started_from_ms = 0, started_to_ms = 0;
    std::string text = {};            ///< in the error or the id
    std::optional<RunId> after = {};  ///< of the last page; the newest come first
    std::uint32_t limit = 50;
};

/// How many runs a filter finds.
struct RunCounts {
    std::array<std::uint64_t, 6> by_status{};  ///< at a RunStatus
    std::uint64_t waiting = 0;                 ///< of them for people, signals, events or time
};

class Fleet;

class RunLog {
public:
    virtual ~RunLog() = default;
    /// What a log that many processes share offers besides; null: this process has it alone.
    virtual Fleet* fleet() { return nullptr; }
    using Done = std::function<void(base::Result<void>)>;
    /// All or none of the changes, durable when `done` is called: on any thread, in the order of
    /// the calls. A change that failed has not happened, and those behind it fail, too.
    /// Errors: resource_exhausted (full disk), unavailable.
    virtual void append(std::span<const RunChange> changes, Done done) = 0;
    /// Waits until every append has said how it ended.
    virtual void flush() = 0;

    /// Errors of these: not_found, data_loss, unavailable.
    virtual base::Result<StoredRun> load(RunId id) = 0;
    /// All events of a run, the first `skip` left out, at most `limit`.
    virtual base::Result<std::vector<Event>> history(RunId id, std::uint64_t skip,
                                                     std::uint32_t limit) = 0;
    /// How many events a run has. Reads the end of its history alone, where a log can.
    virtual base::Result<std::uint64_t> length(RunId id);
    /// As history, but values that are kept beside the log stand as {"$blob": hash, "bytes": size}.
    virtual base::Result<std::vector<Event>> linked_history(RunId id, std::uint64_t skip,
                                                            std::uint32_t limit) {
        return history(id, skip, limit);
    }
    /// One of those values, as JSON text. Errors: not_found (the run has none of that hash), too.
    virtual base::Result<std::string> blob(RunId id, std::string_view hash);
    /// Hashes of all values of a run that are kept beside the log, as its events and its last
    /// snapshot name them; one may come twice. Reads the whole history, a page at a time.
    virtual base::Result<void> blobs_of(RunId id,
                                        const std::function<void(std::string_view hash)>& each);
    /// The head alone; does not wait for an index.
    virtual base::Result<RunHead> load_head(RunId id) = 0;
    virtual base::Result<std::optional<RunId>> by_key(std::string_view tenant,
                                                      std::string_view key) = 0;
    /// Every run that is not over. Of the head: id, tenant, due_ms, calls_out, waiting.
    virtual base::Result<void> open_runs(const std::function<void(const RunHead&)>& each) = 0;
    virtual base::Result<std::vector<RunHead>> list(const RunFilter& filter) = 0;
    /// `after` and `limit` say nothing here. Unless a log knows better, it lists and counts.
    virtual base::Result<RunCounts> count(const RunFilter& filter);
    /// What the store says of itself, as fields of GET /v1/flow/health: "store" and one by its
    /// name.
    virtual base::json::object health() { return {}; }
};

}  // namespace flow
