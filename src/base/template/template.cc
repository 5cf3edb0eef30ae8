#include "base/template/template.h"

#include "base/template/lexer.h"
#include "base/template/machine.h"
#include "base/template/names.h"
#include "base/template/parser.h"

namespace base {

struct Template::Tree {
    tmpl::Body body;
};

struct Expression::Tree {
    tmpl::ExprPtr root;
};

namespace {

class ObjectVariables final : public Variables {
public:
    explicit ObjectVariables(const json::object& object) : object_(object) {}
    const json::value* find(std::span<const std::string_view> path,
                            std::size_t& used) const override {
        used = 1;
        return object_.if_contains(path[0]);
    }

private:
    const json::object& object_;
};

}  // namespace

Result<Template> Template::parse(std::string_view source, TemplateSyntax syntax) {
    auto tokens = DG_TRY(tmpl::lex_template(source, syntax));
    auto tree = std::make_shared<Tree>();
    tree->body = DG_TRY(tmpl::parse_template(std::move(tokens)));
    return Template(std::move(tree));
}

Result<std::string> Template::render(const json::object& variables,
                                     const RenderOptions& options) const {
    return render(ObjectVariables(variables), options);
}

Result<std::string> Template::render(const Variables& variables,
                                     const RenderOptions& options) const {
    tmpl::Machine machine(variables, options);
    return machine.render(tree_->body);
}

std::vector<VariableUse> Template::variables() const {
    return tmpl::variables_of(tree_->body);
}

Result<Expression> Expression::parse(std::string_view source) {
    auto tokens = DG_TRY(tmpl::lex_expression(source));
    auto tree = std::make_shared<Tree>();
    tree->root = DG_TRY(tmpl::parse_expression(std::move(tokens)));
    return Expression(std::move(tree));
}

Result<json::value> Expression::evaluate(const json::object& variables,
                                         const RenderOptions& options) const {
    return evaluate(ObjectVariables(variables), options);
}

Result<json::value> Expression::evaluate(const Variables& variables,
                                         const RenderOptions& options) const {
    tmpl::Machine machine(variables, options);
    const tmpl::Value value = DG_TRY(machine.evaluate(*tree_->root));
    return tmpl::to_json(machine.meter(), value);
}

Result<bool> Expression::test(const json::object& variables, const RenderOptions& options) const {
    return test(ObjectVariables(variables), options);
}

Result<bool> Expression::test(const Variables& variables, const RenderOptions& options) const {
    tmpl::Machine machine(variables, options);
    return tmpl::is_true(DG_TRY(machine.evaluate(*tree_->root)));
}

std::vector<VariableUse> Expression::variables() const {
    return tmpl::variables_of(*tree_->root);
}

Result<json::value> evaluate(std::string_view expression, const json::object& variables,
                             const RenderOptions& options) {
    return DG_TRY(Expression::parse(expression)).evaluate(variables, options);
}

}  // namespace base
