// What an engine is asked for once its model is open: chats rendered, requests checked and queued,
// prefixes kept, figures. The composition is in engine_open.cc.

#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include "engine/chat/chat_prompt.h"
#include "engine/engine_impl.h"
#include "engine/sample/sampler.h"

namespace engine {
namespace {

constexpr std::uint32_t kTopLogprobsMax = 20;

}  // namespace

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

const ModelInfo& Engine::info() const {
    return impl_->info;
}
const Tokenizer& Engine::tokenizer() const {
    return *impl_->tokenizer;
}
const std::shared_ptr<const chat::ChatFormat>& Engine::chat_format() const {
    return impl_->chat_format;
}
constrain::GrammarCache& Engine::grammars() const {
    return impl_->grammars;
}
void Engine::cancel(GenerationId id) {
    impl_->batcher->cancel(id);
}
void Engine::stop() {
    impl_->batcher->stop();
}

base::Result<std::string> Engine::render_chat(const base::json::array& messages,
                                              const base::json::value& tools,
                                              bool add_generation_prompt,
                                              const base::json::object& extra) const {
    if (impl_->chat_template_error) {
        return base::fail(base::Code::failed_precondition,
                          "the chat template of {} cannot be used: {}", impl_->info.name,
                          impl_->chat_template_error->message);
    }
    if (!impl_->chat_template) {
        return base::fail(base::Code::failed_precondition,
                          "model {} has no chat template; use plain completion", impl_->info.name);
    }
    const Vocabulary& vocabulary = impl_->tokenizer->vocabulary();
    const auto token_text = [&](TokenId id) {
        return id < 0 ? std::string() : vocabulary.tokens[static_cast<std::size_t>(id)];
    };
    base::json::object variables{{"messages", messages},
                                 {"add_generation_prompt", add_generation_prompt},
                                 {"bos_token", token_text(vocabulary.bos)},
                                 {"eos_token", token_text(vocabulary.eos)}};
    variables["tools"] = tools;
    for (const auto& [name, value] : extra) variables.insert_or_assign(name, value);
    base::RenderOptions options;
    options.now_unix_s = impl_->clock.unix_ns() / 1'000'000'000;
    return render_chat_prompt(*impl_->chat_template, std::move(variables), options);
}

base::Result<GenerationId> Engine::submit(GenerateRequest request,
                                          std::shared_ptr<GenerationSink> sink) {
    DG_TRY(impl_->continue_kept(request));
    DG_TRY(impl_->check(request));
    std::unique_ptr<constrain::Guide> guide;
    if (request.grammar != nullptr) {
        guide = impl_->constrainer->guide(request.grammar, request.grammar_triggers,
                                          request.trigger_pause);
    }
    return impl_->batcher->submit(std::move(request), std::move(sink), std::move(guide));
}

/// Puts the kept prefix that the request names before its prompt, unless it begins with it.
base::Result<void> Engine::Impl::continue_kept(GenerateRequest& request) const {
    if (request.cache_id.empty() || prefixes == nullptr) return {};
    auto found = prefixes->find(request.tenant, request.cache_id);
    if (!found) {
        return base::fail_on("cache_id", found.error().code, "{}", found.error().message);
    }
    std::vector<TokenId> tokens = *std::move(found);
    request.context_keep_tokens =
        std::max(request.context_keep_tokens, static_cast<std::uint32_t>(tokens.size()));
    if (request.prompt_has_prefix) {
        const auto differs = std::ranges::mismatch(tokens, request.prompt);
        const auto same = static_cast<std::size_t>(differs.in1 - tokens.begin());
        if (same == tokens.size()) return {};
        return base::fail_on("cache_id", base::Code::invalid_argument,
                             "the prompt begins with {} of the {} tokens that are kept as '{}' and "
                             "then differs; send the messages that were kept, unchanged and first, "
                             "or leave cache_id out",
                             same, tokens.size(), request.cache_id);
    }
    tokens.insert(tokens.end(), request.prompt.begin(), request.prompt.end());
    request.prompt = std::move(tokens);
    return {};
}

base::Result<void> Engine::Impl::check(const GenerateRequest& request) const {
    using base::Code;
    if (model.decoder == nullptr) {
        return base::fail(Code::failed_precondition,
                          "model {} is an encoder: it embeds text and cannot generate", info.name);
    }
    if (request.prompt.empty()) {
        return base::fail_on("prompt", Code::invalid_argument,
                             "the prompt has no tokens; at least 1 is needed");
    }
    const std::uint32_t vocab = model.decoder->config().vocab_size;
    for (const TokenId id : request.prompt) {
        if (id >= 0 && static_cast<std::uint32_t>(id) < vocab) continue;
        return base::fail_on("prompt", Code::invalid_argument,
                             "the prompt holds token {}; the model has ids 0 to {}", id, vocab - 1);
    }
    if (request.prompt.size() >= model.context_tokens) {
        return base::fail_on("context_tokens", Code::invalid_argument,
                             "the prompt has {} tokens and the context holds {}, one of which must "
                             "stay free for the answer; shorten the prompt",
                             request.prompt.size(), model.context_tokens);
    }
    if (request.top_logprobs.value_or(0) > kTopLogprobsMax) {
        return base::fail_on("top_logprobs", Code::invalid_argument,
                             "top_logprobs is {}; allowed are 0 to {}", *request.top_logprobs,
                             kTopLogprobsMax);
    }
    return engine::validate(request.sampling, vocab);
}

base::Result<KeptPrefix> Engine::keep_prefix(const std::string& tenant, std::vector<TokenId> tokens,
                                             base::Duration time_to_live) {
    GenerateRequest request;
    request.prompt = std::move(tokens);
    request.tenant = tenant;
    DG_TRY(impl_->check(request));
    return impl_->batcher->keep(std::move(request), time_to_live);
}

base::Result<void> Engine::drop_prefix(const std::string& tenant, const std::string& id) {
    base::Result<void> dropped;
    if (impl_->prefixes == nullptr) {
        return base::fail_on("id", base::Code::not_found, "no prefix is kept as '{}'", id);
    }
    DG_TRY(impl_->batcher->call([&](RunningSet*) {
        dropped = impl_->prefixes->drop(tenant, id);
        return Batcher::Progress::done;
    }));
    return dropped;
}

std::vector<KeptPrefix> Engine::kept_prefixes(const std::string& tenant) const {
    if (impl_->prefixes == nullptr) return {};
    return impl_->prefixes->list(tenant);
}

EngineStats Engine::stats() const {
    const BatcherStats batch = impl_->batcher->stats();
    EngineStats stats;
    stats.queued = batch.queued;
    stats.running = batch.running;
    stats.requests_total = batch.requests_total;
    stats.prompt_tokens_total = batch.totals.prompt_tokens;
    stats.completion_tokens_total = batch.totals.completion_tokens;
    stats.forced_tokens_total = batch.totals.forced_tokens;
    stats.steps_total = batch.totals.steps;
    stats.prefill_seconds_total = batch.totals.prefill_seconds;
    stats.decode_seconds_total = batch.totals.decode_seconds;
    stats.running_max = impl_->options.running_max;
    stats.batch_rows_last = batch.rows_last;
    stats.batch_rows_max = impl_->options.batch_tokens_max;
    stats.gaps = batch.gaps;
    stats.cached_tokens_total = batch.totals.cached_tokens;
    stats.preempted_total = batch.totals.preempted;
    stats.swapped_out_bytes_total = batch.totals.swapped_out_bytes;
    stats.weights_bytes = impl_->need.weights_bytes;
    stats.load_seconds = impl_->load_seconds;
    if (impl_->prefixes != nullptr) {
        const PrefixCacheStats prefixes = impl_->prefixes->stats();
        stats.prefix_hits_total = prefixes.hits;
        stats.prefix_misses_total = prefixes.misses;
        stats.pages_evicted_total = prefixes.pages_evicted;
    }
    if (impl_->kv != nullptr) {
        const KvStats kv = impl_->kv->stats();
        stats.kv_pages_used = kv.pages_taken;
        stats.kv_pages_total = kv.pages_total;
        stats.kv_pages_cached = kv.pages_cached;
        stats.kv_bytes = std::uint64_t{kv.pages_total} * impl_->kv->geometry().page_bytes();
    }
    return stats;
}

}  // namespace engine
