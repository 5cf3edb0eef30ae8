#include "app/flow/flows.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "app/agents/agent_routes.h"
#include "app/agents/agent_tools.h"
#include "app/flow/alarm_places.h"
#include "app/flow/crash_mark.h"
#include "app/flow/flow_steps.h"
#include "app/flow/run_files.h"
#include "app/flow/workspaces.h"
#include "base/api/error_answer.h"
#include "base/core/url_password.h"
#include "base/files/files.h"
#include "base/files/linux_disk.h"
#include "base/http/server.h"
#include "base/journal/journal.h"
#include "flow/blobs/bounded_steps.h"
#include "flow/blobs/file_blob_store.h"
#include "flow/definition/duration.h"
#include "flow/http/alarm_routes.h"
#include "flow/http/flow_routes.h"
#include "flow/http/retain_routes.h"
#include "flow/http/schedule_routes.h"
#include "flow/http/worker_routes.h"
#include "flow/log/journal_run_log.h"
#include "flow/log/postgres_places.h"
#include "flow/log/postgres_run_log.h"
#include "flow/observe/flow_metrics.h"
#include "flow/observe/span_export.h"
#include "flow/observe/token_streams.h"

namespace app {

using base::Code;
using base::Result;

std::string flow_dir(const Program& program) {
    if (const std::string& dir = program.config().flow.dir; !dir.empty()) return dir;
    if (const auto data = variable(program.environment, "XDG_DATA_HOME")) {
        return *data + "/dougong/flow";
    }
    if (const auto home = variable(program.environment, "HOME")) {
        return *home + "/.local/share/dougong/flow";
    }
    return "/var/lib/dougong/flow";
}

std::string flow_place(const Program& program) {
    const FlowConfig& config = program.config().flow;
    return config.store == "postgresql" ? base::without_password(config.postgresql)
                                        : flow_dir(program);
}

namespace {

constexpr std::uint64_t kValueBytesMax = 1ull << 30;

/// Calls that one of this process's threads makes.
bool needs_thread(const flow::Call& call) {
    return !std::holds_alternative<flow::WorkerAction>(call.step->action) &&
           !std::holds_alternative<flow::NativeAction>(call.step->action);
}

/// For who only looks or writes down: calls are made by the next who performs.
class NoSteps final : public flow::StepRunner {
public:
    void run(flow::Call, Done) override {}
    void cancel(flow::RunId, std::string_view) override {}
};

}  // namespace

/// From the bottom up: what is declared later uses what stands above it.
struct Flows::Impl {
    Parts parts;
    std::mutex mutex;  // guards model
    std::condition_variable model_known;
    std::unique_ptr<ModelEndpoint> model;
    std::atomic<bool> stopping = false;
    const base::Clock& clock;
    explicit Impl(const base::Clock& its_clock) : clock(its_clock), tokens(its_clock) {}
    CrashMark crash_mark;

    base::LinuxDisk disk;
    std::unique_ptr<base::journal::Journal> journal;
    std::unique_ptr<flow::JournalRunLog> events;
    std::unique_ptr<flow::PostgresRunLog> shared;
    std::unique_ptr<flow::PostgresPlaces> places;
    std::unique_ptr<flow::BlobStore> blobs;
    flow::FileBlobStore* blob_files = nullptr;  ///< the same; null: they go with their runs
    std::unique_ptr<flow::RunLog> log;
    std::unique_ptr<flow::DefinitionStore> definitions;
    std::optional<Workspaces> workspaces;
    std::unique_ptr<ToolSet> tools;
    flow::TokenStreams tokens;
    std::unique_ptr<flow::WorkerTasks> workers;
    std::unique_ptr<FlowSteps> steps;
    std::optional<flow::BoundedSteps> bounded_steps;
    std::unique_ptr<flow::QueuedRunner> queues;
    NoSteps no_steps;
    std::unique_ptr<flow::Runtime> runtime;
    std::optional<flow::FlowMetrics> metrics;
    std::optional<flow::SpanExport> spans;
    std::unique_ptr<flow::Scheduler> scheduler;
    std::optional<flow::ScheduleApi> schedule_api;
    std::unique_ptr<flow::Alarms> alarms;
    std::optional<flow::AlarmApi> alarm_api;
    std::optional<flow::FlowApi> api;
    std::optional<RunFiles> files;
    std::unique_ptr<flow::Retainer> retainer;
    std::optional<flow::RetainApi> retain_api;
    std::optional<AgentApi> agents;

    /// Who lets finished runs go: by themselves where a server is.
    Result<void> open_retainer(const Program& program) {
        const FlowConfig& config = program.config().flow;
        std::chrono::milliseconds keep{0};
        if (!config.retention.empty() && parts.workers) {
            const auto read = flow::parse_duration(config.retention);
            if (!read || read->count() <= 0) {
                return base::fail_on("flow.retention", Code::invalid_argument,
                                     "flow.retention is '{}', expected a time such as 30d",
                                     config.retention);
            }
            keep = *read;
        }
        flow::RetiringLog* retiring = events.get();
        if (retiring == nullptr) retiring = shared.get();
        std::unique_ptr<flow::RunArchive> archive;
        if (!config.archive.empty()) {
            auto opened = flow::RunArchive::open(disk, config.archive);
            // Of processes that share a database the one that has the folder lets runs go.
            const bool elsewhere =
                !opened && events == nullptr && opened.error().code == Code::failed_precondition;
            if (elsewhere) return {};
            archive = DG_TRY(std::move(opened));
        }
        std::function<Result<void>(const std::set<flow::RunId>&)> forget;
        if (blob_files != nullptr) {
            forget = [this](const std::set<flow::RunId>& runs) -> Result<void> {
                DG_TRY(blob_files->drop(runs));
                return {};
            };
        }
        retainer =
            std::make_unique<flow::Retainer>(flow::Retainer::Parts{.runtime = *runtime,
                                                                   .log = *log,
                                                                   .retiring = *retiring,
                                                                   .definitions = *definitions,
                                                                   .clock = program.clock,
                                                                   .archive = std::move(archive),
                                                                   .forget = std::move(forget),
                                                                   .metrics = parts.metrics},
                                             keep.count());
        retain_api.emplace(*retainer, program.clock);
        return {};
    }

    Result<void> spill_from(flow::RunLog& below) {
        auto spilling = std::make_unique<flow::SpillingRunLog>(below, *blobs);
        DG_TRY(spilling->collect());
        log = std::move(spilling);
        return {};
    }
    Result<void> open_log(const Program& program) {
        const FlowConfig& config = program.config().flow;
        if (config.store == "postgresql") {
            const auto lease = static_cast<std::int64_t>(config.lease_s * 1'000);
            shared = DG_TRY(flow::PostgresRunLog::open(
                {.url = config.postgresql,
                 .own_url = config.own_url,
                 .lease = std::chrono::milliseconds(lease),
                 .poll =
                     std::chrono::milliseconds(std::clamp<std::int64_t>(lease / 10, 50, 500))}));
            places = DG_TRY(flow::PostgresPlaces::open(*shared));
            blobs = std::make_unique<flow::PostgresBlobStore>(shared->pool(), program.clock);
            DG_TRY(spill_from(*shared));
            definitions = DG_TRY(flow::DefinitionStore::open(config.postgresql, program.clock));
            return {};
        }
        const std::string dir = flow_dir(program);
        journal = DG_TRY(base::journal::Journal::open(disk, dir + "/journal", {}));
        events = DG_TRY(flow::JournalRunLog::open(*journal, dir + "/runs.db"));
        auto files_of_values = DG_TRY(flow::FileBlobStore::open(disk, dir + "/blobs"));
        blob_files = files_of_values.get();
        blobs = std::move(files_of_values);
        DG_TRY(spill_from(*events));
        if (parts.perform) crash_mark = DG_TRY(CrashMark::set(dir));
        definitions = DG_TRY(flow::DefinitionStore::open(dir + "/workflows.db", program.clock));
        return {};
    }

    /// Alarms are decided and sent where a server is; a command only looks at them.
    Result<void> open_alarms(const Program& program) {
        const FlowConfig& config = program.config().flow;
        const std::string dir = flow_dir(program);
        const bool in_database = config.store == "postgresql";
        flow::Alarms::Parts its{.runtime = *runtime, .log = *log, .clock = program.clock};
        its.file = DG_TRY(load_alarm_file(program, parts.workers));
        its.metrics = parts.metrics;
        if (parts.workers) its.post = webhook_post(stopping);
        if (!in_database) its.disk_free = free_bytes_of(dir);
        alarms = DG_TRY(flow::Alarms::open(in_database ? config.postgresql : dir + "/alarms.db",
                                           std::move(its), parts.workers));
        alarm_api.emplace(*alarms);
        return {};
    }

    Result<const ModelEndpoint*> wait_for_model(const std::atomic<bool>& cancelled) {
        std::unique_lock lock(mutex);
        if (model == nullptr && parts.open_models) {
            model = std::make_unique<ModelEndpoint>(DG_TRY(parts.open_models()));
        } else if (!parts.models && model == nullptr) {
            return base::fail(Code::failed_precondition, "this server has no models");
        }
        while (model == nullptr && !cancelled.load() && !stopping.load()) {
            model_known.wait_for(lock, std::chrono::milliseconds(200));
        }
        if (model == nullptr) return base::fail(Code::cancelled, "the run was stopped");
        return model.get();
    }
};

Flows::Flows(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Flows::~Flows() {
    stop();
}

Result<std::unique_ptr<Flows>> Flows::open(const Program& program, Parts parts) {
    auto impl = std::make_unique<Impl>(program.clock);
    Impl& self = *impl;
    self.parts = std::move(parts);
    DG_TRY(self.open_log(program));
    // What steps kept is for every process that shares the runs: there it is one folder.
    self.workspaces = DG_TRY(Workspaces::open(flow_dir(program) + "/workspaces"));
    const std::size_t threads = program.config().flow.threads;
    self.workers = std::make_unique<flow::WorkerTasks>(program.clock);
    std::vector<std::unique_ptr<ToolCaller>> sources;
    sources.push_back(memory_tools(self.parts.memories));
    sources.push_back(sandbox_tools(self.parts.sandbox_tools));
    sources.push_back(agent_tools(program.clock));
    sources.push_back(knowledge_tools(self.parts.memories));
    self.tools = std::make_unique<ToolSet>(std::move(sources));
    self.definitions->know_tools(self.tools->names());
    self.steps = std::make_unique<FlowSteps>(
        FlowSteps::Parts{.sphere = self.parts.sphere.get(),
                         .workspaces = &*self.workspaces,
                         .memories = self.parts.memories,
                         .model =
                             [&self](const std::atomic<bool>& cancelled) {
                                 return self.wait_for_model(cancelled);
                             },
                         .workers = self.parts.workers ? self.workers.get() : nullptr,
                         .tools = self.tools.get(),
                         .tokens = &self.tokens,
                         .scrub = self.parts.scrub},
        program.clock, threads, 100'000);
    self.bounded_steps.emplace(*self.steps, *self.blobs, flow::SpillOptions{}, kValueBytesMax);
    self.queues = std::make_unique<flow::QueuedRunner>(
        *self.bounded_steps, program.clock,
        flow::QueuedRunner::Local{static_cast<std::uint32_t>(threads), needs_thread},
        self.places.get());
    flow::StepRunner& runner =
        self.parts.perform ? static_cast<flow::StepRunner&>(*self.queues) : self.no_steps;
    self.runtime = DG_TRY(flow::Runtime::open(
        *self.log, *self.definitions, runner, program.clock,
        {.after_crash = self.crash_mark.crashed(), .take_up = self.parts.perform}));
    if (self.parts.metrics != nullptr) {
        self.metrics.emplace(*self.parts.metrics, *self.runtime,
                             self.journal
                                 ? [journal = self.journal.get()] { return journal->stats(); }
                                 : flow::FlowMetrics::JournalStats());
    }
    if (self.parts.spans != nullptr) {
        self.spans.emplace(*self.runtime, *self.log, *self.definitions, *self.parts.spans);
    }
    self.api.emplace(*self.runtime, *self.log, *self.definitions, program.clock, &self.tokens);
    self.files.emplace(*self.runtime, *self.log, *self.workspaces);
    self.agents.emplace(*self.runtime, *self.log, *self.definitions, self.tools->offered());
    self.runtime->post([&self] { self.queues->open(); });  // behind what was open
    // Schedules start runs where a server is; a command only looks at them.
    const FlowConfig& config = program.config().flow;
    const std::string schedules =
        config.store == "postgresql" ? config.postgresql : flow_dir(program) + "/schedules.db";
    self.scheduler = DG_TRY(flow::Scheduler::open(schedules, *self.definitions, *self.runtime,
                                                  *self.log, program.clock, self.parts.workers));
    self.schedule_api.emplace(*self.scheduler, *self.queues, program.clock);
    DG_TRY(self.open_retainer(program));
    DG_TRY(self.open_alarms(program));
    return std::unique_ptr<Flows>(new Flows(std::move(impl)));
}

void Flows::register_routes(base::http::Router& router) {
    impl_->api->register_routes(router);
    impl_->files->register_routes(router);
    impl_->agents->register_routes(router);
    impl_->schedule_api->register_routes(router);
    if (impl_->retain_api) impl_->retain_api->register_routes(router);
    impl_->alarm_api->register_routes(router);
    flow::register_worker_routes(router, *impl_->workers, impl_->clock);
}

void Flows::announce(const std::string& url) {
    if (flow::Fleet* fleet = impl_->log->fleet()) fleet->announce(url);
}

void Flows::begin_drain() {
    impl_->workers->drain();
}

void Flows::set_models(const std::string& url) {
    const std::lock_guard lock(impl_->mutex);
    impl_->model = std::make_unique<ModelEndpoint>(
        ModelEndpoint::Options{.url = url, .model = {}, .timeout = std::chrono::minutes(10)});
    impl_->model_known.notify_all();
}

flow::Runtime& Flows::runtime() {
    return *impl_->runtime;
}
flow::RunLog& Flows::log() {
    return *impl_->log;
}
flow::DefinitionStore& Flows::definitions() {
    return *impl_->definitions;
}

void Flows::stop() {
    if (impl_->runtime == nullptr) return;
    impl_->stopping = true;
    impl_->model_known.notify_all();
    impl_->api.reset();
    impl_->files.reset();
    impl_->retain_api.reset();
    impl_->retainer.reset();
    impl_->agents.reset();
    impl_->schedule_api.reset();
    impl_->alarm_api.reset();
    impl_->alarms.reset();
    impl_->scheduler.reset();
    impl_->metrics.reset();
    impl_->spans.reset();
    impl_->runtime->halt();  // what steps say from now on is for the next start
    impl_->steps->stop();
    impl_->runtime.reset();
    impl_->queues.reset();
    impl_->steps.reset();
    impl_->workers->drain();
    impl_->log.reset();
    impl_->events.reset();
    impl_->places.reset();
    impl_->shared.reset();
    impl_->journal.reset();
    impl_->crash_mark.clear();
    impl_->parts.sphere.reset();
}

void refuse_flow_routes(base::http::Router& router, const base::Error& why) {
    const auto refuse = [why](const base::http::Request&,
                              const base::http::ResponderPtr& responder) {
        responder->send(base::api::error_response(why));
    };
    for (const char* pattern : {"/v1/agents",
                                "/v1/agents/{rest...}",
                                "/v1/agent-schema",
                                "/v1/workflows",
                                "/v1/workflows/{rest...}",
                                "/v1/runs",
                                "/v1/runs/{rest...}",
                                "/v1/events/{name}",
                                "/v1/flow",
                                "/v1/flow/{rest...}",
                                "/v1/workers",
                                "/v1/workers/{rest...}",
                                "/v1/queues",
                                "/v1/schedules",
                                "/v1/schedules/{rest...}",
                                "/v1/alarms",
                                "/v1/alarms/{rest...}",
                                "/v1/alarm-history",
                                "/v1/alarm-deliveries",
                                "/v1/alarm-deliveries/{rest...}",
                                "/v1/alarm-schema"}) {
        for (const char* method : {"GET", "POST", "DELETE"}) router.add(method, pattern, refuse);
    }
}

}  // namespace app
