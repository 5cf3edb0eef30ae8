#include "base/document/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/core/nearest.h"

namespace base {
namespace {

using Type = Shape::Type;

std::string type_words(const Shape& shape) {
    if (!shape.words.empty()) return std::string(shape.words);
    switch (shape.type) {
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
        case Type::any:
            return "a value";
        case Type::either: {
            std::string out;
            for (const Shape* option : shape.options) {
                out += (out.empty() ? "" : " or ") + type_words(*option);
            }
            return out;
        }
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
bool is_of_type(const Node& node, const Shape& shape, bool json) {
    switch (shape.type) {
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
        case Type::any:
            return true;
        case Type::either:
            return std::ranges::any_of(shape.options, [&](const Shape* option) {
                return is_of_type(node, *option, json);
            });
    }
    return false;
}

/// Where the checker is, for machines and for people.
struct Spot {
    std::string path;    ///< from the root
    std::string within;  ///< from the noun, or from the root where there is none
    std::string noun;    ///< "step 'fetch'"

    std::string words() const {
        if (within.empty()) return noun.empty() ? "the document" : noun;
        return noun.empty() ? within : fmt::format("{} of {}", within, noun);
    }
    Spot member(std::string_view name) const {
        const auto join = [&](const std::string& to) {
            return to.empty() ? std::string(name) : fmt::format("{}.{}", to, name);
        };
        return {join(path), join(within), noun};
    }
    Spot item(std::size_t i) const {
        return {fmt::format("{}[{}]", path, i), fmt::format("{}[{}]", within, i), noun};
    }
};

/// Checks one tree and gathers what is wrong.
class Checker {
public:
    Checker(bool json, std::size_t faults_max) : json_(json), faults_max_(faults_max) {}

    void check(const Node& node, const Shape& shape, Spot spot) {
        if (faults.size() >= faults_max_) return;
        if (!is_of_type(node, shape, json_)) {
            return fault(node, spot,
                         fmt::format("is {}, expected {}", found_words(node), type_words(shape)));
        }
        switch (shape.type) {
            case Type::text:
                return check_text(node, shape, spot);
            case Type::integer:
            case Type::number:
                return check_number(node, shape, spot);
            case Type::list:
                return check_list(node, shape, spot);
            case Type::map:
                return check_map(node, shape, spot);
            case Type::object:
                return check_object(node, shape, std::move(spot));
            case Type::same:
                return check(node, *shape.element, std::move(spot));
            case Type::either:
                for (const Shape* option : shape.options) {
                    if (is_of_type(node, *option, json_)) return check(node, *option, spot);
                }
                break;
            case Type::flag:
            case Type::scalar:
            case Type::any:
                break;
        }
    }

    std::vector<Fault> faults;

private:
    void fault(const Node& node, const Spot& spot, const std::string& what) {
        faults.push_back(
            {node.line, node.column, spot.path, fmt::format("{} {}", spot.words(), what)});
    }

    bool check_length(const Node& node, const Shape& shape, const Spot& spot, std::size_t length,
                      std::string_view unit) {
        if (length >= shape.length_min && length <= shape.length_max) return true;
        fault(node, spot,
              fmt::format("has {} {}, expected {} to {}", length, unit, shape.length_min,
                          shape.length_max));
        return false;
    }

    void check_text(const Node& node, const Shape& shape, const Spot& spot) {
        if (!shape.one_of.empty() && !std::ranges::count(shape.one_of, node.text)) {
            return fault(
                node, spot,
                fmt::format("is '{}', expected one of {}{}", node.text,
                            fmt::join(shape.one_of, ", "), did_you_mean(node.text, shape.one_of)));
        }
        if (!check_length(node, shape, spot, node.text.size(), "bytes")) return;
        if (shape.fits != nullptr && !shape.fits(node.text)) {
            fault(node, spot, fmt::format("is '{}', expected {}", node.text, type_words(shape)));
        }
    }

    void check_number(const Node& node, const Shape& shape, const Spot& spot) {
        const double value = *number_of(node);
        if (shape.type == Type::integer && value != std::floor(value)) {
            return fault(node, spot, fmt::format("is {}, expected a whole number", node.text));
        }
        if (value < shape.min || value > shape.max) {
            fault(node, spot,
                  fmt::format("is {}, expected {} to {}", node.text, shape.min, shape.max));
        }
    }

    void check_list(const Node& node, const Shape& shape, const Spot& spot) {
        if (!check_length(node, shape, spot, node.items.size(), "items")) return;
        for (std::size_t i = 0; i < node.items.size(); ++i) {
            check(node.items[i], *shape.element, spot.item(i));
        }
    }

    void check_map(const Node& node, const Shape& shape, const Spot& spot) {
        if (!check_length(node, shape, spot, node.members.size(), "members")) return;
        for (const auto& [name, value] : node.members) {
            check(value, *shape.element, spot.member(name));
        }
    }

    void check_object(const Node& node, const Shape& shape, Spot spot) {
        if (!shape.noun.empty()) {
            const Node* name = node.find(shape.noun_field);
            const bool named = name != nullptr && name->kind == Node::Kind::scalar;
            spot.noun = named ? fmt::format("{} '{}'", shape.noun, name->text)
                              : fmt::format("the {}{}{}", shape.noun, spot.path.empty() ? "" : " ",
                                            spot.path);
            spot.within.clear();
        }
        for (const auto& [name, value] : node.members) {
            const auto field = std::ranges::find(shape.fields, name, &Field::name);
            if (field == shape.fields.end()) {
                unknown(value, name, shape, spot);
            } else {
                check(value, field->shape, spot.member(name));
            }
        }
        for (const Field& field : shape.fields) {
            if (field.required && node.find(field.name) == nullptr) {
                fault(node, spot, fmt::format("lacks {}", field.name));
            }
        }
        if (!shape.one_field.empty()) check_one_field(node, shape, spot);
    }

    void check_one_field(const Node& node, const Shape& shape, const Spot& spot) {
        std::vector<std::string_view> found;
        for (const std::string_view name : shape.one_field) {
            if (node.find(name) != nullptr) found.push_back(name);
        }
        if (found.empty()) {
            fault(node, spot,
                  fmt::format("lacks what it does: one of {}", fmt::join(shape.one_field, ", ")));
        } else if (found.size() > 1) {
            fault(*node.find(found[1]), spot,
                  fmt::format("has {}, expected one of them", fmt::join(found, " and ")));
        }
    }

    void unknown(const Node& value, const std::string& name, const Shape& shape, const Spot& spot) {
        std::vector<std::string_view> known, candidates;
        for (const Field& each : shape.fields) known.push_back(each.name);
        candidates = known;
        for (const Field& each : shape.fields) {
            candidates.insert(candidates.end(), each.otherwise.begin(), each.otherwise.end());
        }
        auto meant = nearest(name, candidates);
        for (const Field& each : shape.fields) {
            if (meant && std::ranges::count(each.otherwise, *meant) > 0) meant = each.name;
        }
        const std::string hint = meant ? fmt::format(": did you mean '{}'?", *meant)
                                       : fmt::format("; there are {}", fmt::join(known, ", "));
        faults.push_back({value.name_line, value.name_column, spot.member(name).path,
                          fmt::format("unknown field '{}' in {}{}", name, spot.words(), hint)});
    }

    const bool json_;
    const std::size_t faults_max_;
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
            case Type::either: {
                json::array options;
                for (const Shape* option : shape.options) options.push_back(write(*option));
                out["anyOf"] = std::move(options);
                break;
            }
            case Type::any:
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
            if (!shape.pattern.empty()) out["pattern"] = shape.pattern;
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
        json::array choices;
        for (const std::string_view name : shape.one_field) {
            choices.push_back(json::object{{"required", json::array{name}}});
        }
        if (!choices.empty()) out["oneOf"] = std::move(choices);
    }

    json::object defs_;
};

}  // namespace

Result<void> check_shape(const Node& node, const Shape& shape, const std::string& file,
                         const std::string& path) {
    Checker checker(file.ends_with(".json"), 1);
    checker.check(node, shape, {path, path, ""});
    if (checker.faults.empty()) return {};
    const Fault& first = checker.faults.front();
    const std::string at = fmt::format("{}:{}:{}", file, first.line, first.column);
    return fail_on(at, Code::invalid_argument, "{}: {}", at, first.message);
}

std::vector<Fault> shape_faults(const Node& node, const Shape& shape, bool json) {
    Checker checker(json, 200);
    checker.check(node, shape, {});
    return std::move(checker.faults);
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
