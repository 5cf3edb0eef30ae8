#pragma once
// A regular expression that must match the whole text, within a budget. PCRE2 behind it.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace base {

/// Immutable; any thread may use it.
class Regex {
public:
    /// Perl syntax over UTF-8. Errors: invalid_argument with the offset.
    static Result<Regex> compile(std::string_view pattern);

    /// gave_up: not UTF-8, or over the budget of steps and memory; nothing is known then.
    enum class Match : std::uint8_t { yes, no, gave_up };
    Match match(std::string_view text) const;
    const std::string& pattern() const { return pattern_; }

private:
    struct Code;
    Regex(std::string pattern, std::shared_ptr<const Code> code)
        : pattern_(std::move(pattern)), code_(std::move(code)) {}
    std::string pattern_;
    std::shared_ptr<const Code> code_;
};

}  // namespace base
