#include "sphere/spec.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "sphere/net/cidr.h"
#include "sphere/net/domain.h"
#include "sphere/spec_words.h"

namespace sphere {
namespace {

using base::Code;
using base::fail_on;
using base::Result;

constexpr std::uint64_t kPage = 4096;
constexpr std::size_t kPortsMax = 48;
constexpr std::uint64_t kBytesMax = 1ull << 50;
constexpr std::chrono::milliseconds kTimeMax{366ll * 24 * 3600 * 1000};

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 63 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

Result<void> check_environment(const std::string& path,
                               const std::map<std::string, std::string>& variables) {
    for (const auto& [name, value] : variables) {
        if (name.empty() || name.find_first_of(std::string_view("=\0", 2)) != name.npos) {
            return fail_on(path, Code::invalid_argument,
                           "{}: '{}' is no variable's name; it may not be empty nor hold '='", path,
                           name);
        }
        if (value.find('\0') != value.npos) {
            return fail_on(path + "." + name, Code::invalid_argument,
                           "{}.{}: a value may not hold a zero byte", path, name);
        }
    }
    return {};
}

template <class T>
Result<void> in_range(std::string_view path, T value, T min, T max, std::string_view unit) {
    if (value >= min && value <= max) return {};
    return fail_on(std::string(path), Code::invalid_argument, "{} is {} {}; it goes from {} to {}",
                   path, value, unit, min, max);
}

Result<void> check_time(std::string_view path, std::chrono::milliseconds time) {
    return in_range<std::int64_t>(path, time.count(), 0, kTimeMax.count(), "ms");
}

Result<void> check_limits(const Limits& limits) {
    if (!std::isfinite(limits.cpus) || limits.cpus < 0.01 || limits.cpus > 4096) {
        return fail_on("limits.cpus", Code::invalid_argument,
                       "limits.cpus is {}; it goes from 0.01 to 4096 processors", limits.cpus);
    }
    if (limits.gpu_share != 0) {
        return fail_on("limits.gpu_share", Code::unimplemented,
                       "limits.gpu_share is {}: devices cannot be shared with a sandbox yet; "
                       "leave it 0",
                       limits.gpu_share);
    }
    DG_TRY(in_range<std::uint64_t>("limits.memory_bytes", limits.memory_bytes, 8ull << 20,
                                   kBytesMax, "bytes"));
    DG_TRY(in_range<std::uint32_t>("limits.processes_max", limits.processes_max, 1, 1u << 20,
                                   "processes"));
    DG_TRY(in_range<std::uint64_t>("limits.workspace_bytes", limits.workspace_bytes, kPage,
                                   kBytesMax, "bytes"));
    DG_TRY(
        in_range<std::uint64_t>("limits.tmp_bytes", limits.tmp_bytes, kPage, kBytesMax, "bytes"));
    DG_TRY(
        in_range<std::uint64_t>("limits.inodes_max", limits.inodes_max, 16, 1ull << 32, "files"));
    DG_TRY(in_range<std::uint32_t>("limits.open_files_max", limits.open_files_max, 8, 1u << 20,
                                   "files"));
    DG_TRY(check_time("limits.lifetime", limits.lifetime));
    return check_time("limits.idle_timeout", limits.idle_timeout);
}

Result<void> check_lists(const NetworkPolicy& network) {
    std::set<std::uint16_t> ports;
    for (std::size_t i = 0; i < network.allow_domains.size(); ++i) {
        const auto rule = net::parse_domain_rule(network.allow_domains[i]);
        if (!rule) {
            return fail_on(fmt::format("network.allow_domains[{}]", i), Code::invalid_argument,
                           "network.allow_domains[{}]: {}", i, rule.error().message);
        }
        ports.insert(rule->port);
    }
    if (ports.size() > kPortsMax) {
        return fail_on("network.allow_domains", Code::invalid_argument,
                       "network.allow_domains names {} ports; at most {} can be listened to",
                       ports.size(), kPortsMax);
    }
    for (std::size_t i = 0; i < network.allow_cidrs.size(); ++i) {
        if (const auto range = net::parse_cidr(network.allow_cidrs[i]); !range) {
            return fail_on(fmt::format("network.allow_cidrs[{}]", i), Code::invalid_argument,
                           "network.allow_cidrs[{}]: {}", i, range.error().message);
        }
    }
    return {};
}

Result<void> check_network(const NetworkPolicy& network) {
    if (network.mode == NetworkMode::egress || network.mode == NetworkMode::full) {
        return check_lists(network);
    }
    if (!network.allow_domains.empty() || !network.allow_cidrs.empty() || network.calls_max != 0 ||
        network.bytes_max != 0) {
        return fail_on("network", Code::invalid_argument,
                       "network.mode is {}, which reaches nothing: allow_domains, allow_cidrs, "
                       "calls_max and bytes_max go with egress",
                       network_mode_name(network.mode));
    }
    return {};
}

}  // namespace

std::string_view isolation_name(Isolation level) {
    return word_of(kIsolations, level);
}

std::string_view network_mode_name(NetworkMode mode) {
    return word_of(kNetworkModes, mode);
}

std::string_view end_reason_name(EndReason reason) {
    constexpr std::array names = {"exited", "signalled", "wall_time", "cpu_time",
                                  "memory", "forbidden", "stopped",   "emergency"};
    const auto at = static_cast<std::size_t>(reason);
    return at < names.size() ? names[at] : "unknown";
}

bool is_image_reference(std::string_view text) {
    return !text.empty() && text.size() <= 256 && text.front() != '/' &&
           std::ranges::all_of(text, [](unsigned char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("._/:@+-").find(static_cast<char>(c)) !=
                          std::string_view::npos;
           });
}

Result<void> check_spec(const SandboxSpec& spec) {
    if (!spec.name.empty() && !is_name(spec.name)) {
        return fail_on("name", Code::invalid_argument, "name '{}': use 1 to 63 of a-z, 0-9 and '-'",
                       spec.name);
    }
    if (spec.tenant.empty()) {
        return fail_on("tenant", Code::invalid_argument, "tenant is empty; 'default' will do");
    }
    const bool is_host = spec.root.kind == RootSpec::Kind::host;
    const bool is_here =
        spec.root.kind == RootSpec::Kind::image && is_image_reference(spec.root.path);
    if (is_host ? !spec.root.path.empty() : !spec.root.path.starts_with('/') && !is_here) {
        return fail_on("root.path", Code::invalid_argument,
                       "root.path is '{}': an absolute path for a directory or an image, the name "
                       "or sha256:<digest> of an imported image, nothing for the host's system",
                       spec.root.path);
    }
    DG_TRY(check_limits(spec.limits));
    DG_TRY(check_network(spec.network));
    return check_environment("environment", spec.environment);
}

Result<void> check_exec(const ExecSpec& spec) {
    if (spec.argv.empty() || spec.argv.front().empty()) {
        return fail_on("argv", Code::invalid_argument, "argv is empty: name a program to run");
    }
    for (std::size_t i = 0; i < spec.argv.size(); ++i) {
        if (spec.argv[i].find('\0') != std::string::npos) {
            return fail_on(fmt::format("argv[{}]", i), Code::invalid_argument,
                           "argv[{}] holds a zero byte", i);
        }
    }
    if ((!spec.working_directory.empty() && !spec.working_directory.starts_with('/')) ||
        spec.working_directory.find('\0') != std::string::npos) {
        return fail_on("working_directory", Code::invalid_argument,
                       "working_directory '{}' is not an absolute path", spec.working_directory);
    }
    if (spec.tty && (spec.tty_columns == 0 || spec.tty_rows == 0)) {
        return fail_on("tty_columns", Code::invalid_argument,
                       "a terminal of {} columns and {} rows; both must be over 0",
                       spec.tty_columns, spec.tty_rows);
    }
    DG_TRY(check_time("wall_timeout", spec.wall_timeout));
    DG_TRY(check_time("cpu_timeout", spec.cpu_timeout));
    return check_environment("environment", spec.environment);
}

}  // namespace sphere
