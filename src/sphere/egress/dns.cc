#include "sphere/egress/dns.h"

namespace sphere::egress {
namespace {

constexpr std::size_t kHead = 12, kNameMax = 255;
constexpr std::uint32_t kSeconds = 60;  // how long an answer may be kept

std::uint16_t number_at(std::string_view bytes, std::size_t at) {
    return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 |
                                      static_cast<unsigned char>(bytes[at + 1]));
}

void append_number(std::string& out, std::uint32_t value, int bytes) {
    for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
        out += static_cast<char>(value >> shift & 0xff);
    }
}

char plain(char c) {
    if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
    const bool host = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    return host ? c : '?';
}

}  // namespace

std::optional<DnsQuestion> read_dns_query(std::string_view message) {
    if (message.size() < kHead) return std::nullopt;
    const std::uint16_t flags = number_at(message, 2);
    // A query, of the standard kind, with one question; answers in it make no sense.
    if ((flags & 0xf800) != 0 || number_at(message, 4) != 1 || number_at(message, 6) != 0) {
        return std::nullopt;
    }
    DnsQuestion question;
    question.id = number_at(message, 0);
    question.recursion = (flags & 0x0100) != 0;
    std::size_t at = kHead;
    for (;;) {
        if (at >= message.size()) return std::nullopt;
        const std::size_t length = static_cast<unsigned char>(message[at++]);
        if (length == 0) break;
        // Pointers have no place in the first name of a message.
        if (length > 63 || at + length > message.size()) return std::nullopt;
        if (!question.name.empty()) question.name += '.';
        for (std::size_t i = 0; i < length; ++i) question.name += plain(message[at + i]);
        at += length;
        if (at - kHead > kNameMax) return std::nullopt;
    }
    if (at + 4 > message.size()) return std::nullopt;
    question.type = number_at(message, at);
    question.kind = number_at(message, at + 2);
    question.wire = message.substr(kHead, at + 4 - kHead);
    return question;
}

std::string dns_answer(const DnsQuestion& question, DnsCode code,
                       const std::optional<net::Address>& address) {
    const bool answered = code == DnsCode::ok && address &&
                          question.kind == DnsQuestion::kInternet &&
                          question.type == (address->v6 ? DnsQuestion::kAaaa : DnsQuestion::kA);
    std::string out;
    append_number(out, question.id, 2);
    append_number(
        out, 0x8080u | (question.recursion ? 0x0100u : 0) | static_cast<std::uint32_t>(code), 2);
    append_number(out, 1, 2);
    append_number(out, answered ? 1 : 0, 2);
    append_number(out, 0, 4);
    out += question.wire;
    if (!answered) return out;
    const std::size_t bytes = address->v6 ? 16 : 4;
    append_number(out, 0xc000u | kHead, 2);  // the question's name
    append_number(out, question.type, 2);
    append_number(out, question.kind, 2);
    append_number(out, kSeconds, 4);
    append_number(out, static_cast<std::uint32_t>(bytes), 2);
    for (std::size_t i = 0; i < bytes; ++i) out += static_cast<char>(address->bytes[i]);
    return out;
}

}  // namespace sphere::egress
