#include "sphere/native/host_inspection.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <sstream>

#include "sphere/native/launcher_image.h"
#include "sphere/native/users.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::Result;

struct Primitive {
    std::string_view name, title, remedy;
};
// What a box of level `full` cannot do without.
constexpr std::array<Primitive, 10> kNeeded = {{
    {"user_namespace", "user namespaces",
     "allow them: sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns"},
    {"mount_namespace", "mount namespaces", "allow them: sysctl user.max_mnt_namespaces"},
    {"pid_namespace", "process namespaces", "allow them: sysctl user.max_pid_namespaces"},
    {"network_namespace", "network namespaces", "allow them: sysctl user.max_net_namespaces"},
    {"ipc_namespace", "ipc namespaces", "allow them: sysctl user.max_ipc_namespaces"},
    {"uts_namespace", "uts namespaces", "allow them: sysctl user.max_uts_namespaces"},
    {"cgroup_namespace", "cgroup namespaces", "allow them: sysctl user.max_cgroup_namespaces"},
    {"tmpfs", "private tmpfs mounts", "a kernel of 5.11 or later is needed"},
    {"proc", "a private /proc",
     "a container that masks parts of /proc forbids it; run with an unmasked /proc"},
    {"seccomp", "system call filters", "a kernel with CONFIG_SECCOMP_FILTER is needed"},
}};

HostFact needed_fact(const ProbeAnswers& answers, const Primitive& primitive) {
    HostFact fact{std::string(primitive.title), Finding::works, "", ""};
    if (answers.works(primitive.name)) return fact;
    const auto at = answers.errors.find(primitive.name);
    fact.finding = Finding::missing;
    fact.detail = at == answers.errors.end() ? "not probed" : std::strerror(at->second);
    fact.consequence =
        "no sandbox of level full can be made here; " + std::string(primitive.remedy);
    return fact;
}

struct LimitFact {
    std::string_view title;
    bool unified;
    const std::string& legacy;
    std::string_view without, consequence;
};

HostFact limit_fact(const LimitFact& limit) {
    if (limit.unified) return {std::string(limit.title), Finding::works, "cgroup v2", ""};
    if (!limit.legacy.empty()) {
        return {std::string(limit.title), Finding::works, "cgroup v1 at " + limit.legacy, ""};
    }
    return {std::string(limit.title), Finding::weaker, std::string(limit.without),
            std::string(limit.consequence)};
}

constexpr std::string_view kDelegate =
    "; run as root, or give this process a delegated cgroup (systemd: Delegate=yes)";

}  // namespace

Result<ProbeAnswers> probe_host() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return fail(Code::unavailable, "no pipe: {}", std::strerror(errno));
    }
    const base::UniqueFd read_end(ends[0]);
    base::UniqueFd write_end(ends[1]);
    const int pid = DG_TRY(start_launcher("probe", -1, write_end.get()));
    write_end.reset();
    std::string text;
    char piece[1024];
    for (ssize_t got; (got = ::read(read_end.get(), piece, sizeof(piece))) > 0;) {
        text.append(piece, static_cast<std::size_t>(got));
    }
    ::waitpid(pid, nullptr, 0);
    ProbeAnswers answers;
    std::istringstream lines(text);
    std::string name;
    for (int value = 0; lines >> name >> value;) {
        if (name == "landlock") {
            answers.landlock_abi = value;
        } else {
            answers.errors[name] = value;
        }
    }
    if (answers.errors.empty()) {
        return fail(Code::unavailable,
                    "the sandbox launcher gave no answer; is execution of memory files forbidden "
                    "(sysctl vm.memfd_noexec)?");
    }
    return answers;
}

HostReport make_report(const ProbeAnswers& answers, const Hierarchies& groups, bool as_root) {
    HostReport report;
    report.as_root = as_root;
    for (const Primitive& primitive : kNeeded) {
        report.facts.push_back(needed_fact(answers, primitive));
    }
    if (answers.landlock_abi > 0) {
        report.facts.push_back(
            {"landlock", answers.landlock_abi >= 6 ? Finding::works : Finding::weaker,
             fmt::format("version {}", answers.landlock_abi),
             answers.landlock_abi >= 6 ? ""
                                       : "versions before 6 do not confine signals and abstract "
                                         "sockets; namespaces still do"});
    } else {
        report.facts.push_back({"landlock", Finding::missing, "not in this kernel",
                                "no sandbox of level full can be made here; start the kernel with "
                                "lsm=landlock,..."});
    }
    const std::string delegate(kDelegate);
    report.facts.push_back(
        limit_fact({"memory limit", groups.unified_memory, groups.memory, "rlimit of each process",
                    "a box may take its limit once per process" + delegate}));
    report.facts.push_back(
        limit_fact({"cpu limit", groups.unified_cpu, groups.cpu, "processor affinity",
                    "rounded up to whole processors" + delegate}));
    report.facts.push_back(limit_fact(
        {"process limit", groups.unified_pids, groups.pids, "rlimit in the box's user namespace",
         "as strict, but counted by the kernel per user" + delegate}));
    if (answers.works("time_namespace")) {
        report.facts.push_back({"time namespaces", Finding::works, "", ""});
    } else {
        report.facts.push_back({"time namespaces", Finding::weaker, "the host's clocks",
                                "a box sees how long the host runs; a kernel of 5.6 or later with "
                                "CONFIG_TIME_NS hides it"});
    }
    if (groups.unified.empty()) {
        report.facts.push_back(
            {"tree kill and freeze", Finding::weaker, "signals",
             "a command that times out takes the rest of its box with it" + delegate});
    } else {
        report.facts.push_back(
            {"tree kill and freeze", Finding::works, "cgroup v2 at " + groups.unified, ""});
    }
    if (require_process(answers)) report.levels.push_back(Isolation::process);
    if (require_full(answers)) report.levels.push_back(Isolation::full);
    return report;
}

std::vector<std::string> mechanisms(const ProbeAnswers& answers, const Hierarchies& groups,
                                    Isolation level) {
    const auto by = [](bool unified, const std::string& legacy, std::string_view otherwise) {
        return unified           ? std::string_view("cgroup v2")
               : !legacy.empty() ? std::string_view("cgroup v1")
                                 : otherwise;
    };
    if (level == Isolation::process) {
        const bool own_user = has_other_users();
        return {fmt::format("isolation: a process of this host, as {}",
                            own_user ? "a user of its own" : "the user who runs the server"),
                fmt::format("files: landlock {}; names and sizes of others can be seen",
                            answers.landlock_abi),
                own_user ? "system calls: seccomp allow list, no sockets"
                         : "system calls: seccomp allow list, no sockets, no permissions by name",
                "signals: landlock",
                fmt::format("memory: {}",
                            by(groups.unified_memory, groups.memory, "rlimit per process")),
                fmt::format("cpu: {}", by(groups.unified_cpu, groups.cpu, "processor affinity")),
                fmt::format("processes: {}",
                            by(groups.unified_pids, groups.pids,
                               own_user ? "rlimit per box" : "rlimit with the user's others")),
                "disk: size of each file",
                groups.unified.empty() ? "tree kill: the whole box; freeze: stop signal"
                                       : "tree kill, freeze: cgroup v2"};
    }
    return {
        fmt::format("isolation: user, pid, mount, net, ipc, uts{} cgroup namespaces",
                    answers.works("time_namespace") ? ", time and" : " and"),
        "files: read-only root, landlock " + std::to_string(answers.landlock_abi),
        "system calls: seccomp allow list",
        fmt::format("memory: {}", by(groups.unified_memory, groups.memory, "rlimit per process")),
        fmt::format("cpu: {}", by(groups.unified_cpu, groups.cpu, "processor affinity")),
        fmt::format("processes: {}", by(groups.unified_pids, groups.pids, "rlimit per box")),
        "disk: tmpfs sizes",
        groups.unified.empty() ? "tree kill: the whole box; freeze: stop signal"
                               : "tree kill, freeze: cgroup v2"};
}

Result<void> require_process(const ProbeAnswers& answers) {
    if (answers.landlock_abi < 6) {
        return fail(Code::failed_precondition,
                    "isolation process needs landlock 6, which confines signals, and this kernel "
                    "has {}; see dougong sandbox doctor",
                    answers.landlock_abi);
    }
    if (answers.works("seccomp")) return {};
    return fail(Code::failed_precondition, "isolation process needs system call filters");
}

Result<void> require_full(const ProbeAnswers& answers) {
    std::vector<std::string> missing;
    for (const Primitive& primitive : kNeeded) {
        const HostFact fact = needed_fact(answers, primitive);
        if (fact.finding == Finding::missing) {
            missing.push_back(fmt::format("{} ({})", fact.primitive, fact.detail));
        }
    }
    if (answers.landlock_abi <= 0) missing.emplace_back("landlock (not in this kernel)");
    if (missing.empty()) return {};
    return fail(Code::failed_precondition,
                "isolation full needs what this host does not give: {}; see dougong sandbox doctor",
                fmt::join(missing, ", "));
}

HostReport inspect() {
    const auto answers = probe_host();
    if (answers) return make_report(*answers, find_hierarchies(), ::geteuid() == 0);
    HostReport report;
    report.facts.push_back(
        {"launcher", Finding::missing, answers.error().message, "no sandbox can be made here"});
    return report;
}

}  // namespace sphere::native
