#pragma once
// A box and the commands in it as the server sees them. Plain data, guarded by NativeSphere's lock
// but for what is said to be the loop's.

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/files/unique_fd.h"
#include "sphere/launcher/protocol.h"
#include "sphere/native/control_groups.h"
#include "sphere/sphere.h"

namespace sphere::native {

/// One end of a stream and its place in epoll. The loop's, once registered.
struct WatchedFd {
    base::UniqueFd fd;
    std::uint64_t token = 0;  ///< 0: not in epoll
};

/// A version 2 group of one command at a time.
struct ExecGroup {
    std::uint64_t number = 0;
    std::uint64_t cpu_us_before = 0;  ///< used by those that had it earlier
    bool killed =
        false;  ///< never again: the kernel kills who is born in such a group from outside
};

/// A process that waits, walled in, to become the box's next command. Made only while nothing else
/// lives in the box but its init: no process of the box ever meets one, and the command it becomes
/// takes its place in the limit of processes.
struct Prepared {
    ExecId exec = 0;
    base::UniqueFd socket;
    ExecGroup group;
    launcher::ProcessLimits limits;
};

struct Exec {
    enum class Phase {
        starting,
        refused,  ///< see error; start() takes it away
        running,
        lingering,  ///< the command ended and was reported; something it started has not
    };

    ExecId id = 0;
    ExecSink* sink = nullptr;
    Phase phase = Phase::starting;
    std::optional<base::Error> error;
    std::optional<launcher::StartFailed> refusal;
    bool tty = false;
    std::optional<ExecGroup> group;
    int answer = -1;  ///< of a prepared process, while start() waits on it; start()'s
    std::chrono::milliseconds wall_timeout{0}, cpu_timeout{0};
    base::Instant started_at, due = base::Instant::never();

    WatchedFd in, out, err;  ///< with a tty all is in `out`
    std::string input;       ///< waits for the command to read
    bool input_ends = false;

    std::uint64_t output_max = 0, output_bytes = 0, delivered = 0;  ///< the loop's
    std::uint64_t oom_kills_before = 0;
    std::optional<EndReason> forced;  ///< why we ended it, when we did
    int sent_signal = 0;              ///< by the caller
    bool kill_sent = false;
    base::Instant killed_at;
};

struct Box {
    enum class Phase { making, ready, failed };

    std::uint64_t number = 0;
    SandboxId id;
    SandboxSpec spec;
    Secrets secrets;  ///< never described
    Phase phase = Phase::making;
    std::optional<base::Error> error;
    std::uint32_t host_id = 0;
    BoxGroups groups;
    WatchedFd init, life;  ///< the socket to the init; its pidfd
    base::UniqueFd workspace;
    std::int32_t pid = 0;
    bool init_ready = false, published = false, paused = false, ending = false;
    bool gone = false;  ///< every process is dead, every exec reported
    std::optional<EndReason> forced;

    std::optional<Prepared> prepared;
    std::optional<ExecGroup> idle_group;    ///< for the next command
    std::vector<ExecGroup> leaving_groups;  ///< their last process is about to end
    std::uint64_t next_group = 1;
    std::map<ExecId, std::unique_ptr<Exec>> execs;
    ExecId next_exec = 1;
    std::uint32_t execs_begun = 0;
    std::int64_t created_unix_ns = 0;
    base::Instant created_at, used_at;
    std::condition_variable changed;

    std::uint32_t running() const {
        std::uint32_t count = 0;
        for (const auto& [id_, exec] : execs) count += exec->phase != Exec::Phase::lingering;
        return count;
    }
    SandboxState state() const {
        if (gone) return SandboxState::ended;
        if (ending) return SandboxState::ending;
        if (phase == Phase::making) return SandboxState::creating;
        if (paused) return SandboxState::paused;
        return running() > 0 ? SandboxState::executing : SandboxState::ready;
    }
};

}  // namespace sphere::native
