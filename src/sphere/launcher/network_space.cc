#include "sphere/launcher/network_space.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

namespace sphere::launcher {

int NetworkSpaces::make() {
    if (::unshare(CLONE_NEWNET) != 0) return -1;
    return ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

int NetworkSpaces::enter() {
    refused_ = false;
    if (idle_count_ == 0) return make();
    const int space = idle_[--idle_count_];
    if (::setns(space, CLONE_NEWNET) == 0) return space;
    ::close(space);
    return -1;
}

void NetworkSpaces::give_back(int space) {
    if (space < 0) return;
    if (idle_count_ < kIdleMax) {
        idle_[idle_count_++] = space;
    } else {
        ::close(space);
    }
}

void NetworkSpaces::make_ahead() {
    const int space = make();
    refused_ = space < 0;
    give_back(space);
}

}  // namespace sphere::launcher
