// Blocked attention with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022).
//
// A tile is some query rows of one sequence times the query heads that share one KV head. Pages go
// by in blocks of about 64 tokens; keys have lanes along tokens, values along the head (see
// kv_layout.h), and what is read of a page serves all queries of the tile.
//
// Blocks are whole pages counted from page 0, and runs of blocks (kRunTokens) are summed on their
// own and merged in order, whoever computed them. So a row's result depends neither on the rows
// beside it nor on how runs were spread over threads.

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/attention.cc"
#include "engine/kernels/simd_targets.h"

#include <hwy/foreach_target.h>

#include <hwy/highway.h>

#include <algorithm>
#include <limits>
#include <numbers>
#include <vector>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/activations.h"
#include "engine/kernels/attention_block-inl.h"
#include "engine/kernels/attention_tile.h"
#include "engine/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET == HWY_AVX3_DL
#pragma GCC target("avx512vnni,avx512bf16")  // as in attention_keys-inl.h
#endif
namespace engine::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Copies the tile's queries, scaled, zeros behind a head's dims.
void LoadQueries(const AttentionTile& tile, const TileScratch& s) {
    const std::size_t width = tile.width, dim = tile.kv.layout.dim;
    for (std::size_t row = 0; row < tile.rows; ++row) {
        for (std::size_t g = 0; g < tile.group; ++g) {
            const float* from = tile.q + row * tile.q_stride + (tile.first_head + g) * dim;
            const std::size_t at = (row * tile.group + g) * width;
            for (std::size_t k = 0; k < dim; ++k) s.queries[at + k] = from[k] * tile.scale;
            std::fill_n(s.queries + at + dim, width - dim, 0.f);
        }
    }
    if (s.turned != s.queries) std::copy_n(s.queries, tile.queries * width, s.turned);
}

/// sums = the tile over run `run` of its tokens. `load` copies the queries first: once per tile and
/// scratch.
void AttendRun(const AttentionTile& tile, std::size_t run, bool load, float* scratch,
               const Partial& sums) {
    TileScratch s{};
    cut_scratch(tile, scratch, &s);
    if (load) LoadQueries(tile, s);
    std::fill_n(sums.highest, tile.queries, -std::numeric_limits<float>::infinity());
    std::fill_n(sums.out, tile.queries * tile.width, 0.f);
    std::fill_n(s.totals, tile.queries * 16, 0.f);
    for (std::size_t block = run * tile.run_blocks; block < (run + 1) * tile.run_blocks; ++block) {
        AttendBlock(tile, block, s, sums);
    }
    for (std::size_t i = 0; i < tile.queries; ++i) {
        sums.total[i] = hn::GetLane(hn::SumOfLanes(DA(), hn::LoadU(DA(), s.totals + i * 16)));
    }
}

/// into += from, as if both had been summed together.
void MergePartials(const AttentionTile& tile, const Partial& into, const Partial& from) {
    const DA d;
    const std::size_t width = tile.width;
    for (std::size_t i = 0; i < tile.queries; ++i) {
        if (from.total[i] == 0.f) continue;  // saw no token; NaN is not equal to 0
        const float highest = std::max(into.highest[i], from.highest[i]);
        const float a = into.total[i] == 0.f ? 0.f : ScalarExp2(into.highest[i] - highest);
        const float b = ScalarExp2(from.highest[i] - highest);
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
    const std::size_t dim = tile.kv.layout.dim;
    for (std::size_t row = 0; row < tile.rows; ++row) {
        for (std::size_t g = 0; g < tile.group; ++g) {
            const std::size_t i = row * tile.group + g;
            float* to = out + row * out_stride + (tile.first_head + g) * dim;
            const float inverse = 1.f / sums.total[i];
            for (std::size_t k = 0; k < dim; ++k) to[k] = sums.out[i * tile.width + k] * inverse;
        }
    }
}

}  // namespace engine::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace engine {

struct AttentionScratch::Impl {
    struct Run {
        std::uint32_t tile;
        std::uint32_t run;
        bool operator==(const Run&) const = default;
    };
    AlignedBuffer memory, dense;
    std::vector<AttentionTile> tiles;
    std::vector<float*> out;  ///< of each tile
    std::vector<Run> runs;
    std::vector<std::byte*> pages;
};

AttentionScratch::AttentionScratch() : impl_(std::make_unique<Impl>()) {}
AttentionScratch::~AttentionScratch() = default;

namespace {

HWY_EXPORT(AttendRun);
HWY_EXPORT(MergePartials);
HWY_EXPORT(FinishTile);

std::size_t tile_end(const AttentionTile& tile) {
    return *std::max_element(tile.end, tile.end + tile.rows);
}
std::size_t run_tokens(const AttentionTile& tile) {
    return tile.run_blocks * tile.block_pages * tile.kv.layout.tokens;
}
std::size_t first_run(const AttentionTile& tile) {
    return *std::min_element(tile.begin, tile.begin + tile.rows) / run_tokens(tile);
}
std::size_t end_run(const AttentionTile& tile) {
    return (tile_end(tile) - 1) / run_tokens(tile) + 1;
}

/// What one tile needs at most, of those in the list.
struct Needs {
    std::size_t partial = 0, scratch = 0, runs = 0;
};
Needs needs_of(const std::vector<AttentionTile>& tiles) {
    Needs needs;
    for (const AttentionTile& tile : tiles) {
        needs.partial = std::max(needs.partial, on_lines(partial_floats(tile)));
        needs.scratch = std::max(needs.scratch, cut_scratch(tile, nullptr, nullptr));
        needs.runs += end_run(tile) - first_run(tile);
    }
    return needs;
}

/// Each task sums a whole tile, run by run.
void attend_whole_tiles(base::ThreadPool& pool, AttentionScratch::Impl& work, const Needs& needs,
                        std::size_t out_stride) {
    const std::size_t each = needs.scratch + 2 * needs.partial;
    auto* memory =
        reinterpret_cast<float*>(work.memory.reserve(pool.threads() * each * sizeof(float)));
    pool.run(work.tiles.size(), [&](std::size_t task, std::size_t worker) {
        const AttentionTile& tile = work.tiles[task];
        float* mine = memory + worker * each;
        const Partial sums = partial_at(mine + needs.scratch, tile);
        const Partial more = partial_at(mine + needs.scratch + needs.partial, tile);
        HWY_DYNAMIC_DISPATCH(AttendRun)(tile, first_run(tile), true, mine, sums);
        for (std::size_t run = first_run(tile) + 1; run < end_run(tile); ++run) {
            HWY_DYNAMIC_DISPATCH(AttendRun)(tile, run, false, mine, more);
            HWY_DYNAMIC_DISPATCH(MergePartials)(tile, sums, more);
        }
        HWY_DYNAMIC_DISPATCH(FinishTile)(tile, sums, work.out[task], out_stride);
    });
}

/// Few tiles and long caches: each task sums one run of a tile; runs are merged at the end.
void attend_by_runs(base::ThreadPool& pool, AttentionScratch::Impl& work, const Needs& needs,
                    std::size_t out_stride) {
    work.runs.clear();
    for (std::size_t t = 0; t < work.tiles.size(); ++t) {
        for (std::size_t r = first_run(work.tiles[t]); r < end_run(work.tiles[t]); ++r) {
            work.runs.push_back({static_cast<std::uint32_t>(t), static_cast<std::uint32_t>(r)});
        }
    }
    const std::size_t floats = pool.threads() * needs.scratch + work.runs.size() * needs.partial;
    auto* memory = reinterpret_cast<float*>(work.memory.reserve(floats * sizeof(float)));
    float* partials = memory + pool.threads() * needs.scratch;
    const auto sums_of = [&](std::size_t i) {
        return partial_at(partials + i * needs.partial, work.tiles[work.runs[i].tile]);
    };
    pool.run(work.runs.size(), [&](std::size_t i, std::size_t worker) {
        const auto [tile, run] = work.runs[i];
        HWY_DYNAMIC_DISPATCH(AttendRun)
        (work.tiles[tile], run, true, memory + worker * needs.scratch, sums_of(i));
    });
    std::size_t i = 0;
    for (std::size_t t = 0; t < work.tiles.size(); ++t) {
        const AttentionTile& tile = work.tiles[t];
        const Partial sums = sums_of(i);
        for (++i; i < work.runs.size() && work.runs[i].tile == t; ++i) {
            HWY_DYNAMIC_DISPATCH(MergePartials)(tile, sums, sums_of(i));
        }
        HWY_DYNAMIC_DISPATCH(FinishTile)(tile, sums, work.out[t], out_stride);
    }
}

void attend(base::ThreadPool& pool, AttentionScratch::Impl& work, std::size_t out_stride) {
    constexpr std::size_t kTilesPerThread = 4;  // enough to share evenly without splitting tiles
    if (work.tiles.empty()) return;
    const Needs needs = needs_of(work.tiles);
    const bool few = work.tiles.size() < pool.threads() * kTilesPerThread;
    if (pool.threads() > 1 && few && needs.runs > work.tiles.size()) {
        return attend_by_runs(pool, work, needs, out_stride);
    }
    attend_whole_tiles(pool, work, needs, out_stride);
}

bool machine_has_bf16_dot() {
#if HWY_ARCH_X86
    static const bool has = __builtin_cpu_supports("avx512bf16") != 0;
    return has;
#else
    return false;
#endif
}

std::size_t rows_per_tile(std::size_t group) {
    return std::clamp<std::size_t>(kTileQueries / group, 1, kTileRowsMax);
}

/// A tile for rows of one sequence, but for its rows and its head.
AttentionTile tile_of(const AttentionShape& shape, std::size_t q_stride) {
    AttentionTile tile;
    tile.rotations = shape.rotations;
    tile.q_stride = q_stride;
    tile.group = shape.heads / shape.kv_heads;
    tile.scale = shape.scale * std::numbers::log2e_v<float>;
    tile.soft_cap = shape.soft_cap * std::numbers::log2e_v<float>;
    return tile;
}

}  // namespace

void attention(base::ThreadPool& pool, float* out, std::size_t out_stride, const float* q,
               std::size_t q_stride, std::span<const AttentionRow> rows,
               const AttentionShape& shape, AttentionScratch& scratch) {
    DG_CHECK(shape.kv_heads > 0 && shape.heads % shape.kv_heads == 0,
             "kv heads must divide query heads");
    AttentionScratch::Impl& work = scratch.impl();
    work.tiles.clear();
    work.out.clear();
    AttentionTile tile = tile_of(shape, q_stride);
    const std::size_t rows_max = rows_per_tile(tile.group);
    for (std::size_t r = 0; r < rows.size(); r += tile.rows) {
        const KvLayerView& kv = *rows[r].kv;
        tile.rows = 0;
        while (tile.rows < rows_max && r + tile.rows < rows.size() &&
               rows[r + tile.rows].kv == rows[r].kv) {
            const AttentionRow& row = rows[r + tile.rows];
            tile.begin[tile.rows] = row.first;
            tile.end[tile.rows] = static_cast<std::size_t>(row.position) + 1;
            ++tile.rows;
        }
        tile.q = q + r * q_stride;
        tile.kv.k_pages = kv.k_pages.data();
        tile.kv.v_pages = kv.v_pages.data();
        tile.kv.layout = kv_layout(kv, shape.head_dim);
        tile.kv.bf16_dot = machine_has_bf16_dot();
        tile.kv.pages = (tile_end(tile) - 1) / kv.page_tokens + 1;
        DG_DCHECK(tile.kv.pages <= kv.k_pages.size());
        if (tile.rotations != nullptr) {
            DG_CHECK(tile.rotations->page_tokens() == kv.page_tokens &&
                         tile.rotations->pages() >= tile.kv.pages,
                     "page rotations must cover the cache's pages");
        }
        tile.prepare();
        for (std::size_t h = 0; h < shape.kv_heads; ++h) {
            tile.first_head = h * tile.group;
            tile.kv.offset = h * tile.kv.layout.head_bytes();
            work.tiles.push_back(tile);
            work.out.push_back(out + r * out_stride);
        }
    }
    attend(pool, work, out_stride);
}

void attention_full(base::ThreadPool& pool, float* out, const float* q, const float* k,
                    const float* v, std::size_t tokens, std::uint32_t heads, std::uint32_t head_dim,
                    float scale, AttentionScratch& scratch) {
    if (tokens == 0) return;
    AttentionScratch::Impl& work = scratch.impl();
    AttentionTile tile = tile_of({heads, heads, head_dim, scale, 0.f, nullptr},
                                 static_cast<std::size_t>(heads) * head_dim);
    tile.kv.wide = true;
    tile.kv.layout = {KvType::f16, kBlockTokens, head_dim};
    tile.kv.pages = (tokens + kBlockTokens - 1) / kBlockTokens;
    // Keys and values of each page and head, as a cache of floats would hold them.
    const std::size_t head_floats = kBlockTokens * tile.kv.layout.padded_dim();
    const std::size_t plane = head_floats * heads;
    auto* dense =
        reinterpret_cast<float*>(work.dense.reserve(2 * plane * tile.kv.pages * sizeof(float)));
    work.pages.clear();
    for (std::size_t p = 0; p < 2 * tile.kv.pages; ++p) {
        work.pages.push_back(reinterpret_cast<std::byte*>(dense + p * plane));
    }
    tile.kv.k_pages = work.pages.data();
    tile.kv.v_pages = work.pages.data() + tile.kv.pages;
    pool.run(tile.kv.pages * heads, [&](std::size_t task, std::size_t) {
        const std::size_t page = task / heads, h = task % heads;
        float* keys = dense + page * plane + h * head_floats;
        float* values = keys + plane * tile.kv.pages;
        for (std::size_t t = 0; t < std::min(kBlockTokens, tokens - page * kBlockTokens); ++t) {
            const std::size_t from = (page * kBlockTokens + t) * tile.q_stride + h * head_dim;
            for (std::size_t d = 0; d < head_dim; ++d) {
                keys[tile.kv.layout.key_at(t, d)] = k[from + d];
                values[tile.kv.layout.value_at(t, d)] = v[from + d];
            }
        }
    });
    work.tiles.clear();
    work.out.clear();
    for (std::size_t r = 0; r < tokens; r += tile.rows) {
        tile.rows = std::min(rows_per_tile(1), tokens - r);
        std::fill_n(tile.end, tile.rows, tokens);
        tile.q = q + r * tile.q_stride;
        tile.prepare();
        for (std::size_t h = 0; h < heads; ++h) {
            tile.first_head = h;
            tile.kv.offset = h * head_floats * sizeof(float);
            work.tiles.push_back(tile);
            work.out.push_back(out + r * tile.q_stride);
        }
    }
    attend(pool, work, tile.q_stride);
}

}  // namespace engine
#endif  // HWY_ONCE
