#include "memory/http/memory_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/api/error_answer.h"
#include "memory/http/entry_json.h"
#include "memory/http/route_names.h"
#include "memory/tools/memory_tools.h"

namespace memory {
namespace {

constexpr std::size_t kDocumentsWaitingMax = 16;
constexpr std::string_view kDocuments = "/v1/knowledge/{base}/documents",
                           kDocument = "/v1/knowledge/{base}/documents/{id}",
                           kDocumentText = "/v1/knowledge/{base}/documents/{id}/text";

/// Who is written down as the one who changed it.
std::string by_of(const Request& request) {
    return std::string(request.headers.get("X-Dougong-Agent")).substr(0, 128);
}
MemoryId id_of(const Request& request) {
    return MemoryId(request.param("id"));
}

Result<std::vector<NewEntry>> read_batch(const json::object& body, std::string_view tenant) {
    if (body.size() != 1 || !body.at("memories").is_array()) {
        return fail_on("memories", Code::invalid_argument,
                       "a batch is {{\"memories\": [...]}} and nothing else");
    }
    std::vector<NewEntry> entries;
    for (const json::value& item : body.at("memories").get_array()) {
        const std::string path = fmt::format("memories[{}]", entries.size());
        if (!item.is_object()) {
            return fail_on(path, Code::invalid_argument, "'{}' must be an object", path);
        }
        entries.push_back(DG_TRY(read_new_entry(item.get_object(), tenant, path)));
    }
    return entries;
}

/// The filter of a listing, out of the query string.
Result<Filter> read_list_filter(const Request& request) {
    Filter filter;
    filter.scope.tenant = DG_TRY(tenant_of(request));
    for (const auto& [name, member] : {std::pair{"user", &Scope::user},
                                       {"agent", &Scope::agent},
                                       {"session", &Scope::session},
                                       {"run", &Scope::run}}) {
        filter.scope.*member = request.query_param(name).value_or("");
    }
    for (const std::string& name : base::api::query_all(request, "type")) {
        const auto type = memory_type_of(name);
        if (!type) {
            return fail_on("type", Code::invalid_argument,
                           "'type' is '{}', expected short_term, working, long_term, episodic or "
                           "semantic",
                           std::string_view(name).substr(0, 32));
        }
        filter.types.push_back(*type);
    }
    if (const auto text = request.query_param("metadata"); text && !text->empty()) {
        filter.metadata = DG_TRY(parse_metadata_expression(*text));
    }
    constexpr std::int64_t kFar = 253'402'300'800'000;
    filter.created.from_unix_ms = DG_TRY(query_number(request, "from_unix_ms", 0, kFar, 0));
    filter.created.to_unix_ms = DG_TRY(query_number(request, "to_unix_ms", 0, kFar, 0));
    return filter;
}

template <class Values>
json::array to_array(const Values& values) {
    json::array out;
    for (const auto& value : values) out.push_back(to_json(value));
    return out;
}

}  // namespace

MemoryApi::MemoryApi(MemoryStore& store, MemoryApiOptions options)
    : store_(store),
      tasks_(store),
      facts_(store),
      knowledge_(store.knowledge()),
      forgets_(store),
      compressions_(store),
      profiles_(store),
      metrics_(options.metrics == nullptr
                   ? nullptr
                   : std::make_unique<MemoryMetrics>(*options.metrics, store)),
      calls_(options.threads, options.queue_max),
      documents_(options.parsers, kDocumentsWaitingMax) {}

const std::vector<MemoryApi::Route>& MemoryApi::routes() {
    using Api = MemoryApi;
    static const auto mine = []<auto method>()->Call {
        return [](Api& api, const Request& request) { return (api.*method)(request); };
    };
    static const auto of_tasks = []<auto method>()->Call {
        return [](Api& api, const Request& request) { return (api.tasks_.*method)(request); };
    };
    static const auto of_facts = []<auto method>()->Call {
        return [](Api& api, const Request& request) { return (api.facts_.*method)(request); };
    };
    static const auto of_knowledge = []<auto method>()->Call {
        return [](Api& api, const Request& request) { return (api.knowledge_.*method)(request); };
    };
    static const auto of_forgets = []<auto method>()->Call {
        return [](Api& api, const Request& request) { return (api.forgets_.*method)(request); };
    };
    static const auto of_compressions = []<auto method>()->Call {
        return
            [](Api& api, const Request& request) { return (api.compressions_.*method)(request); };
    };
    static const auto of_profiles = []<auto method>()->Call {
        return [](Api& api, const Request& request) { return (api.profiles_.*method)(request); };
    };
    static const std::vector<Route> kRoutes = {
        {"POST", "/v1/memories", mine.operator()<&Api::add>()},
        {"GET", "/v1/memories", mine.operator()<&Api::list>()},
        {"POST", "/v1/memories/search", mine.operator()<&Api::search>()},
        {"GET", "/v1/memories/stats", mine.operator()<&Api::stats>()},
        {"POST", "/v1/memories/check", mine.operator()<&Api::check>()},
        {"GET", "/v1/memories/tools", mine.operator()<&Api::tools>()},
        {"POST", "/v1/memories/tools/{name}", mine.operator()<&Api::call_tool>()},
        {"POST", "/v1/memories/touch", mine.operator()<&Api::touch>()},
        {"POST", "/v1/memories/forget", of_forgets.operator()<&ForgetCalls::forget>()},
        {"GET", "/v1/memories/forgets", of_forgets.operator()<&ForgetCalls::list>()},
        {"GET", "/v1/memories/forgets/{id}", of_forgets.operator()<&ForgetCalls::show>()},
        {"POST", "/v1/memories/compress", of_compressions.operator()<&CompressCalls::compress>()},
        {"GET", "/v1/memories/compressions", of_compressions.operator()<&CompressCalls::list>()},
        {"GET", "/v1/memories/compressions/{id}",
         of_compressions.operator()<&CompressCalls::show>()},
        {"POST", "/v1/memories/compressions/{id}/undo",
         of_compressions.operator()<&CompressCalls::undo>()},
        {"GET", "/v1/memories/{id}", mine.operator()<&Api::show>()},
        {"PATCH", "/v1/memories/{id}", mine.operator()<&Api::update>()},
        {"DELETE", "/v1/memories/{id}", mine.operator()<&Api::remove>()},
        {"GET", "/v1/memories/{id}/history", mine.operator()<&Api::history>()},
        {"POST", "/v1/memories/{id}/restore", mine.operator()<&Api::restore>()},
        {"GET", "/v1/profiles", of_profiles.operator()<&ProfileCalls::list>()},
        {"GET", "/v1/profiles/{name}", of_profiles.operator()<&ProfileCalls::show>()},
        {"PUT", "/v1/profiles/{name}", of_profiles.operator()<&ProfileCalls::put>()},
        {"DELETE", "/v1/profiles/{name}", of_profiles.operator()<&ProfileCalls::remove>()},
        {"POST", "/v1/profiles/{name}/append", of_profiles.operator()<&ProfileCalls::append>()},
        {"POST", "/v1/profiles/{name}/replace", of_profiles.operator()<&ProfileCalls::replace>()},
        {"GET", "/v1/profiles/{name}/history", of_profiles.operator()<&ProfileCalls::history>()},
        {"POST", "/v1/profiles/{name}/restore", of_profiles.operator()<&ProfileCalls::restore>()},
        {"GET", "/v1/tasks", of_tasks.operator()<&TaskCalls::list>()},
        {"GET", "/v1/tasks/{task}", of_tasks.operator()<&TaskCalls::resume>()},
        {"DELETE", "/v1/tasks/{task}", of_tasks.operator()<&TaskCalls::remove>()},
        {"POST", "/v1/tasks/{task}/checkpoints", of_tasks.operator()<&TaskCalls::save>()},
        {"GET", "/v1/tasks/{task}/checkpoints", of_tasks.operator()<&TaskCalls::checkpoints>()},
        {"GET", "/v1/tasks/{task}/summary", of_tasks.operator()<&TaskCalls::summary>()},
        {"POST", "/v1/facts", of_facts.operator()<&FactCalls::add>()},
        {"GET", "/v1/facts", of_facts.operator()<&FactCalls::query>()},
        {"DELETE", "/v1/facts/{id}", of_facts.operator()<&FactCalls::retract>()},
        {"GET", "/v1/facts/contradictions", of_facts.operator()<&FactCalls::contradictions>()},
        {"GET", "/v1/facts/neighbours", of_facts.operator()<&FactCalls::neighbours>()},
        {"GET", "/v1/facts/graph", of_facts.operator()<&FactCalls::graph>()},
        {"GET", "/v1/facts/paths", of_facts.operator()<&FactCalls::paths>()},
        {"POST", "/v1/facts/aliases", of_facts.operator()<&FactCalls::add_alias>()},
        {"POST", "/v1/facts/extract", of_facts.operator()<&FactCalls::extract>()},
        {"GET", "/v1/knowledge", of_knowledge.operator()<&KnowledgeCalls::bases>()},
        {"POST", "/v1/knowledge/search", of_knowledge.operator()<&KnowledgeCalls::search>()},
        {"GET", "/v1/knowledge/conflicts", of_knowledge.operator()<&KnowledgeCalls::conflicts>()},
        {"GET", kDocuments, of_knowledge.operator()<&KnowledgeCalls::list>()},
        {"POST", kDocuments, of_knowledge.operator()<&KnowledgeCalls::put>(), true},
        {"PUT", kDocuments, of_knowledge.operator()<&KnowledgeCalls::put>(), true},
        {"GET", kDocument, of_knowledge.operator()<&KnowledgeCalls::show>()},
        {"DELETE", kDocument, of_knowledge.operator()<&KnowledgeCalls::remove>()},
        {"GET", kDocumentText, of_knowledge.operator()<&KnowledgeCalls::text>()},
    };
    return kRoutes;
}

void MemoryApi::register_routes(base::http::Router& router) {
    for (const Route& route : routes()) {
        (route.slow ? documents_ : calls_)
            .route(
                router, route.method, route.pattern,
                [this, call = route.call](const Request& request) { return call(*this, request); });
    }
}

Response MemoryApi::call(Request request) {
    // The router decides here, too, so that both ways in agree.
    Result<Response> answer = fail_on("", Code::not_found, "there is no {}", request.path);
    base::http::Router router;
    for (const Route& route : routes()) {
        router.add(route.method, route.pattern,
                   [&, call = route.call](const Request& matched, const base::http::ResponderPtr&) {
                       answer = call(*this, matched);
                   });
    }
    auto match = router.match(request.method, request.path);
    if (match.handler != nullptr) {
        request.params = std::move(match.params);
        request.route = std::move(match.route);
        (*match.handler)(request, nullptr);
    }
    return answer ? std::move(*answer) : base::api::error_response(answer.error());
}

Result<Response> MemoryApi::add(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const json::object body = DG_TRY(body_of(request));
    const bool one = !body.contains("memories");
    const auto entries = one ? std::vector{DG_TRY(read_new_entry(body, tenant, ""))}
                             : DG_TRY(read_batch(body, tenant));
    const auto added = store_.add(entries, by_of(request));
    if (metrics_ != nullptr) {
        if (added) metrics_->added(*added);
        if (!added) metrics_->write_refused();
    }
    if (!added) return std::unexpected(added.error());
    if (!one) return json_answer(201, {{"object", "list"}, {"data", to_array(*added)}});
    return json_answer(added->front().how == Added::How::added ? 201 : 200,
                       to_json(added->front()));
}

Result<Response> MemoryApi::list(const Request& request) {
    const Filter filter = DG_TRY(read_list_filter(request));
    const auto limit = DG_TRY(query_number(request, "limit", 1, 1000, 50));
    const std::string order = request.query_param("order").value_or("desc");
    if (order != "asc" && order != "desc") {
        return fail_on("order", Code::invalid_argument, "'order' is '{}', expected asc or desc",
                       order.substr(0, 32));
    }
    const Page page = DG_TRY(
        store_.list(filter, order == "asc" ? Order::created_ascending : Order::created_descending,
                    static_cast<std::uint32_t>(limit), request.query_param("cursor").value_or("")));
    return json_answer(200,
                       {{"object", "list"}, {"data", to_array(page.entries)}, {"next", page.next}});
}

Result<Response> MemoryApi::search(const Request& request) {
    static const base::SystemClock kClock;
    const Query query = DG_TRY(read_query(DG_TRY(body_of(request)), DG_TRY(tenant_of(request))));
    const base::Instant began = kClock.now();
    const auto answer = store_.search(query);
    if (metrics_ != nullptr) metrics_->searched(answer, kClock.now() - began);
    return json_answer(200, to_json(DG_TRY(answer), query.explain));
}

Result<Response> MemoryApi::stats(const Request&) {
    return json_answer(200, to_json(store_.stats()));
}

Result<Response> MemoryApi::check(const Request& request) {
    json::array findings;
    bool sound = true;
    for (const Finding& one : store_.check(DG_TRY(tenant_of(request)))) {
        findings.push_back(
            json::object{{"what", one.what}, {"sound", one.sound}, {"detail", one.detail}});
        sound = sound && one.sound;
    }
    return json_answer(
        200, {{"object", "memory_check"}, {"sound", sound}, {"findings", std::move(findings)}});
}

Result<Response> MemoryApi::tools(const Request&) {
    return json_answer(200, MemoryTools::listing());
}

Result<Response> MemoryApi::call_tool(const Request& request) {
    Scope scope{.tenant = DG_TRY(tenant_of(request))};
    std::vector<std::string> labels;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("user", scope.user, 256);
    in.text("agent", scope.agent, 256);
    in.text("session", scope.session, 256);
    in.text("run", scope.run, 256);
    in.texts("labels", labels, 64, 128);
    const json::value* arguments = in.value("arguments");
    if (arguments != nullptr && !arguments->is_object()) in.fault("arguments", "must be an object");
    DG_TRY(in.done());
    static const json::object kNone;
    return json_answer(
        200, DG_TRY(MemoryTools(store_, scope, labels)
                        .call(request.param("name"), arguments ? arguments->get_object() : kNone)));
}

Result<Response> MemoryApi::touch(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    std::vector<MemoryId> ids;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.texts("ids", ids, 1000, 64);
    DG_TRY(in.done());
    store_.touch(tenant, ids);
    return json_answer(200, {{"object", "touched"}, {"count", ids.size()}});
}

Result<Response> MemoryApi::show(const Request& request) {
    return json_answer(200,
                       to_json(DG_TRY(store_.get(DG_TRY(tenant_of(request)), id_of(request)))));
}

Result<Response> MemoryApi::update(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const EntryPatch patch = DG_TRY(read_patch(DG_TRY(body_of(request))));
    return json_answer(
        200, to_json(DG_TRY(store_.update(tenant, id_of(request), patch, by_of(request)))));
}

Result<Response> MemoryApi::remove(const Request& request) {
    DG_TRY(store_.remove(DG_TRY(tenant_of(request)), id_of(request), by_of(request)));
    return json_answer(200, {{"id", id_of(request)}, {"object", "memory"}, {"deleted", true}});
}

Result<Response> MemoryApi::history(const Request& request) {
    const auto versions = DG_TRY(store_.history(DG_TRY(tenant_of(request)), id_of(request)));
    return json_answer(200, {{"object", "list"}, {"data", to_array(versions)}});
}

Result<Response> MemoryApi::restore(const Request& request) {
    std::uint32_t version = 0;
    const std::string tenant = DG_TRY(tenant_of(request));
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.integer<std::uint32_t>("version", version, 1, 1u << 31);
    if (!in.has("version")) in.fault("version", "is missing; GET .../history lists them");
    DG_TRY(in.done());
    return json_answer(
        200, to_json(DG_TRY(store_.restore(tenant, id_of(request), version, by_of(request)))));
}

}  // namespace memory
