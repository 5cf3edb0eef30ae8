#include "base/store/sqlite_log.h"

#include <fmt/core.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/core/check.h"

namespace base::store {
namespace {

constexpr std::size_t kTogetherMax = 1u << 20;  // bytes gathered for one write
// The file doubles, within these: a small store has a small log, a busy one seldom waits.
constexpr sqlite3_int64 kAheadMin = 64 << 10, kAheadMax = 256 << 10;

/// Bytes that follow each other in the file and are not in it yet.
struct Gathered {
    sqlite3_int64 offset = 0;
    std::string bytes;
};

struct LogFile {
    sqlite3_file base;  // first: SQLite sees this
    sqlite3_file* real;
    Gathered* gathered;
};

// --- the log -------------------------------------------------------------------------------------

LogFile& of(sqlite3_file* file) {
    return *reinterpret_cast<LogFile*>(file);
}
const sqlite3_io_methods& real(const LogFile& log) {
    return *log.real->pMethods;
}

/// In pieces: SQLite's file system takes the length of a write modulo 128 KiB.
int write_pieces(LogFile& log, std::string_view bytes, sqlite3_int64 offset) {
    constexpr std::size_t kPiece = 64 << 10;
    for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
        const std::string_view piece = bytes.substr(at, kPiece);
        const int rc = real(log).xWrite(log.real, piece.data(), static_cast<int>(piece.size()),
                                        offset + static_cast<sqlite3_int64>(at));
        if (rc != SQLITE_OK) return rc;
    }
    return SQLITE_OK;
}

/// Zeros after `end`, so that the commits to come find room. No matter if there is none.
void grow_ahead(LogFile& log, sqlite3_int64 end) {
    static constexpr std::array<char, kAheadMax> kZeros{};
    const auto more = static_cast<std::size_t>(std::clamp(end, kAheadMin, kAheadMax));
    static_cast<void>(write_pieces(log, {kZeros.data(), more}, end));
}

int write_out(LogFile& log) {
    Gathered& gathered = *log.gathered;
    if (gathered.bytes.empty()) return SQLITE_OK;
    sqlite3_int64 size = 0;
    int rc = real(log).xFileSize(log.real, &size);
    if (rc == SQLITE_OK) {
        rc = write_pieces(log, gathered.bytes, gathered.offset);
    }
    const auto end = gathered.offset + static_cast<sqlite3_int64>(gathered.bytes.size());
    gathered.bytes.clear();
    // A file that begins has a header alone; it grows with its first commit.
    if (rc == SQLITE_OK && end > size && size > 0) grow_ahead(log, end);
    return rc;
}

int log_close(sqlite3_file* file) {
    LogFile& log = of(file);
    const int wrote = write_out(log);
    const int closed = real(log).xClose(log.real);
    delete log.gathered;
    return wrote != SQLITE_OK ? wrote : closed;
}

int log_read(sqlite3_file* file, void* to, int bytes, sqlite3_int64 offset) {
    LogFile& log = of(file);
    if (const int rc = write_out(log); rc != SQLITE_OK) return rc;
    return real(log).xRead(log.real, to, bytes, offset);
}

int log_write(sqlite3_file* file, const void* from, int bytes, sqlite3_int64 offset) {
    LogFile& log = of(file);
    Gathered& gathered = *log.gathered;
    const auto end = gathered.offset + static_cast<sqlite3_int64>(gathered.bytes.size());
    if (offset != end || gathered.bytes.size() >= kTogetherMax) {
        if (const int rc = write_out(log); rc != SQLITE_OK) return rc;
    }
    if (gathered.bytes.empty()) gathered.offset = offset;
    gathered.bytes.append(static_cast<const char*>(from), static_cast<std::size_t>(bytes));
    return SQLITE_OK;
}

int log_truncate(sqlite3_file* file, sqlite3_int64 size) {
    LogFile& log = of(file);
    if (const int rc = write_out(log); rc != SQLITE_OK) return rc;
    return real(log).xTruncate(log.real, size);
}

int log_sync(sqlite3_file* file, int flags) {
    LogFile& log = of(file);
    if (const int rc = write_out(log); rc != SQLITE_OK) return rc;
    return real(log).xSync(log.real, flags);
}

int log_size(sqlite3_file* file, sqlite3_int64* size) {
    LogFile& log = of(file);
    if (const int rc = write_out(log); rc != SQLITE_OK) return rc;
    return real(log).xFileSize(log.real, size);
}

// SQLite does not lock its log.
int log_lock(sqlite3_file* file, int level) {
    return real(of(file)).xLock(of(file).real, level);
}
int log_unlock(sqlite3_file* file, int level) {
    return real(of(file)).xUnlock(of(file).real, level);
}
int log_reserved(sqlite3_file* file, int* reserved) {
    return real(of(file)).xCheckReservedLock(of(file).real, reserved);
}
int log_control(sqlite3_file* file, int what, void* argument) {
    return real(of(file)).xFileControl(of(file).real, what, argument);
}
int log_sector(sqlite3_file* file) {
    return real(of(file)).xSectorSize(of(file).real);
}
int log_device(sqlite3_file* file) {
    return real(of(file)).xDeviceCharacteristics(of(file).real);
}

constexpr sqlite3_io_methods kLogMethods{
    .iVersion = 1,
    .xClose = log_close,
    .xRead = log_read,
    .xWrite = log_write,
    .xTruncate = log_truncate,
    .xSync = log_sync,
    .xFileSize = log_size,
    .xLock = log_lock,
    .xUnlock = log_unlock,
    .xCheckReservedLock = log_reserved,
    .xFileControl = log_control,
    .xSectorSize = log_sector,
    .xDeviceCharacteristics = log_device,
    .xShmMap = nullptr,
    .xShmLock = nullptr,
    .xShmBarrier = nullptr,
    .xShmUnmap = nullptr,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

// --- the file system -----------------------------------------------------------------------------

sqlite3_vfs* below(sqlite3_vfs* vfs) {
    return static_cast<sqlite3_vfs*>(vfs->pAppData);
}

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* given) {
    sqlite3_vfs* base = below(vfs);
    if ((flags & SQLITE_OPEN_WAL) == 0) return base->xOpen(base, path, file, flags, given);
    LogFile& log = of(file);
    log.base.pMethods = nullptr;
    log.real =
        reinterpret_cast<sqlite3_file*>(reinterpret_cast<std::byte*>(file) + sizeof(LogFile));
    const int rc = base->xOpen(base, path, log.real, flags, given);
    if (rc != SQLITE_OK) {
        if (log.real->pMethods != nullptr) real(log).xClose(log.real);
        return rc;
    }
    log.gathered = new Gathered;
    log.base.pMethods = &kLogMethods;
    return SQLITE_OK;
}

}  // namespace

SqliteLog::SqliteLog() : vfs_(std::make_unique<sqlite3_vfs>()) {
    sqlite3_vfs* base = sqlite3_vfs_find(nullptr);
    DG_CHECK(base != nullptr, "SQLite has no file system");
    name_ = fmt::format("dougong-{}", static_cast<const void*>(this));
    // Version 2 ends before the system calls that tests of SQLite replace.
    *vfs_ = *base;
    vfs_->iVersion = std::min(base->iVersion, 2);
    vfs_->szOsFile = static_cast<int>(sizeof(LogFile)) + base->szOsFile;
    vfs_->pNext = nullptr;
    vfs_->zName = name_.c_str();
    vfs_->pAppData = base;
    vfs_->xOpen = open_file;
    vfs_->xDelete = [](sqlite3_vfs* vfs, const char* path, int sync) {
        return below(vfs)->xDelete(below(vfs), path, sync);
    };
    vfs_->xAccess = [](sqlite3_vfs* vfs, const char* path, int flags, int* given) {
        return below(vfs)->xAccess(below(vfs), path, flags, given);
    };
    vfs_->xFullPathname = [](sqlite3_vfs* vfs, const char* path, int bytes, char* to) {
        return below(vfs)->xFullPathname(below(vfs), path, bytes, to);
    };
    vfs_->xDlOpen = nullptr;
    vfs_->xDlError = nullptr;
    vfs_->xDlSym = nullptr;
    vfs_->xDlClose = nullptr;
    vfs_->xRandomness = [](sqlite3_vfs* vfs, int bytes, char* to) {
        return below(vfs)->xRandomness(below(vfs), bytes, to);
    };
    vfs_->xSleep = [](sqlite3_vfs* vfs, int us) { return below(vfs)->xSleep(below(vfs), us); };
    vfs_->xCurrentTime = [](sqlite3_vfs* vfs, double* time) {
        return below(vfs)->xCurrentTime(below(vfs), time);
    };
    vfs_->xGetLastError = [](sqlite3_vfs* vfs, int bytes, char* to) {
        return below(vfs)->xGetLastError(below(vfs), bytes, to);
    };
    vfs_->xCurrentTimeInt64 = [](sqlite3_vfs* vfs, sqlite3_int64* time) {
        return below(vfs)->xCurrentTimeInt64(below(vfs), time);
    };
    sqlite3_vfs_register(vfs_.get(), 0);
}

SqliteLog::~SqliteLog() {
    sqlite3_vfs_unregister(vfs_.get());
}

}  // namespace base::store
