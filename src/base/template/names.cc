#include "base/template/names.h"

#include <set>

namespace base::tmpl {
namespace {

class Reader {
public:
    void read(const Body& body) {
        for (const NodePtr& node : body) own(*node);
        for (const NodePtr& node : body) read(*node);
    }
    void read(const Expr& expr) {
        VariableUse use;
        if (chain(expr, use)) {
            if (!own_.contains(use.path.front())) uses_.push_back(std::move(use));
            return;
        }
        for (std::size_t i = 0; i < expr.items.size(); ++i) {
            // What is called by its bare name is a function or a macro.
            const bool callee =
                i == 0 && expr.kind == ExprKind::call && expr.items[0]->kind == ExprKind::name;
            if (!callee) read(expr.items[i]);
        }
        for (const Argument& argument : expr.arguments) read(argument.value);
    }
    std::vector<VariableUse> take() { return std::move(uses_); }

private:
    void read(const ExprPtr& expr) {
        if (expr != nullptr) read(*expr);
    }

    /// A name and the constants asked of it: `a.b["c"]`. What follows a computed key is read, too.
    bool chain(const Expr& expr, VariableUse& use) {
        if (expr.kind == ExprKind::name) {
            use.path.push_back(expr.text);
            use.line = expr.at.line;
            use.column = expr.at.column;
            return true;
        }
        const bool key = expr.kind == ExprKind::subscript;
        if (!key && expr.kind != ExprKind::attribute) return false;
        if (!chain(*expr.items[0], use)) return false;
        if (use.open) {
            if (key) read(expr.items[1]);
        } else if (!key) {
            use.path.push_back(expr.text);
        } else if (expr.items[1] != nullptr && expr.items[1]->kind == ExprKind::text) {
            use.path.push_back(expr.items[1]->text);
        } else {
            use.open = true;
            read(expr.items[1]);
        }
        return true;
    }

    void read(const Node& node) {
        read(node.value);
        read(node.condition);
        for (const Parameter& parameter : node.parameters) read(parameter.fallback);
        for (const Branch& branch : node.branches) {
            read(branch.condition);
            read(branch.body);
        }
        read(node.body);
        read(node.alternative);
    }

    /// Names that the template gives itself. Where they hold is not followed: a name that is its
    /// own somewhere is taken for its own everywhere after.
    void own(const Node& node) {
        own(node.target);
        for (const Parameter& parameter : node.parameters) own_.insert(parameter.name);
        if (node.kind == NodeKind::macro) {
            own_.insert({node.text, "varargs", "kwargs", "caller"});
        }
        if (node.kind == NodeKind::loop) own_.insert("loop");
    }
    void own(const Target& target) {
        if (!target.name.empty()) own_.insert(target.name);
        for (const Target& each : target.tuple) own(each);
    }

    std::set<std::string, std::less<>> own_;
    std::vector<VariableUse> uses_;
};

}  // namespace

std::vector<VariableUse> variables_of(const Expr& root) {
    Reader reader;
    reader.read(root);
    return reader.take();
}

std::vector<VariableUse> variables_of(const Body& body) {
    Reader reader;
    reader.read(body);
    return reader.take();
}

}  // namespace base::tmpl
