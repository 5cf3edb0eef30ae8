#pragma once
// One request while it is served: what it asked for, what it has so far, and how it tells its sink.

#include <cstdint>
#include <memory>
#include <span>

#include "base/core/clock.h"
#include "base/core/result.h"
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

    GenerationId id() const { return id_; }
    base::Instant deadline() const { return request_.deadline; }
    /// KV positions it may need: the prompt and all it may generate.
    std::uint32_t kv_tokens_max() const;

    void start(KvSequence kv, base::Instant now);
    const KvSequence& kv() const { return kv_; }
    /// Makes room for `rows` more positions. Errors: resource_exhausted.
    base::Result<void> prepare(std::uint32_t rows);

    /// Prompt tokens not computed yet; 0 once decoding.
    std::uint32_t prefill_left() const;
    /// The token at position computed() + offset, from the prompt or the last one chosen.
    TokenId token_at(std::uint32_t offset) const;
    std::uint32_t computed() const { return computed_; }
    void advance(std::uint32_t rows) {
        computed_ += rows;
        kv_.advance(rows);
    }

    /// Chooses the next token from its logits and tells the sink. Returns true when the generation
    /// ended with it (finish() has been called).
    bool accept(std::span<float> logits, const Tokenizer& tokenizer, base::Instant now);
    /// Tells the sink the end; call once.
    void finish(FinishReason reason, base::Instant now);
    void fail(base::Error error, base::Instant now);

    std::uint32_t prompt_tokens() const {
        return static_cast<std::uint32_t>(request_.prompt.size());
    }
    std::uint32_t completion_tokens() const { return completion_.completion_tokens; }

private:
    TokenEvent make_event(const SampledToken& token, const Tokenizer& tokenizer);

    GenerationId id_;
    GenerateRequest request_;
    std::shared_ptr<GenerationSink> sink_;
    std::uint32_t tokens_max_;
    std::uint64_t seed_;
    Completion completion_;
    Sampler sampler_;
    TextStream text_;
    KvSequence kv_;
    std::uint32_t computed_ = 0;  ///< positions in the cache
    TokenId last_token_ = -1;
};

}  // namespace engine
