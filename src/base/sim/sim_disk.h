#pragma once
// A disk in memory that fails as disks do, by a seed: what was not synced is lost, kept, torn at
// sectors or reordered when the power goes; writes stop in their middle; syncs fail and lose what
// they were to keep; space runs out.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/rng.h"
#include "base/files/disk.h"

namespace base::sim {

/// Thread-safe. Outlives the files and locks it gave.
class SimDisk final : public Disk {
public:
    /// How often an operation fails that is not asked to otherwise, 0..1.
    struct Faults {
        double write = 0;  ///< writes, reservations, syncs, changes of names: full or broken
        double read = 0;
    };
    /// What of the machine goes on after a stop.
    enum class Stop : std::uint8_t {
        power,   ///< nothing: what was not synced is lost, in any part
        process  ///< the kernel: what was written is there, synced or not
    };

    explicit SimDisk(std::uint64_t seed);
    ~SimDisk() override;

    Result<std::unique_ptr<DiskFile>> open(const std::string& path, Mode mode) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> remove(const std::string& path) override;
    Result<std::vector<std::string>> list(const std::string& dir) override;
    Result<void> make_dir(const std::string& dir) override;
    Result<void> sync_dir(const std::string& dir) override;
    Result<std::unique_ptr<DiskLock>> lock(const std::string& path) override;

    /// Stops in the middle of the `operations`-th change from now; until restart all fails.
    void stop_after(std::uint64_t operations);
    bool stopped() const;
    /// What is found after a stop, which may also come now. Files and locks given before are dead.
    void restart(Stop stop);

    void set_faults(Faults faults);
    /// The `n`-th change from now fails, once; it may have been made in part.
    void fail_nth(std::uint64_t n);
    /// Bytes that fit on the disk; 0: no limit.
    void limit(std::uint64_t bytes);
    /// Changes so far.
    std::uint64_t operations() const;
    std::uint64_t used_bytes() const;

    /// A file as it is read now, and written behind everybody's back, durably. Pre: it exists.
    std::string content(const std::string& path) const;
    void set_content(const std::string& path, std::string_view bytes);

private:
    struct File;
    class Handle;
    class Lock;
    using FilePtr = std::shared_ptr<File>;
    /// A change of names that is not yet durable.
    struct NameChange {
        std::string gone;  // empty: none
        std::string made;  // empty: none
        FilePtr file;      // of `made`
    };

    enum class Outcome : std::uint8_t { made, failed /** now */, stopped /** now */ };
    Outcome next();
    std::unexpected<Error> failure(Outcome outcome, std::string_view what, const std::string& path);
    Result<void> alive(std::string_view what, const std::string& path) const;
    Result<void> change_names(std::string_view what, const std::string& path,
                              std::vector<NameChange> changes);
    Result<void> room_for(const File& file, std::uint64_t bytes, std::string_view what,
                          const std::string& path) const;
    void make_durable(const NameChange& change);

    mutable std::mutex mutex_;  // guards what follows
    Rng rng_;
    std::map<std::string, FilePtr> now_, durable_;
    std::vector<NameChange> unsynced_names_;
    std::set<std::string> locks_;
    Faults faults_;
    std::uint64_t epoch_ = 0, operations_ = 0, stops_at_ = 0, fails_at_ = 0, bytes_max_ = 0;
    bool stopped_ = false;
};

}  // namespace base::sim
