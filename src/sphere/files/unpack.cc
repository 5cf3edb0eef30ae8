#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "sphere/files/archive.h"
#include "sphere/files/beneath.h"
#include "sphere/files/name_text.h"
#include "sphere/files/tar_stream.h"

namespace sphere::files {
namespace {

using base::Code;
using base::Result;

std::string shown(std::string_view name) {
    std::string text = escape_name(name.substr(0, 200));
    return name.size() > 200 ? text + "..." : text;
}

/// Whether a link at depth `depth` (folders above it) stays beneath the workspace, taken as text.
bool stays_beneath(std::string_view target, std::size_t depth) {
    if (target.empty() || target.front() == '/') return false;
    while (!target.empty()) {
        const std::size_t slash = std::min(target.find('/'), target.size());
        const std::string_view part = target.substr(0, slash);
        target.remove_prefix(std::min(slash + 1, target.size()));
        if (part == "..") {
            if (depth == 0) return false;
            --depth;
        } else if (!part.empty() && part != ".") {
            ++depth;
        }
    }
    return true;
}

}  // namespace

struct Unpacker::Impl final : TarHandler {
    const Workspace& workspace;
    const std::vector<std::string> folder;
    const ArchiveLimits limits;
    ArchiveSummary summary;
    std::optional<base::Error> error;
    std::optional<FileWriter> file;
    TarStream stream;

    Impl(const Workspace& w, std::vector<std::string> f, const ArchiveLimits& l)
        : workspace(w), folder(std::move(f)), limits(l), stream(limits, *this) {}

    Result<void> on_content(std::string_view bytes) override { return file->write(bytes); }

    Result<void> on_file_end() override {
        DG_TRY(file->commit());
        file.reset();
        ++summary.files;
        return {};
    }

    Result<void> on_entry(const TarHead& entry) override {
        const std::string name = DG_TRY(placed(entry));
        switch (entry.type) {
            case '5':
                ++summary.folders;
                return workspace.make_folder(name);
            case '2':
                return make_link(entry, name);
            case '0':
                return begin_file(entry, name);
            default:
                break;
        }
        return refused(entry, entry.type == '1' ? "is a hard link"
                                                : "is neither file, folder nor symbolic link");
    }

    Result<void> begin_file(const TarHead& entry, const std::string& name) {
        if (entry.bytes > limits.bytes_max - summary.bytes) {
            return base::fail(Code::payload_too_large,
                              "the archive has more than {} bytes of files", limits.bytes_max);
        }
        summary.bytes += entry.bytes;
        WriteOptions options;
        options.mode = entry.mode & 0777u;
        if (options.mode == 0) options.mode = 0600;
        file.emplace(DG_TRY(FileWriter::create(workspace, name, options)));
        return {};
    }

    Result<void> make_link(const TarHead& entry, const std::string& name) {
        const std::size_t depth = static_cast<std::size_t>(std::ranges::count(name, '/'));
        if (entry.link_target.find('\0') != std::string::npos ||
            !stays_beneath(entry.link_target, depth)) {
            return refused(entry, "is a link that leads out of the workspace");
        }
        if (auto made = workspace.make_link(name, entry.link_target); !made) {
            if (made.error().code != Code::already_exists) return made;
            DG_TRY(workspace.remove(name));
            DG_TRY(workspace.make_link(name, entry.link_target));
        }
        ++summary.links;
        return {};
    }

    /// The entry's name in the workspace. "./" itself is the folder unpacked into.
    Result<std::string> placed(const TarHead& entry) const {
        auto parts = split_name(entry.name);
        if (!parts) return std::unexpected(std::move(parts).error().with_context("archive entry"));
        if (parts->empty() && entry.type != '5') return refused(entry, "has no name");
        if (parts->size() > limits.depth_max) {
            return base::fail_on(shown(entry.name), Code::payload_too_large,
                                 "entry {} is {} folders deep, at most {}", shown(entry.name),
                                 parts->size(), limits.depth_max);
        }
        std::string name;
        for (const auto* list : {&folder, std::as_const(parts).operator->()}) {
            for (const std::string& part : *list) name += (name.empty() ? "" : "/") + part;
        }
        return name;
    }

    static std::unexpected<base::Error> refused(const TarHead& entry, std::string_view why) {
        return base::fail_on(shown(entry.name), Code::invalid_argument,
                             "archive entry {} {}; it is not unpacked", shown(entry.name), why);
    }
};

Unpacker::Unpacker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Unpacker::Unpacker(Unpacker&&) noexcept = default;
Unpacker& Unpacker::operator=(Unpacker&&) noexcept = default;
Unpacker::~Unpacker() = default;

Result<Unpacker> Unpacker::create(const Workspace& workspace, std::string_view folder,
                                  const ArchiveLimits& limits) {
    return Unpacker(std::make_unique<Impl>(workspace, DG_TRY(split_name(folder)), limits));
}

Result<void> Unpacker::feed(std::string_view bytes) {
    if (impl_->error) return std::unexpected(*impl_->error);
    auto fed = impl_->stream.feed(bytes);
    if (!fed) {
        impl_->error = fed.error();
        impl_->file.reset();
    }
    return fed;
}

Result<ArchiveSummary> Unpacker::finish() {
    if (impl_->error) return std::unexpected(*impl_->error);
    if (auto whole = impl_->stream.finish(); !whole) {
        impl_->file.reset();
        return std::unexpected(std::move(whole).error());
    }
    return impl_->summary;
}

}  // namespace sphere::files
