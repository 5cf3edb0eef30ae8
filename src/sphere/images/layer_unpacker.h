#pragma once
// One layer of an image on top of what is there: a tar whose names may go through links that lower
// layers made, and whose whiteouts take away what lower layers have.

#include <cstdint>

#include "base/core/result.h"
#include "sphere/files/archive.h"
#include "sphere/images/image_spec.h"

namespace sphere::images {

/// How much of an image is taken, over all its layers.
struct ImageLimits {
    std::uint64_t bytes_max = 16ull << 30;
    std::uint64_t entries_max = 2'000'000;
    std::uint32_t ratio_max = 1000;  ///< unpacked over packed, of a layer
};

struct UnpackedSize {
    std::uint64_t bytes = 0, entries = 0;
    std::uint64_t dropped = 0;  ///< devices, FIFOs and sockets, which a box has no use for
};

/// Unpacks `layer` into the folder `root`, resolving every name in it as a box would. Checks digest
/// and size of the whole file; what was unpacked of a wrong one must be thrown away. Set-id bits,
/// owners, extended attributes (file capabilities) and devices are not taken over; permissions are
/// widened so that a box's one user may read and run what the owner may. `size` is added to.
/// Errors: invalid_argument naming the entry or the digest, payload_too_large naming the limit.
base::Result<void> unpack_layer(const LayerFile& layer, int root, bool lowest,
                                const ImageLimits& limits, UnpackedSize& size);

}  // namespace sphere::images
