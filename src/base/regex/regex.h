#pragma once
// A regular expression within a budget. PCRE2 behind it.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace base {

/// Immutable; any thread may use it.
class Regex {
public:
    /// whole: must match the whole text, Perl syntax. ecma_search: must be somewhere in it, with
    /// the escapes of ECMA-262, as JSON Schema has it.
    enum class Use : std::uint8_t { whole, ecma_search };
    /// Over UTF-8. Errors: invalid_argument with the offset.
    static Result<Regex> compile(std::string_view pattern, Use use = Use::whole);

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
