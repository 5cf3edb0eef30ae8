#pragma once
// Calls as the model's family writes them: for templates that leave out the calls of past messages,
// and for tests.

#include <string>
#include <vector>

#include "base/json/json.h"
#include "engine/chat/chat_format.h"
#include "engine/chat/tool_set.h"

namespace engine::chat {

struct PastCall {
    std::string id, name;
    base::json::object arguments;
};

/// The canonical text (CallSyntax). tools: tells texts from numbers where values stand without
/// quotes; may be null.
std::string render_calls(const CallSyntax& syntax, const std::vector<PastCall>& calls,
                         const ToolSet* tools);

/// JSON as templates' `tojson` prints it: a space after each comma and colon.
std::string spaced_json(const base::json::value& value);

}  // namespace engine::chat
