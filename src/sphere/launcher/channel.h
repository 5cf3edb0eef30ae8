#pragma once
// SEQPACKET with descriptors, without heap: used by the launcher and the inits.

#include <cstddef>
#include <span>

#include "sphere/launcher/protocol.h"

namespace sphere::launcher {

/// One received packet. Descriptors not taken are closed by close_all.
struct Packet {
    std::span<std::byte> bytes;
    int fds[kDescriptorsMax];
    std::size_t fd_count = 0;

    void close_all();
    /// The next descriptor in order, or -1.
    int take();
    std::size_t taken = 0;
};

enum class Received { packet, closed, nothing, unsound };

/// Reads one packet into `buffer`. unsound: truncated, or its head disagrees with what came.
Received receive(int socket, std::span<std::byte> buffer, Packet& packet);
bool send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> fds = {});

template <class Message>
bool send_message(int socket, Message message, std::span<const int> fds = {}) {
    message.head.descriptors = static_cast<std::uint32_t>(fds.size());
    return send_packet(socket, std::as_bytes(std::span(&message, 1)), fds);
}

}  // namespace sphere::launcher
