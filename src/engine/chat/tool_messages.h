#pragma once
// Messages as a template can take them: where it shows no tools, renders no calls, or knows no tool
// results, ordinary messages say the same in words and in the calls' own form.

#include "base/json/json.h"
#include "engine/chat/chat_format.h"
#include "engine/chat/tool_set.h"

namespace engine::chat {

enum class ToolsPlace : std::uint8_t {
    system_message,
    user_message,  ///< the first one, for templates that refuse system messages
};

/// `messages` (OpenAI-shaped) with what the template would leave out. tools: null when none are
/// offered; they are told in a message only where the template does not show them itself.
base::json::array tool_messages(const ChatFormat& format, const base::json::array& messages,
                                const base::json::value& tools, ToolsPlace place);

}  // namespace engine::chat
