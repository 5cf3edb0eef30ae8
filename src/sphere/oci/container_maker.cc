#include "sphere/oci/container_maker.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "sphere/guest/spawn.h"
#include "sphere/launcher/channel.h"
#include "sphere/native/launcher_image.h"
#include "sphere/oci/bundle.h"

namespace sphere::oci {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
using guest::Machine;

constexpr int kPrepareMs = 10'000;
constexpr std::size_t kWordsMax = 600;  // of a runtime's complaint in a message

class Container final : public Machine {
public:
    explicit Container(native::BoxGroups groups) : groups_(std::move(groups)) {}
    ~Container() override {
        kill();
        if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
        guest::remove_groups(groups_);
    }

    Result<void> begin(const Runtime& runtime, const guest::GroupHome& home,
                       const SandboxSpec& spec, const SandboxId& id);

    int to_agent() const override { return to_.get(); }
    int from_agent() const override { return from_.get(); }
    Result<void> freeze(bool frozen) override;
    void kill() override {
        if (groups_.has_tree()) groups_.kill();
        if (pid_ > 0) ::kill(pid_, SIGKILL);  // process 1 of the stage dies with it, and all below
    }
    guest::Usage usage() const override {
        return {groups_.memory_bytes(), groups_.peak_memory_bytes(), groups_.oom_kills(),
                std::chrono::microseconds(groups_.cpu_us())};
    }
    Result<base::UniqueFd> open_workspace() const override {
        base::UniqueFd folder(::fcntl(workspace_.get(), F_DUPFD_CLOEXEC, 0));
        if (folder) return folder;
        return fail(Code::resource_exhausted, "no descriptor: {}", std::strerror(errno));
    }
    std::string last_words() const override;

private:
    Result<void> wait_prepared(const SandboxSpec& spec);

    const native::BoxGroups groups_;
    int pid_ = 0;
    base::UniqueFd control_, to_, from_, workspace_, words_;
};

Result<base::UniqueFd> memory_file(const char* name, const std::string& text) {
    base::UniqueFd file(::memfd_create(name, MFD_CLOEXEC));
    if (file &&
        ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) {
        return file;
    }
    return fail(Code::unavailable, "memory file {}: {}", name, std::strerror(errno));
}

Result<void> Container::begin(const Runtime& runtime, const guest::GroupHome& home,
                              const SandboxSpec& spec, const SandboxId& id) {
    int control[2], in[2], out[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0) {
        return fail(Code::resource_exhausted, "no socket: {}", std::strerror(errno));
    }
    control_ = base::UniqueFd(control[0]);
    const base::UniqueFd their_control(control[1]);
    if (::pipe2(in, O_CLOEXEC) != 0) {
        return fail(Code::resource_exhausted, "no pipe: {}", std::strerror(errno));
    }
    to_ = base::UniqueFd(in[1]);
    const base::UniqueFd their_in(in[0]);
    if (::pipe2(out, O_CLOEXEC) != 0) {
        return fail(Code::resource_exhausted, "no pipe: {}", std::strerror(errno));
    }
    from_ = base::UniqueFd(out[0]);
    const base::UniqueFd their_out(out[1]);
    for (const int fd : {to_.get(), from_.get()}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
    words_ = DG_TRY(memory_file("dougong-words", ""));
    const std::string bundle = home.staging() + "/bundle";
    const base::UniqueFd config =
        DG_TRY(memory_file("dougong-config", make_config(spec, {bundle})));
    const auto joins = DG_TRY(guest::open_joins(groups_));
    const base::UniqueFd image = DG_TRY(native::launcher_image());

    guest::Spawned stage;
    stage.program = fmt::format("/proc/self/fd/{}", image.get());
    stage.arguments = {"stage",
                       home.staging(),
                       std::to_string(spec.limits.workspace_bytes),
                       std::to_string(spec.limits.inodes_max),
                       spec.root.kind == RootSpec::Kind::directory ? spec.root.path : "-",
                       ::geteuid() == 0 ? "root" : "user",
                       std::to_string(joins.size()),
                       runtime.program,
                       "--root=" + bundle + "/state"};
    stage.arguments.insert(stage.arguments.end(), runtime.arguments.begin(),
                           runtime.arguments.end());
    for (const char* const word : {"run", "--bundle", bundle.c_str(), id.c_str()}) {
        stage.arguments.emplace_back(word);
    }
    stage.descriptors = {{their_in.get(), 0},
                         {their_out.get(), 1},
                         {words_.get(), 2},
                         {their_control.get(), 3},
                         {config.get(), 4}};
    for (const base::UniqueFd& join : joins) {
        stage.descriptors.emplace_back(join.get(), static_cast<int>(stage.descriptors.size()));
    }
    stage.environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"};
    pid_ = DG_TRY(guest::spawn(stage));
    return wait_prepared(spec);
}

Result<void> Container::wait_prepared(const SandboxSpec& spec) {
    alignas(8) std::array<std::byte, 64> buffer;
    pollfd waits{control_.get(), POLLIN, 0};
    iovec piece{buffer.data(), buffer.size()};
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = sizeof(room);
    const ssize_t got = ::poll(&waits, 1, kPrepareMs) == 1
                            ? ::recvmsg(control_.get(), &message, MSG_CMSG_CLOEXEC)
                            : -1;
    const cmsghdr* const beside = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (got == 1 && buffer[0] == std::byte{'w'} && beside != nullptr) {
        int folder = -1;
        std::memcpy(&folder, CMSG_DATA(beside), sizeof(folder));
        workspace_ = base::UniqueFd(folder);
        return {};
    }
    if (got != 4 || buffer[0] != std::byte{'e'}) {
        return fail(Code::unavailable, "the stage of a container ended before it was ready");
    }
    const auto step = static_cast<launcher::Step>(buffer[1]);
    std::uint16_t error = 0;
    std::memcpy(&error, buffer.data() + 2, sizeof(error));
    if (step == launcher::Step::template_root && spec.root.kind == RootSpec::Kind::directory) {
        return fail_on("root.path", Code::invalid_argument,
                       "root.path {}: {}; dev, proc, tmp and workspace must be real folders in it, "
                       "not links",
                       spec.root.path, std::strerror(error));
    }
    return fail(Code::failed_precondition, "this host refuses a container when {}: {}",
                launcher::step_name(step), std::strerror(error));
}

Result<void> Container::freeze(bool frozen) {
    if (!groups_.has_tree()) {
        return fail(
            Code::failed_precondition,
            "pausing a container needs a cgroup version 2 tree; see dougong sandbox doctor");
    }
    if (groups_.freeze(frozen)) return {};
    return fail(Code::unavailable, "the container could not be frozen: {}", std::strerror(errno));
}

std::string Container::last_words() const {
    std::string text(64 * 1024, '\0');
    const ssize_t got = ::pread(words_.get(), text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    if (text.size() > kWordsMax) text = "..." + text.substr(text.size() - kWordsMax);
    std::ranges::replace(text, '\n', ' ');
    return text;
}

}  // namespace

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

Result<std::unique_ptr<Machine>> ContainerMaker::make(const SandboxSpec& spec,
                                                      const SandboxId& id) {
    Limits whole = spec.limits;
    whole.memory_bytes += runtime_.own_memory_bytes;
    whole.processes_max += runtime_.own_processes;
    auto container = std::make_unique<Container>(DG_TRY(home_.make(id, whole)));
    DG_TRY(container->begin(runtime_, home_, spec, id));
    return std::unique_ptr<Machine>(std::move(container));
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
        runtime_.own_kernel ? "system calls: answered by its own kernel"
                            : "system calls: not filtered",
        runtime_.own_kernel ? "network none: a loopback that ends in its own kernel"
                            : "network none: a namespace of its own, lo down"};
    const std::string beside =
        runtime_.own_memory_bytes == 0
            ? ""
            : fmt::format(", with room for its kernel ({} MiB, {} threads)",
                          runtime_.own_memory_bytes >> 20, runtime_.own_processes);
    for (std::string& line : home_.mechanisms(beside)) all.push_back(std::move(line));
    all.emplace_back("disk: tmpfs sizes");
    all.emplace_back("tree kill: the whole box; freeze: cgroup v2");
    return all;
}

}  // namespace sphere::oci
