// dougong mcp list: what a server offers.
#include <fmt/format.h>

#include <algorithm>

#include "app/commands/mcp_commands.h"
#include "app/commands/mcp_connection.h"
#include "app/commands/tell.h"
#include "app/server_client.h"
#include "app/terminal/interrupt.h"

namespace app {
namespace {

using base::Result;
namespace json = base::json;
using Kind = agent::mcp::Client::Kind;

std::string first_line(const std::string& text) {
    constexpr std::size_t kShown = 90;
    std::string line = text.substr(0, text.find('\n'));
    if (line.size() > kShown) line = line.substr(0, kShown) + "...";
    return line;
}

Result<int> list(const Args& args, Program& program) {
    Interrupt interrupt(Interrupt::Signals::ctrl_c);
    const auto server = DG_TRY(McpConnection::open(args, program, args.all("SERVER")));
    const auto& words = server->words();
    const auto& facts = server->client().server();
    struct Part {
        const char *name, *capability, *field;
        Kind kind;
    };
    constexpr Part kParts[] = {{"tools", "tools", "name", Kind::tools},
                               {"resources", "resources", "uri", Kind::resources},
                               {"templates", "resources", "uriTemplate", Kind::templates},
                               {"prompts", "prompts", "name", Kind::prompts}};
    const std::string only = words.empty() ? "" : words.front();
    const bool known = only.empty() || std::ranges::any_of(kParts, [&](const Part& part) {
                           return part.name == only;
                       });
    if (!known || words.size() > 1) {
        return base::fail_on("SERVER", base::Code::invalid_argument,
                             "'{}' is none of tools, resources, templates, prompts", words.back());
    }
    json::object answer;
    std::string text;
    for (const Part& part : kParts) {
        if (!only.empty() && only != part.name) continue;
        if (!facts.has(part.capability)) continue;
        auto found = server->client().list(part.kind, server->call_options());
        // Not every server with resources has templates.
        if (!found && part.kind == Kind::templates && only.empty()) continue;
        if (!found) return std::unexpected(std::move(found).error());
        json::array items;
        for (json::object& item : *found) {
            text += fmt::format("{:<10}  {:<32}  {}\n", part.name, json_text(item, part.field),
                                first_line(json_text(item, "description")));
            items.emplace_back(std::move(item));
        }
        answer[part.name] = std::move(items);
    }
    return tell(args, program, answer, text.empty() ? "it offers nothing\n" : text);
}

}  // namespace

Command mcp_list_command() {
    return subcommand(
        "list", "List what an MCP server offers",
        "Its tools, resources, templates of resources and prompts. A server is an address, or a "
        "command that is started for this and ended afterwards.",
        {{"SERVER",
          "http... or -- COMMAND; 'tools', 'resources', 'templates' or 'prompts' shows "
          "these only.",
          false, true}},
        mcp_client_options(),
        {{"dougong mcp list http://127.0.0.1:8080/mcp", "Of a running server."},
         {"dougong mcp list tools --json -- dougong mcp serve", "Of a command."}},
        list, {"models"});
}

}  // namespace app
