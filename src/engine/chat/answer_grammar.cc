#include "engine/chat/answer_grammar.h"

#include "engine/chat/grammar_text.h"
#include "engine/constrain/regex.h"
#include "engine/constrain/schema.h"

namespace engine::chat {

using base::Code;
using base::Result;
using constrain::GrammarBuilder;
using constrain::NodeId;
namespace json = base::json;

namespace {

// Most of such an answer is forced and comes without sampling.
const constrain::SchemaOptions kOneSpelling{.whitespace_max = 0, .compact = false};

Result<NodeId> answer(GrammarBuilder& builder, const AnswerRule& rule) {
    switch (rule.kind) {
        case AnswerRule::Kind::json_object:
            return constrain::add_schema(builder, json::object{{"type", "object"}}, kOneSpelling);
        case AnswerRule::Kind::json_schema:
            return constrain::add_schema(builder, rule.schema, kOneSpelling);
        case AnswerRule::Kind::regex: {
            const auto regex = DG_TRY(constrain::parse_regex("^(?:" + rule.pattern + ")$"));
            return constrain::regex_node(builder, regex, constrain::Spelling::utf8);
        }
        case AnswerRule::Kind::ebnf:
            break;
    }
    return base::fail(Code::unimplemented,
                      "grammars as text are not supported yet; use a schema "
                      "or a regular expression");
}

}  // namespace

Result<ToolGrammar> answer_grammar(const ChatFormat& format, const AnswerRule& rule) {
    GrammarBuilder builder;
    const NodeId text = DG_TRY(answer(builder, rule));
    if (builder.impossible(text)) {
        return base::fail(Code::invalid_argument, "no text satisfies it");
    }
    TextNodes nodes(builder, format.control_texts);
    const NodeId before = nodes.reasoning(format.reasoning, rule.reasoning);
    return ToolGrammar{DG_TRY(builder.build(builder.sequence({before, text}))), {}};
}

std::string cache_key(const AnswerRule& rule) {
    return fmt::format("answer|{}|{}|{}|{}", static_cast<int>(rule.kind),
                       static_cast<int>(rule.reasoning), rule.pattern,
                       json::serialize(rule.schema));
}

}  // namespace engine::chat
