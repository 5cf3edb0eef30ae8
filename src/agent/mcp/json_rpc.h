#pragma once
// JSON-RPC 2.0 as the Model Context Protocol uses it: one message at a time, ids that are never
// null, errors with the codes the protocol gives a meaning.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/json/json.h"

namespace agent::mcp {

namespace json = base::json;

inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
inline constexpr int kMethodNotFound = -32601;
inline constexpr int kInvalidParams = -32602;
inline constexpr int kInternalError = -32603;
inline constexpr int kHeaderMismatch = -32020;
inline constexpr int kMissingCapability = -32021;
inline constexpr int kUnsupportedVersion = -32022;

/// What a peer sent.
struct Message {
    enum class Kind : std::uint8_t { request, notification, response };
    Kind kind = Kind::request;
    json::value id;        ///< a text or a whole number; null for notifications
    std::string method;    ///< empty for responses
    json::object params;   ///< {} when absent
    json::object outcome;  ///< of a response: {"result": ...} or {"error": ...}
};

/// Why something is refused, as it goes over the wire.
struct RpcError {
    int code = kInternalError;
    std::string message;
    json::value data = nullptr;  ///< left out when null
};

/// Errors: invalid_argument: neither of the three kinds, with what is wrong.
base::Result<Message> read_message(const json::value& value);

json::object request_of(json::value id, std::string_view method, json::object params);
json::object notification_of(std::string_view method, json::object params);
json::object result_of(const json::value& id, json::object result);
/// A null id is left out: it could not be read.
json::object error_of(const json::value& id, const RpcError& error);

}  // namespace agent::mcp
