#include "flow/schedule/scheduler.h"

#include <algorithm>
#include <future>

#include "base/core/nearest.h"
#include "base/core/rng.h"
#include "base/json/json.h"

namespace flow {

using base::Code;
using base::Result;
using base::store::Transaction;
namespace json = base::json;

namespace {

constexpr std::chrono::milliseconds kGrain{500};  // of looks at the clock, which may jump
constexpr std::int64_t kRefreshS = 10;            // other processes deploy, too

std::vector<std::string> tables() {
    return {
        "CREATE TABLE flow_schedules(tenant TEXT NOT NULL, workflow TEXT NOT NULL, name TEXT "
        "NOT NULL, last BIGINT NOT NULL, pending TEXT NOT NULL, paused BIGINT NOT NULL, "
        "last_run TEXT NOT NULL, PRIMARY KEY(tenant, workflow, name))"};
}

std::vector<std::int64_t> moments_of(std::string_view text) {
    std::vector<std::int64_t> out;
    const auto parsed = base::parse_json(text);
    if (!parsed || !parsed->is_array()) return out;
    for (const json::value& each : parsed->get_array()) {
        if (each.is_int64()) out.push_back(each.get_int64());
    }
    return out;
}

std::string key_of(std::string_view tenant, std::string_view workflow, std::string_view name) {
    return fmt::format("{}\n{}\n{}", tenant, workflow, name);
}

Result<std::optional<ScheduleState>> read_row(Transaction& tx, std::string_view tenant,
                                              std::string_view workflow, std::string_view name) {
    std::optional<ScheduleState> out;
    DG_TRY(
        tx.query("SELECT last, pending, paused, last_run FROM flow_schedules WHERE tenant = $1 "
                 "AND workflow = $2 AND name = $3",
                 {tenant, workflow, name}, [&](const base::store::Row& row) {
                     out = ScheduleState{row.integer(0), moments_of(row.text(1)),
                                         row.integer(2) != 0, std::string(row.text(3))};
                     return false;
                 }));
    return out;
}

Result<void> write_row(Transaction& tx, std::string_view tenant, std::string_view workflow,
                       std::string_view name, const ScheduleState& state) {
    const std::string pending = base::to_text(json::value_from(state.pending));
    DG_TRY(
        tx.run("INSERT INTO flow_schedules(tenant, workflow, name, last, pending, paused, "
               "last_run) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT(tenant, workflow, "
               "name) DO UPDATE SET last = $4, pending = $5, paused = $6, last_run = $7",
               {tenant, workflow, name, state.last_s, std::string_view(pending),
                std::int64_t{state.paused}, std::string_view(state.last_run)}));
    return {};
}

}  // namespace

Scheduler::Scheduler(std::unique_ptr<base::store::Store> store, DefinitionStore& definitions,
                     Runtime& runtime, RunLog& log, const base::Clock& clock)
    : store_(std::move(store)),
      definitions_(definitions),
      runtime_(runtime),
      log_(log),
      clock_(clock) {}

Result<std::unique_ptr<Scheduler>> Scheduler::open(std::string_view location,
                                                   DefinitionStore& definitions, Runtime& runtime,
                                                   RunLog& log, const base::Clock& clock,
                                                   bool threaded) {
    auto store = DG_TRY(base::store::Store::open(location, {}));
    DG_TRY(base::store::migrate(*store, "flow_schedules", tables()));
    std::unique_ptr<Scheduler> out(
        new Scheduler(std::move(store), definitions, runtime, log, clock));
    if (threaded) {
        out->thread_ =
            std::jthread([self = out.get()](const std::stop_token& stop) { self->run(stop); });
    }
    return out;
}

Scheduler::~Scheduler() {
    stop();
}

void Scheduler::stop() {
    if (!thread_.joinable()) return;
    thread_.request_stop();
    thread_.join();
}

void Scheduler::run(const std::stop_token& stop) {
    std::mutex sleeping;
    while (!stop.stop_requested()) {
        (void)look();  // what the store refuses is done with the next look
        std::unique_lock lock(sleeping);
        wake_.wait_for(lock, stop, kGrain, [] { return false; });
    }
}

/// What is deployed now. A schedule that is new begins now; one that is gone is forgotten.
Result<void> Scheduler::refresh() {
    const std::uint64_t changes = definitions_.changes();
    if (changes == seen_changes_ && refreshed_s_ != 0 && now_s() - refreshed_s_ < kRefreshS &&
        now_s() >= refreshed_s_) {
        return {};
    }
    std::map<std::string, Known> fresh;
    for (const auto& [tenant, definition] : DG_TRY(definitions_.newest())) {
        for (std::size_t i = 0; i < definition->schedules.size(); ++i) {
            const std::string key = key_of(tenant, definition->name, definition->schedules[i].name);
            const auto old = known_.find(key);
            if (old != known_.end() && old->second.definition->hash == definition->hash) {
                fresh[key] = std::move(old->second);
                continue;
            }
            Known& known = fresh[key];
            known.tenant = tenant;
            known.definition = definition;
            known.index = i;
            known.of = key;
            known.table = DG_TRY(Timetable::of(known.schedule()));
            known.pending = true;  // has to be looked at
        }
    }
    known_ = std::move(fresh);
    std::vector<std::array<std::string, 3>> gone;
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        std::vector<std::string> there;
        gone.clear();
        DG_TRY(tx.query("SELECT tenant, workflow, name FROM flow_schedules", {},
                        [&](const base::store::Row& row) {
                            there.push_back(key_of(row.text(0), row.text(1), row.text(2)));
                            if (!known_.contains(there.back())) {
                                gone.push_back({std::string(row.text(0)), std::string(row.text(1)),
                                                std::string(row.text(2))});
                            }
                            return true;
                        }));
        std::ranges::sort(there);
        for (const auto& [key, known] : known_) {
            if (std::ranges::binary_search(there, key)) continue;
            DG_TRY(write_row(tx, known.tenant, known.definition->name, known.schedule().name,
                             {.last_s = now_s(), .pending = {}, .paused = false, .last_run = {}}));
        }
        for (const auto& [tenant, workflow, name] : gone) {
            DG_TRY(tx.run(
                "DELETE FROM flow_schedules WHERE tenant = $1 AND workflow = $2 AND name "
                "= $3",
                {std::string_view(tenant), std::string_view(workflow), std::string_view(name)}));
        }
        return {};
    }));
    seen_changes_ = changes;
    refreshed_s_ = now_s();
    return {};
}

Result<ScheduleState> Scheduler::change(const Known& known,
                                        const std::function<void(ScheduleState&)>& how) {
    ScheduleState out;
    const Schedule& schedule = known.schedule();
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        const auto row = DG_TRY(read_row(tx, known.tenant, known.definition->name, schedule.name));
        const ScheduleState before = row.value_or(
            ScheduleState{.last_s = now_s(), .pending = {}, .paused = false, .last_run = {}});
        out = before;
        how(out);
        if (row && out == before) return {};
        return write_row(tx, known.tenant, known.definition->name, schedule.name, out);
    }));
    return out;
}

Result<ScheduleState> Scheduler::read(const Known& known) {
    ScheduleState out;
    DG_TRY(store_->read([&](Transaction& tx) -> Result<void> {
        out = DG_TRY(read_row(tx, known.tenant, known.definition->name, known.schedule().name))
                  .value_or(ScheduleState());
        return {};
    }));
    return out;
}

bool Scheduler::is_open(const std::string& run) {
    const auto id = run_id_from(run);
    if (!id) return false;
    const auto head = log_.load_head(*id);
    if (!head || is_final(head->status)) return false;
    // The log's index follows at its own pace; the engine knows.
    std::promise<bool> open;
    std::future<bool> answer = open.get_future();
    runtime_.post([&] {
        const auto state = runtime_.engine().state(*id);
        open.set_value(state && !is_final((*state)->status));
    });
    return answer.get();
}

Result<void> Scheduler::work(Known& known) {
    const Schedule& schedule = known.schedule();
    std::vector<std::int64_t> moments;
    ScheduleState state = DG_TRY(read(known));
    const bool open = is_open(state.last_run);
    // Written before anything starts: who comes after a crash starts the same moments.
    state = DG_TRY(change(known, [&](ScheduleState& now) {
        decide(schedule, known.table, known.of, now_s(), now);
        moments = to_start(schedule, open, now);
    }));
    for (const std::int64_t moment : moments) {
        const auto run = runtime_.start(
            {.tenant = known.tenant,
             .workflow = known.definition->name,
             .input = schedule.input,
             .labels = json::object{{"schedule", schedule.name}},
             .idempotency_key = moment_key(known.definition->name, schedule.name, moment)});
        known.error = run ? "" : run.error().message;
        const bool hopeless = !run && (run.error().code == Code::not_found ||
                                       run.error().code == Code::invalid_argument);
        if (!run && !hopeless) break;  // the same moment again with the next look
        state = DG_TRY(change(known, [&](ScheduleState& now) {
            started(moment, run ? to_text(*run) : now.last_run, now);
        }));
    }
    known.pending = !state.pending.empty();
    known.due_s = next_due_s(schedule, known.table, known.of, state).value_or(INT64_MAX);
    return {};
}

Result<void> Scheduler::look() {
    const std::lock_guard lock(mutex_);
    DG_TRY(refresh());
    const std::int64_t now = now_s();
    const bool back = now < looked_s_;
    looked_s_ = now;
    for (auto& [key, known] : known_) {
        if (known.pending || known.due_s <= now || back) DG_TRY(work(known));
    }
    return {};
}

Result<std::vector<ScheduleView>> Scheduler::list(std::string_view tenant) {
    const std::lock_guard lock(mutex_);
    DG_TRY(refresh());
    std::vector<ScheduleView> out;
    for (const auto& [key, known] : known_) {
        if (known.tenant != tenant) continue;
        ScheduleView& view = out.emplace_back();
        view.workflow = known.definition->name;
        view.schedule = known.schedule();
        view.state = DG_TRY(read(known));
        view.error = known.error;
        if (!view.state.paused) {
            view.next_s = next_due_s(view.schedule, known.table, known.of, view.state);
        }
    }
    return out;
}

Result<std::vector<Scheduler::Known*>> Scheduler::named(std::string_view tenant,
                                                        std::string_view workflow,
                                                        std::string_view schedule) {
    std::vector<Known*> out;
    std::vector<std::string_view> workflows, names;
    for (auto& [key, known] : known_) {
        if (known.tenant != tenant) continue;
        workflows.push_back(known.definition->name);
        if (known.definition->name != workflow) continue;
        names.push_back(known.schedule().name);
        if (schedule.empty() || known.schedule().name == schedule) out.push_back(&known);
    }
    if (!out.empty()) return out;
    if (names.empty()) {
        return base::fail_on("workflow", Code::not_found, "no workflow '{}' has a schedule{}",
                             workflow, base::did_you_mean(workflow, workflows));
    }
    return base::fail_on("schedule", Code::not_found, "workflow '{}' has no schedule '{}'{}",
                         workflow, schedule, base::did_you_mean(schedule, names));
}

Result<void> Scheduler::set_paused(std::string_view tenant, std::string_view workflow,
                                   std::string_view schedule, bool paused) {
    const std::lock_guard lock(mutex_);
    DG_TRY(refresh());
    for (Known* known : DG_TRY(named(tenant, workflow, schedule))) {
        DG_TRY(change(*known, [&](ScheduleState& state) {
            // What came before is decided as it was then.
            decide(known->schedule(), known->table, known->of, now_s(), state);
            state.paused = paused;
        }));
        known->pending = true;
    }
    return {};
}

Result<RunId> Scheduler::trigger(std::string_view tenant, std::string_view workflow,
                                 std::string_view schedule) {
    const std::lock_guard lock(mutex_);
    DG_TRY(refresh());
    const auto found = DG_TRY(named(tenant, workflow, schedule));
    if (found.size() > 1) {
        return base::fail_on("schedule", Code::invalid_argument,
                             "workflow '{}' has {} schedules: name one", workflow, found.size());
    }
    const Known& known = *found.front();
    const RunId run = DG_TRY(
        runtime_.start({.tenant = known.tenant,
                        .workflow = known.definition->name,
                        .input = known.schedule().input,
                        .labels = json::object{{"schedule", known.schedule().name}},
                        .idempotency_key = fmt::format("schedule/{}/{}/by-hand/{:016x}", workflow,
                                                       known.schedule().name, base::entropy64())}));
    DG_TRY(change(known, [&](ScheduleState& state) { state.last_run = to_text(run); }));
    return run;
}

}  // namespace flow
