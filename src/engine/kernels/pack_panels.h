#pragma once
// The part of packing (packed.h) that vector instructions do.

#include <cstddef>
#include <cstdint>

#include "engine/tensor/tensor_type.h"

namespace engine {

/// Writes the codes of 16 whole rows into a packed panel: its sections `low` and `high`, or all of
/// it for float types.
///   rows: 16 rows as stored;  blocks: stored blocks per row; for floats 16 bytes are one.
using PanelPacker = void (*)(const std::uint8_t* const* rows, std::size_t blocks,
                             std::uint8_t* panel);

/// The fast one of this machine; null where there are no vector instructions we know.
PanelPacker panel_packer(TensorType type);

}  // namespace engine
