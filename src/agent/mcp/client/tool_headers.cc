#include "agent/mcp/client/tool_headers.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/core/base64.h"

namespace agent::mcp {
namespace {

using base::Code;
using base::Result;

constexpr std::string_view kMark = "x-mcp-header";
constexpr std::size_t kDepthMax = 32;

bool is_token(std::string_view text) {
    constexpr std::string_view kSigns = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               kSigns.find(c) != std::string_view::npos;
    });
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return out;
}

/// How many marks there are anywhere below, whether they may be there or not. A property may itself
/// be called as the mark is: under `properties` names are names.
std::size_t marks_in(const json::value& value, bool names) {
    std::size_t count = 0;
    if (const json::object* object = value.if_object()) {
        for (const auto& [key, member] : *object) {
            if (key == kMark && !names) ++count;
            count += marks_in(member, key == "properties" && !names);
        }
    } else if (const json::array* array = value.if_array()) {
        for (const json::value& member : *array) count += marks_in(member, false);
    }
    return count;
}

std::optional<std::string> text_of(const json::value& value) {
    constexpr std::int64_t kSafe = (std::int64_t{1} << 53) - 1;
    if (value.is_string()) return std::string(value.get_string());
    if (value.is_bool()) return value.get_bool() ? "true" : "false";
    if (value.is_int64() && value.get_int64() <= kSafe && value.get_int64() >= -kSafe) {
        return std::to_string(value.get_int64());
    }
    if (value.is_double() &&
        value.get_double() == static_cast<double>(static_cast<std::int64_t>(value.get_double()))) {
        return std::to_string(static_cast<std::int64_t>(value.get_double()));  // 3.0 is 3
    }
    return std::nullopt;
}

}  // namespace

std::string header_text(std::string_view value) {
    constexpr std::string_view kBegin = "=?base64?", kEnd = "?=";
    const bool plain =
        std::ranges::all_of(value, [](char c) { return (c >= ' ' && c <= '~') || c == '\t'; });
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    const bool padded = !value.empty() && (blank(value.front()) || blank(value.back()));
    const bool looks_sealed = value.starts_with(kBegin) && value.ends_with(kEnd);
    if (plain && !padded && !looks_sealed) return std::string(value);
    std::string out(kBegin);
    base::append_base64(out, value);
    return out += kEnd;
}

HeaderList standard_headers(std::string_view method, const json::object& params) {
    HeaderList out{{"Mcp-Method", std::string(method)}};
    const char* field = method == "resources/read"                          ? "uri"
                        : method == "tools/call" || method == "prompts/get" ? "name"
                                                                            : nullptr;
    const json::value* name = field != nullptr ? params.if_contains(field) : nullptr;
    if (name != nullptr && name->is_string()) {
        out.emplace_back("Mcp-Name", header_text(name->get_string()));
    }
    return out;
}

Result<ToolHeaders> ToolHeaders::read(const json::object& input_schema) {
    ToolHeaders out;
    std::set<std::string> seen;
    std::vector<std::string> path;
    std::optional<base::Error> wrong;
    const auto refuse = [&](std::string_view why) {
        std::string where;
        for (const std::string& step : path) where += "/" + step;
        wrong = base::Error{Code::invalid_argument,
                            fmt::format("x-mcp-header at {}: {}", where, why), where};
    };
    const auto walk = [&](const auto& self, const json::object& schema) -> void {
        const json::value* properties = schema.if_contains("properties");
        if (properties == nullptr || !properties->is_object() || path.size() >= kDepthMax) return;
        for (const auto& [name, property] : properties->get_object()) {
            const json::object* rule = property.if_object();
            if (rule == nullptr || wrong) continue;
            path.emplace_back(name);
            if (const json::value* mark = rule->if_contains(kMark)) {
                const json::value* type = rule->if_contains("type");
                const std::string_view kind = type != nullptr && type->is_string()
                                                  ? std::string_view(type->get_string())
                                                  : std::string_view();
                if (!mark->is_string() || !is_token(mark->get_string())) {
                    refuse("not the name of an HTTP header");
                } else if (kind != "string" && kind != "integer" && kind != "boolean") {
                    refuse("only a string, an integer or a boolean can be in a header");
                } else if (!seen.insert(lower(mark->get_string())).second) {
                    refuse("another argument has the same header");
                } else {
                    out.marks_.push_back({std::string(mark->get_string()), path});
                }
            }
            self(self, *rule);
            path.pop_back();
        }
    };
    walk(walk, input_schema);
    if (!wrong && marks_in(input_schema, false) != out.marks_.size()) {
        refuse("stands where the value's place in the arguments is not known beforehand");
    }
    if (wrong) return std::unexpected(*std::move(wrong));
    return out;
}

HeaderList ToolHeaders::of(const json::object& arguments) const {
    HeaderList out;
    for (const Mark& mark : marks_) {
        const json::object* at = &arguments;
        const json::value* found = nullptr;
        for (const std::string& step : mark.path) {
            found = at != nullptr ? at->if_contains(step) : nullptr;
            at = found != nullptr ? found->if_object() : nullptr;
        }
        if (found == nullptr) continue;
        if (const auto text = text_of(*found)) {
            out.emplace_back("Mcp-Param-" + mark.name, header_text(*text));
        }
    }
    return out;
}

}  // namespace agent::mcp
