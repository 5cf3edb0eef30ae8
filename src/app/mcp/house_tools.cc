#include "app/mcp/house_tools.h"

#include <algorithm>
#include <chrono>

#include "base/core/nearest.h"
#include "memory/tools/memory_tools.h"

namespace app {

using agent::mcp::Outcome;
using base::Code;
using base::Result;
namespace json = base::json;

namespace {

/// In the record of sandboxes, and in policies.
constexpr std::string_view kAgent = "mcp";
constexpr std::chrono::seconds kMoment{1};

bool is_one_of(const auto& tools, std::string_view name) {
    return std::ranges::any_of(tools, [&](const auto& tool) { return tool.name == name; });
}

/// As tools/call answers: for programs, and the same as text for models.
json::object answer_of(Result<json::object> done) {
    json::array content;
    if (!done) {
        content.push_back(json::object{{"type", "text"}, {"text", done.error().message}});
        return {{"content", std::move(content)}, {"isError", true}};
    }
    content.push_back(json::object{{"type", "text"}, {"text", base::to_text(*done)}});
    return {{"content", std::move(content)}, {"structuredContent", *std::move(done)}};
}

}  // namespace

HouseTools::HouseTools(const Parts& parts)
    : memories_(parts.memories), sandboxes_(parts.sandboxes) {
    const auto offer = [&](json::object listing) {
        for (json::value& tool : listing.at("tools").as_array()) {
            listing_.push_back(std::move(tool.as_object()));
        }
    };
    if (memories_ != nullptr) offer(memory::MemoryTools::listing());
    if (sandboxes_ != nullptr) offer(sphere::tools::SandboxTools::listing());
    if (parts.runtime != nullptr) {
        workflows_.emplace(*parts.runtime, *parts.log, *parts.definitions);
        offer(flow::tools::WorkflowTools::listing());
    }
    std::ranges::sort(listing_, {},
                      [](const json::object& tool) { return tool.at("name").as_string(); });
}

std::vector<json::object> HouseTools::list(const agent::mcp::Caller&) const {
    return listing_;
}

Result<Outcome> HouseTools::call(std::string_view name, const json::object& arguments,
                                 agent::mcp::Exchange& exchange) {
    const agent::mcp::Caller& caller = exchange.caller();
    if (memories_ != nullptr && is_one_of(memory::MemoryTools::all(), name)) {
        memory::MemoryTools tools(*memories_,
                                  {.tenant = caller.tenant, .agent = std::string(kAgent)});
        return answer_of(tools.call(name, arguments));
    }
    if (workflows_ && is_one_of(flow::tools::WorkflowTools::all(), name)) {
        return answer_of(
            workflows_->call(caller.tenant, name, arguments, [&] { return exchange.cancelled(); }));
    }
    if (sandboxes_ != nullptr && is_one_of(sphere::tools::SandboxTools::all(), name)) {
        sphere::tools::ToolCaller as;
        as.tenant = caller.tenant;
        as.agent = kAgent;
        // A protocol without sessions names none: then all calls of such a client share a sandbox.
        as.session = caller.session.empty() ? "client/" + caller.client : caller.session;
        return DG_TRY(sandboxes_->call(as, name, arguments));
    }
    std::vector<std::string_view> known;
    for (const json::object& tool : listing_) known.push_back(tool.at("name").as_string());
    return base::fail(Code::not_found, "there is no tool '{}' here{}", name.substr(0, 64),
                      base::did_you_mean(name, known));
}

}  // namespace app
