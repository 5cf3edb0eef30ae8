#include "flow/observe/flow_metrics.h"

#include <array>
#include <future>
#include <mutex>
#include <numeric>

namespace flow {
namespace {

using base::metrics::Kind;
using base::metrics::Writer;

constexpr std::size_t kNamesMax = 100;          // workflows with a label of their own
constexpr std::size_t kDefinitionsMax = 1'000;  // versions looked up once
constexpr std::string_view kRuns = "dougong_flow_runs_total";
constexpr std::string_view kRunsHelp =
    "Runs by workflow and what became of them; workflows past the first 100 are 'other'.";

/// 1 ms to 12 days.
std::vector<double> step_bounds() {
    return base::metrics::exponential_bounds(0.001, 4, 16);
}
/// 1 ms to 33 s.
std::vector<double> timer_bounds() {
    return base::metrics::exponential_bounds(0.001, 2, 16);
}

/// Of counts by powers of two of microseconds: the upper end of where the share `q` of them is.
double quantile_seconds(const std::array<std::uint64_t, 32>& counts, double q) {
    const auto all = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
    if (all == 0) return 0;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        seen += counts[i];
        if (static_cast<double>(seen) >= q * static_cast<double>(all)) {
            return static_cast<double>(std::uint64_t{1} << i) * 1e-6;
        }
    }
    return 0;
}

void write(Writer& out, const EngineStats& stats) {
    const auto gauge = [&](std::string_view name, std::string_view help, double value) {
        out.sample(Kind::gauge, name, help, {}, value);
    };
    gauge("dougong_flow_runs_open", "Runs that are not over.",
          static_cast<double>(stats.runs_open));
    gauge("dougong_flow_runs_in_memory", "Runs whose state is in memory.",
          static_cast<double>(stats.runs_hot));
    gauge("dougong_flow_calls_out", "Calls of steps that have not come back.",
          static_cast<double>(stats.calls_out));
    gauge("dougong_flow_timers", "Moments at which a run wants to be looked at.",
          static_cast<double>(stats.timers));
    gauge("dougong_flow_stalled_inputs", "What came in while the log could not be written.",
          static_cast<double>(stats.stalled_inputs));
    for (const auto& [what, count] : {std::pair{"people", stats.waiting.people},
                                      {"signals", stats.waiting.signals},
                                      {"events", stats.waiting.events},
                                      {"time", stats.waiting.time}}) {
        out.sample(Kind::gauge, "dougong_flow_waiting",
                   "Steps of open runs that wait, by what for.", {{"for", what}},
                   static_cast<double>(count));
    }
    out.sample(Kind::counter, "dougong_flow_events_total", "Events that became durable.", {},
               static_cast<double>(stats.events));
    out.sample(Kind::counter, "dougong_flow_commits_total", "Decisions that became durable.", {},
               static_cast<double>(stats.commits));
}

void write(Writer& out, const base::journal::Stats& stats) {
    out.sample(Kind::gauge, "dougong_flow_journal_bytes", "Bytes of the journal's segments.", {},
               static_cast<double>(stats.bytes));
    out.sample(Kind::gauge, "dougong_flow_journal_segments", "Segments that hold records.", {},
               static_cast<double>(stats.segments));
    for (const auto& [name, q] : {std::pair{"0.5", 0.5}, {"0.99", 0.99}}) {
        out.sample(Kind::gauge, "dougong_flow_journal_sync_seconds",
                   "Time of a sync since the start, as the power of two above it.",
                   {{"quantile", name}}, quantile_seconds(stats.sync_us, q));
    }
    out.sample(Kind::counter, "dougong_flow_journal_commits_total",
               "Groups of records that became durable.", {}, static_cast<double>(stats.groups));
    out.sample(Kind::counter, "dougong_flow_journal_syncs_total", "Syncs that made them so.", {},
               static_cast<double>(stats.syncs));
    out.sample(Kind::counter, "dougong_flow_journal_failures_total", "Writes that failed.", {},
               static_cast<double>(stats.failures));
}

}  // namespace

/// Outlives the runtime where a scrape does.
struct FlowMetrics::Source {
    std::mutex mutex;
    Runtime* runtime = nullptr;  // guarded by mutex, as what follows
    JournalStats journal;
    EngineStats last;

    void scrape(Writer& out) {
        const std::lock_guard lock(mutex);
        if (runtime == nullptr) return;
        auto promise = std::make_shared<std::promise<EngineStats>>();
        auto answer = promise->get_future();
        runtime->post(
            [runtime = runtime, promise] { promise->set_value(runtime->engine().stats()); });
        // A runtime that is busy for so long is shown as it was.
        if (answer.wait_for(std::chrono::seconds(1)) == std::future_status::ready) {
            last = answer.get();
        }
        write(out, last);
        if (journal) write(out, journal());
    }
};

FlowMetrics::FlowMetrics(base::metrics::Registry& registry, Runtime& runtime, JournalStats journal)
    : registry_(registry),
      runtime_(runtime),
      retries_(registry.counter("dougong_flow_retries_total",
                                "Attempts of steps that were not the first.")),
      tokens_(registry.counter("dougong_flow_tokens_total", "Tokens that steps used.")),
      cost_usd_(registry.counter("dougong_flow_cost_usd_total", "US dollars that steps cost.")),
      timer_seconds_(registry.histogram("dougong_flow_timer_late_seconds",
                                        "How late timers were looked at.", timer_bounds())),
      source_(std::make_shared<Source>()) {
    source_->runtime = &runtime;
    source_->journal = std::move(journal);
    registry.add_collector([source = source_](Writer& out) { source->scrape(out); });
    std::promise<void> attached;
    runtime_.post([&] {
        RunEngine& engine = runtime_.engine();
        watcher_ = engine.watch([this](RunId run, const std::vector<Event>& events, std::uint64_t) {
            heard(run, events);
        });
        engine.on_timer([this](std::int64_t late_ms) {
            timer_seconds_.observe(static_cast<double>(late_ms) / 1000);
        });
        attached.set_value();
    });
    attached.get_future().wait();
}

FlowMetrics::~FlowMetrics() {
    {
        const std::lock_guard lock(source_->mutex);
        source_->runtime = nullptr;
        source_->journal = nullptr;
    }
    std::promise<void> detached;
    runtime_.post([&] {
        runtime_.engine().unwatch(watcher_);
        runtime_.engine().on_timer({});
        detached.set_value();
    });
    detached.get_future().wait();
}

std::string FlowMetrics::label_of(const std::string& workflow) {
    if (names_.size() >= kNamesMax && !names_.contains(workflow)) return "other";
    names_.insert(workflow);
    return workflow;
}

const FlowMetrics::Workflow& FlowMetrics::workflow_of(
    const std::shared_ptr<const Definition>& definition) {
    if (const auto found = workflows_.find(definition.get()); found != workflows_.end()) {
        return *found->second;
    }
    if (workflows_.size() >= kDefinitionsMax) workflows_.clear();
    const std::string name = label_of(definition->name);
    const auto counter = [&](const char* what) -> base::metrics::Counter& {
        return registry_.counter(kRuns, kRunsHelp, {{"workflow", name}, {"what", what}});
    };
    auto made = std::make_unique<Workflow>(Workflow{StepKinds(definition), counter("started"),
                                                    counter("completed"), counter("failed"),
                                                    counter("cancelled")});
    return *(workflows_[definition.get()] = std::move(made));
}

/// On the runtime's thread, for every event.
void FlowMetrics::heard(RunId run, const std::vector<Event>& events) {
    if (runtime_.engine().foreign(run)) return;       // its own process counts it
    const auto state = runtime_.engine().state(run);  // in memory: it was just written
    if (!state) return;
    const Workflow& workflow = workflow_of((*state)->definition);
    for (const Event& event : events) {
        switch (event.kind) {
            case EventKind::run_started:
                workflow.started.add();
                break;
            case EventKind::run_completed:
                workflow.completed.add();
                break;
            case EventKind::run_failed:
                workflow.failed.add();
                break;
            case EventKind::run_cancelled:
                workflow.cancelled.add();
                break;
            case EventKind::step_started:
                if (event.attempt > 1) retries_.add();
                begun_.begin(run, event.path, event.at_ms);
                break;
            case EventKind::step_waiting:
            case EventKind::step_child:
            case EventKind::loop_opened:
                begun_.begin(run, event.path, event.at_ms);
                break;
            case EventKind::scope_opened:
                if (!begun_.knows(run, event.path)) begun_.begin(run, event.path, event.at_ms);
                break;
            case EventKind::step_finished:
                ended(workflow, run, event, done);
                break;
            case EventKind::step_failed:
                ended(workflow, run, event, event.until_ms != 0 ? retried : failed);
                break;
            case EventKind::step_skipped:
                ended(workflow, run, event, skipped);
                break;
            default:
                break;
        }
    }
}

void FlowMetrics::ended(const Workflow& workflow, RunId run, const Event& event, Outcome outcome) {
    if (event.tokens != 0) tokens_.add(static_cast<double>(event.tokens));
    if (event.cost_usd != 0) cost_usd_.add(event.cost_usd);
    std::int64_t began_ms = begun_.take(run, event.path);
    if (began_ms == 0) {
        // What begins and ends in one decision leaves no other trace; all else began before this
        // process did, or so long ago that it was forgotten.
        const StepKinds::Kind* kind = workflow.kinds.find(event.path);
        const bool at_once = kind == nullptr || outcome == skipped || kind->word == "set" ||
                             kind->word == "emit" || kind->word == "end" ||
                             kind->word == "branch" || kind->word == "parallel";
        if (!at_once) return;
        began_ms = event.at_ms;
    }
    const StepKinds::Kind* kind = workflow.kinds.find(event.path);
    const std::string_view word = kind != nullptr ? kind->word : "unknown";
    base::metrics::Histogram*& histogram = step_seconds_[{word, outcome}];
    if (histogram == nullptr) {
        constexpr std::string_view kOutcomes[] = {"done", "failed", "retried", "skipped"};
        histogram = &registry_.histogram(
            "dougong_flow_step_seconds",
            "Time of steps, each attempt by itself, by kind and outcome.", step_bounds(),
            {{"kind", std::string(word)}, {"outcome", std::string(kOutcomes[outcome])}});
    }
    histogram->observe(static_cast<double>(event.at_ms - began_ms) / 1000);
}

}  // namespace flow
