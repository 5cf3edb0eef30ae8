#pragma once
// The token factory's public face: open a model file, submit token sequences, get tokens back.
// One Engine owns one model, its KV pages, and one thread that steps all running requests together.

#include <cstdint>
#include <functional>
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
#include "engine/constrain/trigger_pause.h"
#include "engine/kernels/kv_type.h"
#include "engine/model_info.h"
#include "engine/tokenizer/tokenizer.h"

namespace engine {

namespace constrain {
class Grammar;
class GrammarCache;
}  // namespace constrain
namespace chat {
struct ChatFormat;
}

/// How much a prompt that arrives may stretch the time between others' tokens, by default.
inline constexpr double kTokenGapRatio = 3.;

struct EngineOptions {
    std::uint32_t threads = 0;             ///< compute threads; 0 = physical cores available
    std::uint32_t context_tokens_max = 0;  ///< per request; 0 = the model's own, at most 8192
    std::uint64_t kv_bytes_max = 0;        ///< KV pages in all; 0 = 1/4 of free memory
    KvType kv_type = KvType::f16;          ///< how keys and values are kept
    std::uint32_t batch_tokens_max = 256;  ///< tokens computed in one step
    /// Most time between two tokens of a stream while prompts are read beside it; prompts get a row
    /// or half a layer in every step whatever it says. 0 = kTokenGapRatio times what decoding alone
    /// takes.
    double token_gap_target_ms = 0;
    std::uint32_t queue_depth_max = 256;  ///< waiting requests; more are refused
    std::uint32_t running_max = 16;       ///< sequences stepped together
    bool prefix_cache = true;             ///< keeps KV of what ended for prompts that begin alike
    /// Where running requests that lose their place may carry their KV to, as a file without a
    /// name. Empty: nowhere, they are computed again.
    std::string kv_spill_dir = {};
    std::uint64_t kv_spill_bytes_max = 4ull << 30;
    /// Keeps packed weights (kernels/packed.h) in this folder for the next start. Empty, or for a
    /// model linked into the program: packed into memory at every start.
    std::string packed_dir = {};
    /// What the model may take in all: weights, KV, scratch. 0 = what is available now.
    std::uint64_t memory_bytes_max = 0;
};

struct SamplingParams {
    float temperature = 1.0f;         ///< 0 = greedy
    std::uint32_t top_k = 0;          ///< 0 = off
    float top_p = 1.0f;               ///< 1 = off
    float min_p = 0.0f;               ///< 0 = off
    float typical_p = 1.0f;           ///< 1 = off
    float repetition_penalty = 1.0f;  ///< 1 = off; Keskar et al. 2019
    float presence_penalty = 0.0f;    ///< OpenAI's, over generated tokens
    float frequency_penalty = 0.0f;
    std::vector<std::pair<TokenId, float>> logit_bias = {};
    std::optional<std::uint64_t> seed = {};  ///< none: from entropy, reported in Completion
};

/// What happens when prompt and answer fill the context.
enum class ContextOverflow {
    stop,   ///< the answer ends, with reason length
    shift,  ///< tokens in the middle are forgotten and it goes on
};

struct GenerateRequest {
    std::vector<TokenId> prompt;  ///< at least one token
    SamplingParams sampling;
    /// 0 = until stop or context is full; with a shift, as many as the context holds.
    std::uint32_t max_tokens = 0;
    std::vector<std::string> stop;              ///< matched across token borders, not emitted
    std::optional<std::uint32_t> top_logprobs;  ///< none: no logprobs; 0..20 alternatives per token
    bool ignore_eos = false;                    ///< for benchmarks
    base::Instant deadline = base::Instant::never();
    ContextOverflow context_overflow = ContextOverflow::stop;
    /// With shift: leading tokens that stay, those of `cache_id` and whole KV pages at least. The
    /// prompt itself must fit the context.
    std::uint32_t context_keep_tokens = 0;

    /// Whose it is: cached prefixes are shared within a tenant only, and tenants get equal shares
    /// of a busy engine. "" is a tenant like any other.
    std::string tenant = {};
    /// Higher goes first; within one value tenants take turns. A running request of lower priority
    /// may be set aside and resumed.
    std::int32_t priority = 0;
    /// Requests of one conversation: their pages are kept for the next turn before others'.
    std::string session = {};
    /// A prefix made by Engine::keep_prefix; `prompt` continues it, or begins with it already.
    std::string cache_id = {};
    bool prompt_has_prefix = false;  ///< with cache_id; a prompt that has not is invalid_argument

    /// The output is a text of this grammar, or begins one where `max_tokens` cuts it. Null: free.
    std::shared_ptr<const constrain::Grammar> grammar = {};
    /// The output is free until one of these texts was generated, with which a text of the grammar
    /// begins, and again behind that text. Empty: the grammar applies from the first token.
    std::vector<std::string> grammar_triggers = {};
    /// Where they do not count: reasoning before the answer.
    constrain::TriggerPause trigger_pause = {};
    /// Control tokens' own texts come out as text too: tool-call parsers look for them.
    bool emit_special = false;
};

struct TokenLogprob {
    TokenId id = 0;
    std::string bytes;  ///< what this token adds; may be part of a character
    /// Natural log, after penalties, before truncation. Under a grammar: among the tokens it
    /// allows, so that a forced one has 0.
    float logprob = 0.f;
};

struct TokenEvent {
    TokenId id = 0;
    std::string text;                    ///< complete UTF-8 freed by this token; may be empty
    std::optional<TokenLogprob> chosen;  ///< with logprobs only
    std::vector<TokenLogprob> top;
};

enum class FinishReason { stop, length, cancelled, deadline, error };

struct Completion {
    FinishReason reason = FinishReason::stop;
    std::optional<base::Error> error;        ///< with reason error
    std::optional<std::string> stop_string;  ///< which one matched
    std::string text;                        ///< text held back for stop matching, freed at the end
    std::uint32_t prompt_tokens = 0;
    std::uint32_t cached_tokens = 0;  ///< of the prompt, found in KV
    std::uint32_t completion_tokens = 0;
    std::uint32_t context_dropped_tokens = 0;  ///< forgotten by context shifts
    std::uint64_t seed = 0;
    base::Instant submitted, started, first_token, finished;  ///< zero when never reached
};

/// Receives one request's output on the engine's thread; must not block. on_finish comes last,
/// exactly once, also after cancel.
class GenerationSink {
public:
    virtual ~GenerationSink() = default;
    virtual void on_token(const TokenEvent& event) = 0;
    /// Asked after each on_token: true ends the generation, with reason stop.
    virtual bool has_enough() const { return false; }
    virtual void on_finish(const Completion& completion) = 0;
};

using GenerationId = std::uint64_t;

/// A prefix kept by name until its time is over.
struct KeptPrefix {
    std::string id;
    std::string tenant;
    std::uint32_t tokens = 0;
    base::Instant expires;
};

/// Time between two tokens of one request, over the last minute.
struct TokenGaps {
    double p50_ms = 0, p99_ms = 0, max_ms = 0;
};

struct EngineStats {
    std::uint32_t queued = 0, running = 0;
    std::uint32_t kv_pages_used = 0, kv_pages_total = 0;
    std::uint64_t prompt_tokens_total = 0, completion_tokens_total = 0, requests_total = 0;
    std::uint64_t steps_total = 0;
    double prefill_seconds_total = 0, decode_seconds_total = 0;
    std::uint64_t weights_bytes = 0, kv_bytes = 0;
    double load_seconds = 0;  ///< of open(): until requests were taken

    std::uint32_t running_max = 0, batch_rows_last = 0, batch_rows_max = 0;
    std::uint32_t kv_pages_cached = 0;      ///< of the used ones: held by the prefix cache alone
    std::uint64_t cached_tokens_total = 0;  ///< prompt tokens found in the prefix cache
    std::uint64_t prefix_hits_total = 0, prefix_misses_total = 0, pages_evicted_total = 0;
    std::uint64_t preempted_total = 0, swapped_out_bytes_total = 0, forced_tokens_total = 0;
    TokenGaps gaps;
};

/// What a model takes once it is open.
struct MemoryNeed {
    std::uint64_t weights_bytes = 0, scratch_bytes = 0;
    std::uint64_t kv_bytes = 0;        ///< what would be taken if all of it were free
    std::uint64_t kv_bytes_least = 0;  ///< with less it is not opened
    std::uint64_t kv_page_bytes = 0;   ///< 0 for encoders

    std::uint64_t wished() const { return weights_bytes + scratch_bytes + kv_bytes; }
    std::uint64_t least() const { return weights_bytes + scratch_bytes + kv_bytes_least; }
};

/// What can be told of a model without loading it.
struct ModelOutline {
    ModelInfo info;
    MemoryNeed need;
};

class Engine {
public:
    /// Reads the head of the model file at `path` only. Errors: as open, but for memory.
    static base::Result<ModelOutline> outline(const std::string& path,
                                              const EngineOptions& options);

    /// Maps `path` (GGUF) and starts the engine's thread. Weights are still being read when it
    /// returns: a pass waits for each layer's. Errors: not_found, data_loss (names the tensor or
    /// key), unimplemented (architecture, type), resource_exhausted (does not fit: the numbers).
    static base::Result<std::unique_ptr<Engine>> open(const std::string& path,
                                                      const EngineOptions& options,
                                                      const base::Clock& clock);
    /// The same for a model linked into the program. `bytes` must outlive the engine; `name` is
    /// used in errors.
    static base::Result<std::unique_ptr<Engine>> open_bytes(std::span<const std::byte> bytes,
                                                            const std::string& name,
                                                            const EngineOptions& options,
                                                            const base::Clock& clock);
    ~Engine();  ///< stops; running requests finish with `cancelled`

    const ModelInfo& info() const;
    const Tokenizer& tokenizer() const;
    /// How this model writes tool calls and reasoning.
    const std::shared_ptr<const chat::ChatFormat>& chat_format() const;
    /// Grammars compiled for this model's requests.
    constrain::GrammarCache& grammars() const;

    /// Renders the model's own chat template. messages: OpenAI-shaped array; tools may be null.
    /// extra: more template variables (e.g. enable_thinking). Errors: failed_precondition (no
    /// template), invalid_argument (the template refused, with its words).
    base::Result<std::string> render_chat(const base::json::array& messages,
                                          const base::json::value& tools,
                                          bool add_generation_prompt,
                                          const base::json::object& extra) const;

    /// Thread-safe. Errors: invalid_argument (empty prompt, sampling out of range, prompt longer
    /// than the context or nothing to drop for a shift: says the numbers), resource_exhausted
    /// (queue full).
    base::Result<GenerationId> submit(GenerateRequest request,
                                      std::shared_ptr<GenerationSink> sink);
    /// Stops within one step. Unknown or finished ids are ignored. Thread-safe.
    void cancel(GenerationId id);

    /// Computes `tokens` once and keeps their pages for `time_to_live`, whatever else needs room.
    /// Requests of the same tenant name it in `cache_id`. Blocks; thread-safe. Errors: as submit;
    /// resource_exhausted when kept prefixes would take more than half of all pages or pass 1024.
    base::Result<KeptPrefix> keep_prefix(const std::string& tenant, std::vector<TokenId> tokens,
                                         base::Duration time_to_live);
    /// Errors: not_found (also when it is another tenant's).
    base::Result<void> drop_prefix(const std::string& tenant, const std::string& id);
    std::vector<KeptPrefix> kept_prefixes(const std::string& tenant) const;

    /// One L2-normalised vector per text (encoder models; decoders use mean pooling of the last
    /// hidden state). Blocks; thread-safe. Errors: invalid_argument (which text is too long),
    /// resource_exhausted (decoders: kept prefixes leave too few KV pages).
    base::Result<std::vector<std::vector<float>>> embed(std::span<const std::string> texts);

    /// It has a ranking head: rank() works and embed() does not.
    bool ranks() const;
    struct Ranking {
        std::vector<float> scores;  ///< 0 to 1, one per document
        std::uint32_t tokens = 0;
    };
    /// How well each document answers the query, read together by a cross-encoder. Blocks;
    /// thread-safe. Errors: failed_precondition (no ranking head), invalid_argument (which document
    /// is too long with the query).
    base::Result<Ranking> rank(std::string_view query, std::span<const std::string> documents);

    EngineStats stats() const;  ///< thread-safe

    /// Ends every request with `cancelled` and stops the engine's thread; later submits fail with
    /// cancelled. Thread-safe, idempotent; the destructor calls it. Never from a sink: it waits for
    /// the thread that tells sinks.
    void stop();

private:
    struct Impl;
    explicit Engine(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace engine
