#include "sphere/images/image_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/core/rng.h"
#include "base/files/files.h"
#include "base/json/json.h"
#include "base/json/object_reader.h"
#include "sphere/files/beneath.h"
#include "sphere/files/remove_tree.h"
#include "sphere/images/image_archive.h"

namespace sphere::images {
namespace {

namespace json = base::json;
using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
using base::UniqueFd;

constexpr std::string_view kPrefix = "sha256-", kUnfinished = ".unpack-";
constexpr std::size_t kTarballsKnown = 64;

UniqueFd open_folder(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

bool lock(const UniqueFd& folder, int kind) {
    return folder && ::flock(folder.get(), kind | LOCK_NB) == 0;
}

/// Removes `name` in `folder`, which only this program writes in.
void remove_below(const std::string& folder, const std::string& name) {
    const UniqueFd at = open_folder(folder);
    if (at) static_cast<void>(files::remove_tree(at.get(), at.get(), name, {name}));
}

json::object describe(const ImageSpec& spec, const std::string& source, const UnpackedSize& size) {
    json::object environment;
    for (const auto& [name, value] : spec.config.environment) environment[name] = value;
    return {{"source", source},
            {"bytes", size.bytes},
            {"entries", size.entries},
            {"dropped", size.dropped},
            {"environment", std::move(environment)},
            {"working_directory", spec.config.working_directory},
            {"user", spec.config.user},
            {"entrypoint", json::value_from(spec.config.entrypoint)},
            {"command", json::value_from(spec.config.command)}};
}

Result<void> read_description(const std::string& path, StoredImage& stored, ImageConfig& config) {
    const json::value value = DG_TRY(base::parse_json_file(path));
    if (!value.is_object()) return fail(Code::data_loss, "{} is no JSON object", path);
    constexpr std::size_t kCount = 4096, kBytes = 1 << 20;
    base::ObjectReader in(value.get_object());
    in.text("source", stored.source, kBytes);
    in.integer<std::uint64_t>("bytes", stored.bytes, 0, 1ull << 53);
    in.integer<std::uint64_t>("entries", stored.entries, 0, 1ull << 53);
    in.integer<std::uint64_t>("dropped", stored.dropped, 0, 1ull << 53);
    in.text_map("environment", config.environment, kCount, kBytes);
    in.text("working_directory", config.working_directory, kBytes);
    in.text("user", config.user, kBytes);
    in.texts("entrypoint", config.entrypoint, kCount, kBytes);
    in.texts("command", config.command, kCount, kBytes);
    return in.done();
}

/// What a box mounts on must be real folders; where there is nothing, there will be.
Result<void> make_mount_points(int root) {
    for (const char* name : {"dev", "proc", "tmp", "workspace"}) {
        struct stat there {};
        if (::mkdirat(root, name, 0755) == 0) continue;
        if (errno == EEXIST && ::fstatat(root, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISDIR(there.st_mode)) {
            continue;
        }
        return fail_on("root.path", Code::invalid_argument,
                       "the image has a {} that is no folder; a sandbox mounts there and follows "
                       "no link of an image",
                       name);
    }
    return {};
}

}  // namespace

std::string ImageStore::folder_of(const std::string& digest) const {
    return fmt::format("{}/{}{}", options_.folder, kPrefix, digest);
}

class ImageStore::Unfinished {
public:
    explicit Unfinished(const std::string& in)
        : in_(in),
          name_(fmt::format("{}{:016x}", kUnfinished, base::entropy64())),
          path_(in_ + "/" + name_) {}
    ~Unfinished() { remove_below(in_, name_); }  // nothing when it was renamed
    Unfinished(const Unfinished&) = delete;
    Unfinished& operator=(const Unfinished&) = delete;

    Result<void> make() {
        if (::mkdir(path_.c_str(), 0700) == 0) own_ = open_folder(path_);
        if (lock(own_, LOCK_EX)) return {};
        return fail(Code::unavailable, "{}: {}", path_, std::strerror(errno));
    }
    const std::string& path() const { return path_; }
    int folder() const { return own_.get(); }

private:
    const std::string in_, name_, path_;
    UniqueFd own_;
};

Result<ImageStore::Source> ImageStore::read_source(const std::string& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) {
        return fail_on("root.path", errno == ENOENT ? Code::not_found : Code::invalid_argument,
                       "root.path {}: {}", path, std::strerror(errno));
    }
    if (S_ISDIR(facts.st_mode)) {
        return Source{DG_TRY(read_oci_layout(path, options_.architecture)), nullptr};
    }
    if (!S_ISREG(facts.st_mode)) {
        return fail_on("root.path", Code::invalid_argument,
                       "root.path {} is neither an image layout's folder nor a tarball", path);
    }
    const auto ns = [](const timespec& time) {
        return time.tv_sec * 1'000'000'000ll + time.tv_nsec;
    };
    const Known now{facts.st_dev, facts.st_ino, static_cast<std::uint64_t>(facts.st_size),
                    ns(facts.st_mtim), ns(facts.st_ctim)};
    {
        const std::lock_guard guard(mutex_);
        const auto at = tarballs_.find(path);
        // The parts of an archive are gone when its image is here.
        if (at != tarballs_.end() && at->second.first == now &&
            base::path_exists(folder_of(at->second.second.digest))) {
            return Source{at->second.second, nullptr};
        }
    }
    Source source;
    if (DG_TRY(is_image_archive(path))) {
        DG_TRY(base::make_dirs(options_.folder));
        const auto parts = std::make_shared<Unfinished>(options_.folder);
        DG_TRY(parts->make());
        const ImageArchive archive =
            DG_TRY(open_image_archive(path, parts->path(), options_.limits));
        source = {DG_TRY(read_image_archive(archive, options_.architecture)), parts};
    } else {
        source.spec = DG_TRY(read_rootfs_tarball(path));
    }
    const std::lock_guard guard(mutex_);
    if (tarballs_.size() >= kTarballsKnown) tarballs_.clear();
    tarballs_[path] = {now, source.spec};
    return source;
}

Result<std::string> ImageStore::find_here(const std::string& reference) const {
    constexpr std::string_view kDigest = "sha256:";
    constexpr std::size_t kDigitsMin = 12;
    std::vector<std::string> found;
    for (const StoredImage& each : list()) {
        if (each.source == reference) return each.digest;
        if (reference.starts_with(kDigest) && reference.size() >= kDigest.size() + kDigitsMin &&
            each.digest.starts_with(std::string_view(reference).substr(kDigest.size()))) {
            found.push_back(each.digest);
        }
    }
    if (found.size() == 1) return found.front();
    return fail_on("root.path", Code::not_found,
                   "{} here is called '{}'; GET /v1/sandbox-images lists those there are",
                   found.empty() ? "no image" : "more than one image", reference);
}

Result<void> ImageStore::set_source(const std::string& digest, const std::string& source) {
    const std::string path = folder_of(digest) + "/image.json";
    json::value value = DG_TRY(base::parse_json_file(path));
    if (!value.is_object()) return fail(Code::data_loss, "{} is no JSON object", path);
    value.get_object()["source"] = source;
    return base::write_file_atomically(path, base::to_text(value));
}

Result<StoredImage> ImageStore::import(const std::string& path, const std::string& name) {
    const ImagePtr image = DG_TRY(open(path));  // held, so that nobody makes room of it
    const std::lock_guard guard(mutex_);
    for (const StoredImage& each : list()) {
        if (each.source == name && each.digest != image->digest) {
            DG_TRY(set_source(each.digest, ""));
        }
    }
    DG_TRY(set_source(image->digest, name));
    for (StoredImage& each : list()) {
        if (each.digest == image->digest) return std::move(each);
    }
    return fail(Code::unavailable, "image {} went as soon as it came", image->digest);
}

Result<ImagePtr> ImageStore::take(const std::string& digest) const {
    const std::string folder = folder_of(digest);
    auto image = std::make_shared<Image>();
    image->lock = open_folder(folder);
    if (!lock(image->lock, LOCK_SH)) {
        return fail(Code::not_found, "image {} is not unpacked", digest);
    }
    StoredImage stored;
    // Also that it is still there: it may have gone before the lock was taken.
    DG_TRY(read_description(folder + "/image.json", stored, image->config));
    ::utimensat(AT_FDCWD, (folder + "/image.json").c_str(), nullptr, 0);
    image->digest = digest;
    image->root = folder + "/root";
    return ImagePtr(std::move(image));
}

Result<ImagePtr> ImageStore::open(const std::string& path) {
    if (!path.starts_with('/')) return take(DG_TRY(find_here(path)));
    const Source source = DG_TRY(read_source(path));
    const ImageSpec& spec = source.spec;
    {
        std::unique_lock guard(mutex_);
        unpacked_.wait(guard, [&] { return !unpacking_.contains(spec.digest); });
        if (auto image = take(spec.digest)) return image;
        unpacking_.insert(spec.digest);
    }
    auto made = unpack(spec, path);
    {
        const std::lock_guard guard(mutex_);
        unpacking_.erase(spec.digest);
        unpacked_.notify_all();
    }
    DG_TRY(std::move(made));
    return take(spec.digest);
}

Result<void> ImageStore::unpack(const ImageSpec& spec, const std::string& source) {
    DG_TRY(base::make_dirs(options_.folder));
    clean_up();
    Unfinished fresh(options_.folder);
    DG_TRY(fresh.make());
    if (::mkdirat(fresh.folder(), "root", 0755) != 0) {
        return fail(Code::unavailable, "{}: {}", fresh.path(), std::strerror(errno));
    }
    const UniqueFd root(
        ::openat(fresh.folder(), "root", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!root) return fail(Code::unavailable, "{}: {}", fresh.path(), std::strerror(errno));
    UnpackedSize size;
    bool lowest = true;
    for (const LayerFile& layer : spec.layers) {
        DG_TRY(unpack_layer(layer, root.get(), lowest, options_.limits, size));
        lowest = false;
    }
    DG_TRY(make_mount_points(root.get()));
    DG_TRY(base::write_file_atomically(fresh.path() + "/image.json",
                                       base::to_text(describe(spec, source, size))));
    ::syncfs(root.get());  // or a power cut could leave a name without its files
    make_room(size.bytes);
    if (::rename(fresh.path().c_str(), folder_of(spec.digest).c_str()) == 0) return {};
    // Another process was faster: its folder is as good.
    if (errno == ENOTEMPTY || errno == EEXIST) return {};
    return fail(Code::unavailable, "{}: {}", folder_of(spec.digest), std::strerror(errno));
}

void ImageStore::clean_up() {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(options_.folder, ignored)) {
        const std::string name = entry.path().filename().string();
        if (!name.starts_with(kUnfinished)) continue;
        // A moment lies between making it and locking it; an empty one costs nothing.
        std::error_code gone;
        if (std::filesystem::is_empty(entry.path(), gone)) continue;
        if (lock(open_folder(entry.path().string()), LOCK_EX)) remove_below(options_.folder, name);
    }
}

void ImageStore::make_room(std::uint64_t bytes) {
    std::vector<StoredImage> all = list();
    std::ranges::sort(all, {}, &StoredImage::used_unix_s);
    std::uint64_t total = bytes;
    for (const StoredImage& image : all) total += image.bytes;
    for (const StoredImage& image : all) {
        if (total <= options_.bytes_max) return;
        if (remove(image.digest)) total -= image.bytes;
    }
}

std::vector<StoredImage> ImageStore::list() const {
    std::vector<StoredImage> all;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(options_.folder, ignored)) {
        const std::string name = entry.path().filename().string();
        if (!name.starts_with(kPrefix)) continue;
        const std::string file = entry.path().string() + "/image.json";
        StoredImage stored;
        ImageConfig config;
        struct stat facts {};
        stored.digest = name.substr(kPrefix.size());
        if (::stat(file.c_str(), &facts) != 0 || !read_description(file, stored, config)) continue;
        stored.used_unix_s = facts.st_mtim.tv_sec;
        all.push_back(std::move(stored));
    }
    std::ranges::sort(all, {}, &StoredImage::digest);
    return all;
}

Result<void> ImageStore::remove(const std::string& digest) {
    const std::string folder = folder_of(digest);
    const UniqueFd own = open_folder(folder);
    if (!own || digest.find('/') != std::string::npos) {
        return fail_on(digest, Code::not_found, "image {} is not unpacked here", digest);
    }
    if (!lock(own, LOCK_EX)) {
        return fail_on(digest, Code::failed_precondition,
                       "image {} is in use; destroy the sandboxes that began with it", digest);
    }
    // Out of sight in one step; then it takes as long as it takes.
    const std::string name = fmt::format("{}{:016x}", kUnfinished, base::entropy64());
    if (::rename(folder.c_str(), (options_.folder + "/" + name).c_str()) != 0) {
        return fail(Code::unavailable, "{}: {}", folder, std::strerror(errno));
    }
    remove_below(options_.folder, name);
    return {};
}

}  // namespace sphere::images
