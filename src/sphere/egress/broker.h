#pragma once
// The one way out of a box in network mode egress or full. The box's network has no device but lo,
// and every address is local to it; what its programs connect to are sockets that the broker
// listens on. So a program that ignores proxies is served like one that uses them, and no packet
// ever leaves by itself. See README.md.
//
// Thread-safe. One thread of its own serves every box; look-ups run on a few more.

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "sphere/egress/upstream.h"
#include "sphere/network_attempt.h"
#include "sphere/secret_value.h"
#include "sphere/spec.h"

namespace sphere::egress {

/// A listening or datagram socket in a box's network.
struct Listener {
    enum class Kind : std::uint8_t {
        connections,  ///< wherever they go: the address they were made to is the target
        http_proxy,
        socks,
        dns_stream,
        dns_datagrams,
    };
    Kind kind = Kind::connections;
    base::UniqueFd socket;
};

/// What a box has used; exact, and readable while it changes.
struct Meter {
    std::atomic<std::uint64_t> calls{0}, refused{0}, bytes_out{0}, bytes_in{0};
    NetworkUse read() const { return {calls, refused, bytes_out, bytes_in}; }
};

class Broker {
public:
    struct Options {
        const base::Clock& clock;
        std::shared_ptr<Upstream> upstream;  ///< null: this host's
        /// Once for each attempt, when it has ended: a look-up, a connection, a request. On the
        /// broker's thread, which serves nobody meanwhile. May call attach and detach.
        std::function<void(const std::string& box, const NetworkAttempt&)> on_attempt;
    };
    static base::Result<std::unique_ptr<Broker>> start(Options options);
    ~Broker();  ///< cuts every connection

    /// Serves a box from now on. Errors: already_exists; invalid_argument for a secret that is too
    /// short to be found again in an answer.
    base::Result<std::shared_ptr<const Meter>> attach(const std::string& box,
                                                      const NetworkPolicy& policy,
                                                      const Secrets& secrets,
                                                      std::vector<Listener> listeners);
    /// From the next attempt on; connections that the new policy would refuse are cut. What was
    /// used so far counts. Errors: not_found.
    base::Result<void> set_policy(const std::string& box, const NetworkPolicy& policy);
    /// Cuts every connection of the box; returns when its last attempt was reported. Idempotent.
    void detach(const std::string& box);

private:
    class Impl;
    explicit Broker(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace sphere::egress
