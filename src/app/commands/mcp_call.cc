// dougong mcp call: one call of a server's tool.
#include <fmt/format.h>

#include <algorithm>

#include "app/commands/mcp_commands.h"
#include "app/commands/mcp_connection.h"
#include "app/commands/mcp_person.h"
#include "app/commands/tell.h"
#include "app/server_client.h"
#include "app/terminal/interrupt.h"
#include "base/core/nearest.h"
#include "base/schema/schema_check.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

/// NAME=VALUE as the tool's schema wants the value: JSON where it is no text.
Result<json::object> arguments_from(const Args& args, const json::object& schema,
                                    std::span<const std::string> words) {
    json::object out;
    if (const auto text = args.value("--args")) {
        const auto value = base::parse_json(*text);
        if (!value || !value->is_object()) {
            return base::fail_on("--args", Code::invalid_argument, "--args is no JSON object{}",
                                 value ? "" : ": " + value.error().message);
        }
        out = value->get_object();
    }
    const json::value* fields = schema.if_contains("properties");
    for (const std::string& word : words) {
        const std::size_t equals = word.find('=');
        if (equals == std::string::npos || equals == 0) {
            return base::fail_on(word, Code::invalid_argument, "'{}' is not NAME=VALUE", word);
        }
        const std::string name = word.substr(0, equals), text = word.substr(equals + 1);
        const json::value* rule = fields != nullptr && fields->is_object()
                                      ? fields->get_object().if_contains(name)
                                      : nullptr;
        if (rule == nullptr || !rule->is_object() || !rule->get_object().contains("type")) {
            const auto value = base::parse_json(text);  // nobody says what it is: as it looks
            out[name] = value ? *value : json::value(text);
            continue;
        }
        auto value = form_value(rule->get_object(), text);
        if (!value) {
            return base::fail_on(name, Code::invalid_argument, "{} is '{}', expected {}", name,
                                 text, json::serialize(rule->get_object().at("type")));
        }
        out[name] = *std::move(value);
    }
    return out;
}

std::string text_of(const json::object& result) {
    std::string out;
    const json::value* content = result.if_contains("content");
    if (content == nullptr || !content->is_array()) return out;
    for (const json::value& each : content->get_array()) {
        if (!each.is_object()) continue;
        const json::object& one = each.get_object();
        const std::string type = json_text(one, "type");
        if (type == "text") {
            out += json_text(one, "text") + "\n";
        } else if (type == "resource_link") {
            out += fmt::format("[{}]\n", json_text(one, "uri"));
        } else {
            out += fmt::format("[{} {}, {} bytes in Base64; --json shows them]\n", type,
                               json_text(one, "mimeType"), json_text(one, "data").size());
        }
    }
    return out;
}

Result<json::object> find_tool(const std::vector<json::object>& tools, const std::string& name) {
    std::vector<std::string_view> known;
    for (const json::object& tool : tools) {
        known.emplace_back(tool.at("name").get_string());
        if (known.back() == name) return tool;
    }
    return base::fail_on(name, Code::not_found, "the server has no tool '{}'{}", name,
                         base::did_you_mean(name, known));
}

Result<int> call(const Args& args, Program& program) {
    Interrupt interrupt(Interrupt::Signals::ctrl_c);
    const auto server = DG_TRY(McpConnection::open(args, program, args.all("TOOL")));
    const auto& words = server->words();
    if (words.empty()) {
        return base::fail_on("TOOL", Code::invalid_argument,
                             "which tool? dougong mcp list shows them");
    }
    const std::string& name = words.front();
    const auto tools =
        DG_TRY(server->client().list(agent::mcp::Client::Kind::tools, server->call_options()));
    const json::object tool = DG_TRY(find_tool(tools, name));
    const json::value* schema = tool.if_contains("inputSchema");
    const json::object rules =
        schema != nullptr && schema->is_object() ? schema->get_object() : json::object();
    json::object arguments = DG_TRY(arguments_from(args, rules, std::span(words).subspan(1)));
    if (const auto check = base::SchemaCheck::compile(rules); check && !args.has("--unchecked")) {
        if (auto good = check->check(arguments); !good) {
            return std::unexpected(
                std::move(good).error().with_context(fmt::format("the arguments of {}", name)));
        }
    }
    const json::object result =
        DG_TRY(server->client().call_tool(name, std::move(arguments), server->call_options()));
    tell(args, program, result, text_of(result));
    const json::value* failed = result.if_contains("isError");
    return failed != nullptr && *failed == true ? 1 : 0;
}

}  // namespace

Command mcp_call_command() {
    std::vector<OptionSpec> options = mcp_client_options();
    options.push_back({"--args", "JSON", "The arguments as one object."});
    options.push_back({"--unchecked", "", "Send arguments that the tool's schema does not allow."});
    return subcommand(
        "call", "Call a tool of an MCP server",
        "Prints what the tool answers; exits with 1 when the tool says that it failed. Values are "
        "read as the tool's schema wants them. A server may ask back: on a terminal you are asked.",
        {{"TOOL", "Its name, after the server's address if that is given; then NAME=VALUE.", true,
          true}},
        std::move(options),
        {{"dougong mcp call http://127.0.0.1:8080/mcp memory_search query=invoices", ""},
         {"dougong mcp call echo message=hi -- npx -y @modelcontextprotocol/server-everything",
          "A command that is started for this."}},
        call, {"models"});
}

}  // namespace app
