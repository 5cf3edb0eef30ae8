// Forks of running commands. The command forks itself, twice, so that the init becomes the parent
// of what stays; that process takes the streams it was sent, says hello on its new stdin, by which
// the kernel tells us its number, and then is a command like any other: in a group of its own, its
// end told by the init.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>
#include <utility>

#include "sphere/launcher/channel.h"
#include "sphere/native/native_sphere.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr std::chrono::milliseconds kForkMax{20'000};
constexpr std::string_view kOrder = "fork 0\n";
constexpr std::size_t kReasonMax = 200;

bool send_order(int socket, const int (&fds)[3]) {
    iovec text{const_cast<char*>(kOrder.data()), kOrder.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(fds))] = {};
    msghdr message{};
    message.msg_iov = &text;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(fds));
    std::memcpy(CMSG_DATA(head), fds, sizeof(fds));
    return ::sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(kOrder.size());
}

/// Who sent what waits there, as the kernel says; 0: it does not.
pid_t sender_of(int socket) {
    char text[16];
    iovec into{text, sizeof(text)};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred)) + 256] = {};
    msghdr message{};
    message.msg_iov = &into;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    if (::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0) return 0;
    pid_t sender = 0;
    for (cmsghdr* head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET) continue;
        if (head->cmsg_type == SCM_CREDENTIALS) {
            ucred told;
            std::memcpy(&told, CMSG_DATA(head), sizeof(told));
            sender = told.pid;
        } else if (head->cmsg_type == SCM_RIGHTS) {  // nobody asked for any
            for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= head->cmsg_len;
                 at += sizeof(int)) {
                int fd;
                std::memcpy(&fd, CMSG_DATA(head) + at, sizeof(fd));
                ::close(fd);
            }
        }
    }
    return sender;
}

/// What a command says of itself, fit for people; nothing when it says nothing.
std::optional<std::string> reason_of(int socket) {
    char text[kReasonMax];
    const ssize_t got = ::recv(socket, text, sizeof(text), MSG_DONTWAIT);
    if (got <= 0) return std::nullopt;  // it closed its input, by ending as a rule
    std::string reason(text, static_cast<std::size_t>(got));
    reason.resize(std::min(reason.find('\n'), reason.size()));
    std::ranges::replace_if(
        reason, [](char c) { return c < ' ' || c > '~'; }, '?');
    return reason.empty() ? "it gave no reason" : reason;
}

void drop_input(int socket) {
    char bytes[512];
    while (::recv(socket, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
    }
}

/// The process's number in the innermost namespace it is in; 0: unknown.
std::int32_t inner_number(pid_t pid) {
    std::ifstream status("/proc/" + std::to_string(pid) + "/status");
    for (std::string line; std::getline(status, line);) {
        if (!line.starts_with("NSpid:")) continue;
        return std::atoi(line.c_str() + line.find_last_of(" \t") + 1);
    }
    return 0;
}

/// A process changes its group only after a grace period of the kernel's, some milliseconds unless
/// one did just before. `child`, of this process and so nobody else's number, "moves" to `folder`,
/// where it is, so that the wait is over when the fork is there.
void await_grace_period(const std::string& folder, pid_t child) {
    const base::UniqueFd file(::open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    const std::string number = std::to_string(child);
    if (file && ::write(file.get(), number.data(), number.size()) < 0) return;  // only slower
}

}  // namespace

struct NativeSphere::Forked {
    pid_t pid = 0;           ///< as this host sees it
    std::int32_t inner = 0;  ///< as its box does
    base::UniqueFd life;

    bool lives() const {
        pollfd ended{life.get(), POLLIN, 0};
        return ::poll(&ended, 1, 0) == 0;
    }
    void kill() const { ::syscall(SYS_pidfd_send_signal, life.get(), SIGKILL, nullptr, 0u); }
};

Result<NativeSphere::Forked> NativeSphere::await_fork(int parent, int child) const {
    pollfd waits[2] = {{child, POLLIN, 0}, {parent, POLLIN, 0}};
    int came = 0;
    while ((came = ::poll(waits, 2, static_cast<int>(kForkMax.count()))) < 0 && errno == EINTR) {
    }
    if (came == 0) {
        return fail(Code::deadline_exceeded, "the command did not fork within {} s",
                    std::chrono::duration_cast<std::chrono::seconds>(kForkMax).count());
    }
    Forked forked;
    if ((waits[0].revents & POLLIN) != 0) forked.pid = sender_of(child);
    if (forked.pid <= 0 && (waits[1].revents & POLLIN) != 0) {
        if (const auto reason = reason_of(parent)) {
            return fail(Code::failed_precondition, "the command does not fork: {}", *reason);
        }
    }
    if (forked.pid > 0) {
        forked.life = base::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, forked.pid, 0u)));
        forked.inner = inner_number(forked.pid);
    }
    if (forked.life && forked.inner > 1 && forked.lives()) return forked;
    return fail(Code::unavailable, "the fork ended before it was ready");
}

Result<void> NativeSphere::move_to_group(const Box& box, const ExecGroup& group,
                                         const Forked& forked) const {
    DG_TRY(box.groups.join_exec(group.number, forked.pid));
    if (forked.lives()) return {};  // so the number was its own all the time
    return fail(Code::unavailable, "the fork ended before it was ready");
}

Result<ExecId> NativeSphere::fork_command(const SandboxId& id, ExecId number, ExecSink& sink) {
    if (is_plain()) return Sphere::fork_command(id, number, sink);
    ExecSpec spec;
    spec.argv = {"a fork"};
    spec.stdin_open = spec.stdin_socket = true;
    spec.wall_timeout = std::chrono::milliseconds(0);
    spec.output_bytes_max = UINT64_MAX;
    auto made = make_exec(spec, sink);
    CommandEnds ends;
    DG_TRY(open_streams(*made, spec, ends.fds));
    const int on = 1;
    ::setsockopt(made->in.fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));

    Lock lock(mutex_);
    BoxPtr box = DG_TRY(find_ready(lock, id));
    const Exec& from = *DG_TRY(find_running(*box, number));
    if (!box->groups.has_tree()) {
        return fail(Code::unimplemented,
                    "a fork needs a version 2 control group of its own, which this server may not "
                    "make; see dougong sandbox doctor");
    }
    if (!from.stdin_socket || !from.in.fd || !from.input.empty()) {
        return fail(Code::failed_precondition,
                    "command {} cannot be told to fork: it was started without stdin_socket, or "
                    "has input still to read",
                    number);
    }
    const base::UniqueFd parent(::fcntl(from.in.fd.get(), F_DUPFD_CLOEXEC, 0));
    made->wall_timeout = from.wall_timeout;
    made->output_max = from.output_max;
    made->oom_kills_before = box->groups.oom_kills();
    made->started_at = box->used_at = clock_.now();
    made->id = box->next_exec++;
    ++box->execs_begun;
    lock.unlock();
    const std::string own_group =
        std::filesystem::path(groups_.hierarchies().unified).parent_path().string();
    std::thread ahead([&] { await_grace_period(own_group, launcher_pid_); });
    const auto forked = [&]() -> Result<Forked> {
        drop_input(parent.get());
        if (!send_order(parent.get(), ends.fds)) {
            return fail(Code::unavailable, "command {} does not read: {}", number,
                        std::strerror(errno));
        }
        ends.close();  // theirs alone: when they are closed we hear of it
        auto made_fork = await_fork(parent.get(), made->in.fd.get());
        const int off = 0;
        ::setsockopt(made->in.fd.get(), SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
        return made_fork;
    }();
    ahead.join();
    if (!forked) return std::unexpected(forked.error());

    lock.lock();
    const auto adopted = [&]() -> Result<ExecId> {
        box = DG_TRY(find_ready(lock, id));
        ExecGroup group;
        DG_TRY(take_group(*box, group));
        if (auto moved = move_to_group(*box, group, *forked); !moved) {
            return_group(*box, group);
            return std::unexpected(std::move(moved).error());
        }
        made->group = group;
        auto message = launcher::make_message<launcher::Adopt>();
        message.exec = made->id;
        message.pid = forked->inner;
        const ExecId own = made->id;
        if (!launcher::send_message(box->init.fd.get(), message)) {
            return_group(*box, group);
            return fail(Code::unavailable, "sandbox {} takes no commands", id);
        }
        box->execs[own] = std::move(made);
        return await_start(lock, box, own, spec);
    }();
    if (!adopted) forked->kill();
    return adopted;
}

}  // namespace sphere::native
