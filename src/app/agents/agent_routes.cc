#include "app/agents/agent_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <mutex>

#include "agent/compile/compile.h"
#include "base/api/error_answer.h"
#include "base/api/operations.h"
#include "base/api/request_parts.h"
#include "base/http/server.h"
#include "base/json/object_reader.h"

namespace app {

namespace json = base::json;
using base::Code;
using base::Result;
using base::api::json_answer;
using base::http::Request;
using base::http::Response;

namespace {

json::object head_json(const flow::Deployed& one) {
    return {{"object", "agent"},
            {"name", agent::agent_of(one.name)},
            {"workflow", one.name},
            {"version", one.version},
            {"description", one.description},
            {"created_unix_ms", one.created_ms}};
}

/// What a run of an agent is asked with, as the workflow's run wants it.
Result<std::string> start_body(const Request& request) {
    json::object body = DG_TRY(base::api::body_of(request));
    json::object input, out;
    for (auto& [name, value] : body) {
        const bool of_input = name == "goal" || name == "context" || name == "history";
        (of_input ? input : out)[name] = value;
    }
    if (out.contains("input")) {
        return base::fail_on("input", Code::invalid_argument,
                             "an agent takes 'goal', 'context' and 'history', not 'input'");
    }
    const json::value* goal = input.if_contains("goal");
    if (goal == nullptr || !goal->is_string() || goal->get_string().empty()) {
        return base::fail_on("goal", Code::invalid_argument,
                             "'goal' is missing: what the agent is to do, in words");
    }
    out["input"] = std::move(input);
    json::value& labels = out["labels"];
    if (labels.is_null()) labels = json::object();
    if (labels.is_object()) labels.get_object()["agent"] = request.param("name");
    return base::to_text(out);
}

const json::value* at(const json::value& value, std::string_view pointer) {
    boost::system::error_code none;
    return value.find_pointer(pointer, none);
}

/// What `begin` of a compiled pack is given: the pack, as far as people want to see it.
const json::value* pack_of(const json::value& document) {
    const json::value* steps = at(document, "/steps");
    if (steps == nullptr || !steps->is_array()) return nullptr;
    for (const json::value& step : steps->get_array()) {
        const json::value* id = at(step, "/id");
        if (id != nullptr && *id == "begin") return at(step, "/call/arguments/agent");
    }
    return nullptr;
}

}  // namespace

void AgentApi::register_routes(base::http::Router& router) {
    using Member = Result<Response> (AgentApi::*)(const Request&);
    const auto add = [&](std::string_view method, std::string_view pattern, Member member) {
        pool_.route(router, method, pattern,
                    [this, member](const Request& request) { return (this->*member)(request); });
    };
    add("POST", "/v1/agents", &AgentApi::deploy);
    add("GET", "/v1/agents", &AgentApi::list);
    add("POST", "/v1/agents/stop", &AgentApi::stop);
    add("GET", "/v1/agents/{name}", &AgentApi::show);
    add("DELETE", "/v1/agents/{name}", &AgentApi::remove);
    add("GET", "/v1/agent-schema", &AgentApi::schema);
    router.add("POST", "/v1/agents/{name}/runs",
               [&router](const Request& request, const base::http::ResponderPtr& responder) {
                   auto body = start_body(request);
                   if (!body) return responder->send(base::api::error_response(body.error()));
                   Request start = request;
                   start.path = fmt::format("/v1/workflows/{}/runs",
                                            agent::workflow_name(request.param("name")));
                   start.body = *std::move(body);
                   const auto match = router.match("POST", start.path);
                   start.params = match.params;
                   start.route = match.route;
                   (*match.handler)(start, responder);
               });
}

json::object AgentApi::paths() {
    using base::api::Operation;
    static constexpr std::array<std::string_view, 2> kDeploy = {"file", "dry_run"};
    static constexpr std::array kOperations = {
        Operation{.method = "post",
                  .path = "/v1/agents",
                  .summary = "Deploy a pack, YAML or JSON; each change is a version.",
                  .answer = "The agent; of a dry run what is wrong, by line and column.",
                  .body =
                      [] {
                          return base::parse_json(R"({"name": "helper",
                              "instructions": "You compute.", "tools": ["calculator"]})")
                              ->as_object();
                      },
                  .query = kDeploy,
                  .makes = true},
        Operation{.method = "get",
                  .path = "/v1/agents",
                  .summary = "Deployed agents.",
                  .answer = "The newest version of each."},
        Operation{.method = "get",
                  .path = "/v1/agents/{name}",
                  .summary = "One agent.",
                  .answer = "What its pack says."},
        Operation{.method = "delete",
                  .path = "/v1/agents/{name}",
                  .summary = "No new runs of it; open ones go on.",
                  .answer = "That it is gone."},
        Operation{.method = "get",
                  .path = "/v1/agent-schema",
                  .summary = "The JSON Schema of packs.",
                  .answer = "A JSON Schema."},
        Operation{.method = "post",
                  .path = "/v1/agents/stop",
                  .summary = "Emergency stop: cancel the open runs of one agent, or of all.",
                  .answer = "How many there were, and how many are stopped.",
                  .body =
                      [] {
                          return base::parse_json(
                                     R"({"agent": "coder", "why": "gone astray", "by": "ann"})")
                              ->as_object();
                      }},
        Operation{.method = "post",
                  .path = "/v1/agents/{name}/runs",
                  .summary = "Give an agent a goal; the run is one of /v1/runs.",
                  .answer = "Its id, once its start is durable, or how it ended.",
                  .body =
                      [] {
                          return base::parse_json(R"({"goal": "What is 17 % of 2340?",
                              "context": {"note": "data"}, "idempotency_key": "q-1",
                              "history": [{"role": "user", "content": "Hello"}],
                              "labels": {"team": "a"}, "wait_ms": 10000})")
                              ->as_object();
                      },
                  .makes = true},
    };
    return base::api::paths_of(kOperations, {});
}

Result<Response> AgentApi::deploy(const Request& request) {
    const std::string tenant = DG_TRY(base::api::tenant_of(request));
    const bool is_json = request.headers.get("Content-Type").find("json") != std::string_view::npos;
    const std::string file =
        request.query_param("file").value_or(is_json ? "pack.json" : "pack.yaml");
    if (DG_TRY(base::api::query_flag(request, "dry_run"))) {
        json::array faults;
        for (const base::Fault& fault :
             agent::read_pack_faults(request.body, file, tools_).faults) {
            faults.push_back({{"line", fault.line},
                              {"column", fault.column},
                              {"path", fault.path},
                              {"message", fault.message}});
        }
        const bool valid = faults.empty();
        return json_answer(200, {{"valid", valid}, {"faults", std::move(faults)}});
    }
    const agent::Pack pack = DG_TRY(agent::read_pack(request.body, file, tools_));
    DG_TRY(check_agents(tenant, pack));
    const std::string text = base::to_text(agent::compile(pack, tools_));
    const flow::Deployed deployed =
        DG_TRY(definitions_.deploy(tenant, text, agent::workflow_name(pack.name) + ".json"));
    json::object answer = head_json(deployed);
    answer["unchanged"] = deployed.unchanged;
    return json_answer(deployed.unchanged ? 200 : 201, answer);
}

/// Those it gives goals to are there, and none of them gives goals back to it, however far round:
/// without circles every chain of agents ends.
Result<void> AgentApi::check_agents(const std::string& tenant, const agent::Pack& pack) {
    std::vector<std::string> open = pack.agents, seen;
    while (!open.empty()) {
        const std::string name = std::move(open.back());
        open.pop_back();
        if (name == pack.name) {
            return base::fail_on(
                "agents", Code::invalid_argument,
                "one of the agents of '{}' gives goals to '{}', directly or through "
                "others; agents may not go round in circles",
                name, name);
        }
        if (std::ranges::count(seen, name) > 0) continue;
        seen.push_back(name);
        const auto definition = definitions_.find(tenant, agent::workflow_name(name), 0);
        if (!definition) {
            if (definition.error().code != Code::not_found)
                return std::unexpected(definition.error());
            return base::fail_on("agents", Code::failed_precondition,
                                 "there is no agent '{}', which '{}' names; deploy it first", name,
                                 pack.name);
        }
        const json::value* its = pack_of((*definition)->document);
        const json::value* more = its != nullptr ? at(*its, "/agents") : nullptr;
        if (more == nullptr || !more->is_array()) continue;
        for (const json::value& each : more->get_array()) open.emplace_back(each.as_string());
    }
    return {};
}

/// Open runs of one agent or of all. What they call ends with them: sandboxes are destroyed,
/// requests cut. All runs are cancelled in one commit, not one after another.
Result<Response> AgentApi::stop(const Request& request) {
    const std::string tenant = DG_TRY(base::api::tenant_of(request));
    const json::object body = DG_TRY(base::api::body_of(request));
    std::string agent, why = "emergency stop", by;
    base::ObjectReader in(body);
    in.text("agent", agent, 64);
    in.text("why", why, 1024);
    in.text("by", by, 256);
    DG_TRY(in.done());
    if (!agent.empty()) DG_TRY(definitions_.find(tenant, agent::workflow_name(agent), 0));
    std::vector<flow::RunId> runs;
    flow::RunFilter filter{.tenant = tenant, .status = "open", .limit = 1'000};
    if (!agent.empty()) filter.workflow = agent::workflow_name(agent);
    for (;;) {
        const auto page = DG_TRY(log_.list(filter));
        for (const flow::RunHead& head : page) {
            if (!agent::agent_of(head.workflow).empty()) runs.push_back(head.id);
        }
        if (page.size() < filter.limit) break;
        filter.after = page.back().id;
    }
    struct Waiting {
        std::mutex mutex;  // guards the rest
        std::condition_variable changed;
        std::size_t open = 0, stopped = 0;
    };
    const auto waiting = std::make_shared<Waiting>();
    waiting->open = runs.size();
    const std::string reason = by.empty() ? why : why + " (" + by + ")";
    runtime_.post([this, runs, reason, waiting] {
        for (const flow::RunId run : runs) {
            runtime_.engine().give(run, {flow::RunInput::Kind::cancel, reason},
                                   [waiting](const Result<void>& taken) {
                                       const std::lock_guard lock(waiting->mutex);
                                       --waiting->open;
                                       waiting->stopped += taken ? 1 : 0;
                                       waiting->changed.notify_all();
                                   });
        }
    });
    std::unique_lock lock(waiting->mutex);
    // Those of another process are stopped when it has looked; they are written down.
    waiting->changed.wait_for(lock, std::chrono::seconds(10), [&] { return waiting->open == 0; });
    return json_answer(200, {{"object", "agent_stop"},
                             {"agent", agent.empty() ? json::value() : json::value(agent)},
                             {"runs", runs.size()},
                             {"stopped", waiting->stopped}});
}

Result<Response> AgentApi::list(const Request& request) {
    json::array data;
    for (const flow::Deployed& one :
         DG_TRY(definitions_.list(DG_TRY(base::api::tenant_of(request))))) {
        if (!agent::agent_of(one.name).empty()) data.push_back(head_json(one));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> AgentApi::show(const Request& request) {
    const std::string tenant = DG_TRY(base::api::tenant_of(request));
    const auto definition =
        DG_TRY(definitions_.find(tenant, agent::workflow_name(request.param("name")), 0));
    json::object answer{{"object", "agent"},
                        {"name", agent::agent_of(definition->name)},
                        {"workflow", definition->name},
                        {"version", definition->version},
                        {"description", definition->description}};
    if (const json::value* pack = pack_of(definition->document)) answer["pack"] = *pack;
    return json_answer(200, answer);
}

Result<Response> AgentApi::remove(const Request& request) {
    const std::string name(request.param("name"));
    DG_TRY(definitions_.remove(DG_TRY(base::api::tenant_of(request)), agent::workflow_name(name)));
    return json_answer(200, {{"name", name}, {"removed", true}});
}

Result<Response> AgentApi::schema(const Request&) {
    return json_answer(200, agent::pack_schema());
}

}  // namespace app
