#pragma once
// The port to whatever turns text into vectors. Owned by memory; app adapts the engine's encoders
// and /v1/embeddings endpoints to it, memory/embed has the last resort.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace memory {

enum class EmbedSide : std::uint8_t { document, query };

class Embedder {
public:
    virtual ~Embedder() = default;
    /// Model and preprocessing: vectors of different ids are never compared.
    virtual const std::string& id() const = 0;
    virtual std::uint32_t dims() const = 0;
    /// out: [texts, dims] f32, each row of length 1 (0 for a text with nothing in it). Thread-safe.
    /// Errors: unavailable (retry), invalid_argument.
    virtual base::Result<void> embed(std::span<const std::string_view> texts, EmbedSide side,
                                     std::span<float> out) = 0;
};

/// Whether `numbers` are what the vectors of `texts` take. Errors: invalid_argument.
base::Result<void> check_room(const Embedder& embedder, std::size_t texts, std::size_t numbers);

}  // namespace memory
