#pragma once
// The expression half of the parser. Internal to this folder.

#include <initializer_list>
#include <vector>

#include "base/core/result.h"
#include "base/template/lexer.h"
#include "base/template/syntax.h"

namespace base::tmpl {

class ExpressionParser {
public:
    explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

    const Token& peek(std::size_t ahead = 0) const {
        return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
    }
    Token take();
    bool at_symbol(std::string_view symbol) const;
    bool at_name(std::string_view name) const;
    bool take_symbol(std::string_view symbol);
    bool take_name(std::string_view name);
    Result<void> expect_symbol(std::string_view symbol);
    Result<std::string> expect_name(std::string_view what);

    /// A full expression; with `conditional` false, "a if b" stops before "if".
    Result<ExprPtr> expression(bool conditional = true);
    /// Like expression, but "a, b" without brackets makes a tuple.
    Result<ExprPtr> expression_list(bool conditional = true);
    /// What follows a value in a filter block: `name(arguments) | name...`, applied to `input`.
    Result<ExprPtr> filter_chain(ExprPtr input);
    /// Anything a value may be followed by: attributes, subscripts, calls.
    Result<ExprPtr> primary_with_postfix();
    /// Refuses sources nested deeper than the stack can bear. Pair with leave().
    Result<void> enter();
    void leave() { --depth_; }

private:
    Result<ExprPtr> logical_or();
    Result<ExprPtr> logical_and();
    Result<ExprPtr> logical_not();
    Result<ExprPtr> compare();
    Result<ExprPtr> sum();
    Result<ExprPtr> concat();
    Result<ExprPtr> product();
    Result<ExprPtr> power();
    Result<ExprPtr> unary(bool with_filters);
    Result<ExprPtr> primary();
    Result<ExprPtr> named_constant_or_name();
    Result<ExprPtr> number();
    Result<ExprPtr> parenthesized();
    Result<ExprPtr> list();
    Result<ExprPtr> dict();
    Result<ExprPtr> postfix(ExprPtr value);
    Result<ExprPtr> subscript(ExprPtr value);
    Result<ExprPtr> slice_or_index();
    Result<ExprPtr> filters_and_tests(ExprPtr value);
    Result<ExprPtr> filter(ExprPtr value);
    Result<ExprPtr> test(ExprPtr value);
    bool at_test_argument() const;
    Result<std::vector<Argument>> arguments();
    Result<Argument> argument();
    bool at_tuple_end() const;

    std::vector<Token> tokens_;
    std::size_t next_ = 0;
    int depth_ = 0;
};

/// "name \"x\"", "end of template"... for messages.
std::string describe(const Token& token);

}  // namespace base::tmpl
