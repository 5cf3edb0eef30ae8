// The next command's process, made ahead: between the end of one command and the beginning of the
// next nobody waits for a fork, a filter and a group.
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "sphere/launcher/channel.h"
#include "sphere/native/native_sphere.h"

namespace sphere::native {
namespace {

std::uint32_t threads_of_user(std::uint32_t user) {
    std::uint32_t count = 0;
    std::error_code gone;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
        struct stat facts {};
        const std::string tasks = entry.path().string() + "/task";
        if (::stat(tasks.c_str(), &facts) != 0 || facts.st_uid != user) continue;
        count += static_cast<std::uint32_t>(std::max<nlink_t>(facts.st_nlink, 3) - 2);
    }
    return count;
}

}  // namespace

using base::Result;

launcher::ProcessLimits NativeSphere::process_limits(const Box& box) const {
    const Limits& limits = box.spec.limits;
    const Hierarchies& groups = groups_.hierarchies();
    launcher::ProcessLimits each;
    each.open_files = limits.open_files_max;
    each.processes = limits.processes_max + 1;  // the init counts
    if (is_plain()) {
        each.file_bytes = limits.workspace_bytes;
        // Of an ordinary user all processes count; where a group does not, leave room for others'.
        if (box.host_id == 0) each.processes += threads_of_user(::geteuid());
    }
    if (!groups.limits_memory()) each.data_bytes = limits.memory_bytes;
    if (!groups.limits_cpu()) {
        each.processors = static_cast<std::uint32_t>(std::ceil(limits.cpus));
    }
    return each;
}

Result<base::UniqueFd> NativeSphere::take_group(Box& box, ExecGroup& group) {
    if (box.idle_group) {
        group = *box.idle_group;
        box.idle_group.reset();
        return box.groups.open_exec_group(group.number);
    }
    group = {box.next_group++, 0};
    return box.groups.make_exec_group(group.number);
}

void NativeSphere::return_group(Box& box, ExecGroup group) {
    if (box.groups.exec_group_is_empty(group.number)) {
        reuse_group(box, group, box.groups.exec_cpu_us(group.number));
    } else {
        box.leaving_groups.push_back(group);
    }
}

void NativeSphere::reuse_group(Box& box, ExecGroup group, std::uint64_t used_us) {
    if (box.idle_group || group.killed) {
        box.groups.remove_exec_group(group.number);
    } else {
        group.cpu_us_before = used_us;
        box.idle_group = group;
    }
}

void NativeSphere::reclaim_groups(Box& box) {
    for (const ExecGroup& group : std::exchange(box.leaving_groups, {})) return_group(box, group);
}

void NativeSphere::prepare_next(Box& box) {
    reclaim_groups(box);
    if (is_plain() || box.prepared || !box.execs.empty() || box.ending || box.gone || box.paused ||
        !box.groups.has_tree() || !box.init.fd) {
        return;
    }
    Prepared next;
    const auto group = take_group(box, next.group);
    int ends[2];
    if (!group || ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
    next.socket = base::UniqueFd(ends[0]);
    const base::UniqueFd theirs(ends[1]);
    next.exec = box.next_exec++;
    next.limits = process_limits(box);
    auto message = launcher::make_message<launcher::Prepare>();
    message.exec = next.exec;
    message.flags = launcher::kExecGroup;
    message.limits = next.limits;
    const int fds[2] = {theirs.get(), group->get()};
    if (launcher::send_message(box.init.fd.get(), message, fds)) box.prepared = std::move(next);
}

NativeSphere::Answer NativeSphere::peek_answer(int socket) {
    pollfd now{socket, POLLIN, 0};
    if (::poll(&now, 1, 0) != 1) return Answer::waits;
    // Reading an error would take it away from the next who looks; poll leaves it.
    if ((now.revents & POLLERR) != 0) return Answer::ended_before;
    char byte;
    return ::recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0 ? Answer::refused
                                                                 : Answer::executed;
}

}  // namespace sphere::native
