#include "app/terminal/interrupt.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/core/check.h"

namespace app {
namespace {

// Signal handlers reach only what is static; the class above keeps it to one owner.
std::atomic<bool> g_raised{false};
std::atomic<bool> g_in_use{false};
int g_pipe[2] = {-1, -1};

void on_signal(int signal) {
    const int saved_errno = errno;
    if (g_raised.exchange(true)) ::_exit(128 + signal);
    const char byte = 1;
    [[maybe_unused]] const auto written = ::write(g_pipe[1], &byte, 1);
    errno = saved_errno;
}

}  // namespace

Interrupt::Interrupt(Signals signals) : signals_(signals) {
    DG_CHECK(!g_in_use.exchange(true), "two Interrupts at a time");
    DG_CHECK(::pipe(g_pipe) == 0, "pipe() failed");
    g_raised = false;
    struct sigaction action {};
    action.sa_handler = on_signal;  // without SA_RESTART: a blocked read must return
    ::sigaction(SIGINT, &action, &before_int_);
    if (signals_ == Signals::ctrl_c_and_term) ::sigaction(SIGTERM, &action, &before_term_);
}

Interrupt::~Interrupt() {
    ::sigaction(SIGINT, &before_int_, nullptr);
    if (signals_ == Signals::ctrl_c_and_term) ::sigaction(SIGTERM, &before_term_, nullptr);
    ::close(g_pipe[0]);
    ::close(g_pipe[1]);
    g_in_use = false;
}

bool Interrupt::raised() const {
    return g_raised;
}

bool Interrupt::any_raised() {
    return g_in_use && g_raised;
}

void Interrupt::clear() {
    pollfd readable{g_pipe[0], POLLIN, 0};
    char byte = 0;
    while (::poll(&readable, 1, 0) == 1 && ::read(g_pipe[0], &byte, 1) == 1) {
    }
    g_raised = false;
}

bool Interrupt::wait_ms(int milliseconds) const {
    pollfd readable{g_pipe[0], POLLIN, 0};
    if (!g_raised) ::poll(&readable, 1, milliseconds);
    return g_raised;
}

}  // namespace app
