#pragma once
// The common half of conversion and re-quantisation: tensors whose rows can be had as floats, and
// one loop that encodes them in parallel and writes them in order.

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "engine/model_files/gguf_writer.h"
#include "engine/model_files/progress.h"

namespace engine {

struct PlannedTensor {
    std::string name;
    TensorType type = TensorType::f32;  ///< in the output
    std::array<std::uint64_t, 4> dims{1, 1, 1, 1};
    /// Fills out[rows * dims[0]] with rows [first, first + rows). Called from many threads.
    std::function<void(std::uint64_t first, std::uint64_t rows, float* out)> read_rows;
    /// When not empty, the output's bytes as they are: nothing is decoded.
    std::span<const std::byte> stored;

    std::uint64_t rows() const { return dims[1] * dims[2] * dims[3]; }
};

/// Declares the tensors, writes the header and all data, and commits. Errors: data_loss (a value is
/// not finite: names tensor and row), cancelled, and those of the writer.
base::Result<void> write_planned(GgufWriter& writer, std::span<const PlannedTensor> tensors,
                                 const ModelFileProgressFn& progress, std::uint32_t threads);

}  // namespace engine
