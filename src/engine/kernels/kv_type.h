#pragma once
// How cached keys and values are stored.

#include <cstdint>
#include <optional>
#include <string_view>

namespace engine {

/// bf16: about 1.4 times as fast as f16 on prompts where the machine has AVX512_BF16; queries and
/// weights are then rounded to it too (KL against f16 6e-5 on the default model; q8: 9e-4). q8:
/// codes of 8 bits, 32 dims of a head sharing a float scale: 9/16 of F16's memory.
enum class KvType : std::uint8_t { f16, bf16, q8 };

constexpr std::string_view kv_type_name(KvType type) {
    switch (type) {
        case KvType::f16:
            return "f16";
        case KvType::bf16:
            return "bf16";
        case KvType::q8:
            return "q8";
    }
    return "";
}

constexpr std::optional<KvType> kv_type_from_name(std::string_view name) {
    for (const KvType type : {KvType::f16, KvType::bf16, KvType::q8}) {
        if (kv_type_name(type) == name) return type;
    }
    return std::nullopt;
}

}  // namespace engine
