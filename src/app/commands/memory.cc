// dougong memory: what agents remember, from the command line.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <iostream>

#include "app/commands/commands.h"
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

std::string memory_path(std::string_view id, std::string_view rest = "") {
    return fmt::format("/v1/memories/{}{}", url_escape(id), rest);
}

/// The scope's flags, as fields of a body.
void take_scope(const Args& args, json::object& body) {
    for (const auto& [flag, name] : {std::pair{"--user", "user"},
                                     {"--agent", "agent"},
                                     {"--session", "session"},
                                     {"--run", "run"}}) {
        if (const auto text = args.value(flag)) body[name] = *text;
    }
}

Result<json::object> metadata_of(const Args& args) {
    json::object out;
    for (const std::string& text : args.all("--meta")) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos || equals == 0) {
            return base::fail_on("--meta", Code::invalid_argument,
                                 "--meta is '{}', expected NAME=VALUE", text);
        }
        // A value that reads as JSON is that: numbers compare as numbers.
        const std::string value = text.substr(equals + 1);
        const auto parsed = base::parse_json(value);
        out[text.substr(0, equals)] = parsed ? *parsed : json::value(json::string(value));
    }
    return out;
}

Result<std::string> content_of(const Args& args) {
    std::string text = args.value("TEXT").value_or("-");
    if (text != "-") return text;
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
    while (text.ends_with('\n')) text.pop_back();
    if (!text.empty()) return text;
    return base::fail_on("TEXT", Code::invalid_argument,
                         "there is nothing to remember: give a text, or pipe one in");
}

Result<int> add(const Args& args, Program& program) {
    json::object body = {{"content", DG_TRY(content_of(args))},
                         {"metadata", DG_TRY(metadata_of(args))},
                         {"pinned", args.has("--pin")}};
    take_scope(args, body);
    if (const auto type = args.value("--type")) body["type"] = *type;
    if (const auto name = args.value("--speaker")) body["speaker"] = *name;
    if (const auto n = DG_TRY(args.number("--importance", 0, 1))) body["importance"] = *n;
    if (const auto n = DG_TRY(args.number("--ttl-s", 0, 1e10))) {
        body["ttl_ms"] = static_cast<std::int64_t>(*n * 1000);
    }
    if (const auto time = args.value("--at")) {
        body["created_unix_ms"] = DG_TRY(parse_time("--at", *time));
    }
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object added = DG_TRY(access->call("POST", "/v1/memories", &body));
    if (const auto settled = access->settle(); !settled) {
        program.terminal.err(
            fmt::format("kept; not read in every way yet: {}\n", settled.error().message));
    }
    if (args.has("--json")) {
        print_json(program, added);
    } else {
        const std::string how = json_text(added, "how");
        program.terminal.out(json_text(added, "id") + "\n");
        if (how != "added") program.terminal.err(how + ": it was there already\n");
    }
    return 0;
}

Result<int> find(const Args& args, Program& program, bool explain) {
    json::object body = {{"query", args.value("QUERY").value_or("")}, {"explain", explain}};
    take_scope(args, body);
    json::array types;
    for (const std::string& type : args.all("--type")) types.push_back(json::string(type));
    body["types"] = std::move(types);
    if (const auto text = args.value("--where")) body["metadata"] = *text;
    if (const auto n = DG_TRY(args.count("--limit", 1, 1000))) body["limit"] = *n;
    if (const auto n = DG_TRY(args.count("--tokens", 1, 10'000'000))) body["tokens_max"] = *n;
    if (const auto n = DG_TRY(args.count("--neighbours", 0, 50))) body["neighbours"] = *n;
    if (const auto n = DG_TRY(args.count("--rerank", 0, 200))) body["rerank"] = *n;
    json::object created;
    for (const auto& [flag, name] :
         {std::pair{"--since", "from_unix_ms"}, {"--until", "to_unix_ms"}}) {
        if (const auto time = args.value(flag)) created[name] = DG_TRY(parse_time(flag, *time));
    }
    body["created"] = std::move(created);
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("POST", "/v1/memories/search", &body));
    return tell(args, program, answer, answer_text(answer, program.terminal));
}
Result<int> search(const Args& args, Program& program) {
    return find(args, program, false);
}
Result<int> explain(const Args& args, Program& program) {
    return find(args, program, true);
}

Result<int> list(const Args& args, Program& program) {
    std::string query =
        fmt::format("?limit={}", DG_TRY(args.count("--limit", 1, 1000)).value_or(20));
    for (const auto& [flag, name] : {std::pair{"--user", "user"},
                                     {"--agent", "agent"},
                                     {"--session", "session"},
                                     {"--run", "run"},
                                     {"--where", "metadata"}}) {
        if (const auto text = args.value(flag)) {
            query += fmt::format("&{}={}", name, url_escape(*text));
        }
    }
    for (const std::string& type : args.all("--type")) query += "&type=" + url_escape(type);
    if (args.has("--oldest-first")) query += "&order=asc";
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object page = DG_TRY(access->call("GET", "/v1/memories" + query));
    return tell(args, program, page, list_text(page, program.terminal));
}

Result<int> show(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object entry =
        DG_TRY(access->call("GET", memory_path(args.value("ID").value_or(""))));
    return tell(args, program, entry, entry_text(entry));
}

Result<int> history(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object versions =
        DG_TRY(access->call("GET", memory_path(args.value("ID").value_or(""), "/history")));
    return tell(args, program, versions, history_text(versions));
}

Result<int> restore(const Args& args, Program& program) {
    json::object body;
    if (const auto n = DG_TRY(args.count("--to", 1, 1u << 31))) body["version"] = *n;
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object entry =
        DG_TRY(access->call("POST", memory_path(args.value("ID").value_or(""), "/restore"), &body));
    return tell(args, program, entry, entry_text(entry));
}

Result<int> rm(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    for (const std::string& id : args.all("ID")) {
        const json::object gone = DG_TRY(access->call("DELETE", memory_path(id)));
        if (args.has("--json")) {
            print_json(program, gone);
        } else {
            program.terminal.out(id + "\n");
        }
    }
    return 0;
}

Result<int> stats(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object found = DG_TRY(access->call("GET", "/v1/memories/stats"));
    return tell(args, program, found, stats_text(found));
}

/// One entry a line, oldest first, as `import` reads them.
Result<int> export_all(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    std::ofstream file;
    if (const auto path = args.value("FILE")) {
        file.open(*path, std::ios::trunc);
        if (!file) return base::fail_on("FILE", Code::unavailable, "cannot write '{}'", *path);
    }
    std::uint64_t count = 0;
    for (std::string cursor;;) {
        const json::object page = DG_TRY(access->call(
            "GET", fmt::format("/v1/memories?order=asc&limit=500&cursor={}", url_escape(cursor))));
        const json::value* data = page.if_contains("data");
        std::string lines;
        for (const json::value& entry : data->as_array()) {
            lines += base::to_text(entry) + "\n";
            ++count;
        }
        if (!file.is_open()) {
            program.terminal.out(lines);
        } else if (!(file << lines << std::flush)) {
            return base::fail_on("FILE", Code::resource_exhausted, "'{}': the disk is full",
                                 args.value("FILE").value_or(""));
        }
        cursor = json_text(page, "next");
        if (cursor.empty()) break;
    }
    program.terminal.err(fmt::format("{} memories\n", count));
    return 0;
}

/// What `add` takes of an exported line; the old id is the key against doing it twice.
json::object importable(const json::object& line) {
    json::object out;
    for (const std::string_view name :
         {"type", "content", "speaker", "user", "agent", "session", "run", "metadata", "media",
          "created_unix_ms", "valid_from_unix_ms", "valid_to_unix_ms", "importance", "pinned",
          "sources", "idempotency_key"}) {
        if (const json::value* value = line.if_contains(name)) out[name] = *value;
    }
    if (const std::string id = json_text(line, "id");
        !id.empty() && !out.contains("idempotency_key")) {
        out["idempotency_key"] = "import-" + id;
    }
    return out;
}

Result<int> import_all(const Args& args, Program& program) {
    const std::string path = args.value("FILE").value_or("");
    std::ifstream file(path);
    if (!file) return base::fail_on("FILE", Code::not_found, "cannot read '{}'", path);
    file.seekg(0, std::ios::end);
    const auto total = static_cast<std::uint64_t>(file.tellg());
    file.seekg(0);
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    ProgressBar bar(program.terminal, program.clock, "import");
    constexpr std::size_t kBatch = 500;
    json::array batch;
    std::uint64_t number = 0, done_bytes = 0, added = 0, merged = 0;
    const auto flush = [&]() -> Result<void> {
        if (batch.empty()) return {};
        const json::object body = {{"memories", std::exchange(batch, {})}};
        const json::object answer = DG_TRY(access->call("POST", "/v1/memories", &body));
        for (const json::value& one : answer.at("data").as_array()) {
            (json_text(one.as_object(), "how") == "added" ? added : merged) += 1;
        }
        bar.update(done_bytes, total);
        return {};
    };
    for (std::string line; std::getline(file, line);) {
        ++number;
        done_bytes += line.size() + 1;
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        const auto parsed = base::parse_json(line);
        if (!parsed || !parsed->is_object()) {
            return base::fail_on(
                "FILE", Code::invalid_argument,
                "{}:{}: not a JSON object{}; {} lines before it were imported, and "
                "importing again does not repeat them",
                path, number, parsed ? "" : ": " + parsed.error().message, added + merged);
        }
        batch.push_back(importable(parsed->get_object()));
        if (batch.size() < kBatch) continue;
        if (auto sent = flush(); !sent) {
            return std::unexpected(std::move(sent).error().with_context(
                fmt::format("{}: lines up to {}", path, number)));
        }
    }
    if (auto sent = flush(); !sent) {
        return std::unexpected(
            std::move(sent).error().with_context(fmt::format("{}: lines up to {}", path, number)));
    }
    bar.finish();
    DG_TRY(access->settle());
    const json::object result = {{"object", "import"}, {"added", added}, {"already_there", merged}};
    return tell(args, program, result,
                fmt::format("{} added, {} were there already\n", added, merged));
}

constexpr PositionalSpec kId = {"ID", "a memory: mem-...", true};
constexpr PositionalSpec kIds = {"ID", "memories: mem-...", true, true};

std::vector<OptionSpec> search_flags() {
    return with_scope({{"--limit", "N", "Hits at most [default 10]."},
                       {"--tokens", "N", "Budget of all their texts, in tokens."},
                       {"--neighbours", "N", "Entries of its session before and after each."},
                       {"--rerank", "N", "Let memory.reranker read so many beside the question."},
                       {"--type", "TYPE",
                        "short_term, working, long_term, episodic, semantic; "
                        "several times."},
                       {"--where", "EXPR", "Over metadata, as topic = \"billing\" and n >= 2."},
                       {"--since", "TIME", "Created at or after, as 2026-11-30 or with a time."},
                       {"--until", "TIME", "Created before."}});
}

}  // namespace

Command memory_subcommand(std::string_view name, std::string_view summary, std::string_view about,
                          std::vector<PositionalSpec> positionals, std::vector<OptionSpec> options,
                          std::vector<Example> examples, RunCommand run) {
    for (const OptionSpec& option : memory_options()) options.push_back(option);
    return subcommand(name, summary, about, std::move(positionals), std::move(options),
                      std::move(examples), run, {"memory"});
}

std::vector<OptionSpec> with_scope(std::vector<OptionSpec> options) {
    for (const OptionSpec& option : {OptionSpec{"--user", "NAME", "Of this user."},
                                     {"--agent", "NAME", "Of this agent."},
                                     {"--session", "NAME", "Of this session."},
                                     {"--run", "NAME", "Of this run."}}) {
        options.push_back(option);
    }
    return options;
}

Command memory_command() {
    Command all = command_group(
        "memory", "Remember, and find again",
        "What agents know: written once, found by words and by meaning. Works on the folder of "
        "this machine, or on a running server that has it.",
        {memory_subcommand(
             "add", "Remember a text",
             "Writes one memory and prints its id. It is on the disk when the command "
             "returns.",
             {{"TEXT", "what to remember; - or nothing: standard input", false}},
             with_scope({{"--type", "TYPE",
                          "short_term, working, long_term, episodic or semantic [default "
                          "long_term]."},
                         {"--speaker", "NAME", "Who said it."},
                         {"--meta", "NAME=VALUE", "Metadata; several times."},
                         {"--importance", "N", "0 to 1 [default 0.5]."},
                         {"--ttl-s", "N", "Forget it after so many seconds."},
                         {"--at", "TIME", "When it happened [default: now]."},
                         {"--pin", "", "Never expire, compress or merge it away."}}),
             {{"dougong memory add 'Ann is allergic to nuts' --user ann", "Prints mem-..."},
              {"dougong memory add --meta topic=billing < note.txt", "From a file."}},
             add),
         memory_subcommand("search", "Find memories by words and meaning",
                           "Prints the best hits, best first, with their scores.",
                           {{"QUERY", "what to look for", true}}, search_flags(),
                           {{"dougong memory search 'what is Ann allergic to'", "The best ten."}},
                           search),
         memory_subcommand(
             "explain", "Find, and show every part of every score",
             "As search, with the signals that made each score and the scans that ran.",
             {{"QUERY", "what to look for", true}}, search_flags(),
             {{"dougong memory explain 'nut allergy'", "Why these, in this order."}}, explain),
         memory_subcommand("ls", "List memories by time", "Newest first.", {},
                           with_scope({{"--limit", "N", "At most [default 20]."},
                                       {"--type", "TYPE", "Of this type; several times."},
                                       {"--where", "EXPR", "Over metadata."},
                                       {"--oldest-first", "", "The other way round."}}),
                           {{"dougong memory ls --user ann", "Ann's last twenty."}}, list),
         memory_subcommand("show", "Show one memory", "All that is known of it.", {kId}, {},
                           {{"dougong memory show mem-...", "Text, times, sources."}}, show),
         memory_subcommand("history", "Show every state a memory had", "Newest first.", {kId}, {},
                           {{"dougong memory history mem-...", "Who changed what, when."}},
                           history),
         memory_subcommand("restore", "Take a memory back to an earlier state",
                           "Makes an earlier version the newest; also brings back a removed one.",
                           {kId}, {{"--to", "N", "Which version, as history lists them."}},
                           {{"dougong memory restore mem-... --to 1", "As it was first."}},
                           restore),
         memory_subcommand(
             "rm", "Remove memories",
             "They are found no more; restore brings one back while its history is kept.", {kIds},
             {}, {{"dougong memory rm mem-...", "Out of every search."}}, rm),
         memory_subcommand("stats", "Sizes, and what waits", "Of the whole store.", {}, {},
                           {{"dougong memory stats", "Entries, versions, bytes."}}, stats),
         memory_subcommand("export", "Write all memories of a tenant as JSON lines",
                           "One memory a line, oldest first.",
                           {{"FILE", "where to [default: stdout]"}}, {},
                           {{"dougong memory export all.jsonl", "What import reads."}}, export_all),
         memory_subcommand(
             "import", "Read memories from JSON lines",
             "Reads what export wrote, or any lines with a content. Doing it again within a "
             "day repeats nothing.",
             {{"FILE", "JSON lines", true}}, {},
             {{"dougong memory import all.jsonl", "In batches, with progress."}}, import_all)});
    for (Command& one : memory_knowing_commands()) all.subcommands.push_back(std::move(one));
    for (Command& one : memory_upkeep_commands()) all.subcommands.push_back(std::move(one));
    return all;
}

}  // namespace app
