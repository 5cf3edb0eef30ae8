#include "sphere/native/group_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::Result;

std::uint64_t parse(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

std::uint64_t keyed_number(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
            return parse(line.substr(key.size() + 1));
        }
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return 0;
}

std::string read_small(int at, const std::string& path) {
    const base::UniqueFd file(::openat(at, path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return {};
    char text[16 * 1024];
    const ssize_t got = ::read(file.get(), text, sizeof(text));
    return {text, got > 0 ? static_cast<std::size_t>(got) : 0};
}

bool write_small(int at, const std::string& path, std::string_view text) {
    const base::UniqueFd file(::openat(at, path.c_str(), O_WRONLY | O_CLOEXEC));
    return file &&
           ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

Result<GroupFolder> GroupFolder::make(std::string path) {
    GroupFolder folder;
    folder.path_ = std::move(path);
    if (::mkdir(folder.path_.c_str(), 0755) == 0) {
        base::UniqueFd at(::open(folder.path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        if (at) {
            folder.at_ = std::make_shared<const base::UniqueFd>(std::move(at));
            return folder;
        }
        const int error = errno;
        ::rmdir(folder.path_.c_str());
        errno = error;
    }
    return fail(Code::unavailable, "the control group {} could not be made: {}", folder.path_,
                std::strerror(errno));
}

std::string GroupFolder::read(const std::string& file) const {
    return at_ ? read_small(fd(), file) : std::string{};
}

std::uint64_t GroupFolder::number(const std::string& file) const {
    return parse(read(file));
}

std::uint64_t GroupFolder::number(const std::string& file, std::string_view key) const {
    return keyed_number(read(file), key);
}

bool GroupFolder::write(const std::string& file, std::string_view text) const {
    return at_ && write_small(fd(), file, text);
}

Result<void> GroupFolder::limit(const std::string& file, std::string_view value) const {
    if (write(file, value)) return {};
    return fail(Code::failed_precondition, "the limit {}/{} could not be set to {}: {}", path_,
                file, value, std::strerror(errno));
}

Result<base::UniqueFd> GroupFolder::open(const std::string& name, int flags) const {
    base::UniqueFd file(::openat(fd(), name.c_str(), flags | O_CLOEXEC));
    if (file) return file;
    return fail(Code::unavailable, "{}/{}: {}", path_, name, std::strerror(errno));
}

bool GroupFolder::give(const std::string& below, std::uint32_t owner) const {
    const std::string file = below.empty() ? "cgroup.procs" : below + "/cgroup.procs";
    return ::fchownat(fd(), file.c_str(), owner, owner, 0) == 0;
}

}  // namespace sphere::native
