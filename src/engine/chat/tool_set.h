#pragma once
// The tools that a request offers, read once: OpenAI's array of functions.

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace engine::chat {

struct Tool {
    std::string name;
    base::json::value parameters;  ///< JSON Schema of an object; null: no arguments
    bool strict = false;           ///< a schema that cannot be enforced is an error
};

class ToolSet {
public:
    /// `tools`: [{"type": "function", "function": {name, description, parameters, strict}}, ...],
    /// or the functions without the wrapping. Errors: invalid_argument by path ("tools[2].name").
    static base::Result<std::shared_ptr<const ToolSet>> parse(const base::json::value& tools);

    const std::vector<Tool>& tools() const { return tools_; }
    const Tool* find(std::string_view name) const;
    /// The array as one text: names a compiled grammar.
    const std::string& text() const { return text_; }

private:
    std::vector<Tool> tools_;
    std::unordered_map<std::string, std::size_t> by_name_;
    std::string text_;
};

/// The schema of one argument; null when the tool does not describe it.
const base::json::value* parameter_schema(const Tool& tool, std::string_view name);
/// True when the schema allows text only: formats without quotes write it as it is.
bool takes_text_only(const base::json::value* schema);

}  // namespace engine::chat
