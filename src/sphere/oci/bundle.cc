#include "sphere/oci/bundle.h"

#include "base/json/json.h"

namespace sphere::oci {
namespace {

namespace json = base::json;

// To change to a command's user, to signal it, to give it its terminal, to set lo; the agent closes
// the bounding set before the first command.
constexpr const char* kAgentCapabilities[] = {"CAP_CHOWN",  "CAP_KILL",    "CAP_NET_ADMIN",
                                              "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"};
constexpr const char* kMasked[] = {
    "/proc/acpi",       "/proc/asound",      "/proc/config.gz",  "/proc/kallsyms",
    "/proc/kcore",      "/proc/keys",        "/proc/kmsg",       "/proc/latency_stats",
    "/proc/modules",    "/proc/sched_debug", "/proc/scsi",       "/proc/sysrq-trigger",
    "/proc/timer_list", "/proc/timer_stats", "/proc/vmallocinfo"};
constexpr const char* kReadOnly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"};

template <class List>
json::array texts(const List& list) {
    json::array all;
    for (const char* const text : list) all.emplace_back(text);
    return all;
}

json::object mount(const char* destination, const char* type, std::string source,
                   std::initializer_list<std::string> options) {
    json::array all;
    for (const std::string& option : options) all.emplace_back(option);
    return {{"destination", destination},
            {"type", type},
            {"source", std::move(source)},
            {"options", std::move(all)}};
}

/// Of this host's kernel, processes and nothing else; a kernel of its own says nothing of the host.
json::object proc_mount(bool own_kernel) {
    if (own_kernel) return mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"});
    return mount("/proc", "proc", "proc",
                 {"nosuid", "noexec", "nodev", "subset=pid", "hidepid=invisible"});
}

json::array mounts(const Limits& limits, const BundlePaths& paths, bool own_kernel) {
    const std::string size = fmt::format("size={}", limits.tmp_bytes);
    const std::string inodes = fmt::format("nr_inodes={}", limits.inodes_max);
    return {
        proc_mount(own_kernel),
        mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=64k"}),
        mount("/dev/pts", "devpts", "devpts",
              {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}),
        mount("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", size}),
        mount("/tmp", "tmpfs", "tmp", {"nosuid", "nodev", "mode=1777", size, inodes}),
        mount("/workspace", "bind", paths.bundle + "/workspace", {"rbind", "nosuid", "nodev"}),
        mount("/dev/dougong", "bind", paths.bundle + "/agent", {"rbind", "ro", "nosuid", "nodev"}),
    };
}

json::object process(const Limits& limits) {
    json::object capabilities;
    for (const char* const set : {"bounding", "effective", "permitted"}) {
        capabilities[set] = texts(kAgentCapabilities);
    }
    json::array rlimits = {json::object{{"type", "RLIMIT_NOFILE"},
                                        {"hard", limits.open_files_max},
                                        {"soft", limits.open_files_max}}};
    return {{"terminal", false},
            {"user", json::object{{"uid", 0}, {"gid", 0}}},
            {"args", json::array{"/dev/dougong/agent", "guest", "stdio"}},
            {"env", json::array{"PATH=/usr/bin:/bin"}},
            {"cwd", "/"},
            {"capabilities", std::move(capabilities)},
            {"rlimits", std::move(rlimits)},
            {"noNewPrivileges", true}};
}

}  // namespace

std::string make_config(const SandboxSpec& spec, const BundlePaths& paths, bool own_kernel) {
    json::array namespaces;
    for (const char* const kind : {"pid", "ipc", "uts", "mount", "network"}) {
        namespaces.push_back(json::object{{"type", kind}});
    }
    if (!own_kernel) namespaces.push_back(json::object{{"type", "cgroup"}});
    const json::object config = {
        {"ociVersion", "1.0.2"},
        {"process", process(spec.limits)},
        {"root", json::object{{"path", paths.bundle + "/root"}, {"readonly", true}}},
        {"hostname", "sandbox"},
        {"mounts", mounts(spec.limits, paths, own_kernel)},
        {"linux", json::object{{"namespaces", std::move(namespaces)},
                               {"maskedPaths", texts(kMasked)},
                               {"readonlyPaths", texts(kReadOnly)}}}};
    return base::to_text(config);
}

}  // namespace sphere::oci
