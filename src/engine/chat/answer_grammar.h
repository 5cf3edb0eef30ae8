#pragma once
// response_format as a grammar: the answer's text, after reasoning where the model reasons first.

#include <memory>
#include <string>

#include "base/core/result.h"
#include "base/json/json.h"
#include "engine/chat/chat_format.h"
#include "engine/constrain/grammar.h"

namespace engine::chat {

struct AnswerRule {
    enum class Kind : std::uint8_t { json_object, json_schema, regex, ebnf };
    Kind kind = Kind::json_object;
    base::json::value schema;  ///< with json_schema
    std::string pattern;       ///< with regex and ebnf
    ReasoningState reasoning = ReasoningState::done;
};

/// JSON comes in one spelling ("a": 1, "b": 2) with the properties in the schema's order. It holds
/// from the first token. Errors: those of constrain's add_schema, add_regex and add_ebnf.
base::Result<std::shared_ptr<const constrain::Grammar>> answer_grammar(const ChatFormat& format,
                                                                       const AnswerRule& rule);

/// What the grammar of `rule` depends on besides the format.
std::string cache_key(const AnswerRule& rule);

}  // namespace engine::chat
