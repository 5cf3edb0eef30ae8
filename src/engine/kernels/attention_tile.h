#pragma once
// What one task of attention works on, in plain types: the kernels of every instruction set and the
// code that cuts the work share it.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/kernels/kernels.h"
#include "engine/kernels/kv_layout.h"
#include "engine/kernels/page_rotations.h"

namespace engine {

constexpr std::size_t kBlockTokens = 64;  ///< softmaxed together: whole pages, at least one
constexpr std::size_t kRunTokens = 256;   ///< summed on their own: whole blocks, at least one
constexpr std::size_t kTileRowsMax = 32;
constexpr std::size_t kTileQueries = 64;  ///< aimed at; more when one KV head serves more heads

/// One KV head of a sequence's pages. `wide` pages hold floats in the layout of 16-bit types.
struct PagedHead {
    const std::byte* const* k_pages = nullptr;
    const std::byte* const* v_pages = nullptr;
    std::size_t pages = 0;
    std::size_t offset = 0;  ///< bytes from a plane's begin to the head
    KvLayout layout;
    bool wide = false;
    bool bf16_dot = false;  ///< this machine multiplies BF16 pairs in one instruction
};

/// Query rows times the `group` heads, from `first_head` on, that read one KV head.
struct AttentionTile {
    PagedHead kv;
    const PageRotations* rotations = nullptr;
    const float* q = nullptr;  ///< of row 0, all heads
    std::size_t q_stride = 0;
    std::size_t first_head = 0, group = 0;
    std::size_t rows = 0;
    std::size_t begin[kTileRowsMax] = {};  ///< each row attends to tokens [begin, end)
    std::size_t end[kTileRowsMax] = {};
    float scale = 0;     ///< of scores, in powers of two: log2(e) folded in
    float soft_cap = 0;  ///< likewise

    // Worked out by prepare() from the above: divisions have no place between pages.
    std::size_t queries = 0;
    std::size_t width = 0;                    ///< padded dims of a head
    std::size_t page_width = 0;               ///< scores of a page for one query, on whole vectors
    std::size_t block_pages = 0;              ///< pages softmaxed together
    std::size_t block_width = 0;              ///< scores of a block for one query
    std::size_t run_blocks = 0;               ///< blocks summed on their own
    std::size_t own_page[kTileRowsMax] = {};  ///< that each row's last token is in

    void prepare() {
        queries = rows * group;
        width = kv.layout.padded_dim();
        page_width = kv.layout.padded_tokens();
        block_pages = std::max<std::size_t>(1, kBlockTokens / kv.layout.tokens);
        block_width = block_pages * page_width;
        run_blocks = std::max<std::size_t>(1, kRunTokens / (block_pages * kv.layout.tokens));
        for (std::size_t row = 0; row < rows; ++row) {
            own_page[row] = (end[row] - 1) / kv.layout.tokens;
        }
    }
};

/// Sums of one tile over some tokens, relative to each query's highest score.
struct Partial {
    float* highest;  ///< [queries], in powers of two
    float* total;    ///< [queries]: sum of 2^(score - highest); 0 while nothing was seen
    float* out;      ///< [queries, width]: sum of 2^(score - highest) * v
};

inline std::size_t on_lines(std::size_t floats) {
    return KvLayout::round_up(floats, 16);
}
inline std::size_t partial_floats(const AttentionTile& tile) {
    return on_lines(tile.queries) * 2 + tile.queries * tile.width;
}
inline Partial partial_at(float* memory, const AttentionTile& tile) {
    const std::size_t room = on_lines(tile.queries);
    return {memory, memory + room, memory + 2 * room};
}

/// What a task writes besides sums.
struct TileScratch {
    float* queries;  ///< [queries][width], times scale
    float* turned;   ///< likewise, rotated for the page at hand; `queries` where nothing rotates
    float* scores;   ///< [queries][block_width]
    float* totals;   ///< [queries][16]: sums of weights in this run, lane by lane
    float* keys;     ///< one page's, widened: [dim][padded_tokens]
    float* values;   ///< one page's, widened: [tokens][width]
    std::uint16_t* q16;        ///< turned, as BF16: [queries][width]
    std::uint16_t* weights16;  ///< a page's scores, softened, as BF16: [queries][page_width]
    std::int8_t* q8;           ///< turned, quantised: [queries][width]
    float* q8_scale;           ///< [queries][scale_blocks]
    std::int32_t* q8_bias;     ///< [queries][scale_blocks]: -128 * sum of q8
};

/// Cuts `memory` up; returns the floats it takes. Null memory: only counts.
inline std::size_t cut_scratch(const AttentionTile& tile, float* memory, TileScratch* s) {
    const std::size_t values = tile.queries * tile.width;
    const std::size_t page = tile.page_width * tile.width;
    const std::size_t blocks = tile.queries * tile.kv.layout.scale_blocks();
    std::size_t used = 0;
    const auto take = [&](std::size_t floats) {
        float* at = memory == nullptr ? nullptr : memory + used;
        used += on_lines(floats);
        return at;
    };
    TileScratch cut{};
    cut.queries = take(values);
    cut.turned = tile.rotations == nullptr ? cut.queries : take(values);
    cut.scores = take(tile.queries * tile.block_width);
    cut.totals = take(tile.queries * 16);
    cut.keys = take(page);
    cut.values = take(page);
    if (tile.kv.layout.pairs()) {
        cut.q16 = reinterpret_cast<std::uint16_t*>(take(values / 2));
        cut.weights16 = reinterpret_cast<std::uint16_t*>(take(tile.queries * tile.page_width / 2));
    }
    if (tile.kv.layout.bytes()) {
        cut.q8 = reinterpret_cast<std::int8_t*>(take(values / 4));
        cut.q8_scale = take(blocks);
        cut.q8_bias = reinterpret_cast<std::int32_t*>(take(blocks));
    }
    if (s != nullptr) *s = cut;
    return used;
}

}  // namespace engine
