// dougong sandbox exec, shell, logs: commands in a running server's boxes.
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "app/commands/sandbox_commands.h"
#include "app/remote_terminal.h"
#include "app/server_client.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/terminal.h"
#include "base/core/base64.h"
#include "base/files/unique_fd.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

/// As a shell says it: the command's own status, 128 + signal, or 124 when its time ran out.
int exit_status(const json::object& end) {
    const std::string reason = json_text(end, "reason");
    if (reason == "exited") return static_cast<int>(json_count(end, "exit_code"));
    if (reason == "wall_time" || reason == "cpu_time") return 124;
    const auto signal = static_cast<int>(json_count(end, "signal"));
    return 128 + (signal != 0 ? signal : SIGKILL);
}

std::string explain(const json::object& end) {
    std::string text;
    const std::string reason = json_text(end, "reason");
    if (reason != "exited") text = fmt::format("dougong: the command ended by {}\n", reason);
    if (const std::uint64_t dropped = json_count(end, "output_dropped"); dropped > 0) {
        text +=
            fmt::format("dougong: {} bytes of output were left out; see --output-mib\n", dropped);
    }
    return text;
}

Result<json::object> variables(const Args& args) {
    json::object out;
    for (const std::string& text : args.all("--env")) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            return base::fail_on("--env", Code::invalid_argument,
                                 "--env is '{}', expected NAME=VALUE", text);
        }
        out[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return out;
}

Result<json::object> exec_json(const Args& args) {
    json::object body = {{"argv", json::value_from(args.all("COMMAND"))},
                         {"environment", DG_TRY(variables(args))},
                         {"stdin_open", args.has("--stdin")},
                         {"stream", true},
                         {"encoding", "base64"},
                         {"wall_timeout_ms", 0}};
    if (const auto n = DG_TRY(args.number("--timeout-s", 0.001, 2e6))) {
        body["wall_timeout_ms"] = static_cast<std::uint64_t>(*n * 1000);
    }
    if (const auto n = DG_TRY(args.number("--output-mib", 0, 64))) {
        body["output_bytes_max"] = static_cast<std::uint64_t>(*n * 1024 * 1024);
    }
    if (const auto folder = args.value("--workdir")) body["working_directory"] = *folder;
    return body;
}

/// Hands our stdin to a command piece by piece, on a thread of its own.
class StdinSender {
public:
    StdinSender(const ServerClient& client, std::string path)
        : client_(client), path_(std::move(path)), over_(::eventfd(0, EFD_CLOEXEC)) {
        thread_ = std::thread([this] { run(); });
    }
    ~StdinSender() {
        stopping_ = true;
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(over_.get(), &one, sizeof(one));
        thread_.join();
    }
    StdinSender(const StdinSender&) = delete;
    StdinSender& operator=(const StdinSender&) = delete;

private:
    void run() {
        std::string piece(64 * 1024, '\0');
        for (bool open = true; open && !stopping_;) {
            pollfd waits[] = {{over_.get(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
            if (::poll(waits, 2, -1) <= 0) continue;
            if (waits[0].revents != 0) return;
            const ssize_t got = ::read(STDIN_FILENO, piece.data(), piece.size());
            open = got > 0;
            send({piece.data(), open ? static_cast<std::size_t>(got) : 0}, !open);
        }
    }
    /// Waits while the command has more than it reads. An ended command takes nothing: no matter.
    void send(std::string_view bytes, bool last) {
        while (!stopping_) {
            auto request = client_.request("POST", path_ + (last ? "?eof=true" : ""));
            request.body = std::string(bytes);
            const auto sent = client_.download(std::move(request),
                                               [](std::string_view) { return Result<void>(); });
            if (sent || sent.error().code != Code::resource_exhausted) return;
            pollfd over{over_.get(), POLLIN, 0};
            ::poll(&over, 1, 20);
        }
    }

    const ServerClient& client_;
    const std::string path_;
    base::UniqueFd over_;
    std::atomic<bool> stopping_ = false;
    std::thread thread_;
};

/// Takes the events of one exec.
class ExecReader {
public:
    ExecReader(const Args& args, const Program& program, const ServerClient& client,
               std::string box)
        : terminal_(program.terminal),
          client_(client),
          box_(std::move(box)),
          keep_(args.has("--json")),
          stdin_(args.has("--stdin")) {}

    /// False: the last one.
    bool on_event(const json::object& event) {
        if (event.contains("stream")) {
            const auto bytes = base::base64_decode(json_text(event, "base64"));
            if (bytes) put(json_text(event, "stream") == "out", *bytes);
            return true;
        }
        if (event.contains("reason")) {
            end_ = event;
            return false;
        }
        if (stdin_) {
            sender_.emplace(
                client_, box_path(box_, fmt::format("/execs/{}/stdin", json_count(event, "exec"))));
        }
        return true;
    }
    Result<int> finish() {
        sender_.reset();
        if (end_.empty()) return base::fail(Code::unavailable, "the server ended the stream early");
        if (keep_) {
            end_["stdout"] = out_;
            end_["stderr"] = err_;
            terminal_.out(base::to_text(end_) + "\n");
        } else {
            terminal_.err(explain(end_));
        }
        return exit_status(end_);
    }

private:
    void put(bool out, const std::string& bytes) {
        if (keep_) {
            (out ? out_ : err_) += bytes;
        } else if (out) {
            terminal_.out(bytes);
        } else {
            terminal_.err(bytes);
        }
    }

    const Terminal& terminal_;
    const ServerClient& client_;
    const std::string box_;
    const bool keep_, stdin_;
    std::string out_, err_;
    json::object end_;
    std::optional<StdinSender> sender_;
};

Result<int> in_terminal(const Args& args, Program& program, const ServerClient& client,
                        const std::string& box) {
    std::string path = box_path(box, "/terminal?");
    for (const std::string& word : args.all("COMMAND")) path += "argv=" + url_escape(word) + "&";
    for (const auto& [name, value] : DG_TRY(variables(args))) {
        path +=
            fmt::format("environment={}&",
                        url_escape(fmt::format("{}={}", std::string_view(name.data(), name.size()),
                                               std::string_view(value.as_string()))));
    }
    if (const auto folder = args.value("--workdir")) {
        path += "working_directory=" + url_escape(*folder) + "&";
    }
    path.pop_back();
    const json::object end = DG_TRY(run_remote_terminal(client, path, program.terminal));
    program.terminal.err(explain(end));
    return exit_status(end);
}

Result<int> exec(const Args& args, Program& program) {
    const ServerClient client(args);
    const std::string box = DG_TRY(client.find(args.value("BOX").value_or("")));
    if (args.has("--tty")) return in_terminal(args, program, client, box);
    const Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    auto request = client.request("POST", box_path(box, "/exec"));
    request.body = base::to_text(DG_TRY(exec_json(args)));
    ExecReader reader(args, program, client, box);
    DG_TRY(client.stream(
        std::move(request), [&](const json::object& event) { return reader.on_event(event); },
        [&] { return interrupt.raised(); }));
    return reader.finish();
}

Result<int> shell(const Args& args, Program& program) {
    const ServerClient client(args);
    const std::string box = DG_TRY(client.find(args.value("BOX").value_or("")));
    return in_terminal(args, program, client, box);
}

std::string command_line(const json::object& entry) {
    std::string line = "$";
    const json::value* argv = entry.if_contains("argv");
    if (argv == nullptr || !argv->is_array()) return line;
    for (const json::value& word : argv->get_array()) {
        if (!word.is_string()) continue;
        const std::string text(word.get_string());
        const bool plain = text.find_first_of(" \t\n'\"\\$&|;<>()*?#~`") == std::string::npos;
        line += " " + (plain && !text.empty() ? text : "'" + text + "'");
    }
    return line;
}

std::string end_line(const json::object& result) {
    const std::string reason = json_text(result, "reason");
    if (reason != "exited") return fmt::format("[ended by {}]", reason);
    return fmt::format("[exit {}]", json_count(result, "exit_code"));
}

void print_entry(const Terminal& terminal, const json::object& entry) {
    terminal.out(terminal.out_styled(Style::bold, command_line(entry)) + "\n");
    if (const std::uint64_t dropped = json_count(entry, "dropped_bytes"); dropped > 0) {
        terminal.out(terminal.out_styled(
            Style::dim, fmt::format("[{} bytes before this are no longer kept]\n", dropped)));
    }
    const json::value* output = entry.if_contains("output");
    for (const json::value& piece :
         output != nullptr && output->is_array() ? output->get_array() : json::array()) {
        terminal.out(json_text(piece.as_object(), "text"));
    }
    const json::value* result = entry.if_contains("result");
    if (result != nullptr && result->is_object()) {
        terminal.out(terminal.out_styled(Style::dim, end_line(result->get_object())) + "\n");
    }
}

void print_event(const Terminal& terminal, const json::object& event) {
    if (event.contains("stream")) {
        terminal.out(json_text(event, "text"));
    } else if (event.contains("reason")) {
        terminal.out(terminal.out_styled(Style::dim, end_line(event)) + "\n");
    } else if (event.contains("argv")) {
        terminal.out(terminal.out_styled(Style::bold, command_line(event)) + "\n");
    }
}

Result<int> logs(const Args& args, Program& program) {
    const ServerClient client(args);
    const std::string box = DG_TRY(client.find(args.value("BOX").value_or("")));
    const bool as_json = args.has("--json");
    if (args.has("--follow")) {
        const Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
        bool reader_left = false;
        const auto done = client.stream(
            client.request("GET", box_path(box, "/logs?follow=1")),
            [&](const json::object& event) {
                if (event.empty()) return true;  // the end of the sandbox
                if (as_json) {
                    reader_left = !program.terminal.out(base::to_text(event) + "\n");
                } else {
                    print_event(program.terminal, event);
                }
                return !reader_left;
            },
            [&] { return interrupt.raised(); });
        if (interrupt.raised()) return 0;
        if (!done) return std::unexpected(done.error());
        return 0;
    }
    const json::object listing = DG_TRY(client.call("GET", box_path(box, "/logs")));
    if (as_json) {
        program.terminal.out(base::to_text(listing) + "\n");
        return 0;
    }
    const json::value* data = listing.if_contains("data");
    for (const json::value& entry :
         data != nullptr && data->is_array() ? data->get_array() : json::array()) {
        print_entry(program.terminal, entry.as_object());
    }
    return 0;
}

std::vector<OptionSpec> with_server(std::vector<OptionSpec> options) {
    for (const OptionSpec& option : server_options()) options.push_back(option);
    return options;
}

constexpr PositionalSpec kBox = {"BOX", "a sandbox: its id, the beginning of one, or its name",
                                 true};
constexpr OptionSpec kEnv = {"--env", "NAME=VALUE", "A variable; may be given several times."};
constexpr OptionSpec kWorkdir = {"--workdir", "FOLDER", "Where it starts [default /workspace]."};

}  // namespace

std::vector<Command> sandbox_exec_commands() {
    return {
        {.name = "exec",
         .summary = "Run a command in a running sandbox",
         .about =
             "Runs a command in a sandbox of a running server. Its output comes while it runs and "
             "its exit status is this command's: 124 when its time ran out, 128 and the signal's "
             "number when a signal ended it. With -i it reads our standard input, with -t it has a "
             "terminal; Ctrl-C without -t ends it.",
         .positionals = {kBox, {"COMMAND", "the program and its arguments, after --", true, true}},
         .options = with_server(
             {{"-i,--stdin", "", "Standard input goes to the command."},
              {"-t,--tty", "", "Give it a terminal: keys, colours, window size."},
              {"--timeout-s", "N", "End it after so many seconds [default: never]; without -t."},
              {"--output-mib", "N", "Leave out what is printed after that [default 8]."},
              kEnv,
              kWorkdir,
              {"--json", "", "One JSON object with output, reason and usage."}}),
         .examples = {{"dougong sandbox exec build -- make test", "By the sandbox's name."},
                      {"dougong sandbox exec -it build -- python3", "With a terminal."}},
         .config_sections = {},
         .run = exec,
         .subcommands = {}},
        {.name = "shell",
         .summary = "Open a shell in a running sandbox",
         .about = "Opens a terminal in a sandbox with bash, or sh where there is no bash. The "
                  "shell's end, or that of this command, ends everything started in it.",
         .positionals = {kBox},
         .options = with_server({kEnv, kWorkdir}),
         .examples = {{"dougong sandbox shell build", "Ctrl-D leaves."}},
         .config_sections = {},
         .run = shell,
         .subcommands = {}},
        {.name = "logs",
         .summary = "Show what a sandbox's commands printed lately",
         .about = "Shows the latest commands of a sandbox, whoever started them, each with the end "
                  "of its output and how it ended. With -f it goes on with what comes.",
         .positionals = {kBox},
         .options = with_server({{"-f,--follow", "", "Go on until the sandbox ends, or Ctrl-C."},
                                 {"--json", "", "JSON: one object, or one a line with -f."}}),
         .examples = {{"dougong sandbox logs -f build", "Until Ctrl-C."}},
         .config_sections = {},
         .run = logs,
         .subcommands = {}}};
}

}  // namespace app
