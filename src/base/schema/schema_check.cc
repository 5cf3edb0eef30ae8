#include "base/schema/schema_check.h"

#include <utility>

#include "base/schema/rule.h"

namespace base {

struct SchemaCheck::Tree {
    json::value source;
    schema::Rules rules;
};

Result<SchemaCheck> SchemaCheck::compile(const json::value& schema) {
    auto tree = std::make_shared<Tree>();
    tree->rules = DG_TRY(schema::compile(schema));
    tree->source = schema;
    SchemaCheck out;
    out.tree_ = std::move(tree);
    return out;
}

Result<void> SchemaCheck::check(const json::value& value) const {
    if (tree_ == nullptr) return {};
    return schema::check(tree_->rules, value);
}

const json::value& SchemaCheck::source() const {
    static const json::value everything(true);
    return tree_ == nullptr ? everything : tree_->source;
}

}  // namespace base
