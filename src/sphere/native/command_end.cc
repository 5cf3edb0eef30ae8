#include "sphere/native/command_end.h"

#include <sys/wait.h>

#include <csignal>

namespace sphere::native {
namespace {

EndReason reason_of_signal(int signal, const EndFacts& facts) {
    const bool killed = signal == SIGKILL;
    if (signal == SIGSYS) return EndReason::forbidden;
    if (killed && facts.out_of_memory) return EndReason::memory;
    if (signal == facts.sent_signal) return EndReason::stopped;
    if (facts.cpu_limited && (killed || signal == SIGXCPU)) return EndReason::cpu_time;
    return EndReason::signalled;
}

}  // namespace

void judge_end(const EndFacts& facts, ExecResult& result) {
    if (facts.exited == nullptr) {
        result.signal = SIGKILL;
        result.reason = facts.out_of_memory ? EndReason::memory : EndReason::stopped;
    } else if (const int status = facts.exited->wait_status; WIFEXITED(status)) {
        result.exit_code = WEXITSTATUS(status);
        // A shell tells so of what it ran.
        if (facts.out_of_memory && result.exit_code == 128 + SIGKILL) {
            result.reason = EndReason::memory;
        }
    } else {
        result.signal = WTERMSIG(status);
        result.reason = reason_of_signal(result.signal, facts);
    }
}

}  // namespace sphere::native
