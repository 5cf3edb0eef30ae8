#include "sphere/native/tree_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "base/files/unique_fd.h"
#include "sphere/files/beneath.h"
#include "sphere/files/folder.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::UniqueFd;
using Parts = std::vector<std::string>;

constexpr std::string_view kMagic = "dougong tree 1\n";
constexpr std::size_t kNameBytesMax = 64u << 10, kPieceBytes = 512u << 10,
                      kEntriesMax = 100'000'000;
constexpr mode_t kModeMask = 01777;  // no set-id bit

/// Numbers are little-endian, whatever this machine is.
template <class T>
void put(std::string& out, T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        out += static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xff);
    }
}

Parts below(const Parts& folder, const std::string& name) {
    Parts parts = folder;
    parts.push_back(name);
    return parts;
}

class Writer {
public:
    Writer(int root, const TreeSink& sink) : root_(root), sink_(sink) {}

    Result<TreeSize> run() {
        DG_TRY(sink_(kMagic));
        // Deepest first off the end, so that folders come before what is in them, in order.
        std::vector<Parts> waiting{{}};
        while (!waiting.empty()) {
            const Parts folder = std::move(waiting.back());
            waiting.pop_back();
            UniqueFd at =
                DG_TRY(files::open_beneath(root_, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
            const UniqueFd own(::fcntl(at.get(), F_DUPFD_CLOEXEC, 0));
            const auto content = DG_TRY(files::read_folder(std::move(at), folder, kEntriesMax));
            for (auto entry = content.entries.rbegin(); entry != content.entries.rend(); ++entry) {
                if (entry->type == files::EntryType::folder) {
                    waiting.push_back(below(folder, entry->name));
                }
            }
            for (const files::Entry& entry : content.entries) {
                DG_TRY(write(own.get(), folder, entry));
            }
        }
        DG_TRY(sink_("e"));
        return size_;
    }

private:
    Result<void> write(int at, const Parts& folder, const files::Entry& entry) {
        const Parts parts = below(folder, entry.name);
        struct stat facts {};
        if (::fstatat(at, entry.name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) != 0) {
            return files::fail_name(errno, "stat", parts);
        }
        switch (entry.type) {
            case files::EntryType::folder:
                return head('d', parts, facts);
            case files::EntryType::link:
                DG_TRY(head('l', parts, facts));
                return text(entry.link_target);
            case files::EntryType::file:
                return file(at, entry.name, parts, facts);
            case files::EntryType::other:
                break;
        }
        return {};
    }

    Result<void> head(char kind, const Parts& parts, const struct stat& facts) {
        ++size_.entries;
        std::string bytes(1, kind);
        put<std::uint32_t>(bytes, facts.st_mode & kModeMask);
        put<std::int64_t>(bytes, facts.st_mtim.tv_sec);
        put<std::uint32_t>(bytes, static_cast<std::uint32_t>(facts.st_mtim.tv_nsec));
        DG_TRY(sink_(bytes));
        return text(files::join_name(parts));
    }

    Result<void> text(const std::string& text) {
        if (text.size() > kNameBytesMax) {
            return fail(Code::resource_exhausted, "a name of {} bytes is over {}", text.size(),
                        kNameBytesMax);
        }
        std::string bytes;
        put<std::uint32_t>(bytes, static_cast<std::uint32_t>(text.size()));
        return sink_(bytes + text);
    }

    Result<void> file(int at, const std::string& name, const Parts& parts,
                      const struct stat& facts) {
        if (facts.st_nlink > 1) {
            const auto [known, fresh] =
                linked_.emplace(std::pair(facts.st_dev, facts.st_ino), files::join_name(parts));
            if (!fresh) {
                DG_TRY(head('h', parts, facts));
                return text(known->second);
            }
        }
        const UniqueFd from(
            ::openat(at, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!from) return files::fail_name(errno, "read", parts);
        DG_TRY(head('f', parts, facts));
        std::string bytes;
        put<std::uint64_t>(bytes, static_cast<std::uint64_t>(facts.st_size));
        DG_TRY(sink_(bytes));
        size_.bytes += static_cast<std::uint64_t>(facts.st_blocks) * 512;
        return content(from.get(), parts, facts.st_size);
    }

    /// Pieces of place, length and bytes; a piece of no length ends the file.
    Result<void> content(int from, const Parts& parts, off_t size) {
        off_t at = 0;
        while (at < size && (at = ::lseek(from, at, SEEK_DATA)) >= 0 && at < size) {
            const off_t hole = std::min(size, ::lseek(from, at, SEEK_HOLE));
            while (at < hole) {
                const auto wanted =
                    std::min<std::size_t>(static_cast<std::size_t>(hole - at), kPieceBytes);
                buffer_.resize(wanted);
                const ssize_t got = ::pread(from, buffer_.data(), wanted, at);
                if (got < 0 && errno == EINTR) continue;
                if (got <= 0) return files::fail_name(got < 0 ? errno : EIO, "read", parts);
                DG_TRY(piece(at, std::string_view(buffer_).substr(0, static_cast<size_t>(got))));
                at += got;
            }
        }
        if (at < 0 && errno != ENXIO) return files::fail_name(errno, "read", parts);
        return piece(size, {});
    }

    Result<void> piece(off_t at, std::string_view bytes) {
        std::string head;
        put<std::uint64_t>(head, static_cast<std::uint64_t>(at));
        put<std::uint32_t>(head, static_cast<std::uint32_t>(bytes.size()));
        DG_TRY(sink_(head));
        return bytes.empty() ? Result<void>() : sink_(bytes);
    }

    const int root_;
    const TreeSink& sink_;
    TreeSize size_;
    std::string buffer_;
    std::map<std::pair<dev_t, ino_t>, std::string> linked_;
};

class Reader {
public:
    Reader(const TreeSource& source, int root, std::uint32_t owner)
        : source_(source), root_(root), owner_(owner), gives_away_(::geteuid() == 0) {}

    Result<TreeSize> run() {
        std::string magic(kMagic.size(), '\0');
        DG_TRY(source_(magic.data(), magic.size()));
        if (magic != kMagic) return fail(Code::data_loss, "no tree of version 1");
        for (;;) {
            char kind = 0;
            DG_TRY(source_(&kind, 1));
            if (kind == 'e') break;
            DG_TRY(entry(kind));
        }
        // Inner ones first: what is put into a folder changes its times.
        for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder) {
            const UniqueFd at = DG_TRY(
                files::open_beneath(root_, folder->first, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
            DG_TRY(finish(at.get(), folder->first, folder->second));
        }
        return size_;
    }

private:
    struct Head {
        mode_t mode = 0;
        timespec modified{};
    };

    template <class T>
    Result<T> number() {
        std::array<unsigned char, sizeof(T)> bytes{};
        DG_TRY(source_(std::bit_cast<char*>(bytes.data()), bytes.size()));
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i) value |= std::uint64_t{bytes[i]} << (8 * i);
        return static_cast<T>(value);
    }

    Result<std::string> text() {
        const auto size = DG_TRY(number<std::uint32_t>());
        if (size > kNameBytesMax) return fail(Code::data_loss, "a name of {} bytes", size);
        std::string text(size, '\0');
        DG_TRY(source_(text.data(), text.size()));
        return text;
    }

    Result<Parts> name() {
        auto parts = files::split_name(DG_TRY(text()));
        if (parts && !parts->empty()) return parts;
        return fail(Code::data_loss, "an entry without a name beneath the workspace");
    }

    Result<void> entry(char kind) {
        Head head;
        head.mode = DG_TRY(number<std::uint32_t>()) & kModeMask;
        head.modified.tv_sec = DG_TRY(number<std::int64_t>());
        head.modified.tv_nsec = DG_TRY(number<std::uint32_t>());
        const Parts parts = DG_TRY(name());
        const files::Place place = DG_TRY(files::open_parent(root_, parts));
        ++size_.entries;
        switch (kind) {
            case 'd':
                if (::mkdirat(place.folder.get(), place.name.c_str(), 0700) != 0) break;
                folders_.emplace_back(parts, head);
                return {};
            case 'l':
                return link(place, parts, head);
            case 'h': {
                const files::Place first = DG_TRY(files::open_parent(root_, DG_TRY(name())));
                if (::linkat(first.folder.get(), first.name.c_str(), place.folder.get(),
                             place.name.c_str(), 0) != 0) {
                    break;
                }
                return {};
            }
            case 'f':
                return file(place, parts, head);
            default:
                return fail(Code::data_loss, "an entry of kind {}", static_cast<int>(kind));
        }
        return files::fail_name(errno, "make", parts);
    }

    Result<void> link(const files::Place& place, const Parts& parts, const Head& head) {
        const std::string target = DG_TRY(text());
        const timespec times[2] = {head.modified, head.modified};
        const int at = place.folder.get();
        const char* const name = place.name.c_str();
        if (target.find('\0') != std::string::npos || ::symlinkat(target.c_str(), at, name) != 0 ||
            (gives_away_ && ::fchownat(at, name, owner_, owner_, AT_SYMLINK_NOFOLLOW) != 0) ||
            ::utimensat(at, name, times, AT_SYMLINK_NOFOLLOW) != 0) {
            return files::fail_name(errno, "link", parts);
        }
        return {};
    }

    Result<void> file(const files::Place& place, const Parts& parts, const Head& head) {
        const UniqueFd to(::openat(place.folder.get(), place.name.c_str(),
                                   O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
        const auto size = DG_TRY(number<std::uint64_t>());
        if (!to || ::ftruncate(to.get(), static_cast<off_t>(size)) != 0) {
            return files::fail_name(errno, "write", parts);
        }
        for (;;) {
            const auto at = DG_TRY(number<std::uint64_t>());
            const auto bytes = DG_TRY(number<std::uint32_t>());
            if (bytes == 0) break;
            if (bytes > kPieceBytes || at > size || bytes > size - at) {
                return fail(Code::data_loss, "a piece of {} bytes at {} in a file of {}", bytes, at,
                            size);
            }
            buffer_.resize(bytes);
            DG_TRY(source_(buffer_.data(), bytes));
            DG_TRY(write_at(to.get(), static_cast<off_t>(at), parts));
        }
        struct stat facts {};
        if (::fstat(to.get(), &facts) == 0) {
            size_.bytes += static_cast<std::uint64_t>(facts.st_blocks) * 512;
        }
        return finish(to.get(), parts, head);
    }

    Result<void> write_at(int to, off_t at, const Parts& parts) const {
        for (std::size_t put = 0; put < buffer_.size();) {
            const ssize_t n = ::pwrite(to, buffer_.data() + put, buffer_.size() - put,
                                       at + static_cast<off_t>(put));
            if (n < 0 && errno != EINTR) return files::fail_name(errno, "write", parts);
            put += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
        }
        return {};
    }

    Result<void> finish(int file, const Parts& parts, const Head& head) const {
        const timespec times[2] = {head.modified, head.modified};
        if ((gives_away_ && ::fchown(file, owner_, owner_) != 0) ||
            ::fchmod(file, head.mode) != 0 || ::futimens(file, times) != 0) {
            return files::fail_name(errno, "write", parts);
        }
        return {};
    }

    const TreeSource& source_;
    const int root_;
    const std::uint32_t owner_;
    const bool gives_away_;
    TreeSize size_;
    std::string buffer_;
    std::vector<std::pair<Parts, Head>> folders_;
};

}  // namespace

Result<TreeSize> write_tree(int root, const TreeSink& sink) {
    return Writer(root, sink).run();
}

Result<TreeSize> read_tree(const TreeSource& source, int root, std::uint32_t owner) {
    return Reader(source, root, owner).run();
}

}  // namespace sphere::native
