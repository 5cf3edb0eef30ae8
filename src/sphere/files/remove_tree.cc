#include "sphere/files/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <optional>

#include "base/core/rng.h"
#include "base/files/unique_fd.h"
#include "sphere/files/beneath.h"

namespace sphere::files {
namespace {

using base::Code;
using base::Result;
using base::UniqueFd;

constexpr std::size_t kOpenMax = 64;
constexpr int kRoundsMax = 100;

struct Level {
    std::unique_ptr<DIR, int (*)(DIR*)> stream{nullptr, ::closedir};
    std::string name;  ///< in the level above, or in the starting folder
    int rounds = 0;
    int fd() const { return ::dirfd(stream.get()); }
};

/// Every step names one entry of an open folder and follows no link, so that whatever is moved
/// around meanwhile, only things beneath the workspace are touched.
class Remover {
public:
    Remover(int root, const std::vector<std::string>& parts) : root_(root), parts_(parts) {}

    Result<void> run(int folder, std::string name) {
        DG_TRY(remove_one(folder, std::move(name)));
        while (!moved_.empty()) {
            std::string next = std::move(moved_.back());
            moved_.pop_back();
            DG_TRY(remove_one(root_, std::move(next)));
        }
        return {};
    }

private:
    Result<void> remove_one(int folder, std::string name) {
        levels_.clear();
        if (!DG_TRY(enter(folder, std::move(name)))) return {};
        while (!levels_.empty()) DG_TRY(step(folder));
        return {};
    }

    /// Opens `name` as the next level. False when it is no longer a folder.
    Result<bool> enter(int folder, std::string name) {
        const int fd =
            ::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) return false;
        if (fd < 0) return fail_name(errno, "remove", parts_);
        Level level;
        level.stream.reset(::fdopendir(fd));
        level.name = std::move(name);
        if (!level.stream) {
            ::close(fd);
            return fail_name(errno, "remove", parts_);
        }
        levels_.push_back(std::move(level));
        return true;
    }

    /// Removes the next entry of the innermost folder, or that folder when it is empty.
    Result<void> step(int start) {
        Level& level = levels_.back();
        const dirent* found = ::readdir(level.stream.get());
        if (found == nullptr) return leave(start);
        const std::string name = found->d_name;
        if (name == "." || name == "..") return {};
        if (::unlinkat(level.fd(), name.c_str(), 0) == 0 || errno == ENOENT) return {};
        if (errno != EISDIR) return fail_name(errno, "remove", parts_);
        if (::unlinkat(level.fd(), name.c_str(), AT_REMOVEDIR) == 0) return {};
        if (levels_.size() < kOpenMax) {
            DG_TRY(enter(level.fd(), name));
            return {};
        }
        return move_up(level.fd(), name);
    }

    Result<void> leave(int start) {
        Level& level = levels_.back();
        const int above = levels_.size() == 1 ? start : levels_[levels_.size() - 2].fd();
        if (::unlinkat(above, level.name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT ||
            errno == ENOTDIR) {
            levels_.pop_back();
            return {};
        }
        if (errno != ENOTEMPTY) return fail_name(errno, "remove", parts_);
        if (++level.rounds > kRoundsMax) {
            return base::fail(Code::unavailable,
                              "a folder is filled as fast as it is emptied; stop the box first");
        }
        ::rewinddir(level.stream.get());
        return {};
    }

    Result<void> move_up(int folder, const std::string& name) {
        const std::string moved = fmt::format(".dougong-removed-{:016x}", base::entropy64());
        // The root may be an O_PATH descriptor, which renames as well as any.
        if (::renameat2(folder, name.c_str(), root_, moved.c_str(), RENAME_NOREPLACE) != 0) {
            if (errno == ENOENT) return {};
            return fail_name(errno, "remove", parts_);
        }
        moved_.push_back(moved);
        return {};
    }

    int root_;
    const std::vector<std::string>& parts_;
    std::vector<Level> levels_;
    std::vector<std::string> moved_;
};

}  // namespace

Result<void> remove_tree(int root, int folder, const std::string& name,
                         const std::vector<std::string>& parts) {
    return Remover(root, parts).run(folder, name);
}

}  // namespace sphere::files
