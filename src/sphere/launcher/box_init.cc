#include "sphere/launcher/box_init.h"

#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "sphere/launcher/box_network.h"
#include "sphere/launcher/channel.h"
#include "sphere/launcher/confine.h"
#include "sphere/launcher/kernel.h"
#include "sphere/launcher/plain_setup.h"
#include "sphere/launcher/reaper.h"

namespace sphere::launcher {
namespace {

struct Running {
    std::uint64_t exec = 0;
    pid_t pid = 0;  ///< 0: the place is free
};

struct Init {
    int server = -1, children = -1;
    const sock_fprog* filter = nullptr;
    bool plain = false;  ///< not process 1 of anything: what it began does not end with it
    Outcome* child_outcome = nullptr;  ///< shared with the child until it executes
    Running running[kExecsMax];
};

alignas(8) std::byte packet_buffer[kMessageBytesMax];
Command command;

/// argv[0] as given if it has a slash, else looked up in the command's own PATH.
void execute_by_path(Command& wanted) {
    char* const name = wanted.argv[0];
    if (std::strchr(name, '/') != nullptr) {
        ::execve(name, wanted.argv, wanted.envp);
        return;
    }
    const char* path = "/usr/local/bin:/usr/bin:/bin";
    for (char** variable = wanted.envp; *variable != nullptr; ++variable) {
        if (std::strncmp(*variable, "PATH=", 5) == 0) path = *variable + 5;
    }
    int told = ENOENT;
    char full[4096];
    const std::size_t name_bytes = std::strlen(name);
    while (*path != '\0') {
        const std::size_t folder_bytes = std::strcspn(path, ":");
        if (folder_bytes > 0 && folder_bytes + name_bytes + 2 <= sizeof(full)) {
            std::memcpy(full, path, folder_bytes);
            full[folder_bytes] = '/';
            std::memcpy(full + folder_bytes + 1, name, name_bytes + 1);
            ::execve(full, wanted.argv, wanted.envp);
            if (errno != ENOENT && errno != ENOTDIR) told = errno;
        }
        path += folder_bytes + (path[folder_bytes] == ':');
    }
    errno = told;
}

Outcome place_descriptors(const int (&fds)[3]) {
    for (int target = 0; target < 3; ++target) {
        if (::dup2(fds[target], target) < 0) return failed(Step::descriptors);
    }
    return {};
}

void unblock_signals() {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

/// What is left to do when all walls stand.
Outcome take_over(const Start& start, const Command& wanted) {
    if ((start.flags & kTerminal) != 0 && ::ioctl(0, TIOCSCTTY, 0) != 0) {
        return failed(Step::terminal);
    }
    if (::chdir(wanted.directory) != 0) return failed(Step::directory);
    return {};
}

/// In a prepared child: everything that needs no command.
bool stand_by(const Prepare& prepare, int socket, const sock_fprog& filter) {
    if (::setsid() < 0 || ::dup3(socket, kControlFd, O_CLOEXEC) < 0 ||
        close_from(kControlFd + 1) != 0 || !limit_process(prepare.limits)) {
        return false;
    }
    unblock_signals();
    return static_cast<bool>(install_filter(filter));
}

/// In a prepared child that got its Start. What it holds besides closes as it executes.
Outcome begin_prepared(Packet& packet) {
    Start start;
    if (!read_message(packet.bytes, start) || packet.fd_count != 3 ||
        !read_command(packet.bytes, start, command)) {
        return {Step::message, EINVAL};
    }
    Outcome outcome = place_descriptors({packet.fds[0], packet.fds[1], packet.fds[2]});
    if (outcome) outcome = take_over(start, command);
    if (outcome) outcome = limit_processor_time(start.limits.cpu_seconds);
    if (!outcome) return outcome;
    execute_by_path(command);
    return failed(Step::execute);
}

[[noreturn]] void be_prepared(const Prepare& prepare, int socket, const sock_fprog& filter) {
    if (!stand_by(prepare, socket, filter)) ::_exit(127);  // the reset socket tells
    pollfd wait{kControlFd, POLLIN, 0};
    while (::poll(&wait, 1, -1) < 0 && errno == EINTR) {
    }
    Packet packet;
    if (receive(kControlFd, packet_buffer, packet) != Received::packet) ::_exit(127);
    const Outcome outcome = begin_prepared(packet);
    auto answer = make_message<StartFailed>();
    answer.exec = prepare.exec;
    answer.step = outcome.step;
    answer.error = outcome.error;
    send_message(kControlFd, answer);
    ::_exit(127);
}

void refuse(Init& init, std::uint64_t exec, Outcome outcome) {
    auto answer = make_message<StartFailed>();
    answer.exec = exec;
    answer.step = outcome.step;
    answer.error = outcome.error;
    send_message(init.server, answer);
}

Running* find(Init& init, pid_t pid) {
    for (Running& running : init.running) {
        if (running.pid == pid) return &running;
    }
    return nullptr;
}

/// A child with a copy of this memory; in `group` unless that is -1.
long clone_child(std::uint64_t flags, int group) {
    CloneArgs args;
    args.flags = flags;
    args.exit_signal = SIGCHLD;
    if (group >= 0) {
        args.flags |= kCloneIntoCgroup;
        args.cgroup = static_cast<std::uint64_t>(group);
    }
    return clone3(args);
}

/// Nothing is answered: a failure closes the socket, and the command then comes by its Start.
void prepare_command(Init& init, const Prepare& prepare, const Packet& packet) {
    Running* const place = find(init, 0);
    if (place == nullptr || packet.fd_count == 0) return;
    const bool grouped = (prepare.flags & kExecGroup) != 0 && packet.fd_count > 1;
    const long pid = clone_child(0, grouped ? packet.fds[1] : -1);
    if (pid == 0) be_prepared(prepare, packet.fds[0], *init.filter);
    if (pid > 0) *place = {prepare.exec, static_cast<pid_t>(pid)};
}

void start_command(Init& init, const Start& start, Packet& packet) {
    Running* const place = find(init, 0);
    if (place == nullptr) return refuse(init, start.exec, {Step::table_full, EAGAIN});
    const int fds[3] = {packet.take(), packet.take(), packet.take()};
    const int group = (start.flags & kExecGroup) != 0 ? packet.take() : -1;
    *init.child_outcome = {};
    // We wait until it has executed or failed.
    const long pid = clone_child(CLONE_VFORK, group);
    if (pid == 0) {
        *init.child_outcome = become_command(start, command, fds, init.filter, init.plain);
        ::_exit(127);
    }
    const Outcome cloned = pid < 0 ? failed(Step::clone) : *init.child_outcome;
    for (const int fd : fds) ::close(fd);
    if (group >= 0) ::close(group);
    if (!cloned) return refuse(init, start.exec, cloned);
    *place = {start.exec, static_cast<pid_t>(pid)};
    auto answer = make_message<Started>();
    answer.exec = start.exec;
    send_message(init.server, answer);
}

/// One that a command forked and left: its end will be told as a command's, its group is signalled.
void adopt(Init& init, const Adopt& wanted) {
    Running* const place = find(init, 0);
    if (place == nullptr) return refuse(init, wanted.exec, {Step::table_full, EAGAIN});
    siginfo_t state{};
    const bool known = wanted.pid <= 1 || find(init, wanted.pid) != nullptr;
    if (known ||
        ::waitid(P_PID, static_cast<id_t>(wanted.pid), &state, WEXITED | WNOHANG | WNOWAIT) != 0) {
        return refuse(init, wanted.exec, {Step::adopt, ECHILD});
    }
    *place = {wanted.exec, wanted.pid};
    auto answer = make_message<Started>();
    answer.exec = wanted.exec;
    send_message(init.server, answer);
}

void pass_signal(Init& init, const Signal& signal) {
    if (signal.scope == Scope::box) {
        ::kill(-1, signal.number);
        return;
    }
    for (const Running& running : init.running) {
        if (running.pid != 0 && running.exec == signal.exec) ::kill(-running.pid, signal.number);
    }
}

[[noreturn]] void leave(const Init& init) {
    if (init.plain) end_descendants();
    ::_exit(0);
}

std::uint64_t microseconds(const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(time.tv_usec);
}

void reap(Init& init) {
    const auto ended = [&](pid_t pid, int status, const rusage& usage) {
        Running* const running = find(init, pid);
        if (running == nullptr) return;
        auto told = make_message<Exited>();
        told.exec = running->exec;
        told.wait_status = status;
        told.cpu_us = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
        told.resident_bytes_max = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
        *running = {};
        send_message(init.server, told);
    };
    reap_children(
        init.children, [&](int) { leave(init); }, ended);
}

/// Never waits: whoever asked does.
void dial(Init& init, const Dial& wanted) {
    auto answer = make_message<Dialled>();
    answer.request = wanted.request;
    const int socket = connect_loopback(wanted.port, wanted.v6 != 0);
    if (socket < 0) answer.error = errno;
    send_message(init.server, answer, {&socket, socket < 0 ? 0u : 1u});
    if (socket >= 0) ::close(socket);
}

void handle(Init& init, Packet& packet) {
    Start start;
    Signal signal;
    Prepare prepare;
    Dial wanted;
    Adopt left;
    if (read_message(packet.bytes, prepare)) {
        prepare_command(init, prepare, packet);
    } else if (read_message(packet.bytes, start)) {
        if (packet.fd_count >= 3 && read_command(packet.bytes, start, command)) {
            start_command(init, start, packet);
        } else {
            refuse(init, start.exec, {Step::message, EINVAL});
        }
    } else if (read_message(packet.bytes, signal)) {
        pass_signal(init, signal);
    } else if (read_message(packet.bytes, left)) {
        adopt(init, left);
    } else if (read_message(packet.bytes, wanted)) {
        dial(init, wanted);
    }
    packet.close_all();
}

/// Everything that waits; false when the server is gone.
bool read_all(Init& init) {
    for (;;) {
        Packet packet;
        switch (receive(init.server, packet_buffer, packet)) {
            case Received::packet:
                handle(init, packet);
                break;
            case Received::unsound:
                break;
            case Received::nothing:
                return true;
            case Received::closed:
                return false;
        }
    }
}

}  // namespace

/// In the child. The filter comes last: it forbids what an init needs to make children in a group.
Outcome become_command(const Start& start, Command& wanted, const int (&fds)[3],
                       const sock_fprog* filter, bool plain) {
    if (::setsid() < 0) return failed(Step::terminal);
    Outcome outcome = place_descriptors(fds);
    if (outcome && close_from(3) != 0) outcome = failed(Step::descriptors);
    if (outcome) outcome = take_over(start, wanted);
    if (outcome) outcome = limit_process(start.limits);
    unblock_signals();
    if (outcome && plain) outcome = enter_command_domain();
    if (outcome && filter != nullptr) outcome = install_filter(*filter);
    if (!outcome) return outcome;
    execute_by_path(wanted);
    return failed(Step::execute);
}

void run_box_init(int server, const sock_fprog& filter, bool plain) {
    Init init;
    init.server = server;
    init.filter = &filter;
    init.plain = plain;
    void* const shared =
        ::mmap(nullptr, sizeof(Outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    init.children = watch_children(plain ? SIGTERM : 0);  // the launcher is gone
    if (shared == MAP_FAILED || init.children < 0) ::_exit(1);
    init.child_outcome = static_cast<Outcome*>(shared);

    auto ready = make_message<Ready>();
    ready.landlock_abi = landlock_abi();
    send_message(server, ready);
    for (;;) {
        pollfd waits[2] = {{server, POLLIN, 0}, {init.children, POLLIN, 0}};
        if (::poll(waits, 2, -1) < 0 && errno != EINTR) ::_exit(1);
        if (waits[1].revents != 0) reap(init);
        if (waits[0].revents != 0 && !read_all(init)) leave(init);
    }
}

}  // namespace sphere::launcher
