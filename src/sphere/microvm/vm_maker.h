#pragma once
// Virtual machines by Firecracker or QEMU, with our agent as their first process.

#include "sphere/guest/group_home.h"
#include "sphere/guest/guest_sphere.h"
#include "sphere/microvm/boot.h"

namespace sphere::microvm {

/// Errors: failed_precondition naming what is missing and what to do. Nothing is booted.
base::Result<Boot> find_boot(const MicrovmOptions& options);

class VmMaker final : public guest::MachineMaker {
public:
    static base::Result<std::unique_ptr<VmMaker>> open(const std::string& state_dir, Boot boot);

    std::string_view name() const override { return "microvm"; }
    base::Result<void> check(const SandboxSpec& spec) const override;
    base::Result<std::unique_ptr<guest::Machine>> make(const SandboxSpec& spec,
                                                       const SandboxId& id) override;
    launcher::GuestSetup setup(const SandboxSpec& spec) const override;
    std::chrono::seconds start_max() const override;
    std::vector<std::string> enforced_by() const override;
    bool limits_processes() const override { return false; }

private:
    VmMaker(Boot boot, std::string archive, guest::GroupHome home)
        : boot_(std::move(boot)), archive_(std::move(archive)), home_(std::move(home)) {}

    const Boot boot_;
    const std::string archive_;  ///< the root, when it is one, and the agent
    const guest::GroupHome home_;
};

/// Connects to a port of a machine through the socket where firecracker lets its vsock out:
/// "CONNECT port", "OK port". Nothing when the machine does not listen yet.
std::optional<base::UniqueFd> connect_vsock(const std::string& socket, unsigned port);

/// The backend of level microvm. Errors: find_boot's.
base::Result<std::unique_ptr<Sphere>> open_microvm(const SphereOptions& options,
                                                   const base::Clock& clock);

}  // namespace sphere::microvm
