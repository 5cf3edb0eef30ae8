#pragma once
// The text of chat and completion answers, whole or as SSE events, in OpenAI's shapes. Pure string
// formatting: this runs for every token.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gate/model_backend.h"

namespace gate {

/// "stop", "length"...: what clients read as finish_reason. Cancelled and deadline look like length
/// to them, because the answer is incomplete; error has no reason.
std::string_view finish_reason(Finish finish);

/// Log probabilities of some tokens, already as JSON, in the shape of one of the two APIs.
class LogprobText {
public:
    void add(bool chat, const TokenDelta& delta);
    bool empty() const { return tokens_.empty(); }
    /// The value of "logprobs" and forget what was added; text offsets go on counting.
    void append_to(std::string& out, bool chat);

private:
    std::string tokens_;                           // chat: finished entries; else token strings
    std::string values_, alternatives_, offsets_;  // completions only
    std::size_t offset_bytes_ = 0;
};

/// Durations of one choice, for the documented extension "timings".
struct Timings {
    std::optional<double> queue_ms, template_ms, prefill_ms, decode_ms, ttft_ms, total_ms;
    std::optional<double> prefill_tokens_per_s, decode_tokens_per_s;
};
Timings timings_of(const GenerationEnd& end);

struct UsageTotals {
    std::uint64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;
};

/// One finished choice of an answer that is not streamed.
struct ChoiceText {
    std::string text;
    LogprobText logprobs;
    GenerationEnd end;
};

class AnswerWriter {
public:
    struct Facts {
        bool chat = true;
        bool include_usage = false;  ///< streams: every event has "usage"
        bool logprobs = false;
        std::string id, model, system_fingerprint;
        std::int64_t created_unix_s = 0;
    };
    explicit AnswerWriter(Facts facts);

    // Events of a stream, each ready for the wire.
    void append_role_event(std::string& out, std::uint32_t index) const;  ///< chat only
    void append_delta_event(std::string& out, std::uint32_t index, std::string_view text,
                            LogprobText* logprobs) const;
    void append_finish_event(std::string& out, std::uint32_t index, const GenerationEnd& end) const;
    void append_usage_event(std::string& out, const UsageTotals& usage,
                            const Timings& timings) const;
    static void append_done(std::string& out) { out += "data: [DONE]\n\n"; }

    /// Takes the log probabilities out of `choices`. Pre: not empty.
    std::string whole_answer(std::span<ChoiceText* const> choices, const UsageTotals& usage) const;

private:
    Facts facts_;
    std::string event_head_;  // up to and including "choices":[{"index":
    std::string event_tail_;  // after the choice
};

}  // namespace gate
