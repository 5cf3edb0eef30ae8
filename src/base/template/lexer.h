#pragma once
// Cuts a template into text, tags and the tokens inside tags, with whitespace control applied.

#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/template/syntax.h"
#include "base/template/template.h"

namespace base::tmpl {

enum class TokenKind : std::uint8_t {
    text,          ///< template text outside tags
    open_block,    ///< {%
    close_block,   ///< %}
    open_output,   ///< {{
    close_output,  ///< }}
    name,
    integer,
    number,
    string,
    symbol,  ///< operators and punctuation, spelled in `text`
    end,
};

struct Token {
    TokenKind kind = TokenKind::end;
    std::string text;  ///< strings: with escapes resolved
    Position at;
};

/// Errors: invalid_argument with line and column.
Result<std::vector<Token>> lex_template(std::string_view source, const TemplateSyntax& syntax);
/// The tokens of one expression, as between `{{` and `}}`.
Result<std::vector<Token>> lex_expression(std::string_view source);

/// The failing side of a Result, naming a place in the source.
template <class... Args>
std::unexpected<Error> fail_at(Position at, fmt::format_string<Args...> format, Args&&... args) {
    return fail_on(fmt::format("line {}, column {}", at.line, at.column), Code::invalid_argument,
                   "line {}, column {}: {}", at.line, at.column,
                   fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace base::tmpl
