#include "agent/loop/policy.h"

#include "agent/loop/fields.h"
#include "base/template/template.h"

namespace agent {

namespace json = base::json;

namespace {

bool names(std::string_view pattern, std::string_view tool) {
    if (!pattern.ends_with('*')) return pattern == tool;
    return tool.starts_with(pattern.substr(0, pattern.size() - 1));
}

}  // namespace

Decided decide(const json::value& policy, std::string_view tool, const json::value& arguments) {
    base::RenderOptions options;
    options.limits = {.output_bytes_max = 1u << 20,
                      .memory_bytes_max = 8u << 20,
                      .steps_max = 1'000'000,
                      .depth_max = 64};
    for (const json::value& rule : list_at(policy, "/rules")) {
        if (!names(text_at(rule, "/tool"), tool)) continue;
        Decided decided{text_at(rule, "/do"), text_at(rule, "/why")};
        if (const std::string when = text_at(rule, "/when"); !when.empty()) {
            const auto parsed = base::Expression::parse(when);
            const auto holds = parsed ? parsed->test({{"arguments", arguments}}, options)
                                      : base::Result<bool>(std::unexpected(parsed.error()));
            if (holds && !*holds) continue;
            if (!holds && decided.verdict == "allow") {
                decided = {"ask", "its rule cannot be decided: " + holds.error().message};
            }
        }
        return decided;
    }
    const std::string otherwise = text_at(policy, "/default");
    return {otherwise.empty() ? "deny" : otherwise, ""};
}

}  // namespace agent
