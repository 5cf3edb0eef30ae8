#pragma once
// Tools, which of them may be called, and what an answer's text must look like: the fields of both
// APIs, in the one shape of the port.

#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/json/json.h"
#include "gate/model_backend.h"

namespace gate {

/// How an API writes a function tool: {"type", "function": {"name"...}} or {"type", "name"...}.
enum class ToolShape { nested, flat };

struct ToolFields {
    base::json::value tools;  ///< in the nested shape; null when none may be called
    ToolChoice choice;
};

/// `tools`, `tool_choice` and `parallel_tool_calls` of a checked body.
base::Result<ToolFields> parse_tools(const base::json::object& body, ToolShape shape);

/// `response_format` and the extensions guided_json, guided_regex, guided_choice, guided_grammar
/// and grammar; at most one of them.
base::Result<AnswerFormat> parse_answer_format(const base::json::object& body);

/// `format` of {"type": "text" | "json_object" | "json_schema"}. `schema_inside`: name and schema
/// are in a "json_schema" object (chat) or beside the type (responses).
base::Result<AnswerFormat> parse_format(const base::json::object& format, const std::string& path,
                                        bool schema_inside);

}  // namespace gate
