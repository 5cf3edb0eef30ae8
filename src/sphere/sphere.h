#pragma once
// Sandboxes: boxes in which an agent's code runs, cannot reach what it was not given, and leaves a
// record. [AInfra 2.2.2] AgentSphere, [WP 5.7] authorisation, audit and emergency stop.
//
//   auto sphere = DG_TRY(Sphere::open(options, clock));
//   const SandboxId box = DG_TRY(sphere->create(spec));
//   DG_TRY(sphere->exec(box, {.argv = {"python3", "-c", "print(1)"}}, sink));
//
// Thread-safe. A call that was refused, by policy or by limits, says which rule and is audited.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "sphere/backend_options.h"
#include "sphere/host_report.h"
#include "sphere/network_attempt.h"
#include "sphere/secret_value.h"
#include "sphere/spec.h"

namespace sphere::egress {
class Upstream;
}

namespace sphere {

using SandboxId = std::string;  ///< "sbx-" and 20 letters that nobody can guess
SandboxId make_sandbox_id();
using ExecId = std::uint64_t;    ///< unique within its box
using SnapshotId = std::string;  ///< "snap-" and 20 letters
SnapshotId make_snapshot_id();

enum class SandboxState : std::uint8_t { creating, ready, executing, paused, ending, ended };
std::string_view sandbox_state_name(SandboxState state);

struct SandboxInfo {
    SandboxId id;
    SandboxSpec spec;
    SandboxState state = SandboxState::creating;
    std::string backend;                   ///< "native", "runsc", "microvm"
    std::vector<std::string> enforced_by;  ///< "memory: cgroup v1", "files: landlock 7", ...
    std::int64_t created_unix_ns = 0;
    std::uint32_t execs = 0, running = 0;
    std::uint64_t memory_bytes = 0;  ///< now; 0 when the host does not say
    std::chrono::microseconds cpu{0};
    NetworkUse network;
};

/// The files of a workspace as they were at one moment. Immutable; outlives its box.
struct SnapshotInfo {
    SnapshotId id;
    SandboxId from;
    std::string name, tenant;
    std::int64_t created_unix_ns = 0;
    std::uint64_t bytes = 0, entries = 0;
    std::string consistency;  ///< "idle": nothing ran; "frozen": every process stood still
    bool persist = false;     ///< on disk: there after a restart too
};

struct SnapshotRequest {
    std::string name = {};  ///< for people
    bool persist = false;   ///< also keep it in data_dir, until it is removed
};

/// An unpacked image, which a spec names as root {"kind": "image", "path": "sha256:<digest>"}.
struct ImageInfo {
    std::string digest;  ///< 64 hex digits
    std::string name;    ///< as it was imported, or the file it came from
    std::uint64_t bytes = 0, entries = 0;
    std::uint64_t dropped = 0;  ///< devices, FIFOs and sockets, left out
    std::int64_t used_unix_s = 0;
};

/// One use of a workspace from outside the box.
struct FileAccess {
    enum class Kind : std::uint8_t { read, write, list, remove, rename, watch } kind = Kind::read;
    std::string name;  ///< as asked
    std::uint64_t bytes = 0;
};

enum class Stream : std::uint8_t { out, err };

/// Hears of one exec. Called on a thread of the sphere, never under a lock, in order; must not
/// block for long: the box's pipes fill meanwhile, which is how a slow reader slows the writer.
class ExecSink {
public:
    virtual ~ExecSink() = default;
    virtual void on_output(Stream stream, std::string_view bytes) = 0;
    /// Once, last.
    virtual void on_end(const ExecResult& result) = 0;
};

/// Whom an emergency stop or its lifting concerns; empty fields match everything.
struct StopScope {
    std::string tenant = {}, agent = {};
    SandboxId sandbox = {};

    bool covers(const SandboxSpec& spec, const SandboxId& id) const {
        return (tenant.empty() || tenant == spec.tenant) &&
               (agent.empty() || agent == spec.agent) && (sandbox.empty() || sandbox == id);
    }
    bool operator==(const StopScope&) const = default;
};

/// A command that boxes of the default spec wait with, started and warmed up before anybody asks.
/// It says with a first byte of output that it is ready, and then reads its stdin.
struct WarmCommand {
    ExecSpec spec;
    std::uint32_t least = 1, most = 8;  ///< boxes that wait with it; how many follows demand
};
/// What waits to be handed out.
struct PoolState {
    std::uint32_t boxes = 0;
    std::vector<std::uint32_t> warm;  ///< that are ready, by SphereOptions::warm_commands
};

struct SphereOptions {
    std::string state_dir;      ///< what a later process needs to clean up after a killed one
    std::string data_dir = {};  ///< images and kept snapshots; empty: in state_dir
    std::uint32_t sandboxes_max = 1000;
    /// Boxes of the default spec kept ready at most; how many follows demand. 0: none.
    std::uint32_t pool_size = 16;
    /// Who starts one of these in a box of the default spec in which nothing was done yet gets it
    /// from a box that waits with it: the two boxes change places. Without warm ones it starts
    /// cold.
    std::vector<WarmCommand> warm_commands = {};
    /// Of unpacked images in data_dir; those used longest ago make room.
    std::uint64_t image_bytes_max = 16ull << 30;
    std::uint32_t snapshots_max = 256;
    /// Of the files of all snapshots in memory, and of removed ones that boxes still stand on. They
    /// end with this process.
    std::uint64_t snapshot_bytes_max = 4ull << 30;
    std::uint32_t kept_snapshots_max = 1024;  ///< on disk, in data_dir
    std::uint64_t kept_snapshot_bytes_max = 16ull << 30;
    /// Hears of every connection and query a box tried, also of the refused. On a thread of the
    /// broker, never under a lock.
    std::function<void(const SandboxId&, const NetworkAttempt&)> on_network_attempt = {};
    /// Hears once of every box that is gone, with the last that was known of it and why: destroyed,
    /// lifetime, idle, emergency, died (by itself), closed (with the sphere). Never under a lock.
    std::function<void(const SandboxInfo&, std::string_view why)> on_sandbox_end = {};
    BackendOptions backends = {};  ///< of the levels above full
    /// How the broker resolves names and reaches addresses; null: as this host does.
    std::shared_ptr<egress::Upstream> upstream = {};
};

class Sphere {
public:
    /// Starts the launcher, removes what an earlier process left (by state_dir), fills the pool.
    /// Levels above full begin with the first box that asks for them.
    /// Errors: failed_precondition where this host cannot give any level.
    static base::Result<std::unique_ptr<Sphere>> open(const SphereOptions& options,
                                                      const base::Clock& clock);
    virtual ~Sphere() = default;  ///< ends every box

    /// Errors: check_spec's; failed_precondition when the host cannot give what the spec demands,
    /// naming the missing primitive; resource_exhausted at sandboxes_max; permission_denied while
    /// an emergency stop covers it. `secrets` are the values of spec.secrets; they are in no
    /// listing and no message.
    virtual base::Result<SandboxId> create(const SandboxSpec& spec, const Secrets& secrets) = 0;
    base::Result<SandboxId> create(const SandboxSpec& spec) { return create(spec, {}); }
    /// Kills everything in the box and removes its every trace. Idempotent for a known id.
    virtual base::Result<void> destroy(const SandboxId& id) = 0;

    /// Starts a command; `sink` must live until its on_end. Errors: not_found, check_exec's,
    /// failed_precondition (paused, ended).
    virtual base::Result<ExecId> start(const SandboxId& id, const ExecSpec& spec,
                                       ExecSink& sink) = 0;
    /// start, and wait for the end. The output goes to `sink`.
    base::Result<ExecResult> exec(const SandboxId& id, const ExecSpec& spec, ExecSink& sink);
    virtual base::Result<void> write_stdin(const SandboxId& id, ExecId exec, std::string_view bytes,
                                           bool end_of_file) = 0;
    virtual base::Result<void> resize_tty(const SandboxId& id, ExecId exec, std::uint16_t columns,
                                          std::uint16_t rows) = 0;
    /// To the exec's process group; SIGKILL to everything it started.
    virtual base::Result<void> signal(const SandboxId& id, ExecId exec, int signal) = 0;

    /// The command waits for input: until it is given more it does not keep the box from idling
    /// out.
    virtual base::Result<void> rest(const SandboxId& id, ExecId exec);
    /// Orders a command with stdin_socket, which waits for input, to fork itself; `sink` hears the
    /// fork, a command of the same box with its own streams, as start's. What the command must do
    /// is in session/drivers/python_driver.py. Errors: not_found; failed_precondition with the
    /// command's own reason; unimplemented by the backend; resource_exhausted.
    virtual base::Result<ExecId> fork_command(const SandboxId& id, ExecId exec, ExecSink& sink);

    virtual base::Result<void> pause(const SandboxId& id) = 0;
    virtual base::Result<void> resume(const SandboxId& id) = 0;

    virtual base::Result<SandboxInfo> info(const SandboxId& id) const = 0;
    virtual std::vector<SandboxInfo> list() const = 0;
    /// Whether info(id) would answer; cheaper.
    virtual bool knows(const SandboxId& id) const { return info(id).has_value(); }
    virtual PoolState pool() const { return {}; }
    /// What boxes are made of here, level by level.
    virtual HostReport host_report() const { return inspect_host(); }

    /// Freezes, then kills every box in scope and refuses new ones until lifted. Returns how many
    /// boxes were stopped. [WP 5.7]
    virtual std::uint32_t emergency_stop(const StopScope& scope) = 0;
    /// Errors: those of writing it down; then nothing is lifted.
    virtual base::Result<void> lift_stop(const StopScope& scope) = 0;

    /// A descriptor of the box's /workspace, for the file API (files/workspace.h), which resolves
    /// names beneath it and nowhere else.
    virtual base::Result<int> open_workspace(const SandboxId& id) = 0;
    /// Asked before the file API touches a name, so that it can be refused and recorded.
    virtual base::Result<void> admit_file(const SandboxId& id, const FileAccess& access);

    /// A stream connected to what listens on the box's own 127.0.0.1:`port`; the caller's to close.
    /// Errors: not_found, failed_precondition without a loopback, unavailable when nothing listens.
    virtual base::Result<int> dial(const SandboxId& id, std::uint16_t port);

    /// What the box may reach from now on, in the network mode it was made with; connections that
    /// the new policy refuses are cut. What was used so far counts. Errors: not_found,
    /// check_spec's, failed_precondition for another mode or for a port that the box is not
    /// listened to at.
    virtual base::Result<void> set_network(const SandboxId& id, const NetworkPolicy& policy);

    /// Keeps the workspace as it is now, by freezing the box when something runs in it. A spec's
    /// `snapshot` starts a box from one; fork is both.
    /// Errors: not_found, resource_exhausted, unimplemented by the backend.
    virtual base::Result<SnapshotInfo> snapshot(const SandboxId& id,
                                                const SnapshotRequest& request);
    base::Result<SnapshotInfo> snapshot(const SandboxId& id, const std::string& name) {
        return snapshot(id, SnapshotRequest{.name = name});
    }
    virtual std::vector<SnapshotInfo> snapshots() const { return {}; }
    virtual base::Result<void> remove_snapshot(const SnapshotId& id);
    /// A new box with the same spec and a copy of the files; nothing of what runs. A snapshot that
    /// is removed stays in memory while boxes began with it.
    base::Result<SandboxId> fork(const SandboxId& id, const Secrets& secrets);

    virtual std::vector<ImageInfo> images() const { return {}; }
    /// Takes over the image in the file `path`: an archive of an OCI layout or of `docker save`, or
    /// a tarball of a root; packed with gzip or zstd or not. `name` is for people.
    /// Errors: invalid_argument naming what is wrong, payload_too_large, unimplemented.
    virtual base::Result<ImageInfo> import_image(const std::string& path, const std::string& name);
    /// Errors: not_found; failed_precondition while a box uses it.
    virtual base::Result<void> remove_image(const std::string& digest);
};

}  // namespace sphere
