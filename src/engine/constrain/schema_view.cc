#include "engine/constrain/schema_view.h"

#include <algorithm>
#include <optional>

namespace engine::constrain {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
namespace json = base::json;

std::string Conjunction::key() const {
    std::string text = impossible ? "!" : "";
    std::vector<std::string> names;
    for (const Part& part : parts) {
        names.push_back(fmt::format("{}/{}", static_cast<const void*>(part.schema), part.taken));
    }
    std::sort(names.begin(), names.end());
    for (const auto& name : names) text += name + ";";
    return text;
}

Result<void> SchemaDocument::add(Conjunction& all, const json::value& schema,
                                 const std::string& path) const {
    if (const bool* known = schema.if_bool()) {
        all.impossible = all.impossible || !*known;
        return {};
    }
    const json::object* object = schema.if_object();
    if (object == nullptr) {
        return fail_on(path, Code::invalid_argument, "{}: a schema is an object or a boolean",
                       path);
    }
    for (const Part& part : all.parts) {
        if (part.schema == object) return {};
    }
    if (const json::value* reference = object->if_contains("$ref")) {
        if (!reference->is_string()) {
            return fail_on(path, Code::invalid_argument, "{}.$ref is not a string", path);
        }
        const json::value* target = DG_TRY(resolve(reference->get_string(), path));
        // Keywords beside $ref count, as draft 2020-12 says. In draft 7 they are to be ignored;
        // enforcing them as well can only allow less.
        all.parts.push_back({object, path, 0});
        DG_TRY(add(all, *target, path + ".$ref"));
    } else {
        all.parts.push_back({object, path, 0});
    }
    if (const json::value* every = object->if_contains("allOf")) {
        if (!every->is_array()) {
            return fail_on(path, Code::invalid_argument, "{}.allOf is not a list", path);
        }
        std::size_t index = 0;
        for (const json::value& item : every->get_array()) {
            DG_TRY(add(all, item, fmt::format("{}.allOf[{}]", path, index++)));
        }
    }
    return {};
}

const json::value* SchemaDocument::find_anchor(const json::value& at, std::string_view name,
                                               int depth) const {
    if (depth > 100) return nullptr;
    if (const json::object* object = at.if_object()) {
        for (const std::string_view key : {"$anchor", "$id", "id"}) {
            const json::value* id = object->if_contains(key);
            if (id == nullptr || !id->is_string()) continue;
            const std::string_view text = id->get_string();
            if (key == "$anchor" ? text == name : text == "#" + std::string(name)) return &at;
        }
        for (const auto& [key, value] : *object) {
            if (key == "enum" || key == "const") continue;
            if (const auto* found = find_anchor(value, name, depth + 1)) return found;
        }
    } else if (const json::array* array = at.if_array()) {
        for (const json::value& value : *array) {
            if (const auto* found = find_anchor(value, name, depth + 1)) return found;
        }
    }
    return nullptr;
}

Result<const json::value*> SchemaDocument::resolve(std::string_view reference,
                                                   const std::string& path) const {
    std::string_view pointer = reference;
    if (const json::object* root = root_.if_object()) {
        for (const std::string_view key : {"$id", "id"}) {  // the document by its own name
            const json::value* id = root->if_contains(key);
            if (id == nullptr || !id->is_string()) continue;
            std::string_view name = id->get_string();
            if (name.ends_with('#')) name.remove_suffix(1);
            if (!name.empty() && pointer.starts_with(name)) {
                pointer.remove_prefix(name.size());
                if (pointer.empty()) pointer = "#";
            }
        }
    }
    const auto unknown = [&] {
        return fail_on(path + ".$ref", Code::unimplemented,
                       "{}.$ref: '{}' is not in this document; put the schema under $defs", path,
                       reference);
    };
    if (pointer == "#") return &root_;
    if (!pointer.starts_with('#')) return unknown();
    pointer.remove_prefix(1);
    if (!pointer.starts_with('/')) {
        const json::value* found = find_anchor(root_, pointer, 0);
        return found != nullptr ? Result<const json::value*>(found) : unknown();
    }
    std::string decoded;  // percent escapes of the URI fragment
    for (std::size_t i = 0; i < pointer.size(); ++i) {
        unsigned code = 0;
        if (pointer[i] == '%' && i + 2 < pointer.size() &&
            std::sscanf(std::string(pointer.substr(i + 1, 2)).c_str(), "%2x", &code) == 1) {
            decoded.push_back(static_cast<char>(code));
            i += 2;
        } else {
            decoded.push_back(pointer[i]);
        }
    }
    boost::system::error_code error;
    const json::value* found = root_.find_pointer(decoded, error);
    return found != nullptr && !error ? Result<const json::value*>(found) : unknown();
}

std::uint8_t type_of(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            return kNull;
        case json::kind::bool_:
            return kBoolean;
        case json::kind::int64:
        case json::kind::uint64:
            return kInteger;
        case json::kind::double_:
            return value.get_double() == static_cast<double>(static_cast<std::int64_t>(
                                             std::clamp(value.get_double(), -9e18, 9e18)))
                       ? kInteger
                       : kFraction;
        case json::kind::string:
            return kString;
        case json::kind::array:
            return kArray;
        case json::kind::object:
            return kObject;
    }
    return 0;
}

bool same_value(const json::value& a, const json::value& b) {
    if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
    if (a.kind() != b.kind()) return false;
    if (const json::array* list = a.if_array()) {
        const json::array& other = b.get_array();
        return std::equal(list->begin(), list->end(), other.begin(), other.end(), same_value);
    }
    if (const json::object* object = a.if_object()) {
        const json::object& other = b.get_object();
        if (object->size() != other.size()) return false;
        for (const auto& [key, value] : *object) {
            const json::value* twin = other.if_contains(key);
            if (twin == nullptr || !same_value(value, *twin)) return false;
        }
        return true;
    }
    return a == b;
}

Result<std::uint8_t> allowed_types(const Conjunction& all) {
    std::uint8_t allowed = kAllTypes;
    const auto bits = [](std::string_view name) -> std::uint8_t {
        if (name == "null") return kNull;
        if (name == "boolean") return kBoolean;
        if (name == "integer") return kInteger;
        if (name == "number") return kNumber;
        if (name == "string") return kString;
        if (name == "array") return kArray;
        return name == "object" ? kObject : 0;
    };
    for (const Part& part : all.parts) {
        const json::value* type = part.find("type");
        if (type == nullptr) continue;
        std::uint8_t here = 0;
        bool bad = false;
        const auto take = [&](const json::value& name) {
            const std::uint8_t bit = name.is_string() ? bits(name.get_string()) : std::uint8_t{0};
            bad = bad || bit == 0;
            here = static_cast<std::uint8_t>(here | bit);
        };
        if (const json::array* names = type->if_array()) {
            for (const json::value& name : *names) take(name);
        } else {
            take(*type);
        }
        if (bad) {
            return fail_on(part.at("type"), Code::invalid_argument,
                           "{}: not null, boolean, integer, number, string, array or object",
                           part.at("type"));
        }
        const json::value* nullable = part.find("nullable");
        if (nullable != nullptr && nullable->is_bool() && nullable->get_bool()) here |= kNull;
        allowed &= here;
    }
    return allowed;
}

Result<std::optional<std::vector<json::value>>> listed_values(const Conjunction& all) {
    std::optional<std::vector<json::value>> values;
    const auto keep = [&](const std::vector<json::value>& list) {
        if (!values) {
            values = list;
            return;
        }
        std::erase_if(*values, [&](const json::value& value) {
            return std::none_of(list.begin(), list.end(),
                                [&](const json::value& other) { return same_value(value, other); });
        });
    };
    for (const Part& part : all.parts) {
        if (part.taken & kListed) continue;
        if (const json::value* one = part.find("const")) keep({*one});
        if (const json::value* list = part.find("enum")) {
            if (!list->is_array()) {
                return fail_on(part.at("enum"), Code::invalid_argument, "{} is not a list",
                               part.at("enum"));
            }
            keep({list->get_array().begin(), list->get_array().end()});
        }
    }
    return values;
}

bool SchemaDocument::objects_disjoint(const Conjunction& a, const Conjunction& b, int depth) const {
    // A property that both demand, with values that cannot be equal; or one that `a` demands and
    // `b` has no room for.
    for (const Part& part : a.parts) {
        const json::value* required = part.find("required");
        if (required == nullptr || !required->is_array()) continue;
        for (const json::value& item : required->get_array()) {
            if (!item.is_string()) continue;
            const std::string_view name = item.get_string();
            bool demanded = false;
            Conjunction in_a, in_b;
            const auto collect = [&](const Conjunction& from, Conjunction& into) {
                for (const Part& other : from.parts) {
                    const json::value* list = other.find("properties");
                    const json::value* schema = list != nullptr && list->is_object()
                                                    ? list->get_object().if_contains(name)
                                                    : nullptr;
                    const json::value* rest = other.find("additionalProperties");
                    if (schema != nullptr) {
                        if (!add(into, *schema, "")) return false;
                    } else if (rest != nullptr && rest->is_bool() && !rest->get_bool() &&
                               other.find("patternProperties") == nullptr) {
                        into.impossible = true;
                    }
                }
                return true;
            };
            for (const Part& other : b.parts) {
                const json::value* list = other.find("required");
                if (list == nullptr || !list->is_array()) continue;
                for (const json::value& theirs : list->get_array()) {
                    demanded = demanded || (theirs.is_string() && theirs.get_string() == name);
                }
            }
            if (!collect(a, in_a) || !collect(b, in_b)) continue;
            if (in_b.impossible || in_a.impossible) return true;
            if (demanded && disjoint(in_a, in_b, depth + 1)) return true;
        }
    }
    return false;
}

bool SchemaDocument::disjoint(const Conjunction& a, const Conjunction& b, int depth) const {
    if (a.impossible || b.impossible) return true;
    if (depth > 4) return false;
    const auto types_a = allowed_types(a), types_b = allowed_types(b);
    const auto values_a = listed_values(a), values_b = listed_values(b);
    if (!types_a || !types_b || !values_a || !values_b) return false;
    if (*values_a && *values_b) {
        return std::none_of((*values_a)->begin(), (*values_a)->end(), [&](const auto& value) {
            return std::any_of((*values_b)->begin(), (*values_b)->end(),
                               [&](const auto& other) { return same_value(value, other); });
        });
    }
    const auto types = [](std::uint8_t allowed,
                          const std::optional<std::vector<json::value>>& list) {
        if (!list) return allowed;
        std::uint8_t listed = 0;
        for (const json::value& value : *list) listed |= type_of(value);
        return static_cast<std::uint8_t>(allowed & listed);
    };
    const int shared = types(*types_a, *values_a) & types(*types_b, *values_b);
    if (shared == 0) return true;
    if (shared != kObject) return false;
    return objects_disjoint(a, b, depth) || objects_disjoint(b, a, depth);
}

}  // namespace engine::constrain
