#pragma once
// A Sphere over machines with an agent inside: the table of boxes, their ends, emergency stops.
// What a machine is, its maker knows.

#include <deque>

#include "sphere/guest/guest_box.h"

namespace sphere::guest {

/// Thread-safe. Lock order: `mutex_`, then a box's own.
class GuestSphere final : public Sphere {
public:
    GuestSphere(const SphereOptions& options, const base::Clock& clock,
                std::unique_ptr<MachineMaker> maker);
    ~GuestSphere() override;

    using Sphere::create;
    base::Result<SandboxId> create(const SandboxSpec& spec, const Secrets& secrets) override;
    base::Result<void> destroy(const SandboxId& id) override;
    base::Result<ExecId> start(const SandboxId& id, const ExecSpec& spec, ExecSink& sink) override;
    base::Result<void> write_stdin(const SandboxId& id, ExecId exec, std::string_view bytes,
                                   bool end_of_file) override;
    base::Result<void> rest(const SandboxId& id, ExecId exec) override;
    base::Result<void> resize_tty(const SandboxId& id, ExecId exec, std::uint16_t columns,
                                  std::uint16_t rows) override;
    base::Result<void> signal(const SandboxId& id, ExecId exec, int number) override;
    base::Result<void> pause(const SandboxId& id) override;
    base::Result<void> resume(const SandboxId& id) override;
    base::Result<SandboxInfo> info(const SandboxId& id) const override;
    std::vector<SandboxInfo> list() const override;
    bool knows(const SandboxId& id) const override;
    std::uint32_t emergency_stop(const StopScope& scope) override;
    base::Result<void> lift_stop(const StopScope& scope) override;
    base::Result<int> open_workspace(const SandboxId& id) override;

private:
    using BoxPtr = std::shared_ptr<GuestBox>;
    using Lock = std::unique_lock<std::mutex>;

    base::Result<BoxPtr> find(const SandboxId& id) const;
    base::Result<void> check_stops(const SandboxSpec& spec, const SandboxId& id) const;
    SandboxInfo describe(const GuestBox& box) const;
    /// Takes it out of the table, waits for its end and tells it; `why` as on_sandbox_end says.
    void bury(const BoxPtr& box, EndReason reason, std::string_view why);
    void run_keeper();

    const SphereOptions options_;
    const base::Clock& clock_;
    const std::unique_ptr<MachineMaker> maker_;
    const base::Result<std::vector<sock_filter>> filter_;
    mutable std::mutex mutex_;
    std::map<SandboxId, BoxPtr> boxes_;  ///< also those that are being made
    std::deque<SandboxInfo> ended_;      ///< the latest, so that a known id stays known
    std::vector<StopScope> stops_;
    bool stopping_ = false;
    std::condition_variable keeper_wakes_;
    std::thread keeper_;
};

}  // namespace sphere::guest
