#pragma once
// Whether a model fits, decided by arithmetic before any memory is taken.

#include <cstdint>
#include <span>
#include <string_view>

#include "base/core/result.h"
#include "engine/engine.h"
#include "engine/graph/model.h"

namespace engine {

/// What may be taken, in bytes; 0: not known or no limit.
struct MemoryBudget {
    std::uint64_t total = 0;  ///< weights, scratch and KV together
    std::uint64_t kv = 0;     ///< 0: a quarter of the total
};

/// The numbers of a model before it is loaded. `running_max` sequences may run in it.
MemoryNeed memory_need(Model& model, const GgufFile& file, const EngineOptions& options,
                       const MemoryBudget& budget);

/// The KV pages to take: as many as are useful, within the budget. 0 for encoders. Errors:
/// resource_exhausted (what is needed, what there is, what to change).
base::Result<std::uint32_t> plan_kv_pages(std::string_view model, const MemoryNeed& need,
                                          const MemoryBudget& budget);

}  // namespace engine
