#pragma once
// A second form of quantised weights, about as large as the stored one, that products read straight
// into the dot product: 16 rows interleaved, so that nothing is transposed. Results are the same
// bit for bit. It does not depend on the instruction set, so it can be kept in a file.

#include <cstddef>

#include "engine/kernels/packed_layout.h"
#include "engine/tensor/tensor_view.h"

namespace base {
class ThreadPool;
}

namespace engine {

constexpr std::size_t kPackedAlignment = 64;

/// Bytes of w's packed form; 0 when its type has none or this machine would not read it.
std::size_t packed_bytes(const TensorView& w);

/// Writes the packed form of w. A view whose `packed` points to it is multiplied from there.
///   out: packed_bytes(w) > 0, aligned to kPackedAlignment.
void pack(base::ThreadPool& pool, const TensorView& w, std::byte* out);
/// The same bytes by plain loops: the referee.
void pack_plainly(base::ThreadPool& pool, const TensorView& w, std::byte* out);

}  // namespace engine
