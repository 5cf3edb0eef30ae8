#include "base/template/parser.h"

#include <algorithm>

#include "base/template/expression_parser.h"

namespace base::tmpl {
namespace {

class StatementParser {
public:
    explicit StatementParser(std::vector<Token> tokens) : in_(std::move(tokens)) {}

    /// Everything up to the end of the source, or up to one of the tags in `ends`, whose "{%" and
    /// name are then taken.
    Result<Body> body(std::initializer_list<std::string_view> ends, std::string* found = nullptr);

private:
    using NodeResult = Result<std::unique_ptr<Node>>;

    Result<NodePtr> output();
    NodeResult statement(std::string_view name, Position at);
    NodeResult branch(Position at);
    NodeResult loop(Position at);
    NodeResult assign(Position at);
    NodeResult macro(Position at);
    NodeResult call_block(Position at);
    NodeResult filter_block(Position at);
    NodeResult with(Position at);
    NodeResult enclosed(NodeKind kind, std::string_view end, Position at);
    Result<void> finish(Node& node, std::string_view end);
    Result<void> close();
    Result<Target> target();
    Result<Target> single_target();
    Result<std::vector<Parameter>> parameters();

    ExpressionParser in_;
    int loops_ = 0;  ///< open around here, for break and continue
};

std::unique_ptr<Node> make(NodeKind kind, Position at) {
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->at = at;
    return node;
}

Result<Body> StatementParser::body(std::initializer_list<std::string_view> ends,
                                   std::string* found) {
    Body nodes;
    DG_TRY(in_.enter());
    for (;;) {
        Token token = in_.take();
        if (token.kind == TokenKind::end) break;
        if (token.kind == TokenKind::text) {
            auto text = make(NodeKind::text, token.at);
            text->text = std::move(token.text);
            nodes.push_back(std::move(text));
            continue;
        }
        if (token.kind == TokenKind::open_output) {
            nodes.push_back(DG_TRY(output()));
            continue;
        }
        const Position at = in_.peek().at;
        const std::string name = DG_TRY(in_.expect_name("a tag name"));
        if (std::find(ends.begin(), ends.end(), name) != ends.end()) {
            in_.leave();
            *found = name;
            return nodes;
        }
        nodes.push_back(DG_TRY(statement(name, at)));
    }
    in_.leave();
    if (ends.size() == 0) return nodes;
    return fail_at(in_.peek().at, "the source ends where {{% {} %}} is missing", *(ends.end() - 1));
}

Result<NodePtr> StatementParser::output() {
    auto node = make(NodeKind::output, in_.peek().at);
    node->value = DG_TRY(in_.expression_list());
    if (in_.peek().kind != TokenKind::close_output) {
        return fail_at(in_.peek().at, "expected \"}}}}\", found {}", describe(in_.peek()));
    }
    in_.take();
    return node;
}

Result<void> StatementParser::close() {
    if (in_.peek().kind != TokenKind::close_block) {
        return fail_at(in_.peek().at, "expected \"%}}\", found {}", describe(in_.peek()));
    }
    in_.take();
    return {};
}

StatementParser::NodeResult StatementParser::statement(std::string_view name, Position at) {
    if (name == "if") return branch(at);
    if (name == "for") return loop(at);
    if (name == "set") return assign(at);
    if (name == "macro") return macro(at);
    if (name == "call") return call_block(at);
    if (name == "filter") return filter_block(at);
    if (name == "with") return with(at);
    if (name == "generation") return enclosed(NodeKind::group, "endgeneration", at);
    if (name == "do") {
        auto node = make(NodeKind::evaluate, at);
        node->value = DG_TRY(in_.expression_list());
        DG_TRY(close());
        return node;
    }
    if (name == "break" || name == "continue") {
        if (loops_ == 0) return fail_at(at, "{} stands outside a for loop", name);
        DG_TRY(close());
        return make(name == "break" ? NodeKind::break_loop : NodeKind::continue_loop, at);
    }
    for (const std::string_view known : {"include", "import", "from", "extends", "block"}) {
        if (name == known) {
            return fail_at(at, "the tag \"{}\" is not supported: a template stands alone here",
                           name);
        }
    }
    return fail_at(at, "unknown tag \"{}\"", name);
}

StatementParser::NodeResult StatementParser::branch(Position at) {
    auto node = make(NodeKind::branch, at);
    std::string found = "if";
    while (found != "endif") {
        Branch part;
        const bool last = found == "else";
        if (!last) part.condition = DG_TRY(in_.expression_list());
        DG_TRY(close());
        part.body = last ? DG_TRY(body({"endif"}, &found))
                         : DG_TRY(body({"elif", "else", "endif"}, &found));
        node->branches.push_back(std::move(part));
    }
    DG_TRY(close());
    return node;
}

StatementParser::NodeResult StatementParser::loop(Position at) {
    auto node = make(NodeKind::loop, at);
    node->target = DG_TRY(target());
    if (!in_.take_name("in")) {
        return fail_at(in_.peek().at, "expected \"in\", found {}", describe(in_.peek()));
    }
    node->value = DG_TRY(in_.expression_list(false));
    if (in_.take_name("if")) node->condition = DG_TRY(in_.expression());
    node->recursive = in_.take_name("recursive");
    DG_TRY(close());
    std::string found;
    ++loops_;
    node->body = DG_TRY(body({"else", "endfor"}, &found));
    --loops_;
    if (found == "else") {
        DG_TRY(close());
        node->alternative = DG_TRY(body({"endfor"}, &found));
    }
    DG_TRY(close());
    return node;
}

Result<Target> StatementParser::target() {
    const bool brackets = in_.take_symbol("(");
    Target first = DG_TRY(single_target());
    if (in_.at_symbol(",")) {
        Target tuple;
        tuple.tuple.push_back(std::move(first));
        while (in_.take_symbol(",") && (in_.peek().kind == TokenKind::name || in_.at_symbol("(")) &&
               !in_.at_name("in")) {
            tuple.tuple.push_back(DG_TRY(single_target()));
        }
        first = std::move(tuple);
    }
    if (brackets) DG_TRY(in_.expect_symbol(")"));
    return first;
}

Result<Target> StatementParser::single_target() {
    if (in_.at_symbol("(")) {
        DG_TRY(in_.enter());
        Target nested = DG_TRY(target());
        in_.leave();
        return nested;
    }
    Target one;
    one.name = DG_TRY(in_.expect_name("a name to assign to"));
    if (in_.take_symbol(".")) one.attribute = DG_TRY(in_.expect_name("an attribute name"));
    return one;
}

StatementParser::NodeResult StatementParser::assign(Position at) {
    auto node = make(NodeKind::assign, at);
    node->target = DG_TRY(target());
    if (in_.take_symbol("=")) {
        node->value = DG_TRY(in_.expression_list());
        DG_TRY(close());
        return node;
    }
    node->kind = NodeKind::assign_block;
    if (in_.take_symbol("|")) node->value = DG_TRY(in_.filter_chain(nullptr));
    DG_TRY(finish(*node, "endset"));
    return node;
}

/// The rest of a tag, its body and its end tag.
Result<void> StatementParser::finish(Node& node, std::string_view end) {
    DG_TRY(close());
    std::string found;
    node.body = DG_TRY(body({end}, &found));
    if (found == "endmacro" && in_.peek().kind == TokenKind::name) in_.take();  // {% endmacro x %}
    return close();
}

Result<std::vector<Parameter>> StatementParser::parameters() {
    std::vector<Parameter> list;
    DG_TRY(in_.expect_symbol("("));
    while (!in_.at_symbol(")")) {
        Parameter parameter;
        parameter.name = DG_TRY(in_.expect_name("a parameter name"));
        if (in_.take_symbol("=")) parameter.fallback = DG_TRY(in_.expression());
        list.push_back(std::move(parameter));
        if (!in_.take_symbol(",")) break;
    }
    DG_TRY(in_.expect_symbol(")"));
    return list;
}

// A loop outside a macro cannot be left from inside it.
StatementParser::NodeResult StatementParser::macro(Position at) {
    auto node = make(NodeKind::macro, at);
    node->text = DG_TRY(in_.expect_name("a macro name"));
    node->parameters = DG_TRY(parameters());
    const int outer_loops = std::exchange(loops_, 0);
    DG_TRY(finish(*node, "endmacro"));
    loops_ = outer_loops;
    return node;
}

StatementParser::NodeResult StatementParser::call_block(Position at) {
    auto node = make(NodeKind::call_block, at);
    if (in_.at_symbol("(")) node->parameters = DG_TRY(parameters());
    node->value = DG_TRY(in_.expression());
    if (node->value->kind != ExprKind::call) {
        return fail_at(node->value->at, "a call block needs a call, like {{% call name() %}}");
    }
    const int outer_loops = std::exchange(loops_, 0);
    DG_TRY(finish(*node, "endcall"));
    loops_ = outer_loops;
    return node;
}

StatementParser::NodeResult StatementParser::filter_block(Position at) {
    auto node = make(NodeKind::filter_block, at);
    node->value = DG_TRY(in_.filter_chain(nullptr));
    const int outer_loops = std::exchange(loops_, 0);
    DG_TRY(finish(*node, "endfilter"));
    loops_ = outer_loops;
    return node;
}

StatementParser::NodeResult StatementParser::with(Position at) {
    auto node = make(NodeKind::scope, at);
    while (in_.peek().kind == TokenKind::name) {
        Parameter variable;
        variable.name = in_.take().text;
        DG_TRY(in_.expect_symbol("="));
        variable.fallback = DG_TRY(in_.expression());
        node->parameters.push_back(std::move(variable));
        if (!in_.take_symbol(",")) break;
    }
    DG_TRY(finish(*node, "endwith"));
    return node;
}

StatementParser::NodeResult StatementParser::enclosed(NodeKind kind, std::string_view end,
                                                      Position at) {
    auto node = make(kind, at);
    DG_TRY(finish(*node, end));
    return node;
}

}  // namespace

Result<Body> parse_template(std::vector<Token> tokens) {
    return StatementParser(std::move(tokens)).body({});
}

Result<ExprPtr> parse_expression(std::vector<Token> tokens) {
    ExpressionParser parser(std::move(tokens));
    ExprPtr value = DG_TRY(parser.expression_list());
    if (parser.peek().kind != TokenKind::end) {
        return fail_at(parser.peek().at, "expected the end of the expression, found {}",
                       describe(parser.peek()));
    }
    return value;
}

}  // namespace base::tmpl
