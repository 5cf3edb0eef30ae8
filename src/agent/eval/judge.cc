#include "agent/eval/judge.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/loop/fields.h"
#include "base/schema/schema_check.h"

namespace agent {

namespace json = base::json;

namespace {

constexpr std::size_t kShown = 200;

std::string folded(std::string text) {
    std::ranges::transform(text, text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return text;
}

std::string trimmed(const std::string& text) {
    constexpr std::string_view kBlank = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(kBlank);
    if (begin == std::string::npos) return "";
    return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

Judged exact(const json::value& expected, const json::value& answer) {
    const bool same = expected.is_string() && answer.is_string()
                          ? trimmed(as_text(expected)) == trimmed(as_text(answer))
                          : expected == answer;
    if (same) return {true, ""};
    return {false, fmt::format("expected {}, found {}", cut(base::to_text(expected), kShown),
                               cut(base::to_text(answer), kShown))};
}

Judged contains(const json::value& expected, const json::value& answer) {
    const std::string text = folded(as_text(answer));
    for (const json::value& each : list_at(expected, "")) {
        if (text.contains(folded(as_text(each)))) continue;
        return {false, fmt::format("{} does not stand in {}", base::to_text(each),
                                   cut(base::to_text(answer), kShown))};
    }
    return {true, ""};
}

Judged schema(const json::value& expected, const json::value& answer) {
    const auto check = base::SchemaCheck::compile(expected);
    if (!check) return {false, "the schema is none: " + check.error().message};
    if (check->check(answer)) return {true, ""};
    if (answer.is_string()) {
        const auto parsed = base::parse_json(answer.get_string());
        if (parsed && check->check(*parsed)) return {true, ""};
    }
    const auto fits = check->check(answer);
    return {false, fits ? "" : fits.error().subject + " " + fits.error().message};
}

}  // namespace

Judged judge(const Pack::Eval& eval, const json::value& answer) {
    switch (eval.kind) {
        case Pack::Eval::Kind::exact:
            return exact(eval.expected, answer);
        case Pack::Eval::Kind::contains:
            return contains(eval.expected, answer);
        case Pack::Eval::Kind::schema:
            return schema(eval.expected, answer);
    }
    return {};
}

}  // namespace agent
