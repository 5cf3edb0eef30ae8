#include "support/fault_disk.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

namespace test {
namespace {
constexpr std::uint64_t kSector = 512;
}

struct FaultDisk::Handle {
    sqlite3_file base;  // first: SQLite sees this
    FaultDisk* disk;
    File* file;
    std::uint32_t shared_mask, exclusive_mask;  // of the index's locks
    int level;                                  // of the file's lock
};

bool FaultDisk::operate(bool* torn) {
    *torn = false;
    if (dead_) return false;
    ++operations_;
    if (dies_at_ != 0 && operations_ >= dies_at_) {
        dead_ = true;
        *torn = true;
        return false;
    }
    return fail_share_ == 0 || rng_.uniform() >= fail_share_;
}

std::uint64_t FaultDisk::used_bytes() {
    const std::lock_guard lock(mutex_);
    return used();
}

std::uint64_t FaultDisk::used() const {
    std::uint64_t bytes = 0;
    for (const auto& [name, file] : names_) {
        if (file.now != nullptr) bytes += file.now->view.size();
    }
    return bytes;
}

void FaultDisk::apply(std::string& to, const Write& write) {
    if (write.truncate) {
        to.resize(write.offset);
        return;
    }
    if (to.size() < write.offset + write.bytes.size()) {
        to.resize(write.offset + write.bytes.size());
    }
    std::memcpy(to.data() + write.offset, write.bytes.data(), write.bytes.size());
}

void FaultDisk::lose_power_after(std::uint64_t writes) {
    std::lock_guard lock(mutex_);
    dies_at_ = operations_ + writes;
}

void FaultDisk::sync_folder() {
    for (auto& [name, file] : names_) file.durable = file.now;
}

/// Applies a share of the sectors that were not synced.
void FaultDisk::keep_some(File& file, double share) {
    for (const Write& write : file.unsynced) {
        if (write.truncate) {
            if (rng_.uniform() < share) apply(file.durable, write);
            continue;
        }
        for (std::uint64_t at = 0; at < write.bytes.size();) {
            const std::uint64_t end = std::min<std::uint64_t>(
                write.bytes.size(), at + kSector - (write.offset + at) % kSector);
            if (rng_.uniform() < share) {
                apply(file.durable, Write{write.offset + at, write.bytes.substr(at, end - at)});
            }
            at = end;
        }
    }
}

void FaultDisk::restart() {
    std::lock_guard lock(mutex_);
    dead_ = false;
    dies_at_ = 0;
    for (auto& [name, file] : names_) {
        if (rng_.below(2) == 0) file.durable = file.now;
        file.now = file.durable;
    }
    for (auto& file : files_) {
        // Each kept nothing, all, or some sectors of what was not synced.
        const std::uint64_t mode = rng_.below(3);
        keep_some(*file, mode == 0 ? 0 : mode == 1 ? 1 : rng_.uniform());
        std::string kept = std::move(file->durable);
        *file = File{};
        file->view = kept;
        file->durable = std::move(kept);
    }
}

/// SQLite's tables of functions.
struct FaultDisk::Methods {
    static Handle& handle(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
    static FaultDisk& disk(sqlite3_vfs* vfs) { return *static_cast<FaultDisk*>(vfs->pAppData); }

    static int close(sqlite3_file* file) {
        unlock(file, SQLITE_LOCK_NONE);
        return SQLITE_OK;
    }
    static int read(sqlite3_file* file, void* to, int amount, sqlite3_int64 offset) {
        Handle& h = handle(file);
        std::lock_guard lock(h.disk->mutex_);
        if (h.disk->dead_) return SQLITE_IOERR_READ;
        const std::string& view = h.file->view;
        const auto from = std::min<std::size_t>(static_cast<std::size_t>(offset), view.size());
        const auto size =
            std::min<std::size_t>(static_cast<std::size_t>(amount), view.size() - from);
        std::memcpy(to, view.data() + from, size);
        if (size == static_cast<std::size_t>(amount)) return SQLITE_OK;
        std::memset(static_cast<char*>(to) + size, 0, static_cast<std::size_t>(amount) - size);
        return SQLITE_IOERR_SHORT_READ;
    }
    static int write(sqlite3_file* file, const void* from, int amount, sqlite3_int64 offset) {
        Handle& h = handle(file);
        std::lock_guard lock(h.disk->mutex_);
        Write write{static_cast<std::uint64_t>(offset),
                    std::string(static_cast<const char*>(from), static_cast<std::size_t>(amount))};
        bool torn = false;
        const bool good = h.disk->operate(&torn);
        if (!good && !torn) return SQLITE_IOERR_WRITE;
        if (torn) write.bytes.resize(h.disk->rng_.below(write.bytes.size() + 1));
        const std::uint64_t end = write.offset + write.bytes.size();
        const std::uint64_t growth = end > h.file->view.size() ? end - h.file->view.size() : 0;
        if (h.disk->bytes_max_ != 0 && h.disk->used() + growth > h.disk->bytes_max_) {
            return SQLITE_FULL;
        }
        h.disk->apply(h.file->view, write);
        h.file->unsynced.push_back(std::move(write));
        return good ? SQLITE_OK : SQLITE_IOERR_WRITE;
    }
    static int truncate(sqlite3_file* file, sqlite3_int64 size) {
        Handle& h = handle(file);
        std::lock_guard lock(h.disk->mutex_);
        bool torn = false;
        if (!h.disk->operate(&torn)) return SQLITE_IOERR_TRUNCATE;
        Write write{static_cast<std::uint64_t>(size), "", true};
        h.disk->apply(h.file->view, write);
        h.file->unsynced.push_back(std::move(write));
        return SQLITE_OK;
    }
    static int sync(sqlite3_file* file, int) {
        Handle& h = handle(file);
        std::lock_guard lock(h.disk->mutex_);
        bool torn = false;
        if (!h.disk->operate(&torn)) {
            // As Linux does: the pages count as clean after a sync that failed.
            if (!h.disk->dead_ && h.disk->rng_.below(2) == 0) h.file->unsynced.clear();
            return SQLITE_IOERR_FSYNC;
        }
        for (const Write& write : h.file->unsynced) h.disk->apply(h.file->durable, write);
        h.file->unsynced.clear();
        if (std::exchange(h.file->folder_unsynced, false)) h.disk->sync_folder();
        return SQLITE_OK;
    }
    static int size(sqlite3_file* file, sqlite3_int64* bytes) {
        Handle& h = handle(file);
        std::lock_guard lock(h.disk->mutex_);
        *bytes = static_cast<sqlite3_int64>(h.file->view.size());
        return SQLITE_OK;
    }
    static int lock(sqlite3_file* file, int level) {
        Handle& h = handle(file);
        std::lock_guard guard(h.disk->mutex_);
        File& f = *h.file;
        if (level <= h.level) return SQLITE_OK;
        if (f.exclusive != nullptr && f.exclusive != &h) return SQLITE_BUSY;
        if (h.level == SQLITE_LOCK_NONE) ++f.locks_shared;
        if (level >= SQLITE_LOCK_RESERVED) {
            if (f.reserved != nullptr && f.reserved != &h) return drop_to(h, h.level), SQLITE_BUSY;
            f.reserved = &h;
        }
        if (level == SQLITE_LOCK_EXCLUSIVE) {
            if (f.locks_shared > 1) return drop_to(h, h.level), SQLITE_BUSY;
            f.exclusive = &h;
        }
        h.level = level;
        return SQLITE_OK;
    }
    static void drop_to(Handle& h, int level) {
        File& f = *h.file;
        if (f.exclusive == &h && level < SQLITE_LOCK_EXCLUSIVE) f.exclusive = nullptr;
        if (f.reserved == &h && level < SQLITE_LOCK_RESERVED) f.reserved = nullptr;
        if (level == SQLITE_LOCK_NONE && f.locks_shared > 0) --f.locks_shared;
    }
    static int unlock(sqlite3_file* file, int level) {
        Handle& h = handle(file);
        std::lock_guard guard(h.disk->mutex_);
        if (level >= h.level) return SQLITE_OK;
        drop_to(h, level);
        h.level = level;
        return SQLITE_OK;
    }
    static int reserved(sqlite3_file* file, int* out) {
        Handle& h = handle(file);
        std::lock_guard guard(h.disk->mutex_);
        *out = h.file->reserved != nullptr;
        return SQLITE_OK;
    }
    static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
    static int sector_size(sqlite3_file*) { return static_cast<int>(kSector); }
    // As SQLite takes every disk under Linux.
    static int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

    static int shm_map(sqlite3_file* file, int region, int bytes, int extend, void volatile** out) {
        Handle& h = handle(file);
        std::lock_guard guard(h.disk->mutex_);
        auto& regions = h.file->regions;
        *out = nullptr;
        const auto wanted = static_cast<std::size_t>(region);
        if (wanted >= regions.size() && extend == 0) return SQLITE_OK;
        while (regions.size() <= wanted) {
            regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(bytes)));
        }
        *out = regions[wanted].get();
        return SQLITE_OK;
    }
    static int shm_lock(sqlite3_file* file, int offset, int count, int flags) {
        Handle& h = handle(file);
        std::lock_guard guard(h.disk->mutex_);
        const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
        if ((flags & SQLITE_SHM_UNLOCK) == 0) {
            for (int i = offset; i < offset + count; ++i) {
                const Shared& one = h.file->shared[i];
                if (one.writer || (exclusive && one.readers > 0)) return SQLITE_BUSY;
            }
        }
        for (int i = offset; i < offset + count; ++i) {
            Shared& one = h.file->shared[i];
            std::uint32_t& mask = exclusive ? h.exclusive_mask : h.shared_mask;
            const std::uint32_t bit = 1u << i;
            if ((flags & SQLITE_SHM_LOCK) != 0) {
                if (exclusive)
                    one.writer = true;
                else
                    ++one.readers;
                mask |= bit;
            } else if ((mask & bit) != 0) {
                if (exclusive)
                    one.writer = false;
                else if (one.readers > 0)
                    --one.readers;
                mask &= ~bit;
            }
        }
        return SQLITE_OK;
    }
    static void shm_barrier(sqlite3_file*) { std::atomic_thread_fence(std::memory_order_seq_cst); }
    static int shm_unmap(sqlite3_file* file, int remove) {
        Handle& h = handle(file);
        std::lock_guard guard(h.disk->mutex_);
        if (remove != 0) h.file->regions.clear();
        return SQLITE_OK;
    }

    static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* out, int flags,
                    int* flags_out) {
        FaultDisk& self = disk(vfs);
        std::lock_guard guard(self.mutex_);
        static const sqlite3_io_methods kMethods{2,
                                                 close,
                                                 read,
                                                 write,
                                                 truncate,
                                                 sync,
                                                 size,
                                                 lock,
                                                 unlock,
                                                 reserved,
                                                 control,
                                                 sector_size,
                                                 characteristics,
                                                 shm_map,
                                                 shm_lock,
                                                 shm_barrier,
                                                 shm_unmap,
                                                 nullptr,
                                                 nullptr};
        auto* h = reinterpret_cast<Handle*>(out);
        h->base.pMethods = nullptr;
        if (self.dead_) return SQLITE_CANTOPEN;
        Name& entry = self.names_[name == nullptr ? "temporary" : name];
        if (entry.now == nullptr) {
            if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
            entry.now = self.files_.emplace_back(std::make_unique<File>()).get();
            entry.now->folder_unsynced =
                (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
        }
        *h = Handle{{&kMethods}, &self, entry.now, 0, 0, SQLITE_LOCK_NONE};
        if (flags_out != nullptr) *flags_out = flags;
        return SQLITE_OK;
    }
    static int remove(sqlite3_vfs* vfs, const char* name, int sync_folder) {
        FaultDisk& self = disk(vfs);
        std::lock_guard guard(self.mutex_);
        bool torn = false;
        if (!self.operate(&torn)) return SQLITE_IOERR_DELETE;
        const auto found = self.names_.find(name);
        if (found == self.names_.end() || found->second.now == nullptr) {
            return SQLITE_IOERR_DELETE_NOENT;
        }
        found->second.now = nullptr;
        if (sync_folder != 0) self.sync_folder();
        return SQLITE_OK;
    }
    static int access(sqlite3_vfs* vfs, const char* name, int, int* out) {
        FaultDisk& self = disk(vfs);
        std::lock_guard guard(self.mutex_);
        const auto found = self.names_.find(name);
        *out = found != self.names_.end() && found->second.now != nullptr;
        return SQLITE_OK;
    }
    static int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
        sqlite3_snprintf(size, out, "%s", name);
        return SQLITE_OK;
    }
};

FaultDisk::FaultDisk(std::uint64_t seed) : rng_(seed) {
    sqlite3_initialize();
    before_ = sqlite3_vfs_find(nullptr);
    vfs_ = *before_;  // for time and chance
    vfs_.iVersion = 1;
    vfs_.szOsFile = sizeof(Handle);
    vfs_.zName = "fault-disk";
    vfs_.pAppData = this;
    vfs_.xOpen = Methods::open;
    vfs_.xDelete = Methods::remove;
    vfs_.xAccess = Methods::access;
    vfs_.xFullPathname = Methods::full_path;
    sqlite3_vfs_register(&vfs_, 1);
}

FaultDisk::~FaultDisk() {
    sqlite3_vfs_unregister(&vfs_);
    sqlite3_vfs_register(before_, 1);
}

}  // namespace test
