#include "sphere/launcher/network_space.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

namespace sphere::launcher {
namespace {

int make() {
    if (::unshare(CLONE_NEWNET) != 0) return -1;
    return ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
}

}  // namespace

int NetworkSpaces::take() {
    refused_ = false;
    return ahead_count_ > 0 ? ahead_[--ahead_count_] : make();
}

void NetworkSpaces::make_ahead() {
    const int space = make();
    refused_ = space < 0;
    if (space >= 0) ahead_[ahead_count_++] = space;
}

}  // namespace sphere::launcher
