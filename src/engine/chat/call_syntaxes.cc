// The families as data. Each is what the model makers' templates and model cards show; a new family
// of a known shape is a new entry here and a line in chat_format.cc.

#include <algorithm>

#include "base/core/check.h"
#include "engine/chat/chat_format.h"

namespace engine::chat {
namespace {

CallSyntax hermes() {
    CallSyntax s;
    s.family = "hermes";
    s.openers = {"<tool_call>"};
    s.closers = {"</tool_call>"};
    s.call_open = "<tool_call>\n{\"name\": \"";
    s.name_closes = {"\", \"arguments\": "};
    s.call_close = "}\n</tool_call>";
    s.separator = "\n";
    return s;
}

CallSyntax generic() {
    CallSyntax s = hermes();
    s.family = "generic";
    return s;
}

CallSyntax llama3() {
    CallSyntax s;
    s.family = "llama3";
    s.openers = {"<|python_tag|>"};
    s.closers = {"<|eom_id|>"};
    s.bare = true;
    s.call_open = "{\"name\": \"";
    s.name_closes = {"\", \"parameters\": "};
    s.call_close = "}";
    s.separator = "; ";
    return s;
}

CallSyntax json_list(std::string family, std::string open, std::string close) {
    CallSyntax s;
    s.family = std::move(family);
    s.openers = {open};
    s.section_open = std::move(open) + "[";
    s.call_open = "{\"name\": \"";
    s.name_closes = {"\", \"arguments\": "};
    s.call_close = "}";
    s.separator = ", ";
    s.section_close = "]" + close;
    if (!close.empty()) s.closers = {std::move(close)};
    return s;
}

CallSyntax mistral_list() {
    CallSyntax s = json_list("mistral_list", "[TOOL_CALLS]", "");
    s.short_ids = true;
    return s;
}

CallSyntax mistral_arguments() {
    CallSyntax s;
    s.family = "mistral_arguments";
    s.shape = CallShape::named_json;
    s.openers = {"[TOOL_CALLS]"};
    s.call_open = "[TOOL_CALLS]";
    s.name_closes = {"[ARGS]", std::string("[CALL_ID]") + kAnyId + "[ARGS]"};
    s.short_ids = true;
    return s;
}

CallSyntax deepseek(std::string family, std::string call_open, std::string name_close,
                    std::string call_close, std::string separator) {
    CallSyntax s;
    s.family = std::move(family);
    s.shape = CallShape::named_json;
    s.openers = {"<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>"};
    s.closers = {"```", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"};
    s.section_open = "<｜tool▁calls▁begin｜>";
    s.call_open = std::move(call_open);
    s.name_closes = {std::move(name_close)};
    s.call_close = std::move(call_close);
    s.separator = std::move(separator);
    s.section_close = "<｜tool▁calls▁end｜>";
    return s;
}

CallSyntax kimi() {
    CallSyntax s;
    s.family = "kimi";
    s.shape = CallShape::named_json;
    s.openers = {"<|tool_calls_section_begin|>", "<|tool_call_begin|>"};
    s.closers = {"<|tool_call_end|>", "<|tool_calls_section_end|>"};
    s.section_open = "<|tool_calls_section_begin|>";
    s.call_open = "<|tool_call_begin|>functions.";
    s.name_closes = {std::string(":") + kAnyId + "<|tool_call_argument_begin|>"};
    s.call_close = "<|tool_call_end|>";
    s.section_close = "<|tool_calls_section_end|>";
    s.named_ids = true;
    return s;
}

/// gpt-oss. A call is a message of its own whose header names the function; the header's parts come
/// in either order, in the commentary channel or the one where the model thinks.
CallSyntax harmony() {
    CallSyntax s;
    s.family = "harmony";
    s.shape = CallShape::named_json;
    s.call_open = "<|channel|>commentary to=functions.";
    s.other_call_opens = {"<|channel|>analysis to=functions.", "to=functions."};
    s.openers = {s.call_open};
    s.openers.insert(s.openers.end(), s.other_call_opens.begin(), s.other_call_opens.end());
    s.name_closes = {" <|constrain|>json<|message|>",
                     "<|channel|>commentary <|constrain|>json<|message|>",
                     "<|channel|>commentary json<|message|>",
                     "<|channel|>analysis <|constrain|>json<|message|>",
                     "<|channel|>analysis json<|message|>",
                     "<|channel|>commentary<|message|>",
                     " json<|message|>",
                     "<|message|>"};
    // <|call|> ends the answer: it is no text of the call.
    s.closers = {"<|call|>"};
    s.one_call = true;
    return s;
}

CallSyntax functionary() {
    CallSyntax s;
    s.family = "functionary";
    s.shape = CallShape::named_json;
    s.openers = {"<function="};
    s.closers = {"</function>"};
    s.call_open = "<function=";
    s.name_closes = {">"};
    s.call_close = "</function>";
    return s;
}

CallSyntax command_r() {
    CallSyntax s = json_list("command_r", "<|START_ACTION|>", "<|END_ACTION|>");
    s.section_open += "\n    ";
    s.call_open = std::string("{\"tool_call_id\": \"") + kAnyId + "\", \"tool_name\": \"";
    s.name_closes = {"\", \"parameters\": "};
    s.separator = ",\n    ";
    s.section_close = "\n]<|END_ACTION|>";
    return s;
}

CallSyntax jamba() {
    CallSyntax s = json_list("jamba", "<tool_calls>", "</tool_calls>");
    s.section_open += "\n    ";
    s.separator = ",\n    ";
    s.section_close = "\n]</tool_calls>";
    return s;
}

CallSyntax qwen_xml() {
    CallSyntax s;
    s.family = "qwen_xml";
    s.shape = CallShape::parameters;
    s.openers = {"<tool_call>"};
    s.closers = {"</tool_call>"};
    s.call_open = "<tool_call>\n<function=";
    s.name_closes = {">\n"};
    s.parameter_open = "<parameter=";
    s.parameter_middles = {">\n"};
    s.parameter_close = "\n</parameter>\n";
    s.call_close = "</function>\n</tool_call>";
    s.separator = "\n";
    return s;
}

CallSyntax glm(std::string family, std::string gap) {
    CallSyntax s;
    s.family = std::move(family);
    s.shape = CallShape::parameters;
    s.openers = {"<tool_call>"};
    s.closers = {"</tool_call>"};
    s.call_open = "<tool_call>";
    s.name_closes = {gap};
    s.parameter_open = "<arg_key>";
    s.parameter_middles = {"</arg_key>" + gap + "<arg_value>"};
    s.parameter_close = "</arg_value>" + gap;
    s.call_close = "</tool_call>";
    s.separator = gap;
    return s;
}

/// `tag` is what the element names begin with.
CallSyntax invoke(std::string family, const std::string& section, const std::string& tag) {
    CallSyntax s;
    s.family = std::move(family);
    s.shape = CallShape::parameters;
    s.openers = {"<" + section + ">"};
    s.closers = {"</" + section + ">"};
    s.section_open = "<" + section + ">\n";
    s.call_open = "<" + tag + "invoke name=\"";
    s.name_closes = {"\">\n"};
    s.parameter_open = "<" + tag + "parameter name=\"";
    s.parameter_middles = {"\">"};
    s.parameter_close = "</" + tag + "parameter>\n";
    s.call_close = "</" + tag + "invoke>\n";
    s.section_close = "</" + section + ">";
    return s;
}

CallSyntax deepseek_dsml() {
    CallSyntax s = invoke("deepseek_dsml", "｜DSML｜function_calls", "｜DSML｜");
    s.parameter_middles = {"\" string=\"true\">", "\" string=\"false\">"};
    return s;
}

CallSyntax pythonic(std::string family, std::string open, std::string close) {
    CallSyntax s;
    s.family = std::move(family);
    s.shape = CallShape::pythonic;
    if (!open.empty()) s.openers = {open};
    if (!close.empty()) s.closers = {close};
    s.bare = open.empty();
    s.section_open = std::move(open) + "[";
    s.name_closes = {"("};
    s.call_close = ")";
    s.separator = ", ";
    s.section_close = "]" + std::move(close);
    return s;
}

CallSyntax gemma4() {
    CallSyntax s;
    s.family = "gemma4";
    s.shape = CallShape::keyed;
    s.openers = {"<|tool_call>"};
    // Behind its calls it waits for their results.
    s.closers = {"<tool_call|>", "<|tool_response>"};
    s.call_open = "<|tool_call>call:";
    s.name_closes = {"{"};
    s.quote = "<|\"|>";
    s.call_close = "}<tool_call|>";
    return s;
}

std::vector<CallSyntax> all() {
    return {hermes(),
            llama3(),
            mistral_list(),
            mistral_arguments(),
            deepseek("deepseek_r1", "<｜tool▁call▁begin｜>function<｜tool▁sep｜>", "\n```json\n",
                     "\n```<｜tool▁call▁end｜>", "\n"),
            deepseek("deepseek_v31", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>",
                     "<｜tool▁call▁end｜>", ""),
            deepseek_dsml(),
            kimi(),
            harmony(),
            gemma4(),
            functionary(),
            json_list("granite", "<|tool_call|>", ""),
            json_list("nemotron", "<TOOLCALL>", "</TOOLCALL>"),
            jamba(),
            command_r(),
            qwen_xml(),
            glm("glm", "\n"),
            glm("glm_tight", ""),
            invoke("minimax", "minimax:tool_call", ""),
            pythonic("lfm2", "<|tool_call_start|>", "<|tool_call_end|>"),
            pythonic("llama_pythonic", "", ""),
            generic()};
}

}  // namespace

const std::vector<CallSyntax>& call_syntaxes() {
    static const std::vector<CallSyntax> known = all();
    return known;
}

const CallSyntax& call_syntax(std::string_view family) {
    const auto found = std::ranges::find(call_syntaxes(), family, &CallSyntax::family);
    DG_CHECK(found != call_syntaxes().end());
    return *found;
}

}  // namespace engine::chat
