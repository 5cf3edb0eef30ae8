#pragma once
// One Sphere over several: a box goes to the backend of the level it asks for, and every later call
// follows its id. A level that is not there is refused; none stands in for another.

#include <atomic>
#include <functional>
#include <mutex>

#include "sphere/sphere.h"

namespace sphere::backends {

/// A backend as the router needs it: which levels it gives, and how it begins.
struct Backend {
    std::vector<Isolation> levels;
    bool at_open = false;  ///< begins with the router; the others with the first box that asks
    /// Errors: failed_precondition naming what is missing and what to install.
    std::function<base::Result<std::unique_ptr<Sphere>>()> open;
};

/// Thread-safe. `sandboxes_max` of the options counts over all backends.
class Router final : public Sphere {
public:
    /// Errors: the first backend's, when none of those that begin at once does and no other can.
    static base::Result<std::unique_ptr<Router>> open(std::vector<Backend> backends,
                                                      SphereOptions options);

    using Sphere::create;
    using Sphere::snapshot;
    base::Result<SandboxId> create(const SandboxSpec& spec, const Secrets& secrets) override;
    base::Result<void> destroy(const SandboxId& id) override;
    base::Result<ExecId> start(const SandboxId& id, const ExecSpec& spec, ExecSink& sink) override;
    base::Result<void> write_stdin(const SandboxId& id, ExecId exec, std::string_view bytes,
                                   bool end_of_file) override;
    base::Result<void> resize_tty(const SandboxId& id, ExecId exec, std::uint16_t columns,
                                  std::uint16_t rows) override;
    base::Result<void> signal(const SandboxId& id, ExecId exec, int number) override;
    base::Result<void> rest(const SandboxId& id, ExecId exec) override;
    base::Result<ExecId> fork_command(const SandboxId& id, ExecId exec, ExecSink& sink) override;
    base::Result<void> pause(const SandboxId& id) override;
    base::Result<void> resume(const SandboxId& id) override;
    base::Result<SandboxInfo> info(const SandboxId& id) const override;
    std::vector<SandboxInfo> list() const override;
    bool knows(const SandboxId& id) const override;
    PoolState pool() const override;
    HostReport host_report() const override;
    std::uint32_t emergency_stop(const StopScope& scope) override;
    base::Result<void> lift_stop(const StopScope& scope) override;
    base::Result<int> open_workspace(const SandboxId& id) override;
    base::Result<void> admit_file(const SandboxId& id, const FileAccess& access) override;
    base::Result<int> dial(const SandboxId& id, std::uint16_t port) override;
    base::Result<void> set_network(const SandboxId& id, const NetworkPolicy& policy) override;
    base::Result<SnapshotInfo> snapshot(const SandboxId& id,
                                        const SnapshotRequest& request) override;
    std::vector<SnapshotInfo> snapshots() const override;
    base::Result<void> remove_snapshot(const SnapshotId& id) override;
    std::vector<ImageInfo> images() const override;
    base::Result<ImageInfo> import_image(const std::string& path, const std::string& name) override;
    base::Result<void> remove_image(const std::string& digest) override;

private:
    struct Slot {
        Backend how;
        std::unique_ptr<Sphere> owner;          ///< set once, under opening_
        std::atomic<Sphere*> sphere = nullptr;  ///< the same, for readers
    };

    explicit Router(SphereOptions options) : options_(std::move(options)) {}
    std::vector<Sphere*> begun() const;
    base::Result<Sphere*> backend_for(Isolation level);
    base::Result<Sphere*> begin(Slot& slot);
    /// Of the box; not_found for an id that no backend knows.
    base::Result<Sphere*> owner_of(const SandboxId& id) const;
    base::Result<void> count_in();

    const SphereOptions options_;
    std::vector<std::unique_ptr<Slot>> slots_;  ///< fixed after open
    std::mutex opening_, stopping_, counting_;  ///< in this order, where two are held
    std::vector<StopScope> stops_;  ///< for backends that begin while an emergency stop holds
    std::uint32_t creating_ = 0;
};

}  // namespace sphere::backends
