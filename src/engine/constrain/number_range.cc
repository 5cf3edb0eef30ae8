// Ranges of decimals digit by digit. Negative numbers are the mirrored range with a sign, so all
// the real work is on magnitudes; a range is split by its integer part into the part at the lower
// bound, the parts strictly between, and the part at the upper bound.
#include "engine/constrain/number_range.h"

#include <algorithm>

namespace engine::constrain {
namespace {

struct Magnitude {
    std::string whole, fraction;
    bool strict = false;
};

std::string plus_one(std::string whole) {
    for (std::size_t i = whole.size(); i-- > 0;) {
        if (whole[i] != '9') {
            ++whole[i];
            return whole;
        }
        whole[i] = '0';
    }
    return "1" + whole;
}

std::string minus_one(std::string whole) {  // pre: not zero
    for (std::size_t i = whole.size(); i-- > 0;) {
        if (whole[i] != '0') {
            --whole[i];
            break;
        }
        whole[i] = '9';
    }
    const std::size_t first = whole.find_first_not_of('0');
    return first == std::string::npos ? "0" : whole.substr(first);
}

bool less(const std::string& a, const std::string& b) {  // no leading zeros
    return a.size() != b.size() ? a.size() < b.size() : a < b;
}

class Digits {
public:
    explicit Digits(GrammarBuilder& builder) : b(builder) {}

    NodeId digit(char first, char last) {
        return b.bytes(
            ByteSet::range(static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(last)));
    }
    NodeId any(std::uint32_t min = 0, std::uint32_t max = kUnbounded) {
        return b.repeat(digit('0', '9'), min, max);
    }
    NodeId nothing() { return b.choice({}); }
    NodeId empty() { return b.sequence({}); }

    /// Integers low..high, no upper bound without `high`. Pre: no leading zeros.
    NodeId whole(const std::string& low, const std::optional<std::string>& high) {
        std::vector<NodeId> forms;
        const std::size_t longest = high ? high->size() : low.size();
        for (std::size_t length = low.size(); length <= longest; ++length) {
            std::string from = length == low.size() ? low : "1" + std::string(length - 1, '0');
            const std::string to =
                high && length == high->size() ? *high : std::string(length, '9');
            if (from <= to) forms.push_back(same_length(from, to, 0));
        }
        if (!high) {
            forms.push_back(
                b.sequence({digit('1', '9'), any(static_cast<std::uint32_t>(low.size()))}));
        }
        return b.choice(std::move(forms));
    }

    NodeId same_length(std::string_view low, std::string_view high, std::size_t at) {
        if (at == low.size()) return empty();
        const auto rest = static_cast<std::uint32_t>(low.size() - at - 1);
        if (low[at] == high[at]) {
            return b.sequence({digit(low[at], low[at]), same_length(low, high, at + 1)});
        }
        const std::string nines(low.size(), '9'), zeros(low.size(), '0');
        std::vector<NodeId> forms{
            b.sequence({digit(low[at], low[at]), same_length(low, nines, at + 1)}),
            b.sequence({digit(high[at], high[at]), same_length(zeros, high, at + 1)})};
        if (low[at] + 1 < high[at]) {
            forms.push_back(
                b.sequence({digit(static_cast<char>(low[at] + 1), static_cast<char>(high[at] - 1)),
                            any(rest, rest)}));
        }
        return b.choice(std::move(forms));
    }

    /// ".digits" or nothing, such that 0.digits is at least (over, when strict) 0.low.
    NodeId fraction_from(const std::string& low, bool strict) {
        const NodeId tail = b.sequence({b.literal("."), digits_from(low, strict, 0, true)});
        return low.empty() && !strict ? b.optional(tail) : tail;
    }
    NodeId fraction_to(const std::string& high, bool strict) {
        if (high.empty()) {
            if (strict) return nothing();
            return b.optional(b.sequence({b.literal("."), b.repeat(digit('0', '0'), 1)}));
        }
        return b.optional(b.sequence({b.literal("."), digits_to(high, strict, 0, true)}));
    }
    NodeId fraction_between(std::string low, bool low_strict, std::string high, bool high_strict) {
        if (low.empty() && !low_strict) return fraction_to(high, high_strict);
        const std::size_t length = std::max(low.size(), high.size());
        low.resize(length, '0');
        high.resize(length, '0');
        return b.sequence({b.literal("."), digits_between(low, low_strict, high, high_strict, 0)});
    }

private:
    NodeId digits_from(const std::string& low, bool strict, std::size_t at, bool first) {
        if (at >= low.size()) {
            if (strict) {
                return b.sequence({b.repeat(digit('0', '0'), 0), digit('1', '9'), any()});
            }
            return any(first ? 1 : 0);
        }
        std::vector<NodeId> forms{
            b.sequence({digit(low[at], low[at]), digits_from(low, strict, at + 1, false)})};
        if (low[at] < '9') {
            forms.push_back(b.sequence({digit(static_cast<char>(low[at] + 1), '9'), any()}));
        }
        // Shorter texts are smaller, unless what is left of the bound is zeros.
        if (!first && !strict && low.find_first_not_of('0', at) == std::string::npos) {
            forms.push_back(empty());
        }
        return b.choice(std::move(forms));
    }
    NodeId digits_to(const std::string& high, bool strict, std::size_t at, bool first) {
        if (at >= high.size()) {
            return strict ? nothing() : b.repeat(digit('0', '0'), first ? 1 : 0);
        }
        std::vector<NodeId> forms;
        if (high[at] > '0') {
            forms.push_back(b.sequence({digit('0', static_cast<char>(high[at] - 1)), any()}));
        }
        forms.push_back(
            b.sequence({digit(high[at], high[at]), digits_to(high, strict, at + 1, false)}));
        const bool zeros_left = high.find_first_not_of('0', at) == std::string::npos;
        if (!first && !(strict && zeros_left)) forms.push_back(empty());
        return b.choice(std::move(forms));
    }
    NodeId digits_between(const std::string& low, bool low_strict, const std::string& high,
                          bool high_strict, std::size_t at) {
        if (at >= low.size()) {  // equal so far: only the value itself is left
            return low_strict || high_strict ? nothing() : b.repeat(digit('0', '0'), 0);
        }
        if (low[at] > high[at]) return nothing();
        if (low[at] == high[at]) {
            return b.sequence({digit(low[at], low[at]),
                               digits_between(low, low_strict, high, high_strict, at + 1)});
        }
        std::vector<NodeId> forms{
            b.sequence({digit(low[at], low[at]), digits_from(low, low_strict, at + 1, false)}),
            b.sequence({digit(high[at], high[at]), digits_to(high, high_strict, at + 1, false)})};
        if (low[at] + 1 < high[at]) {
            forms.push_back(b.sequence(
                {digit(static_cast<char>(low[at] + 1), static_cast<char>(high[at] - 1)), any()}));
        }
        return b.choice(std::move(forms));
    }

    GrammarBuilder& b;
};

NodeId magnitude_integer(GrammarBuilder& builder, const Magnitude& low,
                         const std::optional<Magnitude>& high) {
    Digits digits(builder);
    const bool round_up = low.strict || !low.fraction.empty();
    const std::string from = round_up ? plus_one(low.whole) : low.whole;
    if (!high) return digits.whole(from, std::nullopt);
    std::string to = high->whole;
    if (high->strict && high->fraction.empty()) {
        if (to == "0") return digits.nothing();
        to = minus_one(to);
    }
    return less(to, from) ? digits.nothing() : digits.whole(from, to);
}

NodeId magnitude_number(GrammarBuilder& b, const Magnitude& low,
                        const std::optional<Magnitude>& high) {
    Digits digits(b);
    const NodeId free = b.optional(b.sequence({b.literal("."), digits.any(1)}));
    if (high && less(high->whole, low.whole)) return digits.nothing();
    if (high && high->whole == low.whole) {
        return b.sequence(
            {b.literal(low.whole),
             digits.fraction_between(low.fraction, low.strict, high->fraction, high->strict)});
    }
    std::vector<NodeId> forms{
        b.sequence({b.literal(low.whole), digits.fraction_from(low.fraction, low.strict)})};
    const std::string from = plus_one(low.whole);
    if (!high) {
        forms.push_back(b.sequence({digits.whole(from, std::nullopt), free}));
        return b.choice(std::move(forms));
    }
    const std::string to = minus_one(high->whole);
    if (!less(to, from)) forms.push_back(b.sequence({digits.whole(from, to), free}));
    forms.push_back(
        b.sequence({b.literal(high->whole), digits.fraction_to(high->fraction, high->strict)}));
    return b.choice(std::move(forms));
}

Magnitude magnitude(const Bound& bound) {
    return {bound.value.whole, bound.value.fraction, bound.strict};
}

bool is_zero(const Decimal& value) {
    return value.whole == "0" && value.fraction.empty();
}

/// Joins the non-negative and the negative half.
template <class Half>
NodeId signed_node(GrammarBuilder& b, const NumberRange& range, const Half& half) {
    std::vector<NodeId> forms;
    const Magnitude zero{"0", "", false}, over_zero{"0", "", true};
    const auto negative = [](const std::optional<Bound>& bound) {
        return bound && bound->value.negative && !is_zero(bound->value);
    };
    if (!negative(range.high)) {
        const bool from_zero = !range.low || negative(range.low);
        forms.push_back(half(from_zero ? zero : magnitude(*range.low),
                             range.high ? std::optional(magnitude(*range.high)) : std::nullopt));
    }
    if (!range.low || negative(range.low)) {
        forms.push_back(
            b.sequence({b.literal("-"),
                        half(negative(range.high) ? magnitude(*range.high) : over_zero,
                             range.low ? std::optional(magnitude(*range.low)) : std::nullopt)}));
    }
    return b.choice(std::move(forms));
}

}  // namespace

std::optional<Decimal> parse_decimal(std::string_view text) {
    Decimal value;
    if (text.starts_with('-')) {
        value.negative = true;
        text.remove_prefix(1);
    }
    const std::size_t point = std::min(text.find('.'), text.size());
    const std::string_view whole = text.substr(0, point);
    const std::string_view fraction = text.substr(std::min(point + 1, text.size()));
    const auto all_digits = [](std::string_view part) {
        return part.find_first_not_of("0123456789") == std::string_view::npos;
    };
    if (whole.empty() || !all_digits(whole) || !all_digits(fraction)) return std::nullopt;
    const std::size_t first = std::min(whole.find_first_not_of('0'), whole.size() - 1);
    value.whole = whole.substr(first);
    const std::size_t last = fraction.find_last_not_of('0');
    value.fraction = last == std::string_view::npos ? "" : fraction.substr(0, last + 1);
    return value;
}

NodeId integer_node(GrammarBuilder& builder, const NumberRange& range) {
    return signed_node(builder, range,
                       [&](const Magnitude& low, const std::optional<Magnitude>& high) {
                           return magnitude_integer(builder, low, high);
                       });
}

NodeId number_node(GrammarBuilder& b, const NumberRange& range) {
    if (range.low || range.high) {
        return signed_node(b, range,
                           [&](const Magnitude& low, const std::optional<Magnitude>& high) {
                               return magnitude_number(b, low, high);
                           });
    }
    Digits digits(b);
    ByteSet e, sign;
    e.add('e');
    e.add('E');
    sign.add('+');
    sign.add('-');
    return b.sequence(
        {b.optional(b.literal("-")), digits.whole("0", std::nullopt),
         b.optional(b.sequence({b.literal("."), digits.any(1)})),
         // Readers overflow on long exponents; two digits cannot.
         b.optional(b.sequence({b.bytes(e), b.optional(b.bytes(sign)), digits.any(1, 2)}))});
}

int compare(const Decimal& a, const Decimal& b) {
    const bool a_negative = a.negative && !is_zero(a), b_negative = b.negative && !is_zero(b);
    if (a_negative != b_negative) return a_negative ? -1 : 1;
    const int sign = a_negative ? -1 : 1;
    if (less(a.whole, b.whole)) return -sign;
    if (less(b.whole, a.whole)) return sign;
    const int order =
        a.fraction.compare(b.fraction);  // no trailing zeros: text order is value order
    return order == 0 ? 0 : (order < 0 ? -sign : sign);
}

bool in_range(const Decimal& value, const NumberRange& range) {
    if (range.low) {
        const int order = compare(value, range.low->value);
        if (order < 0 || (order == 0 && range.low->strict)) return false;
    }
    if (range.high) {
        const int order = compare(value, range.high->value);
        if (order > 0 || (order == 0 && range.high->strict)) return false;
    }
    return true;
}

}  // namespace engine::constrain
