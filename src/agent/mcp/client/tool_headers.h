#pragma once
// What a request says in HTTP headers besides its body: the method, the name, and those arguments
// of a tool that its schema marks with `x-mcp-header`. Pure.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace agent::mcp {

namespace json = base::json;

using HeaderList = std::vector<std::pair<std::string, std::string>>;

/// Mcp-Method and, where the method has one, Mcp-Name.
HeaderList standard_headers(std::string_view method, const json::object& params);

/// As a header may carry it: plain where that is safe, else `=?base64?...?=`.
std::string header_text(std::string_view value);

/// The arguments that a tool wants to see in headers, by their place in its schema.
class ToolHeaders {
public:
    /// Errors: invalid_argument: a mark that the protocol does not allow; such a tool is not to be
    /// offered to anybody.
    static base::Result<ToolHeaders> read(const json::object& input_schema);
    HeaderList of(const json::object& arguments) const;

private:
    struct Mark {
        std::string name;
        std::vector<std::string> path;
    };
    std::vector<Mark> marks_;
};

}  // namespace agent::mcp
