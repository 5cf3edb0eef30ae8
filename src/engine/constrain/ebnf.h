#pragma once
// Grammars as text, in the dialect that llama.cpp made common (GBNF), and regular expressions as
// grammars.
//
//   root   ::= "yes" | "no" ws reason?      # alternatives; a comment
//   reason ::= "(" [^()\n]{1,80} ")"        # classes, repetitions
//   ws     ::= [ \t]*
//
// A rule is `name ::= alternatives`; it ends where the next one begins. Names have letters, digits,
// '-' and '_'; the text is that of `root`. Parts: "literal", [class], [^class], '.' for any
// character, rule names, ( groups ), each with *, +, ?, {m}, {m,}, {m,n} or {,n} behind it. Escapes
// in literals and classes: \n \r \t \\ \" \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH, all of them
// characters, not bytes. A rule must not begin with itself.

#include <memory>
#include <string_view>

#include "base/core/result.h"
#include "engine/constrain/grammar.h"

namespace engine::constrain {

/// Errors: invalid_argument with subject "line:column" and the same in the message (syntax, a rule
/// that is missing, twice there or left-recursive), payload_too_large (over 1 MiB of text, 20,000
/// rules, nesting of 200, counts of 100,000).
base::Result<NodeId> add_ebnf(GrammarBuilder& builder, std::string_view text);
base::Result<std::shared_ptr<const Grammar>> compile_ebnf(std::string_view text);

/// The text as a whole matches (anchors at its ends may be written and change nothing). Errors: as
/// parse_regex.
base::Result<NodeId> add_regex(GrammarBuilder& builder, std::string_view pattern);
base::Result<std::shared_ptr<const Grammar>> compile_regex(std::string_view pattern);

}  // namespace engine::constrain
