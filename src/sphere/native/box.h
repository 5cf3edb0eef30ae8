#pragma once
// A box and the commands in it as the server sees them. Plain data, guarded by NativeSphere's lock
// but for what is said to be the loop's.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/clock.h"
#include "base/files/unique_fd.h"
#include "sphere/egress/broker.h"
#include "sphere/images/image_store.h"
#include "sphere/launcher/protocol.h"
#include "sphere/native/closed_ports.h"
#include "sphere/native/control_groups.h"
#include "sphere/native/copy_tree.h"
#include "sphere/native/spare_groups.h"
#include "sphere/sphere.h"

namespace sphere::native {

/// One end of a stream and its place in epoll. The loop's, once registered.
struct WatchedFd {
    base::UniqueFd fd;
    std::uint64_t token = 0;  ///< 0: not in epoll
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

/// A command's ends of its streams; ours are closed when it has them or never will.
struct CommandEnds {
    int fds[3] = {-1, -1, -1};
    CommandEnds() = default;
    ~CommandEnds() { close(); }
    CommandEnds(const CommandEnds&) = delete;
    CommandEnds& operator=(const CommandEnds&) = delete;
    void close();
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
    bool stdin_socket = false;
    bool rests = false;  ///< see Sphere::rest
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

/// Files that never change again, in memory; below the workspaces of all that began with them.
struct Layer {
    Layer(base::UniqueFd folder, TreeSize of, std::atomic<std::uint64_t>& total)
        : root(std::move(folder)), size(of), total_bytes(total) {
        total_bytes += size.bytes;
    }
    ~Layer() { total_bytes -= size.bytes; }
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;

    const base::UniqueFd root;
    const TreeSize size;
    std::atomic<std::uint64_t>& total_bytes;  ///< of all layers there are
};

/// With which files a box begins.
struct Beginning {
    std::vector<std::shared_ptr<const Layer>> layers = {};  ///< the topmost first
    std::uint32_t host_id = 0;                              ///< whose the files are
};

struct KeptSnapshot {
    SnapshotInfo info;
    Beginning files;
};

/// Whether two boxes are alike in what a waiting one cannot change any more.
bool same_shape(const SandboxSpec& a, const SandboxSpec& b);
/// And in what it can.
bool same_group_limits(const Limits& a, const Limits& b);

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
    base::UniqueFd layer;    ///< where what it writes really is: becomes a layer of a snapshot
    base::UniqueFd network;  ///< its namespace, without a network: the next box's
    Beginning beginning;
    images::ImagePtr image;                   ///< whose files are its root, when it began with one
    bool held = false;                        ///< by a snapshot: nothing starts until it is done
    std::vector<egress::Listener> listeners;  ///< until the broker has them
    std::shared_ptr<const egress::Meter> meter;  ///< once the broker serves it
    std::vector<std::uint16_t> listened;         ///< ports that the broker has sockets at
    ClosedPorts closed_told;                     ///< the loop's: what was reported of these
    struct Dialling {
        bool answered = false;
        int error = 0;
        base::UniqueFd socket;
    };
    std::map<std::uint64_t, Dialling> dials;
    std::uint64_t next_dial = 1;
    std::int32_t pid = 0;
    bool init_ready = false, published = false, paused = false, ending = false;
    bool gone = false;   ///< every process is dead, every exec reported
    bool spent = false;  ///< its groups were told to kill or to freeze, or hold what outlives it
    std::optional<EndReason> forced;
    std::string_view ended_by = "destroyed";  ///< for SphereOptions::on_sandbox_end
    std::optional<SandboxInfo> last;          ///< of one that was published and is gone

    /// The command it waits with, while nobody has it: nothing reads its output yet.
    struct Warm {
        ExecId exec = 0;
        bool ready = false;  ///< it has said so
    };
    std::optional<Warm> warm;
    bool touched = false;  ///< its files were given to somebody
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
    /// Commands that keep it from idling out.
    std::uint32_t busy() const {
        std::uint32_t count = 0;
        for (const auto& [id_, exec] : execs) {
            count += exec->phase != Exec::Phase::lingering && !exec->rests;
        }
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
