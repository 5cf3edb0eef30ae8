#include "app/engine_backend.h"

#include <fmt/format.h>

#include "app/model_facts.h"

namespace app {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

// The top byte of a handle is the model, the rest the engine's own id.
constexpr unsigned kIndexShift = 56;

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

engine::GenerateRequest engine_request(gate::GenerationRequest&& request,
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
    return out;
}

json::object details(const engine::ModelInfo& info) {
    json::object facts = model_facts(info);
    facts["context_tokens"] = info.context_tokens;
    facts["chat_template"] = !info.chat_template.empty();
    return facts;
}

}  // namespace

void EngineBackend::add(std::string id, std::unique_ptr<engine::Engine> engine,
                        std::uint32_t max_tokens_default) {
    const std::unique_lock lock(mutex_);
    open_.push_back(
        {std::move(id), clock_.unix_ns() / 1'000'000'000, std::move(engine), max_tokens_default});
}

void EngineBackend::set_ready() {
    const std::unique_lock lock(mutex_);
    ready_ = true;
}

void EngineBackend::close() {
    std::vector<Open> closing;
    {
        const std::unique_lock lock(mutex_);
        ready_ = false;
        closing.swap(open_);
    }
    // Engines stop here, outside the lock: their last events may ask this object for stats.
}

bool EngineBackend::ready() const {
    const std::shared_lock lock(mutex_);
    return ready_;
}

std::vector<gate::ModelCard> EngineBackend::models() const {
    const std::shared_lock lock(mutex_);
    std::vector<gate::ModelCard> cards;
    for (const Open& open : open_) {
        const engine::ModelInfo& info = open.engine->info();
        gate::ModelCard card;
        card.id = open.id;
        card.created_unix_s = open.opened_unix_s;
        card.generates = info.kind == engine::ModelKind::generator;
        card.embeds = true;
        card.context_tokens = info.context_tokens;
        card.embedding_dim = info.embedding_dim;
        card.details = details(info);
        cards.push_back(std::move(card));
    }
    return cards;
}

Result<EngineBackend::Found> EngineBackend::find(std::string_view model, Need need) const {
    const std::shared_lock lock(mutex_);
    std::string known;
    for (std::size_t i = 0; i < open_.size(); ++i) {
        const Open& open = open_[i];
        const bool generates = open.engine->info().kind == engine::ModelKind::generator;
        if (open.id == model) {
            if (need == Need::any || generates)
                return Found{i, open.max_tokens_default, open.engine};
            return fail_on("model", Code::invalid_argument,
                           "model {} is an encoder and writes no text; use /v1/embeddings", model);
        }
        known += (known.empty() ? "" : ", ") + open.id;
    }
    if (open_.empty()) {
        return fail_on("model", Code::unavailable,
                       "the model is still being loaded; try again soon");
    }
    return fail_on("model", Code::not_found, "model '{}' is not open here; open models: {}", model,
                   known);
}

Result<gate::GenerationHandle> EngineBackend::start(
    gate::GenerationRequest request, std::shared_ptr<gate::GenerationListener> listener) {
    const base::Instant received = clock_.now();
    const Found found = DG_TRY(find(request.model, Need::generator));
    if (request.max_tokens == 0) request.max_tokens = found.max_tokens_default;
    auto prompt = DG_TRY(prompt_tokens(*found.engine, request));
    const base::Instant templated = clock_.now();
    auto sink = std::make_shared<ListenerSink>(std::move(listener), received, templated);
    const engine::GenerationId id = DG_TRY(found.engine->submit(
        engine_request(std::move(request), std::move(prompt)), std::move(sink)));
    return (static_cast<gate::GenerationHandle>(found.index) << kIndexShift) | id;
}

void EngineBackend::cancel(gate::GenerationHandle handle) {
    const std::size_t index = handle >> kIndexShift;
    const std::shared_lock lock(mutex_);
    if (index >= open_.size()) return;
    open_[index].engine->cancel(handle & ((std::uint64_t{1} << kIndexShift) - 1));
}

Result<gate::ModelBackend::Embeddings> EngineBackend::embed(std::string_view model,
                                                            std::span<const std::string> texts) {
    const Found found = DG_TRY(find(model, Need::any));
    Embeddings out;
    out.vectors = DG_TRY(found.engine->embed(texts));
    for (const std::string& text : texts) {
        out.prompt_tokens +=
            static_cast<std::uint32_t>(found.engine->tokenizer().encode(text).size());
    }
    return out;
}

Result<std::vector<std::int32_t>> EngineBackend::tokenize(std::string_view model,
                                                          std::string_view text,
                                                          bool add_special) const {
    const Found found = DG_TRY(find(model, Need::any));
    return found.engine->tokenizer().encode(text,
                                            {.add_special = add_special, .parse_special = true});
}

Result<std::string> EngineBackend::detokenize(std::string_view model,
                                              std::span<const std::int32_t> tokens) const {
    const Found found = DG_TRY(find(model, Need::any));
    return found.engine->tokenizer().decode(tokens, true);
}

gate::BackendStats EngineBackend::stats() const {
    const std::shared_lock lock(mutex_);
    gate::BackendStats sum;
    for (const Open& open : open_) {
        const engine::EngineStats one = open.engine->stats();
        sum.queued += one.queued;
        sum.running += one.running;
        sum.kv_pages_used += one.kv_pages_used;
        sum.kv_pages_total += one.kv_pages_total;
        sum.prompt_tokens_total += one.prompt_tokens_total;
        sum.completion_tokens_total += one.completion_tokens_total;
        sum.requests_total += one.requests_total;
        sum.prefill_seconds_total += one.prefill_seconds_total;
        sum.decode_seconds_total += one.decode_seconds_total;
        sum.weights_bytes += one.weights_bytes;
        sum.kv_bytes += one.kv_bytes;
    }
    return sum;
}

}  // namespace app
