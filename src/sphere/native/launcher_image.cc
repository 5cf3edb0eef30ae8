#include "sphere/native/launcher_image.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <span>
#include <string>

#include "sphere/launcher/protocol.h"

extern "C" const char dg_launcher_begin[], dg_launcher_end[];

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::Result;

/// Above the descriptors that the launcher's own ends are put on.
constexpr int kLowestFd = 16;

class SpawnPlan {
public:
    SpawnPlan() {
        posix_spawn_file_actions_init(&actions_);
        posix_spawnattr_init(&attributes_);
        sigset_t none;
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&attributes_, &none);
        // A session of its own: Ctrl-C in a terminal is for the server, which then ends its boxes.
        posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK);
    }
    ~SpawnPlan() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }
    SpawnPlan(const SpawnPlan&) = delete;
    SpawnPlan& operator=(const SpawnPlan&) = delete;

    void place(int fd, int target) { posix_spawn_file_actions_adddup2(&actions_, fd, target); }
    void place_null(int target) {
        posix_spawn_file_actions_addopen(&actions_, target, "/dev/null", O_RDWR, 0);
    }
    int run(pid_t* pid, const char* path, char** argv) {
        char* environment[] = {nullptr};
        return ::posix_spawn(pid, path, &actions_, &attributes_, argv, environment);
    }

private:
    posix_spawn_file_actions_t actions_;
    posix_spawnattr_t attributes_;
};

}  // namespace

Result<base::UniqueFd> launcher_image() {
    const base::UniqueFd file(::memfd_create("dougong-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    const std::size_t bytes = static_cast<std::size_t>(dg_launcher_end - dg_launcher_begin);
    if (!file || ::write(file.get(), dg_launcher_begin, bytes) != static_cast<ssize_t>(bytes) ||
        ::fcntl(file.get(), F_ADD_SEALS,
                F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0) {
        return fail(Code::unavailable, "the sandbox launcher could not be put in memory: {}",
                    std::strerror(errno));
    }
    base::UniqueFd high(::fcntl(file.get(), F_DUPFD_CLOEXEC, kLowestFd));
    if (!high) return fail(Code::unavailable, "no descriptor is free: {}", std::strerror(errno));
    return high;
}

Result<int> start_launcher(const char* argument, int control, int output) {
    const base::UniqueFd image = DG_TRY(launcher_image());
    const base::UniqueFd control_high(control < 0 ? -1
                                                  : ::fcntl(control, F_DUPFD_CLOEXEC, kLowestFd));
    const base::UniqueFd output_high(output < 0 ? -1 : ::fcntl(output, F_DUPFD_CLOEXEC, kLowestFd));
    SpawnPlan plan;
    plan.place_null(0);
    plan.place_null(2);
    if (output_high) {
        plan.place(output_high.get(), 1);
    } else {
        plan.place_null(1);
    }
    if (control_high) plan.place(control_high.get(), launcher::kControlFd);
    std::string path = fmt::format("/proc/self/fd/{}", image.get());
    std::string name = "dougong-launcher", word = argument;
    char* argv[] = {name.data(), word.empty() ? nullptr : word.data(), nullptr};
    pid_t pid = 0;
    if (const int error = plan.run(&pid, path.c_str(), argv); error != 0) {
        return fail(Code::unavailable, "the sandbox launcher could not be started: {}",
                    std::strerror(error));
    }
    return pid;
}

}  // namespace sphere::native
