#include "sphere/native/owner_name.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>

#include "sphere/native/group_folder.h"

namespace sphere::native {
namespace {

/// The 22nd field; the second is a name in brackets that may hold anything.
std::uint64_t start_of(std::int32_t pid) {
    const std::string text = read_small(AT_FDCWD, fmt::format("/proc/{}/stat", pid));
    std::size_t at = text.rfind(')');
    for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
    std::uint64_t ticks = 0;
    if (at != std::string::npos) {
        std::from_chars(text.data() + at + 1, text.data() + text.size(), ticks);
    }
    return ticks;
}

std::uint64_t inode_of(const char* path) {
    struct stat facts {};
    return ::stat(path, &facts) == 0 ? facts.st_ino : 0;
}

std::uint64_t where_we_are() {
    return inode_of("/proc/self/ns/pid") << 32 ^ inode_of("/proc/self/ns/time");
}

template <class Number>
bool take(std::string_view& text, Number& number, int base) {
    const std::size_t end = text.find('-');
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const auto [stop, error] =
        std::from_chars(word.data(), word.data() + word.size(), number, base);
    return error == std::errc() && stop == word.data() + word.size();
}

}  // namespace

GroupOwner this_owner() {
    return {::getpid(), start_of(::getpid()), where_we_are()};
}

std::string owner_name(std::string_view token, const GroupOwner& owner) {
    return fmt::format("dougong-{}-{}-{}-{:x}", token, owner.pid, owner.start_ticks, owner.where);
}

std::optional<GroupOwner> read_owner(std::string_view name) {
    constexpr std::string_view kBegin = "dougong-";
    if (!name.starts_with(kBegin)) return std::nullopt;
    name.remove_prefix(kBegin.size());
    GroupOwner owner;
    std::uint64_t token = 0;
    if (take(name, token, 16) && take(name, owner.pid, 10) && take(name, owner.start_ticks, 10) &&
        take(name, owner.where, 16) && name.empty() && owner.pid > 0) {
        return owner;
    }
    return std::nullopt;
}

bool is_gone(const GroupOwner& owner) {
    if (owner.start_ticks == 0 || owner.where == 0 || owner.where != where_we_are()) return false;
    // /proc may hide other users' processes; this does not.
    if (::kill(owner.pid, 0) != 0 && errno == ESRCH) return true;
    const std::uint64_t start = start_of(owner.pid);
    return start != 0 && start != owner.start_ticks;
}

}  // namespace sphere::native
