#include "base/json/json.h"

#include <fstream>
#include <sstream>

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

}  // namespace

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
