#include "sphere/audit/audit_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "base/files/file_error.h"
#include "base/files/files.h"
#include "sphere/audit/recover.h"
#include "sphere/audit/segments.h"

namespace sphere::audit {
namespace {

using base::Code;
using base::Error;
using base::Result;

constexpr std::chrono::seconds kRetry{1};

Result<base::UniqueFd> lock_folder(const std::string& dir) {
    const std::string path = dir + "/lock";
    base::UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file) return base::fail_errno(errno, "open", path);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        return base::fail_on(path, Code::failed_precondition,
                             "{} is written by another process; one audit folder has one writer",
                             dir);
    }
    return file;
}

/// What was taken from the queue together.
struct Group {
    std::string text;
    ChainHead head;  ///< after its last line
    std::uint64_t first_seq = 0;
};

/// The writer's side of the files. Used by one thread.
class SegmentWriter {
public:
    SegmentWriter(const AuditOptions& options, HeadFile head)
        : options_(options), head_(std::move(head)) {}

    Result<void> resume(const std::string& path, std::uint64_t bytes) {
        if (path.empty()) return {};
        file_ = base::UniqueFd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
        if (!file_) return base::fail_errno(errno, "open", path);
        path_ = path;
        bytes_ = bytes;
        return {};
    }

    /// All or nothing. A failure of kind resource_exhausted may be tried again, another may not:
    /// after a failed fdatasync nobody knows what the disk holds.
    Result<void> commit(const Group& group) {
        if (!file_ || bytes_ >= options_.segment_bytes_max) {
            DG_TRY(begin_segment(group.first_seq));
        }
        if (auto written = write_all(group.text); !written) {
            if (::ftruncate(file_.get(), static_cast<off_t>(bytes_)) != 0) {
                return base::fail_errno(errno, "take back a half-written line of", path_);
            }
            return written;
        }
        bytes_ += group.text.size();
        if (options_.durability == AuditOptions::Durability::power_loss &&
            ::fdatasync(file_.get()) != 0) {
            const int error_number = errno == ENOSPC || errno == EDQUOT ? EIO : errno;
            return base::fail_errno(error_number, "sync", path_);
        }
        auto anchored = head_.write(group.head);
        // The lines are there: writing the group once more would repeat them.
        if (!anchored) anchored.error().code = Code::unavailable;
        return anchored;
    }

    Result<void> write_head(const ChainHead& head) {
        DG_TRY(head_.write(head));
        return head_.sync();
    }

private:
    Result<void> begin_segment(std::uint64_t first_seq) {
        if (file_) DG_TRY(head_.sync());
        const std::string path = segment_path(options_.dir, first_seq);
        // A first attempt that failed for want of space leaves an empty file of this name.
        base::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        if (!file) return base::fail_errno(errno, "create", path);
        DG_TRY(base::sync_dir(options_.dir));
        file_ = std::move(file);
        path_ = path;
        bytes_ = 0;
        return {};
    }

    Result<void> write_all(std::string_view text) {
        std::uint64_t at = bytes_;
        while (!text.empty()) {
            const ssize_t n =
                ::pwrite(file_.get(), text.data(), text.size(), static_cast<off_t>(at));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return base::fail_errno(errno, "write", path_);
            text.remove_prefix(static_cast<std::size_t>(n));
            at += static_cast<std::uint64_t>(n);
        }
        return {};
    }

    const AuditOptions& options_;
    HeadFile head_;
    base::UniqueFd file_;
    std::string path_;
    std::uint64_t bytes_ = 0;
};

}  // namespace

struct AuditLog::Impl {
    AuditOptions options;
    const base::Clock& clock;
    base::UniqueFd lock_file;
    Recovery recovery;
    std::optional<SegmentWriter> writer;  // the writer thread's

    std::mutex mutex;  // nothing is written or called under it
    std::condition_variable to_writer, to_waiters;
    std::shared_ptr<const Redactor> redactor = std::make_shared<const Redactor>();  // by mutex
    ChainHead appended;          // by mutex: the last line that was queued
    ChainHead durable;           // by mutex
    std::string queue;           // by mutex: lines after those the writer has taken
    std::optional<Error> error;  // by mutex: of the last commit
    bool broken = false;         // by mutex: the error stays until the log is opened anew
    bool stopping = false;       // by mutex
    bool retry_now = false;      // by mutex
    std::thread thread;

    Impl(AuditOptions o, const base::Clock& c) : options(std::move(o)), clock(c) {}

    void run() {
        while (std::optional<Group> group = take_group()) {
            while (!commit(*group)) {
                if (!wait_before_retry()) return;
            }
        }
    }

    std::optional<Group> take_group() {
        std::unique_lock lock(mutex);
        to_writer.wait(lock, [&] { return stopping || !queue.empty(); });
        if (queue.empty()) return std::nullopt;
        Group group{std::move(queue), appended, durable.seq + 1};
        queue.clear();
        to_waiters.notify_all();  // there is room again
        return group;
    }

    bool commit(const Group& group) {
        auto done = writer->commit(group);
        const std::scoped_lock lock(mutex);
        if (done) {
            durable = group.head;
            error.reset();
        } else {
            broken = done.error().code != Code::resource_exhausted;
            error = std::move(done).error();
        }
        to_waiters.notify_all();
        return !error;
    }

    /// False: the group is given up, because trying again cannot help or the log is being closed.
    bool wait_before_retry() {
        std::unique_lock lock(mutex);
        to_writer.wait_for(lock, kRetry, [&] { return stopping || broken || retry_now; });
        retry_now = false;
        return !stopping && !broken;
    }
};

AuditLog::AuditLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Result<std::unique_ptr<AuditLog>> AuditLog::open(AuditOptions options, const base::Clock& clock) {
    if (!base::path_exists(options.dir)) {
        DG_TRY(base::make_dirs(options.dir));
        if (::chmod(options.dir.c_str(), 0700) != 0) {
            return base::fail_errno(errno, "restrict", options.dir);
        }
    }
    auto impl = std::make_unique<Impl>(std::move(options), clock);
    impl->lock_file = DG_TRY(lock_folder(impl->options.dir));
    RecoveredEnd end = DG_TRY(recover_end(impl->options.dir));
    impl->writer.emplace(impl->options, DG_TRY(HeadFile::open(impl->options.dir)));
    DG_TRY(impl->writer->write_head(end.head));
    DG_TRY(impl->writer->resume(end.segment, end.bytes));
    impl->appended = impl->durable = end.head;
    impl->recovery = end.recovery;
    std::unique_ptr<AuditLog> log(new AuditLog(std::move(impl)));
    log->impl_->thread = std::thread([state = log->impl_.get()] { state->run(); });
    if (end.recovery.torn_bytes != 0) {
        AuditEvent event;
        event.event = "audit.recovered";
        event.actor = "server";
        event.reason = fmt::format("{} bytes of an unfinished line were moved to {}",
                                   end.recovery.torn_bytes, end.recovery.moved_to);
        DG_TRY(log->record(event));
    }
    return log;
}

AuditLog::~AuditLog() {
    {
        const std::scoped_lock lock(impl_->mutex);
        impl_->stopping = true;
        impl_->to_writer.notify_all();
        impl_->to_waiters.notify_all();
    }
    if (impl_->thread.joinable()) impl_->thread.join();
}

Result<std::uint64_t> AuditLog::append(const AuditEvent& event) {
    std::shared_ptr<const Redactor> redactor;
    {
        const std::scoped_lock lock(impl_->mutex);
        redactor = impl_->redactor;
    }
    const std::string members = event_members(event, *redactor);
    std::unique_lock lock(impl_->mutex);
    impl_->to_waiters.wait(lock, [&] {
        return impl_->queue.size() < impl_->options.queue_bytes_max || impl_->error ||
               impl_->stopping;
    });
    if (impl_->error) return std::unexpected(*impl_->error);
    if (impl_->stopping) {
        return base::fail(Code::failed_precondition, "the audit log is being closed");
    }
    const bool was_empty = impl_->queue.empty();
    impl_->queue += seal_line(impl_->appended, impl_->clock.unix_ns(), members);
    impl_->queue += '\n';
    const std::uint64_t seq = impl_->appended.seq;
    lock.unlock();
    if (was_empty) impl_->to_writer.notify_one();
    return seq;
}

Result<void> AuditLog::sync(std::uint64_t seq) {
    std::unique_lock lock(impl_->mutex);
    if (impl_->error && !impl_->broken) {  // try again now and believe what comes of it
        impl_->error.reset();
        impl_->retry_now = true;
        impl_->to_writer.notify_one();
    }
    impl_->to_waiters.wait(lock, [&] { return impl_->durable.seq >= seq || impl_->error; });
    if (impl_->durable.seq >= seq) return {};
    return std::unexpected(*impl_->error);
}

Result<void> AuditLog::sync() {
    std::uint64_t seq = 0;
    {
        const std::scoped_lock lock(impl_->mutex);
        seq = impl_->appended.seq;
    }
    return sync(seq);
}

Result<std::uint64_t> AuditLog::record(const AuditEvent& event) {
    const std::uint64_t seq = DG_TRY(append(event));
    DG_TRY(sync(seq));
    return seq;
}

void AuditLog::set_redactor(std::shared_ptr<const Redactor> redactor) {
    const std::scoped_lock lock(impl_->mutex);
    impl_->redactor = std::move(redactor);
}

ChainHead AuditLog::durable() const {
    const std::scoped_lock lock(impl_->mutex);
    return impl_->durable;
}

void AuditLog::wait_for_more(std::uint64_t seq, base::Duration at_most,
                             const std::atomic<bool>& stop) const {
    std::unique_lock lock(impl_->mutex);
    impl_->to_waiters.wait_for(lock, at_most,
                               [&] { return impl_->durable.seq > seq || stop || impl_->stopping; });
}

void AuditLog::wake() const {
    const std::scoped_lock lock(impl_->mutex);
    impl_->to_waiters.notify_all();
}

const std::string& AuditLog::dir() const {
    return impl_->options.dir;
}
const Recovery& AuditLog::recovery() const {
    return impl_->recovery;
}

}  // namespace sphere::audit
