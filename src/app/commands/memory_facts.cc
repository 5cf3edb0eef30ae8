// dougong memory facts|graph|chain|doctor: what is known beside the entries themselves.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "app/commands/memory_commands.h"
#include "app/commands/tell.h"
#include "app/memory_text.h"
#include "app/server_client.h"
#include "app/terminal/terminal.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

std::int64_t whole(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

std::string fact_text(const json::object& fact) {
    const std::int64_t to = whole(fact, "to_unix_ms");
    const json::value* ends = fact.if_contains("ends");
    return fmt::format("{} {} {}{}  {} to {}\n", json_text(fact, "subject"),
                       json_text(fact, "predicate"), json_text(fact, "object"),
                       ends != nullptr && ends->is_bool() && ends->get_bool() ? " (over)" : "",
                       time_text(whole(fact, "from_unix_ms")).substr(0, 10),
                       to == 0 ? "now" : time_text(to).substr(0, 10));
}

Result<int> facts(const Args& args, Program& program) {
    std::string query =
        fmt::format("?limit={}", DG_TRY(args.count("--limit", 1, 10'000)).value_or(100));
    for (const auto& [flag, name] :
         {std::pair{"SUBJECT", "subject"}, {"--predicate", "predicate"}, {"--object", "object"}}) {
        if (const auto text = args.value(flag)) {
            query += fmt::format("&{}={}", name, url_escape(*text));
        }
    }
    for (const auto& [flag, name] :
         {std::pair{"--as-of", "valid_at_unix_ms"}, {"--known-at", "recorded_at_unix_ms"}}) {
        if (const auto text = args.value(flag)) {
            query += fmt::format("&{}={}", name, DG_TRY(parse_time(flag, *text)));
        }
    }
    if (args.has("--history")) query += "&history=1";
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const bool contradicts = args.has("--contradictions");
    const json::object answer = DG_TRY(
        access->call("GET", (contradicts ? "/v1/facts/contradictions" : "/v1/facts") + query));
    std::string text;
    for (const json::value& one : answer.at("data").as_array()) {
        const json::object& fact = one.as_object();
        text += contradicts
                    ? fmt::format("{} and {} from {}\n", json_text(fact, "first"),
                                  json_text(fact, "second"), time_text(whole(fact, "from_unix_ms")))
                    : fact_text(fact);
    }
    return tell(args, program, answer, text.empty() ? "no such facts\n" : text);
}

/// Graphviz, for `| dot -Tsvg`.
std::string dot_text(const json::object& graph) {
    const auto quoted = [](const std::string& name) {
        return base::to_text(json::value(json::string(name)));
    };
    std::string out = "digraph {\n";
    for (const json::value& one : graph.at("names").as_array()) {
        out += "  " + quoted(json_text(one.as_object(), "name")) + ";\n";
    }
    for (const json::value& one : graph.at("facts").as_array()) {
        const json::object& fact = one.as_object();
        out += fmt::format("  {} -> {} [label={}];\n", quoted(json_text(fact, "subject")),
                           quoted(json_text(fact, "object")), quoted(json_text(fact, "predicate")));
    }
    return out + "}\n";
}

std::string graph_text(const json::object& graph) {
    std::string out;
    for (const json::value& one : graph.at("facts").as_array()) out += fact_text(one.as_object());
    return out.empty() ? "nobody of that name is in a fact that holds\n" : out;
}

std::string paths_text(const json::object& paths) {
    std::string out;
    for (const json::value& path : paths.at("data").as_array()) {
        std::string line;
        for (const json::value& one : path.as_array()) {
            const json::object& link = one.as_object();
            line += fmt::format("{}{} {} {}", line.empty() ? "" : "; ", json_text(link, "subject"),
                                json_text(link, "predicate"), json_text(link, "object"));
        }
        out += line + "\n";
    }
    return out.empty() ? "no path of facts leads from one to the other\n" : out;
}

Result<int> graph(const Args& args, Program& program) {
    const std::string name = args.value("NAME").value_or("");
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    if (const auto to = args.value("--to")) {
        const json::object paths = DG_TRY(access->call(
            "GET", fmt::format("/v1/facts/paths?from={}&to={}&length={}", url_escape(name),
                               url_escape(*to), DG_TRY(args.count("--depth", 1, 6)).value_or(4))));
        return tell(args, program, paths, paths_text(paths));
    }
    const json::object found = DG_TRY(access->call(
        "GET", fmt::format("/v1/facts/graph?name={}&depth={}&limit={}", url_escape(name),
                           DG_TRY(args.count("--depth", 1, 6)).value_or(2),
                           DG_TRY(args.count("--limit", 1, 1'000)).value_or(100))));
    return tell(args, program, found, args.has("--dot") ? dot_text(found) : graph_text(found));
}

/// A session from its first entry to its last, with what summaries and merges link to.
Result<int> chain(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    std::string path = fmt::format("/v1/memories?order=asc&limit=500&session={}",
                                   url_escape(args.value("SESSION").value_or("")));
    if (const auto user = args.value("--user")) path += "&user=" + url_escape(*user);
    json::array all;
    for (std::string cursor;;) {
        json::object page =
            DG_TRY(access->call("GET", fmt::format("{}&cursor={}", path, url_escape(cursor))));
        for (json::value& entry : page.at("data").as_array()) all.push_back(std::move(entry));
        cursor = json_text(page, "next");
        if (cursor.empty()) break;
    }
    std::string text;
    for (const json::value& one : all) {
        const json::object& entry = one.as_object();
        const std::string speaker = json_text(entry, "speaker");
        text += fmt::format("{}  {}{}\n", time_text(whole(entry, "created_unix_ms")),
                            speaker.empty() ? "" : speaker + ": ", json_text(entry, "content"));
        for (const json::value& source : entry.at("sources").as_array()) {
            text += fmt::format("                     from {}\n",
                                json_text(source.as_object(), "source"));
        }
    }
    if (text.empty()) text = "that session has no memories\n";
    const json::object answer = {{"object", "list"}, {"data", std::move(all)}};
    return tell(args, program, answer, text);
}

Result<int> doctor(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("POST", "/v1/memories/check"));
    std::string text;
    for (const json::value& one : answer.at("findings").as_array()) {
        const json::object& found = one.as_object();
        const bool sound = found.at("sound").as_bool();
        text += fmt::format(
            "{}  {:<11} {}\n",
            program.terminal.out_styled(sound ? Style::green : Style::red, sound ? "ok" : "!!"),
            json_text(found, "what"), json_text(found, "detail"));
    }
    tell(args, program, answer, text);
    return answer.at("sound").as_bool() ? 0 : 1;
}

}  // namespace

std::vector<Command> memory_knowing_commands() {
    return {
        memory_subcommand(
            "facts", "What is known of somebody or something",
            "Statements that were read out of memories or stated, with the time in which each "
            "holds. A newer one closes an older one of the same subject and relation.",
            {{"SUBJECT", "about whom or what [default: all]", false}},
            {{"--predicate", "NAME", "This relation alone, as lives_in."},
             {"--object", "NAME", "With this value alone."},
             {"--as-of", "TIME", "What was so then, as 2026-11-30."},
             {"--known-at", "TIME", "As it was known then."},
             {"--history", "", "Every interval instead of one moment."},
             {"--contradictions", "", "Statements that cannot both be so."},
             {"--limit", "N", "At most [default 100]."}},
            {{"dougong memory facts Ann", "What is so now."},
             {"dougong memory facts Ann --predicate lives_in --history", "Where she lived, when."}},
            facts),
        memory_subcommand("graph", "Who and what is connected with a name",
                          "The facts around a name that hold now, by depth; with --to, how two "
                          "names hang together.",
                          {{"NAME", "a person or thing", true}},
                          {{"--depth", "N", "Facts away from it [default 2; with --to 4]."},
                           {"--to", "NAME", "Paths to this one instead."},
                           {"--limit", "N", "Names at most [default 100]."},
                           {"--dot", "", "For Graphviz."}},
                          {{"dougong memory graph Ann", "Her neighbourhood."},
                           {"dougong memory graph Ann --to Bob", "What connects them."},
                           {"dougong memory graph Ann --dot | dot -Tsvg > ann.svg", "A picture."}},
                          graph),
        memory_subcommand(
            "chain", "Read a session from its first memory to its last",
            "Oldest first, with the sources of what was summarised or merged.",
            {{"SESSION", "its name", true}}, {{"--user", "NAME", "Of this user alone."}},
            {{"dougong memory chain monday-call", "What was said, in order."}}, chain),
        memory_subcommand("doctor", "Check files, indexes and what runs in the background",
                          "Reads everything that is on disk, holds the index of the tenant "
                          "against it, and waits for what is not embedded or read yet. Exits with "
                          "1 when something is wrong.",
                          {}, {}, {{"dougong memory doctor", "Sound, or what to do."}}, doctor)};
}

}  // namespace app
