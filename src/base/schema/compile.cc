// From a JSON Schema to rules. Every subschema that is reached becomes one rule, found again by
// where its value lies in the document; references follow `$id`s and anchors within it.
#include <fmt/format.h>

#include <algorithm>
#include <boost/url.hpp>
#include <charconv>
#include <cmath>
#include <unordered_map>

#include "base/json/canonical.h"
#include "base/schema/rule.h"

namespace base::schema {
namespace {

namespace urls = boost::urls;
constexpr std::size_t kRulesMax = 20'000;
constexpr std::string_view kHere = "schema://document/";  ///< base of a document without an `$id`

std::unexpected<Error> wrong(const std::string& place, std::string_view what) {
    return fail_on(place, Code::invalid_argument, "{}: {}",
                   place.empty() ? "the schema" : "schema " + place, what);
}

/// `reference` as seen from `from`, without its fragment; and the fragment, decoded.
struct Address {
    std::string resource, fragment;
};

Result<Address> resolve(const std::string& from, std::string_view reference,
                        const std::string& place) {
    const auto base = urls::parse_uri(from);
    const auto relative = urls::parse_uri_reference({reference.data(), reference.size()});
    if (!base || !relative) {
        return wrong(place, fmt::format("'{}' is not a URI reference", reference));
    }
    Address out;
    out.fragment = relative->fragment();
    if (relative->encoded_path().empty() && !relative->has_scheme() && !relative->has_authority() &&
        !relative->has_query()) {
        out.resource = from;
        return out;
    }
    urls::url whole;
    if (base->scheme() == "urn" && relative->has_scheme()) {
        whole = *relative;
    } else if (!urls::resolve(*base, *relative, whole)) {
        return wrong(place, fmt::format("'{}' cannot be resolved against {}", reference, from));
    }
    whole.remove_fragment();
    whole.normalize();
    out.resource.assign(whole.buffer().data(), whole.buffer().size());
    return out;
}

struct Resource {
    const json::value* root = nullptr;
    std::string uri;
    std::map<std::string, const json::value*, std::less<>> anchors;
};

class Compiler {
public:
    explicit Compiler(const json::value& root) : root_(root) {}

    Result<Rules> run() {
        if (const auto* object = root_.if_object()) {
            const json::value* dialect = object->if_contains("$schema");
            if (dialect != nullptr && !dialect->is_string()) {
                return wrong("/$schema", "expected a URI");
            }
            old_ = dialect != nullptr &&
                   std::string_view(dialect->get_string()).find("/draft-0") != std::string::npos;
        }
        resources_.push_back({&root_, std::string(kHere), {}});
        rules_.dynamic_anchors.emplace_back();
        dynamic_values_.emplace_back();
        DG_TRY(survey(root_, 0, "", 0));
        DG_TRY(rule_of(root_, ""));
        for (std::size_t i = 0; i < dynamic_values_.size(); ++i) {
            for (const auto& [name, value] : dynamic_values_[i]) {
                rules_.dynamic_anchors[i][name] = DG_TRY(rule_of(*value, places_[value]));
            }
        }
        return std::move(rules_);
    }

private:
    // ---- names: which resource each value is of, and what anchors there are ----

    /// Values of these are data or texts, never schemas.
    static bool is_data(std::string_view name) {
        return name == "enum" || name == "const" || name == "default" || name == "examples" ||
               name == "required";
    }

    Result<void> survey(const json::value& value, std::uint32_t resource, const std::string& place,
                        int depth, bool names = false) {
        if (depth > 200) return wrong(place, "is nested more than 200 levels deep");
        if (const auto* array = value.if_array()) {
            for (std::size_t i = 0; i < array->size(); ++i) {
                DG_TRY(survey((*array)[i], resource, fmt::format("{}/{}", place, i), depth + 1));
            }
            return {};
        }
        const auto* object = value.if_object();
        if (object == nullptr) {
            homes_[&value] = resource;
            places_[&value] = place;
            return {};
        }
        if (!names) resource = DG_TRY(enter(value, *object, resource, place));
        homes_[&value] = resource;
        places_[&value] = place;
        for (const auto& [name, member] : *object) {
            if (!names && is_data(name)) continue;
            const bool of_names = !names && (name == "properties" || name == "patternProperties" ||
                                             name == "$defs" || name == "definitions" ||
                                             name == "dependentSchemas" || name == "dependencies");
            DG_TRY(
                survey(member, resource, place + "/" + pointer_token(name), depth + 1, of_names));
        }
        return {};
    }

    Result<std::uint32_t> enter(const json::value& value, const json::object& object,
                                std::uint32_t resource, const std::string& place) {
        const auto text = [&](std::string_view name) -> const json::string* {
            const json::value* member = object.if_contains(name);
            return member == nullptr ? nullptr : member->if_string();
        };
        const json::string* id = text("$id");
        if (old_ && object.contains("$ref")) id = nullptr;
        if (id != nullptr && id->starts_with("#")) {  // an anchor, as draft 7 writes it
            resources_[resource].anchors[std::string(id->data() + 1, id->size() - 1)] = &value;
        } else if (id != nullptr) {
            Address address =
                DG_TRY(resolve(resources_[resource].uri, {id->data(), id->size()}, place + "/$id"));
            if (&value == &root_) {
                resources_[0].uri = address.resource;
            } else {
                resources_.push_back({&value, address.resource, {}});
                rules_.dynamic_anchors.emplace_back();
                dynamic_values_.emplace_back();
                resource = static_cast<std::uint32_t>(resources_.size() - 1);
            }
        }
        if (const auto* anchor = text("$anchor")) {
            resources_[resource].anchors[std::string(*anchor)] = &value;
        }
        if (const auto* anchor = text("$dynamicAnchor")) {
            resources_[resource].anchors[std::string(*anchor)] = &value;
            dynamic_values_[resource][std::string(*anchor)] = &value;
        }
        return resource;
    }

    /// What `reference`, written at `place` within `resource`, names.
    Result<const json::value*> find(std::uint32_t resource, std::string_view reference,
                                    const std::string& place) {
        const Address address = DG_TRY(resolve(resources_[resource].uri, reference, place));
        const auto home = std::ranges::find(resources_, address.resource, &Resource::uri);
        if (home == resources_.end()) {
            return fail_on(place, Code::unimplemented,
                           "schema {}: '{}' is not in this document, and others are not fetched; "
                           "put it under $defs",
                           place, reference);
        }
        if (address.fragment.empty()) return home->root;
        if (address.fragment.front() == '/') {
            boost::system::error_code error;
            const json::value* found = home->root->find_pointer(address.fragment, error);
            if (found != nullptr && !error) return found;
        } else if (const auto at = home->anchors.find(address.fragment);
                   at != home->anchors.end()) {
            return at->second;
        }
        return wrong(place, fmt::format("'{}' names nothing in the schema", reference));
    }

    // ---- rules ----

    Result<RuleIndex> rule_of(const json::value& value, const std::string& place) {
        if (const auto known = made_.find(&value); known != made_.end()) return known->second;
        if (rules_.rules.size() >= kRulesMax) return wrong(place, "has more than 20,000 parts");
        const auto index = static_cast<RuleIndex>(rules_.rules.size());
        made_[&value] = index;
        Rule& rule = *rules_.rules.emplace_back(std::make_unique<Rule>());
        rule.place = place;
        if (const auto home = homes_.find(&value); home != homes_.end()) {
            rule.resource = home->second;
        }
        if (value.is_bool()) {
            rule.never = !value.get_bool();
        } else if (const auto* object = value.if_object()) {
            DG_TRY(fill(rule, *object, place));
        } else {
            return wrong(place, "expected a schema: an object, true or false");
        }
        return index;
    }

    Result<void> fill(Rule& rule, const json::object& in, const std::string& place) {
        if (const auto* ref = in.if_contains("$ref")) {
            DG_TRY(refer(rule, *ref, place + "/$ref"));
            if (old_) return {};  // draft 7: what stands beside it is not read
        }
        if (const auto* ref = in.if_contains("$dynamicRef")) {
            DG_TRY(refer_dynamic(rule, *ref, place + "/$dynamicRef"));
        }
        DG_TRY(fill_values(rule, in, place));
        DG_TRY(fill_number(rule, in, place));
        DG_TRY(fill_string(rule, in, place));
        DG_TRY(fill_array(rule, in, place));
        DG_TRY(fill_object(rule, in, place));
        DG_TRY(subschemas(in, "allOf", place, rule.all));
        DG_TRY(subschemas(in, "anyOf", place, rule.any));
        DG_TRY(subschemas(in, "oneOf", place, rule.one));
        DG_TRY(subschema(in, "not", place, rule.not_));
        DG_TRY(subschema(in, "if", place, rule.if_));
        DG_TRY(subschema(in, "then", place, rule.then_));
        return subschema(in, "else", place, rule.else_);
    }

    Result<void> refer(Rule& rule, const json::value& ref, const std::string& place) {
        if (!ref.is_string()) return wrong(place, "expected a URI reference");
        const json::value* target =
            DG_TRY(find(rule.resource, std::string_view(ref.get_string()), place));
        const auto at = places_.find(target);
        rule.ref = DG_TRY(rule_of(*target, at == places_.end() ? place : at->second));
        return {};
    }

    /// Leads where a plain reference would, unless that is a dynamic anchor: then the outermost
    /// resource on the way that has one of the name decides.
    Result<void> refer_dynamic(Rule& rule, const json::value& ref, const std::string& place) {
        if (rule.ref) {  // both stand here: the plain one becomes a rule of its own
            rule.all.push_back(*rule.ref);
            rule.ref.reset();
        }
        DG_TRY(refer(rule, ref, place));
        const std::string_view text = ref.get_string();
        const std::string name(text.substr(std::min(text.size(), text.find('#') + 1)));
        const std::uint32_t resource = rules_.rules[*rule.ref]->resource;
        if (dynamic_values_[resource].contains(name)) rule.dynamic_ref = name;
        return {};
    }

    Result<void> subschema(const json::object& in, std::string_view name, const std::string& place,
                           std::optional<RuleIndex>& out) {
        const json::value* member = in.if_contains(name);
        if (member == nullptr) return {};
        out = DG_TRY(rule_of(*member, fmt::format("{}/{}", place, name)));
        return {};
    }

    Result<void> subschemas(const json::object& in, std::string_view name, const std::string& place,
                            std::vector<RuleIndex>& out) {
        const json::value* member = in.if_contains(name);
        if (member == nullptr) return {};
        const std::string at = fmt::format("{}/{}", place, name);
        const auto* list = member->if_array();
        if (list == nullptr || list->empty()) return wrong(at, "expected a list of schemas");
        for (std::size_t i = 0; i < list->size(); ++i) {
            out.push_back(DG_TRY(rule_of((*list)[i], fmt::format("{}/{}", at, i))));
        }
        return {};
    }

    Result<void> fill_values(Rule& rule, const json::object& in, const std::string& place) {
        if (const auto* type = in.if_contains("type")) {
            rule.types = 0;
            const json::array one{*type};
            const json::array& names = type->is_array() ? type->get_array() : one;
            for (const json::value& name : names) rule.types |= DG_TRY(type_of(name, place));
        }
        const auto* list = in.if_contains("enum");
        const auto* constant = in.if_contains("const");
        if (list != nullptr) {
            if (!list->is_array()) return wrong(place + "/enum", "expected a list of values");
            rule.one_of.emplace();
            for (const json::value& each : list->get_array()) {
                rule.one_of->insert(canonical_text(each));
            }
            rule.one_of_text = "one of " + to_text(*list);
        }
        if (constant != nullptr) {
            const std::string text = canonical_text(*constant);
            const bool possible = !rule.one_of || rule.one_of->contains(text);
            rule.one_of.emplace();
            if (possible) rule.one_of->insert(text);
            rule.one_of_text = to_text(*constant);
        }
        return {};
    }

    Result<std::uint8_t> type_of(const json::value& name, const std::string& place) {
        constexpr std::pair<std::string_view, std::uint8_t> kNames[] = {
            {"null", kNull},     {"boolean", kBoolean}, {"integer", kInteger}, {"number", kNumber},
            {"string", kString}, {"array", kArray},     {"object", kObject}};
        for (const auto& [word, bit] : kNames) {
            if (name.is_string() && std::string_view(name.get_string()) == word) {
                return bit;
            }
        }
        return wrong(place + "/type",
                     fmt::format("{} is not one of null, boolean, integer, number, string, array, "
                                 "object",
                                 to_text(name)));
    }

    Result<void> number(const json::object& in, std::string_view name, const std::string& place,
                        std::optional<double>& out) {
        const json::value* member = in.if_contains(name);
        if (member == nullptr) return {};
        if (!member->is_number())
            return wrong(fmt::format("{}/{}", place, name), "expected a number");
        out = member->to_number<double>();
        return {};
    }

    Result<void> count(const json::object& in, std::string_view name, const std::string& place,
                       std::uint64_t& out) {
        std::optional<double> found;
        DG_TRY(number(in, name, place, found));
        if (!found) return {};
        if (*found < 0 || *found != std::floor(*found) || *found > 9e15) {
            return wrong(fmt::format("{}/{}", place, name), "expected a whole number, 0 or more");
        }
        out = static_cast<std::uint64_t>(*found);
        return {};
    }

    Result<void> fill_number(Rule& rule, const json::object& in, const std::string& place) {
        NumberRule out;
        DG_TRY(number(in, "minimum", place, out.minimum));
        DG_TRY(number(in, "maximum", place, out.maximum));
        DG_TRY(number(in, "exclusiveMinimum", place, out.above));
        DG_TRY(number(in, "exclusiveMaximum", place, out.below));
        DG_TRY(number(in, "multipleOf", place, out.multiple_of));
        if (out.multiple_of && *out.multiple_of <= 0) {
            return wrong(place + "/multipleOf", "expected a number above 0");
        }
        if (out.minimum || out.maximum || out.above || out.below || out.multiple_of) {
            rule.number = std::make_unique<NumberRule>(out);
        }
        return {};
    }

    Result<Regex> pattern(std::string_view text, const std::string& place) {
        auto compiled = Regex::compile(text, Regex::Use::ecma_search);
        if (!compiled) return wrong(place, compiled.error().message);
        return compiled;
    }

    Result<void> fill_string(Rule& rule, const json::object& in, const std::string& place) {
        StringRule out;
        DG_TRY(count(in, "minLength", place, out.length.min));
        DG_TRY(count(in, "maxLength", place, out.length.max));
        if (const auto* text = in.if_contains("pattern")) {
            if (!text->is_string()) return wrong(place + "/pattern", "expected a text");
            out.pattern = DG_TRY(pattern(std::string_view(text->get_string()), place + "/pattern"));
        }
        if (const auto* text = in.if_contains("format")) {
            if (!text->is_string()) return wrong(place + "/format", "expected a text");
            out.format = text->get_string();
            out.format_test = format_test(out.format);
        }
        if (out.length.min > 0 || out.length.max != kNoMax || out.pattern || out.format_test) {
            rule.string = std::make_unique<StringRule>(std::move(out));
        }
        return {};
    }

    Result<void> fill_array(Rule& rule, const json::object& in, const std::string& place) {
        ArrayRule out;
        DG_TRY(subschemas(in, "prefixItems", place, out.prefix));
        const json::value* items = in.if_contains("items");
        if (items != nullptr && items->is_array()) {  // draft 7
            if (!items->get_array().empty()) DG_TRY(subschemas(in, "items", place, out.prefix));
            DG_TRY(subschema(in, "additionalItems", place, out.items));
        } else {
            DG_TRY(subschema(in, "items", place, out.items));
        }
        DG_TRY(subschema(in, "contains", place, out.contains));
        DG_TRY(subschema(in, "unevaluatedItems", place, out.unevaluated));
        DG_TRY(count(in, "minItems", place, out.count.min));
        DG_TRY(count(in, "maxItems", place, out.count.max));
        DG_TRY(count(in, "minContains", place, out.contained.min));
        DG_TRY(count(in, "maxContains", place, out.contained.max));
        if (const auto* unique = in.if_contains("uniqueItems")) {
            if (!unique->is_bool()) return wrong(place + "/uniqueItems", "expected true or false");
            out.unique = unique->get_bool();
        }
        if (out.unevaluated) rules_.unevaluated = true;
        rule.array = std::make_unique<ArrayRule>(std::move(out));
        return {};
    }

    Result<const json::object*> named(const json::object& in, std::string_view name,
                                      const std::string& place) {
        static const json::object kNothing;
        const json::value* member = in.if_contains(name);
        if (member == nullptr) return &kNothing;
        if (!member->is_object()) {
            return wrong(fmt::format("{}/{}", place, name), "expected an object");
        }
        return &member->get_object();
    }

    Result<std::vector<std::string>> names(const json::value& value, const std::string& place) {
        std::vector<std::string> out;
        if (!value.is_array()) return wrong(place, "expected a list of names");
        for (const json::value& each : value.get_array()) {
            if (!each.is_string()) return wrong(place, "expected a list of names");
            out.emplace_back(each.get_string());
        }
        return out;
    }

    Result<void> fill_object(Rule& rule, const json::object& in, const std::string& place) {
        ObjectRule out;
        for (const auto& [name, value] : *DG_TRY(named(in, "properties", place))) {
            out.properties[name] =
                DG_TRY(rule_of(value, place + "/properties/" + pointer_token(name)));
        }
        for (const auto& [name, value] : *DG_TRY(named(in, "patternProperties", place))) {
            const std::string at = place + "/patternProperties/" + pointer_token(name);
            Regex compiled = DG_TRY(pattern(name, at));
            out.patterns.emplace_back(std::move(compiled), DG_TRY(rule_of(value, at)));
        }
        DG_TRY(subschema(in, "additionalProperties", place, out.additional));
        DG_TRY(subschema(in, "propertyNames", place, out.names));
        DG_TRY(subschema(in, "unevaluatedProperties", place, out.unevaluated));
        if (const auto* required = in.if_contains("required")) {
            out.required = DG_TRY(names(*required, place + "/required"));
        }
        for (const std::string_view keyword :
             {"dependentRequired", "dependentSchemas", "dependencies"}) {
            DG_TRY(fill_dependents(out, in, keyword, place));
        }
        DG_TRY(count(in, "minProperties", place, out.count.min));
        DG_TRY(count(in, "maxProperties", place, out.count.max));
        if (out.unevaluated) rules_.unevaluated = true;
        rule.object = std::make_unique<ObjectRule>(std::move(out));
        return {};
    }

    Result<void> fill_dependents(ObjectRule& out, const json::object& in, std::string_view keyword,
                                 const std::string& place) {
        for (const auto& [name, value] : *DG_TRY(named(in, keyword, place))) {
            const std::string at = fmt::format("{}/{}/{}", place, keyword, pointer_token(name));
            if (value.is_array() && keyword != "dependentSchemas") {
                out.needs.emplace_back(name, DG_TRY(names(value, at)));
            } else if (keyword == "dependentRequired") {
                return wrong(at, "expected a list of names");
            } else {
                out.needs_rule.emplace_back(name, DG_TRY(rule_of(value, at)));
            }
        }
        return {};
    }

    const json::value& root_;
    bool old_ = false;  ///< draft 7 or before
    Rules rules_;
    std::vector<Resource> resources_;
    std::vector<std::map<std::string, const json::value*, std::less<>>> dynamic_values_;
    std::unordered_map<const json::value*, RuleIndex> made_;
    std::unordered_map<const json::value*, std::uint32_t> homes_;
    std::unordered_map<const json::value*, std::string> places_;
};

}  // namespace

Result<Rules> compile(const json::value& schema) {
    return Compiler(schema).run();
}

}  // namespace base::schema
