#include "flow/definition/duration.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <utility>

namespace flow {
namespace {

constexpr std::pair<std::string_view, std::int64_t> kUnits[] = {
    {"w", 604'800'000}, {"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
constexpr double kMax_ms = 3650.0 * 86'400'000;

std::optional<std::chrono::milliseconds> whole(double ms) {
    if (!(ms >= 0 && ms <= kMax_ms)) return std::nullopt;
    return std::chrono::milliseconds(std::llround(ms));
}

}  // namespace

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    double total_ms = 0;
    std::size_t next_unit = 0;
    if (text.empty()) return std::nullopt;
    const bool bare = text.find_first_not_of("0123456789.") == std::string_view::npos;
    while (!text.empty()) {
        const std::size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
        double value = 0;
        const auto [rest, error] = std::from_chars(text.data(), text.data() + digits, value);
        if (digits == 0 || error != std::errc() || rest != text.data() + digits) {
            return std::nullopt;
        }
        text.remove_prefix(digits);
        if (bare) return whole(value * 1000);
        const std::string_view unit =
            text.substr(0, std::min(text.find_first_of("0123456789."), text.size()));
        while (next_unit < std::size(kUnits) && kUnits[next_unit].first != unit) ++next_unit;
        if (next_unit == std::size(kUnits)) return std::nullopt;
        total_ms += value * static_cast<double>(kUnits[next_unit++].second);
        text.remove_prefix(unit.size());
    }
    return whole(total_ms);
}

std::string duration_text(std::chrono::milliseconds duration) {
    std::int64_t left = duration.count();
    std::string out;
    for (const auto& [unit, ms] : kUnits) {
        if (left >= ms) out += std::to_string(left / ms) + std::string(unit);
        left %= ms;
    }
    return out.empty() ? "0s" : out;
}

}  // namespace flow
