#include "sphere/native/closed_ports.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "base/files/files.h"

namespace sphere::native {
namespace {

constexpr std::uint64_t kTextBytesMax = 256u << 10;

/// Takes the next word of `line`; empty at its end.
std::string_view next_word(std::string_view& line) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    const std::string_view word = line.substr(0, line.find_first_of(" \t"));
    line.remove_prefix(word.size());
    return word;
}

std::string_view next_line(std::string_view& text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    return line;
}

std::uint64_t number_of(std::string_view word) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    return error == std::errc() && end == word.data() + word.size() ? number : 0;
}

/// Two lines begin with the protocol: names, then numbers in their order.
std::uint64_t counter_in_rows(std::string_view text, std::string_view protocol,
                              std::string_view name) {
    while (!text.empty()) {
        std::string_view names = next_line(text);
        if (next_word(names) != protocol) continue;
        std::string_view numbers = next_line(text);
        if (next_word(numbers) != protocol) return 0;
        for (;;) {
            const std::string_view each = next_word(names), number = next_word(numbers);
            if (each.empty() || number.empty()) return 0;
            if (each == name) return number_of(number);
        }
    }
    return 0;
}

/// A name and a number a line.
std::uint64_t counter_in_lines(std::string_view text, std::string_view name) {
    while (!text.empty()) {
        std::string_view line = next_line(text);
        if (next_word(line) == name) return number_of(next_word(line));
    }
    return 0;
}

}  // namespace

ClosedPorts parse_closed_ports(std::string_view snmp, std::string_view snmp6) {
    return {.datagrams =
                counter_in_rows(snmp, "Udp:", "NoPorts") + counter_in_lines(snmp6, "Udp6NoPorts"),
            .connections = counter_in_rows(snmp, "Tcp:", "AttemptFails")};
}

std::optional<ClosedPorts> read_closed_ports(int pid) {
    const auto snmp = base::read_file(fmt::format("/proc/{}/net/snmp", pid), kTextBytesMax);
    if (!snmp) return std::nullopt;
    const auto snmp6 = base::read_file(fmt::format("/proc/{}/net/snmp6", pid), kTextBytesMax);
    return parse_closed_ports(*snmp, snmp6 ? *snmp6 : std::string());
}

}  // namespace sphere::native
