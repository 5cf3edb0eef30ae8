#pragma once
// How a model family writes tool calls and reasoning, as data: the parser reads by it, the grammar
// holds a model to it, and past calls are rendered by it. Found from the chat template's text,
// never from a file's name.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tokenizer/tokenizer.h"

namespace engine::chat {

enum class CallShape : std::uint8_t {
    json,        ///< {"name": N, "arguments": {...}}, alone or in a list
    named_json,  ///< N, then all arguments as one JSON object
    parameters,  ///< N, then each argument between markers of its own
    pythonic,    ///< [N(key=value, ...), ...]
    keyed,       ///< N{key:value,...} with texts between markers (keyed_values.h)
};

/// Stands in a pattern for an id that the model makes up: letters, digits, '_', '-', '.'.
constexpr char kAnyId = '\x01';

/// The canonical text of calls is
///   section_open call (separator call)* section_close
///   call:      call_open NAME name_close ARGUMENTS call_close
///   ARGUMENTS: a JSON object; with `parameters` (parameter_open KEY parameter_middle VALUE
///              parameter_close)*
/// The parser reads more than that: white space in these texts stands for any or none.
struct CallSyntax {
    std::string family;  ///< for logs and tests
    CallShape shape = CallShape::json;
    /// Any of these begins calls where it appears, and is what a lazy grammar waits for. The first
    /// one begins the canonical text, the others a call that stands without its section.
    std::vector<std::string> openers;
    /// Markup after a call or the last one; dropped where it appears there.
    std::vector<std::string> closers;
    /// Calls may stand without an opener where the answer begins.
    bool bare = false;
    std::string section_open, call_open, call_close, separator, section_close;
    /// Other ways to open a call, read like `call_open` and openers too.
    std::vector<std::string> other_call_opens;
    /// The model ends its answer with a call: there is never a second one beside it.
    bool one_call = false;
    std::vector<std::string> name_closes;  ///< the first one is preferred
    std::string parameter_open, parameter_close;
    std::string quote;  ///< keyed: stands on both sides of a text
    /// After the key. With two, the first is for strings and the second for other values as JSON.
    std::vector<std::string> parameter_middles;
    /// What the template insists on in a call's id, which clients send back: nine letters and
    /// digits, or "functions.NAME:INDEX".
    bool short_ids = false, named_ids = false;
};

struct ReasoningSyntax {
    std::string open, close;  ///< both empty: the family does not mark reasoning
    std::string then = {};    ///< what the model writes between `close` and what follows
    /// It may come again, anywhere in the answer.
    bool anywhere = false;
    /// The name that past reasoning has in the template's messages; empty: as clients send it.
    std::string field = {};
};

struct ChatFormat {
    CallSyntax calls;
    ReasoningSyntax reasoning;
    /// Markers around plain answers; dropped.
    std::vector<std::string> silent;
    /// What the model writes before an answer in words; empty: nothing.
    std::string answer_open;
    /// The template shows tools to the model; renders the calls of past messages; knows the role
    /// `tool`. What it does not, tool_messages.h says in ordinary messages.
    bool template_has_tools = false, template_has_calls = false, template_has_results = false;
    /// Markers of this format that are control tokens of the vocabulary: their text must come out
    /// (GenerateRequest::emit_special) and a grammar must be able to ask for them.
    std::vector<std::string> control_texts;
};

/// The family whose markers the template uses; the generic one when it has no tools.
ChatFormat detect_format(std::string_view chat_template, const Tokenizer& tokenizer);
/// The same, without knowing which markers are control tokens.
ChatFormat detect_format(std::string_view chat_template);

/// Where a prompt leaves the model's reasoning.
enum class ReasoningState : std::uint8_t {
    possible,  ///< the model may begin with it
    open,      ///< the prompt ends inside of it
    done,      ///< the prompt ends behind it, or the family marks none
};
ReasoningState reasoning_after(const ReasoningSyntax& reasoning, std::string_view prompt);

/// Every text of the format that may be one token, longest first.
std::vector<std::string> markers(const ChatFormat& format);

/// All families known, the generic one last; tests go over them.
const std::vector<CallSyntax>& call_syntaxes();
/// Pre: `family` is one of them.
const CallSyntax& call_syntax(std::string_view family);

}  // namespace engine::chat
