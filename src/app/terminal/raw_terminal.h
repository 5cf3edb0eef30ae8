#pragma once
// The terminal handed to a program elsewhere: every key goes to it as it is pressed.

#include <signal.h>
#include <termios.h>

#include <cstdint>
#include <utility>

#include "base/files/unique_fd.h"

namespace app {

/// While one lives, stdin is raw, when it is a terminal; its end puts back what was there, also
/// after an error. Only one at a time.
class RawTerminal {
public:
    RawTerminal();
    ~RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    /// Columns and rows of the terminal; 80 and 24 without one.
    static std::pair<std::uint16_t, std::uint16_t> size();
    /// Readable once the size has changed, until clear_resized().
    int resized_fd() const { return read_end_.get(); }
    void clear_resized() const;

private:
    bool raw_ = false;
    termios before_{};
    struct sigaction before_winch_ {};
    base::UniqueFd read_end_, write_end_;
};

}  // namespace app
