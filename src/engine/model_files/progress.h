#pragma once
// How long-running file work reports and is stopped.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/tensor/tensor_type.h"

namespace engine {

struct ModelFileProgress {
    std::string_view tensor;  ///< being written
    std::uint64_t tensors_done = 0, tensors_total = 0;
    std::uint64_t bytes_done = 0, bytes_total = 0;  ///< of the output's tensor data
};

/// Called on the caller's thread, once per tensor and once at the end. False stops the work with
/// `cancelled`. May be empty.
using ModelFileProgressFn = std::function<bool(const ModelFileProgress&)>;

/// A tensor that could not have the type asked for, and the one it got.
struct TypeFallback {
    std::string tensor;
    TensorType type = TensorType::f32;
};

struct ModelFileReport {
    std::string architecture;
    std::uint64_t tensors = 0;
    std::uint64_t bytes_in = 0, bytes_out = 0;
    std::vector<TypeFallback> fallbacks;
};

}  // namespace engine
