#include "app/generation_adapter.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "app/answer_constraint.h"
#include "app/chat_sink.h"
#include "app/context_fit.h"
#include "base/core/rng.h"
#include "engine/chat/tool_messages.h"

namespace app {
namespace {

namespace chat = engine::chat;
namespace json = base::json;
using base::Code;
using base::fail_on;
using base::Result;

gate::TokenText token_text(const engine::TokenLogprob& token) {
    return {token.id, token.bytes, token.logprob};
}

/// Empty when no log probabilities were asked for.
std::optional<gate::TokenLogprobs> logprobs_of(const engine::TokenEvent& event) {
    if (!event.chosen) return std::nullopt;
    gate::TokenLogprobs out{token_text(*event.chosen), {}};
    for (const auto& token : event.top) out.top.push_back(token_text(token));
    return out;
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

/// Carries the engine's events over to the gateway's listener; in chats through a ChatSink.
class ListenerSink final : public engine::GenerationSink {
public:
    ListenerSink(std::shared_ptr<gate::GenerationListener> listener, const PromptFacts& facts,
                 std::optional<ChatSinkOptions> chat)
        : listener_(std::move(listener)), facts_(facts) {
        if (chat) chat_.emplace(*std::move(chat));
    }

    void on_token(const engine::TokenEvent& event) override {
        gate::TokenDelta delta;
        std::optional<gate::TokenLogprobs> logprobs = logprobs_of(event);
        if (chat_) {
            chat_->push(event.text, std::move(logprobs), delta);
        } else {
            delta.text = event.text;
            if (logprobs) delta.logprobs.push_back(*std::move(logprobs));
        }
        listener_->on_delta(delta);
    }

    bool has_enough() const override { return chat_ && chat_->has_enough(); }

    void on_finish(const engine::Completion& completion) override {
        gate::GenerationEnd end;
        end.finish = finish_of(completion.reason);
        end.error = completion.error;
        if (chat_) {
            chat_->finish(completion.text, end);
        } else {
            end.text = completion.text;
        }
        end.prompt_tokens = completion.prompt_tokens;
        end.cached_tokens = completion.cached_tokens;
        end.completion_tokens = completion.completion_tokens;
        end.seed = completion.seed;
        end.context_dropped_tokens = facts_.dropped_tokens + completion.context_dropped_tokens;
        end.received = facts_.received;
        end.templated = facts_.templated;
        end.started = completion.started;
        end.first_token = completion.first_token;
        end.finished = completion.finished;
        listener_->on_end(end);
    }

private:
    std::shared_ptr<gate::GenerationListener> listener_;
    PromptFacts facts_;
    std::optional<ChatSink> chat_;
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

/// Templates refuse what they were not made for: a system message, two calls in one message. What
/// one refuses is said in other messages; if that fails too, its first words are the error.
Result<std::string> chat_text(const engine::Engine& engine, const gate::GenerationRequest& request,
                              const json::array& messages, PromptEnd end) {
    const json::value tools = offered_tools(request);
    chat::ChatFormat format = *engine.chat_format();
    using chat::ToolsPlace;
    if (engine.info().chat_template.empty()) {
        return plain_chat(tool_messages(format, messages, tools, ToolsPlace::system_message));
    }
    const auto render = [&](ToolsPlace place) {
        // Tools that the template shows in a form we do not read are told in ours instead.
        return engine.render_chat(tool_messages(format, messages, tools, place),
                                  format.template_has_tools ? tools : json::value(),
                                  end == PromptEnd::answer_follows, request.template_extra);
    };
    auto text = render(ToolsPlace::system_message);
    const auto refused = [&] { return !text && text.error().code == Code::invalid_argument; };
    if (!refused()) return text;
    const base::Error first = text.error();
    text = render(ToolsPlace::user_message);
    if (!refused()) return text;
    format.template_has_calls = format.template_has_results = false;
    text = render(ToolsPlace::user_message);
    if (refused()) return std::unexpected(first);
    return text;
}

/// Most templates write BOS themselves; the tokenizer would put a second one before it.
void drop_double_bos(std::vector<engine::TokenId>& tokens, engine::TokenId bos) {
    if (tokens.size() >= 2 && tokens[0] == bos && tokens[1] == bos) tokens.erase(tokens.begin());
}

std::vector<engine::TokenId> encoded(const engine::Engine& engine, const std::string& text) {
    const engine::Tokenizer& tokenizer = engine.tokenizer();
    auto tokens = tokenizer.encode(text, {.add_special = true, .parse_special = true});
    drop_double_bos(tokens, tokenizer.bos());
    return tokens;
}

Result<std::vector<engine::TokenId>> chat_tokens(const engine::Engine& engine,
                                                 const gate::GenerationRequest& request,
                                                 const json::array& messages, PromptEnd end) {
    return encoded(engine, DG_TRY(chat_text(engine, request, messages, end)));
}

/// Tokens of `prompt` with which every chat of the same system prompt and tools begins.
std::uint32_t lasting_tokens(const engine::Engine& engine, const gate::GenerationRequest& request,
                             std::span<const engine::TokenId> prompt) {
    json::array beginning = system_messages(*request.prompt.messages);
    beginning.push_back(json::object{{"role", "user"}, {"content", ""}});
    // A template that refuses it has no beginning of its own to keep.
    const auto other = chat_tokens(engine, request, beginning, PromptEnd::messages_follow)
                           .value_or(std::vector<engine::TokenId>());
    return static_cast<std::uint32_t>(std::ranges::mismatch(prompt, other).in1 - prompt.begin());
}

/// Chats whose text has more than content in it.
bool is_parsed(const engine::Engine& engine, const gate::GenerationRequest& request) {
    if (!request.prompt.messages) return false;
    if (!offered_tools(request).is_null()) return true;
    const chat::ChatFormat& format = *engine.chat_format();
    return request.split_reasoning && (!format.reasoning.open.empty() || !format.silent.empty());
}

/// Calls in the messages: the index of the answer's first one.
std::size_t past_calls(const gate::GenerationRequest& request) {
    std::size_t count = 0;
    for (const json::value& message : *request.prompt.messages) {
        const json::object* object = message.if_object();
        const json::value* calls = object ? object->if_contains("tool_calls") : nullptr;
        if (calls != nullptr && calls->is_array()) count += calls->get_array().size();
    }
    return count;
}

std::optional<ChatSinkOptions> chat_sink_options(const engine::Engine& engine,
                                                 const gate::GenerationRequest& request,
                                                 std::span<const engine::TokenId> prompt) {
    if (!is_parsed(engine, request)) return std::nullopt;
    ChatSinkOptions options;
    options.format = engine.chat_format();
    options.stop = request.stop;
    options.parallel = may_call_in_parallel(*options.format, request.tool_choice);
    options.parser.split_reasoning = request.split_reasoning;
    options.parser.reasoning_open = reasoning_after(engine, prompt) == chat::ReasoningState::open;
    options.parser.new_id = [format = options.format, past = past_calls(request)](
                                std::string_view name, std::uint32_t index) {
        return chat::make_call_id(format->calls, name, past + index,
                                  [] { return base::entropy64(); });
    };
    const json::value tools = offered_tools(request);
    // Tools that cannot be read are refused by engine_request.
    if (!tools.is_null()) options.tools = chat::ToolSet::parse(tools).value_or(nullptr);
    return options;
}

}  // namespace

Result<std::vector<engine::TokenId>> prompt_tokens(const engine::Engine& engine,
                                                   const gate::GenerationRequest& request,
                                                   PromptEnd end) {
    if (request.prompt.tokens) {
        const engine::Tokenizer& tokenizer = engine.tokenizer();
        for (const engine::TokenId id : *request.prompt.tokens) {
            if (id >= 0 && static_cast<std::uint32_t>(id) < tokenizer.size()) continue;
            return fail_on("prompt", Code::invalid_argument,
                           "prompt holds token id {}, expected 0 to {}", id, tokenizer.size() - 1);
        }
        return *request.prompt.tokens;
    }
    if (!request.prompt.messages) return encoded(engine, request.prompt.text.value_or(""));
    return chat_tokens(engine, request, *request.prompt.messages, end);
}

Result<ModelPrompt> answer_prompt(const engine::Engine& engine,
                                  const gate::GenerationRequest& request) {
    ModelPrompt prompt;
    prompt.tokens = DG_TRY(prompt_tokens(engine, request));
    const bool shifts = request.context_overflow == gate::ContextOverflow::shift;
    if (!shifts || !request.prompt.messages) return prompt;
    prompt.lasting_tokens = lasting_tokens(engine, request, prompt.tokens);
    auto [tokens, dropped] = DG_TRY(
        fit_prompt(std::move(prompt.tokens), *request.prompt.messages, engine.info().context_tokens,
                   [&](const json::array& messages) {
                       return chat_tokens(engine, request, messages, PromptEnd::answer_follows);
                   }));
    prompt.tokens = std::move(tokens);
    prompt.dropped_tokens = dropped;
    return prompt;
}

Result<engine::GenerateRequest> engine_request(const engine::Engine& engine,
                                               gate::GenerationRequest&& request,
                                               ModelPrompt prompt) {
    engine::GenerateRequest out;
    out.prompt = std::move(prompt.tokens);
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
    if (request.context_overflow == gate::ContextOverflow::shift) {
        out.context_overflow = engine::ContextOverflow::shift;
        out.context_keep_tokens = prompt.lasting_tokens;
    }
    if (is_parsed(engine, request)) {
        out.emit_special = !engine.chat_format()->control_texts.empty();
    } else {
        out.stop = std::move(request.stop);
    }
    DG_TRY(constrain_answer(engine, request, out));
    out.top_logprobs = request.top_logprobs;
    out.ignore_eos = request.ignore_eos;
    out.deadline = request.deadline;
    out.tenant = std::move(request.tenant);
    out.session = std::move(request.session);
    out.cache_id = std::move(request.cache_id);
    // A chat's prompt is rendered as a whole; before it the template's beginning would come twice.
    out.prompt_has_prefix = request.prompt.messages.has_value();
    out.priority = request.priority;
    return out;
}

std::shared_ptr<engine::GenerationSink> make_sink(
    const engine::Engine& engine, const gate::GenerationRequest& request,
    std::shared_ptr<gate::GenerationListener> listener, const PromptFacts& facts,
    std::span<const engine::TokenId> prompt) {
    return std::make_shared<ListenerSink>(std::move(listener), facts,
                                          chat_sink_options(engine, request, prompt));
}

}  // namespace app
