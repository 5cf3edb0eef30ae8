#pragma once
// Where a sequence's KV goes while it waits for pages. A port of the KV plane's: a file implements
// it (spill_file.h), a tier of elastic memory can. What cannot be stored or does not come back
// whole is computed again by the caller, so nothing here has to be durable.

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/core/result.h"

namespace engine {

struct SpillId {
    std::uint64_t value = 0;
    auto operator<=>(const SpillId&) const = default;
};

class KvSpill {
public:
    virtual ~KvSpill() = default;

    /// Stores the parts one after another. Errors: resource_exhausted (says bytes needed and left),
    /// unavailable (the device).
    virtual base::Result<SpillId> save(std::span<const std::span<const std::byte>> parts) = 0;
    /// Fills parts of the same sizes as were saved. Errors: not_found, data_loss (the bytes are not
    /// those that were saved), unavailable. What was filled before an error is of no use.
    virtual base::Result<void> load(SpillId id, std::span<const std::span<std::byte>> parts) = 0;
    /// Forgets it; unknown ids are ignored.
    virtual void drop(SpillId id) = 0;

    virtual std::uint64_t bytes_total() const = 0;  ///< stored now
    virtual std::uint64_t bytes_max() const = 0;
};

}  // namespace engine
