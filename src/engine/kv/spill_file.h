#pragma once
// KV spilled to a file that has no name: whatever happens to the process, the disk space comes
// back.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "engine/kv/kv_spill.h"

namespace engine {

/// Owned by one thread.
class SpillFile final : public KvSpill {
public:
    /// A file without a name in `folder`. Errors: those of the system, naming the folder.
    static base::Result<std::unique_ptr<SpillFile>> create(const std::string& folder,
                                                           std::uint64_t bytes_max);
    /// Over a file that is open already; `name` is used in errors.
    SpillFile(base::UniqueFd file, std::string name, std::uint64_t bytes_max);

    base::Result<SpillId> save(std::span<const std::span<const std::byte>> parts) override;
    base::Result<void> load(SpillId id, std::span<const std::span<std::byte>> parts) override;
    void drop(SpillId id) override;
    std::uint64_t bytes_total() const override { return bytes_total_; }
    std::uint64_t bytes_max() const override { return bytes_max_; }

private:
    struct Entry {
        std::uint64_t offset = 0;
        std::uint64_t bytes = 0;   ///< as saved
        std::uint64_t extent = 0;  ///< taken of the file: whole blocks
        std::uint64_t checksum = 0;
    };
    std::optional<std::uint64_t> place(std::uint64_t extent);
    void free_extent(std::uint64_t offset, std::uint64_t extent);

    base::UniqueFd file_;
    std::string name_;
    std::uint64_t bytes_max_;
    std::uint64_t bytes_total_ = 0;
    std::uint64_t end_ = 0;                         ///< of the used part of the file
    std::map<std::uint64_t, std::uint64_t> holes_;  ///< offset to size; no two touch
    std::map<SpillId, Entry> entries_;
    std::uint64_t ids_ = 0;
};

}  // namespace engine
