#pragma once
// How commands answer: as they are with --json, else for people.

#include <string>

#include "app/command.h"
#include "base/json/json.h"

namespace app {

void print_json(const Program& program, const base::json::value& value);

/// `answer` with --json, else `text`. Gives the exit status of a success.
int tell(const Args& args, const Program& program, const base::json::object& answer,
         const std::string& text);

}  // namespace app
