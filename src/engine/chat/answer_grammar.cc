#include "engine/chat/answer_grammar.h"

#include "engine/chat/grammar_text.h"
#include "engine/constrain/ebnf.h"
#include "engine/constrain/schema.h"

namespace engine::chat {

using base::Code;
using base::Result;
using constrain::Grammar;
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
        case AnswerRule::Kind::regex:
            return constrain::add_regex(builder, rule.pattern);
        case AnswerRule::Kind::ebnf:
            return constrain::add_ebnf(builder, rule.pattern);
    }
    return base::fail(Code::internal, "an answer rule of no kind");
}

}  // namespace

Result<std::shared_ptr<const Grammar>> answer_grammar(const ChatFormat& format,
                                                      const AnswerRule& rule) {
    GrammarBuilder builder;
    const NodeId text = DG_TRY(answer(builder, rule));
    if (builder.impossible(text)) {
        return base::fail(Code::invalid_argument, "no text satisfies it");
    }
    TextNodes nodes(builder, format.control_texts);
    const NodeId before = nodes.reasoning(format.reasoning, rule.reasoning);
    return builder.build(builder.sequence({before, nodes.markup(format.answer_open), text}));
}

std::string cache_key(const AnswerRule& rule) {
    return fmt::format("answer|{}|{}|{}|{}", static_cast<int>(rule.kind),
                       static_cast<int>(rule.reasoning), rule.pattern,
                       json::serialize(rule.schema));
}

}  // namespace engine::chat
