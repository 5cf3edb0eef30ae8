#pragma once
// Values of an ONNX graph that depend on no input: initializers and what is made of them by
// scaling, casting or turning.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "engine/model_files/onnx_graph.h"

namespace engine {

struct OnnxConstant {
    std::vector<std::uint64_t> dims;
    std::vector<float> values;

    std::uint64_t rows() const { return dims.size() == 2 ? dims[0] : 1; }
    std::uint64_t columns() const { return dims.empty() ? 1 : dims.back(); }
};

/// Is `value` one? Nothing is computed.
bool is_constant(const OnnxGraph& graph, std::string_view value);

/// Nothing when it depends on an input or an operator that is not folded here. Errors: those of
/// OnnxTensor::floats; data_loss (shapes that do not fit).
base::Result<std::optional<OnnxConstant>> constant_of(const OnnxGraph& graph,
                                                      std::string_view value);

/// (quantized - zero_point) * scale, both of one value or one for each index of `axis`; an empty
/// zero_point is 0. Errors: as above.
base::Result<OnnxConstant> dequantized(const OnnxGraph& graph, std::string_view quantized,
                                       std::string_view scale, std::string_view zero_point,
                                       std::size_t axis);

/// Columns become rows. Pre: two dimensions.
OnnxConstant turned(const OnnxConstant& matrix);

/// The elements of a shape: each known or not.
std::vector<std::optional<std::int64_t>> shape_elements(const OnnxGraph& graph,
                                                        std::string_view value);

}  // namespace engine
