#pragma once
// What a converter makes of a published model before anything is written: metadata goes straight
// into the writer, tensors become a list with their final names and values, types undecided.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "engine/model_files/convert.h"
#include "engine/model_files/gguf_writer.h"
#include "engine/model_files/safetensors.h"

namespace engine {

struct SourceTensor {
    std::string name;  ///< as in the GGUF
    std::array<std::uint64_t, 4> dims{1, 1, 1, 1};
    /// Fills out[rows * dims[0]]. Thread-safe; refers to the Safetensors it came from.
    std::function<void(std::uint64_t first, std::uint64_t rows, float* out)> read_rows;
};

struct SourceModel {
    std::string architecture;
    std::uint32_t layers = 0;
    std::vector<SourceTensor> tensors;           ///< in output order
    std::shared_ptr<const Safetensors> weights;  ///< what read_rows refers to
};

/// Where the parts of a published model are.
struct SourcePlace {
    std::string folder;
    std::string onnx;  ///< the weights when they are an ONNX file; else empty

    /// tokenizer.json, or FILE-tokenizer.json beside FILE.onnx; empty: neither.
    std::string tokenizer_json() const;
    /// What the model is called by its files.
    std::string name() const;
};
/// Errors: not_found (no folder, no file, several ONNX files), invalid_argument (a file that is
/// no ONNX).
base::Result<SourcePlace> find_source(const std::string& path);

/// dims of a PyTorch shape: reversed, at most 4. Errors: unimplemented (more).
base::Result<std::array<std::uint64_t, 4>> gguf_dims(const SafeTensor& tensor);

/// A tensor as it is, under a new name. Errors: unimplemented (dtype that is not a float: named).
base::Result<SourceTensor> plain_tensor(const SafeTensor& tensor, std::string name);

/// Sets all keys on `writer`. Errors: those of convert_model.
base::Result<SourceModel> load_hf_model(const SourcePlace& place, const ConvertOptions& options,
                                        GgufWriter& writer);
base::Result<SourceModel> load_use_lite_model(const std::string& folder, GgufWriter& writer);

}  // namespace engine
