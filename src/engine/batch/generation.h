#pragma once
// One request while it is served: what it asked for, what it has so far, and how it tells its sink.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "engine/batch/step_plan.h"
#include "engine/constrain/guide.h"
#include "engine/engine.h"
#include "engine/kv/kv_sequence.h"
#include "engine/sample/sampler.h"
#include "engine/sample/text_stream.h"
#include "engine/tokenizer/tokenizer.h"

namespace engine {

class Generation {
public:
    /// Pre: the request was checked against the model. tokens_max: what it may generate, at
    /// least 1.
    Generation(GenerationId id, GenerateRequest request, std::shared_ptr<GenerationSink> sink,
               std::uint32_t tokens_max, base::Instant submitted);

    /// What the answer may say. Before the first step.
    void follow(std::unique_ptr<constrain::Guide> guide) { guide_ = std::move(guide); }

    GenerationId id() const { return id_; }
    const std::string& tenant() const { return request_.tenant; }
    std::int32_t priority() const { return request_.priority; }
    base::Instant deadline() const { return request_.deadline; }
    /// KV positions it may need: the prompt and all it may generate.
    std::uint32_t kv_tokens_max() const;

    void start(KvSequence kv, base::Instant now);
    const KvSequence& kv() const { return kv_; }
    /// Makes room for `rows` more positions. Errors: resource_exhausted.
    base::Result<void> prepare(std::uint32_t rows);

    /// Tokens known and not in the cache yet. One while decoding; more while a prompt is read,
    /// after the cache was lost, or when several tokens were appended at once. At least 1 until the
    /// end.
    std::uint32_t rows_left() const {
        return static_cast<std::uint32_t>(tokens_.size()) - computed_;
    }
    /// Whether somebody waits for its next token: the first one has been chosen.
    bool streams() const { return tokens_.size() > prompt_tokens_; }
    /// The token at position computed() + offset. Pre: offset < rows_left().
    TokenId token_at(std::uint32_t offset) const { return tokens_[computed_ + offset]; }
    /// Prompt and generated tokens.
    std::span<const TokenId> tokens() const { return tokens_; }
    SequenceWork work() const;
    /// Other prompts got `rows` while this one waited for its own.
    void pass_over(std::uint32_t rows) { passed_over_ += rows; }
    std::uint32_t computed() const { return computed_; }
    void advance(std::uint32_t rows) {
        computed_ += rows;
        kv_.advance(rows);
    }

    /// Chooses the next token from its logits and tells the sink. Returns true when the generation
    /// ended with it (finish() has been called). Pre: every known token is computed.
    bool accept(std::span<float> logits, const Tokenizer& tokenizer, base::Instant now);
    /// Tells the sink the end; call once.
    void finish(FinishReason reason, base::Instant now);
    void fail(base::Error error, base::Instant now);

    std::uint32_t prompt_tokens() const { return prompt_tokens_; }
    /// When the last token was told.
    base::Instant last_token() const { return last_token_; }
    std::uint32_t completion_tokens() const { return completion_.completion_tokens; }
    /// Of the completion: appended without sampling, because nothing else could follow.
    std::uint32_t forced_tokens() const { return forced_tokens_; }

private:
    bool append_forced(const Tokenizer& tokenizer, base::Instant now);
    base::Result<SampledToken> choose(std::span<float> logits);
    bool append(const SampledToken& token, const Tokenizer& tokenizer, base::Instant now);
    TokenEvent make_event(const SampledToken& token, const Tokenizer& tokenizer);

    GenerationId id_;
    GenerateRequest request_;  ///< but for its prompt, which tokens_ begins with
    std::uint32_t prompt_tokens_;
    std::vector<TokenId> tokens_;  ///< the prompt and what was generated
    std::shared_ptr<GenerationSink> sink_;
    std::uint32_t tokens_max_;
    std::uint64_t seed_;
    Completion completion_;
    Sampler sampler_;
    std::unique_ptr<constrain::Guide> guide_;  ///< null: free
    std::uint32_t forced_tokens_ = 0;
    TextStream text_;
    KvSequence kv_;
    std::uint32_t computed_ = 0;  ///< of tokens_: positions in kv_
    std::uint64_t passed_over_ = 0;
    base::Instant last_token_;
};

}  // namespace engine
