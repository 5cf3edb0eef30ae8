#include "sphere/launcher/plain_setup.h"

#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "sphere/launcher/confine.h"
#include "sphere/launcher/kernel.h"

namespace sphere::launcher {
namespace {

/// While there are capabilities to drop; an ordinary user's process has none and gains none.
Outcome drop_bounding_set() {
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
        if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && ::geteuid() == 0) {
            return failed(Step::privileges);
        }
    }
    return {};
}

Outcome take_user(std::uint32_t id) {
    if (id != 0 && (::setgroups(0, nullptr) != 0 || ::setresgid(id, id, id) != 0 ||
                    ::setresuid(id, id, id) != 0)) {
        return failed(Step::identity);
    }
    // What its commands leave behind becomes its own to end; and it ends with the launcher.
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0) {
        return failed(Step::identity);
    }
    return {};
}

}  // namespace

Outcome set_up_plain_box(const Create& create, const PlainDescriptors& fds) {
    for (const int group : fds.joins) {
        if (group >= 0 && ::write(group, "0", 1) != 1) return failed(Step::cgroup);
    }
    char go = 0;
    if (::read(fds.go, &go, 1) != 1) return {Step::id_map, ECANCELED};
    if (::fchdir(fds.workspace) != 0) return failed(Step::workspace);
    Outcome outcome = drop_bounding_set();
    if (outcome) outcome = take_user(create.host_id);
    if (outcome) outcome = drop_privileges(false);
    if (outcome) outcome = restrict_host_files(fds.workspace, fds.tmp);
    return outcome;
}

Outcome enter_command_domain() {
    return restrict_scopes();
}

void end_descendants() {
    for (;;) {
        ::kill(-1, SIGKILL);  // those of this domain: the kernel lets it reach no other
        pid_t pid;
        while ((pid = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
        }
        if (pid < 0 && errno == ECHILD) return;
        ::poll(nullptr, 0, 1);
    }
}

}  // namespace sphere::launcher
