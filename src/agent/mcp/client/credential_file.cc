#include "agent/mcp/client/credential_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/files/files.h"
#include "base/files/unique_fd.h"

namespace agent::mcp {

using base::Code;
using base::Result;
namespace json = base::json;

Result<json::object> CredentialFile::all() const {
    struct stat found {};
    if (::lstat(path_.c_str(), &found) != 0) return json::object();
    if ((found.st_mode & 0077) != 0) {
        return base::fail_on(path_, Code::permission_denied,
                             "{} may be read by others; chmod 600 it, or remove it and sign in "
                             "again",
                             path_);
    }
    const auto value = base::parse_json_file(path_);
    if (!value || !value->is_object()) {
        return base::fail_on(path_, Code::data_loss, "{} is damaged; remove it and sign in again",
                             path_);
    }
    return value->get_object();
}

Result<json::object> CredentialFile::read(std::string_view kind, std::string_view name) const {
    if (path_.empty()) return json::object();
    const json::object kept = DG_TRY(all());
    const json::value* of_kind = kept.if_contains(kind);
    if (of_kind == nullptr || !of_kind->is_object()) return json::object();
    const json::value* one = of_kind->get_object().if_contains(name);
    return one != nullptr && one->is_object() ? one->get_object() : json::object();
}

Result<void> CredentialFile::write(std::string_view kind, std::string_view name,
                                   const json::value& value) const {
    if (path_.empty()) return {};
    const std::string folder = std::filesystem::path(path_).parent_path().string();
    DG_TRY(base::make_dirs(folder));
    const base::UniqueFd lock(
        ::open((path_ + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock || ::flock(lock.get(), LOCK_EX) != 0) {
        return base::fail_on(path_, Code::permission_denied, "{}.lock: {}", path_,
                             std::strerror(errno));
    }
    json::object kept = DG_TRY(all());
    json::value& of_kind = kept[kind];
    if (!of_kind.is_object()) of_kind = json::object();
    if (value.is_null()) {
        of_kind.get_object().erase(name);
    } else {
        of_kind.get_object()[name] = value;
    }
    // The new file is private from its first byte: it is made here, and not by a mask that may be
    // anybody's.
    const std::string next = path_ + ".new";
    ::unlink(next.c_str());
    const std::string text = base::to_text(kept) + "\n";
    base::UniqueFd file(
        ::open(next.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    std::string_view rest = text;
    while (file && !rest.empty()) {
        const ssize_t put = ::write(file.get(), rest.data(), rest.size());
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) break;
        rest.remove_prefix(static_cast<std::size_t>(put));
    }
    if (!file || !rest.empty() || ::fsync(file.get()) != 0 ||
        ::rename(next.c_str(), path_.c_str()) != 0) {
        return base::fail_on(path_, Code::unavailable, "cannot keep keys in {}: {}", path_,
                             std::strerror(errno));
    }
    return base::sync_dir(folder);
}

}  // namespace agent::mcp
