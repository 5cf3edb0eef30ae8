#pragma once
// The text of answers, whole or as events of a stream. One writer per API: chat_writer.h,
// responses_writer.h. Pure string formatting: this runs for every token.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "gate/answer_parts.h"
#include "gate/api_error.h"
#include "gate/event_text.h"
#include "gate/model_backend.h"

namespace gate {

/// "stop", "length"...: what clients read as finish_reason. Cancelled and deadline look like length
/// to them, because the answer is incomplete; error has no reason.
std::string_view finish_reason(Finish finish);

/// Log probabilities of some tokens, already as JSON, in the shape of one of the APIs.
class LogprobText {
public:
    void add(bool chat, std::span<const TokenLogprobs> tokens);
    bool empty() const { return tokens_.empty(); }
    /// The value of "logprobs" and forget what was added; text offsets go on counting.
    void append_to(std::string& out, bool chat);
    /// Chat's entries alone, with commas between, and forget them.
    std::string take_entries();

private:
    void add_one(bool chat, const TokenLogprobs& token);

    std::string tokens_;                           // chat: finished entries; else token strings
    std::string values_, alternatives_, offsets_;  // completions only
    std::size_t offset_bytes_ = 0;
};

/// Where one choice's time went, and its context, for the documented extension "timings".
struct Timings {
    std::optional<double> queue_ms, template_ms, prefill_ms, decode_ms, ttft_ms, total_ms;
    std::optional<double> prefill_tokens_per_s, decode_tokens_per_s;
    std::uint32_t context_dropped_tokens = 0;
};
Timings timings_of(const GenerationEnd& end);
/// "timings":{...}
void append_timings(std::string& out, const Timings& timings);

struct UsageTotals {
    std::uint64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0, reasoning_tokens = 0;
};

/// One choice of an answer: what has not been written yet, and how it ended.
struct ChoiceOutput {
    PieceList pieces;
    LogprobText logprobs;
    std::uint64_t reasoning_tokens = 0;  ///< tokens whose text went to the reasoning
    bool ended = false;
    GenerationEnd end;
    bool role_sent = false, finish_sent = false;  ///< for the writer's use
};

/// How a request ended as a whole.
struct AnswerEnd {
    UsageTotals usage;
    Timings timings;  ///< of the first choice
    std::optional<ApiError> error;
};

class AnswerWriter {
public:
    virtual ~AnswerWriter() = default;
    /// Takes what `choice` has and writes its events, the last one when it has ended; not that of a
    /// choice that failed, whose error comes with the stream's end.
    virtual void append_events(EventText& out, std::uint32_t index, ChoiceOutput& choice) = 0;
    /// The end of the stream, after all choices'.
    virtual void append_end(EventText& out, const AnswerEnd& end) = 0;
    /// The answer in one piece; takes what `choices` have. Pre: all have ended, not empty.
    virtual std::string whole_answer(std::span<ChoiceOutput* const> choices,
                                     const AnswerEnd& end) = 0;
};

}  // namespace gate
