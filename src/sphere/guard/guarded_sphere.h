#pragma once
// Any sphere, made to obey policies and to leave a full record: nothing is made or run that no
// policy allows, that an emergency stop covers, or that cannot be recorded. [AInfra 2.2.2],
// [WP 5.7] authorisation, audit and emergency stop.
//
//   auto sphere = DG_TRY(GuardedSphere::open(parts, options, "cli"));
//   DG_TRY(sphere->create(spec));           // admitted, made and recorded, or refused and recorded
//
// What is recorded, by the policy's audit level; each holds what the one before it does:
//   none       emergency stops and their lifting, policies loaded: nobody can switch these off
//   decisions  sandboxes made and gone, every refusal, decisions about tool calls
//   calls      commands with how they ended, pause, resume, signals, snapshots, ports, files
//   written full       files read and listed, files that commands changed, connections that were
//   allowed
//
// A refusal is one event with decision "deny". A command is two, exec.start and exec.end, with the
// same details.call; one that the backend refused ends with decision "deny" and no exit.
// Events are appended in order and become durable by group commit; none waits for the disk but an
// emergency stop's.

#include <memory>
#include <string>

#include "sphere/audit/audit_log.h"
#include "sphere/guard/secret_store.h"
#include "sphere/policy/policy_store.h"
#include "sphere/policy/stop_board.h"
#include "sphere/sphere.h"

namespace base::metrics {
class Registry;
}

namespace sphere::guard {

struct KnownBox;  ///< internal to guard

/// What a guard is given; all outlive it.
struct GuardParts {
    policy::PolicyStore& policies;
    policy::StopBoard& stops;
    audit::AuditLog& log;
    const SecretStore& secrets;
    base::metrics::Registry& metrics;
    const base::Clock& clock;
};

/// Thread-safe.
class GuardedSphere final : public Sphere {
public:
    using OpenInner = std::function<base::Result<std::unique_ptr<Sphere>>(const SphereOptions&)>;

    /// Opens the sphere inside with `options`, whose callbacks are told after the guard.
    /// Records the policies in force. `actor` is who asks, in the record: "cli", "server".
    /// Errors: open_inner's; the log's.
    static base::Result<std::unique_ptr<GuardedSphere>> open(GuardParts parts,
                                                             SphereOptions options,
                                                             std::string actor,
                                                             const OpenInner& open_inner);
    ~GuardedSphere() override;  ///< the one that was opened ends every box; views do nothing

    /// The same sphere for another way in: only the record's `actor` differs. Must not outlive the
    /// one it was taken from.
    std::unique_ptr<GuardedSphere> as(std::string actor) const;

    using Sphere::create;
    using Sphere::snapshot;
    /// `secrets` must be empty: only a policy injects them. Errors: permission_denied naming the
    /// field, what was asked and what is allowed; failed_precondition while the policies' files are
    /// not what was loaded; unavailable when it cannot be recorded; the backend's.
    base::Result<SandboxId> create(const SandboxSpec& spec, const Secrets& secrets) override;
    base::Result<void> destroy(const SandboxId& id) override;
    /// Errors: as create; the backend's.
    base::Result<ExecId> start(const SandboxId& id, const ExecSpec& spec, ExecSink& sink) override;
    base::Result<void> write_stdin(const SandboxId& id, ExecId exec, std::string_view bytes,
                                   bool end_of_file) override;
    base::Result<void> resize_tty(const SandboxId& id, ExecId exec, std::uint16_t columns,
                                  std::uint16_t rows) override;
    base::Result<void> signal(const SandboxId& id, ExecId exec, int number) override;
    base::Result<void> rest(const SandboxId& id, ExecId exec) override;
    /// Admitted and recorded as start.
    base::Result<ExecId> fork_command(const SandboxId& id, ExecId exec, ExecSink& sink) override;
    base::Result<void> pause(const SandboxId& id) override;
    base::Result<void> resume(const SandboxId& id) override;
    base::Result<SandboxInfo> info(const SandboxId& id) const override;
    std::vector<SandboxInfo> list() const override;
    bool knows(const SandboxId& id) const override;
    PoolState pool() const override;
    HostReport host_report() const override;
    /// The stop outlives this process; so does its lifting.
    std::uint32_t emergency_stop(const StopScope& scope) override;
    base::Result<void> lift_stop(const StopScope& scope) override;
    base::Result<int> open_workspace(const SandboxId& id) override;
    base::Result<void> admit_file(const SandboxId& id, const FileAccess& access) override;
    base::Result<int> dial(const SandboxId& id, std::uint16_t port) override;
    /// Within the policy's ceilings, as create. Errors: permission_denied; the backend's.
    base::Result<void> set_network(const SandboxId& id, const NetworkPolicy& network) override;
    base::Result<SnapshotInfo> snapshot(const SandboxId& id,
                                        const SnapshotRequest& request) override;
    std::vector<SnapshotInfo> snapshots() const override;
    base::Result<void> remove_snapshot(const SnapshotId& id) override;
    std::vector<ImageInfo> images() const override;
    base::Result<ImageInfo> import_image(const std::string& path, const std::string& name) override;
    base::Result<void> remove_image(const std::string& digest) override;

    struct StopOrder {
        std::uint64_t epoch = 0;
        std::uint32_t stopped = 0;  ///< boxes
        std::string fault;          ///< why a restart would forget it, or what was not recorded
    };
    /// emergency_stop with a reason for people, and what became of it.
    StopOrder order_stop(const StopScope& scope, const std::string& reason);
    /// Returns how many stops ended. Errors: those of writing; then nothing is lifted.
    base::Result<std::uint32_t> order_lift(const StopScope& scope);

    /// What would be decided about a tool call, and why.
    policy::Explanation explain(const policy::ToolRequest& request) const;
    /// explain, recorded: the decision itself. Errors: unavailable when it cannot be recorded: the
    /// call must not be made then.
    base::Result<policy::Explanation> decide(const policy::ToolRequest& request);
    /// Loads the policies' files again, recorded. Errors: as PolicyStore::reload; then the old ones
    /// stay.
    base::Result<void> reload_policies();

    const GuardParts& parts() const;

    struct Core;  ///< internal to guard

private:
    GuardedSphere(std::unique_ptr<Core> owned, Core& core, std::string actor);
    /// Admits and records the command that `event` tells of, and has `begin` start it.
    base::Result<ExecId> start_recorded(
        const std::shared_ptr<KnownBox>& box, audit::AuditEvent event, std::uint64_t bytes_in,
        ExecSink& sink, const std::function<base::Result<ExecId>(ExecSink&)>& begin);
    std::unique_ptr<Core> owned_;
    Core& core_;
    const std::string actor_;
};

}  // namespace sphere::guard
