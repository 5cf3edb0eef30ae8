// One file, its write-ahead log, and a lock file that keeps other processes out. A thread of its
// own moves the log into the file, so that no write waits for that unless the log grows too long.
#include "base/store/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <condition_variable>
#include <thread>

#include "base/files/file_error.h"
#include "base/files/unique_fd.h"
#include "base/store/group_commit.h"
#include "base/store/readers.h"
#include "base/store/sqlite_connection.h"

namespace base::store {
namespace {

constexpr std::uint32_t kLogPagesKept = 2'048;  // 8 MiB: then the keeper starts
constexpr std::uint32_t kLogPagesMax = 4'096;   // 16 MiB: then the writer helps

/// The lock goes with the process, however that ends. A file of its own: SQLite's locks on the
/// database would be lost when any descriptor of it closes.
Result<UniqueFd> own(const std::string& path) {
    const std::string lock_path = path + ".lock";
    UniqueFd fd(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return fail_errno(errno, "open", lock_path);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
    if (errno != EWOULDBLOCK) return fail_errno(errno, "lock", lock_path);
    return fail_on(path, Code::failed_precondition,
                   "{} is open already, here or in another process, and only one may have it; stop "
                   "the other one or give this one another folder",
                   path);
}

/// SQLite gives its log and index the file's own mode.
Result<void> create_private(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return fail_errno(errno, "open", path);
    return {};
}

std::uint64_t size_of(const std::string& path) {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0 ? static_cast<std::uint64_t>(facts.st_size) : 0;
}

class SqliteStore final : public Store {
public:
    SqliteStore(std::string path, UniqueFd lock, std::unique_ptr<SqliteConnection> writer,
                std::unique_ptr<SqliteConnection> keeper, const StoreOptions& options)
        : path_(std::move(path)),
          lock_(std::move(lock)),
          keeper_connection_(std::move(keeper)),
          writer_(std::move(writer), options),
          readers_(
              [path = path_, mib = options.page_cache_mib,
               durable = options.durable]() -> Result<std::unique_ptr<Connection>> {
                  return DG_TRY(
                      SqliteConnection::open(path, SqliteConnection::Mode::read, mib, durable));
              },
              options.readers) {
        writer_.after_commit([this](Connection& connection) { look_after_log(connection); });
        keeper_ = std::thread([this] { keep(); });
    }

    ~SqliteStore() override {
        {
            std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_one();
        keeper_.join();
    }

    Result<void> write(const Work& work) override { return writer_.write(work); }
    Result<void> read(const Work& work) override { return readers_.read(work); }
    const Dialect& dialect() const override {
        static constexpr Dialect kSqlite{"BLOB", "INTEGER PRIMARY KEY", " WITHOUT ROWID"};
        return kSqlite;
    }
    bool shared() const override { return false; }
    std::uint64_t bytes() const override { return size_of(path_) + size_of(path_ + "-wal"); }

    Result<void> check() override {
        std::string found;
        DG_TRY(read([&](Transaction& tx) {
            return tx.query("PRAGMA integrity_check(10)", {}, [&](const Row& row) {
                if (row.text(0) == "ok") return true;
                if (!found.empty()) found += "; ";
                found += row.text(0);
                return true;
            });
        }));
        if (found.empty()) return {};
        return fail_on(path_, Code::data_loss,
                       "{} is damaged: {}; put the last backup in its place, or save what "
                       "`sqlite3 {} .recover` still finds",
                       path_, found, path_);
    }

    Result<void> scrub() override {
        return writer_.between([this](Connection& connection) -> Result<void> {
            auto& writer = static_cast<SqliteConnection&>(connection);
            return readers_.alone([&]() -> Result<void> {
                std::lock_guard lock(checkpointing_);
                // secure_delete overwrites the cells of deleted rows, but pages keep stale copies
                // of cells that moved while they were alive. VACUUM leaves those behind, too, but
                // writes everything three times.
                DG_TRY(writer.empty_log());
                readers_.forget_idle();  // and the pages they remember
                return writer.blank_deleted();
            });
        });
    }

private:
    void look_after_log(Connection& connection) {
        auto& writer = static_cast<SqliteConnection&>(connection);
        if (writer.log_pages() < kLogPagesKept) return;
        if (writer.log_pages() >= kLogPagesMax) {
            // Little is left for it to do, and only it can finish: then the log starts over.
            std::lock_guard lock(checkpointing_);
            writer.checkpoint();
            return;
        }
        {
            std::lock_guard lock(mutex_);
            wanted_ = true;
        }
        wake_.notify_one();
    }

    void keep() {
        std::unique_lock lock(mutex_);
        while (true) {
            wake_.wait(lock, [this] { return wanted_ || stopping_; });
            if (stopping_) return;
            wanted_ = false;
            lock.unlock();
            {
                std::lock_guard alone(checkpointing_);
                keeper_connection_->checkpoint();
            }
            lock.lock();
        }
    }

    const std::string path_;
    const UniqueFd lock_;  // given up last
    std::unique_ptr<SqliteConnection> keeper_connection_;
    GroupCommit writer_;
    Readers readers_;
    std::mutex checkpointing_;  // one at a time
    std::mutex mutex_;          // guards the two below
    bool wanted_ = false, stopping_ = false;
    std::condition_variable wake_;
    std::thread keeper_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const StoreOptions& options) {
    UniqueFd lock = DG_TRY(own(path));
    DG_TRY(create_private(path));
    using Mode = SqliteConnection::Mode;
    auto writer =
        DG_TRY(SqliteConnection::open(path, Mode::write, options.page_cache_mib, options.durable));
    auto keeper = DG_TRY(SqliteConnection::open(path, Mode::write, 1, options.durable));
    return std::make_unique<SqliteStore>(path, std::move(lock), std::move(writer),
                                         std::move(keeper), options);
}

}  // namespace base::store
