// From an HTTP request to a generation: chat, plain completions and responses.
#include <fmt/format.h>

#include <algorithm>

#include "gate/body_reader.h"
#include "gate/gateway_impl.h"
#include "gate/generation.h"

namespace gate {
namespace {

namespace json = base::json;

constexpr std::size_t kInlineBodyBytes = 64 * 1024;  // about 0.1 ms of parsing

base::Result<GenerationCall> parse(Api api, std::string_view body, const ParseLimits& limits) {
    switch (api) {
        case Api::chat:
            return parse_chat_request(body, limits);
        case Api::completions:
            return parse_completion_request(body, limits);
        case Api::responses:
            return parse_responses_request(body, limits);
    }
    return base::fail(base::Code::internal, "no such API");
}

/// A tool's output without the call it answers confuses every template.
base::Result<void> check_outputs(const json::array& messages) {
    std::vector<std::string_view> calls;
    for (const json::value& message : messages) {
        const json::object& object = message.get_object();
        if (const json::value* const made = object.if_contains("tool_calls")) {
            for (const json::value& call : made->get_array()) {
                calls.push_back(view(call.at("id").get_string()));
            }
        }
        const json::value* const answered = object.if_contains("tool_call_id");
        if (answered == nullptr) continue;
        const std::string_view id = view(answered->get_string());
        if (std::ranges::find(calls, id) != calls.end()) continue;
        return base::fail_on("input", base::Code::invalid_argument,
                             "'input' has the output of call '{}', which nobody made; send the "
                             "function_call item before it or name the response that has it in "
                             "'previous_response_id'",
                             id.substr(0, 100));
    }
    return {};
}

/// Instructions, what went before, the new input.
base::Result<void> complete_conversation(GenerationCall& parsed, const StoredResponse* previous) {
    json::array messages;
    if (!parsed.response->instructions.empty()) {
        messages.push_back(
            json::object{{"role", "system"}, {"content", parsed.response->instructions}});
    }
    if (previous != nullptr) {
        const json::value before = DG_TRY(base::parse_json(previous->messages));
        for (const json::value& message : before.get_array()) messages.push_back(message);
        if (parsed.request.session.empty()) parsed.request.session = previous->session;
    }
    json::array& input = *parsed.prompts.front().messages;
    for (json::value& message : input) messages.push_back(std::move(message));
    DG_TRY(check_outputs(messages));
    input = std::move(messages);
    return {};
}

ApiError previous_missing(const std::string& id) {
    return {400,
            fmt::format("response '{}' is not stored here: it never was, its 'store' was false, or "
                        "newer ones took its place; send the whole conversation in 'input'",
                        id.substr(0, 128)),
            "invalid_request_error",
            "previous_response_id",
            "previous_response_not_found",
            0};
}

}  // namespace

void Gateway::Impl::track(const std::shared_ptr<Generation>& generation) {
    const std::lock_guard lock(mutex);
    generations.insert(generation);
}

void Gateway::Impl::untrack(const std::shared_ptr<Generation>& generation) {
    const std::lock_guard lock(mutex);
    generations.erase(generation);
    if (generations.empty()) idle.notify_all();
}

void Gateway::Impl::handle_generation(const base::http::Request& request,
                                      const base::http::ResponderPtr& responder, Api api) {
    const CallPtr call = begin_call(request, responder);
    if (const auto fault = read_caller(request, *call)) return fail(call, *fault);
    if (request.body.size() <= kInlineBodyBytes) return accept_generation(call, request.body, api);
    // Parsing megabytes would hold up every stream on this network thread.
    if (!prompt_worker.post(
            [this, call, body = request.body, api] { accept_generation(call, body, api); })) {
        fail(call, prompts_full());
    }
}

ApiError Gateway::Impl::prompts_full() const {
    return backend_error(
        {base::Code::resource_exhausted,
         fmt::format("{} requests are waiting, which is the limit; try again later",
                     options.prompt_queue_max),
         {}});
}

/// What /v1/responses needs beyond the request itself. An error ends the call.
std::optional<ApiError> Gateway::Impl::prepare_response(const Call& call, GenerationCall& parsed) {
    const std::string& id = parsed.response->previous_id;
    const auto previous = id.empty() ? nullptr : responses.find(parsed.request.tenant, id);
    if (!id.empty() && previous == nullptr) return previous_missing(id);
    if (auto whole = complete_conversation(parsed, previous.get()); !whole) {
        return request_error(whole.error());
    }
    // The turns of a conversation find each other's pages under the first one's name.
    if (parsed.response->store && parsed.request.session.empty()) {
        parsed.request.session = Generation::answer_id(call, Api::responses);
    }
    return std::nullopt;
}

void Gateway::Impl::accept_generation(const CallPtr& call, std::string_view body, Api api) {
    auto parsed = parse(api, body, parse_limits);
    if (!parsed) return fail(call, request_error(parsed.error()));
    call->record.stream = parsed->stream;
    call->record.model = parsed->request.model.substr(0, 200);
    parsed->request.tenant = call->tenant;
    if (parsed->request.session.empty()) parsed->request.session = call->session;
    if (const auto refused = refusal()) return fail(call, *refused);
    auto model = choose_model(deps.backend.models(), parsed->request.model, Task::generate);
    if (!model) return fail(call, model_error(model.error()));
    parsed->request.model = model->id;
    if (!model->generates) {
        return fail(call, request_error({base::Code::invalid_argument,
                                         fmt::format("model '{}' makes embeddings only; choose a "
                                                     "generating one from /v1/models",
                                                     model->id),
                                         "model"}));
    }
    if (api == Api::responses) {
        if (const auto fault = prepare_response(*call, *parsed)) return fail(call, *fault);
    }
    const bool background = parsed->response && parsed->response->background;
    const bool stream = parsed->stream;
    auto generation =
        std::make_shared<Generation>(*this, call, std::move(*parsed), std::move(*model));
    if (generation->kept()) {
        if (const auto fault = keep_stream(generation)) return fail(call, *fault);
    }
    track(generation);
    call->responder->on_closed([weak = std::weak_ptr(generation)] {
        if (const auto alive = weak.lock()) alive->client_left();
    });
    if (background && !stream) generation->answer_in_background();
    if (!prompt_worker.post([generation] { generation->start(); })) {
        generation->fail(prompts_full());
    }
}

}  // namespace gate
