#pragma once
// Ctrl-C and SIGTERM as something a loop can ask about. While one of these lives, the signal stops
// the work and not the program.

#include <csignal>

namespace app {

/// Only one at a time. The second signal without a clear() in between ends the process at once.
class Interrupt {
public:
    enum class Signals { ctrl_c, ctrl_c_and_term };
    explicit Interrupt(Signals signals);
    ~Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    /// A signal came since construction or the last clear().
    bool raised() const;
    /// Like raised(), for code that does not know whether anybody installed one.
    static bool any_raised();
    void clear();
    /// Blocks until a signal comes, at most `milliseconds`. True when raised().
    bool wait_ms(int milliseconds) const;

private:
    Signals signals_;
    struct sigaction before_int_ {};
    struct sigaction before_term_ {};
};

}  // namespace app
