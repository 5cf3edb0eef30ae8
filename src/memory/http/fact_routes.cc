#include "memory/http/fact_routes.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "memory/facts/extract.h"
#include "memory/facts/fact_store.h"
#include "memory/http/entry_json.h"
#include "memory/http/route_names.h"

namespace memory {
namespace {

using base::api::query_flag;
using facts::Assertion;
using facts::Cardinality;
using facts::Fact;
using facts::FactQuery;

constexpr std::size_t kNameBytesMax = 1024, kTextBytesMax = 256u << 10, kBatchMax = 10'000;
constexpr std::int64_t kTimeMax = 253'402'300'800'000;  // the year 10000
constexpr std::array<std::pair<std::string_view, Cardinality>, 2> kCardinalities = {
    {{"one", Cardinality::one}, {"many", Cardinality::many}}};

json::object to_json(const Assertion& said) {
    json::array sources;
    for (const SourceSpan& span : said.sources) sources.push_back(memory::to_json(span));
    return {{"id", said.id},
            {"subject", said.subject},
            {"predicate", said.predicate},
            {"object", said.object},
            {"cardinality", kCardinalities[static_cast<std::size_t>(said.cardinality)].first},
            {"confidence", said.confidence},
            {"ends", said.ends},
            {"valid_from_unix_ms", said.valid_from_unix_ms},
            {"valid_to_unix_ms", said.valid_to_unix_ms},
            {"recorded_unix_ms", said.recorded_unix_ms},
            {"retracted_unix_ms", said.retracted_unix_ms},
            {"sources", std::move(sources)}};
}

json::object to_json(const Fact& fact) {
    json::object out = to_json(fact.said);
    out["from_unix_ms"] = fact.from_unix_ms;
    out["to_unix_ms"] = fact.to_unix_ms;
    out["superseded_by"] = fact.superseded_by;
    return out;
}

Result<Assertion> read_assertion(const json::object& body, std::string_view tenant,
                                 const std::string& path) {
    Assertion said;
    said.scope.tenant = tenant;
    ObjectReader in(body, path);
    in.text("subject", said.subject, kNameBytesMax);
    in.text("predicate", said.predicate, kNameBytesMax);
    in.text("object", said.object, kNameBytesMax);
    in.choice("cardinality", said.cardinality, kCardinalities);
    double confidence = said.confidence;
    in.number("confidence", confidence, 0, 1);
    said.confidence = static_cast<float>(confidence);
    in.flag("ends", said.ends);
    in.integer<std::int64_t>("valid_from_unix_ms", said.valid_from_unix_ms, 0, kTimeMax);
    in.integer<std::int64_t>("valid_to_unix_ms", said.valid_to_unix_ms, 0, kTimeMax);
    in.text("user", said.scope.user, 256);
    in.text("agent", said.scope.agent, 256);
    const json::value* sources = in.value("sources");
    DG_TRY(in.done());
    said.sources = DG_TRY(read_sources(sources, path.empty() ? "" : path + "."));
    return said;
}

Result<FactQuery> read_query(const Request& request) {
    FactQuery query;
    query.scope.tenant = DG_TRY(tenant_of(request));
    query.subject = request.query_param("subject").value_or("");
    query.predicate = request.query_param("predicate").value_or("");
    query.object = request.query_param("object").value_or("");
    query.valid_at_unix_ms = DG_TRY(query_number(request, "valid_at_unix_ms", 0, kTimeMax, 0));
    query.recorded_at_unix_ms =
        DG_TRY(query_number(request, "recorded_at_unix_ms", 0, kTimeMax, 0));
    query.history = DG_TRY(query_flag(request, "history"));
    query.limit =
        static_cast<std::uint32_t>(DG_TRY(query_number(request, "limit", 1, 10'000, 100)));
    return query;
}

/// A name in the query string that cannot be left out.
Result<std::string> name_param(const Request& request, std::string_view which) {
    const auto name = request.query_param(which);
    if (name && !name->empty()) return *name;
    return fail_on(std::string(which), Code::invalid_argument,
                   "'{}' is missing: give a name, as it was written", which);
}

}  // namespace

Result<Response> FactCalls::add(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const json::object body = DG_TRY(body_of(request));
    std::vector<Assertion> said;
    if (const json::value* batch = body.if_contains("facts")) {
        if (!batch->is_array() || batch->get_array().size() > kBatchMax || body.size() != 1) {
            return fail_on("facts", Code::invalid_argument,
                           "a batch is {{\"facts\": [...]}} of at most {} and nothing else",
                           kBatchMax);
        }
        for (const json::value& item : batch->get_array()) {
            const std::string path = fmt::format("facts[{}]", said.size());
            if (!item.is_object()) {
                return fail_on(path, Code::invalid_argument, "'{}' must be an object", path);
            }
            said.push_back(DG_TRY(read_assertion(item.get_object(), tenant, path)));
        }
    } else {
        said.push_back(DG_TRY(read_assertion(body, tenant, "")));
    }
    json::array ids;
    for (const auto& id : DG_TRY(store_.facts(tenant).add(said))) {
        ids.push_back(json::string(id));
    }
    return json_answer(201, {{"object", "list"}, {"data", std::move(ids)}});
}

Result<Response> FactCalls::query(const Request& request) {
    const FactQuery query = DG_TRY(read_query(request));
    json::array data;
    for (const Fact& fact : DG_TRY(store_.facts(query.scope.tenant).query(query))) {
        data.push_back(to_json(fact));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> FactCalls::retract(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    DG_TRY(store_.facts(tenant).retract(tenant, facts::FactId(request.param("id"))));
    return json_answer(200, {{"id", request.param("id")}, {"object", "fact"}, {"retracted", true}});
}

Result<Response> FactCalls::contradictions(const Request& request) {
    const FactQuery query = DG_TRY(read_query(request));
    json::array data;
    for (const auto& found : DG_TRY(store_.facts(query.scope.tenant).contradictions(query))) {
        data.push_back(json::object{{"first", found.first},
                                    {"second", found.second},
                                    {"from_unix_ms", found.from_unix_ms},
                                    {"to_unix_ms", found.to_unix_ms}});
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> FactCalls::neighbours(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const std::string name = DG_TRY(name_param(request, "name"));
    const auto depth = DG_TRY(query_number(request, "depth", 1, 6, 1));
    const auto limit = DG_TRY(query_number(request, "limit", 1, 10'000, 100));
    json::array data;
    for (const auto& near : DG_TRY(store_.facts(tenant).neighbours(
             tenant, name, static_cast<std::uint32_t>(depth), static_cast<std::uint32_t>(limit)))) {
        data.push_back(json::object{{"name", near.name}, {"depth", near.depth}});
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> FactCalls::graph(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const std::string name = DG_TRY(name_param(request, "name"));
    const auto depth = DG_TRY(query_number(request, "depth", 1, 6, 1));
    const auto limit = DG_TRY(query_number(request, "limit", 1, 1'000, 100));
    const facts::Neighbourhood near = DG_TRY(store_.facts(tenant).neighbourhood(
        tenant, name, static_cast<std::uint32_t>(depth), static_cast<std::uint32_t>(limit)));
    json::array names, said;
    for (const auto& one : near.names) {
        names.push_back(json::object{{"name", one.name}, {"depth", one.depth}});
    }
    for (const Fact& fact : near.facts) said.push_back(to_json(fact));
    return json_answer(
        200, {{"object", "graph"}, {"names", std::move(names)}, {"facts", std::move(said)}});
}

Result<Response> FactCalls::paths(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const std::string from = DG_TRY(name_param(request, "from"));
    const std::string to = DG_TRY(name_param(request, "to"));
    const auto length = DG_TRY(query_number(request, "length", 1, 6, 4));
    const auto limit = DG_TRY(query_number(request, "limit", 1, 100, 10));
    json::array data;
    for (const facts::Path& path :
         DG_TRY(store_.facts(tenant).paths(tenant, from, to, static_cast<std::uint32_t>(length),
                                           static_cast<std::uint32_t>(limit)))) {
        json::array links;
        for (const facts::Link& link : path) {
            links.push_back(json::object{
                {"subject", link.subject}, {"predicate", link.predicate}, {"object", link.object}});
        }
        data.push_back(std::move(links));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> FactCalls::add_alias(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    std::string alias, name;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("alias", alias, kNameBytesMax);
    in.text("name", name, kNameBytesMax);
    if (alias.empty()) in.fault("alias", "is missing");
    if (name.empty()) in.fault("name", "is missing");
    DG_TRY(in.done());
    DG_TRY(store_.facts(tenant).add_alias(tenant, alias, name));
    return json_answer(201, {{"object", "alias"}, {"alias", alias}, {"name", name}});
}

Result<Response> FactCalls::extract(const Request& request) {
    facts::ExtractContext context;
    context.scope.tenant = DG_TRY(tenant_of(request));
    std::string text;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("text", text, kTextBytesMax);
    in.text("speaker", context.speaker, kNameBytesMax);
    in.text("listener", context.listener, kNameBytesMax);
    in.text("source", context.source, 256);
    in.integer<std::int64_t>("said_at_unix_ms", context.said_at_unix_ms, 0, kTimeMax);
    DG_TRY(in.done());
    json::array data;
    for (const auto& found : facts::extract(text, context)) {
        data.push_back(to_json(found.assertion));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

}  // namespace memory
