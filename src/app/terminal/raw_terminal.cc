#include "app/terminal/raw_terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "base/core/check.h"

namespace app {
namespace {

// A signal handler reaches only what is static.
std::atomic<int> g_resized{-1};

void on_winch(int) {
    const int saved_errno = errno;
    const char byte = 1;
    [[maybe_unused]] const auto written = ::write(g_resized.load(), &byte, 1);
    errno = saved_errno;
}

}  // namespace

RawTerminal::RawTerminal() {
    int ends[2];
    DG_CHECK(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0, "pipe2() failed");
    read_end_ = base::UniqueFd(ends[0]);
    write_end_ = base::UniqueFd(ends[1]);
    g_resized = ends[1];
    struct sigaction action {};
    action.sa_handler = on_winch;
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGWINCH, &action, &before_winch_);
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    raw_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

RawTerminal::~RawTerminal() {
    if (raw_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
    ::sigaction(SIGWINCH, &before_winch_, nullptr);
    g_resized = -1;
}

std::pair<std::uint16_t, std::uint16_t> RawTerminal::size() {
    winsize size{};
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO}) {
        if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0) {
            return {size.ws_col, size.ws_row};
        }
    }
    return {80, 24};
}

void RawTerminal::clear_resized() const {
    char bytes[64];
    while (::read(read_end_.get(), bytes, sizeof(bytes)) > 0) {
    }
}

}  // namespace app
