#include "app/serve.h"

#include <fmt/format.h>

#include <fstream>
#include <thread>

#include "app/agents/agent_routes.h"
#include "app/build_info.h"
#include "app/config/print.h"
#include "app/console_files.h"
#include "app/engine_backend.h"
#include "app/flow/flows.h"
#include "app/flow/run_files.h"
#include "app/mcp/mcp_server.h"
#include "app/memories.h"
#include "app/model_store.h"
#include "app/otlp_http.h"
#include "app/sandboxes.h"
#include "app/service_manager.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/terminal.h"
#include "base/core/url_password.h"
#include "base/http/server.h"
#include "base/log/log.h"
#include "base/metrics/metrics.h"
#include "base/trace/otlp_exporter.h"
#include "engine/host.h"
#include "engine/kernels/kernels.h"
#include "engine/packed_file.h"
#include "flow/http/openapi.h"
#include "gate/gate.h"
#include "memory/http/openapi.h"
#include "sphere/http/openapi.h"
#include "sphere/sphere.h"

namespace app {
namespace {

using base::Code;
using base::Result;
using std::chrono::milliseconds;

using Upstream = std::function<Result<ModelEndpoint::Options>()>;

milliseconds as_millis(double seconds) {
    return milliseconds(static_cast<std::int64_t>(seconds * 1000.0));
}

Result<std::unique_ptr<base::log::Logger>> open_log(
    const LogConfig& config, std::function<std::string(std::string_view)> scrub) {
    base::log::Options options;
    options.scrub = std::move(scrub);
    options.level = DG_TRY(base::log::parse_level(config.level));
    options.format = config.format == "json"   ? base::log::Format::json
                     : config.format == "text" ? base::log::Format::text
                                               : base::log::Format::automatic;
    options.file = config.file;
    return base::log::Logger::create(std::move(options));
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        std::string_view item = text.substr(0, comma);
        while (item.starts_with(' ')) item.remove_prefix(1);
        while (item.ends_with(' ')) item.remove_suffix(1);
        if (!item.empty()) items.emplace_back(item);
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return items;
}

base::http::ServerOptions server_options(const Config& config) {
    base::http::ServerOptions options;
    options.address = config.server.host;
    options.port = static_cast<std::uint16_t>(config.server.port);
    options.threads = config.server.threads;
    options.cors_origins = split_list(config.server.cors_origins);
    options.allowed_hosts = split_list(config.server.allowed_hosts);
    options.limits.connections_max = config.limits.connections_max;
    options.limits.header_bytes_max = config.limits.header_bytes_max;
    options.limits.body_bytes_max = config.limits.body_bytes_max;
    options.limits.stream_buffer_bytes = config.limits.stream_buffer_bytes;
    options.limits.request_timeout = as_millis(config.limits.read_timeout_s);
    options.limits.idle_timeout = as_millis(config.limits.idle_timeout_s);
    options.limits.write_timeout = as_millis(config.limits.write_timeout_s);
    return options;
}

/// As the kernel names it; empty where /proc does not say.
std::string cpu_name() {
    std::ifstream in("/proc/cpuinfo");
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with("model name")) continue;
        const std::size_t colon = line.find(": ");
        return colon == std::string::npos ? "" : line.substr(colon + 2);
    }
    return "";
}

gate::GatewayOptions gateway_options(const Config& config) {
    gate::GatewayOptions options;
    options.version = build_info().version;
    options.commit = build_info().commit;
    options.kernel_target = engine::kernel_target_name();
    options.cpu = cpu_name();
    options.threads =
        config.engine.threads != 0 ? config.engine.threads : std::thread::hardware_concurrency();
    options.config = config_values(config);
    options.more_paths = sphere::sandbox_paths();
    for (const auto& path : memory::memory_paths()) options.more_paths.insert(path);
    for (const auto& path : flow::flow_paths()) options.more_paths.insert(path);
    for (const auto& path : RunFiles::paths()) options.more_paths.insert(path);
    for (const auto& path : AgentApi::paths()) options.more_paths.insert(path);
    options.n_max = config.limits.choices_max;
    options.prompts_max = config.limits.prompts_max;
    options.embed_inputs_max = config.limits.embed_inputs_max;
    options.embed_queue_max = config.limits.embed_queue_max;
    options.request_log_rows = config.limits.request_log_rows;
    options.request_deadline = as_millis(config.limits.generation_timeout_s);
    options.streams_max = config.limits.streams_max;
    options.stream_log_bytes_max = config.limits.stream_log_bytes_max;
    options.stream_keep = as_millis(config.limits.stream_keep_s);
    options.responses_max = config.limits.responses_max;
    options.responses_bytes_max = config.limits.responses_bytes_max;
    return options;
}

Result<std::unique_ptr<base::http::Server>> listen(const Config& config, const base::Clock& clock) {
    auto server = base::http::Server::listen(server_options(config), clock);
    if (server || server.error().code != Code::already_exists) return server;
    return base::fail_on(
        "server.port", Code::already_exists,
        "port {} on {} is in use by another program; choose another with --port N, "
        "take any free one with --port 0, or find who has it with "
        "'ss -ltnp sport = :{}'",
        config.server.port, config.server.host, config.server.port);
}

/// Spans go nowhere unless an endpoint is configured.
struct SpanExport {
    std::unique_ptr<OtlpHttp> transport;
    std::unique_ptr<base::trace::OtlpExporter> exporter;

    explicit SpanExport(const TraceConfig& config) {
        if (config.otlp_endpoint.empty()) return;
        transport = std::make_unique<OtlpHttp>(config.otlp_endpoint);
        base::trace::OtlpOptions options;
        options.service_version = build_info().version;
        exporter = std::make_unique<base::trace::OtlpExporter>(std::move(options), *transport);
    }
};

struct Loaded {
    std::string text;  ///< "SmolLM2-135M-Instruct, loaded in 123 ms"
    bool smoke = false;
};

/// What all models may take; 0, no limit, when the system does not say what it has.
std::uint64_t memory_budget(const ModelsConfig& config) {
    if (config.memory_bytes_max > 0) return config.memory_bytes_max;
    return engine::available_memory_bytes() / 10 * 9;
}

/// Makes a model known to the pool under its id. Errors: as locate_model.
Result<LocatedModel> offer_model(const std::string& name, std::uint32_t preference,
                                 const Program& program, ModelPool& pool) {
    LocatedModel located = DG_TRY(locate_model(name, program));
    pool.offer(located.id, located.smoke ? std::string("smoke") : located.path, preference);
    return located;
}

/// "name, loaded in 12 ms"
Result<std::string> load_offered(const std::string& id, const Program& program, ModelPool& pool) {
    const base::Instant begin = program.clock.now();
    DG_TRY(pool.lease(id));
    return fmt::format("{}, loaded in {:.0f} ms", id, base::to_millis(program.clock.now() - begin));
}

/// Opens the generator and, when configured, the embedder; the others wait until somebody asks.
/// The server answers meanwhile; /readyz says 503 until this is done.
Result<Loaded> load_models(const Program& program, EngineBackend& backend) {
    const ModelsConfig& models = program.config().models;
    ModelPool& pool = backend.pool();
    const LocatedModel first = DG_TRY(offer_model(models.model, 3, program, pool));
    Loaded loaded;
    loaded.smoke = first.smoke;
    loaded.text = DG_TRY(load_offered(first.id, program, pool));
    if (!models.embedder.empty()) {
        const LocatedModel embedder = DG_TRY(offer_model(models.embedder, 2, program, pool));
        loaded.text += "; " + DG_TRY(load_offered(embedder.id, program, pool));
    }
    for (const std::string& name : split_list(models.serve)) {
        const LocatedModel other = DG_TRY(offer_model(name, 1, program, pool));
        loaded.text += fmt::format("; {}, when it is asked for", other.id);
    }
    backend.set_ready();
    return loaded;
}

/// What can wait until the first answers are given.
void tidy_up(const Program& program, ModelPool& pool) {
    pool.look_around();
    const std::string dir = engine_options(program).packed_dir;
    if (!dir.empty()) engine::sweep_packed_dir(dir);
}

/// Workflows, where the configuration and the folder allow them. Errors: Flows::open's with
/// flow.enabled on.
Result<std::unique_ptr<Flows>> open_flows(const Program& program, Sandboxes& sandboxes,
                                          Memories& memories, base::metrics::Registry& metrics,
                                          base::trace::SpanSink* spans, Upstream upstream,
                                          base::Error& why_not) {
    const std::string& enabled = program.config().flow.enabled;
    why_not = {Code::unavailable, "workflows are off; set flow.enabled to auto or on", ""};
    if (enabled == "off") return std::unique_ptr<Flows>();
    auto flows = Flows::open(program, {.sphere = sandboxes.sphere_as("flow"),
                                       .memories = memories.store(),
                                       .sandbox_tools = sandboxes.tools(),
                                       .models = !upstream,
                                       .open_models = upstream,
                                       .scrub = sandboxes.scrubber(),
                                       .workers = true,
                                       .metrics = &metrics,
                                       .spans = spans});
    // A database is named on purpose: to go on without it would hide that it is away.
    const bool wrong = !flows && flows.error().code == Code::invalid_argument;  // a file of ours
    if (flows || wrong || enabled == "on" || program.config().flow.store == "postgresql")
        return flows;
    why_not = {Code::unavailable, std::move(flows).error().message, ""};
    return std::unique_ptr<Flows>();
}

/// What clients of the Model Context Protocol find at /mcp.
HouseTools::Parts offered_tools(Memories& memories, Sandboxes& sandboxes, Flows* flows) {
    HouseTools::Parts parts{.memories = memories.store(), .sandboxes = sandboxes.tools()};
    if (flows != nullptr) {
        parts.runtime = &flows->runtime();
        parts.log = &flows->log();
        parts.definitions = &flows->definitions();
    }
    return parts;
}

/// One fact a line on stdout, the address first: it answers while the model is still read.
void announce_address(const Terminal& terminal, const std::string& url) {
    terminal.out(fmt::format("listening  {}\n", terminal.out_styled(Style::bold, url)));
}

/// The last line is the one for scripts that wait until everything is ready.
void announce_ready(const Program& program, const std::string& url, const Loaded& loaded) {
    const Terminal& terminal = program.terminal;
    terminal.out(fmt::format("model      {}\n", loaded.text));
    if (loaded.smoke) {
        const std::string warning = fmt::format("warning    this is {}", kSmokeModelNote);
        terminal.out(terminal.out_styled(Style::yellow, warning) + "\n");
    }
    if (program.config().server.console) terminal.out(fmt::format("console    {}/\n", url));
    terminal.out(fmt::format("API        {}/v1  (OpenAI-compatible)\n", url));
    if (terminal.stdout_is_terminal()) terminal.out("Ctrl-C drains and stops.\n");
}

}  // namespace

Result<int> serve(Program& program, Upstream upstream) {
    const Config& config = program.config();
    Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);

    // Before anything large is in memory: the launcher of sandboxes is born from this process.
    base::metrics::Registry metrics;
    const auto sandboxes = DG_TRY(Sandboxes::open(program, metrics));

    // From the bottom up: what is declared later may use what stands above it, and dies before it.
    const auto logger = DG_TRY(open_log(config.log, sandboxes->scrubber()));
    SpanExport spans(config.trace);
    const auto memories = DG_TRY(Memories::open(program, metrics));
    base::Error no_flows;
    const auto flows = DG_TRY(open_flows(program, *sandboxes, *memories, metrics,
                                         spans.exporter.get(), upstream, no_flows));
    StoredModels stored(program);
    EngineBackend backend(program.clock, &stored, memory_budget(config.models));
    const auto server = DG_TRY(listen(config, program.clock));
    gate::Gateway gateway({.backend = backend,
                           .clock = program.clock,
                           .logger = *logger,
                           .metrics = metrics,
                           .spans = spans.exporter.get()},
                          gateway_options(config));
    gateway.register_routes(*server);
    sandboxes->register_routes(server->router());
    memories->register_routes(server->router());
    if (flows) {
        flows->register_routes(server->router());
    } else {
        refuse_flow_routes(server->router(), no_flows);
    }
    McpServer mcp(offered_tools(*memories, *sandboxes, flows.get()), program.clock);
    mcp.register_routes(server->router());
    const ConsoleFiles console;
    if (config.server.console) console.serve_on(*server);
    server->start();

    announce_address(program.terminal, server->url());
    if (!sandboxes->unavailable().empty()) {
        logger->warn("no sandboxes", {{"reason", sandboxes->unavailable()}});
    } else {
        logger->info("sandboxes",
                     {{"policies", sandboxes->policies()}, {"audit", sandboxes->audit_dir()}});
    }
    if (!memories->unavailable().empty()) {
        logger->warn("no memories", {{"reason", memories->unavailable()}});
    } else {
        logger->info("memories", {{"dir", base::without_password(memory_dir(program))}});
    }

    if (!flows) {
        logger->warn("no workflows", {{"reason", no_flows.message}});
    } else {
        const std::string& own_url = config.flow.own_url;
        flows->announce(own_url.empty() ? server->url() : own_url);
        logger->info("workflows", {{"store", flow_place(program)}});
    }

    // The port is open and /healthz answers while the model is pulled and read.
    const auto loaded = load_models(program, backend);
    if (loaded) {
        const ServiceManager manager(variable(program.environment, "NOTIFY_SOCKET").value_or(""));
        if (flows && !upstream) flows->set_models(server->url() + "/v1");
        announce_ready(program, server->url(), *loaded);
        logger->info("serving", {{"url", server->url()}, {"model", loaded->text}});
        manager.notify(fmt::format("READY=1\nSTATUS=serving {}", loaded->text));
        tidy_up(program, backend.pool());
        while (!interrupt.wait_ms(60'000)) {
        }
        manager.notify("STOPPING=1");
        logger->info("draining", {{"patience_s", config.server.drain_timeout_s}});
    }

    // From the top down. A second signal ends the process at once (Interrupt).
    gateway.begin_drain();
    if (flows) flows->begin_drain();
    server->stop(loaded ? as_millis(config.server.drain_timeout_s) : milliseconds(0));
    gateway.stop();
    mcp.stop();
    if (flows) flows->stop();
    sandboxes->stop();
    memories->stop();
    backend.close();
    if (spans.exporter) spans.exporter->stop();
    if (!loaded) return std::unexpected(loaded.error());
    logger->info("stopped");
    return 0;
}

}  // namespace app
