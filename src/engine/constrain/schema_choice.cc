// Keywords that leave a choice: anyOf and oneOf, and those that are said otherwise with them:
// `not`, if/then/else and dependencies.
#include <algorithm>
#include <array>

#include "engine/constrain/negation.h"
#include "engine/constrain/schema_compiler.h"

namespace engine::constrain {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

namespace {

json::value negation_of(const json::value& schema) {
    json::object negation;
    negation["not"] = schema;
    return negation;
}

json::value all_of(std::initializer_list<const json::value*> schemas) {
    json::array list;
    for (const json::value* schema : schemas) {
        if (schema != nullptr) list.push_back(*schema);
    }
    return json::object{{"allOf", std::move(list)}};
}

/// "Without this property, or with it and what it asks for", for each property.
void add_dependencies(const json::value& dependencies, json::array& out) {
    if (!dependencies.is_object()) return;
    for (const auto& [name, asks] : dependencies.get_object()) {
        json::object absent;
        absent["properties"] = json::object{{json::string(name), false}};
        json::array required{json::string(name)};
        if (const json::array* names = asks.if_array()) {
            required.insert(required.end(), names->begin(), names->end());
        }
        if (asks.is_string()) required.push_back(asks);  // draft 3
        const json::value present = json::object{{"required", std::move(required)}};
        const bool schema = asks.is_object() || asks.is_bool();
        out.push_back(
            json::object{{"anyOf", json::array{std::move(absent),
                                               schema ? all_of({&present, &asks}) : present}}});
    }
}

}  // namespace

Result<std::vector<Conjunction>> SchemaCompiler::branches_of(const Conjunction& all,
                                                             const Part& part,
                                                             std::string_view keyword) {
    const json::value* list = part.find(keyword);
    if (!list->is_array() || list->get_array().empty()) {
        return fail_on(part.at(keyword), Code::invalid_argument, "{} is not a list of schemas",
                       part.at(keyword));
    }
    std::vector<Conjunction> branches;
    std::size_t index = 0;
    for (const json::value& schema : list->get_array()) {
        Conjunction with = all;
        DG_TRY(document_.add(with, schema, fmt::format("{}[{}]", part.at(keyword), index++)));
        branches.push_back(std::move(with));
    }
    if (keyword == "oneOf") DG_TRY(exclude_each_other(branches, part));
    return branches;
}

/// Adds to each branch of a oneOf the opposite of those it may overlap with.
Result<void> SchemaCompiler::exclude_each_other(std::vector<Conjunction>& branches,
                                                const Part& part) {
    const json::array& list = part.find("oneOf")->get_array();
    const std::vector<Conjunction> alone = branches;
    for (std::size_t a = 0; a < alone.size(); ++a) {
        for (std::size_t b = 0; b < alone.size(); ++b) {
            if (a == b || document_.disjoint(alone[a], alone[b])) continue;
            const std::string path = fmt::format("{}[{}]", part.at("oneOf"), b);
            const auto other = opposite(list[b], path);
            if (!other) {
                return fail_on(part.at("oneOf"), other.error().code,
                               "{}: branches {} and {} may overlap, so 'exactly one' cannot be "
                               "enforced; use anyOf, or give each branch a constant that differs",
                               part.at("oneOf"), a, b);
            }
            DG_TRY(document_.add(branches[a], *other->schema, path + ".not"));
            if (branches[a].impossible || other->exact) continue;
            if (DG_TRY(value(branches[a])) >= 0) continue;
            return fail_on(part.at("oneOf"), Code::unimplemented,
                           "{}: branches {} and {} overlap in a way that cannot be enforced; use "
                           "anyOf, or give each branch a constant that differs",
                           part.at("oneOf"), a, b);
        }
    }
    return {};
}

Result<NodeId> SchemaCompiler::choices(const Conjunction& all, std::size_t index) {
    constexpr std::size_t kBranchesMax = 10'000;
    const Part& part = all.parts[index];
    std::vector<Conjunction> open{all};
    open.front().parts[index].taken |= kChoices;
    for (const std::string_view keyword : {"anyOf", "oneOf"}) {
        if (part.find(keyword) == nullptr) continue;
        std::vector<Conjunction> next;
        for (const Conjunction& base : open) {
            for (Conjunction& branch : DG_TRY(branches_of(base, part, keyword))) {
                // What has no type left would only be found out after all other choices.
                if (branch.impossible || DG_TRY(allowed_types(branch)) == 0) continue;
                next.push_back(std::move(branch));
            }
            if (next.size() <= kBranchesMax) continue;
            return fail_on(part.at(keyword), Code::payload_too_large, "{}: over {} combinations",
                           part.at(keyword), kBranchesMax);
        }
        open = std::move(next);
    }
    std::vector<NodeId> nodes;
    for (const Conjunction& branch : open) {
        const NodeId node = DG_TRY(value(branch));
        if (node >= 0) nodes.push_back(node);
    }
    return builder_.choice(std::move(nodes));
}

Result<SchemaCompiler::Rewritten> SchemaCompiler::opposite(const json::value& schema,
                                                           const std::string& path) {
    const auto [found, fresh] = opposites_.try_emplace(&schema);
    if (!fresh && found->second.schema != nullptr) return found->second;
    Negation negation = DG_TRY(negated(schema, path, [&](std::string_view reference) {
        return document_.resolve(reference, path);
    }));
    made_.push_back(std::move(negation.schema));
    return opposites_[&schema] = Rewritten{&made_.back(), negation.exact};
}

Result<SchemaCompiler::Rewritten> SchemaCompiler::rewritten(const Part& part, TakenBits what) {
    if (what == kNot) return opposite(*part.find("not"), part.at("not"));
    const auto known = rewritten_.find({part.schema, what});
    if (known != rewritten_.end()) return known->second;
    json::value schema;
    if (what == kCondition) {
        const json::value* condition = part.find("if");
        const json::value otherwise = negation_of(*condition);
        schema = json::object{{"anyOf", json::array{all_of({condition, part.find("then")}),
                                                    all_of({&otherwise, part.find("else")})}}};
        if (part.find("then") == nullptr && part.find("else") == nullptr) schema = true;
    } else {
        json::array every;
        for (const auto* word : {"dependencies", "dependentRequired", "dependentSchemas"}) {
            if (const json::value* found = part.find(word)) add_dependencies(*found, every);
        }
        schema = true;
        if (!every.empty()) schema = json::object{{"allOf", std::move(every)}};
    }
    made_.push_back(std::move(schema));
    return rewritten_[{part.schema, what}] = Rewritten{&made_.back(), true};
}

Result<NodeId> SchemaCompiler::rewrite(const Conjunction& all, std::size_t index, TakenBits what) {
    const std::string path = all.parts[index].at(what == kNot         ? "not"
                                                 : what == kCondition ? "if"
                                                                      : "dependencies");
    const Rewritten instead = DG_TRY(rewritten(all.parts[index], what));
    Conjunction with = all;
    with.parts[index].taken |= what;
    DG_TRY(document_.add(with, *instead.schema, path));
    const NodeId node = DG_TRY(value(with));
    if (node >= 0) return node;
    if (instead.exact) return builder_.choice({});
    // One of several ways to be the opposite of something may be missing: what is left is right.
    if (path.find(".not.") != std::string::npos) {
        narrowed_at_ = path;
        return builder_.choice({});
    }
    return fail_on(path, Code::unimplemented,
                   "{}: cannot be enforced beside the other keywords; rewrite the schema without "
                   "it",
                   path);
}

}  // namespace engine::constrain
