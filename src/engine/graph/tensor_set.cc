#include "engine/graph/tensor_set.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/core/check.h"
#include "engine/kernels/kernels.h"

namespace engine {
namespace {

bool has_dims(const TensorView& tensor, std::span<const std::uint64_t> dims) {
    for (std::size_t i = 0; i < tensor.dims.size(); ++i) {
        if (tensor.dims[i] != (i < dims.size() ? dims[i] : 1)) return false;
    }
    return true;
}

bool aligned_for_float(const std::byte* data) {
    return reinterpret_cast<std::uintptr_t>(data) % alignof(float) == 0;
}

}  // namespace

TensorSet::TensorSet(std::span<const TensorView> tensors) {
    for (const TensorView& tensor : tensors) by_name_.emplace(tensor.name, &tensor);
}

bool TensorSet::has(std::string_view name) const {
    return by_name_.contains(name);
}

const TensorView* TensorSet::find(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
}

base::Result<TensorView> TensorSet::matrix(const std::string& name,
                                           std::initializer_list<std::uint64_t> dims) {
    const TensorView* tensor = find(name);
    if (tensor == nullptr) {
        return base::fail_on(name, base::Code::data_loss,
                             "tensor {} is missing; expected dims [{}]; fetch the model again or "
                             "convert it again",
                             name, fmt::join(dims, ", "));
    }
    if (!has_dims(*tensor, {dims.begin(), dims.size()})) {
        return base::fail_on(name, base::Code::data_loss,
                             "tensor {} has dims [{}]; expected [{}] from the file's own keys",
                             name, fmt::join(tensor->dims, ", "), fmt::join(dims, ", "));
    }
    used_.insert(name);
    return *tensor;
}

base::Result<const float*> TensorSet::vector(const std::string& name, std::uint64_t count) {
    const TensorView tensor = DG_TRY(matrix(name, {count}));
    if (tensor.type == TensorType::f32 && aligned_for_float(tensor.data)) {
        return reinterpret_cast<const float*>(tensor.data);
    }
    std::vector<float>& values = converted_.emplace_back(count);
    dequantize_row(tensor, 0, values.data());
    return values.data();
}

base::Result<const float*> TensorSet::optional_vector(const std::string& name,
                                                      std::uint64_t count) {
    if (!has(name)) return nullptr;
    return vector(name, count);
}

void TensorSet::ignore(std::string_view name) {
    if (has(name)) used_.emplace(name);
}

base::Result<void> TensorSet::check_all_used(std::string_view architecture) const {
    for (const auto& [name, tensor] : by_name_) {
        if (used_.contains(name)) continue;
        return base::fail_on(name, base::Code::unimplemented,
                             "tensor {} is not part of the {} graph as Dougong knows it; this "
                             "variant is not supported",
                             name, architecture);
    }
    return {};
}

TensorView rows_of(const TensorView& matrix, std::uint64_t first, std::uint64_t count) {
    DG_CHECK(first + count <= matrix.rows());
    TensorView part = matrix;
    part.dims = {matrix.dims[0], count, 1, 1};
    part.packed = nullptr;
    part.data = matrix.data + first * row_bytes(matrix.type, matrix.dims[0]);
    return part;
}

}  // namespace engine
