// dougong sandbox image ls, import, rm: the images of a running server.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "app/commands/sandbox_commands.h"
#include "app/commands/subcommand.h"
#include "app/server_client.h"
#include "app/terminal/progress_bar.h"
#include "app/terminal/terminal.h"
#include "base/files/file_error.h"
#include "base/files/unique_fd.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

constexpr std::string_view kPath = "/v1/sandbox-images";

json::array images_of(const json::object& listing) {
    const json::value* data = listing.if_contains("data");
    return data != nullptr && data->is_array() ? data->get_array() : json::array();
}

std::string image_row(const json::object& image) {
    const std::string name = json_text(image, "name");
    return fmt::format("{:<19} {:>10} {:>8} files  {}\n", json_text(image, "id").substr(0, 19),
                       format_bytes(static_cast<double>(json_count(image, "bytes"))),
                       json_count(image, "entries"), name.empty() ? "-" : name);
}

Result<int> list_images(const Args& args, Program& program) {
    const json::object listing = DG_TRY(ServerClient(args).call("GET", std::string(kPath)));
    if (args.has("--json")) {
        program.terminal.out(base::to_text(listing) + "\n");
        return 0;
    }
    for (const json::value& image : images_of(listing)) {
        program.terminal.out(image_row(image.as_object()));
    }
    return 0;
}

/// "python-3.12.tar.gz" is "python-3.12" unless it is told.
std::string name_of(const Args& args, const std::string& path) {
    if (const auto given = args.value("--name")) return *given;
    std::string name = std::filesystem::path(path).filename().string();
    for (const std::string_view ending : {".gz", ".zst", ".tgz", ".tar", ".oci"}) {
        if (name.ends_with(ending)) name.resize(name.size() - ending.size());
    }
    return name;
}

Result<int> import_image(const Args& args, Program& program) {
    const std::string path = args.value("FILE").value_or("");
    const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return base::fail_errno(errno, "open", path);
    std::optional<base::Error> failed;
    const auto made = ServerClient(args).upload(
        fmt::format("{}/{}", kPath, url_escape(name_of(args, path))),
        [&](std::span<char> into) -> std::optional<std::size_t> {
            const ssize_t got = ::read(file.get(), into.data(), into.size());
            if (got >= 0) return static_cast<std::size_t>(got);
            failed = base::Error{Code::unavailable, fmt::format("{}: error {}", path, errno), path};
            return std::nullopt;
        });
    if (failed) return std::unexpected(std::move(*failed));
    if (!made) return std::unexpected(made.error());
    program.terminal.out(args.has("--json") ? base::to_text(*made) + "\n"
                                            : json_text(*made, "id") + "\n");
    return 0;
}

/// Its name, its id, or the beginning of one.
Result<std::string> find_image(const ServerClient& client, const std::string& word) {
    std::vector<std::string> found;
    for (const json::value& image : images_of(DG_TRY(client.call("GET", std::string(kPath))))) {
        const std::string id = json_text(image.as_object(), "id");
        if (json_text(image.as_object(), "name") == word || id == word) return id;
        const std::string digest = id.substr(id.find(':') + 1);
        if (!word.empty() && (id.starts_with(word) || digest.starts_with(word))) {
            found.push_back(id);
        }
    }
    if (found.size() == 1) return found.front();
    return base::fail_on("IMAGE", Code::not_found,
                         "{} images are called '{}'; `dougong sandbox image ls` lists them",
                         found.empty() ? "no" : std::to_string(found.size()), word);
}

Result<int> remove_images(const Args& args, Program& program) {
    const ServerClient client(args);
    for (const std::string& word : args.all("IMAGE")) {
        const std::string id = DG_TRY(find_image(client, word));
        DG_TRY(client.call("DELETE", fmt::format("{}/{}", kPath, url_escape(id))));
        program.terminal.out(id + "\n");
    }
    return 0;
}

}  // namespace

std::vector<Command> sandbox_image_commands() {
    return {command_group(
        "image", "Images that sandboxes may begin with",
        "Images of a running server: unpacked once, used read-only by many "
        "sandboxes. `dougong sandbox create --image NAME` begins with one.",
        {server_subcommand("ls", "List the images", "Id, size, files and name.", {}, {},
                           {{"dougong sandbox image ls", "All there are."}}, list_images),
         server_subcommand(
             "import", "Give the server an image",
             "Sends an archive of an image, as `docker save` or `skopeo copy ... "
             "oci-archive:` write it, or a tarball of a root, plain or packed with "
             "gzip or zstd; prints its id.",
             {{"FILE", "the archive", true}},
             {{"--name", "NAME", "How it is called [default: the file's name]."}},
             {{"dougong sandbox image import python.tar --name python:3.12", "Prints sha256:..."}},
             import_image),
         server_subcommand("rm", "Remove images",
                           "Images that sandboxes use stay; `dougong sandbox rm` ends those.",
                           {{"IMAGE", "images: names, ids, or beginnings of them", true, true}}, {},
                           {{"dougong sandbox image rm python:3.12", "By its name."}},
                           remove_images)})};
}

}  // namespace app
