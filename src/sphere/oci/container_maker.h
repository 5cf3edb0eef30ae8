#pragma once
// Containers by an OCI runtime's command line. The runtime works in a stage of ours
// (launcher/stage.h), so that the kernel, not the runtime, takes everything away in the end.

#include <mutex>
#include <optional>

#include "sphere/guest/group_home.h"
#include "sphere/guest/guest_sphere.h"

namespace sphere::oci {

/// A runtime as it is called: `program arguments... run --bundle FOLDER ID`.
struct Runtime {
    std::string name;     ///< SandboxInfo::backend
    std::string program;  ///< a path
    std::vector<std::string> arguments;
    Isolation level = Isolation::gvisor;
    std::uint64_t own_memory_bytes = 0;  ///< what it takes itself, beside the box's limit
    std::uint32_t own_processes = 0;     ///< likewise
    bool own_kernel = false;             ///< its containers' system calls do not reach this one
};
/// runsc as it must be called. `platform`: "systrap", "ptrace", "kvm".
Runtime runsc(std::string program, const std::string& platform);
/// crun: the host's own kernel, so no level of ours is given by it; the closest to runsc in how it
/// is driven, for tests.
Runtime crun(std::string program);

class ContainerMaker final : public guest::MachineMaker {
public:
    static base::Result<std::unique_ptr<ContainerMaker>> open(const std::string& state_dir,
                                                              Runtime runtime);

    std::string_view name() const override { return runtime_.name; }
    base::Result<void> check(const SandboxSpec& spec) const override;
    base::Result<std::unique_ptr<guest::Machine>> make(const SandboxSpec& spec,
                                                       const SandboxId& id) override;
    launcher::GuestSetup setup(const SandboxSpec& spec) const override;
    std::chrono::seconds start_max() const override { return std::chrono::seconds(30); }
    std::vector<std::string> enforced_by() const override;
    bool limits_processes() const override { return !runtime_.own_kernel; }

private:
    ContainerMaker(Runtime runtime, guest::GroupHome home)
        : runtime_(std::move(runtime)), home_(std::move(home)) {}

    const Runtime runtime_;
    const guest::GroupHome home_;
};

/// The runtime that `options` names, on the first platform on which a box really starts.
/// Errors: failed_precondition naming what is missing and what to do.
base::Result<Runtime> find_runsc(const GvisorOptions& options, const base::Clock& clock);

/// The backend of level gvisor. Errors: find_runsc's.
base::Result<std::unique_ptr<Sphere>> open_gvisor(const SphereOptions& options,
                                                  const base::Clock& clock);

}  // namespace sphere::oci
