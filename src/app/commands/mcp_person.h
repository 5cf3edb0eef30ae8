#pragma once
// The person at the terminal, as an MCP server may ask them: forms are filled in field by field,
// pages are shown and visited by hand. Without a terminal nobody is asked.

#include <mutex>

#include "agent/mcp/client/host.h"
#include "app/terminal/terminal.h"

namespace app {

class McpPerson : public agent::mcp::Host {
public:
    explicit McpPerson(const Terminal& terminal) : terminal_(terminal) {}

    base::json::object capabilities() const override;
    base::Result<base::json::object> answer(std::string_view method,
                                            const base::json::object& params,
                                            const agent::mcp::Stop& stop) override;
    void log(const base::json::object& entry) override;
    void warn(std::string_view what) override;
    /// A line for each change, on a terminal only.
    void progress(const base::json::object& progress);

private:
    base::json::object ask_form(const base::json::object& form);
    const Terminal& terminal_;
    std::mutex asking_;  ///< one question at a time
};

/// What a person typed for a field, as its rule wants it. Nothing: not such a value.
std::optional<base::json::value> form_value(const base::json::object& rule, std::string_view text);

}  // namespace app
