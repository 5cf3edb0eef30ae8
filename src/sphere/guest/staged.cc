#include "sphere/guest/staged.h"

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
#include "sphere/native/launcher_image.h"

namespace sphere::guest {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

constexpr int kPrepareMs = 10'000;
constexpr std::size_t kWordsMax = 600;  // of a runtime's complaint in a message

Result<base::UniqueFd> memory_file(const char* name, const std::string& text) {
    base::UniqueFd file(::memfd_create(name, MFD_CLOEXEC));
    if (file &&
        ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) {
        return file;
    }
    return fail(Code::unavailable, "memory file {}: {}", name, std::strerror(errno));
}

}  // namespace

Staged::~Staged() {
    Staged::kill();
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    remove_groups(groups_);
}

void Staged::kill() {
    if (groups_.has_tree()) groups_.kill();
    if (pid_ > 0) ::kill(pid_, SIGKILL);  // process 1 of the stage dies with it, and all below
}

Usage Staged::usage() const {
    return {groups_.memory_bytes(), groups_.peak_memory_bytes(), groups_.oom_kills(),
            std::chrono::microseconds(groups_.cpu_us())};
}

Result<base::UniqueFd> Staged::open_workspace() const {
    base::UniqueFd folder(::fcntl(workspace_.get(), F_DUPFD_CLOEXEC, 0));
    if (folder) return folder;
    return fail(Code::resource_exhausted, "no descriptor: {}", std::strerror(errno));
}

bool Staged::over() const {
    pollfd waits{control_.get(), POLLIN, 0};
    return ::poll(&waits, 1, 0) != 0;
}

Result<void> Staged::begin(const GroupHome& home, const StagePlan& plan) {
    int control[2], stream[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0) {
        return fail(Code::resource_exhausted, "no socket: {}", std::strerror(errno));
    }
    control_ = base::UniqueFd(control[0]);
    const base::UniqueFd their_control(control[1]);
    // A socket, not pipes: those a command could open again through the agent's /proc/1/fd, which
    // gVisor does not forbid.
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stream) != 0) {
        return fail(Code::resource_exhausted, "no socket: {}", std::strerror(errno));
    }
    to_ = base::UniqueFd(stream[0]);
    from_ = base::UniqueFd(::fcntl(stream[0], F_DUPFD_CLOEXEC, 0));
    const base::UniqueFd theirs(stream[1]);
    ::fcntl(stream[0], F_SETFL, O_NONBLOCK);
    words_ = DG_TRY(memory_file("dougong-words", ""));
    const base::UniqueFd config = DG_TRY(memory_file("dougong-config", plan.config));
    const auto joins = DG_TRY(open_joins(groups_));
    const base::UniqueFd image = DG_TRY(native::launcher_image());

    Spawned stage;
    stage.program = fmt::format("/proc/self/fd/{}", image.get());
    stage.arguments = {"stage",
                       home.staging(),
                       std::to_string(plan.workspace_bytes),
                       std::to_string(plan.inodes),
                       plan.root.empty() ? "-" : plan.root,
                       ::geteuid() == 0 ? "root" : "user",
                       std::to_string(joins.size())};
    stage.arguments.insert(stage.arguments.end(), plan.command.begin(), plan.command.end());
    stage.descriptors = {{theirs.get(), 0},
                         {theirs.get(), 1},
                         {words_.get(), 2},
                         {their_control.get(), 3},
                         {config.get(), 4}};
    for (const base::UniqueFd& join : joins) {
        stage.descriptors.emplace_back(join.get(), static_cast<int>(stage.descriptors.size()));
    }
    stage.environment = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"};
    pid_ = DG_TRY(spawn(stage));
    return wait_prepared(plan);
}

Result<void> Staged::wait_prepared(const StagePlan& plan) {
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
        return fail(Code::unavailable, "the stage ended before it was ready");
    }
    const auto step = static_cast<launcher::Step>(buffer[1]);
    std::uint16_t error = 0;
    std::memcpy(&error, buffer.data() + 2, sizeof(error));
    if (step == launcher::Step::template_root && !plan.root.empty()) {
        return fail_on("root.path", Code::invalid_argument,
                       "root.path {}: {}; dev, proc, tmp and workspace must be real folders in it, "
                       "not links",
                       plan.root, std::strerror(error));
    }
    return fail(Code::failed_precondition, "this host refuses a stage when {}: {}",
                launcher::step_name(step), std::strerror(error));
}

Result<void> Staged::freeze(bool frozen) {
    if (!groups_.has_tree()) {
        return fail(Code::failed_precondition,
                    "pausing it needs a cgroup version 2 tree; see dougong sandbox doctor");
    }
    if (groups_.freeze(frozen)) return {};
    return fail(Code::unavailable, "it could not be frozen: {}", std::strerror(errno));
}

std::string Staged::last_words() const {
    std::string text(64 * 1024, '\0');
    const ssize_t got = ::pread(words_.get(), text.data(), text.size(), 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    if (text.size() > kWordsMax) text = "..." + text.substr(text.size() - kWordsMax);
    std::ranges::replace(text, '\n', ' ');
    return text;
}

}  // namespace sphere::guest
