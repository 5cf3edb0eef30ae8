#include "base/json/json.h"

#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <sstream>

#include "base/core/check.h"
#include "base/json/json_text.h"

namespace base {
namespace {

struct Position {
    std::size_t line = 1;
    std::size_t column = 1;
};

Position position_at(std::string_view text, std::size_t offset) {
    Position at;
    for (const char c : text.substr(0, offset)) {
        if (c == '\n') {
            ++at.line;
            at.column = 1;
        } else {
            ++at.column;
        }
    }
    return at;
}

void append_double(std::string& out, double value) {
    if (!std::isfinite(value)) {
        out += "null";
        return;
    }
    const double size = std::abs(value);
    const bool plain = size == 0 || (size >= 1e-6 && size < 1e21);
    std::array<char, 64> digits;
    const auto [end, error] =
        std::to_chars(digits.data(), digits.data() + digits.size(), value,
                      plain ? std::chars_format::fixed : std::chars_format::scientific);
    DG_CHECK(error == std::errc());
    const std::string_view text(digits.data(), static_cast<std::size_t>(end - digits.data()));
    out += text;
    // Without a point the reader would take it for an integer.
    if (text.find_first_of(".e") == std::string_view::npos) out += ".0";
}

void append_value(std::string& out, const json::value& value) {
    if (const double* const number = value.if_double()) {
        append_double(out, *number);
    } else if (const json::array* const items = value.if_array()) {
        out += '[';
        for (std::size_t i = 0; i < items->size(); ++i) {
            if (i > 0) out += ',';
            append_value(out, (*items)[i]);
        }
        out += ']';
    } else if (const json::object* const fields = value.if_object()) {
        out += '{';
        for (auto field = fields->begin(); field != fields->end(); ++field) {
            if (field != fields->begin()) out += ',';
            append_json_string(out, field->key());
            out += ':';
            append_value(out, field->value());
        }
        out += '}';
    } else if (const json::string* const text = value.if_string()) {
        append_json_string(out, *text);
    } else {
        out += json::serialize(value);  // null, true, false and whole numbers
    }
}

}  // namespace

std::string to_text(const json::value& value) {
    std::string out;
    append_value(out, value);
    return out;
}

Result<json::value> parse_json(std::string_view text, JsonLimits limits) {
    json::parse_options options;
    options.max_depth = limits.depth_max;
    json::parser parser({}, options);
    boost::system::error_code error;
    const std::size_t consumed = parser.write_some(text.data(), text.size(), error);
    std::size_t end = consumed;
    while (!error && end < text.size() &&
           std::string_view(" \t\r\n").find(text[end]) != std::string_view::npos) {
        ++end;
    }
    if (!error && end < text.size()) error = json::error::extra_data;
    if (error) {
        const Position at = position_at(text, std::min(end, text.size()));
        return fail(Code::invalid_argument, "JSON is wrong at line {} column {}: {}", at.line,
                    at.column, error.message());
    }
    return parser.release();
}

Result<json::value> parse_json_file(const std::string& path, JsonLimits limits) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail_on(path, Code::not_found, "cannot open {}", path);
    std::ostringstream text;  // unlike iterators, it turns a failing read into a state
    if (file.peek() != std::ifstream::traits_type::eof()) text << file.rdbuf();
    if (file.bad() || text.fail()) {
        return fail_on(path, Code::unavailable, "cannot read {}; is it a file?", path);
    }
    auto value = parse_json(text.view(), limits);
    if (!value) return std::unexpected(std::move(value).error().with_context(path));
    return value;
}

}  // namespace base
