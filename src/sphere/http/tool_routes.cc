#include "sphere/http/tool_routes.h"

#include <utility>

#include "base/json/json.h"
#include "base/json/object_reader.h"
#include "sphere/http/request_parts.h"
#include "sphere/http/spec_json.h"

namespace sphere {
namespace {

namespace json = base::json;
using base::Code;
using base::Result;
using base::http::Request;
using base::http::Response;

/// A worker waits for what a call runs.
constexpr std::size_t kThreads = 8, kWaitingMax = 64;

Result<void> admit(guard::GuardedSphere& sphere, const tools::ToolCaller& caller,
                   std::string_view tool, const json::object& arguments) {
    policy::ToolRequest request;
    request.tenant = caller.tenant;
    request.agent = caller.agent;
    request.tool = tool;
    request.arguments = arguments;
    const policy::Decision decision = DG_TRY(sphere.decide(request)).decision;
    if (!decision.blocks()) return {};
    const bool asks = decision.effect == policy::Effect::ask;
    return base::fail_on(std::string(tool), Code::permission_denied, "{} {}: {}", tool,
                         asks ? "needs a person's approval" : "is not allowed", decision.reason);
}

}  // namespace

ToolApi::ToolApi(guard::GuardedSphere& sphere, SessionManager& sessions,
                 tools::SandboxToolsOptions options)
    : tools_(sphere, sessions,
             [&] {
                 options.admit = [&sphere](const auto& caller, auto tool, const auto& arguments) {
                     return admit(sphere, caller, tool, arguments);
                 };
                 return std::move(options);
             }()),
      calls_(kThreads, kWaitingMax) {}

void ToolApi::register_routes(base::http::Router& router) {
    calls_.route(router, "GET", "/v1/sandboxes/tools", [](const Request&) -> Result<Response> {
        return json_answer(200, tools::SandboxTools::listing());
    });
    calls_.route(router, "POST", "/v1/sandboxes/tools/{name}",
                 [this](const Request& request) { return call(request); });
}

Result<Response> ToolApi::call(const Request& request) {
    tools::ToolCaller caller;
    caller.tenant = DG_TRY(tenant_of(request));
    const json::object body = DG_TRY(body_of(request));
    base::ObjectReader in(body);
    in.text("agent", caller.agent, 128);
    in.text("session", caller.session, 128);
    in.text("sandbox", caller.sandbox, 64);
    const json::value* spec = in.value("spec");
    const json::value* arguments = in.value("arguments");
    for (const auto& [name, value] : {std::pair{"spec", spec}, std::pair{"arguments", arguments}}) {
        if (value != nullptr && !value->is_object()) in.fault(name, "must be an object");
    }
    DG_TRY(in.done());
    if (spec != nullptr) {
        SandboxSpec wanted;
        wanted.tenant = caller.tenant;
        caller.spec = DG_TRY(read_spec(spec->get_object(), std::move(wanted)));
    }
    static const json::object kNone;
    return json_answer(200,
                       DG_TRY(tools_.call(caller, request.param("name"),
                                          arguments != nullptr ? arguments->get_object() : kNone)));
}

}  // namespace sphere
