#pragma once
// One request while it is served: what it asked for, what it has so far, and how it tells its sink.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "engine/batch/context_shift.h"
#include "engine/batch/step_plan.h"
#include "engine/constrain/guide.h"
#include "engine/engine.h"
#include "engine/graph/batch_row.h"
#include "engine/kv/kv_sequence.h"
#include "engine/kv/kv_spill.h"
#include "engine/kv/prefix_cache.h"
#include "engine/sample/sampler.h"
#include "engine/sample/text_stream.h"
#include "engine/tokenizer/tokenizer.h"

namespace engine {

/// Tokens that another request is computing and this one begins with; 0 = none.
struct Awaited {
    GenerationId by = 0;
    std::uint32_t tokens = 0;
};

/// A prefix to keep, and what came of it.
struct KeepOrder {
    base::Duration time_to_live{};
    base::Result<KeptPrefix> kept = base::fail(base::Code::cancelled, "the engine is stopping");
};

class Generation {
public:
    /// Pre: the request was checked against the model. tokens_max: what it may generate, at
    /// least 1.
    Generation(GenerateRequest request, std::shared_ptr<GenerationSink> sink,
               std::uint32_t tokens_max, base::Instant submitted);

    /// Makes this a request to keep its prompt's pages: it generates nothing, and `order` has the
    /// result when the sink hears of the end.
    void keep_prompt(std::shared_ptr<KeepOrder> order) { keep_ = std::move(order); }
    /// It is there to generate, not to keep its prompt's pages.
    bool answers() const { return keep_ == nullptr; }
    /// What the answer may say. Before the first step.
    void follow(std::unique_ptr<constrain::Guide> guide) { guide_ = std::move(guide); }
    /// What it forgets when the context is full. Before the first step.
    void shift_by(const ContextShift& shift) { shift_ = shift; }
    /// Positions it holds at most.
    std::uint32_t window_tokens() const { return shift_.window_tokens; }

    /// Ids are given in order of arrival. Before anything else.
    void name(GenerationId id) { id_ = id; }
    GenerationId id() const { return id_; }
    const std::string& tenant() const { return request_.tenant; }
    std::int32_t priority() const { return request_.priority; }
    base::Instant deadline() const { return request_.deadline; }
    const KvScope& scope() const { return scope_; }
    /// Order of importance: priority, then arrival.
    bool goes_before(const Generation& other) const {
        return priority() != other.priority() ? priority() > other.priority() : id_ < other.id_;
    }
    /// What it may generate.
    std::uint32_t tokens_max() const { return tokens_max_; }
    bool started() const { return completion_.started != base::Instant{}; }
    bool ended() const { return ended_; }

    /// Takes a place, the first or a new one. `kv` holds the leading tokens; `cache` gets what is
    /// computed. Both must outlive this or its end.
    void start(KvSequence kv, PrefixCache& cache, base::Instant now);
    const KvSequence& kv() const { return kv_; }
    const Awaited& awaited() const { return awaited_; }
    void await(const Awaited& awaited) { awaited_ = awaited; }
    /// Makes what is computed findable by others.
    void cache_pages();
    /// Forgets what is computed; its tokens stay. start() gives it a new place.
    void lose_pages();
    /// Carries the pages out; swap_in brings them back. Errors: those of KvSequence.
    base::Result<void> swap_out(KvSpill& spill);
    base::Result<void> swap_in(KvSpill& spill);
    /// While swapped out: pages it still holds, because others do too.
    std::uint32_t pages_kept_while_swapped() const {
        return static_cast<std::uint32_t>(kv_.pages().size()) - kv_.pages_swapped();
    }
    /// While it waits: gives up pages it holds beside what is on disk, and with them all that is
    /// computed. False: it holds none.
    bool surrender_pages();
    /// Makes room for `rows` more positions, of a full context in its middle first. Pre: rows <=
    /// work().rows_left. Errors: resource_exhausted.
    base::Result<void> prepare(std::uint32_t rows);

    /// Tokens known and not in the cache yet. One while decoding; more while a prompt is read,
    /// after the cache was lost, or when several tokens were appended at once. At least 1 until the
    /// end.
    std::uint32_t rows_left() const {
        return static_cast<std::uint32_t>(tokens_.size()) - computed_;
    }
    /// Whether somebody waits for its next token: the first one has been chosen.
    bool streams() const { return tokens_.size() > prompt_tokens_; }
    /// The row of token computed() + offset. Pre: offset < rows_left().
    BatchRow row_at(std::uint32_t offset) const {
        // Only the last known token predicts something new.
        return {tokens_[computed_ + offset], &kv_, depth() + offset, offset + 1 == rows_left()};
    }
    /// Prompt and generated tokens.
    std::span<const TokenId> tokens() const { return tokens_; }
    SequenceWork work() const;
    /// Other prompts got `rows` while this one waited for its own.
    void pass_over(std::uint32_t rows) { passed_over_ += rows; }
    /// Of tokens(): those computed. Positions in kv(), and what shifts dropped since.
    std::uint32_t computed() const { return computed_; }
    /// Positions in kv(): where the next row goes.
    std::uint32_t depth() const { return kv_.tokens(); }
    void advance(std::uint32_t rows) {
        computed_ += rows;
        kv_.advance(rows);
    }

    /// Chooses the next token from its logits and tells the sink; the generation may end with it.
    /// Pre: every known token is computed.
    void accept(std::span<float> logits, const Tokenizer& tokenizer, base::Instant now);
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
    void give_back_pages();
    TokenEvent make_event(const SampledToken& token, const Tokenizer& tokenizer);

    GenerationId id_ = 0;
    GenerateRequest request_;  ///< but for its prompt, which tokens_ begins with
    std::uint32_t prompt_tokens_;
    std::vector<TokenId> tokens_;  ///< the prompt and what was generated
    std::shared_ptr<GenerationSink> sink_;
    std::uint32_t tokens_max_;
    std::uint64_t seed_;
    Completion completion_;
    Sampler sampler_;
    std::unique_ptr<constrain::Guide> guide_;  ///< null: free
    std::shared_ptr<KeepOrder> keep_;          ///< null: a generation
    std::uint32_t forced_tokens_ = 0;
    TextStream text_;
    KvScope scope_;
    PrefixCache* cache_ = nullptr;  ///< set by start
    KvSequence kv_;
    SpillId swapped_;  ///< while kv_ is swapped out
    Awaited awaited_;
    bool ended_ = false;
    std::uint32_t computed_ = 0;  ///< of tokens_: positions in kv_, and dropped ones
    ContextShift shift_;
    std::uint64_t passed_over_ = 0;
    base::Instant last_token_;
};

}  // namespace engine
