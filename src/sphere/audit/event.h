#pragma once
// One thing that was done or refused, as it is asked to be recorded. The log adds sequence number,
// time and hashes. [WP 5.7]

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sphere/network_attempt.h"
#include "sphere/spec.h"

namespace sphere::audit {

class Redactor;

/// How a command ended.
struct Ending {
    std::string reason;  ///< end_reason_name
    int exit_code = 0;
    int signal = 0;
    std::uint64_t output_bytes = 0, output_dropped = 0;
    std::uint64_t wall_us = 0, cpu_us = 0, peak_memory_bytes = 0;
};

/// Empty texts and absent values are left out of the line.
struct AuditEvent {
    std::string event;          ///< "sandbox.create", "exec.end", "tool_rejected", "policy.load"
    std::string tenant, agent;  ///< for whom
    std::string actor;          ///< who asked: a key's name, a user, "server"
    std::string sandbox;        ///< where
    std::string backend;        ///< where, more closely: "native", "runsc"
    std::string what;           ///< argv, tool name, path
    std::string decision;       ///< "allow", "deny", "ask"; with "dry-run: " in front in dry runs
    std::string policy, rule;   ///< that decided
    std::string reason;         ///< why, for people
    std::optional<Limits> limits;  ///< of the sandbox
    std::optional<Ending> ending;
    std::optional<std::uint64_t> bytes_in, bytes_out;
    std::vector<std::string> files_changed;
    std::uint64_t files_changed_more = 0;  ///< beyond those listed
    std::vector<NetworkAttempt> network;
    std::uint64_t network_more = 0;  ///< attempts beyond those listed
    std::map<std::string, std::string> details;
};

/// A text is cut here, after redaction, and says how long it was; a list names this many and counts
/// the rest. So a line has a bound whatever a sandbox does.
inline constexpr std::size_t kTextBytesMax = 4096;
inline constexpr std::size_t kListMax = 64;

/// The event's members as JSON without braces: `"event":"exec.end","tenant":...`. Every text passes
/// through `redactor` first.
std::string event_members(const AuditEvent& event, const Redactor& redactor);

}  // namespace sphere::audit
