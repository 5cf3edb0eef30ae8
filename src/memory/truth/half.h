#pragma once
// Embeddings as they are kept: 16-bit floats, half the bytes of what models give and far finer than
// what distances between texts mean.

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace memory::truth {

/// IEEE binary16, little endian, rounded to the nearest even. Pre: finite, at most 65504.
std::string to_half(std::span<const float> numbers);
/// Pre: an even number of bytes.
std::vector<float> from_half(std::string_view bytes);

}  // namespace memory::truth
