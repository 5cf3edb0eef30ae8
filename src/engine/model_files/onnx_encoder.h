#pragma once
// The weights of a BERT encoder in an ONNX file, under the names its authors gave them. Exporters
// keep the names of biases and tables but turn matrices and give them numbers; what a matrix is
// follows from the bias that is added to its product. Weights in 8 bits become floats.

#include <cstdint>
#include <memory>
#include <string>

#include "base/core/result.h"
#include "base/json/json.h"
#include "engine/model_files/safetensors.h"

namespace engine {

struct OnnxEncoder {
    std::shared_ptr<const Safetensors> weights;  ///< F32, [out, in] as PyTorch has them
    base::json::object config;                   ///< what config.json says of a BERT
};

/// Errors: those of OnnxGraph::open; unimplemented (a fused operator, another activation, a weight
/// that is not found: named, with what to do).
base::Result<OnnxEncoder> read_onnx_encoder(const std::string& path);

}  // namespace engine
