#pragma once
// Re-quantises a GGUF model file.

#include <string>

#include "base/core/result.h"
#include "engine/model_files/file_type.h"
#include "engine/model_files/progress.h"

namespace engine {

/// Writes the model in `input` (of shards: the first one) to the one file `output` with weights as
/// `type` says (type_for_tensor); metadata is kept, `general.file_type` and
/// `general.quantization_version` are set. `output` appears whole or not at all. threads: 0 = one
/// per core. Quantising what is already quantised is allowed and adds both errors. Errors:
/// not_found and data_loss of `input`, data_loss (a weight is NaN or infinite: names the tensor and
/// row), invalid_argument (input and output are one file), cancelled, resource_exhausted (disk
/// full).
base::Result<ModelFileReport> quantize_model(const std::string& input, const std::string& output,
                                             FileType type,
                                             const ModelFileProgressFn& progress = {},
                                             std::uint32_t threads = 0);

}  // namespace engine
