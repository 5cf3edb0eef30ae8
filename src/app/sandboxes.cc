#include "app/sandboxes.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <optional>
#include <thread>

#include "app/sandbox_guard.h"
#include "base/api/error_answer.h"
#include "base/http/server.h"
#include "base/http/site_guard.h"
#include "sphere/http/guard_routes.h"
#include "sphere/http/port_routes.h"
#include "sphere/http/sandbox_routes.h"
#include "sphere/http/session_routes.h"
#include "sphere/http/tool_routes.h"
#include "sphere/sphere.h"

namespace app {
namespace {

using base::Code;
using base::Error;
using base::Result;

/// Blocks SIGUSR1 in the thread that makes it and in all that are started later, so it is made
/// before any; start() has a thread of its own wait for the signal.
class StopSignal {
public:
    StopSignal() {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGUSR1);
        ::pthread_sigmask(SIG_BLOCK, &signals_, &before_);
    }
    ~StopSignal() {
        waiter_ = {};
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    StopSignal(const StopSignal&) = delete;
    StopSignal& operator=(const StopSignal&) = delete;

    void start(sphere::guard::GuardedSphere& sphere) {
        waiter_ = std::jthread([this, &sphere](const std::stop_token& stop) {
            constexpr timespec kLookUp{0, 100'000'000};
            while (!stop.stop_requested()) {
                if (::sigtimedwait(&signals_, nullptr, &kLookUp) == SIGUSR1) {
                    static_cast<void>(sphere.order_stop({}, "signal SIGUSR1"));
                }
            }
        });
    }

private:
    sigset_t signals_{}, before_{};
    std::jthread waiter_;
};

}  // namespace

std::string sandbox_state_dir(const Program& program) {
    if (!program.config().sandbox.state_dir.empty()) return program.config().sandbox.state_dir;
    const auto runtime = program.environment.find("XDG_RUNTIME_DIR");
    const bool usable =
        runtime != program.environment.end() && ::access(runtime->second.c_str(), W_OK) == 0;
    return fmt::format("{}/dougong-sandboxes-{}", usable ? runtime->second : "/tmp", ::geteuid());
}

std::string sandbox_data_dir(const SandboxConfig& config, const Environment& environment) {
    if (!config.data_dir.empty() || !config.state_dir.empty()) return config.data_dir;
    // Its own folder there is enough, as a service has it.
    const auto writable = [](const std::string& path) {
        return ::access((path + "/dougong").c_str(), W_OK) == 0 ||
               ::access(path.c_str(), W_OK) == 0;
    };
    const auto data = variable(environment, "XDG_DATA_HOME");
    if (data && writable(*data)) return *data + "/dougong/sandboxes";
    const auto home = variable(environment, "HOME");
    return home && writable(*home) ? *home + "/.local/share/dougong/sandboxes" : "";
}

sphere::BackendOptions sandbox_backends(const Config& config) {
    const SandboxConfig& from = config.sandbox;
    return {.gvisor = {.program = from.runsc,
                       .platform = from.runsc_platform == "auto" ? "" : from.runsc_platform},
            .microvm = {.vmm = from.microvm_vmm,
                        .kernel = from.microvm_kernel,
                        .root = from.microvm_root,
                        .emulate = from.microvm_emulate}};
}

std::string sandboxes_refused(const Config& config) {
    const std::string& enabled = config.sandbox.enabled;
    if (enabled == "off") return "sandboxes are off; set sandbox.enabled to auto or on";
    const std::string& host = config.server.host;
    if (enabled == "on" || base::http::is_loopback(host)) return "";
    return fmt::format(
        "the server listens on {}, where whoever reaches it could run programs; set "
        "sandbox.enabled to on to offer sandboxes all the same",
        host);
}

struct Sandboxes::Impl {
    Error unavailable;  ///< its message is empty when there is a sphere
    std::unique_ptr<SandboxGuard> guard;
    std::unique_ptr<sphere::guard::GuardedSphere> over_http, by_signal;
    std::optional<sphere::SandboxApi> api;
    std::optional<sphere::GuardApi> guard_api;
    std::optional<sphere::PortApi> ports;
    std::optional<sphere::SessionManager> sessions;
    std::optional<sphere::SessionApi> session_api;
    std::optional<sphere::ToolApi> tool_api;
    std::optional<StopSignal> stop_signal;

    sphere::SandboxApiOptions api_options(std::string upload_dir) const {
        sphere::SandboxApiOptions options;
        options.images.upload_dir = std::move(upload_dir);
        const auto redactor = guard->redactor();
        if (redactor->empty()) return options;
        options.logs.scrub = [redactor](const sphere::SandboxId&, std::string_view text) {
            return redactor->apply(text);
        };
        return options;
    }
};

namespace {

std::vector<std::string> modules_of(const SandboxConfig& config) {
    if (config.python_modules.empty()) return sphere::session::kPythonModules;
    std::vector<std::string> modules;
    for (std::string_view rest = config.python_modules; !rest.empty();) {
        const std::size_t end = std::min(rest.find(','), rest.size());
        std::string_view module = rest.substr(0, end);
        while (module.starts_with(' ')) module.remove_prefix(1);
        while (module.ends_with(' ')) module.remove_suffix(1);
        if (!module.empty()) modules.emplace_back(module);
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return modules;
}

/// One python waits from the start; the others' demand has to show first.
std::vector<sphere::WarmCommand> warm_commands(const SandboxConfig& config) {
    std::vector<sphere::WarmCommand> commands;
    for (const auto& [name, language] : sphere::kLanguages) {
        if (config.warm_sessions == 0) break;
        commands.push_back({.spec = sphere::session::driver_command(language, modules_of(config)),
                            .least = language == sphere::Language::python ? 1u : 0u,
                            .most = config.warm_sessions});
    }
    return commands;
}

}  // namespace

Sandboxes::Sandboxes(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Sandboxes::~Sandboxes() {
    stop();
}

Result<std::unique_ptr<Sandboxes>> Sandboxes::open(const Program& program,
                                                   base::metrics::Registry& metrics) {
    const SandboxConfig& config = program.config().sandbox;
    auto impl = std::make_unique<Impl>();
    if (std::string why = sandboxes_refused(program.config()); !why.empty()) {
        impl->unavailable = {Code::unavailable, std::move(why), ""};
    } else {
        impl->stop_signal.emplace();
        const std::string data_dir = sandbox_data_dir(config, program.environment);
        const std::string images =
            (data_dir.empty() ? sandbox_state_dir(program) : data_dir) + "/images";
        auto opened = SandboxGuard::open(program, SandboxGuard::User::server,
                                         default_server_policy(), metrics,
                                         {.state_dir = sandbox_state_dir(program),
                                          .data_dir = data_dir,
                                          .sandboxes_max = config.sandboxes_max,
                                          .pool_size = config.pool_size,
                                          .warm_commands = warm_commands(config),
                                          .kept_snapshots_max = config.kept_snapshots_max,
                                          .kept_snapshot_bytes_max = config.kept_snapshot_bytes_max,
                                          .backends = sandbox_backends(program.config())},
                                         [&](const sphere::SphereOptions& options) {
                                             return sphere::Sphere::open(options, program.clock);
                                         });
        // What the configuration names and is wrong stays wrong, whatever the host can do.
        const bool named = !opened && opened.error().subject.starts_with("sandbox.");
        if (!opened && (config.enabled == "on" || named)) {
            return std::unexpected(std::move(opened).error());
        }
        if (!opened) {
            impl->unavailable = std::move(opened).error();
            impl->stop_signal.reset();
        } else {
            impl->guard = std::move(*opened);
            impl->over_http = impl->guard->sphere().as("http");
            impl->by_signal = impl->guard->sphere().as("signal");
            impl->api.emplace(*impl->over_http, program.clock, impl->api_options(images));
            impl->ports.emplace(*impl->over_http, program.clock, sphere::PortApiOptions{});
            impl->sessions.emplace(*impl->over_http, program.clock, modules_of(config));
            impl->session_api.emplace(*impl->over_http, *impl->sessions);
            impl->guard_api.emplace(*impl->over_http);
            impl->tool_api.emplace(*impl->over_http, *impl->sessions);
            impl->stop_signal->start(*impl->by_signal);
        }
    }
    return std::unique_ptr<Sandboxes>(new Sandboxes(std::move(impl)));
}

void Sandboxes::register_routes(base::http::Router& router) {
    if (impl_->api) {
        impl_->api->register_routes(router);
        impl_->ports->register_routes(router);
        impl_->session_api->register_routes(router);
        impl_->tool_api->register_routes(router);
        return impl_->guard_api->register_routes(router);
    }
    const auto refuse = [this](const base::http::Request&,
                               const base::http::ResponderPtr& responder) {
        responder->send(base::api::error_response(impl_->unavailable));
    };
    for (const char* pattern :
         {"/v1/sandboxes", "/v1/sandboxes/{rest...}", "/v1/snapshots", "/v1/snapshots/{rest...}",
          "/v1/sandbox-images", "/v1/sandbox-images/{rest...}", "/v1/policies",
          "/v1/policies/{rest...}", "/v1/audit", "/v1/emergency_stop"}) {
        for (const char* method : {"GET", "POST", "PUT", "DELETE"}) {
            router.add(method, pattern, refuse);
        }
    }
}

const std::string& Sandboxes::unavailable() const {
    return impl_->unavailable.message;
}

std::unique_ptr<sphere::Sphere> Sandboxes::sphere_as(std::string_view actor) {
    if (!impl_->guard) return nullptr;
    return impl_->guard->sphere().as(std::string(actor));
}

sphere::tools::SandboxTools* Sandboxes::tools() {
    return impl_->tool_api ? &impl_->tool_api->tools() : nullptr;
}

std::string Sandboxes::policies() const {
    return impl_->guard ? impl_->guard->policies() : "";
}

std::string Sandboxes::audit_dir() const {
    return impl_->guard ? impl_->guard->audit_dir() : "";
}

std::function<std::string(std::string_view)> Sandboxes::scrubber() const {
    const auto redactor = impl_->guard ? impl_->guard->redactor() : nullptr;
    if (!redactor || redactor->empty()) return {};
    return [redactor](std::string_view text) { return redactor->apply(text); };
}

void Sandboxes::stop() {
    impl_->stop_signal.reset();
    if (impl_->tool_api) impl_->tool_api->stop();
    if (impl_->session_api) impl_->session_api->stop();
    if (impl_->ports) impl_->ports->stop();
    if (impl_->api) impl_->api->stop();
    if (impl_->guard_api) impl_->guard_api->stop();
    impl_->tool_api.reset();
    impl_->sessions.reset();
    impl_->guard.reset();
}

}  // namespace app
