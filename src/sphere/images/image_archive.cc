#include "sphere/images/image_archive.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <span>
#include <utility>

#include "base/files/files.h"
#include "base/files/sha256.h"
#include "base/files/unique_fd.h"
#include "base/json/json.h"
#include "sphere/files/beneath.h"
#include "sphere/files/gzip_stream.h"
#include "sphere/files/name_text.h"
#include "sphere/files/tar_stream.h"
#include "sphere/files/zstd_stream.h"

namespace sphere::images {
namespace {

namespace json = base::json;
using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
using base::UniqueFd;
using files::TarHead;

constexpr std::size_t kReadBytes = 256u << 10, kLayersMax = 256, kHopsMax = 8;
constexpr std::uint64_t kDocumentBytesMax = 4 << 20;
constexpr std::string_view kBlobs = "blobs/sha256/";

bool is_hex64(std::string_view text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::unexpected<base::Error> wrong(const std::string& where, std::string_view what) {
    return fail_on("root.path", Code::invalid_argument, "the image is not sound: {} {}",
                   files::escape_name(where.substr(0, 200)), what);
}

/// A name as archives of images have them: of a layout, of `docker save` old and new, of builders.
bool may_be_of_an_image(const std::vector<std::string>& parts) {
    const std::string& first = parts.front();
    if (first == "blobs" || is_hex64(first)) return true;
    if (parts.size() > 1) return false;
    return first == "oci-layout" || first == "repositories" || first.ends_with(".json") ||
           first.ends_with(".tar") || first.ends_with(".tar.gz") || first.starts_with("sha256:");
}

/// Feeds a whole file. `stop` ends it early.
Result<void> feed_file(const std::string& path, files::TarStream& stream, const bool& stop) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        return fail_on("root.path", errno == ENOENT ? Code::not_found : Code::unavailable, "{}: {}",
                       path, std::strerror(errno));
    }
    std::string buffer(kReadBytes, '\0');
    while (!stop) {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Code::unavailable, "{}: {}", path, std::strerror(errno));
        if (got == 0) return stream.finish();
        DG_TRY(stream.feed(std::string_view(buffer.data(), static_cast<std::size_t>(got))));
    }
    return {};
}

class Look final : public files::TarHandler {
public:
    Result<void> on_entry(const TarHead& entry) override {
        if (decided) return {};
        const auto parts = files::split_name(entry.name);
        if (parts && parts->empty()) return {};  // "./"
        if (!parts || !may_be_of_an_image(*parts)) {
            decided = true;
        } else if (parts->size() == 1 &&
                   (parts->front() == "manifest.json" || parts->front() == "index.json")) {
            decided = image = true;
        }
        return {};
    }
    Result<void> on_content(std::string_view) override { return {}; }
    Result<void> on_file_end() override { return {}; }

    bool decided = false, image = false;
};

class Extract final : public files::TarHandler {
public:
    Extract(std::string folder, const ImageLimits& limits) : limits_(limits) {
        archive.folder = std::move(folder);
    }

    Result<void> on_entry(const TarHead& entry) override {
        file_.reset();
        const auto parts = files::split_name(entry.name);
        if (!parts) return wrong(entry.name, "is a name that leads elsewhere");
        if (parts->empty()) return {};
        const std::string name = files::join_name(*parts);
        if (entry.type == '2' || entry.type == '1') {
            return note_link(name, *parts, entry);
        }
        if (entry.type != '0') return {};
        if (++count_ > kFilesMax ||
            entry.bytes > limits_.bytes_max - std::min(bytes_, limits_.bytes_max)) {
            return fail(Code::payload_too_large,
                        "the archive has over {} files or over {} bytes of them", kFilesMax,
                        limits_.bytes_max);
        }
        bytes_ += entry.bytes;
        path_ = archive.folder + "/" + place_of(name);
        file_ = UniqueFd(
            ::open(path_.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file_) return fail(Code::unavailable, "{}: {}", path_, std::strerror(errno));
        archive.files[name] = path_;
        archive.links.erase(name);
        return {};
    }

    Result<void> on_content(std::string_view bytes) override {
        while (!bytes.empty()) {
            const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return fail(Code::unavailable, "{}: {}", path_, std::strerror(errno));
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return {};
    }
    Result<void> on_file_end() override { return {}; }

    ImageArchive archive;

private:
    static constexpr std::size_t kFilesMax = 4096;

    /// Relative links of old `docker save`: "../<id>/layer.tar". They are names, never followed by
    /// the kernel.
    Result<void> note_link(const std::string& name, const std::vector<std::string>& parts,
                           const TarHead& entry) {
        std::vector<std::string> at;
        if (entry.type == '2') at.assign(parts.begin(), parts.end() - 1);
        if (entry.link_target.starts_with('/')) return wrong(name, "is a link to elsewhere");
        std::string_view rest = entry.link_target;
        while (!rest.empty()) {
            const std::string_view part = rest.substr(0, rest.find('/'));
            rest.remove_prefix(std::min(rest.size(), part.size() + 1));
            if (part.empty() || part == ".") continue;
            if (part == ".." && at.empty()) return wrong(name, "is a link to elsewhere");
            if (part == "..") {
                at.pop_back();
            } else {
                at.emplace_back(part);
            }
        }
        if (++count_ > kFilesMax) return wrong(name, "is one of too many");
        archive.links[name] = files::join_name(at);
        archive.files.erase(name);
        return {};
    }

    /// A blob of a layout lies where a layout has it; the name was checked to be one.
    std::string place_of(const std::string& name) {
        const std::string_view digest =
            std::string_view(name).substr(std::min(kBlobs.size(), name.size()));
        if (name.starts_with(kBlobs) && is_hex64(digest)) return name;
        if (name == "oci-layout" || name == "index.json") return name;
        return std::to_string(count_);
    }

    const ImageLimits& limits_;
    std::size_t count_ = 0;
    std::uint64_t bytes_ = 0;
    UniqueFd file_;
    std::string path_;
};

/// Of what a layer is unpacked.
Result<std::string> plain_sha256(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return fail(Code::unavailable, "{}: {}", path, std::strerror(errno));
    base::Sha256 digest;
    const auto add = [&](std::string_view bytes) -> Result<void> {
        digest.update(std::as_bytes(std::span(bytes)));
        return {};
    };
    files::GzipReader gzip;
    files::ZstdReader zstd;
    enum class Packed { unknown, no, by_gzip, by_zstd } packed = Packed::unknown;
    std::string buffer(kReadBytes, '\0');
    for (;;) {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Code::unavailable, "{}: {}", path, std::strerror(errno));
        if (got == 0) return digest.finish_hex();
        const std::string_view piece(buffer.data(), static_cast<std::size_t>(got));
        if (packed == Packed::unknown) {
            packed = piece.starts_with("\x1f\x8b")          ? Packed::by_gzip
                     : piece.starts_with(files::kZstdMagic) ? Packed::by_zstd
                                                            : Packed::no;
        }
        DG_TRY(packed == Packed::by_gzip   ? gzip.feed(piece, add)
               : packed == Packed::by_zstd ? zstd.feed(piece, add)
                                           : add(piece));
    }
}

class Saved {
public:
    Saved(const ImageArchive& archive, std::string architecture)
        : archive_(archive), architecture_(std::move(architecture)) {}

    Result<ImageSpec> read() const {
        const json::value manifest = DG_TRY(document("manifest.json"));
        const json::array* const images = manifest.if_array();
        if (images == nullptr || images->empty() || !images->front().is_object()) {
            return wrong("manifest.json", "is no list of images");
        }
        if (images->size() != 1) {
            return wrong("manifest.json",
                         fmt::format("names {} images; save one at a time", images->size()));
        }
        return read_image(images->front().get_object());
    }

private:
    Result<std::string> path_of(std::string name) const {
        for (std::size_t hops = 0; hops < kHopsMax; ++hops) {
            if (const auto at = archive_.files.find(name); at != archive_.files.end()) {
                return at->second;
            }
            const auto link = archive_.links.find(name);
            if (link == archive_.links.end()) break;
            name = link->second;
        }
        return wrong(name, "is not in the archive");
    }

    Result<json::value> document(const std::string& name) const {
        auto value =
            base::parse_json(DG_TRY(base::read_file(DG_TRY(path_of(name)), kDocumentBytesMax)));
        if (!value) return std::unexpected(std::move(value).error().with_context(name));
        return value;
    }

    Result<ImageSpec> read_image(const json::object& image) const {
        const json::value* const config = image.if_contains("Config");
        const json::value* const layers = image.if_contains("Layers");
        if (config == nullptr || !config->is_string() || layers == nullptr || !layers->is_array()) {
            return wrong("manifest.json", "names no Config or no Layers");
        }
        const std::string config_name(config->get_string());
        const json::value described = DG_TRY(document(config_name));
        if (!described.is_object()) return wrong(config_name, "is no object");
        ImageSpec spec;
        spec.digest = DG_TRY(base::sha256_file(DG_TRY(path_of(config_name))));
        // It is the image's name: another content under the same name would be taken for it.
        if (const std::string stem = config_name.substr(0, 64);
            is_hex64(stem) && stem != spec.digest) {
            return wrong(config_name, "is not what its name says");
        }
        DG_TRY(read_image_config(described.get_object(), architecture_, spec.config));
        const std::vector<std::string> contents =
            DG_TRY(diff_ids(described.get_object(), config_name));
        const json::array& list = layers->get_array();
        if (list.size() != contents.size() || list.size() > kLayersMax) {
            return wrong("manifest.json", fmt::format("has {} layers where {} has {}", list.size(),
                                                      config_name, contents.size()));
        }
        for (std::size_t i = 0; i < list.size(); ++i) {
            if (!list[i].is_string()) return wrong("manifest.json", "has a layer without a name");
            const std::string name(list[i].get_string());
            const std::string path = DG_TRY(path_of(name));
            if (DG_TRY(plain_sha256(path)) != contents[i]) {
                return wrong(name, "is not what the configuration says of it");
            }
            std::error_code ignored;
            spec.layers.push_back(
                {path, DG_TRY(base::sha256_file(path)), std::filesystem::file_size(path, ignored)});
        }
        return spec;
    }

    static Result<std::vector<std::string>> diff_ids(const json::object& config,
                                                     const std::string& where) {
        const json::value* const rootfs = config.if_contains("rootfs");
        const json::value* const list = rootfs != nullptr && rootfs->is_object()
                                            ? rootfs->get_object().if_contains("diff_ids")
                                            : nullptr;
        if (list == nullptr || !list->is_array()) return wrong(where, "has no rootfs.diff_ids");
        std::vector<std::string> all;
        for (const json::value& each : list->get_array()) {
            const std::string text = each.is_string() ? std::string(each.get_string()) : "";
            if (!text.starts_with("sha256:") || !is_hex64(std::string_view(text).substr(7))) {
                return wrong(where, "has a rootfs.diff_id that is not sha256: and 64 hex digits");
            }
            all.push_back(text.substr(7));
        }
        return all;
    }

    const ImageArchive& archive_;
    const std::string architecture_;
};

files::ArchiveLimits archive_limits(const ImageLimits& limits) {
    files::ArchiveLimits archive;
    archive.entries_max = limits.entries_max;
    archive.ratio_max = limits.ratio_max;
    return archive;
}

}  // namespace

Result<bool> is_image_archive(const std::string& path) {
    Look look;
    files::TarStream stream(archive_limits({}), look);
    auto fed = feed_file(path, stream, look.decided);
    if (!fed && !look.decided) return std::unexpected(std::move(fed).error());
    return look.image;
}

Result<ImageArchive> open_image_archive(const std::string& path, const std::string& folder,
                                        const ImageLimits& limits) {
    DG_TRY(base::make_dirs(folder + "/" + std::string(kBlobs)));
    Extract extract(folder, limits);
    files::TarStream stream(archive_limits(limits), extract);
    const bool never = false;
    DG_TRY(feed_file(path, stream, never));
    return std::move(extract.archive);
}

Result<ImageSpec> read_image_archive(const ImageArchive& archive, const std::string& architecture) {
    // Newer `docker save` writes both; the layout says more of what it holds.
    if (archive.files.contains("oci-layout") && archive.files.contains("index.json")) {
        return read_oci_layout(archive.folder, architecture);
    }
    return Saved(archive, architecture).read();
}

}  // namespace sphere::images
