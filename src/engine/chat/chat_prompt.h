#pragma once
// Chat templates and what they disagree about: the form of a message that calls tools.

#include <string>

#include "base/json/json.h"
#include "base/template/template.h"

namespace engine {

/// Renders `variables` with the chat template. OpenAI's clients send the arguments of tool calls as
/// JSON text; most templates iterate over them or print them with `tojson`, which needs an object,
/// and some join them to other text, which needs the text. So the object goes first and, when the
/// template fails on it, what the client sent. Text that is no JSON object stays as it is.
/// Likewise the content beside a tool call: null first, which some templates look for, then "",
/// which others need to search in.
/// Errors: as base::Template::render.
base::Result<std::string> render_chat_prompt(const base::Template& chat_template,
                                             base::json::object variables,
                                             const base::RenderOptions& options);

}  // namespace engine
