#pragma once
// What one task of attention works on, in plain types: the kernels of every instruction set and the
// code that cuts the work share it.

#include <cstddef>

#include "engine/kernels/kernels.h"

namespace engine {

constexpr std::size_t kBlockTokens = 64;
constexpr std::size_t kRunTokens = 128;  ///< a multiple of kBlockTokens
constexpr std::size_t kTileRowsMax = 16;
constexpr std::size_t kTileQueries = 64;  ///< aimed at; more when one KV head serves more heads

/// Where a tile's keys and values are: a paged F16 cache, or dense float arrays.
struct KvSource {
    const KvLayerView* paged = nullptr;
    const float* dense_k = nullptr;
    const float* dense_v = nullptr;
    std::size_t token_stride = 0;  ///< values from one token to the next
    std::size_t offset = 0;        ///< of the KV head within a token
};

/// Query rows [first_row, first_row + rows) times `group` heads from `first_head` on.
struct AttentionTile {
    KvSource kv;
    const float* q = nullptr;  ///< of row 0, all heads
    std::size_t q_stride = 0;
    std::size_t head_dim = 0;
    std::size_t first_head = 0, group = 0;
    std::size_t rows = 0;
    std::size_t begin[kTileRowsMax] = {};  ///< each row attends to tokens [begin, end)
    std::size_t end[kTileRowsMax] = {};
    float scale = 0, soft_cap = 0;

    std::size_t queries() const { return rows * group; }
};

/// Sums of one tile over some tokens, relative to each query's highest score.
struct Partial {
    float* highest;  ///< [queries]
    float* total;    ///< [queries]: sum of exp(score - highest); 0 while nothing was seen
    float* out;      ///< [queries, padded_dim]: sum of exp(score - highest) * v
};

/// Head dimension rounded up to whole vectors on every target.
inline std::size_t padded(std::size_t dim) {
    return (dim + 15) / 16 * 16;
}
inline std::size_t partial_floats(std::size_t queries, std::size_t dim) {
    return (queries + 15) / 16 * 32 + queries * padded(dim);
}
inline Partial partial_at(float* memory, std::size_t queries) {
    const std::size_t room = (queries + 15) / 16 * 16;
    return {memory, memory + room, memory + 2 * room};
}
/// Keys transposed, one widened block, scaled queries, scores.
inline std::size_t scratch_floats(std::size_t queries, std::size_t dim) {
    return 2 * kBlockTokens * padded(dim) + queries * padded(dim) + queries * kBlockTokens;
}

}  // namespace engine
