#pragma once
// Internal to the broker: a stream to a peer that never blocks, with TLS of our own or without.

#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <string>

#include "base/core/result.h"
#include "base/files/unique_fd.h"

using SSL = struct ssl_st;
using SSL_CTX = struct ssl_ctx_st;

namespace sphere::egress {

enum class Ready : std::uint8_t { yes, later, failed };

class Link {
public:
    Link() = default;
    explicit Link(base::UniqueFd socket) : socket_(std::move(socket)) {}

    int fd() const { return socket_.get(); }
    explicit operator bool() const { return static_cast<bool>(socket_); }

    /// TLS as a client for `host`, whose certificate must name it. Then handshake() until it is not
    /// `later`. Errors: internal.
    base::Result<void> use_tls(SSL_CTX* context, const std::string& host);
    Ready handshake();
    bool wants_write() const { return wants_write_; }  ///< of a handshake that is `later`
    std::string failure() const { return failure_; }

    /// Bytes, 0 at the end, -1 with errno (EAGAIN: later).
    ssize_t read(char* to, std::size_t bytes);
    ssize_t write(const char* from, std::size_t bytes);
    /// Without TLS: 1 when a byte waits, 0 at the end, -1 when neither is known yet.
    ssize_t peek() const;
    void end_writing();
    void reset_on_close();  ///< the peer shall see an error, no end
    void close();

private:
    struct FreeSsl {
        void operator()(SSL* ssl) const;
    };
    ssize_t ssl_outcome(int result);

    base::UniqueFd socket_;
    std::unique_ptr<SSL, FreeSsl> ssl_;
    bool wants_write_ = false;
    std::string failure_;
};

}  // namespace sphere::egress
