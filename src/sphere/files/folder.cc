#include "sphere/files/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>

#include "sphere/files/beneath.h"

namespace sphere::files {

using base::Result;

Entry entry_of(const struct stat& info) {
    Entry entry;
    entry.type = S_ISREG(info.st_mode)   ? EntryType::file
                 : S_ISDIR(info.st_mode) ? EntryType::folder
                 : S_ISLNK(info.st_mode) ? EntryType::link
                                         : EntryType::other;
    entry.bytes = static_cast<std::uint64_t>(info.st_size);
    entry.mode = info.st_mode & 07777;
    entry.modified_unix_ns = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
    return entry;
}

Result<Entry> stat_entry(int folder, const std::string& name,
                         const std::vector<std::string>& parts) {
    struct stat info {};
    if (::fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return fail_name(errno, "stat", parts);
    }
    Entry entry = entry_of(info);
    entry.name = name;
    if (entry.type == EntryType::link) {
        char target[PATH_MAX];
        const ssize_t length = ::readlinkat(folder, name.c_str(), target, sizeof(target));
        if (length > 0) entry.link_target.assign(target, static_cast<std::size_t>(length));
    }
    return entry;
}

Result<FolderContent> read_folder(base::UniqueFd folder, const std::vector<std::string>& parts,
                                  std::size_t entries_max) {
    const int copy = ::fcntl(folder.get(), F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return fail_name(errno, "list", parts);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(copy), ::closedir);
    if (!stream) {
        ::close(copy);
        return fail_name(errno, "list", parts);
    }
    FolderContent content;
    while (true) {
        errno = 0;
        const dirent* found = ::readdir(stream.get());
        if (found == nullptr && errno != 0) return fail_name(errno, "list", parts);
        if (found == nullptr) break;
        const std::string name = found->d_name;
        if (name == "." || name == "..") continue;
        if (content.entries.size() == entries_max) {
            content.truncated = true;
            break;
        }
        if (auto entry = stat_entry(folder.get(), name, parts)) {
            content.entries.push_back(std::move(*entry));
        }
    }
    std::ranges::sort(content.entries, {}, &Entry::name);
    return content;
}

}  // namespace sphere::files
