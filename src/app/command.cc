#include "app/command.h"

#include <charconv>
#include <cmath>

namespace app {

using base::Code;
using base::fail_on;
using base::Result;

std::optional<std::string> Args::value(std::string_view flag) const {
    const auto found = values_.find(flag);
    if (found == values_.end() || found->second.empty()) return std::nullopt;
    return found->second.back();
}

std::vector<std::string> Args::all(std::string_view name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::vector<std::string>{} : found->second;
}

Result<std::optional<double>> Args::number(std::string_view flag, double min, double max) const {
    const auto text = value(flag);
    if (!text) return std::optional<double>{};
    double number = 0;
    const char* end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(text->data(), end, number);
    if (error != std::errc{} || rest != end || !(number >= min && number <= max)) {
        return fail_on(std::string(flag), Code::invalid_argument,
                       "{} is '{}', expected a number from {} to {}", flag, *text, min, max);
    }
    return std::optional<double>{number};
}

Result<std::optional<std::uint32_t>> Args::count(std::string_view flag, std::uint32_t min,
                                                 std::uint32_t max) const {
    const auto found = DG_TRY(number(flag, min, max));
    if (!found) return std::optional<std::uint32_t>{};
    if (*found != std::floor(*found)) {
        return fail_on(std::string(flag), Code::invalid_argument,
                       "{} is '{}', expected a whole number from {} to {}", flag, *value(flag), min,
                       max);
    }
    return std::optional<std::uint32_t>{static_cast<std::uint32_t>(*found)};
}

}  // namespace app
