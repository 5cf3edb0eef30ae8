#include "app/answer_constraint.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "engine/chat/answer_grammar.h"
#include "engine/chat/tool_grammar.h"
#include "engine/constrain/grammar_cache.h"

namespace app {

namespace chat = engine::chat;
namespace json = base::json;
using base::Code;
using base::fail_on;
using base::Result;

namespace {

using AnswerKind = gate::AnswerFormat::Kind;
using GrammarPtr = std::shared_ptr<const engine::constrain::Grammar>;

chat::AnswerRule answer_rule(const gate::AnswerFormat& format, chat::ReasoningState reasoning) {
    chat::AnswerRule rule;
    rule.reasoning = reasoning;
    rule.schema = format.schema;
    rule.pattern = format.pattern;
    switch (format.kind) {
        case AnswerKind::text:
        case AnswerKind::json_object:
            rule.kind = chat::AnswerRule::Kind::json_object;
            break;
        case AnswerKind::json_schema:
            rule.kind = chat::AnswerRule::Kind::json_schema;
            break;
        case AnswerKind::regex:
            rule.kind = chat::AnswerRule::Kind::regex;
            break;
        case AnswerKind::ebnf:
            rule.kind = chat::AnswerRule::Kind::ebnf;
            break;
    }
    return rule;
}

/// The client's path of what is wrong: the schema's root is "$" to its compiler.
base::Error in_response_format(base::Error error) {
    const bool in_schema = error.subject.starts_with('$');
    const std::string own_path = error.subject + ": ";
    if (in_schema && error.message.starts_with(own_path)) error.message.erase(0, own_path.size());
    error.subject =
        "response_format" + (in_schema ? ".json_schema.schema" + error.subject.substr(1) : "");
    return std::move(error).with_context(error.subject);
}

Result<GrammarPtr> format_grammar(const engine::Engine& engine,
                                  const gate::GenerationRequest& request,
                                  chat::ReasoningState reasoning) {
    const chat::AnswerRule rule = answer_rule(request.format, reasoning);
    auto grammar = engine.grammars().get(
        cache_key(rule), [&] { return answer_grammar(*engine.chat_format(), rule); });
    if (!grammar) return std::unexpected(in_response_format(std::move(grammar).error()));
    return grammar;
}

Result<chat::ToolRule> tool_rule(const engine::Engine& engine,
                                 const gate::GenerationRequest& request,
                                 chat::ReasoningState reasoning) {
    chat::ToolRule rule;
    const gate::ToolChoice& choice = request.tool_choice;
    using Kind = gate::ToolChoice::Kind;
    if (choice.kind == Kind::required) rule.kind = chat::ToolRule::Kind::required;
    if (choice.kind == Kind::named) rule.kind = chat::ToolRule::Kind::named;
    rule.name = choice.name;
    rule.parallel = may_call_in_parallel(*engine.chat_format(), choice);
    rule.reasoning = reasoning;
    if (choice.kind != Kind::automatic || request.format.kind == AnswerKind::text) return rule;
    if (request.format.kind == AnswerKind::json_object) {
        rule.answer_schema = json::object{{"type", "object"}};
    } else if (request.format.kind == AnswerKind::json_schema) {
        rule.answer_schema = request.format.schema;
    } else {
        return fail_on("response_format", Code::invalid_argument,
                       "response_format: a regular expression or grammar cannot be combined with "
                       "tools that the model may call or not; use a JSON schema, or tool_choice "
                       "\"none\" or \"required\"");
    }
    return rule;
}

Result<GrammarPtr> call_grammar(const engine::Engine& engine, const chat::ToolSet& tools,
                                const chat::ToolRule& rule) {
    auto grammar = engine.grammars().get(
        cache_key(tools, rule), [&] { return tool_grammar(*engine.chat_format(), tools, rule); });
    const bool of_answer =
        !grammar && rule.answer_schema && grammar.error().subject.starts_with('$');
    if (of_answer) return std::unexpected(in_response_format(std::move(grammar).error()));
    return grammar;
}

}  // namespace

json::value offered_tools(const gate::GenerationRequest& request) {
    const bool none = request.tool_choice.kind == gate::ToolChoice::Kind::none;
    const json::array* list = request.tools.if_array();
    return none || list == nullptr || list->empty() ? json::value() : request.tools;
}

bool may_call_in_parallel(const chat::ChatFormat& format, const gate::ToolChoice& choice) {
    const bool one = !choice.parallel || choice.kind == gate::ToolChoice::Kind::named;
    if (one || format.calls.one_call) return false;
    return format.template_has_tools || choice.parallel_asked;
}

chat::ReasoningState reasoning_after(const engine::Engine& engine,
                                     std::span<const engine::TokenId> prompt) {
    constexpr std::size_t kTailTokens = 16;  // a marker and white space
    const auto tail = prompt.last(std::min(prompt.size(), kTailTokens));
    return chat::reasoning_after(engine.chat_format()->reasoning,
                                 engine.tokenizer().decode(tail, true));
}

Result<void> constrain_answer(const engine::Engine& engine, const gate::GenerationRequest& request,
                              engine::GenerateRequest& out) {
    const chat::ReasoningState reasoning =
        request.prompt.messages ? reasoning_after(engine, out.prompt) : chat::ReasoningState::done;
    const json::value tools = offered_tools(request);
    if (request.prompt.messages && !tools.is_null()) {
        const auto set = DG_TRY(chat::ToolSet::parse(tools));
        const chat::ToolRule rule = DG_TRY(tool_rule(engine, request, reasoning));
        out.grammar = DG_TRY(call_grammar(engine, *set, rule));
        const chat::ChatFormat& format = *engine.chat_format();
        out.grammar_triggers = grammar_triggers(format, rule);
        out.trigger_pause = {format.reasoning.open, format.reasoning.close,
                             reasoning == chat::ReasoningState::open};
    } else if (request.format.kind != AnswerKind::text) {
        out.grammar = DG_TRY(format_grammar(engine, request, reasoning));
    }
    return {};
}

}  // namespace app
