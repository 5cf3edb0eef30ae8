#include "sphere/images/layer_unpacker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/files/sha256.h"
#include "base/files/unique_fd.h"
#include "sphere/files/beneath.h"
#include "sphere/files/folder.h"
#include "sphere/files/name_text.h"
#include "sphere/files/remove_tree.h"
#include "sphere/files/tar_stream.h"

namespace sphere::images {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
using base::UniqueFd;
using files::TarHead;

constexpr std::string_view kWhiteout = ".wh.", kOpaque = ".wh..wh..opq";
constexpr std::size_t kReadBytes = 256u << 10;

std::string shown(std::string_view name) {
    return files::escape_name(name.substr(0, 200));
}

/// As a box sees it: links, absolute ones too, end up in `root`, whatever they say.
UniqueFd open_in_root(int root, const std::string& path, int flags) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
    return UniqueFd(static_cast<int>(
        ::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof(how))));
}

/// A box's user reads and runs what the owner may; nobody but the owner writes.
std::uint32_t box_mode(std::uint32_t mode) {
    const std::uint32_t owner = mode & 0700u;
    return owner | ((owner & 0500u) >> 3) | ((owner & 0500u) >> 6);
}

class Target {
public:
    Target(int root, const ImageLimits& limits, UnpackedSize& size)
        : root_(root), limits_(limits), size_(size) {}

    /// The folder of the last of `parts`, made with those above it where it is not there.
    Result<UniqueFd> parent(const std::vector<std::string>& parts) const {
        const std::span<const std::string> above(parts.data(), parts.size() - 1);
        UniqueFd folder = open_in_root(root_, files::join_name(above), O_PATH | O_DIRECTORY);
        if (folder || errno != ENOENT) return opened(std::move(folder), parts);
        folder = open_in_root(root_, "", O_PATH | O_DIRECTORY);
        for (std::size_t depth = 1; folder && depth <= above.size(); ++depth) {
            const std::string way = files::join_name(above.first(depth));
            UniqueFd next = open_in_root(root_, way, O_PATH | O_DIRECTORY);
            if (!next && errno == ENOENT) {
                ::mkdirat(folder.get(), above[depth - 1].c_str(), 0755);
                next = open_in_root(root_, way, O_PATH | O_DIRECTORY);
            }
            folder = std::move(next);
        }
        return opened(std::move(folder), parts);
    }

    Result<void> remove(int folder, const std::string& name,
                        const std::vector<std::string>& parts) const {
        if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) return {};
        if (errno == EISDIR || errno == EPERM) {
            return files::remove_tree(root_, folder, name, parts);
        }
        return files::fail_name(errno, "remove", parts);
    }

    Result<void> count(std::uint64_t bytes) const {
        if (++size_.entries > limits_.entries_max) {
            return fail(Code::payload_too_large, "the image has more than {} files",
                        limits_.entries_max);
        }
        if (bytes > limits_.bytes_max - std::min(size_.bytes, limits_.bytes_max)) {
            return fail(Code::payload_too_large, "the image unpacks to more than {} bytes",
                        limits_.bytes_max);
        }
        size_.bytes += bytes;
        return {};
    }

    void drop() const { ++size_.dropped; }
    int root() const { return root_; }

private:
    static Result<UniqueFd> opened(UniqueFd folder, const std::vector<std::string>& parts) {
        if (folder) return folder;
        return files::fail_name(errno, "open the folder of", parts);
    }

    const int root_;
    const ImageLimits& limits_;
    UnpackedSize& size_;
};

/// The name of an entry. "./" itself has no parts.
Result<std::vector<std::string>> parts_of(const TarHead& entry) {
    auto parts = files::split_name(entry.name);
    if (!parts) return std::unexpected(std::move(parts).error().with_context("image layer"));
    return parts;
}

/// First pass over a layer: takes away what its whiteouts name, before anything of it is there.
class Whiteouts final : public files::TarHandler {
public:
    explicit Whiteouts(const Target& target) : target_(target) {}

    Result<void> on_entry(const TarHead& entry) override {
        auto parts = DG_TRY(parts_of(entry));
        if (parts.empty() || !parts.back().starts_with(kWhiteout)) return {};
        const std::string above = files::join_name(std::span(parts).first(parts.size() - 1));
        UniqueFd folder = open_in_root(target_.root(), above, O_RDONLY | O_DIRECTORY);
        if (!folder) return {};  // nothing is there to be taken away
        if (parts.back() == kOpaque) return empty(std::move(folder), above);
        const std::string name = parts.back().substr(kWhiteout.size());
        if (name.empty() || name == "." || name == "..") {
            return fail_on(shown(entry.name), Code::invalid_argument,
                           "image layer: {} names nothing to take away", shown(entry.name));
        }
        parts.back() = name;
        return target_.remove(folder.get(), name, parts);
    }
    Result<void> on_content(std::string_view) override { return {}; }
    Result<void> on_file_end() override { return {}; }

private:
    Result<void> empty(UniqueFd folder, const std::string& above) const {
        const std::vector<std::string> parts = DG_TRY(files::split_name(above));
        const UniqueFd at = open_in_root(target_.root(), above, O_PATH | O_DIRECTORY);
        const auto content = DG_TRY(files::read_folder(std::move(folder), parts, 10'000'000));
        for (const files::Entry& entry : content.entries) {
            std::vector<std::string> inner = parts;
            inner.push_back(entry.name);
            DG_TRY(target_.remove(at.get(), entry.name, inner));
        }
        return {};
    }

    const Target& target_;
};

class Contents final : public files::TarHandler {
public:
    explicit Contents(const Target& target) : target_(target) {}

    Result<void> on_entry(const TarHead& entry) override {
        file_.reset();
        const auto parts = DG_TRY(parts_of(entry));
        if (parts.empty()) return {};  // the root itself
        if (parts.back().starts_with(kWhiteout)) return {};
        const UniqueFd folder = DG_TRY(target_.parent(parts));
        const std::string& name = parts.back();
        switch (entry.type) {
            case '5':
                return make_folder(folder.get(), name, parts, entry);
            case '0':
                return begin_file(folder.get(), name, parts, entry);
            case '2':
                DG_TRY(target_.count(0));
                DG_TRY(target_.remove(folder.get(), name, parts));
                if (entry.link_target.find('\0') == std::string::npos &&
                    ::symlinkat(entry.link_target.c_str(), folder.get(), name.c_str()) == 0) {
                    return {};
                }
                return files::fail_name(errno, "link", parts);
            case '1':
                return make_hard_link(folder.get(), name, parts, entry);
            case '3':
            case '4':
            case '6':
                target_.drop();
                return target_.remove(folder.get(), name, parts);
            default:
                return fail_on(shown(entry.name), Code::invalid_argument,
                               "image layer: entry {} is of a kind '{}' that is not read",
                               shown(entry.name), entry.type);
        }
    }

    Result<void> on_content(std::string_view bytes) override {
        while (file_ && !bytes.empty()) {
            const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return files::fail_name(errno, "write", parts_);
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
        return {};
    }

    Result<void> on_file_end() override {
        if (!file_) return {};  // a whiteout
        const timespec times[2] = {{modified_s_, 0}, {modified_s_, 0}};
        if (::fchmod(file_.get(), mode_) != 0 || ::futimens(file_.get(), times) != 0) {
            return files::fail_name(errno, "write", parts_);
        }
        file_.reset();
        return {};
    }

private:
    Result<void> make_folder(int folder, const std::string& name,
                             const std::vector<std::string>& parts, const TarHead& entry) const {
        DG_TRY(target_.count(0));
        if (::mkdirat(folder, name.c_str(), 0755) != 0) {
            struct stat there {};
            if (errno != EEXIST ||
                ::fstatat(folder, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) {
                return files::fail_name(errno, "make", parts);
            }
            if (!S_ISDIR(there.st_mode)) {
                DG_TRY(target_.remove(folder, name, parts));
                if (::mkdirat(folder, name.c_str(), 0755) != 0) {
                    return files::fail_name(errno, "make", parts);
                }
            }
        }
        // Ours to fill and to remove, whatever the image says.
        if (::fchmodat(folder, name.c_str(), box_mode(entry.mode | 0700u), 0) != 0) {
            return files::fail_name(errno, "make", parts);
        }
        return {};
    }

    Result<void> begin_file(int folder, const std::string& name,
                            const std::vector<std::string>& parts, const TarHead& entry) {
        DG_TRY(target_.count(entry.bytes));
        DG_TRY(target_.remove(folder, name, parts));
        file_ = UniqueFd(::openat(folder, name.c_str(),
                                  O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!file_) return files::fail_name(errno, "write", parts);
        parts_ = parts;
        mode_ = box_mode(entry.mode | 0400u);
        modified_s_ = entry.modified_unix_s;
        return {};
    }

    Result<void> make_hard_link(int folder, const std::string& name,
                                const std::vector<std::string>& parts, const TarHead& entry) const {
        DG_TRY(target_.count(0));
        const auto to = files::split_name(entry.link_target);
        if (!to || to->empty()) {
            return fail_on(shown(entry.name), Code::invalid_argument,
                           "image layer: entry {} is a hard link to '{}'", shown(entry.name),
                           shown(entry.link_target));
        }
        const UniqueFd at = DG_TRY(target_.parent(*to));
        struct stat there {
        }, own{};
        if (::fstatat(at.get(), to->back().c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0 ||
            S_ISDIR(there.st_mode)) {
            return fail_on(shown(entry.name), Code::invalid_argument,
                           "image layer: entry {} is a hard link to {}, which is no file",
                           shown(entry.name), shown(entry.link_target));
        }
        if (::fstatat(folder, name.c_str(), &own, AT_SYMLINK_NOFOLLOW) == 0 &&
            own.st_ino == there.st_ino && own.st_dev == there.st_dev) {
            return {};
        }
        DG_TRY(target_.remove(folder, name, parts));
        if (::linkat(at.get(), to->back().c_str(), folder, name.c_str(), 0) == 0) return {};
        return files::fail_name(errno, "link", parts);
    }

    const Target& target_;
    UniqueFd file_;
    std::vector<std::string> parts_;
    std::uint32_t mode_ = 0;
    std::int64_t modified_s_ = 0;
};

Result<void> pass(const LayerFile& layer, const ImageLimits& limits, files::TarHandler& handler,
                  bool check) {
    const UniqueFd file(::open(layer.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
        return fail_on("root.path", errno == ENOENT ? Code::not_found : Code::unavailable,
                       "the layer {} cannot be read: {}", layer.path, std::strerror(errno));
    }
    files::ArchiveLimits archive;
    archive.entries_max = limits.entries_max;
    archive.ratio_max = limits.ratio_max;
    files::TarStream stream(archive, handler);
    base::Sha256 digest;
    std::uint64_t bytes = 0;
    std::string buffer(kReadBytes, '\0');
    for (;;) {
        const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Code::unavailable, "{}: {}", layer.path, std::strerror(errno));
        if (got == 0) break;
        bytes += static_cast<std::uint64_t>(got);
        const std::string_view piece(buffer.data(), static_cast<std::size_t>(got));
        if (check) digest.update(std::as_bytes(std::span(piece)));
        DG_TRY(stream.feed(piece));
    }
    if (check && (bytes != layer.bytes || digest.finish_hex() != layer.sha256)) {
        return fail_on("root.path", Code::invalid_argument,
                       "the layer {} is not what its digest and size say", layer.path);
    }
    return stream.finish();
}

}  // namespace

Result<void> unpack_layer(const LayerFile& layer, int root, bool lowest, const ImageLimits& limits,
                          UnpackedSize& size) {
    const Target target(root, limits, size);
    if (!lowest) {
        Whiteouts whiteouts(target);
        DG_TRY(pass(layer, limits, whiteouts, false));
    }
    Contents contents(target);
    return pass(layer, limits, contents, true);
}

}  // namespace sphere::images
