#pragma once
// profile.h over a truth's stores.

#include <memory>

#include "base/core/clock.h"
#include "memory/profile/profile.h"
#include "memory/truth/truth.h"

namespace memory::profile {

/// Makes the tables where they are missing. Errors: the store's.
base::Result<std::unique_ptr<Profiles>> make_profiles(truth::Truth& truth,
                                                      const base::Clock& clock);

}  // namespace memory::profile
