#pragma once
// What a full context loses so that an answer can go on. Pure, and a function of numbers that never
// change for a request: who loses its place and reads everything again loses the same tokens at the
// same positions, and so gets the same answer.

#include <cstdint>

#include "base/core/result.h"

namespace engine {

/// Whenever `window_tokens` positions are full, `drop_tokens` after the first `keep_tokens` go.
struct ContextShift {
    std::uint32_t window_tokens = UINT32_MAX;  ///< positions at most
    std::uint32_t keep_tokens = 0;             ///< whole pages
    std::uint32_t drop_tokens = 0;             ///< whole pages; 0: there is no shift

    bool on() const { return drop_tokens > 0; }
    bool due(std::uint32_t held) const { return on() && held >= window_tokens; }
    /// Positions held once a shift that is due is done.
    std::uint32_t depth(std::uint32_t held) const { return due(held) ? held - drop_tokens : held; }
    /// Of `rows` more, those that fit before the next shift, one that is due left aside.
    std::uint32_t rows_within(std::uint32_t held, std::uint32_t rows) const;
};

/// Keeps at least the first `keep_tokens` and never less than a page: models lean on the first
/// tokens, whatever they are (Xiao et al. 2023). Drops half of the rest, so that reading a long
/// answer costs few shifts and leaves much of it in sight. Errors: invalid_argument when nothing
/// could go (says the numbers). Pre: page_tokens > 0.
base::Result<ContextShift> plan_shift(std::uint32_t window_tokens, std::uint32_t keep_tokens,
                                      std::uint32_t page_tokens);

}  // namespace engine
