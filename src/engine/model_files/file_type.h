#pragma once
// What a whole model file is quantised to: a type for most weights and, for the `_M` mixes, a
// better one where it pays. Names are the field's: F16, Q8_0, Q4_0, Q4_K_M, Q5_K_S, ...

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/tensor/tensor_view.h"

namespace engine {

struct FileType {
    TensorType type = TensorType::f16;  ///< of most matrices
    /// Gives the value and feed-forward-down matrices of about half of the layers more bits: there
    /// quantisation error costs most.
    bool medium = false;

    bool operator==(const FileType&) const = default;
};

/// Any case. `Q3_K`, `Q4_K` and `Q5_K` alone mean their `_M` mix.
std::optional<FileType> file_type_from_name(std::string_view name);
std::string file_type_name(FileType type);
/// "F32, F16, BF16, Q8_0, ..., Q6_K", for messages and help.
std::string file_type_names();

/// Its number in `general.file_type`, as llama.cpp counts them.
std::uint32_t file_type_number(FileType type);

/// Where a tensor stands in its model; decides its type.
struct TensorPlace {
    std::uint32_t layers = 0;
    bool tied_output = false;  ///< there is no output.weight: token_embd.weight does its work
};

struct TypeChoice {
    TensorType type = TensorType::f32;
    bool fallback = false;  ///< rows are not whole blocks of the type that was wanted
};

/// The type `tensor` gets in a file of `type`. Vectors, norms and position tables stay F32. The
/// output matrix gets Q6_K in files of at most 5 bits. Where rows are not whole blocks the nearest
/// type that fits is taken: Q2_K and Q3_K fall back to Q4_0, Q4_K to Q5_0, Q5_K and Q6_K to Q8_0,
/// and what has no whole blocks of 32 to F16.
TypeChoice type_for_tensor(FileType type, const TensorView& tensor, const TensorPlace& place);

}  // namespace engine
