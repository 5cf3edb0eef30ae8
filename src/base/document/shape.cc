#include "base/document/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace base {
namespace {

using Type = Shape::Type;

std::string_view type_words(Type type) {
    switch (type) {
        case Type::text:
            return "a text";
        case Type::integer:
            return "a whole number";
        case Type::number:
            return "a number";
        case Type::flag:
            return "true or false";
        case Type::scalar:
            return "a single value";
        case Type::list:
            return "a list";
        case Type::map:
        case Type::object:
        case Type::same:
            return "a map";
    }
    return "";
}

std::string_view found_words(const Node& node) {
    switch (node.kind) {
        case Node::Kind::null:
            return "nothing";
        case Node::Kind::scalar:
            return node.quoted ? "a quoted text" : "a single value";
        case Node::Kind::list:
            return "a list";
        case Node::Kind::map:
            return "a map";
    }
    return "";
}

/// In JSON a text has quotes; in YAML `1.0` may be one where a text is expected.
bool is_of_type(const Node& node, Type type, bool json) {
    switch (type) {
        case Type::text:
            return node.kind == Node::Kind::scalar && (node.quoted || !json);
        case Type::scalar:
            return node.kind == Node::Kind::scalar;
        case Type::integer:
        case Type::number:
            return number_of(node).has_value();
        case Type::flag:
            return flag_of(node).has_value();
        case Type::list:
            return node.kind == Node::Kind::list;
        case Type::map:
        case Type::object:
            return node.kind == Node::Kind::map;
        case Type::same:
            return true;
    }
    return false;
}

/// Checks one tree; knows the file for messages.
class Checker {
public:
    explicit Checker(const std::string& file) : file_(file) {}

    Result<void> check(const Node& node, const Shape& shape, const std::string& path) const {
        if (!is_of_type(node, shape.type, file_.ends_with(".json"))) {
            return fault(
                node, path,
                fmt::format("is {}, expected {}", found_words(node), type_words(shape.type)));
        }
        switch (shape.type) {
            case Type::text:
                return check_text(node, shape, path);
            case Type::integer:
            case Type::number:
                return check_number(node, shape, path);
            case Type::list:
                return check_list(node, shape, path);
            case Type::map:
                return check_map(node, shape, path);
            case Type::object:
                return check_object(node, shape, path);
            case Type::same:
                return check(node, *shape.element, path);
            case Type::flag:
            case Type::scalar:
                break;
        }
        return {};
    }

private:
    std::unexpected<Error> fault(const Node& node, const std::string& path,
                                 const std::string& what) const {
        const std::string at = place(file_, node);
        return fail_on(at, Code::invalid_argument, "{}: {} {}", at,
                       path.empty() ? "the document" : path, what);
    }

    Result<void> check_length(const Node& node, const Shape& shape, const std::string& path,
                              std::size_t length, std::string_view unit) const {
        if (length >= shape.length_min && length <= shape.length_max) return {};
        return fault(node, path,
                     fmt::format("has {} {}, expected {} to {}", length, unit, shape.length_min,
                                 shape.length_max));
    }

    Result<void> check_text(const Node& node, const Shape& shape, const std::string& path) const {
        if (!shape.one_of.empty() && !std::ranges::count(shape.one_of, node.text)) {
            return fault(node, path,
                         fmt::format("is '{}', expected one of {}", node.text,
                                     fmt::join(shape.one_of, ", ")));
        }
        return check_length(node, shape, path, node.text.size(), "bytes");
    }

    Result<void> check_number(const Node& node, const Shape& shape, const std::string& path) const {
        const double value = *number_of(node);
        if (shape.type == Type::integer && value != std::floor(value)) {
            return fault(node, path, fmt::format("is {}, expected a whole number", node.text));
        }
        if (value < shape.min || value > shape.max) {
            return fault(node, path,
                         fmt::format("is {}, expected {} to {}", node.text, shape.min, shape.max));
        }
        return {};
    }

    Result<void> check_list(const Node& node, const Shape& shape, const std::string& path) const {
        DG_TRY(check_length(node, shape, path, node.items.size(), "items"));
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            DG_TRY(check(node.items[i], *shape.element, fmt::format("{}[{}]", path, i)));
        }
        return {};
    }

    Result<void> check_map(const Node& node, const Shape& shape, const std::string& path) const {
        DG_TRY(check_length(node, shape, path, node.members.size(), "members"));
        for (const auto& [name, value] : node.members) {
            DG_TRY(check(value, *shape.element, join(path, name)));
        }
        return {};
    }

    Result<void> check_object(const Node& node, const Shape& shape, const std::string& path) const {
        for (const auto& [name, value] : node.members) {
            const auto field = std::ranges::find(shape.fields, name, &Field::name);
            if (field == shape.fields.end()) {
                std::vector<std::string_view> known;
                for (const Field& each : shape.fields) known.push_back(each.name);
                return fault(value, join(path, name),
                             fmt::format("is not known; there are {}", fmt::join(known, ", ")));
            }
            DG_TRY(check(value, field->shape, join(path, name)));
        }
        for (const Field& field : shape.fields) {
            if (field.required && node.find(field.name) == nullptr) {
                return fault(node, path, fmt::format("lacks {}", field.name));
            }
        }
        return {};
    }

    static std::string join(const std::string& path, std::string_view name) {
        return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
    }

    const std::string& file_;
};

/// Writes schemas; named shapes once, into $defs.
class SchemaWriter {
public:
    json::object write(const Shape& shape) {
        if (shape.type == Type::same) return write(*shape.element);
        if (shape.name.empty()) return body(shape);
        const std::string name(shape.name);
        if (!defs_.contains(name)) {
            defs_[name] = nullptr;  // before its body, which may name it
            defs_[name] = body(shape);
        }
        return {{"$ref", "#/$defs/" + name}};
    }
    json::object take_defs() { return std::move(defs_); }

private:
    json::object body(const Shape& shape) {
        json::object out;
        if (!shape.doc.empty()) out["description"] = shape.doc;
        switch (shape.type) {
            case Type::text:
                text(shape, out);
                break;
            case Type::integer:
            case Type::number:
                out["type"] = shape.type == Type::integer ? "integer" : "number";
                out["minimum"] = number(shape.min);
                out["maximum"] = number(shape.max);
                break;
            case Type::flag:
                out["type"] = "boolean";
                break;
            case Type::scalar:
                out["type"] = json::array{"string", "number", "boolean"};
                break;
            case Type::list:
                out["type"] = "array";
                out["items"] = write(*shape.element);
                out["minItems"] = shape.length_min;
                out["maxItems"] = shape.length_max;
                break;
            case Type::map:
                out["type"] = "object";
                out["additionalProperties"] = write(*shape.element);
                out["maxProperties"] = shape.length_max;
                break;
            case Type::object:
                object(shape, out);
                break;
            case Type::same:
                break;  // write() has followed it
        }
        return out;
    }

    static json::value number(double value) {
        if (value == std::floor(value)) return static_cast<std::int64_t>(value);
        return value;
    }

    static void text(const Shape& shape, json::object& out) {
        out["type"] = "string";
        if (!shape.one_of.empty()) {
            out["enum"] = json::value_from(shape.one_of);
        } else {
            out["minLength"] = std::min<std::size_t>(shape.length_min, 1);
            out["maxLength"] = shape.length_max;  // bytes here, characters there: never stricter
        }
    }

    void object(const Shape& shape, json::object& out) {
        json::object properties;
        json::array required;
        for (const Field& field : shape.fields) {
            properties[field.name] = write(field.shape);
            if (field.required) required.emplace_back(field.name);
        }
        out["type"] = "object";
        out["properties"] = std::move(properties);
        if (!required.empty()) out["required"] = std::move(required);
        out["additionalProperties"] = false;
    }

    json::object defs_;
};

}  // namespace

std::optional<double> number_of(const Node& node) {
    if (node.kind != Node::Kind::scalar || node.quoted || node.text.empty()) return std::nullopt;
    const char last = node.text.back(), first = node.text.front();
    if (!((first >= '0' && first <= '9') || first == '-') || last < '0' || last > '9') {
        return std::nullopt;  // inf, nan, .5, 1. and hexadecimal are not JSON
    }
    double value = 0;
    const char* const end = node.text.data() + node.text.size();
    const auto [rest, error] = std::from_chars(node.text.data(), end, value);
    if (error != std::errc() || rest != end || !std::isfinite(value)) return std::nullopt;
    return value;
}

std::optional<bool> flag_of(const Node& node) {
    if (node.kind != Node::Kind::scalar || node.quoted) return std::nullopt;
    if (node.text == "true") return true;
    if (node.text == "false") return false;
    return std::nullopt;
}

Result<void> check_shape(const Node& node, const Shape& shape, const std::string& file,
                         const std::string& path) {
    return Checker(file).check(node, shape, path);
}

json::object json_schema(const Shape& shape, std::string_view id, std::string_view title) {
    SchemaWriter writer;
    json::object out{
        {"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"$id", id}, {"title", title}};
    for (auto& [name, value] : writer.write(shape)) out[name] = std::move(value);
    if (json::object defs = writer.take_defs(); !defs.empty()) out["$defs"] = std::move(defs);
    return out;
}

}  // namespace base
