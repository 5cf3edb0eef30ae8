#pragma once
// A disk in memory under SQLite that fails as disks do: full, with errors, and losing at power loss
// what was not synced, wholly or in part, sector by sector. Registers as SQLite's default file
// system while it lives; one at a time.

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/core/rng.h"
#include "support/fault_runs.h"

namespace test {

class FaultDisk {
public:
    explicit FaultDisk(std::uint64_t seed);
    ~FaultDisk();
    FaultDisk(const FaultDisk&) = delete;

    /// The power goes at the `writes`-th write, sync, truncation or removal from now, in its
    /// middle.
    void lose_power_after(std::uint64_t writes);
    /// After the power went or any time: what a machine finds when it starts again.
    void restart();
    bool dead() const { return dead_; }
    /// Bytes that fit on the disk; 0: no limit.
    void limit(std::uint64_t bytes) { bytes_max_ = bytes; }
    /// Share of operations that fail, 0..1. A failed sync may have lost what it was to keep.
    void fail_share(double share) { fail_share_ = share; }
    std::uint64_t operations() const { return operations_; }
    std::uint64_t used_bytes();

    struct Write {
        std::uint64_t offset = 0;
        std::string bytes;      // of a write
        bool truncate = false;  // to offset
    };
    struct Shared {
        int readers = 0;
        bool writer = false;
    };
    struct File {
        std::string view, durable;
        std::vector<Write> unsynced;
        bool folder_unsynced = false;  // its first sync keeps its name, too, as SQLite asks
        int locks_shared = 0;
        const void* reserved = nullptr;
        const void* exclusive = nullptr;
        std::vector<std::unique_ptr<char[]>> regions;  // of the log's index
        Shared shared[SQLITE_SHM_NLOCK];
    };
    /// A name now, and after a power loss until the folder is synced.
    struct Name {
        File* now = nullptr;
        File* durable = nullptr;
    };
    struct Handle;
    struct Methods;

private:
    friend struct Methods;
    /// Counts one; false: the power is gone or this operation fails.
    bool operate(bool* torn);
    std::uint64_t used() const;
    static void apply(std::string& to, const Write& write);
    void keep_some(File& file, double share);
    void sync_folder();

    std::mutex mutex_;
    base::Rng rng_;
    std::vector<std::unique_ptr<File>> files_;  // removed ones, too: somebody may have them open
    std::map<std::string, Name> names_;
    bool dead_ = false;
    std::uint64_t operations_ = 0, dies_at_ = 0, bytes_max_ = 0;
    double fail_share_ = 0;
    sqlite3_vfs vfs_{};
    sqlite3_vfs* before_ = nullptr;
};

}  // namespace test
