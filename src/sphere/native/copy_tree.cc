#include "sphere/native/copy_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/files/unique_fd.h"
#include "sphere/files/beneath.h"

namespace sphere::native {
namespace {

using base::Code;
using base::Result;
using base::UniqueFd;
using Parts = std::vector<std::string>;

constexpr off_t kPieceBytes = 16 << 20, kSmallBytes = 256 << 10;
constexpr std::size_t kPiecesWaiting = 64;
constexpr mode_t kModeMask = 01777;  // no set-id bit

Parts below(const Parts& folder, const char* name) {
    Parts parts = folder;
    parts.emplace_back(name);
    return parts;
}

/// Calls `visit(folder, name, facts)` for everything in `root`; for a folder before what is in it.
template <class Visit>
Result<void> walk(int root, bool skip_closed, Visit visit) {
    std::vector<Parts> waiting{{}};
    while (!waiting.empty()) {
        const Parts folder = std::move(waiting.back());
        waiting.pop_back();
        auto opened = files::open_beneath(root, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!opened && skip_closed) continue;
        if (!opened) return std::unexpected(std::move(opened).error());
        const int own = ::fcntl(opened->get(), F_DUPFD_CLOEXEC, 0);  // closed with the stream
        const std::unique_ptr<DIR, int (*)(DIR*)> stream(own < 0 ? nullptr : ::fdopendir(own),
                                                         ::closedir);
        if (!stream) return files::fail_name(errno, "read", folder);
        const int at = ::dirfd(stream.get());
        while (const dirent* entry = ::readdir(stream.get())) {
            const std::string_view name = entry->d_name;
            if (name == "." || name == "..") continue;
            struct stat facts {};
            if (::fstatat(at, entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) {
                return files::fail_name(errno, "stat", below(folder, entry->d_name));
            }
            DG_TRY(visit(at, folder, entry->d_name, facts));
            if (S_ISDIR(facts.st_mode)) waiting.push_back(below(folder, entry->d_name));
        }
    }
    return {};
}

std::uint64_t bytes_of(const struct stat& facts) {
    return S_ISREG(facts.st_mode) ? static_cast<std::uint64_t>(facts.st_blocks) * 512 : 0;
}

/// One file being copied.
struct File {
    UniqueFd to;
    struct stat facts {};
    std::uint32_t owner = 0;
    bool give_away = false;
    Parts name;

    Result<void> finish() const {
        const timespec times[2] = {facts.st_atim, facts.st_mtim};
        if ((give_away && ::fchown(to.get(), owner, owner) != 0) ||
            ::fchmod(to.get(), facts.st_mode & kModeMask) != 0 ||
            ::futimens(to.get(), times) != 0) {
            return files::fail_name(errno, "copy", name);
        }
        return {};
    }
};

Result<void> copy_range(const File& file, int from, off_t at, off_t end) {
    std::string buffer;
    while (at < end) {
        const off_t data = ::lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) return {};  // nothing but a hole to the end
        if (data < 0) return files::fail_name(errno, "read", file.name);
        if (data >= end) return {};
        at = data;
        const off_t hole = std::min(end, ::lseek(from, at, SEEK_HOLE));
        if (buffer.empty()) buffer.resize(512u << 10);
        while (at < hole) {
            const auto wanted =
                std::min<std::size_t>(static_cast<std::size_t>(hole - at), buffer.size());
            const ssize_t got = ::pread(from, buffer.data(), wanted, at);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return files::fail_name(errno, "read", file.name);
            if (got == 0) return {};
            for (ssize_t put = 0; put < got;) {
                const ssize_t n = ::pwrite(file.to.get(), buffer.data() + put,
                                           static_cast<std::size_t>(got - put), at + put);
                if (n < 0 && errno != EINTR) return files::fail_name(errno, "copy", file.name);
                put += std::max<ssize_t>(n, 0);
            }
            at += got;
        }
    }
    return {};
}

/// A file of several pieces; whoever lets go of it last finishes it.
struct LargeFile {
    File file;
    std::atomic<std::size_t> pieces_left = 0;

    Result<void> let_go() {
        if (pieces_left.fetch_sub(1) == 1) return file.finish();
        return {};
    }
};

/// Threads that copy pieces of large files. SEEK_DATA moves a file's one position, so each piece
/// reads through a descriptor of its own.
class Pieces {
public:
    struct Piece {
        std::shared_ptr<LargeFile> whole;
        UniqueFd from;
        off_t begin = 0, end = 0;
    };

    Pieces() {
        const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1u, 8u);
        for (unsigned i = 0; i < count; ++i) threads_.emplace_back([this] { run(); });
    }
    ~Pieces() { static_cast<void>(finish()); }
    Pieces(const Pieces&) = delete;
    Pieces& operator=(const Pieces&) = delete;

    void add(Piece piece) {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [&] { return waiting_.size() < kPiecesWaiting; });
        waiting_.push_back(std::move(piece));
        work_.notify_one();
    }
    /// Waits for all of them. Errors: the first that one met.
    Result<void> finish() {
        {
            const std::lock_guard lock(mutex_);
            over_ = true;
            work_.notify_all();
        }
        for (std::thread& thread : threads_) thread.join();
        threads_.clear();
        if (error_) return std::unexpected(*error_);
        return {};
    }

private:
    static Result<void> copy(const Piece& piece) {
        DG_TRY(copy_range(piece.whole->file, piece.from.get(), piece.begin, piece.end));
        return piece.whole->let_go();
    }

    void run() {
        std::unique_lock lock(mutex_);
        for (;;) {
            work_.wait(lock, [&] { return over_ || !waiting_.empty(); });
            if (waiting_.empty()) return;
            const Piece piece = std::move(waiting_.front());
            waiting_.pop_front();
            room_.notify_one();
            if (error_) continue;
            lock.unlock();
            auto copied = copy(piece);
            lock.lock();
            if (!copied && !error_) error_ = std::move(copied).error();
        }
    }

    std::mutex mutex_;
    std::condition_variable work_, room_;
    std::deque<Piece> waiting_;
    std::optional<base::Error> error_;
    bool over_ = false;
    std::vector<std::thread> threads_;
};

class Copier {
public:
    Copier(int from, int to, std::uint32_t owner) : from_(from), to_(to), owner_(owner) {}

    Result<TreeSize> run() {
        DG_TRY(walk(from_, false,
                    [&](int at, const Parts& folder, const char* name, const struct stat& facts) {
                        return copy(at, folder, name, facts);
                    }));
        if (pieces_) DG_TRY(pieces_->finish());
        // Inner ones first: what is put into a folder changes its times.
        for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder) {
            DG_TRY(finish_folder(folder->first, folder->second));
        }
        return size_;
    }

private:
    bool gives_away() const { return ::geteuid() == 0; }

    Result<void> copy(int at, const Parts& folder, const char* name, const struct stat& facts) {
        if (!S_ISDIR(facts.st_mode) && !S_ISREG(facts.st_mode) && !S_ISLNK(facts.st_mode)) {
            return {};
        }
        const UniqueFd into =
            DG_TRY(files::open_beneath(to_, folder, O_PATH | O_DIRECTORY | O_NOFOLLOW));
        ++size_.entries;
        if (S_ISDIR(facts.st_mode)) {
            if (::mkdirat(into.get(), name, 0700) != 0) return failed(folder, name);
            folders_.emplace_back(below(folder, name), facts);
            return {};
        }
        if (S_ISLNK(facts.st_mode)) return copy_link(at, into.get(), folder, name, facts);
        if (facts.st_nlink > 1) {
            const auto [known, fresh] =
                linked_.emplace(std::pair(facts.st_dev, facts.st_ino), below(folder, name));
            if (!fresh) return link(known->second, into.get(), folder, name);
        }
        return copy_file(at, into.get(), folder, name, facts);
    }

    Result<void> copy_link(int at, int into, const Parts& folder, const char* name,
                           const struct stat& facts) {
        char target[PATH_MAX];
        const ssize_t length = ::readlinkat(at, name, target, sizeof(target) - 1);
        if (length < 0) return failed(folder, name);
        target[length] = '\0';
        const timespec times[2] = {facts.st_atim, facts.st_mtim};
        if (::symlinkat(target, into, name) != 0 ||
            (gives_away() && ::fchownat(into, name, owner_, owner_, AT_SYMLINK_NOFOLLOW) != 0) ||
            ::utimensat(into, name, times, AT_SYMLINK_NOFOLLOW) != 0) {
            return failed(folder, name);
        }
        return {};
    }

    Result<void> link(const Parts& first, int into, const Parts& folder, const char* name) {
        const auto place = DG_TRY(files::open_parent(to_, first));
        if (::linkat(place.folder.get(), place.name.c_str(), into, name, 0) == 0) return {};
        return failed(folder, name);
    }

    Result<void> copy_file(int at, int into, const Parts& folder, const char* name,
                           const struct stat& facts) {
        const UniqueFd from(::openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!from) return failed(folder, name);
        File file;
        file.to = UniqueFd(::openat(into, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
        if (!file.to || ::ftruncate(file.to.get(), facts.st_size) != 0) {
            return failed(folder, name);
        }
        file.facts = facts;
        file.owner = owner_;
        file.give_away = gives_away();
        file.name = below(folder, name);
        size_.bytes += bytes_of(facts);
        if (facts.st_size <= kSmallBytes) {
            DG_TRY(copy_range(file, from.get(), 0, facts.st_size));
            return file.finish();
        }
        return copy_large(at, name, from.get(), std::move(file));
    }

    Result<void> copy_large(int at, const char* name, int from, File file) {
        if (!pieces_) pieces_.emplace();
        const auto whole = std::make_shared<LargeFile>();
        whole->file = std::move(file);
        whole->pieces_left = 1;  // ours, until all are known
        off_t at_byte = 0;
        // Holes are skipped: a file of exabytes may have no piece at all.
        while ((at_byte = ::lseek(from, at_byte, SEEK_DATA)) >= 0) {
            const off_t end = std::min(at_byte + kPieceBytes, whole->file.facts.st_size);
            UniqueFd own(::openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
            if (!own) return files::fail_name(errno, "copy", whole->file.name);
            whole->pieces_left.fetch_add(1);
            pieces_->add({whole, std::move(own), at_byte, end});
            at_byte = end;
        }
        if (errno != ENXIO) return files::fail_name(errno, "copy", whole->file.name);
        return whole->let_go();
    }

    Result<void> finish_folder(const Parts& parts, const struct stat& facts) const {
        const UniqueFd folder =
            DG_TRY(files::open_beneath(to_, parts, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        const timespec times[2] = {facts.st_atim, facts.st_mtim};
        if ((gives_away() && ::fchown(folder.get(), owner_, owner_) != 0) ||
            ::futimens(folder.get(), times) != 0 ||
            ::fchmod(folder.get(), facts.st_mode & kModeMask) != 0) {
            return files::fail_name(errno, "copy", parts);
        }
        return {};
    }

    static std::unexpected<base::Error> failed(const Parts& folder, const char* name) {
        return files::fail_name(errno, "copy", below(folder, name));
    }

    const int from_, to_;
    const std::uint32_t owner_;
    TreeSize size_;
    std::vector<std::pair<Parts, struct stat>> folders_;
    std::map<std::pair<dev_t, ino_t>, Parts> linked_;
    std::optional<Pieces> pieces_;
};

/// Only names that an overlay reads; what else a box noted on its files is its own.
void strip_notes(int folder, const char* name) {
    const UniqueFd file(::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    char names[4096];
    const ssize_t bytes = file ? ::flistxattr(file.get(), names, sizeof(names)) : 0;
    for (ssize_t at = 0; at < bytes; at += static_cast<ssize_t>(std::strlen(names + at)) + 1) {
        const std::string_view each = names + at;
        if (each.starts_with("user.overlay.")) ::fremovexattr(file.get(), names + at);
    }
}

}  // namespace

Result<TreeSize> copy_tree(int from, int to, std::uint32_t owner) {
    return Copier(from, to, owner).run();
}

Result<TreeSize> clean_layer(int layer, bool strip_attributes) {
    TreeSize size;
    DG_TRY(walk(layer, true,
                [&](int at, const Parts& folder, const char* name,
                    const struct stat& facts) -> Result<void> {
                    const bool regular = S_ISREG(facts.st_mode), is_folder = S_ISDIR(facts.st_mode);
                    if (regular || is_folder) {
                        if ((facts.st_mode & 06000u) != 0 &&
                            ::fchmodat(at, name, facts.st_mode & kModeMask, 0) != 0) {
                            return files::fail_name(errno, "take the set-id bit off",
                                                    below(folder, name));
                        }
                        if (strip_attributes) strip_notes(at, name);
                    }
                    if (regular || is_folder || S_ISLNK(facts.st_mode)) ++size.entries;
                    size.bytes += bytes_of(facts);
                    return {};
                }));
    return size;
}

}  // namespace sphere::native
