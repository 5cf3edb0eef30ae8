#pragma once
// Two truths as one: short-term entries in the one, all others in the other. An entry's row, which
// its id holds, says where it is; what it is decides where it goes.

#include <memory>

#include "memory/truth/truth.h"

namespace memory::truth {

/// Where `sessions` is away, its entries are; all others are served as ever. `changes`,
/// `last_change` and the stores are those of `lasting`: who follows both asks both.
std::unique_ptr<Truth> make_tiered(Truth& lasting, Truth& sessions);

}  // namespace memory::truth
