// Blocked attention with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022).
//
// A tile is some query rows of one sequence times the query heads that share one KV head. Keys and
// values go by in blocks of 64 tokens: keys are widened to float and transposed, so that scores
// have lanes along tokens; values are widened, so that outputs have lanes along the head. That work
// is shared by all queries of the tile.
//
// Blocks start at multiples of 64 and runs of blocks (kRunTokens) are summed on their own and
// merged in order, whoever computed them. So a row's result depends neither on the rows beside it
// nor on how runs were spread over threads.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/attention.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/attention_block-inl.h"
#include "engine/kernels/attention_tile.h"
#include "engine/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

Scratch LayOut(const AttentionTile& tile, float* memory) {
    const std::size_t width = padded(tile.head_dim);
    Scratch s{};
    s.keys = memory;
    s.widened = s.keys + kBlockTokens * width;
    s.queries = s.widened + kBlockTokens * width;
    s.scores = s.queries + tile.queries() * width;
    for (std::size_t row = 0; row < tile.rows; ++row) {
        for (std::size_t g = 0; g < tile.group; ++g) {
            const float* from =
                tile.q + row * tile.q_stride + (tile.first_head + g) * tile.head_dim;
            float* to = s.queries + (row * tile.group + g) * width;
            for (std::size_t k = 0; k < tile.head_dim; ++k) to[k] = from[k] * tile.scale;
        }
    }
    return s;
}

/// sums = the tile over tokens [run * kRunTokens, (run + 1) * kRunTokens) that its rows attend to.
void AttendRun(const AttentionTile& tile, std::size_t run, float* scratch, const Partial& sums) {
    const Scratch s = LayOut(tile, scratch);
    std::fill_n(sums.highest, tile.queries(), -std::numeric_limits<float>::infinity());
    std::fill_n(sums.total, tile.queries(), 0.f);
    std::fill_n(sums.out, tile.queries() * padded(tile.head_dim), 0.f);
    const std::size_t begin = *std::min_element(tile.begin, tile.begin + tile.rows);
    const std::size_t end = *std::max_element(tile.end, tile.end + tile.rows);
    for (std::size_t i = 0; i < kRunTokens; i += kBlockTokens) {
        const std::size_t block = run * kRunTokens + i;
        const std::size_t from = std::max(block, begin);
        const std::size_t to = std::min(block + kBlockTokens, end);
        if (from < to) AttendBlock(tile, block, from, to, s, sums);
    }
}

/// into += from, as if both had been summed together.
void MergePartials(std::size_t queries, std::size_t dim, const Partial& into, const Partial& from) {
    const DA d;
    const std::size_t width = padded(dim);
    for (std::size_t i = 0; i < queries; ++i) {
        if (from.total[i] == 0.f) continue;  // saw no token; NaN is not equal to 0
        const float highest = std::max(into.highest[i], from.highest[i]);
        const float a = into.total[i] == 0.f ? 0.f : ScalarExp(into.highest[i] - highest);
        const float b = ScalarExp(from.highest[i] - highest);
        into.highest[i] = highest;
        into.total[i] = into.total[i] * a + from.total[i] * b;
        for (std::size_t k = i * width; k < (i + 1) * width; k += kAttnLanes) {
            const VA mine = hn::Mul(hn::LoadU(d, into.out + k), hn::Set(d, a));
            hn::StoreU(hn::MulAdd(hn::LoadU(d, from.out + k), hn::Set(d, b), mine), d,
                       into.out + k);
        }
    }
}

/// Divides by the totals and writes rows of `out` ([rows, heads * head_dim]).
void FinishTile(const AttentionTile& tile, const Partial& sums, float* out,
                std::size_t out_stride) {
    const std::size_t width = padded(tile.head_dim);
    for (std::size_t row = 0; row < tile.rows; ++row) {
        for (std::size_t g = 0; g < tile.group; ++g) {
            const std::size_t i = row * tile.group + g;
            float* to = out + row * out_stride + (tile.first_head + g) * tile.head_dim;
            const float inverse = 1.f / sums.total[i];
            for (std::size_t k = 0; k < tile.head_dim; ++k)
                to[k] = sums.out[i * width + k] * inverse;
        }
    }
}

void NarrowRow(const float* from, std::size_t n, std::uint16_t* to) {
    const DA d;
    std::size_t i = 0;
    for (; i + kAttnLanes <= n; i += kAttnLanes) StoreHalves(d, hn::LoadU(d, from + i), to + i);
    if (i < n) {
        float tail[kAttnLanes] = {};
        std::uint16_t narrow[kAttnLanes];
        std::memcpy(tail, from + i, (n - i) * sizeof(float));
        StoreHalves(d, hn::LoadU(d, tail), narrow);
        std::memcpy(to + i, narrow, (n - i) * sizeof(*to));
    }
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {
namespace {

HWY_EXPORT(AttendRun);
HWY_EXPORT(MergePartials);
HWY_EXPORT(FinishTile);
HWY_EXPORT(NarrowRow);

std::size_t tile_begin(const AttentionTile& tile) {
    return *std::min_element(tile.begin, tile.begin + tile.rows);
}
std::size_t tile_end(const AttentionTile& tile) {
    return *std::max_element(tile.end, tile.end + tile.rows);
}
std::size_t first_run(const AttentionTile& tile) {
    return tile_begin(tile) / kRunTokens;
}
std::size_t end_run(const AttentionTile& tile) {
    return (tile_end(tile) - 1) / kRunTokens + 1;
}

/// Tiles, where each one writes, and what all of them need at most.
struct TileList {
    std::vector<AttentionTile> tiles;
    std::vector<float*> out;
    std::size_t out_stride = 0;
    std::size_t queries_max = 0, runs = 0;

    void add(const AttentionTile& tile, float* to) {
        tiles.push_back(tile);
        out.push_back(to);
        queries_max = std::max(queries_max, tile.queries());
        runs += end_run(tile) - first_run(tile);
    }
};

/// Each task sums a whole tile, run by run.
void attend_whole_tiles(base::ThreadPool& pool, const TileList& list, std::size_t dim) {
    const std::size_t partial = partial_floats(list.queries_max, dim);
    const std::size_t scratch = scratch_floats(list.queries_max, dim);
    AlignedBuffer buffer;
    auto* memory = reinterpret_cast<float*>(
        buffer.reserve(pool.threads() * (scratch + 2 * partial) * sizeof(float)));
    pool.run(list.tiles.size(), [&](std::size_t task, std::size_t worker) {
        const AttentionTile& tile = list.tiles[task];
        float* mine = memory + worker * (scratch + 2 * partial);
        const Partial sums = partial_at(mine + scratch, tile.queries());
        const Partial more = partial_at(mine + scratch + partial, tile.queries());
        HWY_DYNAMIC_DISPATCH(AttendRun)(tile, first_run(tile), mine, sums);
        for (std::size_t run = first_run(tile) + 1; run < end_run(tile); ++run) {
            HWY_DYNAMIC_DISPATCH(AttendRun)(tile, run, mine, more);
            HWY_DYNAMIC_DISPATCH(MergePartials)(tile.queries(), dim, sums, more);
        }
        HWY_DYNAMIC_DISPATCH(FinishTile)(tile, sums, list.out[task], list.out_stride);
    });
}

/// Few tiles and long caches: each task sums one run of a tile; runs are merged at the end.
void attend_by_runs(base::ThreadPool& pool, const TileList& list, std::size_t dim) {
    const std::size_t partial = partial_floats(list.queries_max, dim);
    const std::size_t scratch = scratch_floats(list.queries_max, dim);
    AlignedBuffer buffer;
    auto* memory = reinterpret_cast<float*>(
        buffer.reserve((pool.threads() * scratch + list.runs * partial) * sizeof(float)));
    float* partials = memory + pool.threads() * scratch;
    struct Run {
        const AttentionTile* tile;
        std::size_t run;
    };
    std::vector<Run> runs;
    for (const AttentionTile& tile : list.tiles) {
        for (std::size_t r = first_run(tile); r < end_run(tile); ++r) runs.push_back({&tile, r});
    }
    const auto sums_of = [&](std::size_t i) {
        return partial_at(partials + i * partial, runs[i].tile->queries());
    };
    pool.run(runs.size(), [&](std::size_t i, std::size_t worker) {
        HWY_DYNAMIC_DISPATCH(AttendRun)
        (*runs[i].tile, runs[i].run, memory + worker * scratch, sums_of(i));
    });
    std::size_t i = 0;
    for (std::size_t t = 0; t < list.tiles.size(); ++t) {
        const AttentionTile& tile = list.tiles[t];
        const Partial sums = sums_of(i);
        for (++i; i < runs.size() && runs[i].tile == &tile; ++i) {
            HWY_DYNAMIC_DISPATCH(MergePartials)(tile.queries(), dim, sums, sums_of(i));
        }
        HWY_DYNAMIC_DISPATCH(FinishTile)(tile, sums, list.out[t], list.out_stride);
    }
}

void attend(base::ThreadPool& pool, const TileList& list, std::size_t dim) {
    constexpr std::size_t kTilesPerThread = 4;  // enough to share evenly without splitting tiles
    if (list.tiles.empty()) return;
    const bool few = list.tiles.size() < pool.threads() * kTilesPerThread;
    if (pool.threads() > 1 && few && list.runs > list.tiles.size()) {
        return attend_by_runs(pool, list, dim);
    }
    attend_whole_tiles(pool, list, dim);
}

std::size_t rows_per_tile(std::size_t group) {
    return std::clamp<std::size_t>(kTileQueries / group, 1, kTileRowsMax);
}

}  // namespace

void attention(base::ThreadPool& pool, float* out, std::size_t out_stride, const float* q,
               std::size_t q_stride, std::span<const AttentionRow> rows,
               const AttentionShape& shape) {
    DG_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0,
             "kv heads must divide query heads");
    AttentionTile tile;
    tile.q_stride = q_stride;
    tile.head_dim = shape.head_dim;
    tile.group = shape.heads / shape.kv_heads;
    tile.scale = shape.scale;
    tile.soft_cap = shape.soft_cap;
    const std::size_t rows_max = rows_per_tile(tile.group);
    TileList list;
    list.out_stride = out_stride;
    for (std::size_t r = 0; r < rows.size(); r += tile.rows) {
        tile.rows = 0;
        while (tile.rows < rows_max && r + tile.rows < rows.size() &&
               rows[r + tile.rows].kv == rows[r].kv) {
            const AttentionRow& row = rows[r + tile.rows];
            tile.begin[tile.rows] = row.first;
            tile.end[tile.rows] = static_cast<std::size_t>(row.position) + 1;
            ++tile.rows;
        }
        tile.q = q + r * q_stride;
        for (std::size_t h = 0; h < shape.kv_heads; ++h) {
            tile.first_head = h * tile.group;
            tile.kv = {rows[r].kv, nullptr, nullptr,
                       static_cast<std::size_t>(shape.kv_heads) * shape.head_dim,
                       h * shape.head_dim};
            list.add(tile, out + r * out_stride);
        }
    }
    attend(pool, list, shape.head_dim);
}

void attention_full(base::ThreadPool& pool, float* out, const float* q, const float* k,
                    const float* v, std::size_t tokens, std::uint32_t heads, std::uint32_t head_dim,
                    float scale) {
    AttentionTile tile;
    tile.q_stride = static_cast<std::size_t>(heads) * head_dim;
    tile.head_dim = head_dim;
    tile.group = 1;
    tile.scale = scale;
    TileList list;
    list.out_stride = tile.q_stride;
    for (std::size_t r = 0; r < tokens; r += kTileRowsMax) {
        tile.rows = std::min(kTileRowsMax, tokens - r);
        std::fill_n(tile.end, tile.rows, tokens);
        tile.q = q + r * tile.q_stride;
        for (std::size_t h = 0; h < heads; ++h) {
            tile.first_head = h;
            tile.kv = {nullptr, k, v, tile.q_stride, h * head_dim};
            list.add(tile, out + r * tile.q_stride);
        }
    }
    attend(pool, list, head_dim);
}

void kv_store(const KvLayerView& kv, std::uint32_t position, const float* k, const float* v,
              std::size_t kv_dim) {
    const std::size_t page = position / kv.page_tokens;
    const std::size_t offset = position % kv.page_tokens * kv_dim;
    const auto f16 = [](std::byte* plane) { return reinterpret_cast<std::uint16_t*>(plane); };
    HWY_DYNAMIC_DISPATCH(NarrowRow)(k, kv_dim, f16(kv.k_pages[page]) + offset);
    HWY_DYNAMIC_DISPATCH(NarrowRow)(v, kv_dim, f16(kv.v_pages[page]) + offset);
}

std::size_t kv_plane_bytes(KvType type, std::uint32_t page_tokens, std::uint32_t kv_heads,
                           std::uint32_t head_dim) {
    DG_CHECK(type == KvType::f16);
    return std::size_t{page_tokens} * kv_heads * head_dim * sizeof(std::uint16_t);
}

}  // namespace engine
#endif  // HWY_ONCE
