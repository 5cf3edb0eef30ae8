#include "flow/http/migrate_routes.h"

#include "base/api/request_parts.h"
#include "base/json/object_reader.h"
#include "flow/definition/compatibility.h"

namespace flow {

namespace json = base::json;
using base::Code;
using base::ObjectReader;
using base::Result;
using base::api::body_of;
using base::api::json_answer;
using base::api::tenant_of;

namespace {

json::array list_of(const std::vector<Finding>& findings) {
    json::array out;
    for (const Finding& finding : findings) out.push_back(to_json(finding));
    return out;
}

}  // namespace

struct MigrateRoutes::Asked {
    std::uint32_t version = 0, from = 0, limit = 100;
    bool dry_run = false;
    std::string by = "api", status = "open", after;
    MigrationRules rules;

    /// `many`: of all runs of a workflow.
    static Result<Asked> read(const Request& request, bool many) {
        Asked out;
        const json::object body = DG_TRY(body_of(request));
        ObjectReader in(body);
        in.integer<std::uint32_t>("version", out.version, 0, 1u << 31);
        in.flag("dry_run", out.dry_run);
        in.text("by", out.by, 256);
        const json::value* rules = in.value("rules");
        if (many) {
            in.integer<std::uint32_t>("from", out.from, 0, 1u << 31);
            in.integer<std::uint32_t>("limit", out.limit, 1, 1000);
            in.text("status", out.status, 16);
            in.text("after", out.after, 64);
        }
        DG_TRY(in.done());
        if (rules != nullptr) out.rules = DG_TRY(migration_rules_from(*rules));
        return out;
    }
};

void MigrateRoutes::register_routes(base::http::Router& router, base::api::CallPool& pool) {
    pool.route(router, "POST", "/v1/runs/{id}/migrate",
               [this](const Request& request) { return one(request); });
    pool.route(router, "POST", "/v1/workflows/{name}/migrate",
               [this](const Request& request) { return many(request); });
}

Result<base::http::Response> MigrateRoutes::one(const Request& request) {
    const RunId run = DG_TRY(own_run_(request));
    const Asked asked = DG_TRY(Asked::read(request, false));
    const Migration seen = DG_TRY(runtime_.migration(run, asked.version, asked.rules));
    if (!asked.dry_run) DG_TRY(runtime_.migrate(run, seen.to, asked.rules, asked.by));
    return json_answer(200, {{"object", "migration"},
                             {"id", to_text(run)},
                             {"from", seen.from},
                             {"to", seen.to},
                             {"dry_run", asked.dry_run},
                             {"can", may_move(seen.findings)},
                             {"moved", !asked.dry_run},
                             {"findings", list_of(seen.findings)}});
}

/// Moves one of many, or says why not.
json::object MigrateRoutes::moved(RunId run, const Asked& asked) {
    json::object out{{"id", to_text(run)}, {"can", false}, {"moved", false}};
    const auto seen = runtime_.migration(run, asked.version, asked.rules);
    if (!seen) {
        out["error"] = seen.error().message;
        return out;
    }
    out["from"] = seen->from;
    out["can"] = may_move(seen->findings);
    out["findings"] = list_of(seen->findings);
    if (asked.dry_run || !may_move(seen->findings)) return out;
    // It may have gone on since, and be in the way now.
    const auto moved = runtime_.migrate(run, asked.version, asked.rules, asked.by);
    out["can"] = out["moved"] = moved.has_value();
    if (!moved) out["error"] = moved.error().message;
    return out;
}

Result<base::http::Response> MigrateRoutes::many(const Request& request) {
    Asked asked = DG_TRY(Asked::read(request, true));
    RunFilter filter;
    filter.tenant = DG_TRY(tenant_of(request));
    filter.workflow = request.param("name");
    filter.status = asked.status;
    filter.limit = asked.limit;
    if (!asked.after.empty()) {
        filter.after = run_id_from(asked.after);
        if (!filter.after) {
            return base::fail_on("after", Code::invalid_argument, "'{}' is no run", asked.after);
        }
    }
    const auto to = DG_TRY(definitions_.find(filter.tenant, filter.workflow, asked.version));
    asked.version = to->version;
    const auto found = DG_TRY(log_.list(filter));
    json::array data;
    std::uint64_t can = 0, cannot = 0;
    for (const RunHead& head : found) {
        if (head.hash == to->hash || (asked.from != 0 && head.version != asked.from)) continue;
        json::object each = moved(head.id, asked);
        each["status"] = status_name(head.status);
        ++(each.at("can").as_bool() ? can : cannot);
        data.emplace_back(std::move(each));
    }
    const bool more = found.size() == filter.limit;
    json::object answer{{"object", "list"},
                        {"workflow", filter.workflow},
                        {"to", to->version},
                        {"dry_run", asked.dry_run},
                        {"can", can},
                        {"cannot", cannot},
                        {"data", std::move(data)},
                        {"has_more", more}};
    if (more) answer["next"] = to_text(found.back().id);
    return json_answer(200, answer);
}

json::object effect_of(RunLog& log, std::string_view tenant, const Definition* from,
                       const Definition& to) {
    json::object out;
    RunFilter filter;
    filter.tenant = tenant;
    filter.workflow = to.name;
    filter.status = "open";
    const auto counts = log.count(filter);
    std::uint64_t open = 0;
    if (counts) {
        for (const std::uint64_t count : counts->by_status) open += count;
    }
    if (from == nullptr && open == 0) return out;
    out["open_runs"] = open;
    if (from == nullptr) return out;
    const std::vector<Finding> findings = compatibility(*from, to);
    out["compatibility"] = {
        {"from", from->version}, {"may_move", may_move(findings)}, {"findings", list_of(findings)}};
    return out;
}

}  // namespace flow
