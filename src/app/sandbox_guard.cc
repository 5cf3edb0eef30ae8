#include "app/sandbox_guard.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/sandboxes.h"
#include "base/files/file_error.h"
#include "base/files/files.h"
#include "base/json/json.h"
#include "sphere/audit/shipping.h"
#include "sphere/tools/sandbox_tools.h"

namespace app {
namespace {

using base::Code;
using base::Result;
using sphere::audit::AuditLog;

/// A command's log is read from its start when it is opened: short segments keep that short.
constexpr std::uint64_t kCommandSegmentBytes = 256 << 10;
constexpr int kSlotsMax = 64;

/// The setting's name before a message about what it names.
std::unexpected<base::Error> blame(const char* field, base::Error error) {
    error.message = fmt::format("{}: {}", field, error.message);
    error.subject = field;
    return std::unexpected(std::move(error));
}

std::string default_audit_dir(const Program& program) {
    const std::string& state_dir = program.config().sandbox.state_dir;
    if (!state_dir.empty()) return state_dir + "-audit";
    const auto state = variable(program.environment, "XDG_STATE_HOME");
    const auto home = variable(program.environment, "HOME");
    if (state && ::access(state->c_str(), W_OK) == 0) return *state + "/dougong/audit";
    if (home && ::access(home->c_str(), W_OK) == 0) return *home + "/.local/state/dougong/audit";
    return sandbox_state_dir(program) + "-audit";
}

/// A folder that nobody else writes in. Errors: permission_denied.
Result<void> make_private_dir(const std::string& path) {
    const bool there = base::path_exists(path);
    DG_TRY(base::make_dirs(path));
    if (!there && ::chmod(path.c_str(), 0700) != 0) {
        return base::fail_errno(errno, "restrict", path);
    }
    struct stat facts {};
    if (::lstat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) &&
        facts.st_uid == ::geteuid() && (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0) {
        return {};
    }
    return base::fail_on("sandbox.audit_dir", Code::permission_denied,
                         "the folder {} of the record is not one that only its owner, user {}, can "
                         "write in; remove it or set sandbox.audit_dir to another one",
                         path, ::geteuid());
}

/// The first folder `<dir>/<prefix>-N` that no other process writes.
Result<std::unique_ptr<AuditLog>> open_slot(const std::string& dir, std::string_view prefix,
                                            std::uint64_t segment_bytes, const base::Clock& clock) {
    for (int slot = 0; slot < kSlotsMax; ++slot) {
        auto log = AuditLog::open(
            {.dir = fmt::format("{}/{}-{}", dir, prefix, slot), .segment_bytes_max = segment_bytes},
            clock);
        if (log || log.error().code != Code::failed_precondition) return log;
    }
    return base::fail_on("sandbox.audit_dir", Code::resource_exhausted,
                         "{} has {} records under way; set sandbox.audit_dir to another folder",
                         dir, kSlotsMax);
}

std::vector<std::string> split(std::string_view text) {
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

Result<std::unique_ptr<sphere::audit::Shipper>> make_shipper(const std::string& to) {
    if (to.starts_with("file:/")) return sphere::audit::make_file_shipper("file", to.substr(5));
    if (to == "syslog") return sphere::audit::make_syslog_shipper("syslog");
    if (to.starts_with("syslog:/")) {
        return sphere::audit::make_syslog_shipper("syslog", to.substr(7));
    }
    if (to.starts_with("http://") || to.starts_with("https://")) {
        sphere::audit::HttpShipperOptions options;
        options.url = to;
        return sphere::audit::make_http_shipper("http", std::move(options));
    }
    return base::fail_on("sandbox.audit_ship", Code::invalid_argument,
                         "sandbox.audit_ship has '{}'; expected file:/path, syslog, syslog:/socket "
                         "or a URL",
                         to);
}

}  // namespace

struct SandboxGuard::Impl {
    // In this order: what is declared later uses what stands above it, and dies before it.
    std::unique_ptr<sphere::policy::PolicyStore> policies;
    std::unique_ptr<sphere::guard::SecretStore> secrets;
    std::unique_ptr<AuditLog> log;
    std::unique_ptr<sphere::policy::StopBoard> stops;
    std::vector<std::unique_ptr<sphere::audit::Shipping>> shipping;
    std::unique_ptr<sphere::guard::GuardedSphere> sphere;

    Result<void> open_configured(const Program& program, std::string own_policy) {
        const SandboxConfig& config = program.config().sandbox;
        using sphere::policy::PolicyStore;
        auto opened = config.policies.empty()
                          ? PolicyStore::of(std::move(own_policy), "built in", program.clock)
                          : PolicyStore::open(config.policies, program.clock);
        if (!opened) return blame("sandbox.policies", std::move(opened).error());
        policies = std::move(*opened);
        if (config.secrets_file.empty()) {
            secrets = std::make_unique<sphere::guard::NoSecrets>();
            return {};
        }
        auto loaded = sphere::guard::load_secrets(config.secrets_file);
        if (!loaded) return blame("sandbox.secrets_file", std::move(loaded).error());
        secrets = std::move(*loaded);
        return {};
    }

    /// The server's record is the folder that was named; without a name, and for commands, there
    /// may be several beside each other. A command obeys the stops of the first server.
    Result<void> open_record(const Program& program, User user) {
        const std::string& named = program.config().sandbox.audit_dir;
        const std::string dir = named.empty() ? default_audit_dir(program) : named;
        DG_TRY(make_private_dir(dir));
        const std::string first_server = named.empty() ? dir + "/server-0" : dir;
        if (user == User::command) {
            log = DG_TRY(open_slot(dir, "command", kCommandSegmentBytes, program.clock));
        } else if (named.empty()) {
            log = DG_TRY(open_slot(dir, "server", 64 << 20, program.clock));
        } else {
            log = DG_TRY(AuditLog::open({.dir = dir}, program.clock));
        }
        const std::string& home = user == User::command ? first_server : log->dir();
        stops = DG_TRY(sphere::policy::StopBoard::open(home + "/stops.json", program.clock));
        return {};
    }

    Result<void> start_shipping(const SandboxConfig& config) {
        for (const std::string& to : split(config.audit_ship)) {
            shipping.push_back(
                DG_TRY(sphere::audit::Shipping::start(*log, DG_TRY(make_shipper(to)))));
        }
        return {};
    }
};

SandboxGuard::SandboxGuard(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SandboxGuard::~SandboxGuard() = default;

Result<std::unique_ptr<SandboxGuard>> SandboxGuard::open(
    const Program& program, User user, std::string own_policy, base::metrics::Registry& metrics,
    const sphere::SphereOptions& options, const sphere::guard::GuardedSphere::OpenInner& inner) {
    auto impl = std::make_unique<Impl>();
    DG_TRY(impl->open_configured(program, std::move(own_policy)));
    DG_TRY(impl->open_record(program, user));
    impl->sphere = DG_TRY(sphere::guard::GuardedSphere::open(
        {*impl->policies, *impl->stops, *impl->log, *impl->secrets, metrics, program.clock},
        options, user == User::server ? "server" : "command", inner));
    DG_TRY(impl->start_shipping(program.config().sandbox));
    return std::unique_ptr<SandboxGuard>(new SandboxGuard(std::move(impl)));
}

sphere::guard::GuardedSphere& SandboxGuard::sphere() {
    return *impl_->sphere;
}
std::shared_ptr<const sphere::audit::Redactor> SandboxGuard::redactor() const {
    return impl_->secrets->redactor();
}
std::string SandboxGuard::policies() const {
    return fmt::format("{}, digest {}", impl_->policies->source(), impl_->policies->digest());
}
const std::string& SandboxGuard::audit_dir() const {
    return impl_->log->dir();
}

std::string default_server_policy() {
    // The tools work in a sandbox, which the rest of the policy bounds.
    std::string tools;
    for (const auto& tool : sphere::tools::SandboxTools::all()) {
        tools += (tools.empty() ? "" : ", ") + std::string(tool.name);
    }
    return fmt::format(
        "version: 1\nname: default\naudit: full\nroots: [host, imported]\nnetwork: {{mode: "
        "loopback}}\ntools: [{{id: sandbox-tools, effect: allow, tools: [{}], other_arguments: "
        "true}}]\n",
        tools);
}

std::string command_line_policy(const sphere::SandboxSpec& spec) {
    const auto list = [](const std::vector<std::string>& texts) {
        return base::to_text(base::json::array(texts.begin(), texts.end()));
    };
    const sphere::Limits& limits = spec.limits;
    return fmt::format(
        "version: 1\nname: command-line\naudit: full\nroots: [host, image, directory]\n"
        "isolation_min: {}\nlimits: {{cpus: {}, memory_bytes: {}, processes_max: {}, "
        "workspace_bytes: {}, "
        "tmp_bytes: {}, inodes_max: {}, open_files_max: {}, lifetime_ms: 0, idle_timeout_ms: 0, "
        "gpu_share: {}}}\n"
        "network: {{mode: full, allow_domains: {}, allow_cidrs: {}, calls_max: {}, bytes_max: "
        "0}}\n",
        sphere::isolation_name(spec.isolation), limits.cpus, limits.memory_bytes,
        limits.processes_max, limits.workspace_bytes, limits.tmp_bytes, limits.inodes_max,
        limits.open_files_max, limits.gpu_share, list(spec.network.allow_domains),
        list(spec.network.allow_cidrs), spec.network.calls_max);
}

}  // namespace app
