#include "agent/mcp/call.h"

#include <array>
#include <cmath>

#include "agent/mcp/json_rpc.h"

namespace agent::mcp {
namespace {

constexpr std::array<std::string_view, 8> kLevels{"debug", "info",     "notice", "warning",
                                                  "error", "critical", "alert",  "emergency"};

}  // namespace

std::string_view level_name(LogLevel level) {
    return kLevels[static_cast<std::size_t>(level)];
}

std::optional<LogLevel> level_of(std::string_view name) {
    for (std::size_t i = 0; i < kLevels.size(); ++i) {
        if (kLevels[i] == name) return static_cast<LogLevel>(i);
    }
    return std::nullopt;
}

json::value number_of(double number) {
    constexpr double kExact = 9e15;
    if (number == std::floor(number) && std::abs(number) < kExact) {
        return static_cast<std::int64_t>(number);
    }
    return number;
}

std::string_view capability_of(std::string_view method) {
    if (method == "elicitation/create") return "elicitation";
    if (method == "sampling/createMessage") return "sampling";
    if (method == "roots/list") return "roots";
    return "";
}

bool Call::can(std::string_view method) const {
    const std::string_view name = capability_of(method);
    return !name.empty() && start_.capabilities.contains(name);
}

void Call::progress(double done, std::optional<double> total, std::string_view message) {
    if (start_.progress_token.is_null() || cancelled_) return;
    json::object params{{"progressToken", start_.progress_token}, {"progress", number_of(done)}};
    if (total) params["total"] = number_of(*total);
    if (!message.empty()) params["message"] = message;
    start_.send(notification_of("notifications/progress", std::move(params)));
}

void Call::log(LogLevel level, std::string_view logger, const json::value& data) {
    if (!start_.log_level || level < *start_.log_level || cancelled_) return;
    json::object params{{"level", level_name(level)}, {"data", data}};
    if (!logger.empty()) params["logger"] = logger;
    start_.send(notification_of("notifications/message", std::move(params)));
}

}  // namespace agent::mcp
