// dougong sandbox create, ls, rm, pause, resume, stop, fork, snapshot, top: the boxes of a running
// server.
#include <fmt/format.h>

#include <map>

#include "app/commands/sandbox_commands.h"
#include "app/commands/subcommand.h"
#include "app/commands/tell.h"
#include "app/server_client.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/progress_bar.h"
#include "app/terminal/terminal.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

/// "NAME=VALUE" each, as an object. Errors: invalid_argument naming the flag.
Result<json::object> pairs(const Args& args, std::string_view flag) {
    json::object out;
    for (const std::string& text : args.all(flag)) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            return base::fail_on(std::string(flag), Code::invalid_argument,
                                 "{} is '{}', expected NAME=VALUE", flag, text);
        }
        out[text.substr(0, equals)] = text.substr(equals + 1);
    }
    return out;
}

json::array texts(const Args& args, std::string_view flag) {
    json::array out;
    for (const std::string& text : args.all(flag)) out.push_back(json::string(text));
    return out;
}

Result<json::object> limits_json(const Args& args) {
    json::object limits;
    const auto mebibytes = [](double number) {
        return static_cast<std::uint64_t>(number * 1024 * 1024);
    };
    const auto milliseconds = [](double seconds) {
        return static_cast<std::uint64_t>(seconds * 1000);
    };
    if (const auto n = DG_TRY(args.number("--cpus", 0.01, 4096))) limits["cpus"] = *n;
    if (const auto n = DG_TRY(args.number("--memory-mib", 8, 1e9))) {
        limits["memory_bytes"] = mebibytes(*n);
    }
    if (const auto n = DG_TRY(args.number("--disk-mib", 1, 1e9))) {
        limits["workspace_bytes"] = mebibytes(*n);
    }
    if (const auto n = DG_TRY(args.count("--processes", 1, 1 << 20))) limits["processes_max"] = *n;
    if (const auto n = DG_TRY(args.number("--lifetime-s", 0, 2e6))) {
        limits["lifetime_ms"] = milliseconds(*n);
    }
    if (const auto n = DG_TRY(args.number("--idle-timeout-s", 0, 2e6))) {
        limits["idle_timeout_ms"] = milliseconds(*n);
    }
    return limits;
}

Result<json::object> spec_json(const Args& args) {
    json::object spec = {{"limits", DG_TRY(limits_json(args))},
                         {"environment", DG_TRY(pairs(args, "--env"))},
                         {"labels", DG_TRY(pairs(args, "--label"))},
                         {"secrets", texts(args, "--secret")}};
    for (const auto& [flag, name] : {std::pair{"--name", "name"},
                                     {"--agent", "agent"},
                                     {"--isolation", "isolation"},
                                     {"--snapshot", "snapshot"},
                                     {"--policy", "policy"}}) {
        if (const auto text = args.value(flag)) spec[name] = *text;
    }
    if (const auto image = args.value("--image")) {
        spec["root"] = json::object{{"kind", "image"}, {"path", *image}};
    }
    json::object network;
    if (const auto mode = args.value("--network")) network["mode"] = *mode;
    if (args.has("--allow-domain")) network["allow_domains"] = texts(args, "--allow-domain");
    if (args.has("--allow-cidr")) network["allow_cidrs"] = texts(args, "--allow-cidr");
    spec["network"] = std::move(network);
    return spec;
}

Result<int> tell_id(const Args& args, Program& program, const json::object& made) {
    if (args.has("--json")) {
        print_json(program, made);
    } else {
        program.terminal.out(json_text(made, "id") + "\n");
    }
    return 0;
}

Result<int> create(const Args& args, Program& program) {
    const json::object spec = DG_TRY(spec_json(args));
    return tell_id(args, program, DG_TRY(ServerClient(args).call("POST", "/v1/sandboxes", &spec)));
}

Result<int> fork(const Args& args, Program& program) {
    const ServerClient client(args);
    const std::string box = DG_TRY(client.find(args.value("BOX").value_or("")));
    return tell_id(args, program, DG_TRY(client.call("POST", box_path(box, "/fork"))));
}

json::array data_of(const json::object& listing) {
    const json::value* data = listing.if_contains("data");
    return data != nullptr && data->is_array() ? data->get_array() : json::array();
}

bool is_kept(const json::object& snapshot) {
    const json::value* const persist = snapshot.if_contains("persist");
    return persist != nullptr && persist->is_bool() && persist->get_bool();
}

Result<int> list_snapshots(const Args& args, Program& program) {
    const json::object listing = DG_TRY(ServerClient(args).call("GET", "/v1/snapshots"));
    if (args.has("--json")) {
        print_json(program, listing);
        return 0;
    }
    for (const json::value& value : data_of(listing)) {
        const json::object& one = value.as_object();
        program.terminal.out(fmt::format(
            "{:<26} {:<20} {:>10} {:>7} files  {:<6}  from {}\n", json_text(one, "id"),
            json_text(one, "name"), format_bytes(static_cast<double>(json_count(one, "bytes"))),
            json_count(one, "entries"), is_kept(one) ? "disk" : "memory", json_text(one, "from")));
    }
    return 0;
}

/// An id, the beginning of one, or a name that one snapshot has.
Result<std::string> find_snapshot(const ServerClient& client, const std::string& word) {
    std::vector<std::string> found;
    for (const json::value& value : data_of(DG_TRY(client.call("GET", "/v1/snapshots")))) {
        const std::string id = json_text(value.as_object(), "id");
        if (id == word) return id;
        const bool begins = word.size() > 5 && id.starts_with(word);
        if (begins || json_text(value.as_object(), "name") == word) found.push_back(id);
    }
    if (found.size() == 1) return found.front();
    return base::fail_on("SNAPSHOT", Code::not_found,
                         "{} snapshots have the id or name '{}'; `dougong sandbox snapshot ls` "
                         "lists them",
                         found.empty() ? "no" : std::to_string(found.size()), word);
}

Result<int> remove_snapshots(const Args& args, Program& program) {
    const ServerClient client(args);
    for (const std::string& word : args.all("SNAPSHOT")) {
        const std::string id = DG_TRY(find_snapshot(client, word));
        const json::object answer =
            DG_TRY(client.call("DELETE", "/v1/snapshots/" + url_escape(id)));
        DG_TRY(tell_id(args, program, answer));
    }
    return 0;
}

Result<int> restore_snapshot(const Args& args, Program& program) {
    const ServerClient client(args);
    json::object spec = DG_TRY(spec_json(args));
    spec["snapshot"] = DG_TRY(find_snapshot(client, args.value("SNAPSHOT").value_or("")));
    return tell_id(args, program, DG_TRY(client.call("POST", "/v1/sandboxes", &spec)));
}

Result<int> take_snapshot(const Args& args, Program& program) {
    if (!args.has("BOX")) return list_snapshots(args, program);
    const ServerClient client(args);
    const json::object body = {{"name", args.value("--name").value_or("")},
                               {"persist", args.has("--persist")}};
    const std::string box = DG_TRY(client.find(args.value("BOX").value_or("")));
    return tell_id(args, program, DG_TRY(client.call("POST", box_path(box, "/snapshots"), &body)));
}

std::string box_row(const json::object& box, std::string_view cpu) {
    const std::string name = json_text(box, "name");
    const json::value* network = box.if_contains("network");
    return fmt::format(
        "{:<24} {:<16} {:<10} {:<9} {:>10} {:>8} {:>7}/{}\n", json_text(box, "id"),
        name.empty() ? "-" : name, json_text(box, "state"),
        network != nullptr && network->is_object() ? json_text(network->get_object(), "mode") : "-",
        format_bytes(static_cast<double>(json_count(box, "usage", "memory_bytes"))), cpu,
        json_count(box, "usage", "running"), json_count(box, "usage", "execs"));
}

constexpr std::string_view kBoxesHead =
    "ID                       NAME             STATE      NETWORK       MEMORY      CPU "
    "RUNNING/ALL\n";

}  // namespace

Result<int> list_boxes(const Args& args, Program& program) {
    const json::object listing = DG_TRY(ServerClient(args).call("GET", "/v1/sandboxes"));
    if (args.has("--json")) {
        print_json(program, listing);
        return 0;
    }
    std::string text(kBoxesHead);
    for (const json::value& box : data_of(listing)) {
        const std::uint64_t cpu_us = json_count(box.as_object(), "usage", "cpu_us");
        text +=
            box_row(box.as_object(), fmt::format("{:.1f} s", static_cast<double>(cpu_us) / 1e6));
    }
    program.terminal.out(text);
    return 0;
}

namespace {

/// The boxes that were named, or all with --all. Errors: invalid_argument without either.
Result<std::vector<std::string>> named_boxes(const Args& args, const ServerClient& client) {
    std::vector<std::string> ids;
    for (const std::string& word : args.all("BOX")) ids.push_back(DG_TRY(client.find(word)));
    if (args.has("--all")) {
        for (const json::value& box : data_of(DG_TRY(client.call("GET", "/v1/sandboxes")))) {
            ids.push_back(json_text(box.as_object(), "id"));
        }
    } else if (ids.empty()) {
        return base::fail_on("BOX", Code::invalid_argument, "name a sandbox, or give --all");
    }
    return ids;
}

Result<int> each_box(const Args& args, Program& program, const std::string& method,
                     std::string_view rest) {
    const ServerClient client(args);
    for (const std::string& id : DG_TRY(named_boxes(args, client))) {
        const json::object answer = DG_TRY(client.call(method, box_path(id, rest)));
        if (args.has("--json")) {
            print_json(program, answer);
        } else {
            program.terminal.out(id + "\n");
        }
    }
    return 0;
}

Result<int> rm(const Args& args, Program& program) {
    return each_box(args, program, "DELETE", "");
}
Result<int> pause(const Args& args, Program& program) {
    return each_box(args, program, "POST", "/pause");
}
Result<int> resume(const Args& args, Program& program) {
    return each_box(args, program, "POST", "/resume");
}

Result<int> stop(const Args& args, Program& program) {
    const ServerClient client(args);
    json::object scope;
    if (const auto agent = args.value("--agent")) scope["agent"] = *agent;
    if (const auto word = args.value("BOX")) {
        // A stopped box is in no list; its stop is lifted by the whole id.
        const auto found = client.find(*word);
        if (!found && !args.has("--lift")) return std::unexpected(found.error());
        scope["sandbox"] = found.value_or(*word);
    }
    if (scope.empty() && !args.has("--all")) {
        return base::fail_on("BOX", Code::invalid_argument,
                             "name a sandbox, give --agent, or give --all for every one of the "
                             "tenant");
    }
    const std::string method = args.has("--lift") ? "DELETE" : "POST";
    const json::object answer = DG_TRY(client.call(method, "/v1/emergency_stop", &scope));
    if (args.has("--json")) {
        print_json(program, answer);
    } else if (args.has("--lift")) {
        program.terminal.out("lifted\n");
    } else {
        program.terminal.out(
            fmt::format("stopped {}; new ones are refused until: dougong sandbox stop --lift ...\n",
                        json_count(answer, "stopped")));
    }
    return 0;
}

Result<int> top(const Args& args, Program& program) {
    const ServerClient client(args);
    const double seconds = DG_TRY(args.number("--interval-s", 0.1, 3600)).value_or(2);
    const bool live = program.terminal.stdout_is_terminal() && !args.has("--once");
    const Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    std::map<std::string, std::uint64_t> cpu_before;
    base::Instant before = program.clock.now();
    for (bool first = true;; first = false) {
        const json::object listing = DG_TRY(client.call("GET", "/v1/sandboxes"));
        if (args.has("--json")) {
            print_json(program, listing);
        } else {
            const base::Instant now = program.clock.now();
            const double passed_us = base::to_millis(now - before) * 1000;
            std::string text = live ? "\x1b[H\x1b[J" : "";
            text += kBoxesHead;
            for (const json::value& value : data_of(listing)) {
                const json::object& box = value.as_object();
                std::uint64_t& last = cpu_before[json_text(box, "id")];
                const std::uint64_t cpu = json_count(box, "usage", "cpu_us");
                const double share = first || passed_us <= 0 || cpu < last
                                         ? 0
                                         : static_cast<double>(cpu - last) / passed_us * 100;
                last = cpu;
                text += box_row(box, first ? std::string("-") : fmt::format("{:.0f} %", share));
            }
            program.terminal.out(text);
            before = now;
        }
        if (!live || interrupt.wait_ms(static_cast<int>(seconds * 1000))) return 0;
    }
}

/// What a new sandbox can be given, but for its files.
std::vector<OptionSpec> spec_options() {
    return {{"--name", "NAME", "For people; small letters, digits and '-'."},
            {"--agent", "NAME", "On whose behalf; policies and stops go by it."},
            {"--cpus", "N", "Processor time per second [default 1]."},
            {"--memory-mib", "N", "Memory of everything in it [default 512]."},
            {"--disk-mib", "N", "Size of /workspace [default 256]."},
            {"--processes", "N", "Processes and threads [default 128]."},
            {"--lifetime-s", "N", "End it after so many seconds [default: never]."},
            {"--idle-timeout-s", "N", "End it when unused so long [default 1800]."},
            {"--isolation", "LEVEL", "process, full, gvisor or microvm [default full]."},
            {"--image", "IMAGE", "Its root: an image's name, digest or path on the server."},
            {"--network", "MODE", "none, loopback, egress or full [default none]."},
            {"--allow-domain", "NAME", "A host it may reach; several times."},
            {"--allow-cidr", "NET", "A network it may reach; several times."},
            {"--env", "NAME=VALUE", "A variable of its commands; several times."},
            {"--label", "NAME=VALUE", "A label; several times."},
            {"--secret", "NAME", "A secret the policy gives it; several times."},
            {"--policy", "NAME", "The policy it is made under."}};
}

std::vector<OptionSpec> create_options() {
    std::vector<OptionSpec> options = spec_options();
    options.push_back({"--snapshot", "ID", "The snapshot its files begin with."});
    return options;
}

Command snapshot_command() {
    Command snapshot = server_subcommand(
        "snapshot", "Keep a sandbox's files as they are; list, restore and remove snapshots",
        "Keeps a sandbox's files as they are now and prints the snapshot's id: in the server's "
        "memory until it ends, or with --persist on its disk until it is removed. Without a "
        "sandbox, lists the snapshots.",
        {{"BOX", "whose files", false}},
        {{"--name", "TEXT", "For people."}, {"--persist", "", "On disk: it outlives the server."}},
        {{"dougong sandbox snapshot build --name tested --persist", "Prints snap-..."},
         {"dougong sandbox snapshot", "All there are."}},
        take_snapshot);
    snapshot.subcommands = {
        server_subcommand("ls", "List the snapshots",
                          "Id, name, size, where it is kept, and whose it was.", {}, {},
                          {{"dougong sandbox snapshot ls", "All there are."}}, list_snapshots),
        server_subcommand(
            "rm", "Remove snapshots",
            "Sandboxes that began with one go on; `dougong sandbox rm` ends those.",
            {{"SNAPSHOT", "snapshots: ids, beginnings of them, or names", true, true}}, {},
            {{"dougong sandbox snapshot rm tested", "By its name."}}, remove_snapshots),
        server_subcommand(
            "restore", "Make a sandbox that begins with a snapshot's files",
            "Makes a sandbox as `dougong sandbox create` does and prints its id.",
            {{"SNAPSHOT", "its id, the beginning of it, or its name", true}}, spec_options(),
            {{"dougong sandbox snapshot restore tested --name again", "Prints sbx-..."}},
            restore_snapshot)};
    return snapshot;
}

constexpr PositionalSpec kBox = {"BOX", "a sandbox: its id, the beginning of one, or its name",
                                 true};
constexpr PositionalSpec kBoxes = {"BOX", "sandboxes: ids, beginnings of them, or names", false,
                                   true};
constexpr OptionSpec kAll = {"--all", "", "Every one of the tenant."};

}  // namespace

std::vector<Command> sandbox_box_commands() {
    return {
        server_subcommand(
            "create", "Make a sandbox on a running server",
            "Makes a sandbox that stays until it is removed, its lifetime is over or nothing "
            "used it for the idle timeout, and prints its id.",
            {}, create_options(),
            {{"dougong sandbox create --name build --memory-mib 1024", "Prints sbx-..."}}, create),
        server_subcommand("rm", "Remove sandboxes",
                          "Ends everything in each sandbox and removes it with its files.",
                          {kBoxes}, {kAll}, {{"dougong sandbox rm build", "By its name."}}, rm),
        server_subcommand("pause", "Freeze sandboxes", "Every process stands still; memory stays.",
                          {kBoxes}, {kAll}, {{"dougong sandbox pause build", "Until resume."}},
                          pause),
        server_subcommand("resume", "Let frozen sandboxes go on", "The other end of pause.",
                          {kBoxes}, {kAll},
                          {{"dougong sandbox resume build", "It goes on where it stood."}}, resume),
        server_subcommand(
            "stop", "Emergency stop: freeze, end, and refuse new ones until lifted",
            "Stops one sandbox, those of an agent or all of the tenant at once, and refuses "
            "new ones in that scope until --lift with the same scope.",
            {{"BOX", "one sandbox", false}},
            {{"--agent", "NAME", "Those of an agent."},
             kAll,
             {"--lift", "", "Allow new ones again."}},
            {{"dougong sandbox stop --all", "Everything of this tenant, now."},
             {"dougong sandbox stop --all --lift", "Sandboxes may be made again."}},
            stop),
        server_subcommand(
            "fork", "Make a sandbox with a copy of another's files",
            "Makes a new sandbox with the same limits and network and a copy of the files; "
            "nothing of what runs. Prints its id.",
            {kBox}, {}, {{"dougong sandbox fork build", "Try something on a copy."}}, fork),
        snapshot_command(),
        server_subcommand(
            "top", "Show what sandboxes use, live",
            "A table of the sandboxes with memory, processor share and running commands, "
            "refreshed until Ctrl-C; once when the output is no terminal.",
            {},
            {{"--interval-s", "N", "Between two looks [default 2]."},
             {"--once", "", "One table only."}},
            {{"dougong sandbox top", "Until Ctrl-C."}}, top)};
}

}  // namespace app
