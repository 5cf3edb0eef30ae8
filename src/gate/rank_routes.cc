// /v1/rerank and /v1/score: how well documents answer a query. Computed on the embeddings' workers.

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>

#include "gate/gateway_impl.h"
#include "gate/json_text.h"

namespace gate {
namespace {

using base::http::Request;
using base::http::ResponderPtr;

/// Best first; equal ones in the order they came.
std::vector<std::size_t> by_relevance(const std::vector<float>& scores, std::size_t count) {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](std::size_t i) { return scores[i]; });
    order.resize(std::min(count, order.size()));
    return order;
}

void append_tail(std::string& out, const Call& call, const RankCall& work,
                 std::uint32_t prompt_tokens) {
    out += R"(],"model":)";
    append_json_string(out, work.model);
    fmt::format_to(std::back_inserter(out),
                   R"(,"id":"rank-{0}","usage":{{"prompt_tokens":{1},"total_tokens":{1}}}}})",
                   call.record.id, prompt_tokens);
}

/// The shape of Cohere, Jina and vLLM.
std::string rerank_json(const Call& call, const RankCall& work,
                        const ModelBackend::Ranking& ranking) {
    std::string out = R"({"object":"list","results":[)";
    bool first = true;
    for (const std::size_t i : by_relevance(ranking.scores, work.top_n.value_or(UINT32_MAX))) {
        fmt::format_to(std::back_inserter(out), R"({}{{"index":{},"relevance_score":)",
                       first ? "" : ",", i);
        first = false;
        append_json_float(out, ranking.scores[i]);
        if (work.return_documents) {
            out += R"(,"document":{"text":)";
            append_json_string(out, work.documents[i]);
            out += '}';
        }
        out += '}';
    }
    append_tail(out, call, work, ranking.prompt_tokens);
    return out;
}

std::string score_json(const Call& call, const RankCall& work,
                       const ModelBackend::Ranking& ranking) {
    std::string out = R"({"object":"list","data":[)";
    for (std::size_t i = 0; i < ranking.scores.size(); ++i) {
        fmt::format_to(std::back_inserter(out), R"({}{{"index":{},"object":"score","score":)",
                       i > 0 ? "," : "", i);
        append_json_float(out, ranking.scores[i]);
        out += '}';
    }
    append_tail(out, call, work, ranking.prompt_tokens);
    return out;
}

}  // namespace

void Gateway::Impl::handle_rank(const Request& request, const ResponderPtr& responder,
                                bool rerank) {
    const CallPtr call = begin_call(request, responder);
    auto parsed = rerank ? parse_rerank_request(request.body, parse_limits)
                         : parse_score_request(request.body, parse_limits);
    if (!parsed) return fail(call, request_error(parsed.error()));
    if (const auto refused = refusal()) return fail(call, *refused);
    const auto model = choose_model(deps.backend.models(), parsed->model, Task::embed);
    if (!model) return fail(call, model_error(model.error()));
    call->record.model = parsed->model = model->id;
    const bool queued = embed_worker.post([this, call, rerank, work = std::move(*parsed)] {
        const auto ranking = deps.backend.rank(work.model, work.query, work.documents);
        if (!ranking) {
            return fail(call, backend_error(ranking.error(), rerank ? "documents" : "text_2"));
        }
        if (ranking->scores.size() != work.documents.size()) {
            return fail(call, backend_error({base::Code::internal,
                                             "the model ranked another number of documents",
                                             {}}));
        }
        call->record.prompt_tokens = ranking->prompt_tokens;
        answer(call, base::http::text_response(200, "application/json",
                                               rerank ? rerank_json(*call, work, *ranking)
                                                      : score_json(*call, work, *ranking)));
    });
    if (!queued) {
        fail(call, backend_error({base::Code::resource_exhausted,
                                  fmt::format("{} requests are waiting, which is the limit; try "
                                              "again later",
                                              options.embed_queue_max),
                                  {}}));
    }
}

}  // namespace gate
