#pragma once
// What an agent's run decides between its calls, as functions that `call` steps name. Pure: what
// they are given in, what follows out; no clock, no chance, nothing kept. The workflow that a pack
// compiles to (compile/compile.h) says when each is called:
//
//   begin -> [ model -> plan -> act: (ask a person -> admit) -> tool -> result -> observe ] ...
//
// `agent` in their arguments is what compile() makes of the pack. `progress` is what observe()
// carries from turn to turn: {turn, calls, tool_calls, tokens, cost_usd, seen, tool_choice, forced,
// condense, end}; the run is over when `end` is not null: {answer} or {failed: why}.

#include <string_view>

#include "base/json/json.h"

namespace agent {

using Function = base::Result<base::json::value> (*)(const base::json::value& arguments);

/// {agent, goal, context, history, recalled} -> {messages, progress}: what the model reads first.
base::Result<base::json::value> begin(const base::json::value& arguments);
/// {agent, answer, progress} -> {message, waves, final, problem}: the calls that the model's answer
/// asks for, each with its verdict (schema, policy, budget); a wave's calls may run beside each
/// other.
base::Result<base::json::value> plan(const base::json::value& arguments);
/// {agent, call, decision, refused} -> {run, arguments, why}: a call that a person was asked about.
base::Result<base::json::value> admit(const base::json::value& arguments);
/// {agent, call, admitted, output, errors} -> {message, key}: what the model is told of a call.
base::Result<base::json::value> result(const base::json::value& arguments);
/// {messages, summary, usage, progress} -> {messages, progress}: what was before the last turn is
/// the summary from then on; the goal and the last turn stay word for word.
base::Result<base::json::value> compact(const base::json::value& arguments);
/// {agent, plan, usage, results, progress, steer} -> {messages, progress}: what follows.
base::Result<base::json::value> observe(const base::json::value& arguments);

/// The functions by the names that compiled packs call them: "agent.begin" ...
Function loop_function(std::string_view name);

}  // namespace agent
