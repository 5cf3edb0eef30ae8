#include "app/generation_adapter.h"

#include <utility>

namespace app {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

gate::TokenText token_text(const engine::TokenLogprob& token) {
    return {token.id, token.bytes, token.logprob};
}

gate::Finish finish_of(engine::FinishReason reason) {
    switch (reason) {
        case engine::FinishReason::stop:
            return gate::Finish::stop;
        case engine::FinishReason::length:
            return gate::Finish::length;
        case engine::FinishReason::cancelled:
            return gate::Finish::cancelled;
        case engine::FinishReason::deadline:
            return gate::Finish::deadline;
        case engine::FinishReason::error:
            return gate::Finish::error;
    }
    return gate::Finish::error;
}

/// Carries the engine's events over to the gateway's listener.
class ListenerSink final : public engine::GenerationSink {
public:
    ListenerSink(std::shared_ptr<gate::GenerationListener> listener, base::Instant received,
                 base::Instant templated)
        : listener_(std::move(listener)), received_(received), templated_(templated) {}

    void on_token(const engine::TokenEvent& event) override {
        gate::TokenDelta delta;
        delta.text = event.text;
        if (event.chosen) delta.chosen = token_text(*event.chosen);
        for (const auto& token : event.top) delta.top.push_back(token_text(token));
        listener_->on_delta(delta);
    }

    void on_finish(const engine::Completion& completion) override {
        gate::GenerationEnd end;
        end.finish = finish_of(completion.reason);
        end.error = completion.error;
        end.text = completion.text;
        end.prompt_tokens = completion.prompt_tokens;
        end.cached_tokens = completion.cached_tokens;
        end.completion_tokens = completion.completion_tokens;
        end.seed = completion.seed;
        end.received = received_;
        end.templated = templated_;
        end.started = completion.started;
        end.first_token = completion.first_token;
        end.finished = completion.finished;
        listener_->on_end(end);
    }

private:
    std::shared_ptr<gate::GenerationListener> listener_;
    base::Instant received_, templated_;
};

std::string content_text(const json::value& content) {
    if (content.is_string()) return std::string(content.get_string());
    std::string text;
    if (!content.is_array()) return text;
    for (const json::value& part : content.get_array()) {
        if (!part.is_object()) continue;
        const json::value* piece = part.get_object().if_contains("text");
        if (piece != nullptr && piece->is_string()) text += std::string(piece->get_string());
    }
    return text;
}

/// For base models, which have no chat template: the words of the conversation, one after another.
std::string plain_chat(const json::array& messages) {
    std::string text;
    for (const json::value& message : messages) {
        if (!message.is_object()) continue;
        const json::value* content = message.get_object().if_contains("content");
        if (content == nullptr) continue;
        const std::string words = content_text(*content);
        if (words.empty()) continue;
        if (!text.empty()) text += '\n';
        text += words;
    }
    return text;
}

Result<std::string> chat_text(const engine::Engine& engine,
                              const gate::GenerationRequest& request) {
    const json::array& messages = *request.prompt.messages;
    if (engine.info().chat_template.empty()) return plain_chat(messages);
    return engine.render_chat(messages, request.tools, true, request.template_extra);
}

/// Most templates write BOS themselves; the tokenizer would put a second one before it.
void drop_double_bos(std::vector<engine::TokenId>& tokens, engine::TokenId bos) {
    if (tokens.size() >= 2 && tokens[0] == bos && tokens[1] == bos) tokens.erase(tokens.begin());
}

}  // namespace

Result<std::vector<engine::TokenId>> prompt_tokens(const engine::Engine& engine,
                                                   const gate::GenerationRequest& request) {
    const engine::Tokenizer& tokenizer = engine.tokenizer();
    if (request.prompt.tokens) {
        for (const engine::TokenId id : *request.prompt.tokens) {
            if (id >= 0 && static_cast<std::uint32_t>(id) < tokenizer.size()) continue;
            return fail_on("prompt", Code::invalid_argument,
                           "prompt holds token id {}, expected 0 to {}", id, tokenizer.size() - 1);
        }
        return *request.prompt.tokens;
    }
    const std::string text = request.prompt.messages ? DG_TRY(chat_text(engine, request))
                                                     : request.prompt.text.value_or("");
    auto tokens = tokenizer.encode(text, {.add_special = true, .parse_special = true});
    drop_double_bos(tokens, tokenizer.bos());
    return tokens;
}

Result<engine::GenerateRequest> engine_request(const engine::Engine&,
                                               gate::GenerationRequest&& request,
                                               std::vector<engine::TokenId> prompt) {
    engine::GenerateRequest out;
    out.prompt = std::move(prompt);
    const gate::Sampling& in = request.sampling;
    out.sampling = {.temperature = in.temperature,
                    .top_k = in.top_k,
                    .top_p = in.top_p,
                    .min_p = in.min_p,
                    .typical_p = in.typical_p,
                    .repetition_penalty = in.repetition_penalty,
                    .presence_penalty = in.presence_penalty,
                    .frequency_penalty = in.frequency_penalty,
                    .logit_bias = in.logit_bias,
                    .seed = in.seed};
    out.max_tokens = request.max_tokens;
    out.stop = std::move(request.stop);
    out.top_logprobs = request.top_logprobs;
    out.ignore_eos = request.ignore_eos;
    out.deadline = request.deadline;
    out.tenant = std::move(request.tenant);
    out.session = std::move(request.session);
    out.cache_id = std::move(request.cache_id);
    out.priority = request.priority;
    return out;
}

std::shared_ptr<engine::GenerationSink> make_sink(
    const engine::Engine&, const gate::GenerationRequest&,
    std::shared_ptr<gate::GenerationListener> listener, AdapterTimes times) {
    return std::make_shared<ListenerSink>(std::move(listener), times.received, times.templated);
}

}  // namespace app
