#include "base/json/canonical.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/json/json_text.h"

namespace base {
namespace {

void append(std::string& out, const json::value& value);

void append_object(std::string& out, const json::object& object) {
    std::vector<const json::key_value_pair*> members;
    members.reserve(object.size());
    for (const auto& member : object) members.push_back(&member);
    std::ranges::sort(members, {}, [](const auto* member) { return member->key(); });
    out += '{';
    for (const auto* member : members) {
        if (out.back() != '{') out += ',';
        append_json_string(out, member->key());
        out += ':';
        append(out, member->value());
    }
    out += '}';
}

/// Whole numbers that both kinds of JSON numbers hold are written alike.
void append_number(std::string& out, double number) {
    constexpr double kExact = 9007199254740992.0;
    if (number == std::floor(number) && std::abs(number) <= kExact) {
        out += std::to_string(static_cast<std::int64_t>(number));
    } else {
        out += to_text(json::value(number));
    }
}

void append(std::string& out, const json::value& value) {
    switch (value.kind()) {
        case json::kind::object:
            append_object(out, value.get_object());
            break;
        case json::kind::array:
            out += '[';
            for (const json::value& item : value.get_array()) {
                if (&item != &value.get_array().front()) out += ',';
                append(out, item);
            }
            out += ']';
            break;
        case json::kind::double_:
            append_number(out, value.get_double());
            break;
        default:
            out += to_text(value);
    }
}

}  // namespace

std::string canonical_text(const json::value& value) {
    std::string out;
    append(out, value);
    return out;
}

}  // namespace base
