#pragma once
// What a pass of a decoder takes.

#include <cstdint>

namespace engine {

class KvSequence;

/// One token to compute. Rows of a sequence come in order of position; everything before a row's
/// position is in `kv` already or earlier in the same call.
struct BatchRow {
    std::int32_t token = 0;
    const KvSequence* kv = nullptr;  ///< capacity_tokens() > position
    std::uint32_t position = 0;
    bool wants_output = false;
};

}  // namespace engine
