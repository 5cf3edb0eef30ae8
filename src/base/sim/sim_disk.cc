#include "base/sim/sim_disk.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "base/core/check.h"
#include "base/files/file_error.h"

namespace base::sim {
namespace {

constexpr std::size_t kSectorBytes = 512;  // what a device writes as a whole
using Sector = std::array<char, kSectorBytes>;

std::string parent_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash);
}

}  // namespace

struct SimDisk::File {
    std::string view;     // as reads see it: the page cache
    std::string durable;  // on the platter
    /// What each sector was since its last sync, oldest first: a power loss leaves one of these or
    /// what was durable.
    std::map<std::uint64_t, std::vector<Sector>> unsynced;

    void note(std::uint64_t offset, std::size_t bytes) {
        if (bytes == 0) return;
        for (std::uint64_t s = offset / kSectorBytes; s <= (offset + bytes - 1) / kSectorBytes;
             ++s) {
            unsynced[s].push_back(sector(s));
        }
    }
    Sector sector(std::uint64_t number) const {
        Sector sector{};
        const std::uint64_t at = number * kSectorBytes;
        if (at < view.size()) {
            std::memcpy(sector.data(), view.data() + at,
                        std::min<std::uint64_t>(kSectorBytes, view.size() - at));
        }
        return sector;
    }
    void keep(std::uint64_t number, const Sector& sector) {
        const std::uint64_t at = number * kSectorBytes;
        const std::uint64_t end = std::min<std::uint64_t>(at + kSectorBytes, view.size());
        if (at >= end) return;
        if (durable.size() < end) durable.resize(end, '\0');
        std::memcpy(durable.data() + at, sector.data(), end - at);
    }
    void keep_range(std::uint64_t offset, std::size_t bytes) {
        if (bytes == 0) return;
        for (std::uint64_t s = offset / kSectorBytes; s <= (offset + bytes - 1) / kSectorBytes;
             ++s) {
            keep(s, sector(s));
            unsynced.erase(s);
        }
    }
    void keep_all() {
        for (const auto& [number, versions] : unsynced) keep(number, versions.back());
        unsynced.clear();
        durable.resize(view.size(), '\0');
    }
    /// Each sector by chance; `share` of them got to the platter.
    void keep_some(Rng& rng, double share) {
        for (const auto& [number, versions] : unsynced) {
            if (rng.uniform() < share) keep(number, versions[rng.below(versions.size())]);
        }
        unsynced.clear();
        if (rng.uniform() < share) durable.resize(view.size(), '\0');
    }
};

class SimDisk::Handle final : public DiskFile {
public:
    Handle(SimDisk& disk, FilePtr file, std::string path)
        : disk_(disk), file_(std::move(file)), path_(std::move(path)), epoch_(disk.epoch_) {}

    Result<std::size_t> read(std::uint64_t offset, std::span<char> into) const override {
        std::lock_guard lock(disk_.mutex_);
        DG_TRY(usable("read"));
        if (disk_.rng_.uniform() < disk_.faults_.read) return fail_errno(EIO, "read", path_);
        if (offset >= file_->view.size()) return std::size_t{0};
        const std::size_t bytes = std::min<std::size_t>(into.size(), file_->view.size() - offset);
        std::memcpy(into.data(), file_->view.data() + offset, bytes);
        return bytes;
    }

    Result<void> write(std::uint64_t offset, std::string_view bytes) override {
        std::lock_guard lock(disk_.mutex_);
        return write_now("write", offset, bytes);
    }

    Result<void> write_durably(std::uint64_t offset, std::string_view bytes) override {
        std::lock_guard lock(disk_.mutex_);
        DG_TRY(write_now("write", offset, bytes));
        const Outcome outcome = disk_.next();
        if (outcome == Outcome::made) {
            file_->keep_range(offset, bytes.size());
            return {};
        }
        if (outcome == Outcome::failed) file_->keep_some(disk_.rng_, disk_.rng_.uniform());
        return disk_.failure(outcome, "sync", path_);
    }

    Result<void> sync() override {
        std::lock_guard lock(disk_.mutex_);
        DG_TRY(usable("sync"));
        const Outcome outcome = disk_.next();
        if (outcome == Outcome::made) {
            file_->keep_all();
            return {};
        }
        // As Linux does: pages that could not be written count as clean, and the next sync is fine.
        if (outcome == Outcome::failed) file_->keep_some(disk_.rng_, disk_.rng_.uniform());
        return disk_.failure(outcome, "sync", path_);
    }

    Result<void> reserve(std::uint64_t bytes) override {
        std::lock_guard lock(disk_.mutex_);
        DG_TRY(usable("reserve space for"));
        DG_TRY(disk_.room_for(*file_, bytes, "reserve space for", path_));
        return resize_now(std::max<std::uint64_t>(bytes, file_->view.size()));
    }

    Result<void> resize(std::uint64_t bytes) override {
        std::lock_guard lock(disk_.mutex_);
        DG_TRY(usable("resize"));
        DG_TRY(disk_.room_for(*file_, bytes, "resize", path_));
        return resize_now(bytes);
    }

    Result<std::uint64_t> size() const override {
        std::lock_guard lock(disk_.mutex_);
        DG_TRY(usable("stat"));
        return file_->view.size();
    }

private:
    Result<void> usable(std::string_view what) const {
        DG_TRY(disk_.alive(what, path_));
        if (epoch_ == disk_.epoch_) return {};
        return fail_on(path_, Code::unavailable, "cannot {} {}: it was opened before a restart",
                       what, path_);
    }

    Result<void> write_now(std::string_view what, std::uint64_t offset, std::string_view bytes) {
        DG_TRY(usable(what));
        const Outcome outcome = disk_.next();
        // One that does not come to its end has written some of it: a short write, then an error.
        if (outcome != Outcome::made) bytes = bytes.substr(0, disk_.rng_.below(bytes.size() + 1));
        DG_TRY(disk_.room_for(*file_, offset + bytes.size(), what, path_));
        if (!bytes.empty()) {
            const std::uint64_t end = offset + bytes.size();
            if (file_->view.size() < end) file_->view.resize(end, '\0');
            std::memcpy(file_->view.data() + offset, bytes.data(), bytes.size());
            file_->note(offset, bytes.size());
        }
        if (outcome == Outcome::made) return {};
        return disk_.failure(outcome, what, path_);
    }

    Result<void> resize_now(std::uint64_t bytes) {
        const Outcome outcome = disk_.next();
        if (outcome != Outcome::failed) file_->view.resize(bytes, '\0');
        if (outcome == Outcome::made) return {};
        return disk_.failure(outcome, "resize", path_);
    }

    SimDisk& disk_;
    const FilePtr file_;
    const std::string path_;
    const std::uint64_t epoch_;
};

class SimDisk::Lock final : public DiskLock {
public:
    Lock(SimDisk& disk, std::string path)
        : disk_(disk), path_(std::move(path)), epoch_(disk.epoch_) {}
    ~Lock() override {
        std::lock_guard lock(disk_.mutex_);
        if (epoch_ == disk_.epoch_) disk_.locks_.erase(path_);
    }

private:
    SimDisk& disk_;
    const std::string path_;
    const std::uint64_t epoch_;
};

SimDisk::SimDisk(std::uint64_t seed) : rng_(seed) {}
SimDisk::~SimDisk() = default;

/// Counts a change and says what becomes of it.
SimDisk::Outcome SimDisk::next() {
    ++operations_;
    if (operations_ == stops_at_) {
        stopped_ = true;
        return Outcome::stopped;
    }
    if (operations_ == fails_at_) return Outcome::failed;
    const bool fails = faults_.write > 0 && rng_.uniform() < faults_.write;
    return fails ? Outcome::failed : Outcome::made;
}

std::unexpected<Error> SimDisk::failure(Outcome outcome, std::string_view what,
                                        const std::string& path) {
    if (outcome == Outcome::failed) {
        return fail_errno(rng_.below(2) == 0 ? EIO : ENOSPC, what, path);
    }
    return fail_on(path, Code::unavailable, "cannot {} {}: the machine stopped", what, path);
}

Result<void> SimDisk::alive(std::string_view what, const std::string& path) const {
    if (!stopped_) return {};
    return fail_on(path, Code::unavailable, "cannot {} {}: the machine stopped", what, path);
}

Result<void> SimDisk::room_for(const File& file, std::uint64_t bytes, std::string_view what,
                               const std::string& path) const {
    if (bytes_max_ == 0 || bytes <= file.view.size()) return {};
    std::uint64_t used = 0;
    for (const auto& [name, one] : now_) used += one->view.size();
    if (used + bytes - file.view.size() <= bytes_max_) return {};
    return fail_errno(ENOSPC, what, path);
}

Result<std::unique_ptr<DiskFile>> SimDisk::open(const std::string& path, Mode mode) {
    std::lock_guard lock(mutex_);
    DG_TRY(alive("open", path));
    if (mode == Mode::existing) {
        const auto found = now_.find(path);
        if (found == now_.end()) return fail_errno(ENOENT, "open", path);
        return std::make_unique<Handle>(*this, found->second, path);
    }
    const auto file = std::make_shared<File>();
    DG_TRY(change_names("create", path, {NameChange{"", path, file}}));
    return std::make_unique<Handle>(*this, file, path);
}

/// In one folder the change is one; between two, each keeps its half when it is synced.
Result<void> SimDisk::rename(const std::string& from, const std::string& to) {
    std::lock_guard lock(mutex_);
    DG_TRY(alive("move", from));
    const auto found = now_.find(from);
    if (found == now_.end()) return fail_errno(ENOENT, "move", from);
    const FilePtr file = found->second;
    if (parent_of(from) == parent_of(to)) {
        return change_names("move", from, {NameChange{from, to, file}});
    }
    return change_names("move", from, {NameChange{"", to, file}, NameChange{from, "", nullptr}});
}

Result<void> SimDisk::remove(const std::string& path) {
    std::lock_guard lock(mutex_);
    DG_TRY(alive("remove", path));
    if (!now_.contains(path)) return fail_errno(ENOENT, "remove", path);
    return change_names("remove", path, {NameChange{path, "", nullptr}});
}

Result<void> SimDisk::change_names(std::string_view what, const std::string& path,
                                   std::vector<NameChange> changes) {
    const Outcome outcome = next();
    if (outcome == Outcome::failed) return failure(outcome, what, path);
    for (NameChange& change : changes) {
        if (!change.gone.empty()) now_.erase(change.gone);
        if (!change.made.empty()) now_[change.made] = change.file;
        unsynced_names_.push_back(std::move(change));
    }
    if (outcome == Outcome::made) return {};
    return failure(outcome, what, path);
}

void SimDisk::make_durable(const NameChange& change) {
    if (!change.gone.empty()) durable_.erase(change.gone);
    if (!change.made.empty()) durable_[change.made] = change.file;
}

Result<void> SimDisk::sync_dir(const std::string& dir) {
    std::lock_guard lock(mutex_);
    DG_TRY(alive("sync", dir));
    const Outcome outcome = next();
    if (outcome != Outcome::made) return failure(outcome, "sync", dir);
    std::erase_if(unsynced_names_, [&](const NameChange& change) {
        const bool here = parent_of(change.made.empty() ? change.gone : change.made) == dir;
        if (here) make_durable(change);
        return here;
    });
    return {};
}

Result<std::vector<std::string>> SimDisk::list(const std::string& dir) {
    std::lock_guard lock(mutex_);
    DG_TRY(alive("list", dir));
    std::vector<std::string> names;
    for (const auto& [path, file] : now_) {
        if (parent_of(path) == dir) names.push_back(path.substr(path.rfind('/') + 1));
    }
    return names;
}

Result<void> SimDisk::make_dir(const std::string& dir) {
    std::lock_guard lock(mutex_);
    return alive("create folder", dir);  // every folder is there
}

Result<std::unique_ptr<DiskLock>> SimDisk::lock(const std::string& path) {
    std::lock_guard lock(mutex_);
    DG_TRY(alive("lock", path));
    if (!locks_.insert(path).second) {
        return fail_on(path, Code::failed_precondition, "{} is held by another owner", path);
    }
    return std::make_unique<Lock>(*this, path);
}

void SimDisk::stop_after(std::uint64_t operations) {
    std::lock_guard lock(mutex_);
    stops_at_ = operations_ + operations;
}

bool SimDisk::stopped() const {
    std::lock_guard lock(mutex_);
    return stopped_;
}

void SimDisk::restart(Stop stop) {
    std::lock_guard lock(mutex_);
    stopped_ = false;
    stops_at_ = 0;
    fails_at_ = 0;
    ++epoch_;
    locks_.clear();
    if (stop == Stop::process) return;
    // From nothing to everything, so that both ends come up.
    const double share = static_cast<double>(rng_.below(5)) / 4;
    for (const NameChange& change : std::exchange(unsynced_names_, {})) {
        if (rng_.uniform() < share) make_durable(change);
    }
    now_ = durable_;
    std::set<File*> seen;
    for (const auto& [path, file] : now_) {
        if (!seen.insert(file.get()).second) continue;
        file->keep_some(rng_, share);
        file->view = file->durable;
    }
}

void SimDisk::set_faults(Faults faults) {
    std::lock_guard lock(mutex_);
    faults_ = faults;
}

void SimDisk::fail_nth(std::uint64_t n) {
    std::lock_guard lock(mutex_);
    fails_at_ = operations_ + n;
}

void SimDisk::limit(std::uint64_t bytes) {
    std::lock_guard lock(mutex_);
    bytes_max_ = bytes;
}

std::uint64_t SimDisk::operations() const {
    std::lock_guard lock(mutex_);
    return operations_;
}

std::uint64_t SimDisk::used_bytes() const {
    std::lock_guard lock(mutex_);
    std::uint64_t used = 0;
    for (const auto& [path, file] : now_) used += file->view.size();
    return used;
}

std::string SimDisk::content(const std::string& path) const {
    std::lock_guard lock(mutex_);
    const auto found = now_.find(path);
    DG_CHECK(found != now_.end(), "no such file");
    return found->second->view;
}

void SimDisk::set_content(const std::string& path, std::string_view bytes) {
    std::lock_guard lock(mutex_);
    const auto found = now_.find(path);
    DG_CHECK(found != now_.end(), "no such file");
    found->second->view = bytes;
    found->second->durable = bytes;
    found->second->unsynced.clear();
}

}  // namespace base::sim
