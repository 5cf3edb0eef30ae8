#pragma once
// Finds a model's tensors by name and checks their shapes, so that a wrong file is refused with the
// tensor's name before anything is computed.

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "engine/tensor/tensor_view.h"

namespace engine {

class TensorSet {
public:
    /// The views' data must outlive the set.
    explicit TensorSet(std::span<const TensorView> tensors);

    bool has(std::string_view name) const;
    const TensorView* find(std::string_view name) const;
    /// A tensor with exactly these dims (contiguous one first). Errors: data_loss (missing, or
    /// found and expected dims).
    base::Result<TensorView> matrix(const std::string& name,
                                    std::initializer_list<std::uint64_t> dims);
    /// `count` floats; in place when the file stores aligned F32, else converted and kept here.
    base::Result<const float*> vector(const std::string& name, std::uint64_t count);
    /// As vector, or null when the file has no such tensor.
    base::Result<const float*> optional_vector(const std::string& name, std::uint64_t count);
    /// Marks a tensor as known though nothing reads it.
    void ignore(std::string_view name);
    /// Errors: unimplemented, naming a tensor nobody asked for: computing without it would give
    /// wrong answers silently.
    base::Result<void> check_all_used(std::string_view architecture) const;

private:
    std::map<std::string, const TensorView*, std::less<>> by_name_;
    std::set<std::string, std::less<>> used_;
    std::deque<std::vector<float>> converted_;  ///< stable addresses
};

/// Rows [first, first + count) of a matrix as a matrix of its own: fused projections are used as
/// the separate ones they contain.
TensorView rows_of(const TensorView& matrix, std::uint64_t first, std::uint64_t count);

}  // namespace engine
