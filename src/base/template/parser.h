#pragma once
// Tokens to syntax tree, with Jinja 2's grammar and precedence.

#include <vector>

#include "base/core/result.h"
#include "base/template/lexer.h"
#include "base/template/syntax.h"

namespace base::tmpl {

/// Errors: invalid_argument with line and column.
Result<Body> parse_template(std::vector<Token> tokens);
/// One expression that must use up all tokens.
Result<ExprPtr> parse_expression(std::vector<Token> tokens);

}  // namespace base::tmpl
