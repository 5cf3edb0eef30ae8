#pragma once
// A tensor where it lies: a mapped file, usually. Owns nothing.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/tensor/tensor_type.h"

namespace engine {

/// `dims[0]` is the contiguous dimension (the inputs of a weight matrix), as in GGUF; unused ones
/// are 1. A weight matrix [out][in] has dims {in, out, 1, 1}.
struct TensorView {
    std::string name;
    TensorType type = TensorType::f32;
    std::array<std::uint64_t, 4> dims{1, 1, 1, 1};
    const std::byte* data = nullptr;
    /// The same weights in the form that products read fastest (kernels/packed.h); null: none.
    const std::byte* packed = nullptr;

    std::uint64_t elements() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
    std::uint64_t rows() const { return dims[1] * dims[2] * dims[3]; }
    std::size_t bytes() const { return rows() * row_bytes(type, dims[0]); }
};

}  // namespace engine
