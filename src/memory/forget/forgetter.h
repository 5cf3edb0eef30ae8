#pragma once
// Hides at once, then erases in the background: what is open is in the tables, so that a process
// that starts again goes on where the last one stopped.

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/core/clock.h"
#include "memory/forget/forget.h"
#include "memory/truth/session_truth.h"
#include "memory/truth/truth.h"

namespace memory::forget {

/// What other parts of the store must do. Called on any thread, under no lock.
struct Hooks {
    std::function<void(std::string_view tenant, std::span<const truth::Change>)> hear;
    /// Indexes that heard of it leave no trace of it.
    std::function<void(std::string_view tenant)> purge_index;
    std::function<void(std::string_view tenant)> reload_facts;
};

/// Makes the tables where they are missing. `sessions`: where short-term entries are kept apart;
/// null: with the others. Errors: the store's.
base::Result<std::unique_ptr<Forgetting>> make_forgetting(truth::Truth& truth,
                                                          truth::SessionTruth* sessions,
                                                          Hooks hooks, const base::Clock& clock,
                                                          std::int64_t deadline_ms);

}  // namespace memory::forget
