// dougong knowledge: documents made searchable, from the command line.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "app/commands/knowledge.h"
#include "app/commands/memory_commands.h"
#include "app/commands/tell.h"
#include "app/memory_access.h"
#include "app/memory_text.h"
#include "app/server_client.h"
#include "app/terminal/progress_bar.h"
#include "app/terminal/terminal.h"
#include "base/files/files.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;
namespace fs = std::filesystem;

constexpr std::uint64_t kFileBytesMax = 256ull << 20;
constexpr std::size_t kFilesMax = 1'000'000;

std::string base_of(const Args& args) {
    return args.value("--base").value_or("default");
}

std::string documents_path(const Args& args, std::string_view id = "") {
    std::string path = "/v1/knowledge/" + url_escape(base_of(args)) + "/documents";
    if (!id.empty()) path += "/" + url_escape(id);
    return path;
}

/// "?label=hr&label=legal" of the flags, as the query's first part.
std::string labels_query(const Args& args) {
    std::string query;
    for (const std::string& label : args.all("--label")) {
        query += (query.empty() ? "?label=" : "&label=") + url_escape(label);
    }
    return query;
}

const json::array& data_of(const json::object& answer) {
    static const json::array kNone;
    const json::value* data = answer.if_contains("data");
    return data != nullptr && data->is_array() ? data->get_array() : kNone;
}

/// "leave.pdf, page 2, Holidays › Parents".
std::string citation_text(const json::object& at) {
    std::string out = json_text(at, "title");
    const std::string place = json_text(at, "place");
    if (const auto page = json_count(at, "page"); page != 0) {
        out += fmt::format(", page {}{}", page, place.empty() ? "" : " (" + place + ")");
    }
    std::string section;
    if (const json::value* path = at.if_contains("section"); path != nullptr && path->is_array()) {
        for (const json::value& one : path->get_array()) {
            if (!one.is_string()) continue;
            section += (section.empty() ? ", " : " › ") + std::string(one.get_string());
        }
    }
    return out + section;
}

std::string indented(std::string_view text) {
    std::string out = "    ";
    for (const char c : text) {
        out += c;
        if (c == '\n') out += "    ";
    }
    return out + "\n";
}

/// Files named, and those in named folders, in order; hidden ones only when named.
Result<std::vector<std::string>> files_of(const std::vector<std::string>& names) {
    std::vector<std::string> files;
    for (const std::string& name : names) {
        std::error_code error;
        if (!fs::is_directory(name, error)) {
            if (!fs::exists(name, error)) {
                return base::fail_on("FILE", Code::not_found, "there is no file '{}'", name);
            }
            files.push_back(name);
            continue;
        }
        auto at = fs::recursive_directory_iterator(name, error);
        for (; !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
            const bool hidden = at->path().filename().string().starts_with('.');
            if (hidden && at->is_directory(error)) at.disable_recursion_pending();
            if (!hidden && at->is_regular_file(error)) files.push_back(at->path().string());
            if (files.size() > kFilesMax) {
                return base::fail_on("FILE", Code::payload_too_large, "more than {} files",
                                     kFilesMax);
            }
        }
        if (error) {
            return base::fail_on("FILE", Code::unavailable, "cannot read the folder '{}': {}", name,
                                 error.message());
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::string uri_of(const std::string& file) {
    std::error_code error;
    const fs::path whole = fs::weakly_canonical(file, error);
    return "file://" + url_escape(error ? file : whole.string());
}

Result<json::object> add_one(MemoryAccess& access, const Args& args, const std::string& file) {
    const bool piped = file == "-";
    std::string bytes = piped ? std::string(std::istreambuf_iterator<char>(std::cin), {})
                              : DG_TRY(base::read_file(file, kFileBytesMax));
    std::string query = piped ? "?name=" : "?uri=" + url_escape(uri_of(file)) + "&name=";
    if (!piped) query += url_escape(fs::path(file).filename().string());
    for (const auto& [flag, name] : {std::pair{"--id", "id"},
                                     {"--uri", "uri"},
                                     {"--title", "title"},
                                     {"--media-type", "media_type"},
                                     {"--meta", "metadata"}}) {
        if (const auto text = args.value(flag))
            query += fmt::format("&{}={}", name, url_escape(*text));
    }
    for (const std::string& label : args.all("--label")) query += "&label=" + url_escape(label);
    return access.upload(documents_path(args) + query, std::move(bytes));
}

Result<int> add(const Args& args, Program& program) {
    const std::vector<std::string> named = args.all("FILE");
    const auto files = named == std::vector<std::string>{"-"} ? named : DG_TRY(files_of(named));
    if (files.size() > 1 && (args.has("--id") || args.has("--uri") || args.has("--title"))) {
        return base::fail_on("FILE", Code::invalid_argument,
                             "--id, --uri and --title are for one file; there are {}",
                             files.size());
    }
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    ProgressBar bar(program.terminal, program.clock, "add");
    std::uint64_t total = 0, done = 0;
    for (const std::string& file : files) {
        std::error_code error;
        const auto size = fs::file_size(file, error);
        total += error ? 0 : size;
    }
    std::size_t failed = 0, passages = 0;
    std::optional<base::Error> last;
    for (const std::string& file : files) {
        const auto added = add_one(*access, args, file);
        std::error_code error;
        const auto size = fs::file_size(file, error);
        done += error ? 0 : size;
        if (!added) {
            // One bad file of many is told and passed over.
            last = added.error();
            ++failed;
            if (files.size() > 1) {
                program.terminal.err(fmt::format("{}: {}\n", file, added.error().message));
            }
            continue;
        }
        if (files.size() > 1) bar.update(done, total);
        passages += json_count(*added, "passages");
        if (args.has("--json")) {
            print_json(program, *added);
        } else {
            program.terminal.out(fmt::format(
                "{}  {}, {} passages: {}\n", json_text(*added, "id"), json_text(*added, "how"),
                json_count(*added, "passages"), json_text(*added, "title")));
        }
        if (const json::value* warnings = added->if_contains("warnings");
            warnings != nullptr && warnings->is_array()) {
            for (const json::value& warning : warnings->get_array()) {
                program.terminal.err(
                    fmt::format("{}: {}\n", file, std::string(warning.as_string())));
            }
        }
    }
    bar.finish();
    if (failed == files.size() && last) return std::unexpected(std::move(*last));
    if (const auto settled = access->settle(); !settled) {
        program.terminal.err(
            fmt::format("no vectors yet, found by words: {}\n", settled.error().message));
    }
    if (files.size() > 1) {
        program.terminal.err(fmt::format("{} documents, {} passages, {} failed\n",
                                         files.size() - failed, passages, failed));
    }
    return failed == 0 ? 0 : 1;
}

Result<int> list(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    if (!args.has("--base")) {
        const json::object answer =
            DG_TRY(access->call("GET", "/v1/knowledge" + labels_query(args)));
        if (args.has("--json")) {
            print_json(program, answer);
            return 0;
        }
        for (const json::value& one : data_of(answer)) {
            const json::object& base = one.as_object();
            program.terminal.out(fmt::format(
                "{:<24} {:>7} documents {:>9} passages  {}\n", json_text(base, "name"),
                json_count(base, "documents"), json_count(base, "passages"),
                time_text(static_cast<std::int64_t>(json_count(base, "changed_unix_ms")))));
        }
        return 0;
    }
    const std::string query = labels_query(args);
    for (std::string cursor;;) {
        const json::object page =
            DG_TRY(access->call("GET", documents_path(args) + query + (query.empty() ? "?" : "&") +
                                           "limit=500&cursor=" + url_escape(cursor)));
        for (const json::value& one : data_of(page)) {
            const json::object& document = one.as_object();
            program.terminal.out(
                args.has("--json")
                    ? base::to_text(document) + "\n"
                    : fmt::format("{}  {:>4} pages {:>5} passages  {}\n", json_text(document, "id"),
                                  json_count(document, "pages"), json_count(document, "passages"),
                                  json_text(document, "title")));
        }
        cursor = json_text(page, "next");
        if (cursor.empty()) return 0;
    }
}

Result<int> show(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const std::string path = documents_path(args, args.value("ID").value_or(""));
    if (args.has("--text")) {
        const json::object text = DG_TRY(access->call("GET", path + "/text" + labels_query(args)));
        program.terminal.out(args.has("--json") ? base::to_text(text) + "\n"
                                                : json_text(text, "text") + "\n");
        return 0;
    }
    const json::object document = DG_TRY(access->call("GET", path + labels_query(args)));
    if (args.has("--json")) {
        print_json(program, document);
        return 0;
    }
    std::string out =
        fmt::format("{}\n  {} in {}, {}\n  {} bytes, {} pages, {} passages, version {}\n",
                    json_text(document, "title"), json_text(document, "id"),
                    json_text(document, "base"), json_text(document, "media_type"),
                    json_count(document, "bytes"), json_count(document, "pages"),
                    json_count(document, "passages"), json_count(document, "version"));
    if (const std::string uri = json_text(document, "uri"); !uri.empty()) out += "  " + uri + "\n";
    for (const json::value& item : document.at("outline").as_array()) {
        const json::object& heading = item.as_object();
        const auto page = json_count(heading, "page");
        out += fmt::format("{}{}{}\n", std::string(2 * json_count(heading, "level"), ' '),
                           json_text(heading, "title"), page == 0 ? "" : fmt::format("  {}", page));
    }
    for (const json::value& warning : document.at("warnings").as_array()) {
        out += "  ! " + std::string(warning.as_string()) + "\n";
    }
    program.terminal.out(out);
    return 0;
}

Result<int> search(const Args& args, Program& program) {
    json::object body = {{"query", args.value("QUERY").value_or("")}};
    if (const auto base = args.value("--base")) body["base"] = *base;
    if (const auto document = args.value("--document")) body["document"] = *document;
    if (const auto where = args.value("--where")) body["metadata"] = *where;
    if (const auto n = DG_TRY(args.count("--limit", 1, 100))) body["limit"] = *n;
    if (const auto n = DG_TRY(args.count("--tokens", 1, 10'000'000))) body["tokens_max"] = *n;
    json::array labels;
    for (const std::string& label : args.all("--label")) labels.push_back(json::string(label));
    body["labels"] = std::move(labels);
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("POST", "/v1/knowledge/search", &body));
    if (args.has("--json")) {
        print_json(program, answer);
        return 0;
    }
    int number = 0;
    for (const json::value& one : data_of(answer)) {
        const json::object& passage = one.as_object();
        const json::object& at = passage.at("at").as_object();
        program.terminal.out(fmt::format(
            "{} {} {}\n{}\n",
            program.terminal.out_styled(Style::bold, fmt::format("[{}]", ++number)),
            citation_text(at),
            program.terminal.out_styled(
                Style::dim, fmt::format("bytes {} to {} of {}", json_count(at, "begin"),
                                        json_count(at, "end"), json_text(at, "document"))),
            indented(json_text(passage, "text"))));
    }
    if (number == 0) program.terminal.err("nothing found\n");
    return 0;
}

Result<int> conflicts(const Args& args, Program& program) {
    std::string query = labels_query(args);
    if (const auto base = args.value("--base")) {
        query += (query.empty() ? "?base=" : "&base=") + url_escape(*base);
    }
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    const json::object answer = DG_TRY(access->call("GET", "/v1/knowledge/conflicts" + query));
    if (args.has("--json")) {
        print_json(program, answer);
        return 0;
    }
    for (const json::value& one : data_of(answer)) {
        const json::object& conflict = one.as_object();
        program.terminal.out(program.terminal.out_styled(
                                 Style::bold, fmt::format("{}: {}", json_text(conflict, "subject"),
                                                          json_text(conflict, "attribute"))) +
                             "\n");
        for (const json::value& statement : conflict.at("statements").as_array()) {
            const json::object& said = statement.as_object();
            program.terminal.out(fmt::format("  {:<20} {}\n", json_text(said, "value"),
                                             citation_text(said.at("at").as_object())));
        }
    }
    if (data_of(answer).empty()) program.terminal.err("no conflicts found\n");
    return 0;
}

Result<int> rm(const Args& args, Program& program) {
    const auto access = DG_TRY(MemoryAccess::open(args, program));
    for (const std::string& id : args.all("ID")) {
        const json::object gone =
            DG_TRY(access->call("DELETE", documents_path(args, id) + labels_query(args)));
        program.terminal.out((args.has("--json") ? base::to_text(gone) : id) + "\n");
    }
    return 0;
}

constexpr OptionSpec kBase = {"--base", "NAME", "The knowledge base [default: default]."};
constexpr OptionSpec kAnyBase = {"--base", "NAME", "Of this knowledge base [default: of all]."};
constexpr OptionSpec kLabel = {"--label", "NAME",
                               "An access label you hold; several times. On add: who may see it."};

Command command(std::string_view name, std::string_view summary, std::string_view about,
                std::vector<PositionalSpec> positionals, std::vector<OptionSpec> options,
                std::vector<Example> examples, RunCommand run) {
    options.push_back(kLabel);
    return memory_subcommand(name, summary, about, std::move(positionals), std::move(options),
                             std::move(examples), run);
}

}  // namespace

Command knowledge_command() {
    constexpr PositionalSpec kId = {"ID", "a document, as ls shows it", true};
    return command_group(
        "knowledge", "Search documents, cited to page and place",
        "Knowledge bases of documents: text, Markdown, HTML, PDF, DOCX, XLSX, PPTX, and images "
        "where tesseract is installed. Each is read in a process of its own that reaches "
        "nothing.",
        {command("add", "Add or replace documents",
                 "Reads files, and all files of folders. A file that was added before replaces "
                 "what it was; what did not change keeps its vectors. Bad files are told and "
                 "passed over.",
                 {{"FILE", "files and folders; -: standard input", true, true}},
                 {kBase,
                  {"--id", "ID", "Its id [default: made from its path]."},
                  {"--uri", "URI", "Where it comes from [default: its path]."},
                  {"--title", "TEXT", "Its title [default: as it says itself]."},
                  {"--media-type", "TYPE", "What it is [default: told from its bytes]."},
                  {"--meta", "JSON", "Metadata, as {\"year\": 2024}."}},
                 {{"dougong knowledge add handbook/ --base hr", "Every file of a folder."},
                  {"dougong knowledge add pay.xlsx --label hr", "For those who hold hr."}},
                 add),
         command("ls", "List knowledge bases, or the documents of one",
                 "Without --base: the bases. With it: its documents.", {}, {kAnyBase},
                 {{"dougong knowledge ls --base hr", "Its documents."}}, list),
         command("show", "Show a document: outline, pages, warnings",
                 "With --text its extracted text, in which citations count bytes.", {kId},
                 {kBase, {"--text", "", "Its extracted text."}},
                 {{"dougong knowledge show doc-... --base hr", "Its outline."}}, show),
         command("search", "Find passages",
                 "Prints the best passages with document, page, section and place.",
                 {{"QUERY", "what to look for", true}},
                 {kAnyBase,
                  {"--document", "ID", "In this document."},
                  {"--limit", "N", "Passages at most [default 10]."},
                  {"--tokens", "N", "Budget of all passages, in tokens."},
                  {"--where", "EXPR", "Over metadata, as year >= 2024."}},
                 {{"dougong knowledge search 'how long is parental leave'", "With citations."}},
                 search),
         command("conflicts", "List statements of documents that contradict one another",
                 "Figures, dates and names that different documents give differently.", {},
                 {kAnyBase}, {{"dougong knowledge conflicts --base hr", "Both places of each."}},
                 conflicts),
         command("rm", "Remove documents", "With all their passages.",
                 {{"ID", "documents, as ls shows them", true, true}}, {kBase},
                 {{"dougong knowledge rm doc-... --base hr", "Out of every search."}}, rm)});
}

}  // namespace app
