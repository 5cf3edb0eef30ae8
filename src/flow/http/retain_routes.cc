#include "flow/http/retain_routes.h"

#include "base/api/request_parts.h"
#include "base/json/object_reader.h"
#include "flow/definition/duration.h"

namespace flow {

namespace json = base::json;
using base::Code;
using base::ObjectReader;
using base::Result;
using base::api::body_of;
using base::api::json_answer;
using base::api::query_number;
using base::api::tenant_of;

namespace {

constexpr std::uint32_t kBatches = 10;  // in one answer

Result<std::optional<RunId>> run_named(std::string_view field, const std::string& text) {
    if (text.empty()) return std::optional<RunId>();
    const auto run = run_id_from(text);
    if (run) return run;
    return base::fail_on(std::string(field), Code::invalid_argument, "'{}' is no run", text);
}

}  // namespace

void RetainApi::register_routes(base::http::Router& router) {
    pool_.route(router, "POST", "/v1/flow/purge",
                [this](const Request& request) { return purge(request); });
    pool_.route(router, "GET", "/v1/flow/archive",
                [this](const Request& request) { return list(request); });
    pool_.route(router, "GET", "/v1/flow/archive/{id}",
                [this](const Request& request) { return show(request); });
}

Result<base::http::Response> RetainApi::purge(const Request& request) {
    PurgeRequest asked;
    std::string older_than, after_text;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("older_than", older_than, 32);
    in.text("workflow", asked.workflow, 256);
    in.text("after", after_text, 64);
    in.flag("dry_run", asked.dry_run);
    DG_TRY(in.done());
    const auto age = parse_duration(older_than);
    if (!age) {
        return base::fail_on("older_than", Code::invalid_argument,
                             "'older_than' says how long runs are over that go, such as 30d; "
                             "found '{}'",
                             older_than);
    }
    asked.tenant = DG_TRY(tenant_of(request));
    asked.finished_before_ms = clock_.unix_ns() / 1'000'000 - age->count();
    RunId after = DG_TRY(run_named("after", after_text)).value_or(RunId{});
    bool more = false;
    const Purged purged = DG_TRY(retainer_.purge(asked, kBatches, after, more));
    json::array runs;
    for (const RunId run : purged.runs) runs.emplace_back(to_text(run));
    json::object answer{{"object", "purge"},         {"dry_run", asked.dry_run},
                        {"removed", purged.removed}, {"archived", purged.archived},
                        {"held", purged.held},       {"unreadable", purged.unreadable},
                        {"runs", std::move(runs)},   {"has_more", more}};
    if (purged.unreadable != 0) answer["why"] = purged.why;
    if (more) answer["next"] = to_text(after);
    return json_answer(200, answer);
}

Result<RunArchive*> RetainApi::archive() {
    if (retainer_.archive() != nullptr) return retainer_.archive();
    return base::fail(Code::failed_precondition,
                      "there is no archive; name its folder with flow.archive");
}

Result<base::http::Response> RetainApi::list(const Request& request) {
    ArchiveFilter filter;
    filter.tenant = DG_TRY(tenant_of(request));
    filter.workflow = request.query_param("workflow").value_or("");
    filter.after = DG_TRY(run_named("after", request.query_param("after").value_or("")));
    filter.limit = static_cast<std::uint32_t>(DG_TRY(query_number(request, "limit", 1, 1000, 50)));
    json::array data;
    for (json::object& head : DG_TRY(DG_TRY(archive())->list(filter))) {
        data.emplace_back(std::move(head));
    }
    const bool more = data.size() == filter.limit;
    json::object answer{{"object", "list"}, {"has_more", more}};
    if (more) answer["next"] = data.back().as_object().at("id");
    answer["data"] = std::move(data);
    return json_answer(200, answer);
}

Result<base::http::Response> RetainApi::show(const Request& request) {
    const std::string id(request.param("id"));
    const auto run = run_id_from(id);
    if (!run) return base::fail_on("id", Code::not_found, "the archive has no run '{}'", id);
    base::http::Response answer = json_answer(200, {});
    answer.body = DG_TRY(DG_TRY(archive())->read(DG_TRY(tenant_of(request)), *run));
    return answer;
}

}  // namespace flow
