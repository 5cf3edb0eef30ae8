#include "base/template/expression_parser.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>

namespace base::tmpl {
namespace {

// Deep enough for any template people write, shallow enough for a small stack.
constexpr int kNestingMax = 100;

std::unique_ptr<Expr> make(ExprKind kind, Position at) {
    auto expr = std::make_unique<Expr>();
    expr->kind = kind;
    expr->at = at;
    return expr;
}

std::unique_ptr<Expr> make(ExprKind kind, Position at, ExprPtr first) {
    auto expr = make(kind, at);
    expr->items.push_back(std::move(first));
    return expr;
}

}  // namespace

std::string describe(const Token& token) {
    switch (token.kind) {
        case TokenKind::text:
            return "text";
        case TokenKind::end:
            return "the end of the source";
        case TokenKind::string:
            return fmt::format("the string \"{}\"", token.text);
        default:
            return fmt::format("\"{}\"", token.text);
    }
}

Token ExpressionParser::take() {
    Token token = peek();
    if (next_ + 1 < tokens_.size()) ++next_;
    return token;
}

bool ExpressionParser::at_symbol(std::string_view symbol) const {
    return peek().kind == TokenKind::symbol && peek().text == symbol;
}

bool ExpressionParser::at_name(std::string_view name) const {
    return peek().kind == TokenKind::name && peek().text == name;
}

bool ExpressionParser::take_symbol(std::string_view symbol) {
    const bool found = at_symbol(symbol);
    if (found) take();
    return found;
}

bool ExpressionParser::take_name(std::string_view name) {
    const bool found = at_name(name);
    if (found) take();
    return found;
}

Result<void> ExpressionParser::expect_symbol(std::string_view symbol) {
    if (take_symbol(symbol)) return {};
    return fail_at(peek().at, "expected \"{}\", found {}", symbol, describe(peek()));
}

Result<std::string> ExpressionParser::expect_name(std::string_view what) {
    if (peek().kind == TokenKind::name) return take().text;
    return fail_at(peek().at, "expected {}, found {}", what, describe(peek()));
}

Result<void> ExpressionParser::enter() {
    if (++depth_ <= kNestingMax) return {};
    return fail_at(peek().at, "nested more than {} deep", kNestingMax);
}

Result<ExprPtr> ExpressionParser::expression(bool conditional) {
    DG_TRY(enter());
    ExprPtr value = DG_TRY(logical_or());
    if (conditional && at_name("if")) {
        auto choice = make(ExprKind::conditional, take().at, std::move(value));
        choice->items.push_back(DG_TRY(logical_or()));
        choice->items.push_back(take_name("else") ? DG_TRY(expression()) : nullptr);
        value = std::move(choice);
    }
    leave();
    return value;
}

bool ExpressionParser::at_tuple_end() const {
    const TokenKind kind = peek().kind;
    return kind == TokenKind::close_block || kind == TokenKind::close_output ||
           kind == TokenKind::end || at_symbol(")") || at_symbol("=") || at_name("in") ||
           at_name("recursive") || at_name("if");
}

Result<ExprPtr> ExpressionParser::expression_list(bool conditional) {
    const Position at = peek().at;
    ExprPtr first = DG_TRY(expression(conditional));
    if (!at_symbol(",")) return first;
    auto tuple = make(ExprKind::tuple, at, std::move(first));
    while (take_symbol(",") && !at_tuple_end()) {
        tuple->items.push_back(DG_TRY(expression(conditional)));
    }
    return tuple;
}

Result<ExprPtr> ExpressionParser::logical_or() {
    ExprPtr first = DG_TRY(logical_and());
    if (!at_name("or")) return first;
    auto chain = make(ExprKind::logical_or, peek().at, std::move(first));
    while (take_name("or")) chain->items.push_back(DG_TRY(logical_and()));
    return chain;
}

Result<ExprPtr> ExpressionParser::logical_and() {
    ExprPtr first = DG_TRY(logical_not());
    if (!at_name("and")) return first;
    auto chain = make(ExprKind::logical_and, peek().at, std::move(first));
    while (take_name("and")) chain->items.push_back(DG_TRY(logical_not()));
    return chain;
}

Result<ExprPtr> ExpressionParser::logical_not() {
    if (!at_name("not")) return compare();
    const Position at = take().at;
    DG_TRY(enter());
    auto negated = make(ExprKind::logical_not, at, DG_TRY(logical_not()));
    leave();
    return negated;
}

Result<ExprPtr> ExpressionParser::compare() {
    constexpr std::pair<std::string_view, Operator> kOperators[] = {
        {"==", Operator::equal},      {"!=", Operator::not_equal}, {"<", Operator::less},
        {"<=", Operator::less_equal}, {">", Operator::greater},    {">=", Operator::greater_equal}};
    const auto take_operator = [&]() -> std::optional<Operator> {
        for (const auto& [symbol, op] : kOperators) {
            if (take_symbol(symbol)) return op;
        }
        if (take_name("in")) return Operator::in;
        if (at_name("not") && peek(1).kind == TokenKind::name && peek(1).text == "in") {
            take();
            take();
            return Operator::not_in;
        }
        return std::nullopt;
    };
    const Position at = peek().at;
    ExprPtr first = DG_TRY(sum());
    std::optional<Operator> op = take_operator();
    if (!op) return first;
    auto chain = make(ExprKind::compare, at, std::move(first));
    for (; op; op = take_operator()) {
        chain->operators.push_back(*op);
        chain->items.push_back(DG_TRY(sum()));
    }
    return chain;
}

Result<ExprPtr> ExpressionParser::sum() {
    const Position at = peek().at;
    ExprPtr first = DG_TRY(concat());
    if (!at_symbol("+") && !at_symbol("-")) return first;
    auto chain = make(ExprKind::arithmetic, at, std::move(first));
    while (at_symbol("+") || at_symbol("-")) {
        chain->operators.push_back(take().text == "+" ? Operator::add : Operator::subtract);
        chain->items.push_back(DG_TRY(concat()));
    }
    return chain;
}

Result<ExprPtr> ExpressionParser::concat() {
    const Position at = peek().at;
    ExprPtr first = DG_TRY(product());
    if (!at_symbol("~")) return first;
    auto chain = make(ExprKind::concat, at, std::move(first));
    while (take_symbol("~")) chain->items.push_back(DG_TRY(product()));
    return chain;
}

Result<ExprPtr> ExpressionParser::product() {
    constexpr std::pair<std::string_view, Operator> kOperators[] = {{"*", Operator::multiply},
                                                                    {"/", Operator::divide},
                                                                    {"//", Operator::floor_divide},
                                                                    {"%", Operator::modulo}};
    const auto take_operator = [&]() -> std::optional<Operator> {
        for (const auto& [symbol, op] : kOperators) {
            if (take_symbol(symbol)) return op;
        }
        return std::nullopt;
    };
    const Position at = peek().at;
    ExprPtr first = DG_TRY(power());
    std::optional<Operator> op = take_operator();
    if (!op) return first;
    auto chain = make(ExprKind::arithmetic, at, std::move(first));
    for (; op; op = take_operator()) {
        chain->operators.push_back(*op);
        chain->items.push_back(DG_TRY(power()));
    }
    return chain;
}

Result<ExprPtr> ExpressionParser::power() {
    const Position at = peek().at;
    ExprPtr first = DG_TRY(unary(true));
    if (!at_symbol("**")) return first;
    auto chain = make(ExprKind::arithmetic, at, std::move(first));
    while (take_symbol("**")) {
        chain->operators.push_back(Operator::power);
        chain->items.push_back(DG_TRY(unary(true)));
    }
    return chain;
}

// A filter binds looser than a sign: -1|abs is 1.
Result<ExprPtr> ExpressionParser::unary(bool with_filters) {
    ExprPtr value;
    if (at_symbol("-") || at_symbol("+")) {
        const Token sign = take();
        DG_TRY(enter());
        const ExprKind kind = sign.text == "-" ? ExprKind::negate : ExprKind::plus;
        value = make(kind, sign.at, DG_TRY(unary(false)));
        leave();
    } else {
        value = DG_TRY(primary_with_postfix());
    }
    return with_filters ? filters_and_tests(std::move(value)) : Result<ExprPtr>(std::move(value));
}

Result<ExprPtr> ExpressionParser::primary_with_postfix() {
    return postfix(DG_TRY(primary()));
}

Result<ExprPtr> ExpressionParser::primary() {
    const Token& token = peek();
    switch (token.kind) {
        case TokenKind::name:
            return named_constant_or_name();
        case TokenKind::integer:
        case TokenKind::number:
            return number();
        case TokenKind::string: {
            auto text = make(ExprKind::text, token.at);
            while (peek().kind == TokenKind::string) text->text.append(take().text);
            return text;
        }
        default:
            break;
    }
    if (at_symbol("(")) return parenthesized();
    if (at_symbol("[")) return list();
    if (at_symbol("{")) return dict();
    return fail_at(token.at, "expected a value, found {}", describe(token));
}

Result<ExprPtr> ExpressionParser::named_constant_or_name() {
    Token token = take();
    const std::string& text = token.text;
    if (text == "true" || text == "True" || text == "false" || text == "False") {
        auto value = make(ExprKind::boolean, token.at);
        value->integer = text == "true" || text == "True";
        return value;
    }
    if (text == "none" || text == "None" || text == "null") return make(ExprKind::none, token.at);
    auto name = make(ExprKind::name, token.at);
    name->text = std::move(token.text);
    return name;
}

Result<ExprPtr> ExpressionParser::number() {
    const Token token = take();
    const bool integer = token.kind == TokenKind::integer;
    auto value = make(integer ? ExprKind::integer : ExprKind::number, token.at);
    const char* end = token.text.data() + token.text.size();
    const auto parsed = integer ? std::from_chars(token.text.data(), end, value->integer)
                                : std::from_chars(token.text.data(), end, value->number);
    if (parsed.ec != std::errc{} || parsed.ptr != end) {
        return fail_at(token.at, "the number {} is out of range", token.text);
    }
    return value;
}

Result<ExprPtr> ExpressionParser::parenthesized() {
    const Position at = take().at;
    if (take_symbol(")")) return make(ExprKind::tuple, at);
    DG_TRY(enter());
    ExprPtr value = DG_TRY(expression_list());
    leave();
    DG_TRY(expect_symbol(")"));
    return value;
}

Result<ExprPtr> ExpressionParser::list() {
    auto value = make(ExprKind::list, take().at);
    DG_TRY(enter());
    while (!at_symbol("]")) {
        value->items.push_back(DG_TRY(expression()));
        if (!take_symbol(",")) break;
    }
    leave();
    DG_TRY(expect_symbol("]"));
    return value;
}

Result<ExprPtr> ExpressionParser::dict() {
    auto value = make(ExprKind::dict, take().at);
    DG_TRY(enter());
    while (!at_symbol("}")) {
        value->items.push_back(DG_TRY(expression()));
        DG_TRY(expect_symbol(":"));
        value->items.push_back(DG_TRY(expression()));
        if (!take_symbol(",")) break;
    }
    leave();
    DG_TRY(expect_symbol("}"));
    return value;
}

Result<ExprPtr> ExpressionParser::postfix(ExprPtr value) {
    int links = 0;
    for (;; ++links) {
        if (links >= kNestingMax) return fail_at(peek().at, "more than {} links", kNestingMax);
        const Position at = peek().at;
        if (take_symbol(".")) {
            auto member = make(ExprKind::attribute, at, std::move(value));
            if (peek().kind == TokenKind::integer) {
                member->kind = ExprKind::subscript;
                member->items.push_back(DG_TRY(number()));
            } else {
                member->text = DG_TRY(expect_name("an attribute name"));
            }
            value = std::move(member);
        } else if (at_symbol("[")) {
            value = DG_TRY(subscript(std::move(value)));
        } else if (at_symbol("(")) {
            const Position begin = value->at;
            auto call = make(ExprKind::call, begin, std::move(value));
            call->arguments = DG_TRY(arguments());
            value = std::move(call);
        } else {
            return value;
        }
    }
}

Result<ExprPtr> ExpressionParser::subscript(ExprPtr value) {
    auto access = make(ExprKind::subscript, take().at, std::move(value));
    DG_TRY(enter());
    access->items.push_back(DG_TRY(slice_or_index()));
    leave();
    DG_TRY(expect_symbol("]"));
    return access;
}

Result<ExprPtr> ExpressionParser::slice_or_index() {
    const Position at = peek().at;
    ExprPtr begin;
    if (!at_symbol(":")) begin = DG_TRY(expression());
    if (!at_symbol(":")) return begin;
    auto slice = make(ExprKind::slice, at, std::move(begin));
    slice->items.resize(3);
    for (std::size_t part = 1; part < 3 && take_symbol(":"); ++part) {
        if (!at_symbol(":") && !at_symbol("]")) slice->items[part] = DG_TRY(expression());
    }
    return slice;
}

Result<ExprPtr> ExpressionParser::filters_and_tests(ExprPtr value) {
    for (int links = 0;; ++links) {
        if (links >= kNestingMax) return fail_at(peek().at, "more than {} links", kNestingMax);
        if (take_symbol("|")) {
            value = DG_TRY(filter(std::move(value)));
        } else if (at_name("is")) {
            value = DG_TRY(test(std::move(value)));
        } else if (at_symbol("(")) {
            auto call = make(ExprKind::call, peek().at, std::move(value));
            call->arguments = DG_TRY(arguments());
            value = std::move(call);
        } else {
            return value;
        }
    }
}

Result<ExprPtr> ExpressionParser::filter_chain(ExprPtr input) {
    ExprPtr value = DG_TRY(filter(std::move(input)));
    return filters_and_tests(std::move(value));
}

Result<ExprPtr> ExpressionParser::filter(ExprPtr value) {
    auto applied = make(ExprKind::filter, peek().at, std::move(value));
    applied->text = DG_TRY(expect_name("a filter name"));
    while (take_symbol(".")) applied->text.append(".").append(DG_TRY(expect_name("a filter name")));
    if (at_symbol("(")) applied->arguments = DG_TRY(arguments());
    return applied;
}

bool ExpressionParser::at_test_argument() const {
    switch (peek().kind) {
        case TokenKind::name:
            return !at_name("else") && !at_name("or") && !at_name("and") && !at_name("is") &&
                   !at_name("if") && !at_name("in") && !at_name("not") && !at_name("recursive");
        case TokenKind::string:
        case TokenKind::integer:
        case TokenKind::number:
            return true;
        default:
            return at_symbol("[") || at_symbol("{");
    }
}

Result<ExprPtr> ExpressionParser::test(ExprPtr value) {
    const Position at = take().at;
    const bool negated = take_name("not");
    auto applied = make(ExprKind::test, at, std::move(value));
    applied->text = DG_TRY(expect_name("a test name"));
    if (at_symbol("(")) {
        applied->arguments = DG_TRY(arguments());
    } else if (at_test_argument()) {
        applied->arguments.push_back(
            {Argument::Kind::positional, {}, DG_TRY(primary_with_postfix())});
    }
    if (!negated) return applied;
    return make(ExprKind::logical_not, at, std::move(applied));
}

Result<std::vector<Argument>> ExpressionParser::arguments() {
    std::vector<Argument> list;
    DG_TRY(expect_symbol("("));
    DG_TRY(enter());
    while (!at_symbol(")")) {
        list.push_back(DG_TRY(argument()));
        if (!take_symbol(",")) break;
    }
    leave();
    DG_TRY(expect_symbol(")"));
    return list;
}

Result<Argument> ExpressionParser::argument() {
    using Kind = Argument::Kind;
    if (take_symbol("**")) return Argument{Kind::spread_named, {}, DG_TRY(expression())};
    if (take_symbol("*")) return Argument{Kind::spread, {}, DG_TRY(expression())};
    if (peek().kind == TokenKind::name && peek(1).kind == TokenKind::symbol &&
        peek(1).text == "=") {
        std::string name = take().text;
        take();
        return Argument{Kind::named, std::move(name), DG_TRY(expression())};
    }
    return Argument{Kind::positional, {}, DG_TRY(expression())};
}

}  // namespace base::tmpl
