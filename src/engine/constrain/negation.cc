// not (a and b) is (not a) or (not b): each keyword gives one branch of an anyOf, and an inner
// schema stays under its own `not`, to be taken apart when the compiler comes to it.
#include "engine/constrain/negation.h"

#include <algorithm>
#include <array>

#include "engine/constrain/regex.h"
#include "engine/constrain/schema_view.h"

namespace engine::constrain {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

constexpr std::pair<std::string_view, std::uint8_t> kTypeNames[] = {
    {"null", kNull},   {"boolean", kBoolean}, {"string", kString},
    {"array", kArray}, {"object", kObject},   {"number", kNumber},
};

json::value type_names(std::uint8_t types) {
    json::array names;
    for (const auto& [name, bits] : kTypeNames) {
        if ((types & bits) == bits) names.emplace_back(json::string(name));
    }
    return names;
}

class Negator {
public:
    Negator(const json::object& schema, Negation& out) : schema_(schema), out_(out) {}

    json::array branches() {
        types();
        values();
        counts();
        pattern();
        bounds();
        members();
        combinations();
        constexpr std::array kWithoutOpposite = {
            "items",         "prefixItems",         "additionalItems",       "contains",
            "uniqueItems",   "multipleOf",          "patternProperties",     "propertyNames",
            "dependencies",  "dependentRequired",   "dependentSchemas",      "if",
            "format",        "unevaluatedItems",    "unevaluatedProperties", "$dynamicRef",
            "$recursiveRef", "additionalProperties"};
        for (const std::string_view keyword : kWithoutOpposite) {
            if (schema_.contains(keyword)) out_.exact = false;
        }
        return std::move(branches_);
    }

private:
    const json::value* find(std::string_view keyword) const { return schema_.if_contains(keyword); }
    void add(json::value branch) { branches_.push_back(std::move(branch)); }

    void types() {
        Conjunction own;
        own.parts.push_back({&schema_, "", 0});
        const auto allowed = allowed_types(own);
        if (!allowed || *allowed == kAllTypes) return;
        const auto others = static_cast<std::uint8_t>(kAllTypes & ~*allowed);
        // Numbers that are not integers have no name of their own.
        if ((others & kNumber) == kFraction) out_.exact = false;
        json::value names = type_names(others);
        if (!names.get_array().empty()) add({{"type", std::move(names)}});
    }

    /// enum and const.
    void values() {
        Conjunction own;
        own.parts.push_back({&schema_, "", 0});
        const auto listed = listed_values(own);
        if (!listed || !*listed) return;
        std::uint8_t touched = 0;
        json::array strings, booleans;
        std::vector<json::value> numbers;
        for (const json::value& value : **listed) {
            const std::uint8_t type = type_of(value);
            touched |= type & kNumber ? std::uint8_t{kNumber} : type;
            if (type == kString) strings.push_back(value);
            if (type == kBoolean) booleans.push_back(value);
            if (type & kNumber) numbers.push_back(value);
        }
        const auto others = static_cast<std::uint8_t>(kAllTypes & ~touched);
        json::value names = type_names(others);
        if (!names.get_array().empty()) add({{"type", std::move(names)}});
        if (!strings.empty()) {
            add({{"type", "string"}, {json::string(kOtherStrings), std::move(strings)}});
        }
        if (touched & kBoolean) {
            for (const bool flag : {false, true}) {
                if (std::ranges::find(booleans, json::value(flag)) == booleans.end()) {
                    add({{"const", flag}});
                }
            }
        }
        if (!numbers.empty()) between(std::move(numbers));
        if (touched & (kArray | kObject)) out_.exact = false;
    }

    /// The gaps around and between numbers.
    void between(std::vector<json::value> numbers) {
        std::ranges::sort(numbers, [](const json::value& a, const json::value& b) {
            return a.to_number<double>() < b.to_number<double>();
        });
        add({{"type", "number"}, {"exclusiveMaximum", numbers.front()}});
        for (std::size_t i = 0; i + 1 < numbers.size(); ++i) {
            add({{"type", "number"},
                 {"exclusiveMinimum", numbers[i]},
                 {"exclusiveMaximum", numbers[i + 1]}});
        }
        add({{"type", "number"}, {"exclusiveMinimum", numbers.back()}});
    }

    void counts() {
        struct Count {
            std::string_view type, least, most;
        };
        constexpr Count kCounts[] = {{"string", "minLength", "maxLength"},
                                     {"array", "minItems", "maxItems"},
                                     {"object", "minProperties", "maxProperties"}};
        for (const Count& count : kCounts) {
            const auto number = [&](std::string_view keyword) {
                const json::value* found = find(keyword);
                if (found == nullptr || !found->is_number()) return -1.;
                return found->to_number<double>();
            };
            if (const double least = number(count.least); least >= 1 && least < 1e9) {
                add({{"type", json::string(count.type)},
                     {json::string(count.most), static_cast<std::int64_t>(least) - 1}});
            }
            if (const double most = number(count.most); most >= 0 && most < 1e9) {
                add({{"type", json::string(count.type)},
                     {json::string(count.least), static_cast<std::int64_t>(most) + 1}});
            }
        }
    }

    /// Not of `format`: what is enforced is narrower than the standard, and its opposite wider.
    void pattern() {
        const json::value* found = find("pattern");
        if (found == nullptr || !found->is_string()) return;
        if (parse_regex(found->get_string())) {
            add({{"type", "string"}, {json::string(kOtherPattern), *found}});
        } else {
            out_.exact = false;
        }
    }

    void bounds() {
        for (const bool low : {true, false}) {
            const std::string_view plain = low ? "minimum" : "maximum";
            const std::string_view strict = low ? "exclusiveMinimum" : "exclusiveMaximum";
            const std::string_view plain_opposite = low ? "maximum" : "minimum";
            const std::string_view strict_opposite = low ? "exclusiveMaximum" : "exclusiveMinimum";
            const json::value* flag = find(strict);
            const bool draft4 = flag != nullptr && flag->is_bool() && flag->get_bool();
            if (const json::value* bound = find(plain); bound != nullptr && bound->is_number()) {
                add({{"type", "number"},
                     {json::string(draft4 ? plain_opposite : strict_opposite), *bound}});
            }
            if (flag != nullptr && flag->is_number()) {
                add({{"type", "number"}, {json::string(plain_opposite), *flag}});
            }
        }
    }

    void members() {
        if (const json::value* required = find("required"); required && required->is_array()) {
            for (const json::value& name : required->get_array()) {
                if (!name.is_string()) continue;
                add({{"type", "object"}, {"properties", {{name.get_string(), false}}}});
            }
        }
        const json::value* properties = find("properties");
        if (properties == nullptr || !properties->is_object()) return;
        for (const auto& [name, schema] : properties->get_object()) {
            if (schema.is_bool() && schema.get_bool()) continue;
            if (schema.is_object() && schema.get_object().empty()) continue;
            json::object inner;
            inner["not"] = schema;
            json::object list;
            list[name] = std::move(inner);
            add({{"type", "object"},
                 {"required", json::array{json::string(name)}},
                 {"properties", std::move(list)}});
        }
    }

    void combinations() {
        if (const json::value* inner = find("not")) add(*inner);
        for (const std::string_view keyword : {"anyOf", "oneOf"}) {
            const json::value* list = find(keyword);
            if (list == nullptr || !list->is_array()) continue;
            if (keyword == "oneOf" && list->get_array().size() > 1) out_.exact = false;  // or two
            json::array none;
            for (const json::value& schema : list->get_array()) {
                json::object one;
                one["not"] = schema;
                none.push_back(std::move(one));
            }
            add({{"allOf", std::move(none)}});
        }
        const json::value* list = find("allOf");
        if (list == nullptr || !list->is_array()) return;
        for (const json::value& schema : list->get_array()) {
            json::object one;
            one["not"] = schema;
            add(std::move(one));
        }
    }

    const json::object& schema_;
    Negation& out_;
    json::array branches_;
};

}  // namespace

Result<Negation> negated(
    const json::value& schema, const std::string& path,
    const std::function<Result<const json::value*>(std::string_view)>& resolve) {
    if (const bool* known = schema.if_bool()) return Negation{json::value(!*known), true};
    const json::object* object = schema.if_object();
    if (object == nullptr) {
        return fail_on(path, Code::invalid_argument, "{}: a schema is an object or a boolean",
                       path);
    }
    Negation out;
    json::array branches = Negator(*object, out).branches();
    if (object->contains("$ref") && !branches.empty()) {
        // Draft 7 ignores what stands beside a $ref: its opposite must not be allowed then.
        branches.clear();
        out.exact = false;
    }
    // A reference is followed here; one that leads back here would never end.
    const json::value* reference = object->if_contains("$ref");
    for (int depth = 0; reference != nullptr; ++depth) {
        constexpr int kDepthMax = 20;
        if (!reference->is_string() || depth == kDepthMax) {
            return fail_on(path, Code::unimplemented, "{}: this $ref cannot be negated", path);
        }
        const json::value* target = DG_TRY(resolve(reference->get_string()));
        if (target->is_bool()) {
            if (!target->get_bool()) branches.emplace_back(true);
            break;
        }
        const json::object* inner = target->if_object();
        if (inner == nullptr) break;
        reference = inner->if_contains("$ref");
        if (reference == nullptr) branches = Negator(*inner, out).branches();
    }
    if (branches.empty() && out.exact) {
        out.schema = false;  // the schema allows everything
        return out;
    }
    if (branches.empty()) {
        return fail_on(path, Code::unimplemented,
                       "{}: its opposite cannot be enforced; rewrite the schema without it", path);
    }
    if (branches.size() == 1) {
        out.schema = std::move(branches.front());
    } else {
        out.schema = json::object{{"anyOf", std::move(branches)}};
    }
    return out;
}

}  // namespace engine::constrain
