#pragma once
// Where the gateway gets tokens from. Port owned by gate; app adapts engine::Engine to it, later
// planes adapt remote servers, tests use a scripted fake. Depends on base only.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/json/json.h"

namespace gate {

/// Where a model is on its way into memory.
enum class ModelState { unloaded, loading, ready, unloading, failed };

struct ModelCard {
    std::string id;  ///< what clients put in "model"
    std::string owned_by = "dougong";
    std::int64_t created_unix_s = 0;
    bool generates = true, embeds = true;
    /// For requests that name no model, among those that fit: the highest. 0: only by name.
    std::uint32_t preference = 1;
    std::uint32_t context_tokens = 0, embedding_dim = 0;
    base::json::object details;  ///< shown by the console: architecture, sizes, licence...
    ModelState state = ModelState::ready;
    std::string state_text;              ///< with failed: why
    std::uint64_t memory_bytes = 0;      ///< weights and KV it holds, or would need
    std::uint32_t requests_running = 0;  ///< it is not unloaded while there are some
};

struct Sampling {
    float temperature = 1.0f;
    std::uint32_t top_k = 0;
    float top_p = 1.0f, min_p = 0.0f, typical_p = 1.0f;
    float repetition_penalty = 1.0f, presence_penalty = 0.0f, frequency_penalty = 0.0f;
    std::vector<std::pair<std::int32_t, float>> logit_bias;
    std::optional<std::uint64_t> seed;
};

/// What to continue: exactly one of the three is set.
struct Prompt {
    std::optional<base::json::array> messages;  ///< chat, OpenAI-shaped
    std::optional<std::string> text;            ///< plain completion
    std::optional<std::vector<std::int32_t>> tokens;
};

/// Which of the offered tools the answer may or must call.
struct ToolChoice {
    enum class Kind { automatic, none, required, named };
    Kind kind = Kind::automatic;
    std::string name;             ///< with named
    bool parallel = true;         ///< more than one call in an answer
    bool parallel_asked = false;  ///< the request says so itself; else it is the default
};

/// What the answer's text must look like.
struct AnswerFormat {
    enum class Kind { text, json_object, json_schema, regex, ebnf };
    Kind kind = Kind::text;
    base::json::value schema;  ///< with json_schema
    std::string pattern;       ///< with regex and ebnf
};

/// What happens when the conversation and its answer are longer than the context.
enum class ContextOverflow {
    error,  ///< a prompt that is too long is refused, an answer ends with the context
    /// The oldest turns of a chat are left out, and an answer goes on while tokens in the middle of
    /// the context are forgotten.
    shift,
};

struct GenerationRequest {
    std::string model;
    Prompt prompt;
    base::json::value tools;  ///< OpenAI-shaped array; null when none
    ToolChoice tool_choice;
    AnswerFormat format;
    /// What the model thinks before it answers comes apart, as `reasoning`; else it stays in the
    /// text.
    bool split_reasoning = true;
    std::string tenant;    ///< cached prefixes are shared within one only
    std::string session;   ///< requests of one conversation
    std::string cache_id;  ///< a kept prefix that the prompt continues
    std::int32_t priority = 0;
    base::json::object template_extra;  ///< chat_template_kwargs
    Sampling sampling;
    std::uint32_t max_tokens = 0;  ///< 0 = until stop or context is full
    ContextOverflow context_overflow = ContextOverflow::error;
    std::vector<std::string> stop;
    std::optional<std::uint32_t> top_logprobs;
    bool ignore_eos = false;
    base::Instant deadline = base::Instant::never();
};

struct TokenText {
    std::int32_t id = 0;
    std::string bytes;
    float logprob = 0.f;
};

struct TokenLogprobs {
    TokenText chosen;
    std::vector<TokenText> top;
};

/// A piece of a tool call. The first one of a call has id and name; arguments are JSON text that
/// comes in pieces.
struct ToolCallDelta {
    std::uint32_t index = 0;
    std::string id, name, arguments;
};

struct TokenDelta {
    std::string text;       ///< complete UTF-8; may be empty
    std::string reasoning;  ///< likewise
    std::vector<ToolCallDelta> tool_calls;
    /// With logprobs only: the tokens of `text`. In chats those of reasoning and calls are left
    /// out, and one may come before the last of its text.
    std::vector<TokenLogprobs> logprobs;
};

enum class Finish { stop, length, tool_calls, cancelled, deadline, error };

struct GenerationEnd {
    Finish finish = Finish::stop;
    std::optional<base::Error> error;
    std::string text, reasoning;  ///< last held-back pieces
    std::vector<ToolCallDelta> tool_calls;
    std::vector<TokenLogprobs> logprobs;
    std::uint32_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;
    /// With a shift: of the prompt, left out; of prompt and answer, forgotten.
    std::uint32_t context_dropped_tokens = 0;
    std::uint64_t seed = 0;
    /// For spans and the request log; zero when never reached. `templated`: prompt is token ids.
    base::Instant received, templated, started, first_token, finished;
};

/// Called from the backend's thread; must not block. on_end comes last, exactly once.
class GenerationListener {
public:
    virtual ~GenerationListener() = default;
    virtual void on_delta(const TokenDelta& delta) = 0;
    virtual void on_end(const GenerationEnd& end) = 0;
};

using GenerationHandle = std::uint64_t;

struct BackendStats {
    std::uint32_t queued = 0, running = 0, kv_pages_used = 0, kv_pages_total = 0;
    std::uint32_t running_max = 0, batch_rows_last = 0, batch_rows_max = 0, kv_pages_cached = 0;
    std::uint64_t cached_tokens_total = 0, prefix_hits_total = 0, prefix_misses_total = 0;
    std::uint64_t pages_evicted_total = 0, preempted_total = 0, swapped_out_bytes_total = 0;
    std::uint64_t forced_tokens_total = 0;
    double gap_p50_ms = 0, gap_p99_ms = 0, gap_max_ms = 0;  ///< between tokens, last minute
    std::uint64_t prompt_tokens_total = 0, completion_tokens_total = 0, requests_total = 0;
    double prefill_seconds_total = 0, decode_seconds_total = 0;
    std::uint64_t weights_bytes = 0, kv_bytes = 0;
};

/// All methods are thread-safe. An unknown model is not_found.
class ModelBackend {
public:
    virtual ~ModelBackend() = default;
    virtual std::vector<ModelCard> models() const = 0;
    virtual bool ready() const = 0;
    /// Returns soon (renders and tokenizes, then queues). Errors as engine::Engine::submit: a
    /// prompt over the context is invalid_argument with subject "context_tokens", a full queue
    /// resource_exhausted.
    virtual base::Result<GenerationHandle> start(GenerationRequest request,
                                                 std::shared_ptr<GenerationListener> listener) = 0;
    virtual void cancel(GenerationHandle handle) = 0;
    struct Embeddings {
        std::vector<std::vector<float>> vectors;
        std::uint32_t prompt_tokens = 0;
    };
    /// Blocks while it computes: call off the network threads.
    virtual base::Result<Embeddings> embed(std::string_view model,
                                           std::span<const std::string> texts) = 0;
    struct Ranking {
        std::vector<float> scores;  ///< one per document, higher is more relevant
        std::uint32_t prompt_tokens = 0;
    };
    /// How well each document answers the query. Blocks. Errors: failed_precondition (the model
    /// can neither rank nor embed), invalid_argument (which document is too long).
    virtual base::Result<Ranking> rank(std::string_view model, std::string_view query,
                                       std::span<const std::string> documents) = 0;

    /// Into memory now, or out of it when its requests have ended. Block until it is done. Errors:
    /// not_found, resource_exhausted (says what is needed and what is free), failed_precondition.
    virtual base::Result<void> load(std::string_view model) = 0;
    virtual base::Result<void> unload(std::string_view model) = 0;

    struct KeptPrefix {
        std::string id, model;
        std::uint32_t tokens = 0;
        std::int64_t expires_unix_s = 0;
    };
    /// Computes the prompt once and keeps it for `time_to_live`. Blocks.
    virtual base::Result<KeptPrefix> keep_prefix(std::string_view model, std::string_view tenant,
                                                 Prompt prompt, base::Duration time_to_live) = 0;
    virtual base::Result<void> drop_prefix(std::string_view tenant, std::string_view id) = 0;
    virtual std::vector<KeptPrefix> kept_prefixes(std::string_view tenant) const = 0;

    virtual base::Result<std::vector<std::int32_t>> tokenize(std::string_view model,
                                                             std::string_view text,
                                                             bool add_special) const = 0;
    virtual base::Result<std::string> detokenize(std::string_view model,
                                                 std::span<const std::int32_t> tokens) const = 0;
    virtual BackendStats stats() const = 0;  ///< of all models together
    struct ModelStats {
        std::string model;
        BackendStats stats;
    };
    /// One entry per model in memory.
    virtual std::vector<ModelStats> stats_by_model() const = 0;
};

}  // namespace gate
