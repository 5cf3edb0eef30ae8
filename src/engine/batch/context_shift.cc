#include "engine/batch/context_shift.h"

#include <algorithm>

namespace engine {

std::uint32_t ContextShift::rows_within(std::uint32_t held, std::uint32_t rows) const {
    return on() ? std::min(rows, window_tokens - depth(held)) : rows;
}

base::Result<ContextShift> plan_shift(std::uint32_t window_tokens, std::uint32_t keep_tokens,
                                      std::uint32_t page_tokens) {
    const std::uint32_t whole = window_tokens / page_tokens;
    const std::uint32_t keep =
        std::max(1u, keep_tokens / page_tokens + (keep_tokens % page_tokens != 0));
    const std::uint32_t drop = keep < whole ? (whole - keep) / 2 : 0;
    if (drop == 0) {
        return base::fail_on("context_overflow", base::Code::invalid_argument,
                             "the context holds {} tokens and its first {} are kept, which leaves "
                             "nothing to drop; shorten the beginning (system prompt, kept prefix) "
                             "or let the answer end with the context",
                             window_tokens, keep * page_tokens);
    }
    return ContextShift{window_tokens, keep * page_tokens, drop * page_tokens};
}

}  // namespace engine
