#include "memory/truth/master_key.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/files/file_error.h"
#include "base/files/files.h"
#include "base/files/sha256.h"
#include "base/files/unique_fd.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
using base::SecretKey;

constexpr std::string_view kHead = "dougong memory key 1\n";
constexpr std::string_view kDigits = "0123456789abcdef";

std::string hex(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        out += {kDigits[byte >> 4], kDigits[byte & 15]};
    }
    return out;
}

/// Complete under its name or not there, and of two that make it the first one's.
Result<void> make(const std::string& path) {
    DG_TRY(base::make_dirs(std::filesystem::path(path).parent_path().string()));
    std::string beside = path + ".XXXXXX";
    base::UniqueFd file(::mkostemp(beside.data(), O_CLOEXEC));  // 0600
    if (!file) return base::fail_errno(errno, "create", beside);
    const std::string text = std::string(kHead) + hex(SecretKey::random().bytes()) + "\n";
    const bool written =
        ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::fsync(file.get()) == 0;
    const bool linked = written && ::link(beside.c_str(), path.c_str()) == 0;
    const int error = errno;
    ::unlink(beside.c_str());
    if (!linked && !(written && error == EEXIST)) return base::fail_errno(error, "write", path);
    return base::sync_dir(std::filesystem::path(path).parent_path().string());
}

}  // namespace

Result<SecretKey> master_key(const std::string& path, bool may_make) {
    struct stat now {};
    if (::stat(path.c_str(), &now) != 0) {
        if (errno != ENOENT) return base::fail_errno(errno, "look at", path);
        if (!may_make) {
            return fail_on("memory.key_file", Code::failed_precondition,
                           "the key file {} is missing, and memories were sealed with it: put it "
                           "back from where it was copied to, or name it in memory.key_file; "
                           "without it they cannot be read by anybody",
                           path);
        }
        DG_TRY(make(path));
        return master_key(path, false);
    }
    if ((now.st_mode & 077) != 0) {
        return fail_on("memory.key_file", Code::failed_precondition,
                       "others may read or change the key file {} (mode {:o}); chmod 600 it", path,
                       now.st_mode & 0777);
    }
    const std::string text = DG_TRY(base::read_file(path, 4096));
    std::string bytes;
    const std::string_view digits =
        std::string_view(text).substr(std::min(text.size(), kHead.size()));
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
        const auto high = kDigits.find(digits[i]), low = kDigits.find(digits[i + 1]);
        if (high == kDigits.npos || low == kDigits.npos) break;
        bytes += static_cast<char>(high << 4 | low);
    }
    if (!text.starts_with(kHead) || bytes.size() != SecretKey::kBytes) {
        return fail_on("memory.key_file", Code::data_loss,
                       "{} is no key file of memories; put the right one back from where it was "
                       "copied to",
                       path);
    }
    return SecretKey(bytes);
}

std::string fingerprint(const SecretKey& key) {
    return base::sha256_hex("dougong memory key " + std::string(key.bytes())).substr(0, 32);
}

}  // namespace memory::truth
