#include "memory/http/compress_routes.h"

#include <utility>

#include "memory/compress/compression.h"
#include "memory/http/route_names.h"

namespace memory {
namespace {

constexpr std::size_t kShownMax = 1'000;  // decisions of a kind; all are counted

std::string by_of(const Request& request) {
    return std::string(request.headers.get("X-Dougong-Agent")).substr(0, 128);
}

json::array to_json(const std::vector<compress::Decision>& decisions) {
    json::array out;
    for (const auto& one : decisions) {
        if (out.size() == kShownMax) break;
        out.push_back(json::object{{"id", one.id}, {"reason", compress::reason_name(one.reason)}});
    }
    return out;
}

json::object to_json(const compress::Preview& preview) {
    json::array merges;
    for (const auto& merge : preview.plan.merge) {
        if (merges.size() == kShownMax) break;
        json::array ids;
        for (const MemoryId& id : merge.ids) ids.push_back(json::string(id));
        merges.push_back(json::object{{"ids", std::move(ids)},
                                      {"summary", merge.summary},
                                      {"importance", merge.importance},
                                      {"created_unix_ms", merge.created_unix_ms}});
    }
    return {{"object", "compression_preview"},          {"dry_run", true},
            {"entries_before", preview.entries_before}, {"entries_after", preview.entries_after},
            {"tokens_before", preview.tokens_before},   {"tokens_after", preview.tokens_after},
            {"kept", preview.plan.keep.size()},         {"dropped", preview.plan.drop.size()},
            {"summaries", preview.plan.merge.size()},   {"keep", to_json(preview.plan.keep)},
            {"drop", to_json(preview.plan.drop)},       {"merge", std::move(merges)},
            {"shown_of_each_at_most", kShownMax}};
}

json::object to_json(const compress::Compression& of) {
    return {{"id", of.id},
            {"object", "compression"},
            {"user", of.scope.user},
            {"agent", of.scope.agent},
            {"session", of.scope.session},
            {"run", of.scope.run},
            {"by", of.by},
            {"applied_unix_ms", of.applied_unix_ms},
            {"undone_unix_ms", of.undone_unix_ms},
            {"undo_until_unix_ms", of.undo_until_unix_ms},
            {"entries_before", of.entries_before},
            {"entries_after", of.entries_after},
            {"tokens_before", of.tokens_before},
            {"tokens_after", of.tokens_after},
            {"merged", of.merged},
            {"dropped", of.dropped},
            {"summaries", of.summaries},
            {"summaries_by_model", of.summaries_by_model},
            {"summary_error", of.summary_error}};
}

void read_policy(ObjectReader& in, compress::Policy& policy) {
    in.integer<std::uint32_t>("entries_per_session_max", policy.entries_per_session_max, 1,
                              1'000'000);
    double importance = policy.importance_min, similarity = policy.merge_similarity;
    in.number("importance_min", importance, 0, 1);
    in.number("merge_similarity", similarity, 0, 1);
    policy.importance_min = static_cast<float>(importance);
    policy.merge_similarity = static_cast<float>(similarity);
    in.integer<std::uint32_t>("retain_recent_hours", policy.retain_recent_hours, 0, 1'000'000);
    in.integer<std::uint32_t>("summary_sentences_max", policy.summary_sentences_max, 1, 50);
    in.flag("merge_over_limit", policy.merge_over_limit);
}

}  // namespace

Result<Response> CompressCalls::compress(const Request& request) {
    compress::Request asked;
    asked.scope.tenant = DG_TRY(tenant_of(request));
    asked.by = by_of(request);
    bool dry_run = false;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("user", asked.scope.user, 256);
    in.text("agent", asked.scope.agent, 256);
    in.text("session", asked.scope.session, 256);
    in.text("run", asked.scope.run, 256);
    in.object("policy", [&](ObjectReader& policy) { read_policy(policy, asked.policy); });
    in.text("idempotency_key", asked.idempotency_key, 256);
    in.flag("by_model", asked.by_model);
    in.flag("dry_run", dry_run);
    DG_TRY(in.done());
    if (dry_run) return json_answer(200, to_json(DG_TRY(store_.compressor().preview(asked))));
    return json_answer(200, to_json(DG_TRY(store_.compressor().apply(asked))));
}

Result<Response> CompressCalls::list(const Request& request) {
    const auto limit = DG_TRY(query_number(request, "limit", 1, 1000, 50));
    json::array data;
    for (const auto& one : DG_TRY(store_.compressor().list(DG_TRY(tenant_of(request)),
                                                           static_cast<std::uint32_t>(limit)))) {
        data.push_back(to_json(one));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> CompressCalls::show(const Request& request) {
    return json_answer(
        200,
        to_json(DG_TRY(store_.compressor().get(DG_TRY(tenant_of(request)), request.param("id")))));
}

Result<Response> CompressCalls::undo(const Request& request) {
    return json_answer(200, to_json(DG_TRY(store_.compressor().undo(
                                DG_TRY(tenant_of(request)), request.param("id"), by_of(request)))));
}

}  // namespace memory
