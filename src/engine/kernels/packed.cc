// Packing: plain loops over the codes of one stored block at a time, compiled for each type;
// tensor/code_layout.h says where stored bits lie.

#include "engine/kernels/packed.h"

#include <algorithm>
#include <cstring>

#include "base/core/check.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/float_matmul.h"
#include "engine/kernels/quantized_matmul.h"
#include "engine/tensor/blocks.h"
#include "engine/tensor/code_layout.h"

namespace engine {
namespace {

/// One stored block with its bit fields apart; `codes` are unsigned but for Q8_0.
struct PlainBlock {
    Codes256 codes{};
    std::uint8_t scales[16] = {}, mins[8] = {};
    std::uint16_t d = 0, m = 0;

    void set_32(const Codes32& from) { std::copy(from.begin(), from.end(), codes.begin()); }
};

template <class Block>
Block read_block(const std::byte* at) {
    Block block;
    std::memcpy(&block, at, sizeof(block));
    return block;
}

template <class Block>
void read_nibbles(const std::byte* at, PlainBlock& out) {
    const auto block = read_block<Block>(at);
    Codes32 codes;
    unpack_nibbles(block.qs, codes);
    if constexpr (requires { block.qh; }) unpack_fifth_bits(block.qh, codes);
    if constexpr (requires { block.m; }) out.m = block.m;
    out.d = block.d;
    out.set_32(codes);
}

template <class Block>
void read_groups(const std::byte* at, PlainBlock& out) {
    const auto block = read_block<Block>(at);
    unpack_nibbles_256(block.qs, out.codes);
    if constexpr (requires { block.qh; }) unpack_high_bits(block.qh, 4, out.codes);
    for (std::size_t g = 0; g < 8; ++g) {
        const ScaleMin pair = unpack_scale_min(block.scales, g);
        out.scales[g] = pair.scale;
        out.mins[g] = pair.min;
    }
    out.d = block.d;
    out.m = block.dmin;
}

void read_two_bits(const std::byte* at, PlainBlock& out) {
    const auto block = read_block<BlockQ2_K>(at);
    unpack_two_bits(block.qs, out.codes);
    std::memcpy(out.scales, block.scales, 16);
    out.d = block.d;
    out.m = block.dmin;
}

void read_three_bits(const std::byte* at, PlainBlock& out) {
    const auto block = read_block<BlockQ3_K>(at);
    unpack_two_bits(block.qs, out.codes);
    unpack_high_bits(block.hmask, 2, out.codes);
    for (std::size_t g = 0; g < 16; ++g) {
        out.scales[g] = static_cast<std::uint8_t>(unpack_q3_scale(block.scales, g));
    }
    out.d = block.d;
}

template <TensorType kType>
void read_plain(const std::byte* at, PlainBlock& out) {
    using enum TensorType;
    if constexpr (kType == q4_0) read_nibbles<BlockQ4_0>(at, out);
    if constexpr (kType == q4_1) read_nibbles<BlockQ4_1>(at, out);
    if constexpr (kType == q5_0) read_nibbles<BlockQ5_0>(at, out);
    if constexpr (kType == q5_1) read_nibbles<BlockQ5_1>(at, out);
    if constexpr (kType == q8_0) {
        const auto block = read_block<BlockQ8_0>(at);
        std::memcpy(out.codes.data(), block.qs, 32);
        out.d = block.d;
    }
    if constexpr (kType == q2_k) read_two_bits(at, out);
    if constexpr (kType == q3_k) read_three_bits(at, out);
    if constexpr (kType == q4_k) read_groups<BlockQ4_K>(at, out);
    if constexpr (kType == q5_k) read_groups<BlockQ5_K>(at, out);
    if constexpr (kType == q6_k) {
        const auto block = read_block<BlockQ6_K>(at);
        unpack_six_bits(block, out.codes);
        std::memcpy(out.scales, block.scales, 16);
        out.d = block.d;
    }
}

/// Writes row `row` of the panel's 16. The type is known when compiled: its loops come apart.
template <TensorType kType>
class RowWriter {
public:
    RowWriter(const PackedPanel& sections, std::uint8_t* panel, std::size_t row)
        : at_(sections), panel_(panel), row_(row) {}

    void put(std::size_t stored, const PlainBlock& block) {
        for (std::size_t i = 0; i < kShape.span; ++i) {
            const std::size_t b = stored * kShape.span + i;
            const std::uint8_t* codes = block.codes.data() + i * 32;
            put_low(b, codes);
            if constexpr (kShape.high > 0) put_high(b, codes);
            const std::size_t groups = kShape.scales / 16;
            for (std::size_t g = 0; g < groups; ++g) {
                panel_[at_.scales + (b * groups + g) * 16 + row_] = block.scales[i * groups + g];
            }
            if (kShape.mins > 0) panel_[at_.mins + b * 16 + row_] = block.mins[i];
        }
        std::memcpy(panel_ + at_.d + stored * 32 + row_ * 2, &block.d, 2);
        if (kShape.has_m) std::memcpy(panel_ + at_.m + stored * 32 + row_ * 2, &block.m, 2);
    }

private:
    void put_low(std::size_t b, const std::uint8_t* codes) {
        const std::size_t at = at_.low + b * kShape.low;
        std::uint8_t* out = panel_ + at + row_ * 4;
        if constexpr (kShape.low == 128) {
            put_bits<2, 0>(at, codes);
        } else if constexpr (kShape.low == 512) {
            for (std::size_t v = 0; v < 8; ++v) std::memcpy(out + v * 64, codes + v * 4, 4);
        } else {
            std::uint8_t pairs[16];
            for (std::size_t i = 0; i < 16; ++i) {
                pairs[i] = static_cast<std::uint8_t>((codes[i] & 15u) | (codes[i + 16] & 15u) << 4);
            }
            for (std::size_t v = 0; v < 4; ++v) std::memcpy(out + v * 64, pairs + v * 4, 4);
        }
    }
    void put_high(std::size_t b, const std::uint8_t* codes) {
        put_bits<kShape.high / 64, kShape.low / 64>(at_.high + b * kShape.high, codes);
    }
    /// kBits bits of each code from bit kFrom on.
    template <std::size_t kBits, std::size_t kFrom>
    void put_bits(std::size_t at, const std::uint8_t* codes) {
        constexpr std::size_t kInputs = 32 / kBits;  // that share one vector
        constexpr unsigned kMask = (1u << kBits) - 1;
        for (std::size_t v = 0; v < kBits; ++v) {
            std::uint8_t bytes[4] = {};
            for (std::size_t i = 0; i < kInputs; ++i) {
                const unsigned code = codes[v * kInputs + i] >> kFrom & kMask;
                bytes[i % 4] = static_cast<std::uint8_t>(bytes[i % 4] | code << (i / 4 * kBits));
            }
            std::memcpy(panel_ + at + v * 64 + row_ * 4, bytes, 4);
        }
    }

    static constexpr PackedShape kShape = packed_shape(kType);
    const PackedPanel at_;
    std::uint8_t* const panel_;
    const std::size_t row_;
};

std::size_t blocks_per_row(const TensorView& w) {
    return w.dims[0] / 32;
}

std::size_t panels_of(const TensorView& w) {
    return (w.rows() + kPanelOuts - 1) / kPanelOuts;
}

bool stores_floats(TensorType type) {
    return block_shape(type).elements == 1;
}

template <TensorType kType>
void pack_blocks(base::ThreadPool& pool, const TensorView& w, std::byte* out) {
    constexpr PackedShape kShape = packed_shape(kType);
    const PackedPanel sections(kShape, blocks_per_row(w));
    const std::size_t stored_bytes = block_shape(kType).bytes;
    const std::size_t stored_blocks = blocks_per_row(w) / kShape.span;
    pool.run(panels_of(w), [&](std::size_t p, std::size_t) {
        auto* panel = reinterpret_cast<std::uint8_t*>(out) + p * sections.bytes;
        PlainBlock block;
        const std::size_t rows = std::min<std::size_t>(kPanelOuts, w.rows() - p * kPanelOuts);
        // Sixteen rows write everything but the last cache line's padding.
        const std::size_t unwritten = rows < kPanelOuts ? sections.bytes : 64;
        std::fill_n(panel + sections.bytes - unwritten, unwritten, std::uint8_t{0});
        for (std::size_t r = 0; r < rows; ++r) {
            const std::byte* stored = w.data + (p * kPanelOuts + r) * stored_blocks * stored_bytes;
            RowWriter<kType> writer(sections, panel, r);
            for (std::size_t b = 0; b < stored_blocks; ++b) {
                read_plain<kType>(stored + b * stored_bytes, block);
                writer.put(b, block);
            }
        }
    });
}

/// Elements of 2 or 4 bytes, which stay as they are.
template <class T>
void pack_floats(base::ThreadPool& pool, const TensorView& w, std::byte* out) {
    const std::size_t inputs = w.dims[0];
    pool.run(panels_of(w), [&](std::size_t p, std::size_t) {
        std::byte* panel = out + p * inputs * kPanelOuts * sizeof(T);
        const std::size_t rows = std::min<std::size_t>(kPanelOuts, w.rows() - p * kPanelOuts);
        std::fill_n(panel, rows < kPanelOuts ? inputs * kPanelOuts * sizeof(T) : 0, std::byte{0});
        for (std::size_t r = 0; r < rows; ++r) {
            const std::byte* row = w.data + (p * kPanelOuts + r) * inputs * sizeof(T);
            for (std::size_t i = 0; i < inputs; ++i) {
                std::memcpy(panel + (i * kPanelOuts + r) * sizeof(T), row + i * sizeof(T),
                            sizeof(T));
            }
        }
    });
}

}  // namespace

std::size_t packed_bytes(const TensorView& w) {
    if (stores_floats(w.type)) {
        if (float_panel_kernel(w.type, true) == nullptr) return 0;
        const std::size_t bytes = panels_of(w) * row_bytes(w.type, w.dims[0]) * kPanelOuts;
        return (bytes + kPackedAlignment - 1) / kPackedAlignment * kPackedAlignment;
    }
    const PackedShape shape = packed_shape(w.type);
    if (shape.low == 0 || packed_kernel(w.type) == nullptr) return 0;
    return panels_of(w) * PackedPanel(shape, blocks_per_row(w)).bytes;
}

void pack(base::ThreadPool& pool, const TensorView& w, std::byte* out) {
    switch (w.type) {
        case TensorType::f32:
            return pack_floats<std::uint32_t>(pool, w, out);
        case TensorType::f16:
        case TensorType::bf16:
            return pack_floats<std::uint16_t>(pool, w, out);
        case TensorType::q2_k:
            return pack_blocks<TensorType::q2_k>(pool, w, out);
        case TensorType::q3_k:
            return pack_blocks<TensorType::q3_k>(pool, w, out);
        case TensorType::q4_0:
            return pack_blocks<TensorType::q4_0>(pool, w, out);
        case TensorType::q4_1:
            return pack_blocks<TensorType::q4_1>(pool, w, out);
        case TensorType::q4_k:
            return pack_blocks<TensorType::q4_k>(pool, w, out);
        case TensorType::q5_0:
            return pack_blocks<TensorType::q5_0>(pool, w, out);
        case TensorType::q5_1:
            return pack_blocks<TensorType::q5_1>(pool, w, out);
        case TensorType::q5_k:
            return pack_blocks<TensorType::q5_k>(pool, w, out);
        case TensorType::q6_k:
            return pack_blocks<TensorType::q6_k>(pool, w, out);
        case TensorType::q8_0:
            return pack_blocks<TensorType::q8_0>(pool, w, out);
    }
}

}  // namespace engine
