#pragma once
// A box and the commands in it as the server sees them. Plain data, guarded by NativeSphere's lock
// but for what is said to be the loop's.

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/core/clock.h"
#include "base/files/unique_fd.h"
#include "sphere/egress/broker.h"
#include "sphere/launcher/protocol.h"
#include "sphere/native/control_groups.h"
#include "sphere/sphere.h"

namespace sphere::native {

/// One end of a stream and its place in epoll. The loop's, once registered.
struct WatchedFd {
    base::UniqueFd fd;
    std::uint64_t token = 0;  ///< 0: not in epoll
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
    bool tty = false, has_group = false;
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
    std::vector<egress::Listener> listeners;     ///< until the broker has them
    std::shared_ptr<const egress::Meter> meter;  ///< once the broker serves it
    std::vector<std::uint16_t> listened;         ///< ports that the broker has sockets at
    struct Dialling {
        bool answered = false;
        int error = 0;
        base::UniqueFd socket;
    };
    std::map<std::uint64_t, Dialling> dials;
    std::uint64_t next_dial = 1;
    std::int32_t pid = 0;
    bool init_ready = false, published = false, paused = false, ending = false;
    bool gone = false;  ///< every process is dead, every exec reported
    std::optional<EndReason> forced;

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
