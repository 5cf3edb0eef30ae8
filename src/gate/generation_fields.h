#pragma once
// What the APIs that generate have in common: sampling, stop strings, streams, whose request it is.

#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "gate/request_parser.h"

namespace gate {

/// Empty when the request leaves the choice to the server.
std::string model_name(const base::json::object& body);
base::Result<std::vector<std::string>> stop_strings(const base::json::object& body,
                                                    const ParseLimits& limits);
base::Result<Sampling> sampling(const base::json::object& body);
/// `name` is one of `error` (also when it is missing) and `shift`, in the words of an API.
base::Result<void> read_overflow(const base::json::object& body, std::string_view name,
                                 std::string_view error, std::string_view shift,
                                 GenerationRequest& request);
/// cache_id, session_id, priority.
void read_serving(const base::json::object& body, GenerationRequest& request);
/// `reasoning_effort` as the templates' variables, and `reasoning_format`. Before it,
/// chat_template_kwargs must be in place: what the request says there goes first.
base::Result<void> read_reasoning(const base::json::object& body, GenerationRequest& request);
base::Result<void> set_effort(std::string_view effort, const std::string& path,
                              GenerationRequest& request);
/// All that chat and plain completions share.
base::Result<GenerationCall> parse_shared(const base::json::object& body,
                                          const ParseLimits& limits);

}  // namespace gate
