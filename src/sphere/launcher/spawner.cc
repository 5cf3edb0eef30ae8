#include "sphere/launcher/spawner.h"

#include <linux/filter.h>
#include <poll.h>
#include <sched.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <iterator>

#include "sphere/launcher/box_init.h"
#include "sphere/launcher/box_setup.h"
#include "sphere/launcher/channel.h"
#include "sphere/launcher/confine.h"
#include "sphere/launcher/kernel.h"
#include "sphere/launcher/network_space.h"
#include "sphere/launcher/plain_setup.h"
#include "sphere/launcher/reaper.h"
#include "sphere/launcher/system_space.h"
#include "sphere/launcher/workspace_mount.h"

namespace sphere::launcher {
namespace {

constexpr std::size_t kBoxesMax = 8192;
constexpr int kQuietMs = 2;  ///< without a message: time to make things ahead

struct Box {
    std::uint64_t id = 0;
    pid_t pid = 0;  ///< 0: the place is free
};

struct Spawner {
    int server = -1, children = -1;
    bool own_user_namespace = false, plain = false;
    sock_fprog filter{};
    std::size_t boxes_used = 0;  ///< places below are free or taken, none above is taken
    NetworkSpaces networks;
    SystemSpace system;
};

alignas(8) std::byte packet_buffer[kMessageBytesMax];
sock_filter filter_code[kFilterMax];
Box boxes[kBoxesMax];

Outcome configure(Spawner& spawner, const Configure& message, const Packet& packet) {
    const std::uint64_t filters =
        std::uint64_t{message.common_count} + std::uint64_t{message.filter_count};
    if (message.filter_count == 0 || filters > kFilterMax ||
        packet.bytes.size() != sizeof(Configure) + filters * sizeof(sock_filter) ||
        ::strnlen(message.staging, sizeof(message.staging)) == sizeof(message.staging)) {
        return {Step::message, EINVAL};
    }
    std::memcpy(filter_code, packet.bytes.data() + sizeof(Configure),
                filters * sizeof(sock_filter));
    const sock_fprog common{static_cast<unsigned short>(message.common_count), filter_code};
    spawner.filter = {static_cast<unsigned short>(message.filter_count),
                      filter_code + message.common_count};
    spawner.own_user_namespace = message.own_user_namespace != 0;
    spawner.plain = message.plain != 0;
    if (spawner.plain) return {};
    if (spawner.own_user_namespace) {
        const Outcome entered = enter_user_namespace();
        if (!entered) return entered;
    } else if (::unshare(CLONE_NEWNS) != 0) {
        return failed(Step::mount_namespace);
    }
    enter_time_namespace();  // where there is none, the probe has told so
    const Outcome prepared = prepare_staging(message.staging);
    if (!prepared) return prepared;
    const Outcome made = spawner.system.make();
    return made && common.len != 0 ? install_filter(common) : made;
}

/// In the child: its own end of everything, and nothing else.
[[noreturn]] void be_box(const Spawner& spawner, const Create& create, const BoxDescriptors& fds) {
    PlainDescriptors plain{fds.go, fds.workspace, fds.temporary, {}};
    std::memcpy(plain.joins, fds.joins, sizeof(fds.joins));
    const Outcome outcome =
        spawner.plain ? set_up_plain_box(create, plain) : set_up_box(create, fds);
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
    run_box_init(kControlFd, spawner.filter, spawner.plain);
}

Outcome admit(const Spawner& spawner, const Create& create, pid_t pid) {
    if (spawner.plain) return {};
    char folder[32];
    std::snprintf(folder, sizeof(folder), "/proc/%d", pid);
    const int proc = ::open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) return failed(Step::id_map);
    const bool mapped = (!spawner.own_user_namespace || write_whole(proc, "setgroups", "deny")) &&
                        write_id_map(proc, "uid_map", kInsideId, create.host_id) &&
                        write_id_map(proc, "gid_map", kInsideId, create.host_id);
    const Outcome outcome = mapped ? Outcome{} : failed(Step::id_map);
    ::close(proc);
    return outcome;
}

Box* free_place(Spawner& spawner) {
    for (std::size_t i = 0; i < spawner.boxes_used; ++i) {
        if (boxes[i].pid == 0) return &boxes[i];
    }
    return spawner.boxes_used < kBoxesMax ? &boxes[spawner.boxes_used++] : nullptr;
}

pid_t pid_of(const Spawner& spawner, std::uint64_t box) {
    for (std::size_t i = 0; i < spawner.boxes_used; ++i) {
        if (boxes[i].pid != 0 && boxes[i].id == box) return boxes[i].pid;
    }
    return 0;
}

/// Where an init is born; -1: in none.
struct BirthPlace {
    int group = -1, network = -1;
    bool new_network = false;  ///< made for it: the server's to keep
};

/// The descriptors of `packet` in the order of the message; they stay the packet's to close.
BoxDescriptors read_descriptors(const Spawner& spawner, const Create& create, const Packet& packet,
                                BirthPlace& place, const int*& layers) {
    std::size_t next = 0;
    const auto give = [&](bool wanted) {
        return wanted && next < packet.fd_count ? packet.fds[next++] : -1;
    };
    BoxDescriptors fds;
    fds.server = give(true);
    place.group = give((create.flags & kLeafGroup) != 0);
    fds.template_root = give((create.flags & kTemplateRoot) != 0);
    fds.workspace = give(spawner.plain);
    fds.temporary = give(spawner.plain);
    place.network = give((create.flags & kUsedNetwork) != 0);
    layers = packet.fds + next;
    next += create.layers;
    for (std::size_t i = 0; i < std::size(fds.joins); ++i) fds.joins[i] = give(i < create.joins);
    return fds;
}

Outcome clone_box(Spawner& spawner, const Create& create, const BoxDescriptors& fds,
                  BirthPlace birth, int go_write, int layer) {
    Box* const place = free_place(spawner);
    if (place == nullptr) return {Step::table_full, EAGAIN};
    int pidfd = -1;
    CloneArgs args;
    args.flags = CLONE_PIDFD;
    if (!spawner.plain) {
        args.flags |= CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
    }
    if ((create.flags & kNoNetwork) != 0) {
        if (birth.network < 0 || ::setns(birth.network, CLONE_NEWNET) != 0) {
            return failed(Step::clone);
        }
    } else if (!spawner.plain) {
        args.flags |= CLONE_NEWNET;
    }
    args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
    args.exit_signal = SIGCHLD;
    if (birth.group >= 0) {
        args.flags |= kCloneIntoCgroup;
        args.cgroup = static_cast<std::uint64_t>(birth.group);
    }
    const bool of_system = !spawner.plain && (create.flags & kTemplateRoot) == 0;
    Outcome cloned = of_system ? spawner.system.enter() : Outcome{};
    const long pid = cloned ? clone3(args) : -1;
    if (cloned && pid < 0) cloned = failed(Step::clone);
    if (pid != 0 && of_system) spawner.system.leave();
    if (!cloned) return cloned;
    if (pid == 0) {
        ::close(go_write);  // or it would wait for itself
        be_box(spawner, create, fds);
    }
    *place = {create.box, static_cast<pid_t>(pid)};
    const Outcome outcome = admit(spawner, create, static_cast<pid_t>(pid));
    if (outcome && ::write(go_write, "g", 1) == 1) {
        auto created = make_message<Created>();
        created.box = create.box;
        created.pid = static_cast<std::int32_t>(pid);
        const int given[4] = {pidfd,
                              ::openat(fds.workspace, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                              layer, birth.network};
        send_message(spawner.server, created, {given, birth.new_network ? 4u : 3u});
        ::close(given[1]);
    } else {
        send_signal(pidfd, SIGKILL);
    }
    ::close(pidfd);
    return outcome;
}

Outcome create_box(Spawner& spawner, const Create& create, const Packet& packet) {
    int go[2];
    BirthPlace birth;
    const int* layers = nullptr;
    if (create.layers > kLayersMax || create.layers >= packet.fd_count) {
        return {Step::message, EINVAL};
    }
    BoxDescriptors fds = read_descriptors(spawner, create, packet, birth, layers);
    if (fds.server < 0 || create.joins > std::size(fds.joins)) return {Step::message, EINVAL};
    if (::pipe2(go, O_CLOEXEC) != 0) return failed(Step::clone);
    fds.go = go[0];
    birth.new_network = (create.flags & kNoNetwork) != 0 && birth.network < 0;
    if (birth.new_network) birth.network = spawner.networks.take();
    if (spawner.plain) {
        const Outcome cloned = clone_box(spawner, create, fds, birth, go[1], fds.workspace);
        ::close(go[0]);
        ::close(go[1]);
        return cloned;
    }
    WorkspaceMount workspace;
    Outcome outcome = make_workspace({create.workspace_bytes, create.inodes, create.host_id, layers,
                                      create.layers, spawner.own_user_namespace},
                                     workspace);
    fds.workspace = workspace.mount;
    if (outcome && create.keep_from != 0) {
        const pid_t from = pid_of(spawner, create.keep_from);
        outcome = from == 0 ? Outcome{Step::keep_temporary, ESRCH}
                            : copy_temporary(from, fds.temporary, fds.shared);
    }
    if (outcome) outcome = clone_box(spawner, create, fds, birth, go[1], workspace.layer);
    const int new_network = birth.new_network ? birth.network : -1;
    for (const int fd :
         {go[0], go[1], workspace.mount, workspace.layer, fds.temporary, fds.shared, new_network}) {
        if (fd >= 0) ::close(fd);
    }
    return outcome;
}

void make_layer(const Spawner& spawner, const MakeLayer& request) {
    WorkspaceMount made;
    const Outcome outcome = make_workspace(
        {request.bytes, request.inodes, request.host_id, nullptr, 0, spawner.own_user_namespace},
        made);
    auto answer = make_message<LayerMade>();
    answer.request = request.request;
    answer.step = outcome.step;
    answer.error = outcome.error;
    send_message(spawner.server, answer, {&made.layer, outcome ? 1u : 0u});
    for (const int fd : {made.mount, made.layer}) {
        if (fd >= 0) ::close(fd);
    }
}

void seal(const Spawner& spawner, const Seal& request, const Packet& packet) {
    const Outcome outcome = packet.fd_count == 1 ? seal_layer(packet.fds[0], request.read_only != 0)
                                                 : Outcome{Step::message, EINVAL};
    auto answer = make_message<Sealed>();
    answer.request = request.request;
    answer.step = outcome.step;
    answer.error = outcome.error;
    send_message(spawner.server, answer);
}

void handle(Spawner& spawner, Packet& packet) {
    Configure configuration;
    Create create;
    MakeLayer layer;
    Seal sealing;
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
    } else if (read_message(packet.bytes, layer)) {
        make_layer(spawner, layer);
    } else if (read_message(packet.bytes, sealing)) {
        seal(spawner, sealing, packet);
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
    reap_children(spawner.children, [&](pid_t pid, int status, const rusage&) {
        for (std::size_t i = 0; i < spawner.boxes_used; ++i) {
            if (boxes[i].pid != pid) continue;
            auto told = make_message<Ended>();
            told.box = boxes[i].id;
            told.wait_status = status;
            boxes[i] = {};
            send_message(spawner.server, told);
        }
    });
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
    spawner.children = watch_children();
    if (spawner.children < 0) return 1;
    for (;;) {
        pollfd waits[2] = {{server, POLLIN, 0}, {spawner.children, POLLIN, 0}};
        const bool spare = spawner.filter.len != 0 && spawner.networks.wants_more();
        const int ready = ::poll(waits, 2, spare ? kQuietMs : -1);
        if (ready < 0 && errno != EINTR) break;
        if (ready == 0) spawner.networks.make_ahead();
        if (waits[1].revents != 0) reap(spawner);
        if (waits[0].revents != 0 && !read_all(spawner)) break;
    }
    end_all(spawner);
    return 0;
}

}  // namespace sphere::launcher
