#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "sphere/files/archive.h"
#include "sphere/files/beneath.h"
#include "sphere/files/gzip_stream.h"
#include "sphere/files/name_text.h"
#include "sphere/files/tar_format.h"

namespace sphere::files {
namespace {

using base::Code;
using base::Result;

constexpr std::uint64_t kRatioFromBytes = 1u << 20;

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

/// Plain tar comes in at take(), cut anywhere; out go files.
struct Unpacker::Impl {
    const Workspace& workspace;
    const std::vector<std::string> folder;
    const ArchiveLimits limits;
    ArchiveSummary summary;
    std::optional<base::Error> error;

    bool begun = false;
    std::string first;  ///< until two bytes tell gzip from tar
    std::optional<GzipReader> gzip;
    std::uint64_t packed = 0, plain = 0;

    TarHeadReader heads;
    std::string block;  ///< of a head, or a meta entry's content, as far as it came
    std::uint64_t meta_left = 0, meta_bytes = 0, file_left = 0, padding_left = 0;
    std::uint64_t entries = 0;
    std::optional<FileWriter> file;
    bool ended = false;

    Impl(const Workspace& w, std::vector<std::string> f, const ArchiveLimits& l)
        : workspace(w), folder(std::move(f)), limits(l) {}

    Result<void> feed(std::string_view bytes) {
        packed += bytes.size();
        if (!begun) {
            first += bytes;
            if (first.size() < 2) return {};
            begun = true;
            if (first.starts_with("\x1f\x8b")) gzip.emplace();
            const std::string start = std::move(first);
            return feed_begun(start);
        }
        return feed_begun(bytes);
    }

    Result<void> feed_begun(std::string_view bytes) {
        if (!gzip) return take(bytes);
        return gzip->feed(bytes, [this](std::string_view piece) -> Result<void> {
            plain += piece.size();
            if (plain > kRatioFromBytes && plain / limits.ratio_max > packed) {
                return base::fail(Code::payload_too_large,
                                  "the archive unpacks to more than {} times its size",
                                  limits.ratio_max);
            }
            return take(piece);
        });
    }

    Result<void> take(std::string_view bytes) {
        while (!bytes.empty() && !ended) {
            if (file_left != 0) {
                DG_TRY(take_content(bytes));
            } else if (padding_left != 0) {
                const std::uint64_t n = std::min<std::uint64_t>(padding_left, bytes.size());
                padding_left -= n;
                bytes.remove_prefix(static_cast<std::size_t>(n));
            } else if (meta_left != 0) {
                DG_TRY(take_meta(bytes));
            } else {
                DG_TRY(take_head(bytes));
            }
        }
        return {};  // behind the end mark there may be anything: record padding
    }

    Result<void> take_head(std::string_view& bytes) {
        const std::size_t n = std::min(kTarBlock - block.size(), bytes.size());
        block += bytes.substr(0, n);
        bytes.remove_prefix(n);
        if (block.size() < kTarBlock) return {};
        const auto found = DG_TRY(heads.read(block));
        block.clear();
        switch (found.kind) {
            case TarHeadReader::Kind::end:
                ended = true;
                return {};
            case TarHeadReader::Kind::meta:
                DG_TRY(count_entry());
                meta_left = meta_bytes = found.meta_bytes;
                if (meta_left == 0) DG_TRY(heads.add_meta(""));
                return {};
            case TarHeadReader::Kind::entry:
                return begin_entry(found.entry);
        }
        return {};
    }

    Result<void> take_meta(std::string_view& bytes) {
        const std::uint64_t n = std::min<std::uint64_t>(meta_left, bytes.size());
        block += bytes.substr(0, static_cast<std::size_t>(n));
        bytes.remove_prefix(static_cast<std::size_t>(n));
        meta_left -= n;
        if (meta_left != 0) return {};
        DG_TRY(heads.add_meta(block));
        block.clear();
        padding_left = tar_padding(meta_bytes).size();
        return {};
    }

    Result<void> take_content(std::string_view& bytes) {
        const std::uint64_t n = std::min<std::uint64_t>(file_left, bytes.size());
        DG_TRY(file->write(bytes.substr(0, static_cast<std::size_t>(n))));
        bytes.remove_prefix(static_cast<std::size_t>(n));
        file_left -= n;
        if (file_left == 0) return end_file();
        return {};
    }

    Result<void> end_file() {
        DG_TRY(file->commit());
        file.reset();
        ++summary.files;
        return {};
    }

    Result<void> count_entry() {
        if (++entries > limits.entries_max) {
            return base::fail(Code::payload_too_large, "the archive has more than {} entries",
                              limits.entries_max);
        }
        return {};
    }

    Result<void> begin_entry(const TarHead& entry) {
        DG_TRY(count_entry());
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
        file_left = entry.bytes;
        padding_left = tar_padding(entry.bytes).size();
        if (file_left == 0) return end_file();
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
        if (entry.name.size() > limits.name_bytes_max) {
            return base::fail_on(shown(entry.name), Code::payload_too_large,
                                 "entry {} has a name of {} bytes, at most {}", shown(entry.name),
                                 entry.name.size(), limits.name_bytes_max);
        }
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
    auto fed = impl_->feed(bytes);
    if (!fed) {
        impl_->error = fed.error();
        impl_->file.reset();
    }
    return fed;
}

Result<ArchiveSummary> Unpacker::finish() {
    if (impl_->error) return std::unexpected(*impl_->error);
    // Some writers leave the end mark out; between two entries that is a whole archive too.
    const bool between = impl_->begun && impl_->block.empty() && impl_->meta_left == 0 &&
                         impl_->file_left == 0 && impl_->padding_left == 0 && impl_->entries != 0;
    if ((!impl_->ended && !between) || (impl_->gzip && !impl_->gzip->at_end())) {
        impl_->file.reset();
        return base::fail(Code::invalid_argument, "the archive is cut off after {} bytes",
                          impl_->packed);
    }
    return impl_->summary;
}

}  // namespace sphere::files
