#include "engine/batch/generation.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/core/rng.h"

namespace engine {
namespace {

// A sink that throws is a bug in its owner; noexcept ends the process instead of unwinding a step.
void tell(GenerationSink& sink, const TokenEvent& event) noexcept {
    sink.on_token(event);
}
void tell(GenerationSink& sink, const Completion& completion) noexcept {
    sink.on_finish(completion);
}

TokenLogprob describe(TokenId id, float logprob, const Tokenizer& tokenizer) {
    return {id, tokenizer.piece(id, true), logprob};
}

}  // namespace

Generation::Generation(GenerateRequest request, std::shared_ptr<GenerationSink> sink,
                       std::uint32_t tokens_max, base::Instant submitted)
    : request_(std::move(request)),
      prompt_tokens_(static_cast<std::uint32_t>(request_.prompt.size())),
      tokens_(std::exchange(request_.prompt, {})),
      sink_(std::move(sink)),
      tokens_max_(tokens_max),
      seed_(request_.sampling.seed ? *request_.sampling.seed : base::entropy64()),
      sampler_(request_.sampling, seed_, tokens_),
      text_(request_.stop),
      scope_{.adapter = {}, .tenant = request_.tenant} {
    completion_.prompt_tokens = prompt_tokens_;
    completion_.seed = seed_;
    completion_.submitted = submitted;
}

void Generation::start(KvSequence kv, PrefixCache& cache, base::Instant now) {
    kv_ = std::move(kv);
    cache_ = &cache;
    computed_ = kv_.tokens();
    if (started()) return;
    completion_.started = now;
    completion_.cached_tokens = computed_;
}

void Generation::cache_pages() {
    if (cache_ == nullptr || computed_ == 0) return;
    cache_->put(scope_, tokens().first(computed_), kv_, request_.session);
}

void Generation::lose_pages() {
    kv_ = KvSequence();
    computed_ = 0;
}

base::Result<void> Generation::swap_out(KvSpill& spill) {
    swapped_ = DG_TRY(kv_.swap_out(spill));
    return {};
}

base::Result<void> Generation::swap_in(KvSpill& spill) {
    return kv_.swap_in(spill, swapped_);
}

bool Generation::surrender_pages() {
    if (pages_kept_while_swapped() == 0) return false;
    lose_pages();
    return true;
}

/// What was computed stays findable; after an error nobody should trust it.
void Generation::give_back_pages() {
    const bool sound = completion_.reason != FinishReason::error;
    if (cache_ != nullptr && computed_ > 0 && sound && !kv_.swapped_out()) {
        cache_->put(scope_, tokens().first(computed_), kv_, request_.session,
                    PrefixCache::Tail::keep);
    }
    lose_pages();
}

base::Result<void> Generation::prepare(std::uint32_t rows) {
    if (shift_.due(kv_.tokens())) {
        cache_pages();  // what is whole can be found again, also when this has to be read again
        DG_TRY(kv_.drop_middle(shift_.keep_tokens, shift_.drop_tokens));
        completion_.context_dropped_tokens =
            std::max(completion_.context_dropped_tokens, computed_ - kv_.tokens());
    }
    return kv_.grow_to(kv_.tokens() + rows);
}

SequenceWork Generation::work() const {
    const std::uint32_t held = kv_.tokens();
    return {shift_.rows_within(held, rows_left()), shift_.depth(held), streams(), request_.priority,
            passed_over_};
}

void Generation::accept(std::span<float> logits, const Tokenizer& tokenizer, base::Instant now) {
    if (keep_ != nullptr) {
        cache_pages();
        keep_->kept = cache_->keep(scope_, tokens_, keep_->time_to_live, kv_);
        finish(FinishReason::stop, now);
        return;
    }
    if (completion_.completion_tokens == 0) {  // a grammar may fix how the answer begins
        const std::size_t known = tokens_.size();
        if (append_forced(tokenizer, now) || tokens_.size() > known) return;
    }
    base::Result<SampledToken> chosen = choose(logits);
    if (!chosen) {
        const std::string where = fmt::format("token {} of the answer, position {}",
                                              completion_.completion_tokens + 1, tokens_.size());
        fail(std::move(chosen).error().with_context(where), now);
        return;
    }
    if (!append(*chosen, tokenizer, now)) append_forced(tokenizer, now);
}

base::Result<SampledToken> Generation::choose(std::span<float> logits) {
    if (guide_ == nullptr) return sampler_.sample(logits, request_.top_logprobs);
    DG_TRY(sampler_.prepare(logits));
    DG_TRY(guide_->restrict(logits));
    constexpr int kTriesMax = 1'000;
    for (int tries = 0; tries < kTriesMax; ++tries) {
        SampledToken token = sampler_.choose(logits, request_.top_logprobs);
        if (guide_->accept(token.id)) {
            sampler_.remember(token.id);
            return token;
        }
        // Rare: outside of the grammar, a token that runs from a trigger into what may not follow.
        logits[static_cast<std::size_t>(token.id)] = -std::numeric_limits<float>::infinity();
    }
    return base::fail(base::Code::failed_precondition,
                      "the model wrote a trigger that no token of its vocabulary may follow");
}

/// What the grammar leaves no choice about, and the end where nothing can follow. Returns true when
/// the generation ended.
bool Generation::append_forced(const Tokenizer& tokenizer, base::Instant now) {
    if (guide_ == nullptr) return false;
    const std::uint32_t room = tokens_max_ - completion_.completion_tokens;
    for (const TokenId id : guide_->forced(tokens_, room)) {
        if (!guide_->accept(id)) break;
        sampler_.remember(id);
        ++forced_tokens_;
        SampledToken token{id, 0.f, {}};
        if (request_.top_logprobs.value_or(0) > 0) token.top.emplace_back(id, 0.f);
        if (append(token, tokenizer, now)) return true;
    }
    if (!guide_->finished()) return false;
    finish(FinishReason::stop, now);
    return true;
}

/// The next token is known: tells the sink, and ends the generation where it has to.
bool Generation::append(const SampledToken& token, const Tokenizer& tokenizer, base::Instant now) {
    if (completion_.first_token == base::Instant{}) completion_.first_token = now;
    const bool complete = guide_ != nullptr && guide_->finished();
    if ((!request_.ignore_eos || complete) && tokenizer.ends_generation(token.id)) {
        finish(FinishReason::stop, now);
        return true;
    }
    tokens_.push_back(token.id);
    last_token_ = now;
    ++completion_.completion_tokens;
    tell(*sink_, make_event(token, tokenizer));
    if (text_.matched()) {
        completion_.stop_string = text_.matched();
        finish(FinishReason::stop, now);
        return true;
    }
    if (sink_->has_enough()) {
        finish(FinishReason::stop, now);
        return true;
    }
    if (completion_.completion_tokens >= tokens_max_) {
        finish(FinishReason::length, now);
        return true;
    }
    return false;
}

TokenEvent Generation::make_event(const SampledToken& token, const Tokenizer& tokenizer) {
    TokenEvent event;
    event.id = token.id;
    event.text = text_.push(tokenizer.piece(token.id, request_.emit_special));
    if (request_.top_logprobs) {
        event.chosen = describe(token.id, token.logprob, tokenizer);
        for (const auto& [id, logprob] : token.top) {
            event.top.push_back(describe(id, logprob, tokenizer));
        }
    }
    return event;
}

void Generation::finish(FinishReason reason, base::Instant now) {
    completion_.reason = reason;
    completion_.text = text_.finish();
    // The last bytes can complete a stop string only when they were held back as half a character.
    if (text_.matched()) completion_.stop_string = text_.matched();
    completion_.finished = now;
    give_back_pages();  // before the sink hears of it: the next request may need them
    ended_ = true;
    tell(*sink_, completion_);
}

void Generation::fail(base::Error error, base::Instant now) {
    completion_.error = std::move(error);
    finish(FinishReason::error, now);
}

}  // namespace engine
