#include "agent/mcp/header_check.h"

#include <fmt/format.h>

#include <charconv>
#include <string>

#include "agent/mcp/task_board.h"
#include "base/core/base64.h"

namespace agent::mcp {
namespace {

using base::http::Headers;

RpcError mismatch(std::string message) {
    return {kHeaderMismatch, std::move(message), nullptr};
}

/// As it was before it became a header. Nothing: no plain ASCII, or no Base64.
std::optional<std::string> decoded(std::string_view value) {
    constexpr std::string_view kBegin = "=?base64?", kEnd = "?=";
    if (value.starts_with(kBegin) && value.ends_with(kEnd) &&
        value.size() >= kBegin.size() + kEnd.size()) {
        value.remove_prefix(kBegin.size());
        value.remove_suffix(kEnd.size());
        return base::base64_decode(value);
    }
    for (const char c : value) {
        if ((c < ' ' && c != '\t') || c > '~') return std::nullopt;
    }
    return std::string(value);
}

std::optional<double> as_number(std::string_view text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

bool same(std::string_view header, const json::value& value) {
    if (value.is_string()) return header == std::string_view(value.get_string());
    if (value.is_bool()) return header == (value.get_bool() ? "true" : "false");
    if (value.is_number()) return as_number(header) == value.to_number<double>();
    return false;
}

std::optional<RpcError> check_marked(const Headers& headers, const json::object& schema,
                                     const json::object& arguments) {
    const json::value* properties = schema.if_contains("properties");
    if (properties == nullptr || !properties->is_object()) return std::nullopt;
    for (const auto& [name, property] : properties->get_object()) {
        const json::object* rule = property.if_object();
        if (rule == nullptr) continue;
        const json::value* given = arguments.if_contains(name);
        if (const json::value* mark = rule->if_contains("x-mcp-header");
            mark != nullptr && mark->is_string()) {
            const std::string header = fmt::format("Mcp-Param-{}", std::string(mark->get_string()));
            const bool expected = given != nullptr && !given->is_null();
            if (expected != headers.has(header)) {
                return mismatch(fmt::format("header {} is {}, argument '{}' is {}", header,
                                            headers.has(header) ? "there" : "missing",
                                            std::string(name), expected ? "there" : "not"));
            }
            if (!expected) continue;
            const auto text = decoded(headers.get(header));
            if (!text || !same(*text, *given)) {
                return mismatch(
                    fmt::format("header {} differs from argument '{}'", header, std::string(name)));
            }
        }
        if (given != nullptr && given->is_object()) {
            if (auto wrong = check_marked(headers, *rule, given->get_object())) return wrong;
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<RpcError> check_standard_headers(const Headers& headers, const Message& request) {
    if (headers.get("Mcp-Method") != request.method) {
        return mismatch(fmt::format("header Mcp-Method is '{}', the body's method is '{}'",
                                    headers.get("Mcp-Method"), request.method));
    }
    const char* field = nullptr;
    if (request.method == "resources/read") field = "uri";
    if (request.method == "tools/call" || request.method == "prompts/get") field = "name";
    if (is_task_method(request.method)) field = "taskId";
    if (field == nullptr) return std::nullopt;
    const json::value* value = request.params.if_contains(field);
    if (value == nullptr || !value->is_string()) return std::nullopt;  // refused for that later
    const auto name = decoded(headers.get("Mcp-Name"));
    if (!headers.has("Mcp-Name") || !name || *name != std::string_view(value->get_string())) {
        return mismatch(fmt::format("header Mcp-Name is '{}', '{}' of the body is '{}'",
                                    headers.get("Mcp-Name"), field,
                                    std::string(value->get_string())));
    }
    return std::nullopt;
}

std::optional<RpcError> check_version_header(const Headers& headers, const Message& request) {
    const json::value& version =
        request.params.at("_meta").at("io.modelcontextprotocol/protocolVersion");
    if (version.is_string() && headers.get("MCP-Protocol-Version") == version.get_string()) {
        return std::nullopt;
    }
    return mismatch(fmt::format("header MCP-Protocol-Version is '{}', the body says {}",
                                headers.get("MCP-Protocol-Version"), json::serialize(version)));
}

std::optional<RpcError> check_parameter_headers(const Headers& headers, const Message& request,
                                                const json::object& input_schema) {
    static const json::object kNone;
    const json::value* arguments = request.params.if_contains("arguments");
    return check_marked(
        headers, input_schema,
        arguments != nullptr && arguments->is_object() ? arguments->get_object() : kNone);
}

}  // namespace agent::mcp
