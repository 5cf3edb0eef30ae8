#pragma once
// The working parts of compile_schema: one class, whose methods stand in one file per JSON type.

#include <deque>
#include <map>
#include <optional>

#include "engine/constrain/number_range.h"
#include "engine/constrain/regex.h"
#include "engine/constrain/schema.h"
#include "engine/constrain/schema_view.h"

namespace engine::constrain {

class SchemaCompiler {
public:
    /// All references must outlive this.
    SchemaCompiler(GrammarBuilder& builder, const base::json::value& root,
                   const SchemaOptions& options)
        : document_(root), options_(options), builder_(builder) {}

    base::Result<NodeId> compile(const base::json::value& root);

private:
    using Values = std::vector<base::json::value>;

    /// The rule for values that satisfy all parts; -1 when none can.
    base::Result<NodeId> value(const Conjunction& all);
    GrammarBuilder::NamedRule declare(const Conjunction& all);
    base::Result<NodeId> value_body(const Conjunction& all);
    base::Result<NodeId> choices(const Conjunction& all, std::size_t part);
    base::Result<std::vector<Conjunction>> branches_of(const Conjunction& all, const Part& part,
                                                       std::string_view keyword);
    base::Result<void> exclude_each_other(std::vector<Conjunction>& branches, const Part& part);
    /// A schema that says otherwise what `not`, `if` or the dependencies of a part say.
    struct Rewritten {
        const base::json::value* schema = nullptr;
        bool exact = true;
    };
    base::Result<Rewritten> opposite(const base::json::value& schema, const std::string& path);
    base::Result<Rewritten> rewritten(const Part& part, TakenBits what);
    base::Result<NodeId> rewrite(const Conjunction& all, std::size_t part, TakenBits what);
    base::Result<NodeId> unique_items(const Conjunction& all, const Part& unique, std::uint64_t min,
                                      std::uint64_t max);
    base::Result<NodeId> plain_value(const Conjunction& all);
    base::Result<NodeId> constants(const Conjunction& all, const Values& values);
    base::Result<bool> satisfies(const base::json::value& value, const Conjunction& all);
    base::Result<std::shared_ptr<const Grammar>> without_listed(const Conjunction& all);
    base::Result<void> refuse_unenforced(const Conjunction& all) const;
    base::Result<std::optional<std::uint64_t>> count_of(const Part& part, std::string_view keyword);

    base::Result<NodeId> object(const Conjunction& all);
    struct ObjectShape;
    base::Result<ObjectShape> object_shape(const Conjunction& all);
    base::Result<Conjunction> property(const Conjunction& all, std::string_view name);
    base::Result<void> further_members(const Conjunction& all, const ObjectShape& shape,
                                       MemberList& list);
    NodeId key_other_than(const std::vector<std::string>& names);
    NodeId member(NodeId key, NodeId value);
    base::Result<NodeId> array(const Conjunction& all);
    base::Result<Conjunction> item(const Conjunction& all, std::size_t index);
    base::Result<NodeId> string(const Conjunction& all);
    struct StringRule {
        std::uint64_t min = 0, max = kUnbounded;
        std::optional<Regex> regex;
        std::vector<std::string> others;  ///< the string is none of these
        std::string others_path;
    };
    base::Result<StringRule> string_rule(const Conjunction& all);
    base::Result<NumberRange> number_range(const Conjunction& all, bool integer);
    base::Result<NodeId> number(const Conjunction& all, bool integer);

    NodeId space();
    NodeId between(std::string_view token);  ///< the token with whitespace around it
    NodeId constant(const base::json::value& value);
    NodeId quoted(NodeId body);

    SchemaDocument document_;
    SchemaOptions options_;
    GrammarBuilder& builder_;
    std::map<std::string, NodeId> rules_;
    std::map<std::string, std::shared_ptr<const Grammar>> validators_;
    /// Schemas that stand in for others. Made once for each, so that rules find each other again.
    std::deque<base::json::value> made_;
    std::map<const base::json::value*, Rewritten> opposites_;
    std::map<std::pair<const base::json::object*, TakenBits>, Rewritten> rewritten_;
    std::uint32_t nesting_ = 0;
    std::uint64_t work_ = 0;
    std::string narrowed_at_;  ///< where values were left out that the schema allows
    NodeId space_ = -1, any_char_ = -1, plain_string_ = -1;
};

/// The text of a string as it must be written: quotes and needed escapes.
std::string json_text(std::string_view text);

}  // namespace engine::constrain
