#include "sphere/guest/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/core/clock.h"
#include "base/files/unique_fd.h"

namespace sphere::guest {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr int kLowestFd = 64;  // above every number a program is given
constexpr std::size_t kTextMax = 64 * 1024;

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> all;
    for (const std::string& word : words) all.push_back(const_cast<char*>(word.c_str()));
    all.push_back(nullptr);
    return all;
}

}  // namespace

Result<int> spawn(const Spawned& what) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    for (int fd = 0; fd < 3; ++fd) {
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    }
    std::vector<base::UniqueFd> high;
    for (const auto& [ours, theirs] : what.descriptors) {
        high.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, kLowestFd));
        posix_spawn_file_actions_adddup2(&actions, high.back().get(), theirs);
    }
    std::vector<std::string> words = {what.program};
    words.insert(words.end(), what.arguments.begin(), what.arguments.end());
    pid_t pid = 0;
    const int error = ::posix_spawn(&pid, what.program.c_str(), &actions, &attributes,
                                    pointers(words).data(), pointers(what.environment).data());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error == 0) return pid;
    return fail(Code::unavailable, "{} could not be started: {}", what.program,
                std::strerror(error));
}

std::string find_program(const std::string& name) {
    if (name.find('/') != std::string::npos) {
        return ::access(name.c_str(), X_OK) == 0 ? name : "";
    }
    if (name.empty()) return "";
    for (const char* folder :
         {"/usr/local/bin/", "/usr/bin/", "/bin/", "/usr/local/sbin/", "/usr/sbin/", "/sbin/"}) {
        std::string path = folder + name;
        if (::access(path.c_str(), X_OK) == 0) return path;
    }
    return "";
}

Result<Said> run_and_listen(const Spawned& what, int milliseconds) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return fail(Code::resource_exhausted, "no pipe: {}", std::strerror(errno));
    }
    const base::UniqueFd read_end(ends[0]);
    base::UniqueFd write_end(ends[1]);
    Spawned with_pipe = what;
    with_pipe.descriptors.emplace_back(ends[1], 1);
    with_pipe.descriptors.emplace_back(ends[1], 2);
    const int pid = DG_TRY(spawn(with_pipe));
    write_end.reset();
    Said said;
    const base::SystemClock clock;
    const base::Instant due = clock.now() + std::chrono::milliseconds(milliseconds);
    bool over = false;
    while (!over) {
        const auto left = (due - clock.now()).count() / 1'000'000;
        pollfd waits{read_end.get(), POLLIN, 0};
        char piece[4096];
        ssize_t got = 0;
        if (left <= 0 || ::poll(&waits, 1, static_cast<int>(left) + 1) <= 0) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
            return said;
        }
        got = ::read(read_end.get(), piece, sizeof(piece));
        over = got <= 0;
        if (!over && said.text.size() < kTextMax) {
            said.text.append(piece, static_cast<std::size_t>(got));
        }
    }
    ::waitpid(pid, &said.wait_status, 0);
    return said;
}

}  // namespace sphere::guest
