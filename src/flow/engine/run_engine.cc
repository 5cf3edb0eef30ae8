#include "flow/engine/run_engine.h"

#include <algorithm>
#include <utility>

#include "flow/engine/run_engine_commit.h"
#include "flow/run/tenant_key.h"
#include "flow/run/trace_ids.h"

namespace flow {

using base::Code;
using base::Error;
using base::fail;
namespace json = base::json;

namespace {

constexpr std::int64_t kStallMs = 1'000;  // until the log is tried again
// Runs that answer each other's events, or a loop over subflows that end at once, would otherwise
// follow each other in one commit for ever.
constexpr std::uint32_t kFollowingMax = 8;
// Of a snapshot, for each event that comes before the next one: about what an event has itself, so
// that neither writing them nor reading those behind the last one grows past the state.
constexpr std::uint64_t kSnapshotBytesPerEvent = 256;

/// What the state says of its run in the log's index.
struct Glance {
    bool calls_out = false;
    std::vector<std::string> waiting;
};

void glance_at(const ScopeState& scope, Glance& out) {
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
        const StepState& step = scope.steps[i];
        if (step.quarantined) out.waiting.push_back("quarantine:" + path_of(scope, i));
        if (step.status == StepStatus::pending || is_settled(step.status)) continue;
        // A child that ended may not have been heard of before a crash.
        const bool child = step.status == StepStatus::open && step.scopes.empty();
        out.calls_out =
            out.calls_out || child || step.status == StepStatus::running || waits_in_queue(step);
        if (step.status == StepStatus::waiting) {
            if (std::holds_alternative<HumanAction>(scope.block->steps[i].action)) {
                out.waiting.push_back("human:" + path_of(scope, i));
            } else if (step.name.starts_with("event/") || waits_in_queue(step)) {
                out.waiting.push_back(step.name);
            } else if (!step.name.empty()) {
                out.waiting.push_back("signal:" + step.name);
            } else {
                out.waiting.push_back("time:" + path_of(scope, i));
            }
        }
        for (const auto& inner : step.scopes) glance_at(*inner, out);
    }
}

}  // namespace

namespace {

/// What a run that is over gives the step that waits for it.
base::Result<json::value> outcome_of(const RunState& run) {
    if (run.status == RunStatus::completed) return run.output;
    Error error =
        run.error.value_or(Error{Code::cancelled, "the run it waited for was cancelled", {}});
    return std::unexpected(
        std::move(error).with_context("workflow '" + run.definition->name + "'"));
}

/// Steps that wait for a child run, and the child.
void children_of(const ScopeState& scope, std::vector<std::pair<std::string, RunId>>& out) {
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
        const StepState& step = scope.steps[i];
        if (step.status == StepStatus::open && step.scopes.empty()) {
            if (const auto child = run_id_from(step.name))
                out.emplace_back(path_of(scope, i), *child);
        }
        for (const auto& inner : step.scopes) children_of(*inner, out);
    }
}

}  // namespace

RunEngine::RunEngine(RunLog& log, DefinitionSource& definitions, StepRunner& runner,
                     const base::Clock& clock, std::uint64_t seed, const EngineOptions& options,
                     Post post)
    : log_(log),
      fleet_(log.fleet()),
      definitions_(definitions),
      runner_(runner),
      clock_(clock),
      rng_(seed),
      options_(options),
      post_(std::move(post)) {}

RunEngine::~RunEngine() = default;

// ---- runs in memory ----------------------------------------------------------------------------

base::Result<RunEngine::Hot*> RunEngine::hot(RunId run) {
    if (const auto found = hot_.find(run); found != hot_.end()) {
        // Of another's run it is what was once.
        if (!foreign(run) || found->second->writes != 0) {
            found->second->used = ++use_;
            return found->second.get();
        }
        hot_.erase(found);
    }
    StoredRun stored = DG_TRY(log_.load(run));
    auto made = std::make_unique<Hot>();
    made->state.id = run;
    made->state.definition = DG_TRY(definitions_.by_hash(stored.head.hash));
    if (!stored.snapshot.empty()) {
        const json::value snapshot = DG_TRY(base::parse_json(stored.snapshot, {.depth_max = 512}));
        DG_TRY(from_json(snapshot.as_object(), made->state));
        made->snapshot_at = made->state.events;
        made->snapshot_bytes = stored.snapshot.size();
    }
    for (const Event& event : stored.events) DG_TRY(apply(made->state, event));
    made->head = std::move(stored.head);
    made->serial = ++serial_last_;
    made->used = ++use_;
    Hot* out = made.get();
    hot_[run] = std::move(made);
    return out;
}

void RunEngine::evict() {
    if (hot_.size() <= options_.hot_runs_max) return;
    std::vector<std::pair<std::uint64_t, RunId>> old;
    for (const auto& [id, run] : hot_) {
        if (run->writes == 0) old.emplace_back(run->used, id);
    }
    const std::size_t goal = std::min(old.size(), hot_.size() - options_.hot_runs_max * 9 / 10);
    std::ranges::nth_element(old, old.begin() + static_cast<std::ptrdiff_t>(goal));
    for (std::size_t i = 0; i < goal; ++i) hot_.erase(old[i].second);
}

/// Brings the head, the timers and the index of waits to what the state says.
void RunEngine::refresh(Hot& run) {
    const RunState& state = run.state;
    RunHead& head = run.head;
    index_waits(head, false);
    Glance glance;
    if (!is_final(state.status)) glance_at(state.root, glance);
    if (!state.definition->run_queue.empty()) glance.calls_out = true;  // it has, or wants, a place
    if (!state.queued_in.empty()) glance.waiting.push_back("queue/" + state.queued_in);
    if (state.status == RunStatus::undoing) glance.calls_out = true;
    head.status = state.status;
    head.updated_ms = now_ms();
    head.finished_ms = state.finished_ms;
    head.due_ms = flow::next_due_ms(state);
    head.calls_out = glance.calls_out;
    head.waiting = std::move(glance.waiting);
    head.error = state.error ? state.error->message : state.reason;
    head.events = state.events;
    if (state.totals.whole) head.totals = state.totals.in_short();
    if (state.forked_from) head.forked_from = state.forked_from->run;
    if (is_final(state.status)) return;
    index_waits(head, true);
    Open& open = open_[head.id];
    if (head.due_ms != 0 && head.due_ms != open.due_ms) timers_.add(head.due_ms, head.id);
    open.due_ms = head.due_ms;
}

void RunEngine::index_waits(const RunHead& head, bool add) {
    stats_.waiting.count(head.waiting, add);
    for (const std::string& wait : head.waiting) {
        if (!wait.starts_with("event/")) continue;
        const std::string key = tenant_key(head.tenant, wait);
        if (add) {
            event_waits_[key].insert(head.id);
        } else if (const auto found = event_waits_.find(key); found != event_waits_.end()) {
            found->second.erase(head.id);
            if (found->second.empty()) event_waits_.erase(found);
        }
    }
}

base::Result<void> RunEngine::recover() {
    if (fleet_ != nullptr) {
        const auto told = [this](auto tell) {
            return [this, tell](auto&&... what) {
                auto task = [this, tell, ... what = std::move(what)]() mutable {
                    (this->*tell)(std::move(what)...);
                };
                post_(std::move(task));
            };
        };
        fleet_->join({.claimed =
                          [this](std::vector<Claimed> runs) {
                              post_([this, runs = std::move(runs)] {
                                  for (const Claimed& run : runs) adopt(run.head, run.crashed);
                              });
                          },
                      .arrived = told(&RunEngine::arrived),
                      .moved = told(&RunEngine::moved),
                      .lost = told(&RunEngine::lost_lease)},
                     options_.take_up);
        return {};
    }
    if (!options_.take_up) return {};
    return log_.open_runs([&](const RunHead& head) { adopt(head, options_.after_crash); });
}

/// An open run is ours from now on.
void RunEngine::adopt(const RunHead& head, bool crashed) {
    if (open_.contains(head.id)) return;
    hot_.erase(head.id);
    open_[head.id].due_ms = head.due_ms;
    index_waits(head, true);
    if (head.due_ms != 0) timers_.add(head.due_ms, head.id);
    if (options_.take_up && (head.calls_out || head.waiting.empty())) {
        post_([this, run = head.id, crashed] { resume(run, crashed); });
    }
}

/// After a restart: what was out is asked for again, what was not decided is decided.
void RunEngine::resume(RunId run, bool crashed) {
    if (foreign(run)) return;
    const auto found = hot(run);
    if (!found) {
        if (fleet_ == nullptr) return;
        open_[run].due_ms = now_ms() + kStallMs;  // the server is away; it is looked at again
        timers_.add(now_ms() + kStallMs, run);
        return;
    }
    if (is_final((*found)->state.status)) {
        open_.erase(run);
        return;
    }
    call_lost(run, crashed);
    hear_children(run);
    proceed(run);
}

/// Goes on with what is decided in pieces, or what a run found in its inbox.
void RunEngine::proceed(RunId run) {
    input(
        run,
        [](Machine& machine, std::int64_t now) -> base::Result<void> {
            machine.proceed(now);
            return {};
        },
        {}, true);
}

/// Tells a run of its children that are over.
void RunEngine::hear_children(RunId run) {
    const auto found = hot(run);
    if (!found) return;
    std::vector<std::pair<std::string, RunId>> children;
    children_of((*found)->state.root, children);
    for (const auto& [path, child] : children) {
        const auto other = hot(child);
        if (!other || !is_final((*other)->state.status) || (*other)->writes != 0) continue;
        input(
            run,
            [path = path, result = outcome_of((*other)->state)](
                Machine& machine, std::int64_t now) -> base::Result<void> {
                machine.child_finished(path, result, now);
                return {};
            },
            {}, true);
    }
}

// ---- deciding ----------------------------------------------------------------------------------

base::Result<json::value> RunEngine::checked_input(const Definition& definition,
                                                   const json::value& input) const {
    json::value whole = input;
    if (const json::object* defaults = definition.input_defaults.if_object()) {
        if (whole.is_null()) whole = json::object();
        if (json::object* given = whole.if_object()) {
            for (const auto& [name, value] : *defaults) {
                if (!given->contains(name)) (*given)[name] = value;
            }
        }
    }
    if (definition.input_check) {
        if (auto fits = definition.input_check->check(whole); !fits) {
            Error error = std::move(fits).error();
            error.message = fmt::format("the input of workflow '{}' at '{}': {}", definition.name,
                                        error.subject, error.message);
            error.subject = "input" + error.subject;
            return std::unexpected(std::move(error));
        }
    }
    return whole;
}

void RunEngine::start(const StartRequest& request, Started started) {
    auto definition = request.fork
                          ? definitions_.by_hash(request.fork->hash)
                          : definitions_.find(request.tenant, request.workflow, request.version);
    if (!definition) return started(std::unexpected(std::move(definition).error()));
    auto input = checked_input(**definition, request.input);
    if (!input) return started(std::unexpected(std::move(input).error()));
    Commit commit;
    if (!request.idempotency_key.empty()) {
        commit.key = tenant_key(request.tenant, request.idempotency_key);
        if (const auto found = keys_.find(commit.key); found != keys_.end()) {
            found->second.others.push_back(std::move(started));
            return;
        }
        auto known = log_.by_key(request.tenant, request.idempotency_key);
        if (!known) return started(std::unexpected(std::move(known).error()));
        if (*known) return started(**known);
    }
    StartRequest whole = request;
    whole.input = *std::move(input);
    commit.run = make_run_id(now_ms(), rng_);
    commit.started = std::move(started);
    if (!commit.key.empty()) keys_[commit.key].run = commit.run;
    create(commit, commit.run, whole, *std::move(definition), std::nullopt);
    append(std::move(commit));
}

void RunEngine::create(Commit& commit, RunId id, const StartRequest& request,
                       std::shared_ptr<const Definition> definition, std::optional<Parent> parent) {
    auto made = std::make_unique<Hot>();
    Hot& run = *made;
    run.state.id = id;
    run.state.definition = std::move(definition);
    run.serial = ++serial_last_;
    run.used = ++use_;
    run.created = true;
    run.head.id = id;
    run.head.tenant = request.tenant;
    run.head.workflow = run.state.definition->name;
    run.head.hash = run.state.definition->hash;
    run.head.version = run.state.definition->version;
    run.head.idempotency_key = request.idempotency_key;
    run.head.labels = request.labels;
    run.head.started_ms = now_ms();
    if (parent) run.head.parent = parent->run;
    hot_[id] = std::move(made);
    open_[id];
    Machine machine(run.state);
    const RunStart start{request.tenant,     request.idempotency_key, request.input,
                         request.labels,     std::move(parent),       request.priority,
                         request.traceparent};
    if (request.fork) {
        machine.fork(start, *request.fork, now_ms());
    } else {
        machine.start(start, now_ms());
    }
    decided(commit, run, machine);
}

void RunEngine::decided(Commit& commit, Hot& run, Machine& machine) {
    Decision decision = machine.take();
    refresh(run);
    if (decision.events.empty()) return;
    const std::uint64_t first = run.state.events - decision.events.size();
    std::size_t at = 0;
    while (at < commit.changes.size() && commit.changes[at].head.id != run.head.id) ++at;
    if (at == commit.changes.size()) {
        RunChange& added = commit.changes.emplace_back();
        added.created = std::exchange(run.created, false);
        added.first = first;
        commit.serials.push_back(run.serial);
    }
    RunChange& change = commit.changes[at];
    change.head = run.head;
    std::ranges::move(decision.events, std::back_inserter(change.events));
    const std::uint64_t apart = std::max<std::uint64_t>(
        options_.snapshot_events, run.snapshot_bytes / kSnapshotBytesPerEvent);
    if (run.state.events - run.snapshot_at >= apart && !decision.ended) {
        change.snapshot = json::serialize(to_json(run.state));
        run.snapshot_at = run.state.events;
        run.snapshot_bytes = change.snapshot.size();
    } else {
        change.snapshot.clear();  // one of an earlier decision in this commit is not the last state
    }
    std::ranges::move(decision.calls, std::back_inserter(commit.calls));
    for (std::string& path : decision.cancelled) {
        commit.cancelled.emplace_back(run.head.id, std::move(path));
    }
    if (decision.more) commit.more.push_back(run.head.id);
    ++following_;
    start_children(commit, run, std::move(decision.children));
    send(commit, run, std::move(decision.sendings));
    if (decision.ended) tell_parent(commit, run);
    --following_;
}

void RunEngine::start_children(Commit& commit, Hot& run, std::vector<ChildStart> children) {
    for (ChildStart& child : children) {
        const auto refuse = [&](Error error) {
            if (child.detached) return;
            give_to(commit, run.head.id, [&](Machine& machine) {
                machine.child_finished(child.path, std::unexpected(error), now_ms());
            });
        };
        std::uint32_t depth = 0;
        std::optional<RunId> ancestor = run.head.id;
        while (ancestor && depth <= options_.depth_max) {
            const auto found = hot(*ancestor);
            ancestor = found ? (*found)->head.parent : std::nullopt;
            ++depth;
        }
        if (depth > options_.depth_max) {
            refuse({Code::resource_exhausted,
                    fmt::format("subflows within subflows: more than {}", options_.depth_max),
                    {}});
            continue;
        }
        auto definition = definitions_.find(run.head.tenant, child.workflow, child.version);
        if (!definition) {
            refuse(std::move(definition).error());
            continue;
        }
        auto input = checked_input(**definition, child.input);
        if (!input) {
            refuse(std::move(input).error());
            continue;
        }
        StartRequest request;
        request.tenant = run.head.tenant;
        request.input = *std::move(input);
        request.labels = run.head.labels;
        request.traceparent = child_traceparent(run.state, child.path);
        std::optional<Parent> parent;
        if (!child.detached) parent = Parent{run.head.id, child.path};
        create(commit, child.id, request, *std::move(definition), std::move(parent));
    }
}

void RunEngine::send(Commit& commit, Hot& run, std::vector<Sending> sendings) {
    for (const Sending& sending : sendings) {
        if (sending.run && foreign(*sending.run)) {
            commit.postings.push_back(
                {.run = *sending.run,
                 .tenant = run.head.tenant,
                 .input = {RunInput::Kind::signal, sending.name, sending.payload}});
            continue;
        }
        if (sending.run) {
            const auto target = hot(*sending.run);
            if (!target || (*target)->head.tenant != run.head.tenant) continue;
            signal_to(commit, *sending.run, sending.name, sending.payload);
            continue;
        }
        tell_waiting(commit, run.head.tenant, sending.name, sending.payload);
    }
}

/// An event, to every open run of the tenant that waits for it.
void RunEngine::tell_waiting(Commit& commit, std::string_view tenant, std::string_view event,
                             const json::value& payload) {
    const std::string name = "event/" + std::string(event);
    const auto found = event_waits_.find(tenant_key(tenant, name));
    if (found == event_waits_.end() && fleet_ == nullptr) return;
    std::vector<RunId> targets;
    if (found != event_waits_.end()) targets.assign(found->second.begin(), found->second.end());
    if (fleet_ != nullptr) {
        commit.postings.push_back({.tenant = std::string(tenant),
                                   .event = name,
                                   .told = targets,
                                   .input = {RunInput::Kind::signal, name, payload}});
    }
    for (const RunId target : targets) signal_to(commit, target, name, payload);
}

void RunEngine::give_to(Commit& commit, RunId run, const std::function<void(Machine&)>& input) {
    const auto found = hot(run);
    if (!found) return;
    Machine machine((*found)->state);
    input(machine);
    decided(commit, **found, machine);
}

/// A signal for a run, in the same commit; what it does about it may come with the next one.
void RunEngine::signal_to(Commit& commit, RunId run, const std::string& name,
                          const json::value& payload) {
    const bool later = following_ > kFollowingMax;
    give_to(commit, run, [&](Machine& machine) {
        (void)(later ? machine.deliver(name, payload, now_ms())
                     : machine.signal(name, payload, now_ms()));
    });
    if (!later) return;
    commit.more.push_back(run);
    for (RunChange& change : commit.changes) {
        if (change.head.id == run) change.head.due_ms = now_ms();  // after a crash, too
    }
}

void RunEngine::tell_parent(Commit& commit, Hot& run) {
    if (!run.state.parent) return;
    const Parent parent = *run.state.parent;
    if (foreign(parent.run)) {
        base::Result<json::value> result = outcome_of(run.state);
        RunInput input{RunInput::Kind::child, parent.path};
        input.by = to_text(run.head.id);
        if (result) {
            input.payload = *std::move(result);
        } else {
            input.error = std::move(result).error();
        }
        commit.postings.push_back(
            {.run = parent.run, .tenant = run.head.tenant, .input = std::move(input)});
        return;
    }
    if (following_ > kFollowingMax) {
        commit.parents.push_back(parent.run);
        return;
    }
    base::Result<json::value> result = outcome_of(run.state);
    give_to(commit, parent.run, [&](Machine& machine) {
        machine.child_finished(parent.path, std::move(result), now_ms());
    });
}

void RunEngine::input(RunId run, Input input, Done done, bool keep) {
    take({run, std::move(input), std::move(done), keep});
}

void RunEngine::give(RunId run, RunInput input, Done done) {
    Waiting waiting{run, {}, std::move(done), false};
    waiting.form = std::make_shared<const RunInput>(std::move(input));
    take(std::move(waiting));
}

void RunEngine::take(Waiting waiting) {
    if (waiting.keep && !stalled_.empty()) {
        stalled_.push_back(std::move(waiting));
        return;
    }
    if (foreign(waiting.run) && !route(waiting)) return;
    const auto found = hot(waiting.run);
    if (!found) {
        if (waiting.settled.number != 0) {
            stalled_.push_back(std::move(waiting));
            stalled_until_ms_ = now_ms() + kStallMs;
        } else if (waiting.done) {
            waiting.done(std::unexpected(found.error()));
        }
        return;
    }
    RunState& state = (*found)->state;
    Machine machine(state);
    base::Result<void> taken = waiting.form ? flow::give(*waiting.form, state, machine, now_ms())
                                            : waiting.input(machine, now_ms());
    if (!taken) return refuse(std::move(waiting), std::move(taken).error());
    Commit commit;
    decided(commit, **found, machine);
    if (waiting.settled.number != 0) {
        waiting.settled.refusal.reset();
        commit.settled.push_back(waiting.settled);
    } else if (commit.empty()) {
        if (waiting.done) waiting.done({});
        return;
    }
    commit.inputs.push_back(std::move(waiting));
    append(std::move(commit));
}

/// The run does not take it.
void RunEngine::refuse(Waiting waiting, Error why) {
    if (waiting.settled.number == 0) {
        if (waiting.done) waiting.done(std::unexpected(std::move(why)));
        return;
    }
    Commit commit;
    waiting.settled.refusal = std::move(why);
    commit.settled.push_back(waiting.settled);
    commit.inputs.push_back(std::move(waiting));
    append(std::move(commit));
}

void RunEngine::publish(std::string_view tenant, std::string_view event, const json::value& payload,
                        Done done) {
    Commit commit;
    tell_waiting(commit, tenant, event, payload);
    if (commit.empty()) {
        if (done) done({});
        return;
    }
    commit.inputs.push_back({{}, {}, std::move(done), false});
    append(std::move(commit));
}

// ---- writing -----------------------------------------------------------------------------------

void RunEngine::append(Commit commit) {
    for (const RunChange& change : commit.changes) ++hot_.at(change.head.id)->writes;
    auto kept = std::make_shared<Commit>(std::move(commit));
    auto done = [this, kept](base::Result<void> written) {
        post_([this, kept, written = std::move(written)] {
            if (written) {
                durable(*kept);
            } else {
                failed(*kept, written.error());
            }
        });
    };
    if (kept->postings.empty() && kept->settled.empty()) {
        log_.append(kept->changes, std::move(done));
    } else {
        fleet_->commit({kept->changes, kept->postings, kept->settled}, std::move(done));
    }
}

void RunEngine::durable(Commit& commit) {
    ++stats_.commits;
    std::vector<RunId> over;
    for (std::size_t i = 0; i < commit.changes.size(); ++i) {
        const RunChange& change = commit.changes[i];
        stats_.events += change.events.size();
        if (change.created) ++stats_.started;
        const auto found = hot_.find(change.head.id);
        if (found != hot_.end() && found->second->serial == commit.serials[i]) {
            --found->second->writes;
        }
        if (is_final(change.head.status)) over.push_back(change.head.id);
        for (const auto& [number, watcher] : watchers_) {
            watcher(change.head.id, change.events, change.first);
        }
    }
    for (auto& [run, path] : commit.cancelled) runner_.cancel(run, path);
    if (commit.started) commit.started(commit.run);
    if (const auto found = keys_.find(commit.key); found != keys_.end() && !commit.key.empty()) {
        for (const Started& other : found->second.others) other(commit.run);
        keys_.erase(found);
    }
    for (Waiting& waiting : commit.inputs) {
        if (waiting.done) waiting.done({});
    }
    for (Call& call : commit.calls) make(std::move(call));
    for (const RunId run : over) {
        open_.erase(run);
        const auto found = hot_.find(run);
        if (found == hot_.end()) continue;
        Hot& ended = *found->second;  // not the iterator: who waits may load others
        count_end(ended.state.status);
        answer_waiters(ended);
        if (ended.writes == 0) hot_.erase(run);
    }
    for (const RunId run : commit.parents) hear_children(run);
    for (const RunId run : commit.more) proceed(run);
    evict();
}

/// The runs it touched are ahead of the log: they leave memory, and what came in comes again.
void RunEngine::failed(Commit& commit, const Error& error) {
    for (std::size_t i = 0; i < commit.changes.size(); ++i) {
        const RunChange& change = commit.changes[i];
        const auto found = hot_.find(change.head.id);
        if (found != hot_.end() && found->second->serial == commit.serials[i]) {
            index_waits(found->second->head, false);
            hot_.erase(found);
            if (change.created) {
                open_.erase(change.head.id);
            } else if (foreign(change.head.id)) {
                continue;
            } else if (fleet_ != nullptr && error.code == Code::failed_precondition) {
                open_.erase(change.head.id);  // it ended, and goes on at another process
            } else if (const auto stored = log_.load(change.head.id); stored) {
                index_waits(stored->head, true);
                if (is_final(stored->head.status)) {
                    open_.erase(change.head.id);
                } else {
                    open_[change.head.id].due_ms = now_ms() + kStallMs;
                    timers_.add(now_ms() + kStallMs, change.head.id);
                }
            } else if (fleet_ != nullptr) {  // the server is away; it is looked at again
                open_[change.head.id].due_ms = now_ms() + kStallMs;
                timers_.add(now_ms() + kStallMs, change.head.id);
            }
        }
    }
    if (fleet_ != nullptr && error.code == Code::already_exists && !commit.key.empty()) {
        return answer_conflict(commit);
    }
    if (commit.started) commit.started(std::unexpected(error));
    if (const auto found = keys_.find(commit.key); found != keys_.end() && !commit.key.empty()) {
        for (const Started& other : found->second.others) other(std::unexpected(error));
        keys_.erase(found);
    }
    for (Waiting& waiting : commit.inputs) {
        // What did not happen here may happen where the run is now.
        const bool elsewhere =
            fleet_ != nullptr && waiting.form != nullptr &&
            (error.code == Code::unavailable || error.code == Code::failed_precondition);
        if (waiting.keep || elsewhere) {
            stalled_.push_back(std::move(waiting));
        } else if (waiting.done) {
            waiting.done(std::unexpected(error));
        }
    }
    stalled_until_ms_ = now_ms() + kStallMs;
}

void RunEngine::make(Call call) {
    ++stats_.calls_out;
    const RunId run = call.run;
    const std::string path = call.path;
    const std::uint32_t attempt = call.attempt;
    runner_.run(std::move(call), [this, run, path, attempt](base::Result<StepOutput> result) {
        auto kept = std::make_shared<base::Result<StepOutput>>(std::move(result));
        post_([this, run, path, attempt, kept] {
            --stats_.calls_out;
            input(
                run,
                [path, attempt, kept](Machine& machine, std::int64_t now) -> base::Result<void> {
                    machine.finished(path, attempt, *kept, now);
                    return {};
                },
                {}, true);
        });
    });
}

// ---- time, waiting, looking
// ----------------------------------------------------------------------

void RunEngine::tick() {
    const std::int64_t now = now_ms();
    if (rejoin_ms_ != 0 && rejoin_ms_ <= now) rejoin();
    if (!stalled_.empty() && stalled_until_ms_ <= now) {
        std::deque<Waiting> again = std::exchange(stalled_, {});
        for (Waiting& waiting : again) {
            take(std::move(waiting));
        }
    }
    while (options_.take_up && timers_.next_ms() != 0 && timers_.next_ms() <= now) {
        const RunId run = timers_.pop();
        const auto found = open_.find(run);
        if (found == open_.end() || found->second.due_ms == 0 || found->second.due_ms > now)
            continue;
        if (timer_told_) timer_told_(now - found->second.due_ms);
        found->second.due_ms = 0;
        input(run,
              [](Machine& machine, std::int64_t at) -> base::Result<void> {
                  machine.tick(at);
                  return {};
              },
              {});
    }
}

std::int64_t RunEngine::next_due_ms() const {
    std::int64_t next = options_.take_up ? timers_.next_ms() : 0;
    if (!stalled_.empty() && (next == 0 || stalled_until_ms_ < next)) next = stalled_until_ms_;
    if (rejoin_ms_ != 0 && (next == 0 || rejoin_ms_ < next)) next = rejoin_ms_;
    return next;
}

void RunEngine::when_ended(RunId run, Ended ended) {
    if (open_.contains(run)) {
        waiters_[run].push_back(std::move(ended));
        return;
    }
    const auto found = hot(run);
    if (!found) return ended(std::unexpected(found.error()), {});
    if (foreign(run) && !is_final((*found)->state.status)) {
        waiters_[run].push_back(std::move(ended));
        watch_foreign(run, (*found)->state.events);
        return;
    }
    ended((*found)->head, (*found)->state.output);
}

void RunEngine::count_end(RunStatus status) {
    switch (status) {
        case RunStatus::completed:
            ++stats_.completed;
            break;
        case RunStatus::failed:
            ++stats_.failed;
            break;
        default:
            ++stats_.cancelled;
            break;
    }
}

void RunEngine::answer_waiters(Hot& run) {
    const auto found = waiters_.find(run.head.id);
    if (found == waiters_.end()) return;
    const std::vector<Ended> all = std::move(found->second);
    waiters_.erase(found);
    for (const Ended& ended : all) ended(run.head, run.state.output);
}

std::uint64_t RunEngine::watch(Watcher watcher) {
    watchers_[++watcher_last_] = std::move(watcher);
    return watcher_last_;
}

base::Result<void> RunEngine::peek(RunId run, const Input& look) {
    Machine machine(DG_TRY(hot(run))->state);
    return look(machine, now_ms());
}

base::Result<const RunState*> RunEngine::state(RunId run) {
    return &DG_TRY(hot(run))->state;
}

EngineStats RunEngine::stats() const {
    EngineStats out = stats_;
    out.runs_open = open_.size();
    out.runs_hot = hot_.size();
    out.timers = timers_.size();
    out.stalled_inputs = stalled_.size();
    return out;
}

}  // namespace flow
