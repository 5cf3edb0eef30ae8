#pragma once
// What a box with a broker sent to ports where nobody listens: the kernel refuses it inside the
// box's network, where no broker sees it, and counts it.

#include <cstdint>
#include <optional>
#include <string_view>

namespace sphere::native {

/// Since the network namespace was made. The box's own 127.0.0.1 counts like every address.
struct ClosedPorts {
    std::uint64_t datagrams = 0;    ///< UDP
    std::uint64_t connections = 0;  ///< TCP
};

/// Of /proc/<pid>/net/snmp and snmp6; a counter that is not there is 0.
ClosedPorts parse_closed_ports(std::string_view snmp, std::string_view snmp6);

/// In the network namespace of `pid`; nothing when it is gone.
std::optional<ClosedPorts> read_closed_ports(int pid);

}  // namespace sphere::native
