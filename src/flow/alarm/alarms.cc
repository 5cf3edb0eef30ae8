#include "flow/alarm/alarms.h"

#include <algorithm>
#include <future>

#include "base/core/nearest.h"

namespace flow {

using base::Code;
using base::Result;
using base::store::Transaction;
using What = AlarmRule::What;

namespace {

constexpr std::chrono::milliseconds kGrain{1'000};
constexpr std::int64_t kRefreshMs = 10'000;   // other processes add rules, too
constexpr std::int64_t kEvaluateMs = 10'000;  // while nothing is heard: windows move on
constexpr std::int64_t kLeaseMs = 10'000;
constexpr std::int64_t kClaimMs = 60'000;  // longer than sending takes
constexpr std::int64_t kPruneMs = 600'000;
constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::int64_t kToldKeptMs = 30 * kDayMs;
constexpr std::size_t kRunsShown = 20;
constexpr std::size_t kRulesMax = 200;  // of a tenant, by the API
constexpr std::size_t kSendAtOnce = 8;
constexpr std::uint32_t kCaughtUpMax = 1'000;
constexpr std::size_t kLineBytesMax = 500;

std::optional<std::string> quarantined_in(const ScopeState& scope) {
    for (std::uint32_t i = 0; i < scope.steps.size(); ++i) {
        if (scope.steps[i].quarantined) return path_of(scope, i);
        for (const auto& inner : scope.steps[i].scopes) {
            if (auto found = quarantined_in(*inner)) return found;
        }
    }
    return std::nullopt;
}

}  // namespace

/// What is shown on /metrics.
struct Alarms::Counters {
    explicit Counters(base::metrics::Registry& registry)
        : registry_(registry),
          firing(phase("firing")),
          pending(phase("pending")),
          due(registry.gauge("dougong_flow_alarms_deliveries_due",
                             "Messages about alarms that are on their way.")),
          delivered(outcome("delivered")),
          again(outcome("retried")),
          dead(outcome("dead")) {}

    base::metrics::Counter& told(AlarmTold what) {
        return registry_.counter("dougong_flow_alarms_told_total",
                                 "Times that somebody was told of an alarm, by what of.",
                                 {{"what", std::string(told_name(what))}});
    }

private:
    base::metrics::Gauge& phase(const char* name) {
        return registry_.gauge("dougong_flow_alarms", "Alarms by how they stand.",
                               {{"phase", name}});
    }
    base::metrics::Counter& outcome(const char* name) {
        return registry_.counter("dougong_flow_alarms_deliveries_total",
                                 "Attempts to deliver messages, by what became of them.",
                                 {{"outcome", name}});
    }
    base::metrics::Registry& registry_;

public:
    base::metrics::Gauge &firing, &pending, &due;
    base::metrics::Counter &delivered, &again, &dead;
};

Alarms::Alarms(std::unique_ptr<base::store::Store> store, Parts parts)
    : store_(std::move(store)),
      parts_(std::move(parts)),
      self_(fmt::format("{:016x}", base::entropy64())),
      chance_(base::entropy64()) {}

Result<std::unique_ptr<Alarms>> Alarms::open(const std::string& location, Parts parts,
                                             bool threaded) {
    auto store = DG_TRY(base::store::Store::open(location, {}));
    DG_TRY(base::store::migrate(*store, "flow_alarms", alarm_tables(store->dialect())));
    std::unique_ptr<Alarms> out(new Alarms(std::move(store), std::move(parts)));
    if (out->parts_.metrics != nullptr) {
        out->counters_ = std::make_unique<Counters>(*out->parts_.metrics);
    }
    out->ears_ = std::make_unique<AlarmEars>(out->parts_.runtime);
    DG_TRY(out->begin());
    if (!threaded) return out;
    out->senders_ = std::make_unique<base::Worker>(kSendAtOnce, kSendAtOnce);
    out->thread_ =
        std::jthread([self = out.get()](const std::stop_token& stop) { self->run(stop); });
    out->delivery_thread_ = std::jthread(
        [self = out.get()](const std::stop_token& stop) { self->run_deliveries(stop); });
    return out;
}

Alarms::~Alarms() {
    stop();
}

void Alarms::stop() {
    for (std::jthread* thread : {&thread_, &delivery_thread_}) {
        if (!thread->joinable()) continue;
        thread->request_stop();
        thread->join();
    }
    if (senders_) senders_->stop();
    if (ears_ == nullptr) return;
    ears_->set_rules(nullptr);
    (void)flush();  // what it heard last
    ears_.reset();
}

void Alarms::run(const std::stop_token& stop) {
    std::mutex sleeping;
    std::condition_variable_any never;
    while (!stop.stop_requested()) {
        (void)look();  // what the store refuses is done with the next look
        std::unique_lock lock(sleeping);
        never.wait_for(lock, stop, kGrain, [] { return false; });
    }
}

void Alarms::run_deliveries(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        (void)deliver();
        std::unique_lock lock(sleeping_);
        wake_.wait_for(lock, stop, kGrain, [this] { return due_.exchange(false); });
    }
}

// ---- rules -------------------------------------------------------------------------------------

Result<void> Alarms::begin() {
    const std::lock_guard lock(mutex_);
    DG_TRY(refresh());
    if (!store_->shared()) {
        leads_ = true;
        DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
            DG_TRY(drop_claims(tx));
            return forget_others(tx, *rules_);
        }));
    }
    return catch_up();
}

/// The configuration's rules and those that came by the API.
Result<void> Alarms::refresh() {
    auto rules = std::make_shared<std::vector<AlarmRule>>(parts_.file.rules);
    DG_TRY(store_->read([&](Transaction& tx) -> Result<void> {
        for (AlarmRule& rule : DG_TRY(stored_rules(tx))) {
            const bool shadowed = std::ranges::any_of(*rules, [&](const AlarmRule& each) {
                return each.tenant == rule.tenant && each.name == rule.name;
            });
            if (!shadowed) rules->push_back(std::move(rule));
        }
        return {};
    }));
    refreshed_ms_ = now_ms();
    if (rules_ != nullptr && *rules_ == *rules) return {};
    rules_ = std::move(rules);
    if (ears_) ears_->set_rules(rules_);
    stale_ = true;
    return {};
}

Result<const AlarmRule*> Alarms::named(std::string_view tenant, std::string_view name) {
    DG_TRY(refresh());
    std::vector<std::string_view> known;
    for (const AlarmRule& rule : *rules_) {
        if (rule.tenant != tenant) continue;
        if (rule.name == name) return &rule;
        known.push_back(rule.name);
    }
    return base::fail_on("name", Code::not_found, "there is no alarm '{}'{}", name,
                         base::did_you_mean(name, known));
}

std::vector<const Webhook*> Alarms::webhooks_of(const AlarmRule& rule) const {
    std::vector<const Webhook*> out;
    for (const Webhook& each : parts_.file.webhooks) {
        if (rule.webhooks.empty() ||
            std::ranges::find(rule.webhooks, each.name) != rule.webhooks.end()) {
            out.push_back(&each);
        }
    }
    return out;
}

// ---- what is heard -----------------------------------------------------------------------------

Result<void> Alarms::flush() {
    const std::int64_t upto_ms = now_ms();
    AlarmEars::Heard heard = ears_->take();
    if (heard.empty()) return {};
    auto written = store_->write([&](Transaction& tx) -> Result<void> {
        for (const auto& [key, counts] : heard.counts) DG_TRY(add_counts(tx, key, counts));
        for (const NotedRun& run : heard.runs) DG_TRY(note_run(tx, run));
        return put_counted_to(tx, upto_ms);
    });
    if (written) {
        stale_ = true;
    } else {
        ears_->give_back(std::move(heard));
    }
    return written;
}

/// Asks about a run's state on the runtime's thread.
template <class T>
T Alarms::ask_state(RunId run, const std::function<T(const RunState*)>& question) {
    std::promise<T> answer;
    parts_.runtime.post([&] {
        const auto state = parts_.runtime.engine().state(run);
        answer.set_value(question(state ? *state : nullptr));
    });
    return answer.get_future().get();
}

/// What became durable before the last process died and was not written here: runs that failed and
/// steps that were quarantined. Of the newest thousand of each tenant.
Result<void> Alarms::catch_up() {
    std::int64_t from_ms = 0;
    DG_TRY(store_->read([&](Transaction& tx) -> Result<void> {
        from_ms = DG_TRY(counted_to(tx));
        return {};
    }));
    const std::int64_t now = now_ms();
    if (from_ms == 0) {
        return store_->write([&](Transaction& tx) { return put_counted_to(tx, now); });
    }
    std::map<std::string, std::vector<RunHead>> heads;  // by tenant
    for (const AlarmRule& rule : *rules_) {
        if (rule.what != What::failure_rate && rule.what != What::quarantined) continue;
        if (heads.contains(rule.tenant)) continue;
        RunFilter filter{.tenant = rule.tenant, .status = "failed", .limit = kCaughtUpMax};
        auto& found = heads[rule.tenant] = DG_TRY(parts_.log.list(filter));
        filter.status = "";
        filter.waiting = "quarantine:";
        const auto held = DG_TRY(parts_.log.list(filter));
        found.insert(found.end(), held.begin(), held.end());
        std::erase_if(found, [&](const RunHead& head) { return head.updated_ms < from_ms; });
    }
    for (const AlarmRule& rule : *rules_) {
        const auto found = heads.find(rule.tenant);
        if (found == heads.end()) continue;
        for (const RunHead& head : found->second) {
            if (!rule.covers(head.tenant, head.workflow) ||
                keep_until(rule, head.updated_ms) < now) {
                continue;
            }
            std::optional<std::string> why;
            if (rule.what == What::failure_rate && head.status == RunStatus::failed) {
                why = head.error;
            } else if (rule.what == What::quarantined) {
                why = ask_state<std::optional<std::string>>(
                    head.id, [](const RunState* state) -> std::optional<std::string> {
                        return state == nullptr ? std::nullopt : quarantined_in(state->root);
                    });
            }
            if (!why) continue;
            const NotedRun noted{.tenant = rule.tenant,
                                 .rule = rule.name,
                                 .workflow = head.workflow,
                                 .run = {head.id, head.updated_ms, *why},
                                 .keep_until_ms = keep_until(rule, head.updated_ms)};
            DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
                const bool fresh = DG_TRY(note_run(tx, noted));
                if (!fresh || rule.what != What::failure_rate) return {};
                return add_counts(tx, {head.tenant, head.workflow, head.updated_ms / 60'000},
                                  {.failed = 1});
            }));
        }
    }
    return {};
}

// ---- deciding ----------------------------------------------------------------------------------

Result<void> Alarms::look() {
    const std::lock_guard lock(mutex_);
    const std::int64_t now = now_ms();
    if (now - refreshed_ms_ >= kRefreshMs || now < refreshed_ms_) DG_TRY(refresh());
    DG_TRY(flush());
    if (rules_->empty() && !restless_) return {};
    if (store_->shared()) {
        DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
            leads_ = DG_TRY(lead(tx, self_, now, now + kLeaseMs));
            return {};
        }));
        stale_ = true;  // others write, too
    }
    if (!leads_) return {};
    if (parts_.clock.now() >= sweep_at_) DG_TRY(sweep());
    if (stale_ || restless_ || now - evaluated_ms_ >= kEvaluateMs || now < evaluated_ms_) {
        DG_TRY(evaluate());
    }
    if (now - pruned_ms_ >= kPruneMs || now < pruned_ms_) {
        DG_TRY(store_->write(
            [&](Transaction& tx) { return prune(tx, now - 2 * kDayMs, now - kToldKeptMs); }));
        pruned_ms_ = now;
    }
    return {};
}

Result<std::map<std::string, AlarmReading>> Alarms::readings(Transaction& tx, const AlarmRule& rule,
                                                             std::int64_t now) {
    std::map<std::string, AlarmReading> out;
    const std::int64_t from_ms = now - rule.over_ms;
    if (rule.what == What::disk_free) {
        // Of many processes each has a disk of its own.
        if (store_->shared() || !parts_.disk_free) return out;
        if (const auto free = parts_.disk_free()) out[""].value = static_cast<double>(*free);
        return out;
    }
    if (rule.notes_runs()) {
        const bool windowed = rule.what == What::failure_rate || rule.what == What::quarantined;
        out = DG_TRY(runs_since(tx, rule, windowed ? from_ms : 0, kRunsShown));
        for (auto& [workflow, reading] : out) {
            reading.value = static_cast<double>(reading.runs_total);
        }
    }
    if (rule.what == What::failure_rate) {
        for (const auto& [workflow, counts] : DG_TRY(counts_since(tx, rule, from_ms))) {
            AlarmReading& reading = out[workflow];
            reading.samples = counts.completed + counts.failed;
            reading.runs_total = counts.failed;
            reading.value = reading.samples == 0 ? 0
                                                 : static_cast<double>(counts.failed) /
                                                       static_cast<double>(reading.samples);
        }
    }
    if (rule.what == What::budget && rule.per_day) {
        for (const auto& [workflow, counts] : DG_TRY(counts_since(tx, rule, now - now % kDayMs))) {
            const double used[] = {static_cast<double>(counts.tokens), counts.cost_usd,
                                   static_cast<double>(counts.run_ms) / 1000};
            out[workflow].value = used[static_cast<std::size_t>(rule.unit)];
        }
    }
    return out;
}

Result<std::vector<Alarms::Change>> Alarms::decide(Transaction& tx, std::int64_t now) {
    std::vector<Change> out;
    for (const AlarmRule& rule : *rules_) {
        auto measured = DG_TRY(readings(tx, rule, now));
        auto states = DG_TRY(states_of(tx, rule));
        for (const auto& [workflow, state] : states) {
            if (state.phase != AlarmPhase::quiet) measured.try_emplace(workflow);
        }
        if (measured.empty()) continue;
        const auto silence = DG_TRY(silence_of(tx, rule.tenant, rule.name));
        for (auto& [workflow, reading] : measured) {
            Change change{.rule = &rule,
                          .workflow = workflow,
                          .before = states[workflow],
                          .after = states[workflow],
                          .reading = std::move(reading),
                          .told = {},
                          .silenced = silence && silence->until_ms > now};
            const bool is_so =
                breached(rule, change.reading, change.before.phase == AlarmPhase::firing);
            change.told = step(rule, is_so, change.silenced, now, change.after);
            out.push_back(std::move(change));
        }
    }
    return out;
}

/// A state, and in the same transaction what follows from it.
Result<void> Alarms::write(Transaction& tx, const Change& change, std::int64_t now) {
    const AlarmRule& rule = *change.rule;
    DG_TRY(put_state(tx, rule, change.workflow, change.after));
    const bool was = change.before.phase == AlarmPhase::firing;
    const bool is = change.after.phase == AlarmPhase::firing;
    const AlarmTold what = change.told.value_or(is ? AlarmTold::fired : AlarmTold::resolved);
    if (change.told || was != is) {
        DG_TRY(add_line(
            tx, rule.tenant,
            {.at_ms = now,
             .rule = rule.name,
             .workflow = change.workflow,
             .what = std::string(told_name(what)),
             .by = {},
             .text = alarm_text(rule, change.reading) + (change.told ? "" : " (silenced)")}));
    }
    if (!change.told) return {};
    const std::string body =
        alarm_message(rule, change.workflow, what, change.after, change.reading, now);
    for (const Webhook* to : webhooks_of(rule)) {
        DG_TRY(add_delivery(tx,
                            {.id = delivery_id(rule, change.workflow, change.after, what, to->name),
                             .tenant = rule.tenant,
                             .rule = rule.name,
                             .workflow = change.workflow,
                             .webhook = to->name,
                             .body = body,
                             .made_ms = now,
                             .next_ms = now,
                             .status = "due",
                             .error = {}}));
    }
    return {};
}

Result<void> Alarms::evaluate() {
    const std::int64_t now = now_ms();
    std::vector<Change> all;
    const auto changed = [](const Change& change) { return change.after != change.before; };
    DG_TRY(store_->read([&](Transaction& tx) -> Result<void> {
        all = DG_TRY(decide(tx, now));
        return {};
    }));
    if (std::ranges::any_of(all, changed)) {
        // Decided again with what holds now: somebody may have taken an alarm in between.
        DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
            if (store_->shared() && !DG_TRY(lead(tx, self_, now, now + kLeaseMs))) return {};
            all = DG_TRY(decide(tx, now));
            for (const Change& change : all) {
                if (changed(change)) DG_TRY(write(tx, change, now));
            }
            return {};
        }));
        due_ = true;
        wake_.notify_one();
    }
    evaluated_ms_ = now;
    stale_ = false;
    restless_ = std::ranges::any_of(
        all, [](const Change& change) { return change.after.phase != AlarmPhase::quiet; });
    count(all);
    return {};
}

void Alarms::count(const std::vector<Change>& changes) {
    if (counters_ == nullptr) return;
    const auto in = [&](AlarmPhase phase) {
        return static_cast<double>(std::ranges::count_if(
            changes, [&](const Change& change) { return change.after.phase == phase; }));
    };
    counters_->firing.set(in(AlarmPhase::firing));
    counters_->pending.set(in(AlarmPhase::pending));
    for (const Change& change : changes) {
        if (change.told) counters_->told(*change.told).add();
    }
}

// ---- for people --------------------------------------------------------------------------------

Result<AlarmView> Alarms::view(const AlarmRule& rule) {
    AlarmView out{.rule = rule, .silence = {}, .alarms = {}};
    const std::int64_t now = now_ms();
    DG_TRY(store_->read([&](Transaction& tx) -> Result<void> {
        out.alarms.clear();
        auto measured = DG_TRY(readings(tx, rule, now));
        for (auto& [workflow, state] : DG_TRY(states_of(tx, rule))) {
            if (state.number == 0 && state.phase == AlarmPhase::quiet) continue;
            AlarmView::Alarm& one = out.alarms.emplace_back();
            one.workflow = workflow;
            one.state = state;
            one.reading = std::move(measured[workflow]);
            one.text = alarm_text(rule, one.reading);
        }
        out.silence = DG_TRY(silence_of(tx, rule.tenant, rule.name));
        return {};
    }));
    if (out.silence && out.silence->until_ms <= now) out.silence.reset();
    return out;
}

Result<std::vector<AlarmView>> Alarms::list(std::string_view tenant) {
    const std::lock_guard lock(mutex_);
    DG_TRY(refresh());
    std::vector<AlarmView> out;
    for (const AlarmRule& rule : *rules_) {
        if (rule.tenant == tenant) out.push_back(DG_TRY(view(rule)));
    }
    return out;
}

Result<AlarmView> Alarms::find(std::string_view tenant, std::string_view name) {
    const std::lock_guard lock(mutex_);
    return view(*DG_TRY(named(tenant, name)));
}

Result<void> Alarms::add(const AlarmRule& rule) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string_view> known;
    for (const Webhook& each : parts_.file.webhooks) known.push_back(each.name);
    for (const std::string& name : rule.webhooks) {
        if (std::ranges::find(known, name) != known.end()) continue;
        return base::fail_on("webhooks", Code::not_found,
                             "there is no webhook '{}'{}; those there are stand in the file that "
                             "flow.alarms names",
                             name, base::did_you_mean(name, known));
    }
    DG_TRY(refresh());
    std::size_t there = 0;
    for (const AlarmRule& each : *rules_) {
        if (each.tenant != rule.tenant) continue;
        ++there;
        if (each.name == rule.name) {
            return base::fail_on("name", Code::already_exists,
                                 "there is an alarm '{}'; remove it first, or choose another name",
                                 rule.name);
        }
    }
    if (there >= kRulesMax) {
        return base::fail(Code::resource_exhausted, "there are {} alarms; remove one first", there);
    }
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        DG_TRY(add_rule(tx, rule));
        return add_line(tx, rule.tenant,
                        {.at_ms = now_ms(),
                         .rule = rule.name,
                         .workflow = rule.workflow,
                         .what = "added",
                         .by = {},
                         .text = base::to_text(to_json(rule).at("when"))});
    }));
    return refresh();
}

Result<void> Alarms::remove(std::string_view tenant, std::string_view name) {
    const std::lock_guard lock(mutex_);
    const AlarmRule rule = *DG_TRY(named(tenant, name));
    if (rule.from_file) {
        return base::fail_on("name", Code::failed_precondition,
                             "alarm '{}' stands in the file that flow.alarms names; take it out "
                             "there and start the server again",
                             name);
    }
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        DG_TRY(remove_rule(tx, tenant, name));
        return add_line(tx, tenant,
                        {.at_ms = now_ms(),
                         .rule = rule.name,
                         .workflow = rule.workflow,
                         .what = "removed",
                         .by = {},
                         .text = {}});
    }));
    return refresh();
}

Result<AlarmSilence> Alarms::silence(std::string_view tenant, std::string_view name,
                                     std::int64_t for_ms, std::string_view by) {
    const std::lock_guard lock(mutex_);
    const AlarmRule rule = *DG_TRY(named(tenant, name));
    const std::int64_t now = now_ms();
    const AlarmSilence silence{for_ms == 0 ? 0 : now + for_ms, std::string(by)};
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        DG_TRY(put_silence(tx, tenant, name, silence));
        return add_line(tx, tenant,
                        {.at_ms = now,
                         .rule = rule.name,
                         .workflow = {},
                         .what = for_ms == 0 ? "unsilenced" : "silenced",
                         .by = std::string(by),
                         .text = {}});
    }));
    stale_ = true;
    return silence;
}

Result<std::size_t> Alarms::acknowledge(std::string_view tenant, std::string_view name,
                                        std::string_view workflow, std::string_view by) {
    const std::lock_guard lock(mutex_);
    const AlarmRule rule = *DG_TRY(named(tenant, name));
    const std::int64_t now = now_ms();
    std::size_t taken = 0;
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        taken = 0;
        for (auto& [of, state] : DG_TRY(states_of(tx, rule))) {
            if (state.phase != AlarmPhase::firing || state.acked_ms != 0) continue;
            if (!workflow.empty() && of != workflow) continue;
            ++taken;
            state.acked_ms = now;
            state.acked_by = by;
            DG_TRY(put_state(tx, rule, of, state));
            DG_TRY(add_line(tx, tenant,
                            {.at_ms = now,
                             .rule = rule.name,
                             .workflow = of,
                             .what = "acknowledged",
                             .by = std::string(by),
                             .text = {}}));
        }
        return {};
    }));
    if (taken != 0) return taken;
    return base::fail_on("name", Code::failed_precondition,
                         "alarm '{}' does not fire{}, or somebody has taken it", name,
                         workflow.empty() ? "" : fmt::format(" for workflow '{}'", workflow));
}

Result<std::vector<AlarmLine>> Alarms::history(std::string_view tenant, std::string_view name,
                                               std::int64_t before, std::uint32_t limit) {
    std::vector<AlarmLine> out;
    DG_TRY(store_->read([&](Transaction& tx) -> Result<void> {
        out = DG_TRY(list_lines(tx, tenant, name, before, limit));
        return {};
    }));
    return out;
}

// ---- delivering --------------------------------------------------------------------------------

Result<std::size_t> Alarms::deliver() {
    const std::size_t busy = sending_.load();
    if (!parts_.post || busy >= kSendAtOnce) return std::size_t{0};
    const std::int64_t now = now_ms();
    std::vector<AlarmDelivery> claimed;
    std::uint64_t due = 0;
    DG_TRY(store_->read([&](Transaction& tx) -> Result<void> {
        due = DG_TRY(deliveries_due(tx));
        return {};
    }));
    if (counters_) counters_->due.set(static_cast<double>(due));
    if (due == 0) return std::size_t{0};
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        claimed = DG_TRY(claim_deliveries(tx, now, now - kClaimMs, kSendAtOnce - busy));
        return {};
    }));
    const std::size_t count = claimed.size();
    for (AlarmDelivery& each : claimed) {
        if (senders_ == nullptr) {
            send(std::move(each));
            continue;
        }
        ++sending_;
        auto shared = std::make_shared<AlarmDelivery>(std::move(each));
        const bool taken = senders_->post([this, shared] {
            send(std::move(*shared));
            --sending_;
            due_ = true;
            wake_.notify_one();
        });
        if (!taken) --sending_;  // the claim runs out, and it is sent then
    }
    return count;
}

void Alarms::send(AlarmDelivery delivery) {
    const auto to = std::ranges::find(parts_.file.webhooks, delivery.webhook, &Webhook::name);
    WebhookVerdict verdict;
    ++delivery.attempts;
    if (to == parts_.file.webhooks.end()) {
        verdict = {.kind = WebhookVerdict::Kind::dead,
                   .why = "the configuration has no such webhook any more"};
    } else {
        const auto headers = webhook_headers(*to, delivery.id, delivery.body,
                                             parts_.clock.unix_ns() / 1'000'000'000);
        const auto answer = parts_.post(*to, headers, delivery.body);
        const std::lock_guard lock(chance_mutex_);
        verdict = verdict_of(answer, delivery.attempts, now_ms() - delivery.made_ms, chance_);
    }
    using Kind = WebhookVerdict::Kind;
    delivery.claimed_ms = 0;
    delivery.error = verdict.why.substr(0, kLineBytesMax);
    delivery.next_ms = now_ms() + verdict.wait_ms;
    if (verdict.kind != Kind::again) {
        delivery.ended_ms = now_ms();
        delivery.status = verdict.kind == Kind::delivered ? "delivered" : "dead";
    }
    // Where this cannot be written it is sent again, as after a crash.
    (void)store_->write([&](Transaction& tx) { return put_delivery(tx, delivery); });
    if (counters_ == nullptr) return;
    (verdict.kind == Kind::delivered ? counters_->delivered
     : verdict.kind == Kind::again   ? counters_->again
                                     : counters_->dead)
        .add();
}

Result<std::vector<AlarmTest>> Alarms::test(std::string_view tenant, std::string_view name) {
    AlarmRule rule;
    {
        const std::lock_guard lock(mutex_);
        rule = *DG_TRY(named(tenant, name));
    }
    const auto to = webhooks_of(rule);
    if (!parts_.post) {
        return base::fail(Code::failed_precondition,
                          "messages are sent by a server; start one, and name it with --url");
    }
    if (to.empty()) {
        return base::fail_on("name", Code::failed_precondition,
                             "alarm '{}' has nobody to tell: the file that flow.alarms names has "
                             "no webhooks",
                             name);
    }
    std::vector<AlarmTest> out;
    const std::string body = alarm_message(rule, rule.workflow, std::nullopt, {}, {}, now_ms());
    for (const Webhook* each : to) {
        const std::string id = fmt::format("msg_test_{:016x}", base::entropy64());
        const auto answer = parts_.post(
            *each, webhook_headers(*each, id, body, parts_.clock.unix_ns() / 1'000'000'000), body);
        base::Rng chance(0);
        const WebhookVerdict verdict = verdict_of(answer, 1, 0, chance);
        out.push_back(
            {.webhook = each->name, .status = answer ? answer->status : 0, .error = verdict.why});
    }
    return out;
}

Result<std::vector<AlarmDelivery>> Alarms::deliveries(std::string_view tenant,
                                                      std::string_view status,
                                                      std::uint32_t limit) {
    std::vector<AlarmDelivery> out;
    DG_TRY(store_->read([&](Transaction& tx) -> Result<void> {
        out = DG_TRY(list_deliveries(tx, tenant, status, limit));
        return {};
    }));
    return out;
}

Result<void> Alarms::send_again(std::string_view tenant, std::string_view id) {
    const std::int64_t now = now_ms();
    DG_TRY(store_->write([&](Transaction& tx) -> Result<void> {
        auto found = DG_TRY(find_delivery(tx, tenant, id));
        if (!found) return base::fail_on("id", Code::not_found, "there is no delivery '{}'", id);
        if (found->status != "dead") {
            return base::fail_on("id", Code::failed_precondition, "delivery '{}' is {}, not dead",
                                 id, found->status);
        }
        found->status = "due";
        found->attempts = 0;
        found->next_ms = now;
        found->ended_ms = 0;
        return put_delivery(tx, *found);
    }));
    due_ = true;
    wake_.notify_one();
    return {};
}

}  // namespace flow
