#pragma once
// Tiny models with random weights and the shapes of real families, written as GGUF from a seed, so
// that every architecture can be compared with llama.cpp without shipping weights.

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/model_files/gguf_writer.h"

namespace test {

struct SyntheticTensor {
    std::string name;
    std::vector<std::uint64_t> dims;  ///< contiguous one first
    float mean = 0.f, deviation = 0.f;
};

struct SyntheticModel {
    std::string name;
    std::string architecture;
    std::function<void(engine::GgufWriter&)> keys;  ///< beyond the common ones
    std::vector<SyntheticTensor> tensors;
    std::uint32_t context_tokens = 256;  ///< served, by us and by the reference
    bool encoder = false;
    std::vector<std::int32_t> ids;  ///< evaluated
};

/// Decoders and encoders, one per trait that a graph may get wrong.
std::vector<SyntheticModel> synthetic_models();
/// A BERT cross-encoder with a ranking head of two layers.
SyntheticModel synthetic_ranker();
/// The one of that name.
SyntheticModel synthetic(const std::string& name);
/// Writes `model` to `path`; adds a test failure when that fails.
void write_synthetic(const SyntheticModel& model, const std::string& path);

}  // namespace test
