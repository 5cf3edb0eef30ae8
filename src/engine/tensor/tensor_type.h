#pragma once
// The element types that model files store, with the block geometry that every reader needs.
// Numbers are those of the GGUF file format, so that a file's type field converts by a cast.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace engine {

enum class TensorType : std::uint32_t {
    f32 = 0,
    f16 = 1,
    q4_0 = 2,
    q4_1 = 3,
    q5_0 = 6,
    q5_1 = 7,
    q8_0 = 8,
    q2_k = 10,
    q3_k = 11,
    q4_k = 12,
    q5_k = 13,
    q6_k = 14,
    bf16 = 30,
};

/// `elements` consecutive values of a row are stored together in `bytes` bytes.
struct BlockShape {
    std::uint32_t elements = 1;
    std::uint32_t bytes = 4;
};

/// The type for a file's number, or nothing when we cannot compute with it.
std::optional<TensorType> tensor_type_from_file(std::uint32_t number);
/// The type named as in `Q4_1`, any case.
std::optional<TensorType> tensor_type_from_name(std::string_view name);
/// Upper case, as the field writes it: `Q4_1`, `F16`.
std::string_view tensor_type_name(TensorType type);
BlockShape block_shape(TensorType type);

/// Bytes of one row of `elements` values. Pre: elements is a multiple of the block's.
inline std::size_t row_bytes(TensorType type, std::size_t elements) {
    const BlockShape block = block_shape(type);
    return elements / block.elements * block.bytes;
}

}  // namespace engine
