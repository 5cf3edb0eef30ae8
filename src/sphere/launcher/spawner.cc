#include "sphere/launcher/spawner.h"

#include <linux/filter.h>
#include <poll.h>
#include <sched.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "sphere/launcher/box_init.h"
#include "sphere/launcher/box_setup.h"
#include "sphere/launcher/channel.h"
#include "sphere/launcher/kernel.h"

namespace sphere::launcher {
namespace {

constexpr std::size_t kBoxesMax = 8192;

struct Box {
    std::uint64_t id = 0;
    pid_t pid = 0;  ///< 0: the place is free
};

struct Spawner {
    int server = -1, children = -1;
    bool own_user_namespace = false;
    sock_fprog filter{};
    std::size_t boxes_used = 0;  ///< places below are free or taken, none above is taken
};

alignas(8) std::byte packet_buffer[kMessageBytesMax];
sock_filter filter_code[kFilterMax];
Box boxes[kBoxesMax];

Outcome configure(Spawner& spawner, const Configure& message, const Packet& packet) {
    if (message.filter_count == 0 || message.filter_count > kFilterMax ||
        packet.bytes.size() != sizeof(Configure) + message.filter_count * sizeof(sock_filter) ||
        ::strnlen(message.staging, sizeof(message.staging)) == sizeof(message.staging)) {
        return {Step::message, EINVAL};
    }
    std::memcpy(filter_code, packet.bytes.data() + sizeof(Configure),
                message.filter_count * sizeof(sock_filter));
    spawner.filter = {static_cast<unsigned short>(message.filter_count), filter_code};
    spawner.own_user_namespace = message.own_user_namespace != 0;
    if (spawner.own_user_namespace) {
        const Outcome entered = enter_user_namespace();
        if (!entered) return entered;
    } else if (::unshare(CLONE_NEWNS) != 0) {
        return failed(Step::mount_namespace);
    }
    return prepare_staging(message.staging);
}

/// A tmpfs of this launcher's user namespace, so that the server may write there, owned by the box.
int make_workspace(const Create& create) {
    const int context = ::fsopen("tmpfs", FSOPEN_CLOEXEC);
    if (context < 0) return -1;
    char number[32];
    const auto set = [&](const char* key, std::uint64_t value) {
        std::snprintf(number, sizeof(number), "%llu", static_cast<unsigned long long>(value));
        return ::fsconfig(context, FSCONFIG_SET_STRING, key, number, 0) == 0;
    };
    const bool made = set("size", create.workspace_bytes) && set("nr_inodes", create.inodes) &&
                      set("uid", create.host_id) && set("gid", create.host_id) &&
                      ::fsconfig(context, FSCONFIG_SET_STRING, "mode", "0755", 0) == 0 &&
                      ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
    const int mount =
        made ? ::fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV) : -1;
    ::close(context);
    return mount;
}

/// In the child: its own end of everything, and nothing else.
[[noreturn]] void be_box(const Spawner& spawner, const Create& create, const BoxDescriptors& fds) {
    const Outcome outcome = set_up_box(create, fds);
    // What a box can reach of its init is nothing; still, keep only the socket.
    if (::dup3(fds.server, kControlFd, O_CLOEXEC) < 0 && fds.server != kControlFd) ::_exit(1);
    close_from(kControlFd + 1);
    if (!outcome) {
        auto told = make_message<SetupFailed>();
        told.step = outcome.step;
        told.error = outcome.error;
        send_message(kControlFd, told);
        ::_exit(1);
    }
    run_box_init(kControlFd, spawner.filter);
}

Outcome admit(const Spawner& spawner, const Create& create, pid_t pid, Packet& packet) {
    char folder[32];
    std::snprintf(folder, sizeof(folder), "/proc/%d", pid);
    const int proc = ::open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) return failed(Step::id_map);
    const bool mapped = (!spawner.own_user_namespace || write_whole(proc, "setgroups", "deny")) &&
                        write_id_map(proc, "uid_map", kInsideId, create.host_id) &&
                        write_id_map(proc, "gid_map", kInsideId, create.host_id);
    const Outcome outcome = mapped ? Outcome{} : failed(Step::id_map);
    ::close(proc);
    if (!outcome) return outcome;
    char number[16];
    const int bytes = std::snprintf(number, sizeof(number), "%d", pid);
    for (std::uint32_t i = 0; i < create.joins; ++i) {
        const int group = packet.take();
        const bool joined = ::write(group, number, static_cast<std::size_t>(bytes)) == bytes;
        const Outcome joining = joined ? Outcome{} : failed(Step::cgroup);
        ::close(group);
        if (!joining) return joining;
    }
    return {};
}

Box* free_place(Spawner& spawner) {
    for (std::size_t i = 0; i < spawner.boxes_used; ++i) {
        if (boxes[i].pid == 0) return &boxes[i];
    }
    return spawner.boxes_used < kBoxesMax ? &boxes[spawner.boxes_used++] : nullptr;
}

Outcome create_box(Spawner& spawner, const Create& create, Packet& packet) {
    Box* const place = free_place(spawner);
    if (place == nullptr) return {Step::table_full, EAGAIN};
    BoxDescriptors fds;
    fds.server = packet.take();
    const int group = (create.flags & kLeafGroup) != 0 ? packet.take() : -1;
    fds.template_root = (create.flags & kTemplateRoot) != 0 ? packet.take() : -1;
    fds.workspace = make_workspace(create);
    int go[2];
    if (fds.workspace < 0 || ::pipe2(go, O_CLOEXEC) != 0) return failed(Step::workspace);
    fds.go = go[0];

    int pidfd = -1;
    CloneArgs args;
    args.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
                 CLONE_NEWUTS | CLONE_PIDFD;
    args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
    args.exit_signal = SIGCHLD;
    if (group >= 0) {
        args.flags |= kCloneIntoCgroup;
        args.cgroup = static_cast<std::uint64_t>(group);
    }
    const long pid = clone3(args);
    if (pid == 0) be_box(spawner, create, fds);
    Outcome outcome = pid < 0 ? failed(Step::clone) : Outcome{};
    ::close(go[0]);
    ::close(fds.server);
    if (fds.template_root >= 0) ::close(fds.template_root);
    if (group >= 0) ::close(group);
    if (outcome) {
        *place = {create.box, static_cast<pid_t>(pid)};
        outcome = admit(spawner, create, static_cast<pid_t>(pid), packet);
        if (outcome && ::write(go[1], "g", 1) == 1) {
            auto created = make_message<Created>();
            created.box = create.box;
            created.pid = static_cast<std::int32_t>(pid);
            const int given[2] = {pidfd,
                                  ::openat(fds.workspace, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
            send_message(spawner.server, created, given);
            ::close(given[1]);
        }
        ::close(pidfd);
    }
    ::close(go[1]);  // an init that was not admitted ends by this
    ::close(fds.workspace);
    return outcome;
}

void handle(Spawner& spawner, Packet& packet) {
    Configure configuration;
    Create create;
    if (read_message(packet.bytes, configuration)) {
        const Outcome outcome = configure(spawner, configuration, packet);
        auto answer = make_message<Configured>();
        answer.step = outcome.step;
        answer.error = outcome.error;
        send_message(spawner.server, answer);
    } else if (read_message(packet.bytes, create)) {
        const Outcome outcome = spawner.filter.len == 0 ? Outcome{Step::message, EINVAL}
                                                        : create_box(spawner, create, packet);
        if (!outcome) {
            auto answer = make_message<CreateFailed>();
            answer.box = create.box;
            answer.step = outcome.step;
            answer.error = outcome.error;
            send_message(spawner.server, answer);
        }
    }
    packet.close_all();
}

bool read_all(Spawner& spawner) {
    for (;;) {
        Packet packet;
        switch (receive(spawner.server, packet_buffer, packet)) {
            case Received::packet:
                handle(spawner, packet);
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

void reap(Spawner& spawner) {
    signalfd_siginfo ignored[8];
    while (::read(spawner.children, ignored, sizeof(ignored)) > 0) {
    }
    int status = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        for (std::size_t i = 0; i < spawner.boxes_used; ++i) {
            if (boxes[i].pid != pid) continue;
            auto told = make_message<Ended>();
            told.box = boxes[i].id;
            told.wait_status = status;
            boxes[i] = {};
            send_message(spawner.server, told);
        }
    }
}

/// The server is gone: so is every box, before we are.
void end_all(const Spawner& spawner) {
    for (std::size_t i = 0; i < spawner.boxes_used; ++i) {
        if (boxes[i].pid != 0) ::kill(boxes[i].pid, SIGKILL);
    }
    while (::wait(nullptr) > 0) {
    }
}

}  // namespace

int run_spawner(int server) {
    Spawner spawner;
    spawner.server = server;
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    spawner.children = ::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (spawner.children < 0) return 1;
    for (;;) {
        pollfd waits[2] = {{server, POLLIN, 0}, {spawner.children, POLLIN, 0}};
        if (::poll(waits, 2, -1) < 0 && errno != EINTR) break;
        if (waits[1].revents != 0) reap(spawner);
        if (waits[0].revents != 0 && !read_all(spawner)) break;
    }
    end_all(spawner);
    return 0;
}

}  // namespace sphere::launcher
