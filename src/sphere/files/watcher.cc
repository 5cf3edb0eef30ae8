#include "sphere/files/watcher.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/files/file_error.h"
#include "sphere/files/beneath.h"
#include "sphere/files/folder.h"
#include "sphere/files/name_text.h"

namespace sphere::files {
namespace {

using base::Code;
using base::Result;
using base::UniqueFd;
using Kind = Change::Kind;

constexpr std::uint32_t kMask = IN_CREATE | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM |
                                IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;

std::string joined(const std::string& folder, std::string_view name) {
    return folder.empty() ? std::string(name) : fmt::format("{}/{}", folder, name);
}

}  // namespace

std::string_view change_name(Kind kind) {
    switch (kind) {
        case Kind::created:
            return "created";
        case Kind::modified:
            return "modified";
        case Kind::removed:
            return "removed";
        case Kind::moved_from:
            return "moved_from";
        case Kind::moved_to:
            return "moved_to";
        case Kind::overflow:
            return "overflow";
        case Kind::unwatched:
            return "unwatched";
        case Kind::gone:
            return "gone";
    }
    return "";
}

Result<Watcher> Watcher::start(const Workspace& workspace, std::string_view name,
                               const WatchOptions& options) {
    UniqueFd inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (!inotify) return base::fail_errno(errno, "watch", escape_name(name));
    UniqueFd root(::fcntl(workspace.root(), F_DUPFD_CLOEXEC, 0));
    if (!root) return base::fail_errno(errno, "watch", escape_name(name));
    Watcher watcher(std::move(inotify), std::move(root), options);
    std::string start;
    for (const std::string& part : DG_TRY(split_name(name))) start = joined(start, part);
    DG_TRY(watcher.add(start, true));
    return watcher;
}

/// Watches `name` and, where asked, every folder in it.
Result<void> Watcher::add(const std::string& name, bool first) {
    std::vector<std::string> waiting{name};
    while (!waiting.empty()) {
        const std::string folder = std::move(waiting.back());
        waiting.pop_back();
        const auto parts = DG_TRY(split_name(folder));
        const bool follow = first && folder == name;
        auto open =
            open_beneath(root_.get(), parts, O_RDONLY | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW));
        if (!open) {
            if (follow) return std::unexpected(std::move(open).error());
            continue;  // gone again
        }
        if (folders_.size() >= options_.folders_max) {
            return base::fail_on(escape_name(folder), Code::resource_exhausted,
                                 "more than {} folders to watch", options_.folders_max);
        }
        // By descriptor: the name cannot be swapped between the look and the watch.
        const std::string by_fd = fmt::format("/proc/self/fd/{}", open->get());
        const int watch = ::inotify_add_watch(inotify_.get(), by_fd.c_str(), kMask);
        if (watch < 0 && errno == ENOSPC) {
            return base::fail_on(escape_name(folder), Code::resource_exhausted,
                                 "the system's limit of watches is reached "
                                 "(fs.inotify.max_user_watches)");
        }
        if (watch < 0) return fail_name(errno, "watch", parts);
        folders_[watch] = folder;
        if (follow) first_ = watch;
        if (!options_.recursive) continue;
        const auto content = DG_TRY(read_folder(std::move(*open), parts, SIZE_MAX));
        for (const Entry& entry : content.entries) {
            if (entry.type == EntryType::folder) waiting.push_back(joined(folder, entry.name));
        }
    }
    return {};
}

/// What was put into a new folder before it was watched is told as created.
void Watcher::add_new_folder(const std::string& name, std::vector<Change>& out) {
    if (auto added = add(name, false); !added) {
        out.push_back({Kind::unwatched, name, true, 0});
        return;
    }
    std::vector<std::string> waiting{name};
    while (!waiting.empty() && out.size() < options_.changes_max) {
        const std::string folder = std::move(waiting.back());
        waiting.pop_back();
        const auto parts = split_name(folder);
        auto open = open_beneath(root_.get(), *parts, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (!open) continue;
        const auto content = read_folder(std::move(*open), *parts, options_.changes_max);
        if (!content) continue;
        for (const Entry& entry : content->entries) {
            const std::string path = joined(folder, entry.name);
            out.push_back({Kind::created, path, entry.type == EntryType::folder, 0});
            if (entry.type == EntryType::folder) waiting.push_back(path);
        }
    }
}

void Watcher::take(const void* bytes, std::vector<Change>& out) {
    inotify_event event{};
    std::memcpy(&event, bytes, sizeof(event));
    if ((event.mask & IN_Q_OVERFLOW) != 0) {
        out.push_back({Kind::overflow, "", false, 0});
        return;
    }
    const auto found = folders_.find(event.wd);
    if (found == folders_.end()) return;
    const std::string folder = found->second;
    if ((event.mask & (IN_IGNORED | IN_DELETE_SELF)) != 0) {
        folders_.erase(found);
        if (event.wd == first_) {
            first_ = -1;
            out.push_back({Kind::gone, folder, true, 0});
        }
        return;
    }
    const char* text = static_cast<const char*>(bytes) + sizeof(event);
    const std::string name = joined(folder, std::string_view(text, ::strnlen(text, event.len)));
    const bool is_folder = (event.mask & IN_ISDIR) != 0;
    const Kind kind = (event.mask & IN_CREATE) != 0        ? Kind::created
                      : (event.mask & IN_CLOSE_WRITE) != 0 ? Kind::modified
                      : (event.mask & IN_DELETE) != 0      ? Kind::removed
                      : (event.mask & IN_MOVED_FROM) != 0  ? Kind::moved_from
                                                           : Kind::moved_to;
    out.push_back({kind, name, is_folder, event.cookie});
    if (!is_folder || !options_.recursive) return;
    if (kind ==
        Kind::moved_from) {  // the watches go with the folder; under a name that is not ours
        std::erase_if(folders_, [&](const auto& entry) {
            const bool inside = entry.second == name || entry.second.starts_with(name + "/");
            if (inside) ::inotify_rm_watch(inotify_.get(), entry.first);
            return inside;
        });
    }
    if (kind == Kind::created || kind == Kind::moved_to) add_new_folder(name, out);
}

Result<std::vector<Change>> Watcher::poll() {
    alignas(inotify_event) char buffer[16 << 10];
    while (ready_.size() < options_.changes_max) {
        const ssize_t n = ::read(inotify_.get(), buffer, sizeof(buffer));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) return base::fail_errno(errno, "read changes of", "the workspace");
        for (ssize_t at = 0; at < n;) {
            inotify_event event{};
            std::memcpy(&event, buffer + at, sizeof(event));
            take(buffer + at, ready_);
            at += static_cast<ssize_t>(sizeof(event) + event.len);
        }
    }
    const std::size_t count = std::min(ready_.size(), options_.changes_max);
    const auto end = ready_.begin() + static_cast<std::ptrdiff_t>(count);
    std::vector<Change> out(std::make_move_iterator(ready_.begin()), std::make_move_iterator(end));
    ready_.erase(ready_.begin(), end);
    return out;
}

}  // namespace sphere::files
