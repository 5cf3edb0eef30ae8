// dougong sandbox cp, ls: files between here and a running server's boxes.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>
#include <thread>

#include "app/byte_pipe.h"
#include "app/commands/sandbox_commands.h"
#include "app/server_client.h"
#include "app/terminal/progress_bar.h"
#include "app/terminal/terminal.h"
#include "base/files/file_error.h"
#include "base/files/unique_fd.h"
#include "sphere/files/archive.h"
#include "sphere/files/workspace.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;
namespace fs = std::filesystem;
namespace files = sphere::files;

/// What a person copies here is their own decision; entries are still checked one by one.
constexpr files::ArchiveLimits kOwnLimits{.bytes_max = 1ull << 42,
                                          .entries_max = 10'000'000,
                                          .name_bytes_max = 4096,
                                          .depth_max = 512,
                                          .ratio_max = 1'000'000};

struct Place {
    std::string box;   ///< empty: a path here
    std::string path;  ///< in a box: relative to its workspace
    bool folder_wanted = false;
};

/// "BOX:PATH". A path here that has a colon is written ./a:b.
Place parse_place(const std::string& text) {
    const std::size_t colon = text.find(':');
    const std::size_t slash = text.find('/');
    Place place;
    if (colon == std::string::npos || colon == 0 || slash < colon) {
        place.path = text;
    } else {
        place.box = text.substr(0, colon);
        place.path = text.substr(colon + 1);
    }
    place.folder_wanted = place.path.ends_with('/') || place.path.empty();
    return place;
}

/// The workspace's name for a path in a box. Errors: invalid_argument outside /workspace.
Result<std::string> workspace_name(std::string_view path) {
    constexpr std::string_view kWorkspace = "/workspace";
    if (path.starts_with(kWorkspace) &&
        (path.size() == kWorkspace.size() || path[kWorkspace.size()] == '/')) {
        path.remove_prefix(kWorkspace.size());
    } else if (path.starts_with('/')) {
        return base::fail_on("PATH", Code::invalid_argument,
                             "{} is outside /workspace, the only folder that files go to and from",
                             path);
    }
    while (path.starts_with('/') || path.starts_with("./"))
        path.remove_prefix(path[0] == '/' ? 1 : 2);
    while (path.ends_with('/')) path.remove_suffix(1);
    return std::string(path == "." ? "" : path);
}

std::string file_path(const std::string& box, std::string_view name) {
    return box_path(box, "/files/" + url_escape(name));
}

enum class Found { nothing, file, folder };

/// What is there, links followed.
Result<Found> look(const ServerClient& client, const std::string& box, std::string_view name) {
    if (name.empty()) return Found::folder;
    auto request = client.request("HEAD", file_path(box, name));
    const auto head =
        client.download(std::move(request), [](std::string_view) { return Result<void>(); });
    if (head) {
        return head->content_type == "application/json" ? Found::folder : Found::file;
    }
    // A HEAD has no body to say why: a look at the name itself does.
    const auto stat = client.call("GET", file_path(box, name) + "?stat=1");
    if (!stat && stat.error().code == Code::not_found) return Found::nothing;
    return std::unexpected(stat ? head.error() : stat.error());
}

std::string last_part(std::string_view name) {
    return std::string(name.substr(name.find_last_of('/') + 1));
}
std::string joined(const std::string& folder, const std::string& name) {
    return folder.empty() ? name : folder + "/" + name;
}

Result<json::object> send_file(const ServerClient& client, const std::string& from,
                               const std::string& box, const std::string& name) {
    const base::UniqueFd file(::open(from.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat about {};
    if (!file || ::fstat(file.get(), &about) != 0) return base::fail_errno(errno, "open", from);
    std::optional<base::Error> failed;
    auto sent = client.upload(
        file_path(box, name) + fmt::format("?mode={:o}", about.st_mode & 0777u),
        [&](std::span<char> into) -> std::optional<std::size_t> {
            const ssize_t got = ::read(file.get(), into.data(), into.size());
            if (got >= 0) return static_cast<std::size_t>(got);
            failed = base::Error{Code::unavailable, fmt::format("{}: error {}", from, errno), from};
            return std::nullopt;
        });
    if (failed) return std::unexpected(std::move(*failed));
    return sent;
}

/// Packs what `source` writes while it is sent.
Result<json::object> send_tree(const ServerClient& client, const fs::path& from,
                               const std::string& box, const std::string& folder) {
    const fs::path whole = fs::canonical(from);
    const auto here = DG_TRY(files::Workspace::open(whole));
    BytePipe pipe;
    Result<files::ArchiveSummary> packed = files::ArchiveSummary{};
    std::thread packer([&] {
        packed = files::pack(here, "",
                             [&](std::string_view bytes) -> Result<void> {
                                 if (pipe.write(bytes)) return {};
                                 return base::fail(Code::cancelled, "the server takes no more");
                             },
                             {.gzip = false, .limits = kOwnLimits});
        pipe.end(packed.has_value());
    });
    auto sent = client.upload(box_path(box, "/archive?path=" + url_escape(folder)),
                              [&](std::span<char> into) { return pipe.read(into); });
    pipe.leave();
    packer.join();
    if (!packed && packed.error().code != Code::cancelled) return std::unexpected(packed.error());
    return sent;
}

Result<json::object> copy_in(const ServerClient& client, const std::string& from, Place to) {
    std::error_code error;
    const auto about = fs::status(from, error);
    if (error || about.type() == fs::file_type::not_found) {
        return base::fail_on(from, Code::not_found, "{} does not exist", from);
    }
    const std::string box = DG_TRY(client.find(to.box));
    std::string name = DG_TRY(workspace_name(to.path));
    const bool folder = about.type() == fs::file_type::directory;
    const Found there = DG_TRY(look(client, box, name));
    if (there == Found::folder || to.folder_wanted) {
        std::string own = fs::canonical(from).filename();
        name = joined(name, own);
    }
    if (!folder && about.type() != fs::file_type::regular) {
        return base::fail_on(from, Code::invalid_argument, "{} is neither a file nor a folder",
                             from);
    }
    return folder ? send_tree(client, from, box, name) : send_file(client, from, box, name);
}

/// Where something called `name` goes: into `to` when that is a folder, else it is called that.
fs::path landing(const Place& to, const std::string& name) {
    std::error_code error;
    fs::path path = to.path.empty() ? fs::path(".") : fs::path(to.path);
    if (fs::is_directory(path, error) || to.folder_wanted) path /= name;
    return path;
}

Result<json::object> fetch_file(const ServerClient& client, const std::string& box,
                                const std::string& name, const fs::path& to) {
    const json::object about = DG_TRY(client.call("GET", file_path(box, name) + "?stat=1"));
    const fs::path parent = to.has_parent_path() ? to.parent_path() : fs::path(".");
    const auto here = DG_TRY(files::Workspace::open(parent));
    std::uint32_t mode = 0644;
    const std::string words = json_text(about, "mode");
    if (json_text(about, "type") == "file") {
        mode = static_cast<std::uint32_t>(std::strtoul(words.c_str(), nullptr, 8)) & 0777;
    }
    auto writer = DG_TRY(files::FileWriter::create(here, to.filename().string(),
                                                   {.create_parents = false, .mode = mode}));
    std::uint64_t bytes = 0;
    DG_TRY(
        client.download(client.request("GET", file_path(box, name)), [&](std::string_view piece) {
            bytes += piece.size();
            return writer.write(piece);
        }));
    DG_TRY(writer.commit());
    return json::object{{"files", 1}, {"bytes", bytes}};
}

/// Unpacked beside its place first: a copy that breaks off leaves nothing under the name.
Result<json::object> fetch_tree(const ServerClient& client, const std::string& box,
                                const std::string& name, const fs::path& to) {
    std::error_code error;
    if (fs::exists(to, error)) {
        return base::fail_on(to.string(), Code::already_exists,
                             "{} exists already; remove it or choose another name", to.string());
    }
    const fs::path parent = to.has_parent_path() ? to.parent_path() : fs::path(".");
    std::string temporary = (parent / ".dougong-cp-XXXXXX").string();
    if (::mkdtemp(temporary.data()) == nullptr) {
        return base::fail_errno(errno, "make a folder in", parent.string());
    }
    const auto copied = [&]() -> Result<files::ArchiveSummary> {
        const auto here = DG_TRY(files::Workspace::open(temporary));
        auto unpacker = DG_TRY(files::Unpacker::create(here, "", kOwnLimits));
        DG_TRY(client.download(
            client.request("GET", box_path(box, "/archive?path=" + url_escape(name))),
            [&](std::string_view piece) { return unpacker.feed(piece); }));
        return unpacker.finish();
    }();
    if (copied) {
        const fs::path made =
            name.empty() ? fs::path(temporary) : fs::path(temporary) / last_part(name);
        fs::permissions(made, fs::perms(0755), error);
        fs::rename(made, to, error);
    }
    std::error_code ignored;
    if (!name.empty() || !copied) fs::remove_all(temporary, ignored);
    if (!copied) return std::unexpected(copied.error());
    if (error) {
        return base::fail_on(to.string(), Code::unavailable, "{}: {}", to.string(),
                             error.message());
    }
    return json::object{
        {"files", copied->files}, {"folders", copied->folders}, {"bytes", copied->bytes}};
}

Result<json::object> copy_out(const ServerClient& client, const Place& from, const Place& to) {
    const std::string box = DG_TRY(client.find(from.box));
    const std::string name = DG_TRY(workspace_name(from.path));
    const Found what = DG_TRY(look(client, box, name));
    if (what == Found::nothing) {
        return base::fail_on("FROM", Code::not_found, "there is no {} in sandbox {}", name, box);
    }
    const fs::path target = landing(to, name.empty() ? "workspace" : last_part(name));
    return what == Found::folder ? fetch_tree(client, box, name, target)
                                 : fetch_file(client, box, name, target);
}

Result<int> cp(const Args& args, Program& program) {
    const Place from = parse_place(args.value("FROM").value_or(""));
    const Place to = parse_place(args.value("TO").value_or(""));
    if (from.box.empty() == to.box.empty()) {
        return base::fail_on("TO", Code::invalid_argument,
                             "one of the two must be in a sandbox, written BOX:PATH, and the other "
                             "here");
    }
    const ServerClient client(args);
    const json::object done =
        DG_TRY(from.box.empty() ? copy_in(client, from.path, to) : copy_out(client, from, to));
    if (args.has("--json")) program.terminal.out(base::to_text(done) + "\n");
    return 0;
}

std::string mode_letters(const json::object& entry) {
    const std::string type = json_text(entry, "type");
    const unsigned long mode = std::strtoul(json_text(entry, "mode").c_str(), nullptr, 8);
    std::string out = type == "folder" ? "d" : type == "link" ? "l" : type == "file" ? "-" : "?";
    for (int bit = 8; bit >= 0; --bit) out += (mode >> bit & 1) != 0 ? "rwx"[(8 - bit) % 3] : '-';
    return out;
}

std::string row_of(const json::object& entry, bool detailed, std::string_view prefix) {
    std::string name = json_text(entry, "name");
    if (!prefix.empty() && name.starts_with(prefix)) name = name.substr(prefix.size());
    if (!detailed) return name + (json_text(entry, "type") == "folder" ? "/\n" : "\n");
    const auto seconds = static_cast<std::time_t>(json_count(entry, "modified_at_ms") / 1000);
    std::tm local{};
    ::localtime_r(&seconds, &local);
    char when[32] = "";
    std::strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &local);
    const std::string target = json_text(entry, "link_target");
    return fmt::format("{} {:>12} {} {}{}{}\n", mode_letters(entry), json_count(entry, "bytes"),
                       when, name, target.empty() ? "" : " -> ", target);
}

Result<int> ls(const Args& args, Program& program) {
    const auto where = args.value("BOX");
    if (!where) return list_boxes(args, program);
    Place place = parse_place(*where);
    if (place.box.empty()) std::swap(place.box, place.path);
    const ServerClient client(args);
    const std::string box = DG_TRY(client.find(place.box));
    const std::string name = DG_TRY(workspace_name(place.path));
    json::object listing;
    std::string prefix = name.empty() ? "" : name + "/";
    const Found what = DG_TRY(look(client, box, name));
    if (what == Found::folder) {
        listing = DG_TRY(client.call(
            "GET", file_path(box, name) + (args.has("--recursive") ? "?recursive=1" : "")));
    } else {
        const json::object entry = DG_TRY(client.call("GET", file_path(box, name) + "?stat=1"));
        listing = {{"object", "list"}, {"data", json::array{entry}}, {"truncated", false}};
        prefix.clear();
    }
    if (args.has("--json")) {
        program.terminal.out(base::to_text(listing) + "\n");
        return 0;
    }
    std::string text;
    for (const json::value& entry : listing.at("data").as_array()) {
        text += row_of(entry.as_object(), args.has("-l"), prefix);
    }
    program.terminal.out(text);
    if (listing.at("truncated").as_bool()) {
        program.terminal.err("dougong: there is more than the server lists at once\n");
    }
    return 0;
}

std::vector<OptionSpec> with_server(std::vector<OptionSpec> options) {
    for (const OptionSpec& option : server_options()) options.push_back(option);
    options.push_back({"--json", "", "What was done, as JSON."});
    return options;
}

}  // namespace

std::vector<Command> sandbox_file_commands() {
    return {{.name = "cp",
             .summary = "Copy files and folders into a sandbox and out of it",
             .about = "Copies a file or a folder with all in it. A place in a sandbox is written "
                      "BOX:PATH, relative to its /workspace; into a folder that exists, or a path "
                      "that ends with '/', it keeps its name. A file appears whole or not at all.",
             .positionals = {{"FROM", "a path here or BOX:PATH", true},
                             {"TO", "the other of the two", true}},
             .options = with_server({}),
             .examples = {{"dougong sandbox cp data.csv build:", "Into its workspace."},
                          {"dougong sandbox cp build:out ./results", "A folder, out of it."}},
             .config_sections = {},
             .run = cp,
             .subcommands = {}},
            {.name = "ls",
             .summary = "List sandboxes, or the files of one",
             .about = "Without an argument, the sandboxes of a running server; with BOX or "
                      "BOX:PATH, the files there.",
             .positionals = {{"BOX", "a sandbox, or BOX:PATH", false}},
             .options = with_server({{"-l", "", "Rights, size, time and link targets."},
                                     {"-R,--recursive", "", "Everything beneath, too."}}),
             .examples = {{"dougong sandbox ls", "The sandboxes."},
                          {"dougong sandbox ls -l build:src", "Files in /workspace/src."}},
             .config_sections = {},
             .run = ls,
             .subcommands = {}}};
}

}  // namespace app
