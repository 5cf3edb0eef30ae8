#include "sphere/launcher/channel.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace sphere::launcher {

void Packet::close_all() {
    for (; taken < fd_count; ++taken) ::close(fds[taken]);
}

int Packet::take() {
    return taken < fd_count ? fds[taken++] : -1;
}

Received receive(int socket, std::span<std::byte> buffer, Packet& packet) {
    packet.bytes = {};
    packet.fd_count = packet.taken = 0;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kDescriptorsMax)];
    iovec piece{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    ssize_t got;
    do {
        got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return errno == EAGAIN ? Received::nothing : Received::closed;
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
         part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count && packet.fd_count < kDescriptorsMax; ++i) {
            std::memcpy(&packet.fds[packet.fd_count++], CMSG_DATA(part) + i * sizeof(int),
                        sizeof(int));
        }
    }
    if (got == 0) {
        packet.close_all();
        return Received::closed;
    }
    packet.bytes = buffer.first(static_cast<std::size_t>(got));
    Head head;
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || !read_head(packet.bytes, head) ||
        head.descriptors != packet.fd_count) {
        packet.close_all();
        return Received::unsound;
    }
    return Received::packet;
}

bool send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kDescriptorsMax)] = {};
    iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (!fds.empty() && fds.size() <= kDescriptorsMax) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
        cmsghdr* const part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
        std::memcpy(CMSG_DATA(part), fds.data(), sizeof(int) * fds.size());
    }
    ssize_t sent;
    do {
        sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == static_cast<ssize_t>(bytes.size());
}

}  // namespace sphere::launcher
