#pragma once
// Tools to a grammar in the model's own way of calling: what it takes always parses
// (output_parser.h), names an offered tool, and has arguments that obey the tool's schema.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "engine/chat/chat_format.h"
#include "engine/chat/tool_set.h"
#include "engine/constrain/grammar.h"

namespace engine::chat {

struct ToolRule {
    enum class Kind : std::uint8_t { automatic, required, named };
    Kind kind = Kind::automatic;
    std::string name;      ///< with named
    bool parallel = true;  ///< more than one call
    ReasoningState reasoning = ReasoningState::possible;
    /// With automatic: when there is no call, the answer satisfies this schema.
    std::optional<base::json::value> answer_schema;
};

/// `required` and `named` hold from the first token on, after reasoning where the model reasons.
/// `automatic` leaves the model free until it begins a call; families that call without a marker
/// are held from the first token to "a call, or a text that does not begin like one".
///
/// Arguments come in the order of the schema, in one spelling of JSON ("a": 1, "b": 2), and only
/// those that `properties` lists, unless the schema says additionalProperties itself. In formats
/// that write arguments without quotes, texts cannot contain the marker that ends them.
///
/// A schema that cannot be enforced, or is none: with the tool's `strict` an error that names tool
/// and path; else each property that can be enforced is, and the others are any JSON.
/// Errors: invalid_argument (a named tool that is not offered), unimplemented, payload_too_large.
base::Result<std::shared_ptr<const constrain::Grammar>> tool_grammar(const ChatFormat& format,
                                                                     const ToolSet& tools,
                                                                     const ToolRule& rule);

/// When the grammar of `rule` begins to hold (GenerateRequest::grammar_triggers); empty: from the
/// first token.
std::vector<std::string> grammar_triggers(const ChatFormat& format, const ToolRule& rule);

/// What the grammar of `rule` depends on besides the format.
std::string cache_key(const ToolSet& tools, const ToolRule& rule);

}  // namespace engine::chat
