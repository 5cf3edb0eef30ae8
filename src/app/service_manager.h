#pragma once
// Tells systemd how the service is doing, without its library: one datagram to $NOTIFY_SOCKET.
// Source: sd_notify(3).

#include <string>
#include <string_view>

namespace app {

class ServiceManager {
public:
    /// `socket`: the value of NOTIFY_SOCKET; empty: nobody listens and notify() does nothing.
    explicit ServiceManager(std::string socket) : socket_(std::move(socket)) {}

    /// For example "READY=1\nSTATUS=serving". False when there was somebody to tell and it failed.
    bool notify(std::string_view state) const;

private:
    std::string socket_;
};

}  // namespace app
