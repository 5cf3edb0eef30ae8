#include "peers.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/files/files.h"
#include "base/json/json.h"

namespace bench {
namespace {

namespace json = base::json;

/// A mount namespace in which there are no control groups: crun refuses a host with both versions
/// of them, and neither it nor runsc is measured with limits.
base::UniqueFd namespace_without_groups() {
    int told[2];
    if (::pipe2(told, O_CLOEXEC) != 0) return {};
    const pid_t child = ::fork();
    if (child == 0) {
        const bool made = ::unshare(CLONE_NEWNS) == 0 &&
                          ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                          ::mount("none", "/sys/fs/cgroup", "tmpfs", 0, nullptr) == 0;
        const char answer = made ? 'y' : 'n';
        if (::write(told[1], &answer, 1) == 1) ::pause();
        ::_exit(0);
    }
    ::close(told[1]);
    char answer = 'n';
    base::UniqueFd mounts;
    if (::read(told[0], &answer, 1) == 1 && answer == 'y') {
        mounts = base::UniqueFd(
            ::open(fmt::format("/proc/{}/ns/mnt", child).c_str(), O_RDONLY | O_CLOEXEC));
    }
    ::close(told[0]);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return mounts;
}

json::object mount_of(const char* to, const char* type, const char* from, json::array options) {
    return {{"destination", to}, {"type", type}, {"source", from}, {"options", std::move(options)}};
}

/// The host's /usr, read-only, and a /work of memory; all namespaces, no limits.
bool make_bundle(const std::string& bundle, const std::vector<std::string>& command,
                 const std::string& work) {
    for (const char* name : {"usr", "proc", "dev", "tmp", "work", "bench"}) {
        if (!base::make_dirs(bundle + "/root/" + name)) return false;
    }
    for (const char* name : {"bin", "lib", "lib64"}) {
        const std::string target = std::string("usr/") + name;
        if (::symlink(target.c_str(), (bundle + "/root/" + name).c_str()) != 0) return false;
    }
    const auto program = base::read_file(work);
    const std::string inside = bundle + "/root/bench/work";
    if (!program || !base::write_file_atomically(inside, *program)) return false;
    ::chmod(inside.c_str(), 0755);
    json::array namespaces;
    for (const char* kind : {"pid", "network", "ipc", "uts", "mount"}) {
        namespaces.push_back(json::object{{"type", kind}});
    }
    const json::object config = {
        {"ociVersion", "1.0.2"},
        {"process",
         {{"cwd", "/work"},
          {"args", json::array(command.begin(), command.end())},
          {"env", json::array{"PATH=/usr/bin"}},
          {"noNewPrivileges", true},
          {"user", {{"uid", 0}, {"gid", 0}}}}},
        {"root", {{"path", "root"}, {"readonly", true}}},
        {"mounts",
         json::array{mount_of("/proc", "proc", "proc", {}), mount_of("/dev", "tmpfs", "tmpfs", {}),
                     mount_of("/work", "tmpfs", "tmpfs", {}),
                     mount_of("/usr", "bind", "/usr", {"rbind", "ro"})}},
        {"linux", {{"namespaces", std::move(namespaces)}}}};
    return base::write_file_atomically(bundle + "/config.json", base::to_text(config)).has_value();
}

}  // namespace

std::optional<std::string> run_words(const std::vector<std::string>& words, int mounts) {
    int out[2];
    if (::pipe2(out, O_CLOEXEC) != 0) return std::nullopt;
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t child = mounts < 0 ? ::vfork() : ::fork();
    if (child == 0) {
        ::dup2(out[1], 1);
        if (mounts < 0 || ::setns(mounts, CLONE_NEWNS) == 0) ::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    ::close(out[1]);
    std::string text;
    char piece[4096];
    for (ssize_t got; (got = ::read(out[0], piece, sizeof(piece))) > 0;) {
        text.append(piece, static_cast<std::size_t>(got));
    }
    ::close(out[0]);
    int status = 1;
    if (child > 0) ::waitpid(child, &status, 0);
    return status == 0 ? std::optional(text) : std::nullopt;
}

Peers::Peers(const std::string& folder, const std::string& work)
    : folder_(folder), without_groups_(namespace_without_groups()) {
    commands_ = {{kTrue, {"/usr/bin/true"}},
                 {kPython, {"/usr/bin/python3", "-c", "pass"}},
                 {kWork, {"/bench/work"}}};
    before_["spawn"] = {};
    before_["bwrap"] = {"bwrap",   "--unshare-all", "--ro-bind", "/usr",      "/usr",   "--ro-bind",
                        work,      "/bench/work",   "--symlink", "usr/bin",   "/bin",   "--symlink",
                        "usr/lib", "/lib",          "--symlink", "usr/lib64", "/lib64", "--proc",
                        "/proc",   "--dev",         "/dev",      "--tmpfs",   "/work",  "--chdir",
                        "/work"};
    const std::string root = "--root=" + folder_ + "/state";
    before_["crun"] = {"crun", root, "--cgroup-manager=disabled"};
    for (const char* platform : {"ptrace", "systrap"}) {
        before_[std::string("runsc ") + platform] = {"runsc", root,
                                                     std::string("--platform=") + platform,
                                                     "--network=none", "--ignore-cgroups"};
    }
    for (const auto& [name, command] : commands_) {
        if (!make_bundle(folder_ + "/" + name, command, work)) {
            fmt::print(stderr, "NO BUNDLES IN {}: containers are left out\n", folder_);
        }
    }
    commands_["work on the host"] = {work};
    for (const char* name : {"spawn", "bwrap", "crun", "runsc ptrace", "runsc systrap"}) {
        if (run(name, kTrue)) {
            names_.emplace_back(name);
        } else {
            fmt::print(stderr, "{} IS LEFT OUT: it does not run /usr/bin/true here\n", name);
        }
    }
}

std::vector<std::string> Peers::words(const std::string& peer, const std::string& command) {
    std::vector<std::string> all = before_.at(peer);
    if (peer == "spawn" && command == kWork) {  // in memory, as a box's workspace is
        all = {"env", "-C", "/dev/shm"};
        all.push_back(commands_.at("work on the host").front());
        return all;
    }
    if (peer == "spawn" || peer == "bwrap") {
        const auto& program = commands_.at(command);
        all.insert(all.end(), program.begin(), program.end());
        return all;
    }
    for (const std::string& word :
         {std::string("run"), std::string("--bundle"), folder_ + "/" + command,
          fmt::format("dougong-bench-{}-{}", ::getpid(), next_++)}) {
        all.push_back(word);
    }
    return all;
}

std::optional<std::string> Peers::run(const std::string& peer, const std::string& command) {
    const bool container = peer != "spawn" && peer != "bwrap";
    if (container && !without_groups_) return std::nullopt;
    return run_words(words(peer, command), container ? without_groups_.get() : -1);
}

}  // namespace bench
