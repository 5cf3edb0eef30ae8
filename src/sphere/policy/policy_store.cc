#include "sphere/policy/policy_store.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <compare>
#include <filesystem>
#include <system_error>

#include "base/files/file_error.h"
#include "base/files/files.h"
#include "base/files/sha256.h"

namespace sphere::policy {
namespace {

using base::Code;
using base::Result;

constexpr std::uint64_t kFileBytesMax = 1u << 20;
/// Times of files move in steps of a clock tick: a change within the step of the last one leaves no
/// trace in them. A younger stamp than this proves nothing.
constexpr std::int64_t kSettledNs = 100'000'000;

/// What tells, without reading, that a file is still the one that was read. The change time is the
/// system's own: no tool sets it back.
struct Stamp {
    std::uint64_t device = 0, inode = 0, bytes = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;
    bool operator==(const Stamp&) const = default;
};

Result<Stamp> stamp_of(const std::string& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) return base::fail_errno(errno, "stat", path);
    const auto ns = [](const timespec& t) { return t.tv_sec * 1'000'000'000 + t.tv_nsec; };
    return Stamp{info.st_dev, info.st_ino, static_cast<std::uint64_t>(info.st_size),
                 ns(info.st_mtim), ns(info.st_ctim)};
}

bool is_folder(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::is_directory(path, ignored);
}

bool is_policy_name(const std::string& name) {
    return !name.starts_with('.') &&
           (name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json"));
}

Result<std::vector<std::string>> files_of(const std::string& path) {
    if (!is_folder(path)) return std::vector<std::string>{path};
    std::vector<std::string> files;
    std::error_code error;
    for (std::filesystem::directory_iterator it(path, error), end; !error && it != end;
         it.increment(error)) {
        const std::string name = it->path().filename();
        if (is_policy_name(name)) files.push_back(path + "/" + name);
    }
    if (error) return base::fail_errno(error.value(), "list", path);
    std::ranges::sort(files);
    return files;
}

}  // namespace

struct PolicyStore::Loaded {
    struct File {
        std::string path, digest;
        Stamp stamp;
        bool settled = false;  ///< the stamp was old when it was taken
    };
    std::string path, digest;
    std::shared_ptr<const PolicySet> set;
    std::mutex mutex;
    std::vector<File> files;      // the stamps: guarded by mutex
    std::optional<Stamp> folder;  // guarded by mutex
    bool folder_settled = false;  // guarded by mutex
};

PolicyStore::PolicyStore(std::string path, std::string text, const base::Clock& clock)
    : path_(std::move(path)), built_in_(std::move(text)), clock_(clock) {}
PolicyStore::~PolicyStore() = default;

Result<std::unique_ptr<PolicyStore>> PolicyStore::open(std::string path, const base::Clock& clock) {
    std::unique_ptr<PolicyStore> store(new PolicyStore(std::move(path), "", clock));
    DG_TRY(store->reload());
    return store;
}

Result<std::unique_ptr<PolicyStore>> PolicyStore::of(std::string text, std::string name,
                                                     const base::Clock& clock) {
    std::unique_ptr<PolicyStore> store(new PolicyStore(std::move(name), std::move(text), clock));
    DG_TRY(store->reload());
    return store;
}

Result<void> PolicyStore::reload() {
    auto loaded = std::make_shared<Loaded>();
    std::vector<Policy> policies;
    std::string digests;
    const bool from_files = built_in_.empty();
    if (!from_files) {
        digests = fmt::format("{} {}\n", base::sha256_hex(built_in_), path_);
        policies = DG_TRY(parse_policies(built_in_, path_));
    }
    // Stamps before contents: a change in between is then seen as one.
    if (from_files && is_folder(path_)) loaded->folder = DG_TRY(stamp_of(path_));
    for (const std::string& file :
         from_files ? DG_TRY(files_of(path_)) : std::vector<std::string>()) {
        const Stamp stamp = DG_TRY(stamp_of(file));
        const std::string text = DG_TRY(base::read_file(file, kFileBytesMax));
        loaded->files.push_back({file, base::sha256_hex(text), stamp, false});
        digests += fmt::format("{} {}\n", loaded->files.back().digest, file);
        for (Policy& policy : DG_TRY(parse_policies(text, file))) {
            policies.push_back(std::move(policy));
        }
    }
    loaded->set = std::make_shared<const PolicySet>(DG_TRY(PolicySet::create(std::move(policies))));
    loaded->digest = base::sha256_hex(digests);
    const std::scoped_lock lock(mutex_);
    loaded_ = std::move(loaded);
    return {};
}

std::shared_ptr<PolicyStore::Loaded> PolicyStore::current() const {
    const std::scoped_lock lock(mutex_);
    return loaded_;
}

Result<void> PolicyStore::check_fresh(Loaded& loaded) {
    const auto changed = [&](const std::string& what) {
        return base::fail_on(what, Code::failed_precondition,
                             "{} is not what was loaded: nothing is allowed until the policies are "
                             "loaded again or it is put back",
                             what);
    };
    const auto settled = [now = clock_.unix_ns()](const Stamp& stamp) {
        return now - stamp.changed_ns > kSettledNs;
    };
    const std::scoped_lock lock(loaded.mutex);
    if (loaded.folder) {
        const auto stamp = stamp_of(path_);
        if (!stamp) return changed(path_);
        if (!loaded.folder_settled || *stamp != *loaded.folder) {
            loaded.folder_settled = settled(*stamp);
            const auto files = files_of(path_);
            if (!files || !std::ranges::equal(*files, loaded.files, {}, {}, &Loaded::File::path)) {
                return changed(path_);
            }
            loaded.folder = *stamp;
        }
    }
    for (Loaded::File& file : loaded.files) {
        const auto stamp = stamp_of(file.path);
        if (stamp && file.settled && *stamp == file.stamp) continue;
        file.settled = stamp && settled(*stamp);
        const auto text = base::read_file(file.path, kFileBytesMax);
        if (!stamp || !text || base::sha256_hex(*text) != file.digest) return changed(file.path);
        file.stamp = *stamp;  // touched, or written anew with the same content
    }
    return {};
}

Decision PolicyStore::decide(const ToolRequest& request) {
    const auto loaded = current();
    if (auto fresh = check_fresh(*loaded); !fresh) {
        Decision decision;
        decision.cause = Decision::Cause::stale_policy;
        decision.reason = std::move(fresh).error().message;
        return decision;
    }
    return loaded->set->decide(request);
}

Explanation PolicyStore::explain(const ToolRequest& request) {
    const Decision decision = decide(request);
    if (decision.cause == Decision::Cause::stale_policy) return {decision, {}};
    Explanation explained = policies()->explain(request);
    explained.decision = decision;
    return explained;
}

Result<void> PolicyStore::check_fresh() {
    return check_fresh(*current());
}

Result<SandboxSpec> PolicyStore::admit(const SandboxSpec& spec) {
    const auto loaded = current();
    DG_TRY(check_fresh(*loaded));
    return loaded->set->admit(spec);
}

std::shared_ptr<const PolicySet> PolicyStore::policies() const {
    return current()->set;
}
std::string PolicyStore::digest() const {
    return current()->digest;
}

}  // namespace sphere::policy
