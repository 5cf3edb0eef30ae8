#include "sphere/guard/changed_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <string_view>

namespace sphere::guard {
namespace {

constexpr int kDepthMax = 16;

class Walk {
public:
    Walk(std::int64_t since_ns, std::size_t entries_max)
        : since_ns_(since_ns), left_(entries_max) {}

    /// Closes `folder`. `path`: its name with a slash behind, "" for the workspace.
    void look_into(int folder, const std::string& path, int depth) {
        struct stat own {};
        DIR* const stream = ::fdopendir(folder);
        if (stream == nullptr || ::fstat(folder, &own) != 0 ||
            (depth > 0 && own.st_dev != device_)) {
            stream == nullptr ? ::close(folder) : ::closedir(stream);
            return;
        }
        device_ = own.st_dev;
        const std::size_t before = found_.names.size();
        while (const dirent* entry = ::readdir(stream)) {
            const std::string_view name = entry->d_name;
            if (name == "." || name == "..") continue;
            if (left_ == 0) {
                found_.complete = false;
                break;
            }
            --left_;
            look_at(folder, entry->d_name, path, depth);
        }
        ::closedir(stream);
        // Something went out of it, when it changed and nothing that is in it did.
        if (changed(own) && found_.names.size() == before && found_.complete) {
            found_.names.push_back(path.empty() ? "./" : path);
        }
    }
    ChangedFiles take() { return std::move(found_); }

private:
    void look_at(int folder, const char* name, const std::string& path, int depth) {
        struct stat facts {};
        if (::fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0) return;
        if (!S_ISDIR(facts.st_mode)) {
            if (changed(facts)) found_.names.push_back(path + name);
            return;
        }
        if (depth + 1 >= kDepthMax) {
            found_.complete = false;
            return;
        }
        const int inner = ::openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner >= 0) look_into(inner, path + name + "/", depth + 1);
    }
    bool changed(const struct stat& facts) const {
        return facts.st_ctim.tv_sec * 1'000'000'000 + facts.st_ctim.tv_nsec >= since_ns_;
    }

    const std::int64_t since_ns_;
    std::size_t left_;
    dev_t device_ = 0;
    ChangedFiles found_;
};

}  // namespace

std::int64_t file_clock_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

ChangedFiles find_changed(int workspace, std::int64_t since_ns, std::size_t entries_max) {
    const int folder = ::openat(workspace, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    Walk walk(since_ns, entries_max);
    if (folder >= 0) walk.look_into(folder, "", 0);
    return walk.take();
}

}  // namespace sphere::guard
