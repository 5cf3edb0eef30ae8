#pragma once
// Where `run` and `chat` get answers: the engine in this process, or a server somewhere else.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/json/json.h"
#include "gate/model_backend.h"

namespace app {

struct Question {
    gate::Prompt prompt;
    gate::Sampling sampling;
    std::uint32_t max_tokens = 0;
    std::vector<std::string> stop;
};

struct Answer {
    std::string text;
    std::string finish;  ///< "stop", "length", "cancelled", "deadline"
    std::uint32_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;
    std::optional<std::uint64_t> seed;
    double ttft_ms = 0;  ///< from the question to the first token
    double total_ms = 0;
    /// Completion tokens after the first, over the time after the first; 0 with fewer than two.
    double decode_tokens_per_s = 0;
};

class AnswerSource {
public:
    virtual ~AnswerSource() = default;
    virtual const std::string& model() const = 0;
    /// Calls `on_text` on the caller's thread for each piece. `stop_asked` is polled about fifty
    /// times a second; once true, the answer ends with finish "cancelled".
    virtual base::Result<Answer> answer(const Question& question,
                                        const std::function<void(std::string_view)>& on_text,
                                        const std::function<bool()>& stop_asked) = 0;
};

/// Answers from a backend in this process, which must outlive the source.
std::unique_ptr<AnswerSource> local_answers(gate::ModelBackend& backend, std::string model);

/// Answers from an OpenAI-compatible server. `model` empty: the first one it lists.
/// Errors: unavailable (nothing listens there), invalid_argument (not a URL).
base::Result<std::unique_ptr<AnswerSource>> remote_answers(const std::string& url,
                                                           std::string model,
                                                           const base::Clock& clock);

/// {"text", "finish", "prompt_tokens", ...}: what `dougong run --json` prints.
base::json::object answer_json(const Answer& answer, std::string_view model);
/// "37 tokens, 12.3 tokens/s, first after 85 ms (14 prompt tokens)".
std::string answer_stats(const Answer& answer);

}  // namespace app
