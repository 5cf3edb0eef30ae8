#pragma once
// The one error type that travels through Dougong. Failures are journaled, retried, counted and
// shown to people, so they are data: a code from a closed list and a message that says what failed,
// on which object, what was found, what was expected, and what to do next.

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace base {

/// What kind of failure. Callers branch on this and never on the wording of a message.
enum class Code : std::uint8_t {
    invalid_argument,     ///< the caller's input is wrong and will stay wrong
    not_found,            ///< the named object does not exist
    already_exists,       ///< it does, and was expected not to
    unauthenticated,      ///< who is asking is not known
    permission_denied,    ///< who is asking is known and may not
    failed_precondition,  ///< the system is not in the state this needs; retrying alone cannot help
    payload_too_large,    ///< input is over a stated limit
    resource_exhausted,   ///< a quota, queue or memory limit is reached; later may work
    deadline_exceeded,    ///< out of time
    cancelled,            ///< the caller went away or asked to stop
    unavailable,          ///< a dependency is down; retry with backoff
    data_loss,            ///< stored or received bytes are damaged
    unimplemented,        ///< understood, and not supported
    internal,             ///< a bug or an unexpected answer from a library
};

/// The code's name as written above, for logs, JSON and metrics.
std::string_view code_name(Code code);

/// The HTTP status that tells a client about this code. The only such table in the program.
int http_status(Code code);

/// The process exit status for this code; documented in `dougong --help`.
int exit_status(Code code);

struct Error {
    Code code = Code::internal;
    std::string message;
    /// Which input the message is about, when there is one: a JSON path, a flag, a file.
    std::string subject;

    /// Puts `context: ` before the message, for a caller that knows more than the callee.
    Error with_context(std::string_view context) &&;
    bool operator==(const Error&) const = default;
};

}  // namespace base
