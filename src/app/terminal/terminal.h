#pragma once
// The person's side of the program: what goes to stdout and stderr, colours, width. Colours and
// progress bars appear on a terminal only, and colours never when NO_COLOR is set.

#include <cstddef>
#include <string>
#include <string_view>

#include "app/config/load.h"

namespace app {

enum class Style { plain, bold, dim, red, green, yellow, cyan };

class Terminal {
public:
    explicit Terminal(const Environment& environment);

    bool stdin_is_terminal() const { return stdin_is_terminal_; }
    bool stdout_is_terminal() const { return stdout_is_terminal_; }
    bool stderr_is_terminal() const { return stderr_is_terminal_; }
    /// Columns of the terminal; 80 when there is none.
    std::size_t width() const;

    /// Answers and data. Flushed, so that a pipe sees each piece as it comes. False when the reader
    /// is gone (a closed pipe).
    bool out(std::string_view text) const;
    /// Everything else: progress, statistics, hints.
    void err(std::string_view text) const;

    std::string out_styled(Style style, std::string_view text) const;
    std::string err_styled(Style style, std::string_view text) const;

private:
    bool stdin_is_terminal_, stdout_is_terminal_, stderr_is_terminal_, colours_;
};

}  // namespace app
