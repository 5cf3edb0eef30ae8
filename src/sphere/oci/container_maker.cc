#include "sphere/oci/container_maker.h"

#include "sphere/guest/staged.h"
#include "sphere/oci/bundle.h"

namespace sphere::oci {

using base::Code;
using base::fail_on;
using base::Result;

Runtime runsc(std::string program, const std::string& platform) {
    return {.name = "runsc",
            .program = std::move(program),
            // Groups are ours, set on the whole of it; its network stack ends at its own loopback.
            .arguments = {"--platform=" + platform, "--network=none", "--ignore-cgroups"},
            .level = Isolation::gvisor,
            .own_memory_bytes = 96ull << 20,
            .own_processes = 96,
            .own_kernel = true};
}

Runtime crun(std::string program) {
    return {.name = "crun",
            .program = std::move(program),
            .arguments = {"--cgroup-manager=disabled"},
            .level = Isolation::gvisor,
            .own_memory_bytes = 0,
            .own_processes = 8,
            .own_kernel = false};
}

Result<std::unique_ptr<ContainerMaker>> ContainerMaker::open(const std::string& state_dir,
                                                             Runtime runtime) {
    guest::GroupHome home = DG_TRY(guest::GroupHome::open(state_dir));
    DG_TRY(home.require_limits(isolation_name(runtime.level)));
    return std::unique_ptr<ContainerMaker>(new ContainerMaker(std::move(runtime), std::move(home)));
}

Result<void> ContainerMaker::check(const SandboxSpec& spec) const {
    if (spec.isolation != runtime_.level) {
        return fail_on("isolation", Code::failed_precondition, "isolation {} is not what {} gives",
                       isolation_name(spec.isolation), runtime_.name);
    }
    if (spec.network.mode == NetworkMode::egress || spec.network.mode == NetworkMode::full) {
        return fail_on("network.mode", Code::failed_precondition,
                       "network.mode {} is not offered with isolation {}: the egress broker does "
                       "not reach into its kernel; use none or loopback, or isolation full",
                       network_mode_name(spec.network.mode), isolation_name(spec.isolation));
    }
    if (spec.root.kind == RootSpec::Kind::image) {
        return fail_on("root.kind", Code::unimplemented,
                       "root.kind image is not offered with isolation {}; unpack it and use "
                       "directory",
                       isolation_name(spec.isolation));
    }
    if (!spec.snapshot.empty()) {
        return fail_on("snapshot", Code::unimplemented,
                       "snapshots are not offered with isolation {}",
                       isolation_name(spec.isolation));
    }
    return {};
}

Result<std::unique_ptr<guest::Machine>> ContainerMaker::make(const SandboxSpec& spec,
                                                             const SandboxId& id) {
    Limits whole = spec.limits;
    whole.memory_bytes += runtime_.own_memory_bytes;
    // A thread in gVisor takes two of the host's; its own kernel counts those inside.
    if (runtime_.own_kernel) whole.processes_max *= 2;
    whole.processes_max += runtime_.own_processes;
    const std::string bundle = home_.staging() + "/bundle";
    guest::StagePlan plan;
    plan.config = make_config(spec, {bundle}, runtime_.own_kernel);
    if (spec.root.kind == RootSpec::Kind::directory) plan.root = spec.root.path;
    plan.workspace_bytes = spec.limits.workspace_bytes;
    plan.inodes = spec.limits.inodes_max;
    plan.command = {runtime_.program, "--root=" + bundle + "/state"};
    plan.command.insert(plan.command.end(), runtime_.arguments.begin(), runtime_.arguments.end());
    for (const std::string& word : {std::string("run"), std::string("--bundle"), bundle, id}) {
        plan.command.push_back(word);
    }
    auto container = std::make_unique<guest::Staged>(DG_TRY(home_.make(id, whole)));
    DG_TRY(container->begin(home_, plan));
    return std::unique_ptr<guest::Machine>(std::move(container));
}

launcher::GuestSetup ContainerMaker::setup(const SandboxSpec& spec) const {
    auto setup = launcher::make_message<launcher::GuestSetup>();
    if (spec.network.mode == NetworkMode::loopback) setup.flags |= launcher::kGuestLoopback;
    return setup;
}

std::vector<std::string> ContainerMaker::enforced_by() const {
    std::vector<std::string> all = {
        runtime_.own_kernel
            ? fmt::format("isolation: {} ({}), a kernel in user space", runtime_.name,
                          runtime_.arguments.front())
            : fmt::format("isolation: {}, namespaces of this host's kernel", runtime_.name),
        "files: read-only root",
        runtime_.own_kernel ? "system calls: seccomp allow list, answered by its own kernel"
                            : "system calls: seccomp allow list",
        runtime_.own_kernel ? "network none: a loopback that ends in its own kernel"
                            : "network none: a namespace of its own, lo down"};
    const std::string beside =
        runtime_.own_memory_bytes == 0
            ? ""
            : fmt::format(", with room for its kernel ({} MiB, {} threads)",
                          runtime_.own_memory_bytes >> 20, runtime_.own_processes);
    for (std::string& line : home_.mechanisms(beside)) all.push_back(std::move(line));
    all.emplace_back(runtime_.own_kernel ? "disk: tmpfs sizes; files in /tmp by memory alone"
                                         : "disk: tmpfs sizes");
    all.emplace_back("tree kill: the whole box; freeze: cgroup v2");
    return all;
}

}  // namespace sphere::oci
