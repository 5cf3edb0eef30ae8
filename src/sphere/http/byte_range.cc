#include "sphere/http/byte_range.h"

#include <algorithm>
#include <charconv>

namespace sphere {
namespace {

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

}  // namespace

RangeAnswer read_range(std::string_view header, std::uint64_t size) {
    const RangeAnswer whole{RangeKind::whole, {0, size}};
    constexpr std::string_view kUnit = "bytes=";
    if (!header.starts_with(kUnit)) return whole;
    header.remove_prefix(kUnit.size());
    const std::size_t dash = header.find('-');
    if (dash == std::string_view::npos) return whole;
    const std::string_view from = header.substr(0, dash), to = header.substr(dash + 1);
    const RangeAnswer none{RangeKind::unsatisfiable, {0, size}};
    if (from.empty()) {  // the last so many
        const auto count = number(to);
        if (!count) return whole;
        if (*count == 0 || size == 0) return none;
        const std::uint64_t taken = std::min(*count, size);
        return {RangeKind::part, {size - taken, taken}};
    }
    const auto first = number(from);
    const auto last = to.empty() ? std::optional(UINT64_MAX) : number(to);
    if (!first || !last || *last < *first) return whole;
    if (*first >= size) return none;
    return {RangeKind::part, {*first, std::min(*last, size - 1) - *first + 1}};
}

}  // namespace sphere
