#pragma once
// Whether a waiting request may join the running ones now. Looks, changes nothing.

#include <cstdint>
#include <memory>
#include <span>

#include "base/core/clock.h"
#include "engine/batch/generation.h"
#include "engine/batch/output_forecast.h"
#include "engine/batch/step_cost.h"
#include "engine/kv/prefix_cache.h"

namespace engine {

using Generations = std::span<const std::unique_ptr<Generation>>;

enum class Verdict {
    ready,
    no_pages,          ///< running requests are expected to need them
    prefix_is_coming,  ///< a running request computes what this one begins with
    too_late,          ///< its prompt cannot be read before its deadline, however fast
};

class Admission {
public:
    /// All references must outlive this.
    Admission(const KvPool& pool, const PrefixCache& cache, const OutputForecast& forecast,
              const StepCost& cost)
        : pool_(pool), cache_(cache), forecast_(forecast), cost_(cost) {}

    /// Notes in `generation` whose prefix it waits for, so that asking again is cheap.
    /// `pages_shared`: other work holds pages and will give them back.
    Verdict consider(Generation& generation, Generations running, bool pages_shared,
                     base::Instant now) const;
    /// Pages that the running ones are expected to need beyond those they hold.
    std::uint32_t pages_promised(Generations running) const;
    /// Pages that `generation` is expected to hold at its end.
    std::uint32_t pages_expected(const Generation& generation) const;

private:
    bool too_late(const Generation& generation, std::uint32_t rows, base::Instant now) const;

    const KvPool& pool_;
    const PrefixCache& cache_;
    const OutputForecast& forecast_;
    const StepCost& cost_;
};

}  // namespace engine
