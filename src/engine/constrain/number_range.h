#pragma once
// The decimal spellings of the numbers between two bounds, exactly.

#include <optional>
#include <string>

#include "engine/constrain/grammar.h"

namespace engine::constrain {

/// A decimal fraction: digits without leading zeros ("0" for zero), and after the point without
/// trailing zeros ("" for an integer).
struct Decimal {
    bool negative = false;
    std::string whole = "0", fraction;
};

/// From text such as -12.5; no exponent. Nothing when the text is not of that form.
std::optional<Decimal> parse_decimal(std::string_view text);

struct Bound {
    Decimal value;
    bool strict = false;  ///< the bound itself is outside
};

struct NumberRange {
    std::optional<Bound> low, high;
};

/// -?(0|[1-9][0-9]*) within the range.
NodeId integer_node(GrammarBuilder& builder, const NumberRange& range);

/// JSON numbers within the range; an exponent is allowed only when both sides are open.
NodeId number_node(GrammarBuilder& builder, const NumberRange& range);

/// value <=> bound, for constants.
bool in_range(const Decimal& value, const NumberRange& range);
/// Order of two decimals: negative, zero or positive as a < b, a = b, a > b.
int compare(const Decimal& a, const Decimal& b);

}  // namespace engine::constrain
