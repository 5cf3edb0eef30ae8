#pragma once
// The parts of a tool call, each read from a text of which more may come. Pure: the parser keeps
// the text and calls again when there is more of it.

#include <cstdint>
#include <optional>
#include <string>

#include "engine/chat/chat_format.h"
#include "engine/chat/cursor.h"
#include "engine/chat/tool_set.h"

namespace engine::chat {

struct CallHead {
    const Tool* tool = nullptr;
    std::size_t end = 0;  ///< bytes of the text it took
    bool list = false;    ///< json, pythonic: more calls may follow in the same list
    /// json: complete arguments, where they stood before the name or as a string. Else they come
    /// next, at `end`.
    std::optional<std::string> arguments;
    std::uint32_t open_objects = 0;  ///< json: braces to be closed after the arguments
};

/// From the opener, or from inside of a list, to where the arguments begin. `no`: this is no call
/// of a known tool.
Scan read_head(std::string_view text, const CallSyntax& syntax, const ToolSet& tools, bool in_list,
               CallHead& head);

/// json: from after the arguments to the end of the object. Moves `at`.
Scan read_object_end(std::string_view text, std::uint32_t open_objects, std::size_t& at);

/// One argument of the shapes that write them one by one, or the end of the call.
struct Argument {
    bool call_ended = false;
    std::string key, json;
    std::size_t end = 0;
};
/// `search_from`: where to look for the end of a long value; kept by the caller between calls that
/// answer more, 0 at first.
Scan read_argument(std::string_view text, const CallSyntax& syntax, const Tool& tool,
                   std::size_t& search_from, Argument& argument);

}  // namespace engine::chat
