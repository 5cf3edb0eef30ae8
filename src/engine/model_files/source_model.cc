#include "engine/model_files/source_model.h"

#include <algorithm>

namespace engine {

using base::Code;
using base::fail;
using base::Result;

Result<std::array<std::uint64_t, 4>> gguf_dims(const SafeTensor& tensor) {
    std::array<std::uint64_t, 4> dims{1, 1, 1, 1};
    if (tensor.shape.size() > dims.size()) {
        return fail(Code::unimplemented, "tensor {} has {} dimensions; at most 4 can be stored",
                    tensor.name, tensor.shape.size());
    }
    std::ranges::reverse_copy(tensor.shape, dims.begin());
    if (tensor.elements() == 0) return fail(Code::data_loss, "tensor {} is empty", tensor.name);
    return dims;
}

Result<SourceTensor> plain_tensor(const SafeTensor& tensor, std::string name) {
    if (tensor.type == SafeType::other) {
        return fail(Code::unimplemented,
                    "tensor {} has dtype {}; F32, F16 and BF16 weights can be converted",
                    tensor.name, tensor.type_name);
    }
    SourceTensor out;
    out.name = std::move(name);
    out.dims = DG_TRY(gguf_dims(tensor));
    const std::uint64_t columns = out.dims[0];
    out.read_rows = [&tensor, columns](std::uint64_t first, std::uint64_t rows, float* values) {
        read_values(tensor, first * columns, rows * columns, values);
    };
    return out;
}

}  // namespace engine
