#pragma once
// Children that ended, told by a descriptor one can poll: how every process of ours that has any
// waits for them.

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>

namespace sphere::launcher {

/// Blocks every signal; SIGCHLD, and `other` unless it is 0, make the descriptor readable. -1 with
/// errno.
inline int watch_children(int other = 0) {
    sigset_t all, told;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    sigemptyset(&told);
    sigaddset(&told, SIGCHLD);
    if (other != 0) sigaddset(&told, other);
    return ::signalfd(-1, &told, SFD_CLOEXEC | SFD_NONBLOCK);
}

/// Calls `ended(pid, wait_status, rusage)` for each child that has ended, reaped. Any signal but
/// SIGCHLD that came: `signalled(number)`, first.
template <class Signalled, class Ended>
void reap_children(int children, Signalled signalled, Ended ended) {
    signalfd_siginfo signals[8];
    for (ssize_t got; (got = ::read(children, signals, sizeof(signals))) > 0;) {
        for (std::size_t i = 0; i < static_cast<std::size_t>(got) / sizeof(signals[0]); ++i) {
            const int number = static_cast<int>(signals[i].ssi_signo);
            if (number != SIGCHLD) signalled(number);
        }
    }
    int status = 0;
    rusage usage;
    for (pid_t pid; (pid = ::wait4(-1, &status, WNOHANG, &usage)) > 0;) ended(pid, status, usage);
}

template <class Ended>
void reap_children(int children, Ended ended) {
    reap_children(
        children, [](int) {}, ended);
}

}  // namespace sphere::launcher
