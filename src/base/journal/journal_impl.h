#pragma once
// The journal's state and who may touch it. Internal to base/journal.

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/journal/frame.h"
#include "base/journal/journal.h"
#include "base/journal/recovery.h"
#include "base/journal/segment_files.h"

namespace base::journal {

/// Frames wait in a queue, each with its place on the disk fixed, and go one at a time: by the
/// journal's thread, or by a commit that finds nobody writing, on its caller's thread.
class Journal::Impl {
public:
    Impl(Disk& disk, std::string dir, const Options& options, Recovered found,
         std::unique_ptr<DiskLock> lock);
    ~Impl();
    /// Once, before all else.
    Result<void> start();

    Result<Address> append(const Group& group, Done done);
    Result<Address> commit(const Group& group);
    void flush();
    Result<std::string> read(Address address);
    Result<void> scan(Address from, const Each& each);
    Result<void> drop_before(Address address);
    Result<void> check_all();
    Address begin() const;
    Address end() const;
    Stats stats() const;
    std::uint64_t segment_bytes() const { return segment_bytes_; }
    std::uint64_t group_bytes_max() const {
        return segment_bytes_ - kSegmentHeaderBytes - kFrameHeaderBytes - kFrameAlign;
    }

private:
    using FramePtr = std::shared_ptr<Frame>;
    using FilePtr = std::shared_ptr<DiskFile>;
    struct Segment {
        LiveSegment live;
        FilePtr file;  // nullptr: closed
    };
    using Segments = std::map<std::uint64_t, Segment>;

    Result<void> check(const Group& group) const;
    bool has_room(const Group& group) const;
    Address put(const Group& group, Done done, FramePtr* frame);
    Frame& frame_with_room(std::uint64_t group_bytes);
    FramePtr take();
    void write_out(const FramePtr& frame);
    Result<void> write(Frame& frame);
    std::vector<FramePtr> fail_all(const FramePtr& first);
    void note_durable(const FramePtr& frame, Duration took);
    void remember(const FramePtr& frame);
    bool step(std::unique_lock<std::mutex>& lock);
    void run();
    void expect_return(const Frame& frame, Duration took);
    bool gather(std::unique_lock<std::mutex>& lock);
    void wake_thread();
    void set_next(std::uint64_t index, std::uint64_t offset);
    bool may_lead(const Frame& frame) const;
    std::string path(std::uint64_t index) const { return files_.path(index); }
    Result<FilePtr> file_of(std::uint64_t index);
    void note_opened(Segment& segment, FilePtr file);
    std::string_view in_memory(Address address) const;
    Result<void> drop_dead();
    Result<bool> scan_segment(const LiveSegment& segment, Address from, const Each& each);

    Disk& disk_;
    const std::string dir_;
    const Options options_;
    const std::uint64_t segment_bytes_, id_;
    SystemClock system_clock_;
    const Clock& clock_;
    const std::unique_ptr<DiskLock> lock_;
    SegmentFiles files_;
    FilePtr active_;         // of whoever is writing; nullptr: the next frame opens a segment
    std::mutex drop_mutex_;  // one drop_before at a time; taken before mutex_

    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable work_, room_, idle_;
    std::deque<FramePtr> queue_;     // not yet taken; the last one gathers
    FramePtr writing_;               // taken
    std::vector<FramePtr> deliver_;  // finished, their dones not yet called
    bool delivering_ = false, stopping_ = false, thread_sleeps_ = false, thread_gathers_ = false;
    // Commits that were answered together come again together: the thread waits a moment for them.
    std::uint64_t queued_groups_ = 0;
    std::uint64_t gather_target_ = 0;  // of queued groups; 0: writes at once
    Instant gather_until_;
    std::uint32_t gather_skips_ = 0, gather_misses_ = 0;  // writes at once that many times
    std::uint32_t room_waiters_ = 0, flush_waiters_ = 0;
    // Settled, in order: durable or failed, and said so.
    std::uint64_t frames_made_ = 0, frames_settled_ = 0;
    std::uint64_t next_index_, next_offset_;  // of the next frame
    std::uint64_t next_sequence_;
    std::uint64_t end_;  // durable
    Segments segments_;
    std::deque<std::uint64_t> opened_;  // whose file is open, oldest first
    std::deque<FramePtr> recent_;       // durable, in order
    std::uint64_t recent_bytes_ = 0;
    Stats stats_;
    std::array<std::uint32_t, kRecentSyncs> recent_sync_us_{};  // a ring
    std::thread thread_;
};

}  // namespace base::journal
