// dougong memory forget, receipts, compress and profile: what keeps memories in order.
#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <thread>

#include "app/commands/memory_commands.h"
#include "app/commands/tell.h"
#include "app/memory_access.h"
#include "app/memory_text.h"
#include "app/server_client.h"
#include "app/terminal/progress_bar.h"
#include "app/terminal/terminal.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

constexpr std::chrono::milliseconds kLookAgain{100};

void take_scope(const Args& args, json::object& body) {
    for (const auto& [flag, name] : {std::pair{"--user", "user"},
                                     {"--agent", "agent"},
                                     {"--session", "session"},
                                     {"--run", "run"}}) {
        if (const auto text = args.value(flag)) body[name] = *text;
    }
}

/// --yes, or a person who says so. Errors: invalid_argument where nobody can be asked.
Result<bool> confirmed(const Args& args, const Program& program, const std::string& question) {
    if (args.has("--yes")) return true;
    if (!program.terminal.stdin_is_terminal()) {
        return base::fail_on("--yes", Code::invalid_argument,
                             "this cannot be undone: say --yes, or look first with --dry-run");
    }
    program.terminal.err(question + " [y/N] ");
    std::string answer;
    std::getline(std::cin, answer);
    return answer == "y" || answer == "yes";
}

// --- forgetting ----------------------------------------------------------------------------------

Result<json::object> target_of(const Args& args) {
    json::object body;
    json::array ids;
    for (const std::string& id : args.all("ID")) ids.push_back(json::string(id));
    if (!ids.empty()) body["ids"] = std::move(ids);
    take_scope(args, body);
    if (const auto subject = args.value("--subject")) body["subject"] = *subject;
    if (const auto document = args.value("--document")) {
        const std::size_t slash = document->find('/');
        if (slash == std::string::npos) {
            return base::fail_on("--document", Code::invalid_argument,
                                 "'{}' names no document; give BASE/ID, as dougong knowledge ls "
                                 "--base BASE shows them",
                                 *document);
        }
        body["document"] =
            json::object{{"base", document->substr(0, slash)}, {"id", document->substr(slash + 1)}};
        json::array labels;
        for (const std::string& label : args.all("--label")) labels.push_back(json::string(label));
        if (!labels.empty()) body["labels"] = std::move(labels);
    }
    if (!body.empty()) return body;
    return base::fail_on("ID", Code::invalid_argument,
                         "what is to be forgotten? Give ids, --user, --agent, --session, --run, "
                         "--subject or --document");
}

/// Shows how far it is, until it is done.
Result<json::object> until_done(MemoryAccess& access, const Program& program,
                                json::object receipt) {
    const std::string path = "/v1/memories/forgets/" + url_escape(json_text(receipt, "id"));
    ProgressBar bar(program.terminal, program.clock, "forget");
    while (json_text(receipt, "status") != "done") {
        receipt = DG_TRY(access.call("GET", path));
        bar.update(static_cast<std::uint64_t>(receipt.at("progress").to_number<double>() * 1000),
                   1000);
        if (const std::string error = json_text(receipt, "error"); !error.empty()) {
            return base::fail(Code::unavailable,
                              "{} is hidden, but not erased yet: {}; it is tried again by itself",
                              json_text(receipt, "id"), error);
        }
        if (json_text(receipt, "status") != "done") std::this_thread::sleep_for(kLookAgain);
    }
    bar.finish();
    return receipt;
}

Result<int> forget(const Args& args, Program& program) {
    json::object body = DG_TRY(target_of(args));
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    if (args.has("--dry-run") || !args.has("--yes")) {
        json::object look = body;
        look["dry_run"] = true;
        const json::object preview = DG_TRY(access->call("POST", "/v1/memories/forget", &look));
        if (args.has("--dry-run")) return tell(args, program, preview, forget_text(preview));
        if (!args.has("--json")) program.terminal.err(forget_text(preview));
    }
    if (!DG_TRY(confirmed(args, program, "Forget this for good?"))) {
        program.terminal.err("nothing was forgotten\n");
        return 1;
    }
    json::object receipt = DG_TRY(access->call("POST", "/v1/memories/forget", &body));
    // In a folder nobody else goes on with it when this program ends.
    if (args.has("--wait") || access->local()) {
        receipt = DG_TRY(until_done(*access, program, std::move(receipt)));
    }
    return tell(args, program, receipt, receipt_text(receipt));
}

Result<int> receipts(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    if (const auto id = args.value("ID")) {
        const json::object receipt =
            DG_TRY(access->call("GET", "/v1/memories/forgets/" + url_escape(*id)));
        return tell(args, program, receipt, receipt_text(receipt));
    }
    const json::object list = DG_TRY(access->call("GET", "/v1/memories/forgets?limit=1000"));
    std::string text;
    for (const json::value& one : list.at("data").as_array()) {
        const json::object& receipt = one.as_object();
        text += fmt::format("{}  {}  {:<8} {:>6} memories  {}\n", json_text(receipt, "id"),
                            time_text(receipt.at("requested_unix_ms").to_number<std::int64_t>()),
                            json_text(receipt, "kind"), json_count(receipt, "counts", "memories"),
                            json_text(receipt, "status"));
    }
    return tell(args, program, list, text);
}

// --- compressing ---------------------------------------------------------------------------------

Result<int> compress(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    if (const auto id = args.value("--undo")) {
        const json::object undone =
            DG_TRY(access->call("POST", "/v1/memories/compressions/" + url_escape(*id) + "/undo"));
        return tell(args, program, undone, compression_text(undone));
    }
    if (args.has("--list")) {
        const json::object list =
            DG_TRY(access->call("GET", "/v1/memories/compressions?limit=1000"));
        std::string text;
        for (const json::value& one : list.at("data").as_array()) {
            text += compression_text(one.as_object());
        }
        return tell(args, program, list, text);
    }
    json::object body, policy;
    take_scope(args, body);
    for (const auto& [flag, name, max] :
         {std::tuple{"--keep", "entries_per_session_max", 1'000'000u},
          {"--recent-hours", "retain_recent_hours", 1'000'000u},
          {"--sentences", "summary_sentences_max", 50u}}) {
        if (const auto n = DG_TRY(args.count(flag, 0, max))) policy[name] = *n;
    }
    for (const auto& [flag, name] :
         {std::pair{"--importance", "importance_min"}, {"--similarity", "merge_similarity"}}) {
        if (const auto n = DG_TRY(args.number(flag, 0, 1))) policy[name] = *n;
    }
    if (args.has("--merge")) policy["merge_over_limit"] = true;
    body["policy"] = std::move(policy);
    if (args.has("--by-model")) body["by_model"] = true;
    body["dry_run"] = args.has("--dry-run");
    const json::object answer = DG_TRY(access->call("POST", "/v1/memories/compress", &body));
    if (const auto settled = access->settle(); !settled) {
        program.terminal.err("some summaries have no vector yet: " + settled.error().message +
                             "\n");
    }
    return tell(args, program, answer,
                args.has("--dry-run") ? plan_text(answer) : compression_text(answer));
}

// --- profiles ------------------------------------------------------------------------------------

std::string profile_path(const Args& args, std::string_view rest = "") {
    std::string path = "/v1/profiles";
    if (const auto name = args.value("NAME")) path += "/" + url_escape(*name);
    return path + std::string(rest) +
           fmt::format("?user={}&agent={}", url_escape(args.value("--user").value_or("")),
                       url_escape(args.value("--agent").value_or("")));
}

std::string text_of(const Args& args) {
    std::string text = args.value("TEXT").value_or("-");
    if (text != "-") return text;
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
    while (text.ends_with('\n')) text.pop_back();
    return text;
}

Result<int> profile_ls(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object list = DG_TRY(access->call("GET", profile_path(args)));
    return tell(args, program, list, json_text(list, "text"));
}

Result<int> profile_show(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const bool all = args.has("--history");
    const json::object found =
        DG_TRY(access->call("GET", profile_path(args, all ? "/history" : "")));
    if (!all) return tell(args, program, found, json_text(found, "text") + "\n");
    std::string text;
    for (const json::value& one : found.at("data").as_array()) {
        const json::object& block = one.as_object();
        text += fmt::format("--- version {}, {}\n{}\n", json_count(block, "version"),
                            time_text(block.at("changed_unix_ms").to_number<std::int64_t>()),
                            json_text(block, "text"));
    }
    return tell(args, program, found, text);
}

Result<int> changed(const Args& args, Program& program, const char* method, std::string_view rest,
                    const json::object& body) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object block = DG_TRY(access->call(method, profile_path(args, rest), &body));
    return tell(
        args, program, block,
        fmt::format("{} version {}\n", json_text(block, "name"), json_count(block, "version")));
}

Result<int> profile_set(const Args& args, Program& program) {
    json::object body;
    if (const auto n = DG_TRY(args.count("--to-version", 1, 1u << 31))) {
        body["version"] = *n;
        return changed(args, program, "POST", "/restore", body);
    }
    body["text"] = text_of(args);
    if (const auto text = args.value("--about")) body["description"] = *text;
    if (const auto n = DG_TRY(args.count("--limit", 1, 20'000))) body["limit_chars"] = *n;
    if (args.has("--read-only")) body["read_only"] = true;
    if (args.has("--unlock")) body["unlock"] = true;
    return changed(args, program, "PUT", "", body);
}

Result<int> profile_append(const Args& args, Program& program) {
    return changed(args, program, "POST", "/append", {{"line", text_of(args)}});
}

Result<int> profile_rm(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object gone = DG_TRY(access->call("DELETE", profile_path(args)));
    return tell(args, program, gone, json_text(gone, "name") + "\n");
}

std::vector<OptionSpec> with_owner(std::vector<OptionSpec> options) {
    options.push_back({"--user", "NAME", "Whose [default: nobody's in particular]."});
    options.push_back({"--agent", "NAME", "Of which agent [default: of any]."});
    return options;
}

Command profile_command() {
    constexpr PositionalSpec kName = {"NAME", "a block: human, persona, ...", true};
    constexpr PositionalSpec kText = {"TEXT", "the text; - or nothing: standard input", false};
    return command_group(
        "profile", "Small texts that are always in an agent's context",
        "Named blocks per user and agent, limited in size, with every state kept.",
        {memory_subcommand("ls", "Show all blocks as they go into a prompt",
                           "The same blocks always give the same text.", {}, with_owner({}),
                           {{"dougong memory profile ls --user ann", "Ann's blocks."}}, profile_ls),
         memory_subcommand(
             "show", "Show one block", "Its text, or every state it had.", {kName},
             with_owner({{"--history", "", "Every state, newest first."}}),
             {{"dougong memory profile show human --user ann", "What is known of Ann."}},
             profile_show),
         memory_subcommand(
             "set", "Make or change a block",
             "Writes the whole text. A block takes as many characters as its limit says.",
             {kName, kText},
             with_owner({{"--about", "TEXT", "What the block is for."},
                         {"--limit", "N", "Characters at most [default 2000]."},
                         {"--read-only", "", "Agents may not change it."},
                         {"--unlock", "", "Change it although it is read only."},
                         {"--to-version", "N", "Back to this version instead."}}),
             {{"dougong memory profile set human 'Ann. Likes tea.' --user ann", "The whole text."}},
             profile_set),
         memory_subcommand("append", "Add a line to a block", "At its end.", {kName, kText},
                           with_owner({}),
                           {{"dougong memory profile append human 'Allergic to nuts.' --user ann",
                             "One line more."}},
                           profile_append),
         memory_subcommand("rm", "Remove a block", "With its history.", {kName}, with_owner({}),
                           {{"dougong memory profile rm human --user ann", "It is gone."}},
                           profile_rm)});
}

}  // namespace

std::vector<Command> memory_upkeep_commands() {
    return {
        memory_subcommand(
            "forget", "Forget for good, with a receipt",
            "Memories, and what was made from them, are found no more when the command says so, "
            "and no byte of them is left in any file before the deadline that the receipt "
            "names. A subject is a name with all its aliases: see what belongs to it with "
            "--dry-run. This cannot be undone.",
            {{"ID", "memories: mem-...", false, true}},
            with_scope(
                {{"--subject", "NAME", "Everything about a person or thing."},
                 {"--document", "BASE/ID", "A document of a knowledge base."},
                 {"--label", "LABEL", "That opens it, where it has labels; may be repeated."},
                 {"--dry-run", "", "Only list what would go, and why."},
                 {"--yes", "", "Do not ask."},
                 {"--wait", "", "Until no byte is left; always with a folder."}}),
            {{"dougong memory forget --subject 'Ann Smith' --dry-run", "What would go."},
             {"dougong memory forget --user ann --yes --wait", "Prints the receipt."}},
            forget),
        memory_subcommand("receipts", "Receipts of what was forgotten", "All of a tenant, or one.",
                          {{"ID", "a receipt: forget-...", false}}, {},
                          {{"dougong memory receipts", "Newest first."}}, receipts),
        memory_subcommand(
            "compress", "Merge what is alike, drop what matters least",
            "Old memories of a session that are alike become one summary that names its "
            "sources; those that matter little go. Pinned and recent ones stay. Can be taken "
            "back while the history is kept.",
            {},
            with_scope(
                {{"--dry-run", "", "Only show the plan."},
                 {"--keep", "N", "Memories of a session at most [default 1000]."},
                 {"--importance", "N", "0 to 1: at least this stays [default 0.3]."},
                 {"--similarity", "N", "0 to 1: from here on alike [default 0.8]."},
                 {"--recent-hours", "N", "Younger ones stay as they are [default 24]."},
                 {"--sentences", "N", "Of a summary at most [default 3]."},
                 {"--merge", "", "Over --keep, join what follows each other instead of dropping."},
                 {"--by-model", "", "memory.summaries writes what becomes of several."},
                 {"--undo", "ID", "Take back this compression: compress-..."},
                 {"--list", "", "What was compressed."}}),
            {{"dougong memory compress --session s1 --dry-run", "The plan."},
             {"dougong memory compress --undo compress-...", "As it was."}},
            compress),
        profile_command()};
}

}  // namespace app
