// /v1/embeddings, /tokenize and /detokenize: blocking calls into the backend, made on workers.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>

#include "base/core/base64.h"
#include "gate/gateway_impl.h"
#include "gate/json_text.h"

namespace gate {
namespace {

using base::http::Request;
using base::http::ResponderPtr;

/// Leading numbers only, at length 1 again: what models trained for shortening expect.
void shorten(std::vector<float>& vector, std::uint32_t dimensions) {
    vector.resize(dimensions);
    double square = 0;
    for (const float x : vector) square += static_cast<double>(x) * x;
    if (square <= 0) return;
    const auto scale = static_cast<float>(1.0 / std::sqrt(square));
    for (float& x : vector) x *= scale;
}

void append_vector(std::string& out, const std::vector<float>& vector, bool base64) {
    if (base64) {
        // Little-endian float32, as OpenAI's clients decode it.
        static_assert(std::endian::native == std::endian::little);
        out += '"';
        base::append_base64(
            out,
            {reinterpret_cast<const char*>(vector.data()),  // NOLINT: bytes of floats
             vector.size() * sizeof(float)});
        out += '"';
        return;
    }
    out += '[';
    for (std::size_t i = 0; i < vector.size(); ++i) {
        if (i > 0) out += ',';
        append_json_float(out, vector[i]);
    }
    out += ']';
}

std::string embeddings_json(const ModelBackend::Embeddings& embeddings, const EmbeddingCall& call) {
    std::string out = R"({"object":"list","data":[)";
    for (std::size_t i = 0; i < embeddings.vectors.size(); ++i) {
        fmt::format_to(std::back_inserter(out),
                       R"({}{{"object":"embedding","index":{},"embedding":)", i > 0 ? "," : "", i);
        append_vector(out, embeddings.vectors[i], call.base64);
        out += '}';
    }
    out += R"(],"model":)";
    append_json_string(out, call.model);
    fmt::format_to(std::back_inserter(out),
                   R"(,"usage":{{"prompt_tokens":{0},"total_tokens":{0}}}}})",
                   embeddings.prompt_tokens);
    return out;
}

base::Result<std::vector<std::string>> texts_of(ModelBackend& backend, const EmbeddingCall& call) {
    std::vector<std::string> texts;
    texts.reserve(call.inputs.size());
    for (const auto& input : call.inputs) {
        const auto* const text = std::get_if<std::string>(&input);
        texts.push_back(
            text != nullptr ? *text : DG_TRY(backend.detokenize(call.model, std::get<1>(input))));
    }
    return texts;
}

base::Result<std::string> embed(ModelBackend& backend, const EmbeddingCall& call,
                                RequestRecord& record) {
    const std::vector<std::string> texts = DG_TRY(texts_of(backend, call));
    ModelBackend::Embeddings embeddings = DG_TRY(backend.embed(call.model, texts));
    record.prompt_tokens = embeddings.prompt_tokens;
    for (auto& vector : embeddings.vectors) {
        if (call.dimensions) shorten(vector, *call.dimensions);
    }
    return embeddings_json(embeddings, call);
}

ApiError worker_full(std::uint32_t waiting) {
    return backend_error(
        {base::Code::resource_exhausted,
         fmt::format("{} requests are waiting, which is the limit; try again later", waiting),
         {}});
}

}  // namespace

void Gateway::Impl::handle_embeddings(const Request& request, const ResponderPtr& responder) {
    const CallPtr call = begin_call(request, responder);
    auto parsed = parse_embedding_request(request.body, parse_limits);
    if (!parsed) return fail(call, request_error(parsed.error()));
    call->record.model = parsed->model.substr(0, 200);
    if (const auto refused = refusal()) return fail(call, *refused);
    const auto model = choose_model(deps.backend.models(), parsed->model, Task::embed);
    if (!model) return fail(call, model_error(model.error()));
    call->record.model = parsed->model = model->id;
    if (!model->embeds) {
        return fail(call, request_error({base::Code::invalid_argument,
                                         fmt::format("model '{}' makes no embeddings", model->id),
                                         "model"}));
    }
    if (parsed->dimensions && *parsed->dimensions > model->embedding_dim) {
        return fail(
            call, request_error({base::Code::invalid_argument,
                                 fmt::format("'dimensions' is {}; '{}' has {}", *parsed->dimensions,
                                             model->id, model->embedding_dim),
                                 "dimensions"}));
    }
    const bool queued = embed_worker.post([this, call, work = std::move(*parsed)] {
        // A client that left while waiting is not worth the computation.
        if (call->responder->closed())
            return fail(call, backend_error({base::Code::cancelled, "", {}}));
        auto body = embed(deps.backend, work, call->record);
        if (!body) return fail(call, backend_error(body.error(), "input"));
        answer(call, base::http::text_response(200, "application/json", std::move(*body)));
    });
    if (!queued) fail(call, worker_full(options.embed_queue_max));
}

void Gateway::Impl::handle_tokenize(const Request& request, const ResponderPtr& responder) {
    const CallPtr call = begin_call(request, responder);
    auto parsed = parse_tokenize_request(request.body);
    if (!parsed) return fail(call, request_error(parsed.error()));
    if (const auto refused = refusal()) return fail(call, *refused);
    auto model = choose_model(deps.backend.models(), parsed->model, Task::tokenize);
    if (!model) return fail(call, model_error(model.error()));
    call->record.model = model->id;
    const bool queued =
        prompt_worker.post([this, call, work = std::move(*parsed), card = std::move(*model)] {
            const auto tokens = deps.backend.tokenize(card.id, work.text, work.add_special);
            if (!tokens) return fail(call, backend_error(tokens.error()));
            call->record.prompt_tokens = tokens->size();
            answer(call,
                   base::http::text_response(
                       200, "application/json",
                       fmt::format(R"({{"tokens":[{}],"count":{},"max_model_len":{}}})",
                                   fmt::join(*tokens, ","), tokens->size(), card.context_tokens)));
        });
    if (!queued) fail(call, worker_full(options.prompt_queue_max));
}

void Gateway::Impl::handle_detokenize(const Request& request, const ResponderPtr& responder) {
    const CallPtr call = begin_call(request, responder);
    auto parsed = parse_detokenize_request(request.body);
    if (!parsed) return fail(call, request_error(parsed.error()));
    if (const auto refused = refusal()) return fail(call, *refused);
    auto model = choose_model(deps.backend.models(), parsed->model, Task::tokenize);
    if (!model) return fail(call, model_error(model.error()));
    call->record.model = model->id;
    const bool queued =
        prompt_worker.post([this, call, work = std::move(*parsed), id = std::move(model->id)] {
            const auto text = deps.backend.detokenize(id, work.tokens);
            if (!text) return fail(call, backend_error(text.error()));
            std::string body = R"({"text":)";
            append_json_string(body, *text);
            body += R"(,"prompt":)";  // the name other servers use
            append_json_string(body, *text);
            body += '}';
            answer(call, base::http::text_response(200, "application/json", std::move(body)));
        });
    if (!queued) fail(call, worker_full(options.prompt_queue_max));
}

}  // namespace gate
