#pragma once
// WebSocket (RFC 6455): messages both ways over one connection, on the server's side and on the
// client's. Pings are answered and sent by the implementation; fragments are joined; text is
// checked to be UTF-8. Compression is not offered. Boost lives behind this header.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace base::http {

enum class MessageKind : std::uint8_t { text, binary };

/// Reasons of RFC 6455 section 7.4.1 that this program gives or tells apart.
namespace close_code {
inline constexpr std::uint16_t kNormal = 1000, kGoingAway = 1001, kNotAccepted = 1003,
                               kPolicy = 1008, kInternal = 1011, kTryLater = 1013;
inline constexpr std::uint16_t kLost = 1006;  ///< the connection broke: never sent, only told
}  // namespace close_code

struct WebSocketOptions {
    std::size_t message_bytes_max = 1024 * 1024;  ///< of one received; more closes with 1009
    std::size_t buffer_bytes_max = 1024 * 1024;   ///< sent and waiting for a slow reader
    /// Without a byte from the other side, whom a ping asks at half of it.
    std::chrono::seconds idle_timeout{120};
    std::chrono::seconds handshake_timeout{15};  ///< of opening and of closing
    std::string protocol = {};  ///< of a server: which of the client's protocols is spoken
};

/// The sending side. Thread-safe. Dropping the last copy closes with kGoingAway.
class WebSocket {
public:
    virtual ~WebSocket() = default;
    /// Queues one message. False, and nothing is queued: closed, or more than buffer_bytes_max
    /// would wait. WebSocketEvents::on_drained tells when it is worth trying again.
    virtual bool send(MessageKind kind, std::string_view message) = 0;
    /// Sends what is queued, then closes. `reason` is cut to the 123 bytes that fit.
    virtual void close(std::uint16_t code, std::string_view reason) = 0;
    /// No further message is read until go_on(): the other side then fills its buffers and waits.
    virtual void hold() = 0;
    virtual void go_on() = 0;
};
using WebSocketPtr = std::shared_ptr<WebSocket>;

/// The hearing side, called on the connection's own thread, one call at a time; must not block.
class WebSocketEvents {
public:
    virtual ~WebSocketEvents() = default;
    /// First, once; not called when the handshake fails.
    virtual void on_open(const WebSocketPtr& socket) = 0;
    virtual void on_message(MessageKind kind, std::string_view message) = 0;
    /// Everything queued has left, after a send() that found no room.
    virtual void on_drained() {}
    /// Last, once, also when the handshake fails; kLost when the connection broke.
    virtual void on_close(std::uint16_t code, std::string_view reason) = 0;
};

}  // namespace base::http
