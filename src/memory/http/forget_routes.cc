#include "memory/http/forget_routes.h"

#include <utility>

#include "memory/forget/forget.h"
#include "memory/http/route_names.h"
#include "memory/knowledge/knowledge.h"

namespace memory {
namespace {

constexpr std::size_t kShownMax = 1'000;  // ids of a preview; all are counted

json::object to_json(const forget::Counts& counts) {
    json::object out;
    for (const auto& [kind, count] : counts) out[kind] = count;
    return out;
}

json::object to_json(const forget::Receipt& receipt) {
    const forget::Scan& scan = receipt.scan;
    const bool done = receipt.done_unix_ms != 0;
    json::object out = {{"id", receipt.id},
                        {"object", "forget"},
                        {"status", done ? "done" : "erasing"},
                        {"progress", receipt.progress},
                        {"by", receipt.by},
                        {"kind", receipt.kind},
                        {"asked_sha256", receipt.asked_sha256},
                        {"salt", receipt.salt},
                        {"requested_unix_ms", receipt.requested_unix_ms},
                        {"hidden_unix_ms", receipt.hidden_unix_ms},
                        {"deadline_unix_ms", receipt.deadline_unix_ms},
                        {"unreadable_unix_ms", receipt.unreadable_unix_ms},
                        {"done_unix_ms", receipt.done_unix_ms},
                        {"counts", to_json(receipt.counts)},
                        {"ids_sha256", receipt.ids_sha256},
                        {"error", receipt.error}};
    if (!done && receipt.unreadable_unix_ms == 0) return out;
    out["scan"] =
        json::object{{"clean", scan.clean()},       {"files", scan.files},
                     {"bytes", scan.bytes},         {"needles", scan.needles},
                     {"hits", scan.hits},           {"shared", scan.shared},
                     {"rows_left", scan.rows_left}, {"files_scanned", scan.unscanned == 0}};
    return out;
}

json::object to_json(const forget::Preview& preview) {
    json::array memories, facts, names;
    for (const auto& item : preview.memories) {
        if (memories.size() == kShownMax) break;
        memories.push_back(json::object{{"id", item.id}, {"why", forget::why_name(item.why)}});
    }
    for (const std::string& id : preview.facts) {
        if (facts.size() == kShownMax) break;
        facts.push_back(json::string(id));
    }
    for (const std::string& name : preview.names) names.push_back(json::string(name));
    return {{"object", "forget_preview"},         {"counts", to_json(preview.counts)},
            {"names", std::move(names)},          {"memories", std::move(memories)},
            {"facts", std::move(facts)},          {"ids_sha256", preview.ids_sha256},
            {"shown_of_each_at_most", kShownMax}, {"dry_run", true}};
}

}  // namespace

Result<Response> ForgetCalls::forget(const Request& request) {
    forget::Request asked{.tenant = DG_TRY(tenant_of(request))};
    asked.by = std::string(request.headers.get("X-Dougong-Agent")).substr(0, 128);
    bool dry_run = false, wait = false;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.texts("ids", asked.target.ids, 10'000, 64);
    in.text("user", asked.target.scope.user, 256);
    in.text("agent", asked.target.scope.agent, 256);
    in.text("session", asked.target.scope.session, 256);
    in.text("run", asked.target.scope.run, 256);
    in.text("subject", asked.target.subject, 1024);
    knowledge::Labels labels;
    in.object("document", [&](ObjectReader& document) {
        document.text("base", asked.target.document.base, 128);
        document.text("id", asked.target.document.id, 128);
    });
    in.texts("labels", labels, 1'000, 256);
    in.flag("dry_run", dry_run);
    in.flag("wait", wait);
    DG_TRY(in.done());
    if (const auto& document = asked.target.document; !document.empty()) {
        DG_TRY(store_.knowledge().get(asked.tenant, document.base, document.id, labels));
    }
    forget::Forgetting& forgetting = store_.forgetting();
    if (dry_run) return json_answer(200, to_json(DG_TRY(forgetting.preview(asked))));
    forget::Receipt receipt = DG_TRY(forgetting.forget(asked));
    if (wait) {
        DG_TRY(forgetting.finish());
        receipt = DG_TRY(forgetting.receipt(asked.tenant, receipt.id));
    }
    return json_answer(wait ? 200 : 202, to_json(receipt));
}

Result<Response> ForgetCalls::list(const Request& request) {
    const auto limit = DG_TRY(query_number(request, "limit", 1, 1000, 50));
    json::array data;
    for (const auto& receipt : DG_TRY(store_.forgetting().receipts(
             DG_TRY(tenant_of(request)), static_cast<std::uint32_t>(limit)))) {
        data.push_back(to_json(receipt));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> ForgetCalls::show(const Request& request) {
    return json_answer(200, to_json(DG_TRY(store_.forgetting().receipt(DG_TRY(tenant_of(request)),
                                                                       request.param("id")))));
}

}  // namespace memory
