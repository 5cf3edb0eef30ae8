// Packing: vectors put the codes of whole panels in their places (pack_panels.cc); plain loops over
// one stored block at a time do the rest, and everything for a matrix's last rows and where there
// are no vector instructions we know. tensor/code_layout.h says where stored bits lie.

#include "engine/kernels/packed.h"

#include <algorithm>
#include <cstring>

#include "base/exec/thread_pool.h"
#include "engine/kernels/float_matmul.h"
#include "engine/kernels/pack_panels.h"
#include "engine/kernels/quantized_matmul.h"
#include "engine/tensor/blocks.h"
#include "engine/tensor/code_layout.h"

namespace engine {
namespace {

template <TensorType kType>
auto read_block(const std::byte* at) {
    using enum TensorType;
    const auto as = [&]<class Block>(Block block) {
        std::memcpy(&block, at, sizeof(block));
        return block;
    };
    if constexpr (kType == q4_0) return as(BlockQ4_0());
    if constexpr (kType == q4_1) return as(BlockQ4_1());
    if constexpr (kType == q5_0) return as(BlockQ5_0());
    if constexpr (kType == q5_1) return as(BlockQ5_1());
    if constexpr (kType == q8_0) return as(BlockQ8_0());
    if constexpr (kType == q2_k) return as(BlockQ2_K());
    if constexpr (kType == q3_k) return as(BlockQ3_K());
    if constexpr (kType == q4_k) return as(BlockQ4_K());
    if constexpr (kType == q5_k) return as(BlockQ5_K());
    if constexpr (kType == q6_k) return as(BlockQ6_K());
}

/// What a stored block has beside its codes.
struct BlockFields {
    std::uint8_t scales[16] = {}, mins[8] = {};
    std::uint16_t d = 0, m = 0;
};

template <TensorType kType>
BlockFields read_fields(const std::byte* at) {
    using enum TensorType;
    const auto block = read_block<kType>(at);
    BlockFields fields;
    fields.d = block.d;
    if constexpr (requires { block.m; }) fields.m = block.m;
    if constexpr (requires { block.dmin; }) fields.m = block.dmin;
    if constexpr (kType == q2_k || kType == q6_k) std::memcpy(fields.scales, block.scales, 16);
    if constexpr (kType == q3_k) {
        for (std::size_t g = 0; g < 16; ++g) {
            fields.scales[g] = static_cast<std::uint8_t>(unpack_q3_scale(block.scales, g));
        }
    }
    if constexpr (kType == q4_k || kType == q5_k) {
        for (std::size_t g = 0; g < 8; ++g) {
            const ScaleMin pair = unpack_scale_min(block.scales, g);
            fields.scales[g] = pair.scale;
            fields.mins[g] = pair.min;
        }
    }
    return fields;
}

/// Unsigned but for Q8_0; of 32 the first ones.
template <TensorType kType>
Codes256 read_codes(const std::byte* at) {
    using enum TensorType;
    const auto block = read_block<kType>(at);
    Codes256 codes{};
    if constexpr (kType == q8_0) {
        std::memcpy(codes.data(), block.qs, 32);
    } else if constexpr (kType == q2_k) {
        unpack_two_bits(block.qs, codes);
    } else if constexpr (kType == q3_k) {
        unpack_two_bits(block.qs, codes);
        unpack_high_bits(block.hmask, 2, codes);
    } else if constexpr (kType == q4_k) {
        unpack_nibbles_256(block.qs, codes);
    } else if constexpr (kType == q5_k) {
        unpack_nibbles_256(block.qs, codes);
        unpack_high_bits(block.qh, 4, codes);
    } else if constexpr (kType == q6_k) {
        unpack_six_bits(block, codes);
    } else {
        Codes32 few;
        unpack_nibbles(block.qs, few);
        if constexpr (requires { block.qh; }) unpack_fifth_bits(block.qh, few);
        std::copy(few.begin(), few.end(), codes.begin());
    }
    return codes;
}

/// Writes row `row` of the panel's 16. The type is known when compiled: its loops come apart.
template <TensorType kType>
class RowWriter {
public:
    RowWriter(const PackedPanel& sections, std::uint8_t* panel, std::size_t row)
        : at_(sections), panel_(panel), row_(row) {}

    void put_codes(std::size_t stored, const Codes256& codes) {
        for (std::size_t i = 0; i < kShape.span; ++i) {
            const std::size_t b = stored * kShape.span + i;
            put_low(b, codes.data() + i * 32);
            if constexpr (kShape.high > 0) put_high(b, codes.data() + i * 32);
        }
    }
    void put_fields(std::size_t stored, const BlockFields& fields) {
        constexpr std::size_t kGroups = kShape.scales / 16 * kShape.span;
        for (std::size_t g = 0; g < kGroups; ++g) {
            panel_[at_.scales + (stored * kGroups + g) * 16 + row_] = fields.scales[g];
        }
        for (std::size_t i = 0; kShape.mins > 0 && i < kShape.span; ++i) {
            panel_[at_.mins + (stored * kShape.span + i) * 16 + row_] = fields.mins[i];
        }
        std::memcpy(panel_ + at_.d + stored * 32 + row_ * 2, &fields.d, 2);
        if (kShape.has_m) std::memcpy(panel_ + at_.m + stored * 32 + row_ * 2, &fields.m, 2);
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

/// The rows of panel `p`, fewer than 16 at a matrix's end.
struct PanelRows {
    const std::uint8_t* row[kPanelOuts] = {};
    std::size_t count = 0;

    PanelRows(const TensorView& w, std::size_t p) {
        count = std::min<std::size_t>(kPanelOuts, w.rows() - p * kPanelOuts);
        const std::size_t bytes = row_bytes(w.type, w.dims[0]);
        for (std::size_t r = 0; r < count; ++r) {
            row[r] = reinterpret_cast<const std::uint8_t*>(w.data) + (p * kPanelOuts + r) * bytes;
        }
    }
};

/// packer: of whole panels; null: none.
template <TensorType kType>
void pack_blocks(base::ThreadPool& pool, const TensorView& w, PanelPacker packer, std::byte* out) {
    constexpr PackedShape kShape = packed_shape(kType);
    const PackedPanel sections(kShape, blocks_per_row(w));
    constexpr std::size_t kStoredBytes = sizeof(decltype(read_block<kType>(nullptr)));
    const std::size_t stored_blocks = blocks_per_row(w) / kShape.span;
    pool.run(panels_of(w), [&](std::size_t p, std::size_t) {
        auto* panel = reinterpret_cast<std::uint8_t*>(out) + p * sections.bytes;
        const PanelRows rows(w, p);
        const bool whole = rows.count == kPanelOuts;
        // Sixteen rows write everything but the last cache line's padding.
        const std::size_t unwritten = whole ? 64 : sections.bytes;
        std::fill_n(panel + sections.bytes - unwritten, unwritten, std::uint8_t{0});
        const bool by_vectors = whole && packer != nullptr;
        for (std::size_t r = 0; r < rows.count; ++r) {
            const auto* stored = reinterpret_cast<const std::byte*>(rows.row[r]);
            RowWriter<kType> writer(sections, panel, r);
            for (std::size_t b = 0; b < stored_blocks; ++b, stored += kStoredBytes) {
                writer.put_fields(b, read_fields<kType>(stored));
                if (!by_vectors) writer.put_codes(b, read_codes<kType>(stored));
            }
        }
        // After the loop above, which has read the rows one by one: they are in cache.
        if (by_vectors) packer(rows.row, stored_blocks, panel);
    });
}

/// Elements of 2 or 4 bytes, which stay as they are.
template <class T>
void pack_floats(base::ThreadPool& pool, const TensorView& w, PanelPacker packer, std::byte* out) {
    const std::size_t inputs = w.dims[0];
    const std::size_t panel_bytes = inputs * kPanelOuts * sizeof(T);
    pool.run(panels_of(w), [&](std::size_t p, std::size_t) {
        auto* panel = reinterpret_cast<std::uint8_t*>(out) + p * panel_bytes;
        const PanelRows rows(w, p);
        if (packer != nullptr && rows.count == kPanelOuts && inputs * sizeof(T) % 16 == 0) {
            return packer(rows.row, inputs * sizeof(T) / 16, panel);
        }
        std::fill_n(panel, panel_bytes, std::uint8_t{0});
        for (std::size_t r = 0; r < rows.count; ++r) {
            for (std::size_t i = 0; i < inputs; ++i) {
                std::memcpy(panel + (i * kPanelOuts + r) * sizeof(T), rows.row[r] + i * sizeof(T),
                            sizeof(T));
            }
        }
    });
}

void pack_with(base::ThreadPool& pool, const TensorView& w, PanelPacker packer, std::byte* out) {
    using enum TensorType;
    switch (w.type) {
        case f32:
            return pack_floats<std::uint32_t>(pool, w, packer, out);
        case f16:
        case bf16:
            return pack_floats<std::uint16_t>(pool, w, packer, out);
        case q2_k:
            return pack_blocks<q2_k>(pool, w, packer, out);
        case q3_k:
            return pack_blocks<q3_k>(pool, w, packer, out);
        case q4_0:
            return pack_blocks<q4_0>(pool, w, packer, out);
        case q4_1:
            return pack_blocks<q4_1>(pool, w, packer, out);
        case q4_k:
            return pack_blocks<q4_k>(pool, w, packer, out);
        case q5_0:
            return pack_blocks<q5_0>(pool, w, packer, out);
        case q5_1:
            return pack_blocks<q5_1>(pool, w, packer, out);
        case q5_k:
            return pack_blocks<q5_k>(pool, w, packer, out);
        case q6_k:
            return pack_blocks<q6_k>(pool, w, packer, out);
        case q8_0:
            return pack_blocks<q8_0>(pool, w, packer, out);
    }
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
    pack_with(pool, w, panel_packer(w.type), out);
}

void pack_plainly(base::ThreadPool& pool, const TensorView& w, std::byte* out) {
    pack_with(pool, w, nullptr, out);
}

}  // namespace engine
