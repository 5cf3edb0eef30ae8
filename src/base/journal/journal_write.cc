// From append to the disk and back to who waits.
#include <algorithm>
#include <bit>
#include <chrono>
#include <utility>

#include "base/journal/journal_impl.h"

namespace base::journal {
namespace {

/// More goes into the next frame: a write this large keeps the disk busy anyway.
constexpr std::uint64_t kFrameBytesMax = 4u << 20;

/// The longest that a commit waits for others to come along.
constexpr Duration kGatherMax = std::chrono::milliseconds(1);
constexpr std::uint32_t kGatherMissesMax = 8;

template <std::size_t N>
void count(std::array<std::uint64_t, N>& histogram, std::uint64_t value) {
    ++histogram[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(value)), N - 1)];
}

}  // namespace

Journal::Impl::Impl(Disk& disk, std::string dir, const Options& options, Recovered found,
                    std::unique_ptr<DiskLock> lock)
    : disk_(disk),
      dir_(std::move(dir)),
      options_(options),
      segment_bytes_(found.segment_bytes),
      id_(found.id),
      clock_(options.clock != nullptr ? *options.clock : system_clock_),
      lock_(std::move(lock)),
      files_(disk, dir_, segment_bytes_, options.threaded, found.spare, clock_),
      next_index_(found.next_index),
      next_offset_(found.next_offset),
      next_sequence_(found.sequence),
      end_(found.end) {
    for (LiveSegment& live : found.segments) segments_[live.header.index].live = live;
}

Result<void> Journal::Impl::start() {
    if (options_.check_all) DG_TRY(check_all());
    if (next_offset_ != 0) active_ = DG_TRY(file_of(next_index_));
    if (options_.threaded) thread_ = std::thread([this] { run(); });
    return {};
}

Journal::Impl::~Impl() {
    if (!options_.threaded) {
        flush();
        return;
    }
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        work_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
}

Result<void> Journal::Impl::check(const Group& group) const {
    if (group.empty()) {
        return fail(Code::invalid_argument, "a group without a record; add one first");
    }
    if (group.record_bytes_max() > options_.record_bytes_max) {
        return fail(Code::payload_too_large,
                    "a record of {} bytes, the journal in {} takes {}; keep large values elsewhere "
                    "and append their name",
                    group.record_bytes_max(), dir_, options_.record_bytes_max);
    }
    if (group.bytes() > group_bytes_max()) {
        return fail(Code::payload_too_large,
                    "a group of {} bytes, a segment of the journal in {} has room for {}; split it",
                    group.bytes(), dir_, group_bytes_max());
    }
    return {};
}

bool Journal::Impl::has_room(const Group& group) const {
    return stats_.pending_bytes == 0 ||
           stats_.pending_bytes + group.bytes() <= options_.pending_bytes_max;
}

Result<Address> Journal::Impl::append(const Group& group, Done done) {
    DG_TRY(check(group));
    std::lock_guard lock(mutex_);
    if (!has_room(group)) {
        return fail(Code::resource_exhausted,
                    "{} bytes wait for the disk of the journal in {}, {} are allowed; append again "
                    "when some are done",
                    stats_.pending_bytes, dir_, options_.pending_bytes_max);
    }
    const Address first = put(group, std::move(done), nullptr);
    wake_thread();
    return first;
}

Result<Address> Journal::Impl::commit(const Group& group) {
    DG_TRY(check(group));
    FramePtr frame;
    Address first;
    bool leads = false;
    {
        std::unique_lock lock(mutex_);
        if (options_.threaded && !has_room(group)) {
            ++room_waiters_;
            room_.wait(lock, [&] { return has_room(group); });
            --room_waiters_;
        }
        first = put(group, {}, &frame);
        leads = may_lead(*frame);
        if (leads) {
            take();
        } else {
            wake_thread();
        }
    }
    if (leads) write_out(frame);
    if (!options_.threaded) flush();
    DG_TRY(frame->wait());
    return first;
}

/// A commit that comes alone writes by itself: two switches of threads less. What has callbacks is
/// the thread's, and so is whatever queues up meanwhile.
bool Journal::Impl::may_lead(const Frame& frame) const {
    return options_.threaded && !writing_ && gather_target_ == 0 && queue_.size() == 1 &&
           !frame.has_dones() && deliver_.empty() && !delivering_;
}

void Journal::Impl::wake_thread() {
    const bool enough = !thread_gathers_ || queued_groups_ >= gather_target_;
    const bool has_work = !deliver_.empty() || (!queue_.empty() && !writing_ && enough);
    if (thread_sleeps_ && (has_work || stopping_)) work_.notify_one();
}

Address Journal::Impl::put(const Group& group, Done done, FramePtr* frame) {
    Frame& open = frame_with_room(group.bytes());
    stats_.pending_bytes += group.bytes();
    ++queued_groups_;
    if (frame != nullptr) *frame = queue_.back();
    return open.add(group, std::move(done));
}

Frame& Journal::Impl::frame_with_room(std::uint64_t group_bytes) {
    if (!queue_.empty()) {
        Frame& open = *queue_.back();
        const bool small = open.records_bytes() + group_bytes <= kFrameBytesMax;
        if (small && open.has_room(group_bytes)) return open;
        set_next(open.index(), open.end() - open.index() * segment_bytes_);
    }
    const std::uint64_t bytes = align_frame(kFrameHeaderBytes + group_bytes);
    if (next_offset_ != 0 && next_offset_ + bytes > segment_bytes_) set_next(next_index_ + 1, 0);
    queue_.push_back(
        std::make_shared<Frame>(segment_bytes_, next_index_, next_offset_, next_sequence_));
    ++next_sequence_;
    ++frames_made_;
    return *queue_.back();
}

void Journal::Impl::set_next(std::uint64_t index, std::uint64_t offset) {
    next_index_ = offset == segment_bytes_ ? index + 1 : index;
    next_offset_ = offset == segment_bytes_ ? 0 : offset;
}

Journal::Impl::FramePtr Journal::Impl::take() {
    writing_ = std::move(queue_.front());
    queue_.pop_front();
    if (queued_groups_ >= gather_target_) gather_misses_ = 0;
    queued_groups_ -= writing_->groups();
    gather_target_ = 0;
    writing_->close();
    if (queue_.empty()) {
        set_next(writing_->index(), writing_->end() - writing_->index() * segment_bytes_);
    }
    return writing_;
}

/// Without the lock. Pre: `frame` was taken.
void Journal::Impl::write_out(const FramePtr& frame) {
    const Instant began = clock_.now();
    const Result<void> written = write(*frame);
    const Duration took = clock_.now() - began;
    std::vector<FramePtr> settled{frame};
    {
        std::lock_guard lock(mutex_);
        writing_.reset();
        if (written) {
            note_durable(frame, took);
            expect_return(*frame, took);
        } else {
            settled = fail_all(frame);
        }
        for (const FramePtr& one : settled) {
            one->settle(written);
            stats_.pending_bytes -= one->records_bytes();
            if (one->has_dones()) {
                deliver_.push_back(one);
            } else {
                ++frames_settled_;
            }
        }
        wake_thread();
        if (room_waiters_ > 0) room_.notify_all();
        if (flush_waiters_ > 0) idle_.notify_all();
    }
    for (const FramePtr& one : settled) one->announce();
}

Result<void> Journal::Impl::write(Frame& frame) {
    frame.seal(id_, end_);  // end_ changes only here, so to say: by who writes
    Result<void> written;
    if (frame.opens_segment()) {
        active_.reset();
        Result<std::unique_ptr<DiskFile>> file = files_.take(frame.index());
        if (!file) {
            written = std::unexpected(std::move(file).error());
        } else {
            active_ = *std::move(file);
        }
    }
    if (written) written = active_->write_durably(frame.offset(), frame.bytes());
    if (written) {
        // Before anybody else may write: a segment made ahead must never meet one in use.
        if (frame.end() % segment_bytes_ > segment_bytes_ / 2) files_.want(frame.index() + 1);
        return {};
    }
    // What stands there now is unknown, and would be after a sync that succeeds. It is left alone:
    // the next frame opens a segment, whose header says that this place does not count.
    active_.reset();
    if (frame.opens_segment()) static_cast<void>(disk_.remove(path(frame.index())));
    Error error = std::move(written).error();
    if (error.code != Code::resource_exhausted) error.code = Code::unavailable;
    return std::unexpected(std::move(error).with_context("the journal in " + dir_));
}

std::vector<Journal::Impl::FramePtr> Journal::Impl::fail_all(const FramePtr& first) {
    std::vector<FramePtr> failed{first};
    std::ranges::move(queue_, std::back_inserter(failed));
    queue_.clear();
    queued_groups_ = 0;
    // Behind every address that was given, so that none is given twice.
    set_next(failed.back()->index() + 1, 0);
    next_sequence_ = first->sequence();
    ++stats_.failures;
    return failed;
}

void Journal::Impl::note_durable(const FramePtr& frame, Duration took) {
    end_ = frame->end();
    Segment& segment = segments_[frame->index()];
    if (frame->opens_segment()) {
        segment.live.header = *segment_header(frame->bytes());
        note_opened(segment, active_);
    }
    segment.live.end = frame->end() - frame->index() * segment_bytes_;
    const std::int64_t took_us = took.count() / 1000;
    recent_sync_us_[stats_.syncs % kRecentSyncs] =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(took_us, 0, UINT32_MAX));
    ++stats_.syncs;
    stats_.groups += frame->groups();
    stats_.records += frame->records();
    count(stats_.groups_in_sync, frame->groups());
    count(stats_.sync_us, static_cast<std::uint64_t>(took_us));
    remember(frame);
}

void Journal::Impl::remember(const FramePtr& frame) {
    recent_.push_back(frame);
    recent_bytes_ += frame->bytes().size();
    while (!recent_.empty() && recent_bytes_ > options_.recent_bytes_max) {
        recent_bytes_ -= recent_.front()->bytes().size();
        recent_.pop_front();
    }
}

/// Who just got an answer may commit again at once. Where several did, or others queue already,
/// writing for those alone would make two groups that take turns, each of half the size.
void Journal::Impl::expect_return(const Frame& frame, Duration took) {
    const std::uint64_t returning = frame.commits();
    if (!options_.threaded || returning == 0 || returning + queued_groups_ < 2) return;
    if (gather_skips_ > 0) {
        --gather_skips_;
        return;
    }
    gather_target_ = returning + queued_groups_;
    gather_until_ = clock_.now() + std::min(took, kGatherMax);
}

/// Waits for those who are to return; false: not any longer.
bool Journal::Impl::gather(std::unique_lock<std::mutex>& lock) {
    if (queue_.empty() || writing_ || stopping_ || queued_groups_ >= gather_target_) return false;
    const Duration left = gather_until_ - clock_.now();
    if (left <= Duration{}) {
        // They do not come: ask less and less often.
        const bool most_came = queued_groups_ * 4 >= gather_target_ * 3;
        gather_misses_ = most_came ? 0 : std::min(gather_misses_ + 1, kGatherMissesMax);
        gather_skips_ = most_came ? 0 : 1u << gather_misses_;
        gather_target_ = 0;
        return false;
    }
    thread_sleeps_ = thread_gathers_ = true;
    work_.wait_for(lock, left);
    thread_sleeps_ = thread_gathers_ = false;
    return true;
}

/// One thing that waits to be done, without the lock; false: nothing does.
bool Journal::Impl::step(std::unique_lock<std::mutex>& lock) {
    if (!deliver_.empty()) {
        const std::vector<FramePtr> frames = std::exchange(deliver_, {});
        delivering_ = true;
        lock.unlock();
        for (const FramePtr& frame : frames) frame->call_dones();
        lock.lock();
        delivering_ = false;
        frames_settled_ += frames.size();
        if (flush_waiters_ > 0) idle_.notify_all();
        return true;
    }
    if (queue_.empty() || writing_) return false;
    const FramePtr frame = take();
    lock.unlock();
    write_out(frame);
    lock.lock();
    return true;
}

void Journal::Impl::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        if (deliver_.empty() && gather(lock)) continue;
        if (step(lock)) continue;
        if (stopping_ && !writing_) return;
        thread_sleeps_ = true;
        work_.wait(lock);
        thread_sleeps_ = false;
    }
}

void Journal::Impl::flush() {
    std::unique_lock lock(mutex_);
    if (!options_.threaded) {
        while (step(lock)) {
        }
        return;
    }
    const std::uint64_t until = frames_made_;
    ++flush_waiters_;
    idle_.wait(lock, [&] { return frames_settled_ >= until; });
    --flush_waiters_;
}

Stats Journal::Impl::stats() const {
    std::unique_lock lock(mutex_);
    Stats stats = stats_;
    stats.segments = segments_.size();
    for (const auto& [index, segment] : segments_) stats.bytes += segment.live.end;
    auto recent = recent_sync_us_;
    lock.unlock();
    const auto end = recent.begin() + static_cast<std::ptrdiff_t>(
                                          std::min<std::uint64_t>(stats.syncs, kRecentSyncs));
    std::sort(recent.begin(), end);
    const auto at = [&](std::ptrdiff_t percent) {
        return end == recent.begin()
                   ? 0u
                   : recent[static_cast<std::size_t>((end - recent.begin() - 1) * percent / 100)];
    };
    stats.sync_p50_us = at(50);
    stats.sync_p99_us = at(99);
    return stats;
}

}  // namespace base::journal
