#include "app/terminal/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

namespace app {
namespace {

std::string styled(Style style, std::string_view text) {
    const auto code = [style] {
        switch (style) {
            case Style::plain:
                return 0;
            case Style::bold:
                return 1;
            case Style::dim:
                return 2;
            case Style::red:
                return 31;
            case Style::green:
                return 32;
            case Style::yellow:
                return 33;
            case Style::cyan:
                return 36;
        }
        return 0;
    }();
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

}  // namespace

Terminal::Terminal(const Environment& environment)
    : stdin_is_terminal_(::isatty(STDIN_FILENO) == 1),
      stdout_is_terminal_(::isatty(STDOUT_FILENO) == 1),
      stderr_is_terminal_(::isatty(STDERR_FILENO) == 1),
      colours_(!variable(environment, "NO_COLOR") && variable(environment, "TERM") != "dumb") {}

std::size_t Terminal::width() const {
    winsize size{};
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
        if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40) return size.ws_col;
    }
    return 80;
}

bool Terminal::out(std::string_view text) const {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() &&
           std::fflush(stdout) == 0;
}

void Terminal::err(std::string_view text) const {
    std::fwrite(text.data(), 1, text.size(), stderr);
    std::fflush(stderr);
}

std::string Terminal::out_styled(Style style, std::string_view text) const {
    return stdout_is_terminal_ && colours_ ? styled(style, text) : std::string(text);
}

std::string Terminal::err_styled(Style style, std::string_view text) const {
    return stderr_is_terminal_ && colours_ ? styled(style, text) : std::string(text);
}

}  // namespace app
