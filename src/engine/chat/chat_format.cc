#include "engine/chat/chat_format.h"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace engine::chat {
namespace {

struct Rule {
    std::string_view family;
    std::array<std::string_view, 3> needs;  ///< all of them in the template; "" asks for nothing
};

// First match wins, so a family whose markers another one shares comes before it.
constexpr std::array kRules = {
    Rule{"harmony", {"<|channel|>", "to=", "<|call|>"}},
    Rule{"gemma4", {"<|tool_call>call:", "<tool_call|>", "<|\"|>"}},
    Rule{"deepseek_dsml", {"｜DSML｜", "function_calls", ""}},
    Rule{"deepseek_r1", {"<｜tool▁call▁begin｜>", "```json", ""}},
    Rule{"deepseek_v31", {"<｜tool▁call▁begin｜>", "", ""}},
    Rule{"kimi", {"<|tool_calls_section_begin|>", "", ""}},
    Rule{"minimax", {"<minimax:tool_call>", "<invoke name=", ""}},
    Rule{"mistral_arguments", {"[TOOL_CALLS]", "[ARGS]", ""}},
    Rule{"mistral_list", {"[TOOL_CALLS]", "", ""}},
    Rule{"command_r", {"<|START_ACTION|>", "tool_name", ""}},
    Rule{"jamba", {"<tool_calls>", "", ""}},
    Rule{"nemotron", {"<TOOLCALL>", "", ""}},
    Rule{"glm", {"<arg_key>", "<arg_key>{{ k }}</arg_key>\n", ""}},
    Rule{"glm_tight", {"<arg_key>", "", ""}},
    Rule{"qwen_xml", {"<tool_call>", "<function=", "<parameter="}},
    Rule{"hermes", {"<tool_call>", "</tool_call>", ""}},
    Rule{"granite", {"<|tool_call|>", "", ""}},
    Rule{"lfm2", {"<|tool_list_start|>", "", ""}},
    Rule{"functionary", {"<function=", "</function>", ""}},
    Rule{"llama_pythonic", {"<|start_header_id|>", "func_name1(", ""}},
    Rule{"llama_pythonic", {"<|header_start|>", "func_name1(", ""}},
    Rule{"llama3", {"<|python_tag|>", "", ""}},
    Rule{"llama3", {"\"parameters\": dictionary of argument name", "", ""}},
};

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

/// A name is read when it stands outside of longer words, as `tools` in "if tools".
bool reads_variable(std::string_view chat_template, std::string_view name) {
    const auto is_word = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
    };
    bool in_tag = false;
    for (std::size_t at = 0; at + 1 < chat_template.size(); ++at) {
        const std::string_view two = chat_template.substr(at, 2);
        if (two == "{%" || two == "{{") in_tag = true;
        if (two == "%}" || two == "}}") in_tag = false;
        if (!in_tag || !chat_template.substr(at).starts_with(name)) continue;
        const std::size_t end = at + name.size();
        const bool starts = at == 0 || !is_word(chat_template[at - 1]);
        if (starts && (end >= chat_template.size() || !is_word(chat_template[end]))) return true;
    }
    return false;
}

/// gpt-oss: every message stands in a channel, and the model begins a new one after each.
void set_harmony_channels(ChatFormat& format) {
    format.reasoning = {.open = "<|channel|>analysis<|message|>",
                        .close = "<|end|>",
                        .then = "<|start|>assistant",
                        .anywhere = true,
                        .field = "thinking"};
    format.answer_open = "<|channel|>final<|message|>";
    format.silent = {"<|start|>assistant", format.answer_open, "<|channel|>commentary<|message|>",
                     "<|end|>", "<|return|>"};
}

ReasoningSyntax reasoning_of(std::string_view chat_template) {
    struct Pair {
        std::string_view open, close;
    };
    constexpr std::array kPairs = {
        Pair{"<|START_THINKING|>", "<|END_THINKING|>"}, Pair{"[THINK]", "[/THINK]"},
        Pair{"<|channel>thought", "<channel|>"}, Pair{"<think>", "</think>"}};
    for (const auto& [open, close] : kPairs) {
        if (has(chat_template, close))
            return {.open = std::string(open), .close = std::string(close)};
    }
    return {};
}

CallSyntax calls_of(std::string_view chat_template) {
    for (const Rule& rule : kRules) {
        const auto in_template = [&](std::string_view need) { return has(chat_template, need); };
        if (std::ranges::all_of(rule.needs, in_template)) return call_syntax(rule.family);
    }
    return call_syntax("generic");
}

/// Pieces of `text` that look like one marker: <...>, [UPPER].
void add_markers(std::string_view text, std::vector<std::string>& out) {
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char close = text[at] == '<' ? '>' : text[at] == '[' ? ']' : '\0';
        if (close == '\0') continue;
        const std::size_t end = text.find(close, at);
        if (end == std::string_view::npos) continue;
        out.emplace_back(text.substr(at, end - at + 1));
    }
}

}  // namespace

std::vector<std::string> markers(const ChatFormat& format) {
    const CallSyntax& calls = format.calls;
    std::vector<std::string> all;
    for (const std::string* text :
         {&calls.section_open, &calls.call_open, &calls.call_close, &calls.separator,
          &calls.section_close, &calls.parameter_open, &calls.parameter_close, &calls.quote,
          &format.reasoning.open, &format.reasoning.close, &format.reasoning.then,
          &format.answer_open}) {
        add_markers(*text, all);
    }
    for (const auto* list : {&calls.openers, &calls.other_call_opens, &calls.closers,
                             &calls.name_closes, &calls.parameter_middles, &format.silent}) {
        for (const std::string& text : *list) add_markers(text, all);
    }
    std::ranges::sort(all, [](const std::string& a, const std::string& b) {
        return a.size() != b.size() ? a.size() > b.size() : a < b;
    });
    all.erase(std::ranges::unique(all).begin(), all.end());
    return all;
}

ChatFormat detect_format(std::string_view chat_template) {
    ChatFormat format;
    format.calls = calls_of(chat_template);
    // Tools may be shown in a way none of the known families answers: then our own way is used.
    const bool known = format.calls.family != "generic";
    format.template_has_tools = known && reads_variable(chat_template, "tools");
    format.template_has_calls = known && has(chat_template, "tool_calls");
    format.template_has_results =
        known && (has(chat_template, "\"tool\"") || has(chat_template, "'tool'"));
    format.reasoning = reasoning_of(chat_template);
    if (format.calls.family == "command_r") {
        format.silent = {"<|START_RESPONSE|>", "<|END_RESPONSE|>"};
    }
    if (format.calls.family == "harmony") set_harmony_channels(format);
    return format;
}

ChatFormat detect_format(std::string_view chat_template, const Tokenizer& tokenizer) {
    ChatFormat format = detect_format(chat_template);
    for (std::string& marker : markers(format)) {
        const auto id = tokenizer.find(marker);
        if (id && tokenizer.is_control(*id)) format.control_texts.push_back(std::move(marker));
    }
    return format;
}

ReasoningState reasoning_after(const ReasoningSyntax& reasoning, std::string_view prompt) {
    if (reasoning.open.empty()) return ReasoningState::done;
    const std::size_t last = prompt.find_last_not_of(" \t\r\n");
    const std::string_view end = prompt.substr(0, last == std::string_view::npos ? 0 : last + 1);
    if (end.ends_with(reasoning.open)) return ReasoningState::open;
    if (end.ends_with(reasoning.close)) return ReasoningState::done;
    return ReasoningState::possible;
}

}  // namespace engine::chat
