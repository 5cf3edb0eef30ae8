#include "engine/tensor/tensor_type.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/core/check.h"

namespace engine {
namespace {

struct TypeFacts {
    TensorType type;
    std::string_view name;
    BlockShape block;
};

constexpr std::array<TypeFacts, 13> kTypes = {{
    {TensorType::f32, "F32", {1, 4}},
    {TensorType::f16, "F16", {1, 2}},
    {TensorType::bf16, "BF16", {1, 2}},
    {TensorType::q8_0, "Q8_0", {32, 34}},
    {TensorType::q4_0, "Q4_0", {32, 18}},
    {TensorType::q4_1, "Q4_1", {32, 20}},
    {TensorType::q5_0, "Q5_0", {32, 22}},
    {TensorType::q5_1, "Q5_1", {32, 24}},
    {TensorType::q2_k, "Q2_K", {256, 84}},
    {TensorType::q3_k, "Q3_K", {256, 110}},
    {TensorType::q4_k, "Q4_K", {256, 144}},
    {TensorType::q5_k, "Q5_K", {256, 176}},
    {TensorType::q6_k, "Q6_K", {256, 210}},
}};

const TypeFacts& facts(TensorType type) {
    const auto* found = std::ranges::find(kTypes, type, &TypeFacts::type);
    DG_CHECK(found != kTypes.end(), "a TensorType must come from the table");
    return *found;
}

}  // namespace

std::optional<TensorType> tensor_type_from_file(std::uint32_t number) {
    for (const TypeFacts& type : kTypes) {
        if (static_cast<std::uint32_t>(type.type) == number) return type.type;
    }
    return std::nullopt;
}

std::optional<TensorType> tensor_type_from_name(std::string_view name) {
    const auto same = [](char a, char b) {
        return std::toupper(static_cast<unsigned char>(a)) == b;
    };
    for (const TypeFacts& type : kTypes) {
        if (std::ranges::equal(name, type.name, same)) return type.type;
    }
    return std::nullopt;
}

std::string_view tensor_type_name(TensorType type) {
    return facts(type).name;
}
BlockShape block_shape(TensorType type) {
    return facts(type).block;
}

}  // namespace engine
