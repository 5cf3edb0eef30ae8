// dougong sandbox: run one command in a box of its own; say what boxes are made of on this host.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>

#include "app/commands/commands.h"
#include "app/commands/sandbox_commands.h"
#include "app/sandbox_guard.h"
#include "app/sandboxes.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/terminal.h"
#include "base/json/json.h"
#include "base/metrics/metrics.h"
#include "sphere/spec_words.h"
#include "sphere/sphere.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

constexpr std::size_t kInputPiece = 64 * 1024;

/// Passes output on as it comes, or keeps it for the JSON object.
class RunSink final : public sphere::ExecSink {
public:
    RunSink(const Terminal& terminal, bool keep) : terminal_(terminal), keep_(keep) {}

    void on_output(sphere::Stream stream, std::string_view bytes) override {
        const bool out = stream == sphere::Stream::out;
        if (keep_) {
            (out ? out_ : err_) += bytes;
        } else if (out) {
            terminal_.out(bytes);
        } else {
            terminal_.err(bytes);
        }
    }
    void on_end(const sphere::ExecResult& result) override {
        result_ = result;
        ended_.store(true, std::memory_order_release);
        ended_.notify_one();
    }

    bool ended() const { return ended_.load(std::memory_order_acquire); }
    const sphere::ExecResult& result() const { return *result_; }
    const std::string& out() const { return out_; }
    const std::string& err() const { return err_; }

private:
    const Terminal& terminal_;
    const bool keep_;
    std::string out_, err_;
    std::optional<sphere::ExecResult> result_;
    std::atomic<bool> ended_ = false;
};

Result<std::pair<std::string, std::string>> variable(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals != std::string::npos && equals != 0) {
        return std::pair{text.substr(0, equals), text.substr(equals + 1)};
    }
    return base::fail_on("--env", Code::invalid_argument, "--env is '{}', expected NAME=VALUE",
                         text);
}

std::uint64_t mebibytes(double number) {
    return static_cast<std::uint64_t>(number * 1024 * 1024);
}

/// "image:PATH", or the path of a prepared folder.
sphere::RootSpec root_spec(const std::string& text) {
    constexpr std::string_view kImage = "image:";
    if (!text.starts_with(kImage)) return {sphere::RootSpec::Kind::directory, text};
    std::error_code failed;
    const std::string path = text.substr(kImage.size());
    const std::string whole = std::filesystem::absolute(path, failed).string();
    return {sphere::RootSpec::Kind::image, failed ? path : whole};
}

Result<sphere::SandboxSpec> box_spec(const Args& args) {
    sphere::SandboxSpec spec;
    sphere::Limits& limits = spec.limits;
    if (const auto n = DG_TRY(args.number("--cpus", 0.01, 4096))) limits.cpus = *n;
    if (const auto n = DG_TRY(args.number("--memory-mib", 8, 1e9))) {
        limits.memory_bytes = mebibytes(*n);
    }
    if (const auto n = DG_TRY(args.number("--disk-mib", 1, 1e9))) {
        limits.workspace_bytes = mebibytes(*n);
    }
    if (const auto n = DG_TRY(args.count("--processes", 1, 1 << 20))) limits.processes_max = *n;
    if (const auto root = args.value("--root")) spec.root = root_spec(*root);
    const std::string network = args.value("--network").value_or("none");
    using Mode = sphere::NetworkMode;
    std::optional<Mode> mode;
    for (const Mode known : {Mode::none, Mode::loopback, Mode::egress, Mode::full}) {
        if (network == sphere::network_mode_name(known)) mode = known;
    }
    if (!mode) {
        return base::fail_on("--network", Code::invalid_argument,
                             "--network is '{}', expected none, loopback, egress or full", network);
    }
    spec.network.mode = *mode;
    for (const std::string& name : args.all("--allow-domain")) {
        spec.network.allow_domains.emplace_back(name);
    }
    for (const std::string& range : args.all("--allow-cidr")) {
        spec.network.allow_cidrs.emplace_back(range);
    }
    if (*mode == Mode::egress && spec.network.allow_domains.empty() &&
        spec.network.allow_cidrs.empty()) {
        return base::fail_on("--network", Code::invalid_argument,
                             "--network egress reaches what --allow-domain and --allow-cidr name; "
                             "give one of them");
    }
    const std::string level = args.value("--isolation").value_or("full");
    const auto known = std::ranges::find(sphere::kIsolations, level,
                                         [](const auto& word) { return std::string(word.first); });
    if (known == sphere::kIsolations.end()) {
        return base::fail_on("--isolation", Code::invalid_argument,
                             "--isolation is '{}', expected full, gvisor or microvm", level);
    }
    spec.isolation = known->second;
    return spec;
}

Result<sphere::ExecSpec> exec_spec(const Args& args) {
    sphere::ExecSpec spec;
    spec.argv = args.all("COMMAND");
    spec.wall_timeout = std::chrono::milliseconds(0);
    if (const auto n = DG_TRY(args.number("--timeout-s", 0.001, 3e7))) {
        spec.wall_timeout = std::chrono::milliseconds(static_cast<std::int64_t>(*n * 1000));
    }
    if (const auto n = DG_TRY(args.number("--cpu-timeout-s", 0.001, 3e7))) {
        spec.cpu_timeout = std::chrono::milliseconds(static_cast<std::int64_t>(*n * 1000));
    }
    if (const auto n = DG_TRY(args.number("--output-mib", 0, 1e6))) {
        spec.output_bytes_max = mebibytes(*n);
    }
    if (args.value("--root")) spec.working_directory.clear();  // an image has its own
    if (const auto folder = args.value("--workdir")) spec.working_directory = *folder;
    for (const std::string& text : args.all("--env")) {
        auto [name, value] = DG_TRY(variable(text));
        spec.environment[std::move(name)] = std::move(value);
    }
    return spec;
}

/// Hands our stdin to the command until it ends. Reads only what the command has room for.
void feed_stdin(sphere::Sphere& sphere, const std::string& box, sphere::ExecId exec,
                const RunSink& sink, const Interrupt& interrupt) {
    std::string piece(kInputPiece, '\0');
    bool open = true;
    while (!sink.ended()) {
        if (interrupt.raised()) {
            static_cast<void>(sphere.signal(box, exec, SIGKILL));
            open = false;
        }
        pollfd waits{STDIN_FILENO, POLLIN, 0};
        // A poll of our own end: the command's end does not wake it, so it is short.
        if (::poll(open ? &waits : nullptr, open ? 1 : 0, 5) <= 0 || !open) continue;
        const ssize_t got = ::read(STDIN_FILENO, piece.data(), piece.size());
        open = got > 0;
        const std::string_view bytes(piece.data(), open ? static_cast<std::size_t>(got) : 0);
        for (;;) {
            const auto put = sphere.write_stdin(box, exec, bytes, !open);
            if (put || put.error().code != Code::resource_exhausted || sink.ended()) break;
            ::poll(nullptr, 0, 1);
        }
    }
}

json::object result_json(const sphere::ExecResult& result, const RunSink& sink,
                         const sphere::SandboxInfo& info) {
    return {{"reason", sphere::end_reason_name(result.reason)},
            {"exit_code", result.exit_code},
            {"signal", result.signal},
            {"stdout", sink.out()},
            {"stderr", sink.err()},
            {"output_bytes", result.output_bytes},
            {"output_dropped", result.output_dropped},
            {"wall_us", result.wall.count()},
            {"cpu_us", result.cpu.count()},
            {"peak_memory_bytes", result.peak_memory_bytes},
            {"enforced_by", json::value_from(info.enforced_by)}};
}

/// As a shell says it: the command's own status, 128 + signal, or 124 when its time ran out.
int exit_status(const sphere::ExecResult& result) {
    switch (result.reason) {
        case sphere::EndReason::exited:
            return result.exit_code;
        case sphere::EndReason::wall_time:
        case sphere::EndReason::cpu_time:
            return 124;
        default:
            return 128 + (result.signal != 0 ? result.signal : SIGKILL);
    }
}

std::string explain(const sphere::ExecResult& result) {
    std::string text;
    if (result.reason != sphere::EndReason::exited) {
        text = fmt::format("dougong: the command ended by {}", end_reason_name(result.reason));
        if (result.signal != 0) text += fmt::format(" (signal {})", result.signal);
        text += "\n";
    }
    if (result.output_dropped > 0) {
        text += fmt::format("dougong: {} of {} bytes of output were left out; see --output-mib\n",
                            result.output_dropped, result.output_bytes);
    }
    return text;
}

Result<int> run(const Args& args, Program& program) {
    const sphere::SandboxSpec spec = DG_TRY(box_spec(args));
    sphere::ExecSpec command = DG_TRY(exec_spec(args));
    const bool as_json = args.has("--json");
    command.stdin_open = !program.terminal.stdin_is_terminal();
    const Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    base::metrics::Registry metrics;
    const auto guard = DG_TRY(SandboxGuard::open(
        program, SandboxGuard::User::command, command_line_policy(spec), metrics,
        {.state_dir = sandbox_state_dir(program),
         .data_dir = sandbox_data_dir(program.config().sandbox, program.environment),
         .sandboxes_max = 1,
         .pool_size = 0,
         .backends = sandbox_backends(program.config())},
        [&](const sphere::SphereOptions& options) {
            return sphere::Sphere::open(options, program.clock);
        }));
    sphere::Sphere* const sphere = &guard->sphere();
    const sphere::SandboxId box = DG_TRY(sphere->create(spec));
    RunSink sink(program.terminal, as_json);
    const sphere::ExecId exec = DG_TRY(sphere->start(box, command, sink));
    feed_stdin(*sphere, box, exec, sink, interrupt);
    if (as_json) {
        const auto info = DG_TRY(sphere->info(box));
        program.terminal.out(base::to_text(result_json(sink.result(), sink, info)) + "\n");
    } else {
        program.terminal.err(explain(sink.result()));
    }
    return exit_status(sink.result());
}

std::string_view finding_name(sphere::Finding finding) {
    switch (finding) {
        case sphere::Finding::works:
            return "works";
        case sphere::Finding::weaker:
            return "weaker";
        case sphere::Finding::missing:
            return "missing";
    }
    return "unknown";
}

std::string closing_line(const sphere::HostReport& report) {
    if (report.levels.empty()) return "No sandbox can be made on this host.\n";
    std::string levels;
    for (const auto level : report.levels) {
        levels += (levels.empty() ? "" : ", ") + std::string(isolation_name(level));
    }
    return fmt::format("Sandboxes of isolation {} can be made here.\n", levels);
}

Result<int> doctor(const Args& args, Program& program) {
    const sphere::HostReport report = sphere::inspect_host(sandbox_backends(program.config()));
    const Terminal& terminal = program.terminal;
    if (args.has("--json")) {
        json::array facts, levels;
        for (const auto& fact : report.facts) {
            facts.push_back({{"primitive", fact.primitive},
                             {"finding", finding_name(fact.finding)},
                             {"detail", fact.detail},
                             {"consequence", fact.consequence}});
        }
        for (const auto level : report.levels) levels.emplace_back(isolation_name(level));
        terminal.out(base::to_text(json::object{{"as_root", report.as_root},
                                                {"levels", std::move(levels)},
                                                {"facts", std::move(facts)}}) +
                     "\n");
    } else {
        for (const auto& fact : report.facts) {
            terminal.out(fmt::format("{:<8} {:<22} {}\n", finding_name(fact.finding),
                                     fact.primitive, fact.detail));
            if (!fact.consequence.empty()) {
                terminal.out(fmt::format("{:31} {}\n", "", fact.consequence));
            }
        }
        terminal.out(closing_line(report));
    }
    return report.levels.empty() ? base::exit_status(Code::failed_precondition) : 0;
}

Command run_subcommand() {
    return {
        .name = "run",
        .summary = "Run a command in a sandbox of its own",
        .about =
            "Runs a command in a new sandbox: the host's programs read-only, an empty "
            "/workspace, no network, no other process, no privilege, and limits on memory, "
            "processor time, processes and disk. Standard input and output are the command's, "
            "and so is the exit status: 124 when its time ran out, 128 and the signal's number "
            "when a signal ended it. Everything in the sandbox is gone afterwards.",
        .positionals = {{"COMMAND", "the program and its arguments, after --", true, true}},
        .options = {{"--cpus", "N", "Processor time per second [default 1]."},
                    {"--memory-mib", "N", "Memory of everything in it [default 512]."},
                    {"--disk-mib", "N", "Size of /workspace [default 256]."},
                    {"--processes", "N", "Processes and threads [default 128]."},
                    {"--timeout-s", "N", "End it after so many seconds [default: never]."},
                    {"--cpu-timeout-s", "N",
                     "End it after so much processor time [default: never]."},
                    {"--output-mib", "N", "Leave out what is printed after that [default 8]."},
                    {"--network", "MODE",
                     "none; loopback inside the sandbox; egress, to what is allowed; or full, to "
                     "all that is public [default none]."},
                    {"--allow-domain", "NAME",
                     "A host that egress reaches, as example.org, *.example.org or "
                     "example.org:8080; several times."},
                    {"--allow-cidr", "NET", "Addresses that it reaches; several times."},
                    {"--isolation", "LEVEL",
                     "The wall: process, full, gvisor or microvm; see doctor for what is there "
                     "[default full]."},
                    {"--root", "ROOT",
                     "Its file system instead of the host's: image:PATH of an OCI image layout "
                     "or of a tarball of a root; or a folder with dev, proc, tmp and workspace."},
                    {"--workdir", "FOLDER",
                     "Where it starts [default: the image's, else /workspace]."},
                    {"--env", "NAME=VALUE", "A variable; may be given several times."},
                    {"--json", "", "One JSON object with output, reason and usage."}},
        .examples = {{"dougong sandbox run -- python3 -c 'print(1)'", "One line of Python."},
                     {"dougong sandbox run --memory-mib 64 --timeout-s 5 -- bash < job.sh",
                      "A script, with less memory and five seconds."}},
        .config_sections = {"sandbox"},
        .run = run,
        .subcommands = {}};
}

Command doctor_subcommand() {
    return {.name = "doctor",
            .summary = "Say what sandboxes are made of on this host, and what is missing",
            .about =
                "Tries each primitive that sandboxes are made of and prints whether it works, by "
                "which mechanism, what is weaker without it and what to do. The exit status is "
                "not 0 when no sandbox can be made.",
            .positionals = {},
            .options = {{"--json", "", "One JSON object."}},
            .examples = {{"dougong sandbox doctor", "As this user, on this machine."}},
            .config_sections = {},
            .run = doctor,
            .subcommands = {}};
}

}  // namespace

Command sandbox_command() {
    std::vector<Command> subcommands = {run_subcommand(), doctor_subcommand()};
    for (auto part : {sandbox_box_commands, sandbox_exec_commands, sandbox_file_commands,
                      sandbox_image_commands, sandbox_session_commands}) {
        for (Command& command : part()) subcommands.push_back(std::move(command));
    }
    return {.name = "sandbox",
            .summary = "Run programs where they can do no harm",
            .about =
                "Sandboxes: places where a program runs and reaches only what it was given. "
                "run makes one for a single command on this machine; the others use the "
                "sandboxes of a running server.",
            .positionals = {},
            .options = {},
            .examples = {},
            .config_sections = {},
            .run = nullptr,
            .subcommands = std::move(subcommands)};
}

}  // namespace app
