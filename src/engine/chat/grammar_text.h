#pragma once
// Grammar nodes for the texts around structured output: markup, which may hold control tokens, and
// free text up to a marker.

#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/chat_format.h"
#include "engine/constrain/grammar.h"

namespace engine::chat {

class TextNodes {
public:
    /// control_texts: longest first; must outlive this.
    TextNodes(constrain::GrammarBuilder& builder, const std::vector<std::string>& control_texts)
        : builder_(builder), control_texts_(control_texts) {}

    /// `text` exactly, control tokens and ids (kAnyId) in it.
    constrain::NodeId markup(std::string_view text);
    /// Any text up to the first `marker`, and the marker. Pre: its first character comes once.
    constrain::NodeId until(std::string_view marker);
    /// What may stand before an answer: reasoning, as far as the prompt leaves room for it.
    constrain::NodeId reasoning(const ReasoningSyntax& syntax, ReasoningState state);
    constrain::NodeId any_text();   ///< without control tokens
    constrain::NodeId any_space();  ///< at most 16 characters
    /// Any text whose first character is not in `first`, or no text.
    constrain::NodeId text_not_starting_with(std::string_view first);
    /// The same, and it does not begin with `start` either. Pre: start is not empty, nor does
    /// `first` have its first character.
    constrain::NodeId text_unlike(std::string_view start, std::string_view first);
    /// A text that begins neither with `start` nor with white space.
    constrain::NodeId text_not_like(std::string_view start);
    constrain::NodeId one_of(std::string_view characters);
    constrain::NodeId none_of(std::string_view characters);

private:
    constrain::GrammarBuilder& builder_;
    const std::vector<std::string>& control_texts_;
};

}  // namespace engine::chat
