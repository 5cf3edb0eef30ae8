#pragma once
// The quantised form of activation rows that every quantised weight type is multiplied with.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <hwy/aligned_allocator.h>

#include "engine/kernels/kernels.h"

namespace engine {

/// Blocks of 32 values along a row share one scale: x ~ scale * q, q in [-127, 127]. Structure of
/// arrays, so that kernels stream each part. A block of zeros (or of values under 1e-30) has scale
/// 0; one with NaN or infinity has scale NaN, so that products stay NaN.
struct QuantizedRows {
    static constexpr std::size_t kBlock = 32;

    const std::int8_t* q = nullptr;       ///< [rows, cols]
    const float* scale = nullptr;         ///< [rows, cols / 32]
    const float* scaled_sum = nullptr;    ///< [rows, cols / 32]: scale * sum of q
    const std::int32_t* sum32 = nullptr;  ///< [rows, cols / 32]: sum of q
    const std::int32_t* sum16 = nullptr;  ///< [rows, cols / 16]: sum of q by halves of a block
    std::size_t cols = 0;

    std::size_t blocks() const { return cols / kBlock; }
};

/// Writable arrays of the same shapes.
struct QuantizedRowsOut {
    std::int8_t* q;
    float* scale;
    float* scaled_sum;
    std::int32_t* sum32;
    std::int32_t* sum16;
};

/// A growing, cache-line aligned buffer that keeps its memory.
class AlignedBuffer {
public:
    std::byte* reserve(std::size_t bytes) {
        if (bytes > bytes_) {
            data_ = hwy::AllocateAligned<std::byte>(bytes);
            bytes_ = bytes;
        }
        return data_.get();
    }

private:
    hwy::AlignedFreeUniquePtr<std::byte[]> data_;
    std::size_t bytes_ = 0;
};

struct ProductPlan;

struct Activations::Impl {
    const float* x = nullptr;  ///< null until made when the rows are those of `source`
    std::size_t rows = 0, cols = 0;
    Impl* source = nullptr;  ///< null: x is the caller's
    std::span<const std::uint32_t> source_rows;
    bool quantized = false;  ///< quantized_rows belongs to x
    QuantizedRows quantized_rows;
    AlignedBuffer forms, gathered;
    /// One per pool worker: unpacked weights and sums of the product at hand.
    std::vector<AlignedBuffer> scratch;
    std::vector<ProductPlan> plans;  ///< of the call at hand
};

/// The quantised form of x, made now unless it is there. Pre: cols is a multiple of 32.
const QuantizedRows& quantized_form(base::ThreadPool& pool, Activations::Impl& x);
/// The rows as floats, [rows, cols]; gathered now unless they are.
const float* float_form(base::ThreadPool& pool, Activations::Impl& x);

}  // namespace engine
