// dougong sandbox session ls, open, run, fork, interrupt, rm: live interpreters in the boxes of a
// running server.
#include <fmt/format.h>

#include <charconv>
#include <iostream>
#include <iterator>

#include "app/commands/sandbox_commands.h"
#include "app/commands/subcommand.h"
#include "app/server_client.h"
#include "app/terminal/terminal.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

constexpr int kCellFailed = 1;

/// "/v1/sandboxes/ID/sessions" of the box that the arguments name, + `rest`.
Result<std::string> sessions_path(const Args& args, const ServerClient& client,
                                  std::string_view rest = "") {
    const std::string box = DG_TRY(client.find(args.value("SANDBOX").value_or("")));
    return box_path(box, fmt::format("/sessions{}", rest));
}

Result<std::string> session_path(const Args& args, const ServerClient& client,
                                 std::string_view rest = "") {
    const std::string word = args.value("SESSION").value_or("");
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size()) {
        return base::fail_on("SESSION", Code::invalid_argument,
                             "'{}' is no session; they are numbers, which `dougong sandbox session "
                             "ls {}` lists",
                             word, args.value("SANDBOX").value_or("SANDBOX"));
    }
    return sessions_path(args, client, fmt::format("/{}{}", number, rest));
}

void print(const Args& args, const Program& program, const json::object& answer) {
    program.terminal.out(args.has("--json") ? base::to_text(answer) + "\n"
                                            : json_text(answer, "id") + "\n");
}

std::string session_row(const json::object& session) {
    const std::string from = json_text(session, "forked_from");
    return fmt::format("{:>4}  {:<7} {:<10} {:<9} {:>6} cells{}\n", json_text(session, "id"),
                       json_text(session, "language"), json_text(session, "version"),
                       json_text(session, "state"), json_count(session, "cells"),
                       from.empty() ? "" : "  fork of " + from);
}

Result<int> list_sessions(const Args& args, Program& program) {
    const ServerClient client(args);
    const json::object listing = DG_TRY(client.call("GET", DG_TRY(sessions_path(args, client))));
    if (args.has("--json")) {
        program.terminal.out(base::to_text(listing) + "\n");
        return 0;
    }
    const json::value* const data = listing.if_contains("data");
    if (data == nullptr || !data->is_array()) return 0;
    for (const json::value& session : data->get_array()) {
        program.terminal.out(session_row(session.as_object()));
    }
    return 0;
}

Result<int> open_session(const Args& args, Program& program) {
    const ServerClient client(args);
    const json::object body = {{"language", args.value("--language").value_or("python")}};
    print(args, program, DG_TRY(client.call("POST", DG_TRY(sessions_path(args, client)), &body)));
    return 0;
}

/// What a notebook would show: output, then the last expression's value or what went wrong.
Result<int> run_cell(const Args& args, Program& program) {
    std::string code = args.value("CODE").value_or("-");
    if (code == "-") code.assign(std::istreambuf_iterator<char>(std::cin), {});
    const ServerClient client(args);
    json::object body = {{"code", code}};
    if (const auto seconds = DG_TRY(args.number("--timeout-s", 0.001, 86'400))) {
        body["wall_timeout_ms"] = static_cast<std::uint64_t>(*seconds * 1000);
    }
    const json::object cell =
        DG_TRY(client.call("POST", DG_TRY(session_path(args, client, "/cells")), &body));
    const int status = json_text(cell, "status") == "ok" ? 0 : kCellFailed;
    if (args.has("--json")) {
        program.terminal.out(base::to_text(cell) + "\n");
        return status;
    }
    program.terminal.out(json_text(cell, "stdout"));
    program.terminal.err(json_text(cell, "stderr"));
    if (const json::value* result = cell.if_contains("result"); result && result->is_object()) {
        program.terminal.out(json_text(result->get_object(), "text/plain") + "\n");
    }
    if (const json::value* error = cell.if_contains("error"); error && error->is_object()) {
        const std::string trace = json_text(error->get_object(), "traceback");
        program.terminal.err(trace.empty()
                                 ? fmt::format("{}: {}\n", json_text(error->get_object(), "name"),
                                               json_text(error->get_object(), "message"))
                                 : trace + (trace.ends_with('\n') ? "" : "\n"));
    }
    return status;
}

Result<int> fork_session(const Args& args, Program& program) {
    const ServerClient client(args);
    print(args, program, DG_TRY(client.call("POST", DG_TRY(session_path(args, client, "/fork")))));
    return 0;
}

Result<int> interrupt_session(const Args& args, Program& program) {
    const ServerClient client(args);
    print(args, program,
          DG_TRY(client.call("POST", DG_TRY(session_path(args, client, "/interrupt")))));
    return 0;
}

Result<int> close_session(const Args& args, Program& program) {
    const ServerClient client(args);
    print(args, program, DG_TRY(client.call("DELETE", DG_TRY(session_path(args, client)))));
    return 0;
}

/// Of one sandbox, which stands first.
Command command(std::string_view name, std::string_view summary, std::string_view about,
                std::vector<PositionalSpec> more, std::vector<OptionSpec> options,
                std::vector<Example> examples, RunCommand run) {
    more.insert(more.begin(), {"SANDBOX", "its name, id, or beginning of one", true});
    return server_subcommand(name, summary, about, std::move(more), std::move(options),
                             std::move(examples), run);
}

}  // namespace

std::vector<Command> sandbox_session_commands() {
    const PositionalSpec session = {"SESSION", "its number, as ls and open tell it", true};
    return {command_group(
        "session", "Live interpreters in a sandbox",
        "Interpreters that keep what earlier cells defined, in a sandbox of a running "
        "server.",
        {command("ls", "List a sandbox's sessions", "Number, language, state and cells.", {}, {},
                 {{"dougong sandbox session ls work", "Those of the sandbox work."}},
                 list_sessions),
         command("open", "Start an interpreter", "Prints the session's number.", {},
                 {{"--language", "NAME", "python, node or bash [default: python]."}},
                 {{"dougong sandbox session open work --language node", "Prints 1."}},
                 open_session),
         command("run", "Run a cell",
                 "Prints what the cell printed and the value of its last expression. The exit "
                 "status is 1 when it failed.",
                 {session, {"CODE", "the cell's source; - or nothing: from stdin", false}},
                 {{"--timeout-s", "SECONDS", "Interrupt it after so long [default: 60]."}},
                 {{"dougong sandbox session run work 1 'x = 20; x + 1'", "Prints 21."}}, run_cell),
         command("fork", "Fork a live python session",
                 "A second session that begins with everything the first has in memory; each "
                 "goes on by itself. Prints its number.",
                 {session}, {},
                 {{"dougong sandbox session fork work 1", "Prints 2; both know what 1 knew."}},
                 fork_session),
         command("interrupt", "Interrupt the running cell", "As Ctrl-C would.", {session}, {},
                 {{"dougong sandbox session interrupt work 1", "Its cell ends as interrupted."}},
                 interrupt_session),
         command("rm", "End a session", "Its variables are gone; the sandbox stays.", {session}, {},
                 {{"dougong sandbox session rm work 1", "Ends session 1."}}, close_session)})};
}

}  // namespace app
