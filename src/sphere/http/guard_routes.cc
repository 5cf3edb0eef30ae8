#include "sphere/http/guard_routes.h"

#include <algorithm>
#include <charconv>

#include "base/api/error_answer.h"
#include "base/http/server.h"
#include "base/json/object_reader.h"
#include "sphere/audit/query.h"
#include "sphere/http/request_parts.h"
#include "sphere/http/spec_json.h"
#include "sphere/spec_words.h"

namespace sphere {
namespace {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::Result;
using base::http::Request;
using base::http::ResponderPtr;
using base::http::Response;

constexpr std::size_t kWaitingMax = 64;
constexpr std::size_t kEventsDefault = 100, kEventsMax = 1000;

json::array texts(const std::vector<std::string>& all) {
    return json::array(all.begin(), all.end());
}

json::object to_json(const policy::Policy& policy) {
    json::array roots, secrets, rules;
    for (const auto rule : policy.roots)
        roots.push_back(json::string(word_of(policy::kRootRules, rule)));
    for (const policy::SecretGrant& grant : policy.secrets) {
        secrets.push_back(json::object{{"name", grant.name},
                                       {"environment", grant.environment},
                                       {"header", grant.header},
                                       {"domains", texts(grant.domains)}});
    }
    for (const policy::ToolRule& rule : policy.rules) {
        rules.push_back(json::object{{"id", rule.id},
                                     {"effect", policy::effect_name(rule.effect)},
                                     {"tools", texts(rule.tools)},
                                     {"reason", rule.reason}});
    }
    return {{"name", policy.name},
            {"revision", policy.revision},
            {"tenants", texts(policy.tenants)},
            {"agents", texts(policy.agents)},
            {"dry_run", policy.dry_run},
            {"audit", policy::audit_level_name(policy.audit)},
            {"isolation_min", isolation_name(policy.isolation_min)},
            {"roots", std::move(roots)},
            {"limits", to_json(policy.limits)},
            {"network", to_json(policy.network)},
            {"secrets", std::move(secrets)},
            {"may_leave", texts(policy.may_leave)},
            {"tools", std::move(rules)}};
}

json::object to_json(const policy::Explanation& explained) {
    const policy::Decision& decision = explained.decision;
    json::array rules;
    for (const policy::RuleTrace& trace : explained.rules) {
        rules.push_back(json::object{{"rule", trace.rule},
                                     {"effect", policy::effect_name(trace.effect)},
                                     {"matches", trace.matches},
                                     {"why", trace.why}});
    }
    return {{"object", "policy.decision"},
            {"effect", policy::effect_name(decision.effect)},
            {"cause", policy::cause_name(decision.cause)},
            {"policy", decision.policy},
            {"rule", decision.rule},
            {"reason", decision.reason},
            {"enforced", decision.enforced},
            {"rules", std::move(rules)}};
}

/// What a tenant may know of: policies that name it, or everybody.
Response policies_answer(policy::PolicyStore& store, const std::string* tenant) {
    const auto set = store.policies();
    const auto fresh = store.check_fresh();
    json::array data;
    for (const policy::Policy* each : set->list()) {
        const auto names = [&](const std::string& name) { return name == "*" || name == *tenant; };
        if (tenant == nullptr || std::ranges::any_of(each->tenants, names)) {
            data.push_back(to_json(*each));
        }
    }
    return json_answer(200, {{"object", "list"},
                             {"source", store.source()},
                             {"digest", store.digest()},
                             {"stale", fresh ? "" : fresh.error().message},
                             {"data", std::move(data)}});
}

Result<std::uint64_t> number_param(const Request& request, std::string_view name,
                                   std::uint64_t value, std::uint64_t most) {
    const auto text = request.query_param(name);
    if (!text) return value;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error == std::errc() && end == text->data() + text->size() && value >= 1 && value <= most) {
        return value;
    }
    return fail_on(std::string(name), Code::invalid_argument,
                   "'{}' is '{}'; it is a number from 1 to {}", name, text->substr(0, 32), most);
}

Response stops_answer(const policy::StopBoard& board, const std::string* tenant) {
    json::array data;
    for (const policy::Stop& stop : board.list()) {
        const std::string& whose = stop.scope.tenant;
        if (tenant != nullptr && !whose.empty() && whose != *tenant) continue;
        data.push_back(json::object{{"tenant", whose},
                                    {"agent", stop.scope.agent},
                                    {"sandbox", stop.scope.sandbox},
                                    {"epoch", stop.epoch},
                                    {"created_at", stop.unix_ns / 1'000'000'000},
                                    {"actor", stop.actor},
                                    {"reason", stop.reason}});
    }
    return json_answer(200,
                       {{"object", "list"}, {"epoch", board.epoch()}, {"data", std::move(data)}});
}

}  // namespace

GuardApi::GuardApi(guard::GuardedSphere& sphere) : sphere_(sphere), calls_(1, kWaitingMax) {}

/// Every call reads files or waits for a disk, so none runs on a network thread.
void GuardApi::route(base::http::Router& router, std::string_view method, std::string_view pattern,
                     Call call) {
    calls_.route(router, method, pattern,
                 [this, call](const Request& request) { return (this->*call)(request); });
}

void GuardApi::register_routes(base::http::Router& router) {
    route(router, "GET", "/v1/policies", &GuardApi::policies);
    route(router, "POST", "/v1/policies/decide", &GuardApi::decide);
    route(router, "GET", "/v1/audit", &GuardApi::audit);
    route(router, "GET", "/v1/emergency_stop", &GuardApi::stops);
    route(router, "GET", "/admin/v1/policies", &GuardApi::all_policies);
    route(router, "POST", "/admin/v1/policies/reload", &GuardApi::reload);
    route(router, "GET", "/admin/v1/audit", &GuardApi::all_audit);
    route(router, "GET", "/admin/v1/emergency_stop", &GuardApi::all_stops);
}

Result<Response> GuardApi::policies(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    return policies_answer(sphere_.parts().policies, &tenant);
}

Result<Response> GuardApi::all_policies(const Request&) {
    return policies_answer(sphere_.parts().policies, nullptr);
}

Result<Response> GuardApi::decide(const Request& request) {
    policy::ToolRequest call;
    bool dry_run = true;
    const json::object body = DG_TRY(body_of(request));
    call.tenant = DG_TRY(tenant_of(request));
    base::ObjectReader in(body);
    in.text("agent", call.agent, 128);
    in.text("tool", call.tool, 256);
    if (in.has("arguments")) {
        call.arguments = body.at("arguments");
        if (!call.arguments.is_object()) in.fault("arguments", "must be an object");
    }
    in.texts("data", call.data, 64, 128);
    in.flag("dry_run", dry_run);
    if (call.tool.empty()) in.fault("tool", "is missing: which tool is to be called?");
    DG_TRY(in.done());
    if (dry_run) return json_answer(200, to_json(sphere_.explain(call)));
    return json_answer(200, to_json(DG_TRY(sphere_.decide(call))));
}

Result<Response> GuardApi::reload(const Request&) {
    DG_TRY(sphere_.reload_policies());
    return policies_answer(sphere_.parts().policies, nullptr);
}

Result<Response> GuardApi::events(const Request& request, std::string tenant) {
    audit::RecentQuery query;
    query.filter.tenant = std::move(tenant);
    query.filter.agent = request.query_param("agent").value_or("");
    query.filter.sandbox = request.query_param("sandbox").value_or("");
    query.filter.event = request.query_param("event").value_or("");
    query.lines_max = DG_TRY(number_param(request, "limit", kEventsDefault, kEventsMax));
    query.before_seq = DG_TRY(number_param(request, "before", UINT64_MAX, UINT64_MAX));
    audit::AuditLog& log = sphere_.parts().log;
    const auto synced = log.sync();  // what was acknowledged is in the answer
    const auto found = DG_TRY(audit::recent_events(log.dir(), query));
    std::string text = R"({"object":"list","data":[)";
    for (const std::string& line : found.lines) {
        if (text.back() == '}') text += ',';
        text += line;  // JSON as it stands in the log, hash and all
    }
    json::object rest = {{"has_more", found.more},
                         {"next_before", found.oldest_seq},
                         {"head", audit::head_text(log.durable())},
                         {"fault", synced ? "" : synced.error().message}};
    text += "]," + base::to_text(rest).substr(1);
    return base::http::text_response(200, "application/json", std::move(text));
}

Result<Response> GuardApi::audit(const Request& request) {
    std::string tenant = DG_TRY(tenant_of(request));
    if (request.query_param("tenant").value_or(tenant) != tenant) {
        return fail_on("tenant", Code::permission_denied,
                       "a tenant sees its own events; /admin/v1/audit has all of them");
    }
    return events(request, std::move(tenant));
}

Result<Response> GuardApi::all_audit(const Request& request) {
    return events(request, request.query_param("tenant").value_or(""));
}

Result<Response> GuardApi::stops(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    return stops_answer(sphere_.parts().stops, &tenant);
}

Result<Response> GuardApi::all_stops(const Request&) {
    return stops_answer(sphere_.parts().stops, nullptr);
}

}  // namespace sphere
