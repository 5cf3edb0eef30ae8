#include "engine/batch/generation.h"

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

Generation::Generation(GenerationId id, GenerateRequest request,
                       std::shared_ptr<GenerationSink> sink, std::uint32_t tokens_max,
                       base::Instant submitted)
    : id_(id),
      request_(std::move(request)),
      prompt_tokens_(static_cast<std::uint32_t>(request_.prompt.size())),
      tokens_(std::exchange(request_.prompt, {})),
      sink_(std::move(sink)),
      tokens_max_(tokens_max),
      seed_(request_.sampling.seed ? *request_.sampling.seed : base::entropy64()),
      sampler_(request_.sampling, seed_, tokens_),
      text_(request_.stop) {
    completion_.prompt_tokens = prompt_tokens_;
    completion_.seed = seed_;
    completion_.submitted = submitted;
}

std::uint32_t Generation::kv_tokens_max() const {
    return prompt_tokens_ + tokens_max_;
}

void Generation::start(KvSequence kv, base::Instant now) {
    kv_ = std::move(kv);
    completion_.started = now;
}

base::Result<void> Generation::prepare(std::uint32_t rows) {
    return kv_.grow_to(computed_ + rows);
}

SequenceWork Generation::work() const {
    return {rows_left(), computed_, streams(), request_.priority, passed_over_};
}

bool Generation::accept(std::span<float> logits, const Tokenizer& tokenizer, base::Instant now) {
    base::Result<SampledToken> chosen = choose(logits);
    if (!chosen) {
        fail(std::move(chosen).error(), now);
        return true;
    }
    if (completion_.first_token == base::Instant{}) completion_.first_token = now;
    return append(*chosen, tokenizer, now);
}

base::Result<SampledToken> Generation::choose(std::span<float> logits) {
    base::Result<SampledToken> chosen = sampler_.sample(logits, request_.top_logprobs);
    if (!chosen) {
        return base::fail(chosen.error().code, "token {} of the answer, position {}: {}",
                          completion_.completion_tokens + 1, tokens_.size(),
                          chosen.error().message);
    }
    return chosen;
}

/// The next token is known: tells the sink, and ends the generation where it has to.
bool Generation::append(const SampledToken& token, const Tokenizer& tokenizer, base::Instant now) {
    if (!request_.ignore_eos && tokenizer.ends_generation(token.id)) {
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
    if (completion_.completion_tokens >= tokens_max_) {
        finish(FinishReason::length, now);
        return true;
    }
    return false;
}

TokenEvent Generation::make_event(const SampledToken& token, const Tokenizer& tokenizer) {
    TokenEvent event;
    event.id = token.id;
    event.text = text_.push(tokenizer.piece(token.id));
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
    kv_ = KvSequence();  // before the sink hears of it: the next request may need the pages
    tell(*sink_, completion_);
}

void Generation::fail(base::Error error, base::Instant now) {
    completion_.error = std::move(error);
    finish(FinishReason::error, now);
}

}  // namespace engine
