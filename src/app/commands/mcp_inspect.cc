// dougong mcp inspect: what a server is, what it offers, and what is wrong with it.
#include <fmt/format.h>

#include "app/commands/mcp_commands.h"
#include "app/commands/mcp_connection.h"
#include "app/commands/tell.h"
#include "app/server_client.h"
#include "app/terminal/interrupt.h"
#include "base/schema/schema_check.h"

namespace app {
namespace {

using base::Result;
namespace json = base::json;
using Kind = agent::mcp::Client::Kind;

struct Found {
    json::object answer;
    std::string text;
    json::array faults;

    void fault(const std::string& where, const std::string& what) {
        faults.push_back(json::object{{"where", where}, {"what", what}});
    }
};

void check_tool(const json::object& tool, Found& found) {
    const std::string where = "tool " + json_text(tool, "name");
    const json::value* input = tool.if_contains("inputSchema");
    if (input == nullptr || !input->is_object()) {
        found.fault(where, "has no inputSchema");
    } else if (json_text(input->get_object(), "type") != "object") {
        found.fault(where, "inputSchema is not of type object");
    }
    for (const char* name : {"inputSchema", "outputSchema"}) {
        const json::value* schema = tool.if_contains(name);
        if (schema == nullptr) continue;
        if (const auto check = base::SchemaCheck::compile(*schema); !check) {
            found.fault(where, fmt::format("{}: {}", name, check.error().message));
        }
    }
    if (json_text(tool, "description").empty()) {
        found.fault(where, "has no description: a model cannot know when to use it");
    }
}

void check_item(Kind kind, const json::object& item, Found& found) {
    if (kind == Kind::tools) return check_tool(item, found);
    const char* field = kind == Kind::resources   ? "uri"
                        : kind == Kind::templates ? "uriTemplate"
                                                  : "name";
    if (json_text(item, field).empty()) {
        found.fault(json::serialize(item), fmt::format("has no {}", field));
    } else if (json_text(item, "name").empty()) {
        found.fault(json_text(item, field), "has no name");
    }
}

Result<int> inspect(const Args& args, Program& program) {
    Interrupt interrupt(Interrupt::Signals::ctrl_c);
    const auto server = DG_TRY(McpConnection::open(args, program, args.all("SERVER")));
    if (!server->words().empty()) {
        return base::fail_on("SERVER", base::Code::invalid_argument, "unexpected argument '{}'",
                             server->words().front());
    }
    const auto& facts = server->client().server();
    Found found;
    found.answer = {{"revision", facts.revision},
                    {"server", facts.info},
                    {"capabilities", facts.capabilities},
                    {"instructions", facts.instructions}};
    found.text =
        fmt::format("server        {} {}\nrevision      {}\n", json_text(facts.info, "name"),
                    json_text(facts.info, "version"), facts.revision);
    std::string capabilities;
    for (const auto& [name, value] : facts.capabilities) {
        capabilities += (capabilities.empty() ? "" : ", ") + std::string(name);
    }
    found.text += fmt::format("capabilities  {}\n", capabilities);
    if (facts.info.empty()) found.fault("server", "does not say what it is");
    struct Part {
        const char *name, *capability;
        Kind kind;
    };
    for (const Part& part :
         {Part{"tools", "tools", Kind::tools}, Part{"resources", "resources", Kind::resources},
          Part{"templates", "resources", Kind::templates},
          Part{"prompts", "prompts", Kind::prompts}}) {
        if (!facts.has(part.capability)) continue;
        auto items = server->client().list(part.kind, server->call_options());
        if (!items) {
            found.fault(part.name, items.error().message);
            continue;
        }
        json::array listed;
        for (json::object& item : *items) {
            check_item(part.kind, item, found);
            listed.emplace_back(std::move(item));
        }
        found.text += fmt::format("{:<12}  {}\n", part.name, listed.size());
        found.answer[part.name] = std::move(listed);
    }
    for (const std::string& warning : server->warnings()) found.fault("protocol", warning);
    for (const json::value& fault : found.faults) {
        found.text += fmt::format("fault         {}: {}\n", json_text(fault.get_object(), "where"),
                                  json_text(fault.get_object(), "what"));
    }
    const bool good = found.faults.empty();
    if (good) found.text += "faults        none\n";
    found.answer["faults"] = std::move(found.faults);
    tell(args, program, found.answer, found.text);
    return good ? 0 : 1;
}

}  // namespace

Command mcp_inspect_command() {
    return subcommand("inspect", "Show what an MCP server is, and what is wrong with it",
                      "Its revision and capabilities, how much it offers, and faults of its "
                      "schemas and messages. "
                      "Exits with 1 when there are faults.",
                      {{"SERVER", "http... or -- COMMAND.", false, true}}, mcp_client_options(),
                      {{"dougong mcp inspect http://127.0.0.1:8080/mcp", ""},
                       {"dougong mcp inspect -- dougong mcp serve --conformance", ""}},
                      inspect, {"models"});
}

}  // namespace app
