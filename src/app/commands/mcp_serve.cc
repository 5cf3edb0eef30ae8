// dougong mcp serve: the house, or the conformance fixture, as an MCP server.
#include <fmt/format.h>

#include <iostream>

#include "agent/mcp/stdio.h"
#include "app/commands/mcp_commands.h"
#include "app/flow/flows.h"
#include "app/mcp/mcp_fixture.h"
#include "app/mcp/mcp_server.h"
#include "app/memories.h"
#include "app/sandboxes.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/terminal.h"
#include "base/http/server.h"
#include "base/metrics/metrics.h"

namespace app {
namespace {

using base::Code;
using base::Result;

/// Memories, sandboxes and workflows without a server around them.
struct House {
    base::metrics::Registry metrics;
    std::unique_ptr<Sandboxes> sandboxes;
    std::unique_ptr<Memories> memories;
    std::unique_ptr<Flows> flows;
    std::optional<McpServer> server;

    /// Errors: what each plane's open says with its `enabled` on; no plane at all.
    Result<void> open(Program& program) {
        sandboxes = DG_TRY(Sandboxes::open(program, metrics));
        memories = DG_TRY(Memories::open(program, metrics));
        const auto missing = [&](std::string_view what, const std::string& why) {
            if (!why.empty()) program.terminal.err(fmt::format("no {}: {}\n", what, why));
        };
        missing("sandboxes", sandboxes->unavailable());
        missing("memories", memories->unavailable());
        HouseTools::Parts parts{.memories = memories->store(), .sandboxes = sandboxes->tools()};
        const std::string& enabled = program.config().flow.enabled;
        if (enabled != "off") {
            auto opened = Flows::open(program, {.sphere = sandboxes->sphere_as("flow"),
                                                .memories = memories->store(),
                                                .sandbox_tools = sandboxes->tools(),
                                                .metrics = &metrics});
            if (opened) {
                flows = *std::move(opened);
                parts.runtime = &flows->runtime();
                parts.log = &flows->log();
                parts.definitions = &flows->definitions();
            } else if (enabled == "on") {
                return std::unexpected(opened.error());
            } else {
                missing("workflows", opened.error().message);
            }
        }
        if (parts.memories == nullptr && parts.sandboxes == nullptr && flows == nullptr) {
            return base::fail(Code::unavailable,
                              "there is nothing to offer: no memories, no sandboxes, no workflows; "
                              "a server that runs on this machine offers its own at /mcp");
        }
        server.emplace(parts, program.clock);
        return {};
    }
    void close() {
        server->stop();
        if (flows) flows->stop();
        sandboxes->stop();
        memories->stop();
    }
};

Result<int> over_stdio(const agent::mcp::Server& server, Program& program,
                       std::function<void(const agent::mcp::Change&)>* changed) {
    agent::mcp::StdioServer stdio(server,
                                  [&](std::string_view line) { program.terminal.out(line); });
    if (changed != nullptr) {
        *changed = [&](const agent::mcp::Change& change) { stdio.changed(change); };
    }
    if (program.terminal.stdin_is_terminal()) {
        program.terminal.err("speaking MCP on standard input and output; Ctrl-D ends\n");
    }
    stdio.run(std::cin);
    return 0;
}

Result<int> over_http(const agent::mcp::Server& server, std::uint16_t port, Program& program,
                      std::function<void(const agent::mcp::Change&)>* changed) {
    Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    agent::mcp::HttpEndpoint endpoint(server);
    if (changed != nullptr) {
        *changed = [&](const agent::mcp::Change& change) { endpoint.changed(change); };
    }
    base::http::ServerOptions options;
    options.address = "127.0.0.1";
    options.port = port;
    const auto http = DG_TRY(base::http::Server::listen(std::move(options), program.clock));
    endpoint.register_routes(http->router());
    http->start();
    program.terminal.out(fmt::format("listening  {}/mcp\n", http->url()));
    while (!interrupt.wait_ms(60'000)) {
    }
    http->stop(std::chrono::seconds(1));
    endpoint.stop();
    return 0;
}

Result<int> serve_mcp(const Args& args, Program& program) {
    const auto port = DG_TRY(args.count("--port", 0, 65'535));
    const auto speak = [&](const agent::mcp::Server& server,
                           std::function<void(const agent::mcp::Change&)>* changed) {
        return port ? over_http(server, static_cast<std::uint16_t>(*port), program, changed)
                    : over_stdio(server, program, changed);
    };
    if (args.has("--conformance")) {
        McpFixture fixture(program.clock);
        return speak(fixture.server(), &fixture.changed);
    }
    House house;
    DG_TRY(house.open(program));
    auto done = speak(house.server->server(), nullptr);
    house.close();
    return done;
}

}  // namespace

Command mcp_serve_command() {
    return subcommand(
        "serve", "Offer memories, sandboxes and workflows to an MCP client",
        "Speaks the Model Context Protocol, revision 2026-07-28 and the ones with sessions before "
        "it, on standard input and output, as a client starts it. A running 'dougong serve' offers "
        "the same at /mcp.",
        {},
        {{"--port", "N", "over HTTP on 127.0.0.1 instead, at /mcp; 0 takes any free port"},
         {"--conformance", "",
          "offer the fixture of the protocol's conformance suite, and nothing of the house"}},
        {{"dougong mcp serve", "What goes into a client's configuration as its command."},
         {"dougong mcp serve --port 0", "Over HTTP, on a free port that is printed."}},
        serve_mcp, {"memory", "sandbox", "flow"});
}

}  // namespace app
