#include "app/flow/workspaces.h"

#include <algorithm>
#include <cctype>

#include "base/files/files.h"
#include "base/files/mapped_file.h"
#include "base/files/sha256.h"
#include "sphere/files/name_text.h"

namespace app {

using base::Code;
using base::Result;
namespace files = sphere::files;

namespace {

constexpr std::string_view kPrefix = "ws-";
constexpr std::size_t kDigits = 64;
constexpr std::size_t kListed = 1'000;

std::unexpected<base::Error> unknown(std::string_view handle) {
    return base::fail(Code::not_found,
                      "no files are kept as '{}'; expected steps.ID.output.workspace of a step "
                      "with `keep_workspace: true`",
                      handle);
}

}  // namespace

Result<Workspaces> Workspaces::open(std::string folder) {
    DG_TRY(base::make_dirs(folder));
    base::remove_abandoned(folder, [](std::string_view name) { return name.starts_with("ws"); });
    return Workspaces(std::move(folder));
}

Result<std::string> Workspaces::path_of(std::string_view handle) const {
    const std::string_view digits = handle.substr(std::min(kPrefix.size(), handle.size()));
    const bool well = handle.starts_with(kPrefix) && digits.size() == kDigits &&
                      std::ranges::all_of(digits, [](unsigned char c) {
                          return std::isdigit(c) || (c >= 'a' && c <= 'f');
                      });
    const std::string path = folder_ + "/" + std::string(handle) + ".tar.gz";
    if (!well || !base::path_exists(path)) return unknown(handle);
    return path;
}

Result<Workspaces::Kept> Workspaces::keep(const files::Workspace& workspace) const {
    base::Sha256 digest;
    std::string packed;  // gzip of at most limits_.bytes_max
    DG_TRY(files::pack(workspace, "",
                       [&](std::string_view bytes) -> Result<void> {
                           digest.update(std::as_bytes(std::span(bytes)));
                           packed += bytes;
                           return {};
                       },
                       {.gzip = true, .limits = limits_}));
    Kept kept;
    kept.handle = std::string(kPrefix) + digest.finish_hex();
    const files::Listing listing =
        DG_TRY(workspace.list("", {.recursive = true, .entries_max = kListed}));
    kept.truncated = listing.truncated;
    for (const files::Entry& entry : listing.entries) {
        if (entry.type == files::EntryType::file) kept.files.push_back(entry);
    }
    const std::string path = folder_ + "/" + kept.handle + ".tar.gz";
    if (!base::path_exists(path)) DG_TRY(base::write_file_atomically(path, packed));
    return kept;
}

Result<void> Workspaces::restore(std::string_view handle, const files::Workspace& workspace) const {
    const auto packed = DG_TRY(base::MappedFile::open(DG_TRY(path_of(handle))));
    auto unpacker = DG_TRY(files::Unpacker::create(workspace, "", limits_));
    const std::string_view bytes(reinterpret_cast<const char*>(packed.bytes().data()),
                                 packed.bytes().size());
    constexpr std::size_t kPiece = 1u << 20;
    for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
        DG_TRY(unpacker.feed(bytes.substr(at, kPiece)));
    }
    DG_TRY(unpacker.finish());
    return {};
}

Result<std::string> Workspaces::read(std::string_view handle, std::string_view name,
                                     std::size_t bytes_max) const {
    const base::TemporaryDir scratch = DG_TRY(base::TemporaryDir::create(folder_, "reading-"));
    const auto workspace = DG_TRY(files::Workspace::open(scratch.path()));
    DG_TRY(restore(handle, workspace));
    const files::Entry entry = DG_TRY(workspace.stat(name));
    if (entry.bytes > bytes_max) {
        return base::fail(Code::payload_too_large,
                          "'{}' has {} bytes, {} at most are sent; fetch the archive", name,
                          entry.bytes, bytes_max);
    }
    return workspace.read(name, 0, bytes_max);
}

Result<std::string> Workspaces::archive(std::string_view handle) const {
    return base::read_file(DG_TRY(path_of(handle)));
}

base::json::array files_json(const Workspaces::Kept& kept) {
    base::json::array out;
    for (const files::Entry& file : kept.files) {
        out.push_back({{"name", files::escape_name(file.name)}, {"bytes", file.bytes}});
    }
    return out;
}

}  // namespace app
