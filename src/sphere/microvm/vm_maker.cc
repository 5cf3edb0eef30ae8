#include "sphere/microvm/vm_maker.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/files/files.h"
#include "sphere/guest/spawn.h"
#include "sphere/guest/staged.h"
#include "sphere/microvm/firecracker_api.h"
#include "sphere/native/launcher_image.h"

namespace sphere::microvm {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

namespace {

constexpr std::uint64_t kOwnMemory = 128ull << 20;  // of the monitor, beside the machine's
constexpr std::uint32_t kOwnThreads = 64;
constexpr std::uint64_t kMemoryMin = 128ull << 20;  // a kernel, its archive and a command
constexpr std::uint32_t kProcessorsMax = 32;
constexpr std::size_t kArchiveMax = 1u << 30;
constexpr std::chrono::milliseconds kLookAgain{5};

class Vm final : public guest::Staged {
public:
    Vm(native::BoxGroups groups, const Boot& boot) : Staged(std::move(groups)), boot_(boot) {}

    Result<void> begin_vm(const guest::GroupHome& home, const std::string& archive,
                          const Limits& limits, std::chrono::seconds start_max);
    Result<void> freeze(bool frozen) override {
        if (!api_) return Staged::freeze(frozen);
        return api_->set_paused(frozen);
    }
    Result<base::UniqueFd> open_workspace() const override {
        return fail(Code::unimplemented,
                    "the workspace of a virtual machine is in its own memory; move files with tar "
                    "through a command's stdin and stdout");
    }

private:
    Result<void> write_archive(const std::string& archive) const;
    Result<void> boot_firecracker(const std::string& folder, const Limits& limits,
                                  std::chrono::seconds start_max);

    Boot boot_;
    std::optional<FirecrackerApi> api_;
};

Result<void> Vm::write_archive(const std::string& archive) const {
    const base::UniqueFd file(
        ::openat(workspace(), "initramfs", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644));
    std::size_t written = 0;
    while (file && written < archive.size()) {
        const ssize_t put = ::write(file.get(), archive.data() + written, archive.size() - written);
        if (put <= 0) break;
        written += static_cast<std::size_t>(put);
    }
    if (file && written == archive.size() &&
        ::renameat(workspace(), "initramfs", workspace(), "ready") == 0) {
        return {};
    }
    return fail(Code::unavailable, "the machine's archive: {}", std::strerror(errno));
}

Result<void> Vm::begin_vm(const guest::GroupHome& home, const std::string& archive,
                          const Limits& limits, std::chrono::seconds start_max) {
    const std::string folder = home.staging() + "/bundle/workspace";
    boot_.initramfs = folder + "/ready";
    guest::StagePlan plan;
    plan.workspace_bytes = archive.size() + (1 << 20);
    plan.inodes = 64;
    // The monitor begins when its archive is whole.
    plan.command = {"/bin/sh", "-c", "until [ -e \"$0\" ]; do sleep 0.01; done; exec \"$@\"",
                    boot_.initramfs, boot_.vmm};
    const std::vector<std::string> arguments =
        boot_.monitor == Monitor::qemu
            ? qemu_arguments(boot_, limits)
            : std::vector<std::string>{"--api-sock", folder + "/api", "--level", "Error"};
    plan.command.insert(plan.command.end(), arguments.begin(), arguments.end());
    DG_TRY(begin(home, plan));
    DG_TRY(write_archive(archive));
    if (boot_.monitor == Monitor::qemu) return {};
    return boot_firecracker(folder, limits, start_max);
}

Result<void> Vm::boot_firecracker(const std::string& folder, const Limits& limits,
                                  std::chrono::seconds start_max) {
    // The folder is in the stage; this way leads into it.
    const std::string here = fmt::format("/proc/self/fd/{}", workspace());
    const base::SystemClock clock;
    const base::Instant due = clock.now() + start_max;
    const auto look_again = [&] {
        if (over() || clock.now() >= due) return false;
        std::this_thread::sleep_for(kLookAgain);
        return true;
    };
    while (::access((here + "/api").c_str(), F_OK) != 0) {
        if (!look_again()) {
            return fail(Code::failed_precondition, "firecracker did not begin: {}", last_words());
        }
    }
    api_.emplace(here + "/api");
    DG_TRY(api_->boot(boot_, limits, folder + "/vsock"));
    for (;;) {
        if (auto stream = connect_vsock(here + "/vsock", kAgentPort)) {
            from_ = base::UniqueFd(::fcntl(stream->get(), F_DUPFD_CLOEXEC, 0));
            to_ = std::move(*stream);
            return {};
        }
        if (!look_again()) {
            return fail(Code::failed_precondition, "no agent answers in the machine: {}",
                        last_words());
        }
    }
}

Result<void> readable(const std::string& path, std::string_view what) {
    if (!path.empty() && ::access(path.c_str(), R_OK) == 0) return {};
    return fail(Code::failed_precondition,
                "isolation microvm needs sandbox.microvm_{}, a file that can be read; it is '{}'",
                what, path);
}

}  // namespace

std::optional<base::UniqueFd> connect_vsock(const std::string& socket, unsigned port) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (socket.size() >= sizeof(address.sun_path)) return std::nullopt;
    std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
    base::UniqueFd stream(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const std::string ask = fmt::format("CONNECT {}\n", port);
    if (!stream ||
        ::connect(stream.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        ::send(stream.get(), ask.data(), ask.size(), MSG_NOSIGNAL) !=
            static_cast<ssize_t>(ask.size())) {
        return std::nullopt;
    }
    // Byte by byte: what follows the line is the agent's.
    std::string line;
    for (char byte = 0; line.size() < 32 && byte != '\n'; line += byte) {
        pollfd waits{stream.get(), POLLIN, 0};
        if (::poll(&waits, 1, 2000) != 1 || ::read(stream.get(), &byte, 1) != 1) {
            return std::nullopt;
        }
    }
    if (!line.starts_with("OK ")) return std::nullopt;
    ::fcntl(stream.get(), F_SETFL, O_NONBLOCK);
    return stream;
}

Result<Boot> find_boot(const MicrovmOptions& options) {
    if (options.vmm.empty()) {
        return fail(Code::failed_precondition,
                    "isolation microvm is off here; set sandbox.microvm_vmm to firecracker or "
                    "qemu-system-x86_64, and sandbox.microvm_kernel and sandbox.microvm_root to "
                    "what it boots");
    }
    Boot boot;
    boot.vmm = guest::find_program(options.vmm);
    if (boot.vmm.empty()) {
        return fail(Code::failed_precondition,
                    "isolation microvm needs {}, which is not installed; on Debian: apt install "
                    "qemu-system-x86",
                    options.vmm);
    }
    const std::string name = std::filesystem::path(boot.vmm).filename().string();
    boot.monitor = name.starts_with("qemu") ? Monitor::qemu : Monitor::firecracker;
    boot.emulate = options.emulate;
    if (boot.emulate && boot.monitor == Monitor::firecracker) {
        return fail(Code::failed_precondition,
                    "sandbox.microvm_emulate goes with qemu alone; firecracker needs /dev/kvm");
    }
    if (!boot.emulate && ::access("/dev/kvm", R_OK | W_OK) != 0) {
        return fail(Code::failed_precondition,
                    "isolation microvm needs /dev/kvm: {}; let this user open it (group kvm)",
                    std::strerror(errno));
    }
    DG_TRY(readable(options.kernel, "kernel"));
    boot.kernel = std::filesystem::absolute(options.kernel).string();
    if (options.root.empty()) return boot;
    DG_TRY(readable(options.root, "root"));
    boot.disk = std::filesystem::absolute(options.root).string();
    return boot;
}

Result<std::unique_ptr<VmMaker>> VmMaker::open(const std::string& state_dir, Boot boot) {
    std::string archive;
    if (!boot.disk.empty()) {
        std::string head(8, '\0');
        const base::UniqueFd file(::open(boot.disk.c_str(), O_RDONLY | O_CLOEXEC));
        const ssize_t got = ::read(file.get(), head.data(), head.size());
        if (is_archive(
                std::string_view(head).substr(0, got > 0 ? static_cast<std::size_t>(got) : 0))) {
            archive = DG_TRY(base::read_file(boot.disk, kArchiveMax));
            archive.append((4 - archive.size() % 4) % 4, '\0');
            boot.disk.clear();
        }
    }
    const base::UniqueFd image = DG_TRY(native::launcher_image());
    const std::string agent =
        DG_TRY(base::read_file(fmt::format("/proc/self/fd/{}", image.get()), kArchiveMax));
    archive += make_initramfs(std::as_bytes(std::span(agent)));
    guest::GroupHome home = DG_TRY(guest::GroupHome::open(state_dir));
    DG_TRY(home.require_limits(isolation_name(Isolation::microvm)));
    return std::unique_ptr<VmMaker>(
        new VmMaker(std::move(boot), std::move(archive), std::move(home)));
}

Result<void> VmMaker::check(const SandboxSpec& spec) const {
    const auto refuse = [](const char* subject, const std::string& why) {
        return fail_on(subject, Code::failed_precondition, "{} {} with isolation microvm", subject,
                       why);
    };
    if (spec.isolation != Isolation::microvm) {
        return refuse("isolation", fmt::format("{} goes", isolation_name(spec.isolation)));
    }
    if (spec.network.mode == NetworkMode::egress || spec.network.mode == NetworkMode::full) {
        return refuse("network.mode",
                      fmt::format("{}: a machine has no network device; use none or loopback",
                                  network_mode_name(spec.network.mode)));
    }
    if (spec.root.kind != RootSpec::Kind::host) {
        return refuse("root.kind", "must be host, which is the configured root,");
    }
    if (!spec.snapshot.empty()) return refuse("snapshot", "is not offered");
    if (spec.limits.memory_bytes < kMemoryMin) {
        return refuse("limits.memory_bytes", fmt::format("is {}, and its kernel needs {},",
                                                         spec.limits.memory_bytes, kMemoryMin));
    }
    if (processors(spec.limits) > kProcessorsMax) {
        return refuse("limits.cpus",
                      fmt::format("is {}, over {},", spec.limits.cpus, kProcessorsMax));
    }
    return {};
}

Result<std::unique_ptr<guest::Machine>> VmMaker::make(const SandboxSpec& spec,
                                                      const SandboxId& id) {
    Limits whole = spec.limits;
    whole.memory_bytes += kOwnMemory + archive_.size();
    whole.processes_max = kOwnThreads + processors(spec.limits);
    auto vm = std::make_unique<Vm>(DG_TRY(home_.make(id, whole)), boot_);
    DG_TRY(vm->begin_vm(home_, archive_, spec.limits, start_max()));
    return std::unique_ptr<guest::Machine>(std::move(vm));
}

launcher::GuestSetup VmMaker::setup(const SandboxSpec& spec) const {
    auto setup = launcher::make_message<launcher::GuestSetup>();
    setup.flags = launcher::kGuestMachine;
    if (spec.network.mode == NetworkMode::loopback) setup.flags |= launcher::kGuestLoopback;
    setup.tmp_bytes = spec.limits.tmp_bytes;
    setup.workspace_bytes = spec.limits.workspace_bytes;
    setup.inodes = spec.limits.inodes_max;
    return setup;
}

std::chrono::seconds VmMaker::start_max() const {
    return std::chrono::seconds(boot_.emulate ? 180 : 30);
}

std::vector<std::string> VmMaker::enforced_by() const {
    std::vector<std::string> all = {
        fmt::format("isolation: a virtual machine by {}{}",
                    boot_.monitor == Monitor::qemu ? "qemu" : "firecracker",
                    boot_.emulate ? ", emulated" : ", kvm"),
        "system calls: answered by its own kernel", "network: no device",
        "processes: its kernel's rlimit per user", "disk: tmpfs sizes, of its own memory"};
    for (std::string& line : home_.mechanisms(" around the monitor")) {
        all.push_back(std::move(line));
    }
    return all;
}

Result<std::unique_ptr<Sphere>> open_microvm(const SphereOptions& options,
                                             const base::Clock& clock) {
    Boot boot = DG_TRY(find_boot(options.backends.microvm));
    auto maker = DG_TRY(VmMaker::open(options.state_dir, std::move(boot)));
    return std::unique_ptr<Sphere>(
        std::make_unique<guest::GuestSphere>(options, clock, std::move(maker)));
}

}  // namespace sphere::microvm
