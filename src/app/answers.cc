#include "app/answers.h"

#include <fmt/format.h>

namespace app {

namespace json = base::json;

json::object answer_json(const Answer& answer, std::string_view model) {
    json::object out{{"model", model},
                     {"text", answer.text},
                     {"finish", answer.finish},
                     {"prompt_tokens", answer.prompt_tokens},
                     {"cached_tokens", answer.cached_tokens},
                     {"completion_tokens", answer.completion_tokens},
                     {"ttft_ms", answer.ttft_ms},
                     {"total_ms", answer.total_ms},
                     {"decode_tokens_per_s", answer.decode_tokens_per_s}};
    if (answer.seed) out["seed"] = *answer.seed;
    return out;
}

std::string answer_stats(const Answer& answer) {
    if (answer.completion_tokens == 0) {
        return fmt::format("no tokens ({}, {} prompt tokens)", answer.finish, answer.prompt_tokens);
    }
    std::string text = fmt::format("{} tokens", answer.completion_tokens);
    if (answer.decode_tokens_per_s > 0) {
        text += fmt::format(", {:.1f} tokens/s", answer.decode_tokens_per_s);
    }
    text += fmt::format(
        ", first after {:.0f} ms ({} prompt tokens{})", answer.ttft_ms, answer.prompt_tokens,
        answer.cached_tokens > 0 ? fmt::format(", {} cached", answer.cached_tokens) : "");
    if (answer.finish != "stop") text += fmt::format(", ended by {}", answer.finish);
    return text;
}

}  // namespace app
