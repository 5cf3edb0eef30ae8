#include "sphere/native/leftovers.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <thread>

#include "base/files/files.h"
#include "sphere/files/remove_tree.h"
#include "sphere/native/owner_name.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr std::string_view kEnding = ".sphere";
constexpr const char* kUnfinished = ".new";
constexpr std::string_view kFiles = "/tmp/dougong-files-";

std::string staging_of(const std::string& state_file) {
    return state_file.substr(0, state_file.size() - kEnding.size()) + ".root";
}

bool is_files(const std::string& folder) {
    return folder.starts_with(kFiles) && folder.find('/', kFiles.size()) == std::string::npos;
}

/// Kills what is in it and waits until the kernel lets go: a killed runtime's memory may take a
/// while to be given back, and its groups cannot be removed before.
bool end_group(const std::string& folder) {
    constexpr int kTries = 3000;
    for (int tries = 0; tries < kTries; ++tries) {
        if (remove_group(folder)) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
}

/// Only groups that a sphere makes, whatever the file says.
bool is_ours(const std::string& folder) {
    struct statfs facts {};
    return folder.substr(folder.rfind('/') + 1).starts_with("dougong-") &&
           ::statfs(folder.c_str(), &facts) == 0 &&
           (facts.f_type == CGROUP_SUPER_MAGIC || facts.f_type == CGROUP2_SUPER_MAGIC);
}

/// A folder of boxes' files; whoever had made it under this name could only lose it.
bool remove_files(const std::string& folder) {
    struct stat facts {};
    if (::lstat(folder.c_str(), &facts) != 0) return true;
    if (!S_ISDIR(facts.st_mode) || facts.st_uid != ::geteuid()) return true;
    const base::UniqueFd at(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const std::string name = folder.substr(folder.rfind('/') + 1);
    return at && files::remove_tree(at.get(), at.get(), name, {name}).has_value();
}

bool clean_one(const std::string& path) {
    const base::UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
    if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
    const auto text = base::read_file(path, 1 << 20);
    if (!text) return false;
    std::istringstream lines(*text);
    bool gone = true;
    for (std::string folder; std::getline(lines, folder);) {
        if (is_ours(folder)) gone = end_group(folder) && gone;
        if (is_files(folder)) gone = remove_files(folder) && gone;
    }
    ::rmdir(staging_of(path).c_str());
    // What would not go at all (a process that hangs in the kernel) is left for the next who opens.
    if (gone) ::unlink(path.c_str());
    return true;
}

}  // namespace

Result<void> make_state_dir(const std::string& state_dir) {
    DG_TRY(base::make_dirs(state_dir));
    struct stat facts {};
    if (::lstat(state_dir.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) &&
        facts.st_uid == ::geteuid() && (facts.st_mode & (S_IWGRP | S_IWOTH)) == 0) {
        return {};
    }
    return base::fail_on("state_dir", Code::permission_denied,
                         "the folder {} is not a folder that only its owner, user {}, can "
                         "write in; remove it or name another one",
                         state_dir, ::geteuid());
}

Result<StateFile> StateFile::make(const std::string& state_dir, const std::string& token) {
    StateFile state;
    state.path_ = state_dir + "/" + token + std::string(kEnding);
    state.staging_ = staging_of(state.path_);
    // Under another name until it is locked and written: unlocked, it would look like a dead one's.
    state.file_ = base::UniqueFd(
        ::open((state.path_ + kUnfinished).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
    if (!state.file_ || ::flock(state.file_.get(), LOCK_EX | LOCK_NB) != 0) {
        return fail(Code::unavailable, "the state file {} could not be made: {}", state.path_,
                    std::strerror(errno));
    }
    if (::mkdir(state.staging_.c_str(), 0700) != 0) {
        return fail(Code::unavailable, "the folder {} could not be made: {}", state.staging_,
                    std::strerror(errno));
    }
    return state;
}

Result<void> StateFile::record(const std::vector<std::string>& folders) {
    std::string text;
    folders_ = folders;
    for (const std::string& folder : folders) text += folder + "\n";
    if (::write(file_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::fdatasync(file_.get()) == 0 &&
        ::rename((path_ + kUnfinished).c_str(), path_.c_str()) == 0) {
        return {};
    }
    return fail(Code::unavailable, "the state file {} could not be written: {}", path_,
                std::strerror(errno));
}

std::string StateFile::files_folder(const std::string& token) {
    return std::string(kFiles) + token;
}

void StateFile::remove() {
    if (path_.empty()) return;
    for (const std::string& folder : folders_) {
        if (is_files(folder)) remove_files(folder);
    }
    ::rmdir(staging_.c_str());
    ::unlink(path_.c_str());
    ::unlink((path_ + kUnfinished).c_str());
    file_.reset();
    path_.clear();
}

std::uint32_t clean_ownerless(const Hierarchies& hierarchies) {
    std::uint32_t cleaned = 0;
    for (const std::string* in :
         {&hierarchies.unified, &hierarchies.memory, &hierarchies.cpu, &hierarchies.pids}) {
        std::error_code ignored;
        if (in->empty()) continue;
        for (const auto& entry : std::filesystem::directory_iterator(*in, ignored)) {
            const std::string folder = entry.path().string();
            const auto owner = read_owner(entry.path().filename().string());
            struct stat facts {};
            if (owner && is_gone(*owner) && ::lstat(folder.c_str(), &facts) == 0 &&
                facts.st_uid == ::geteuid() && is_ours(folder) && end_group(folder)) {
                ++cleaned;
            }
        }
    }
    return cleaned;
}

std::uint32_t clean_leftovers(const std::string& state_dir) {
    std::error_code ignored;
    std::uint32_t cleaned = 0;
    for (const auto& entry : std::filesystem::directory_iterator(state_dir, ignored)) {
        const std::string path = entry.path().string();
        if (path.ends_with(kEnding) && clean_one(path)) ++cleaned;
    }
    return cleaned;
}

}  // namespace sphere::native
