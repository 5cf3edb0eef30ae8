#include "base/journal/segment_files.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace base::journal {
namespace {

constexpr std::string_view kSuffix = ".journal";
constexpr std::size_t kDigits = 16;
constexpr std::uint64_t kZerosBytes = 1u << 20;

}  // namespace

std::string segment_name(std::uint64_t index) {
    return fmt::format("{:016x}{}", index, kSuffix);
}

std::optional<std::uint64_t> segment_index(std::string_view name) {
    if (name.size() != kDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
    std::uint64_t index = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + kDigits, index, 16);
    if (error != std::errc() || segment_name(index) != name) return std::nullopt;
    return index;
}

SegmentFiles::SegmentFiles(Disk& disk, std::string dir, std::uint64_t segment_bytes, bool threaded,
                           std::optional<std::uint64_t> spare, const Clock& clock)
    : disk_(disk),
      dir_(std::move(dir)),
      segment_bytes_(segment_bytes),
      clock_(clock),
      spare_(spare) {
    if (threaded) thread_ = std::thread([this] { run(); });
}

SegmentFiles::~SegmentFiles() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void SegmentFiles::want(std::uint64_t index) {
    {
        std::lock_guard lock(mutex_);
        if (spare_ || wanted_ || given_up_ == index) return;
        if (thread_.joinable()) wanted_ = index;
    }
    if (thread_.joinable()) {
        changed_.notify_all();
    } else {
        (make(index) ? spare_ : given_up_) = index;
    }
}

void SegmentFiles::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stopping_ || wanted_; });
        if (stopping_) return;
        const std::uint64_t index = *wanted_;
        lock.unlock();
        const bool made = make(index).has_value();
        lock.lock();
        wanted_.reset();
        (made ? spare_ : given_up_) = index;
        changed_.notify_all();
    }
}

Result<std::unique_ptr<DiskFile>> SegmentFiles::take(std::uint64_t index) {
    std::optional<std::uint64_t> spare;
    {
        std::unique_lock lock(mutex_);
        urgent_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !wanted_; });
        urgent_ = false;
        spare = std::exchange(spare_, std::nullopt);
    }
    if (!spare) return make(index);
    if (*spare != index) {
        DG_TRY(disk_.rename(path(*spare), path(index)));
        DG_TRY(disk_.sync_dir(dir_));
    }
    return disk_.open(path(index), Disk::Mode::existing);
}

Result<std::unique_ptr<DiskFile>> SegmentFiles::make(std::uint64_t index) {
    const std::string unfinished = path(index) + std::string(kUnfinishedSuffix);
    Result<std::unique_ptr<DiskFile>> file = fill(unfinished);
    if (file) {
        Result<void> named = disk_.rename(unfinished, path(index));
        if (named) named = disk_.sync_dir(dir_);
        if (!named) file = std::unexpected(std::move(named).error());
    }
    // What is left over, if this fails too, is removed by the next open.
    if (!file) static_cast<void>(disk_.remove(unfinished));
    return file;
}

Result<std::unique_ptr<DiskFile>> SegmentFiles::fill(const std::string& path) {
    std::unique_ptr<DiskFile> file = DG_TRY(disk_.open(path, Disk::Mode::fresh));
    DG_TRY(file->reserve(segment_bytes_));
    const std::string zeros(std::min(kZerosBytes, segment_bytes_), '\0');
    for (std::uint64_t at = 0; at < segment_bytes_; at += zeros.size()) {
        const std::uint64_t bytes = std::min<std::uint64_t>(zeros.size(), segment_bytes_ - at);
        const Instant began = clock_.now();
        DG_TRY(file->write(at, std::string_view(zeros).substr(0, bytes)));
        if (!thread_.joinable()) continue;
        // In bites, each synced: commits wait for what the device has been given.
        DG_TRY(file->sync());
        DG_TRY(make_way(clock_.now() - began));
    }
    DG_TRY(file->sync());
    return file;
}

/// Leaves the device to commits for as long as it was taken, unless one waits for the segment.
Result<void> SegmentFiles::make_way(Duration took) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, took, [this] { return stopping_ || urgent_ || !wanted_; });
    if (stopping_) return fail(Code::cancelled, "the journal in {} closes", dir_);
    return {};
}

}  // namespace base::journal
