#include "agent/tools/calculator.h"

#include <fmt/format.h>

#include <cmath>
#include <ctime>

#include "base/template/template.h"

namespace agent {

using base::Code;
using base::Result;
namespace json = base::json;

Result<json::object> calculate(std::string_view expression) {
    base::RenderOptions options;
    options.limits = {.output_bytes_max = 4096,
                      .memory_bytes_max = 1u << 20,
                      .steps_max = 100'000,
                      .depth_max = 64};
    auto parsed = base::Expression::parse(expression);
    auto value = parsed ? parsed->evaluate(json::object(), options)
                        : Result<json::value>(std::unexpected(parsed.error()));
    if (!value) {
        return base::fail_on("expression", value.error().code, "this is no formula: {}",
                             value.error().message);
    }
    if (value->is_double() && !std::isfinite(value->get_double())) {
        return base::fail_on("expression", Code::invalid_argument, "the result is not finite");
    }
    if (!value->is_number() && !value->is_bool()) {
        return base::fail_on("expression", Code::invalid_argument,
                             "the formula gives no number; only numbers, + - * / // % **, "
                             "parentheses and comparisons are known");
    }
    return json::object{{"result", *std::move(value)}};
}

json::object clock_reading(std::int64_t unix_s) {
    constexpr std::string_view kDays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                          "Thursday", "Friday", "Saturday"};
    const std::time_t moment = unix_s;
    std::tm utc{};
    gmtime_r(&moment, &utc);
    return {{"utc", fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900,
                                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec)},
            {"weekday", kDays[utc.tm_wday]},
            {"unix_s", unix_s}};
}

}  // namespace agent
