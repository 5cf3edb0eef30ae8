#include "engine/model_files/tensor_type_names.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

#include "engine/tensor/tensor_type.h"

namespace engine {
namespace {

constexpr std::uint32_t kTypeNumberMax = 64;

// ggml's numbers (ggml.h, enum ggml_type) for types that are named here only to be refused.
constexpr std::pair<std::uint32_t, std::string_view> kForeignTypes[] = {
    {4, "Q4_2"},     {5, "Q4_3"},   {9, "Q8_1"},    {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
    {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
    {24, "I8"},      {25, "I16"},   {26, "I32"},    {27, "I64"},   {28, "F64"},     {29, "IQ1_M"},
    {34, "TQ1_0"},   {35, "TQ2_0"}, {39, "MXFP4"},
};

}  // namespace

std::string describe_file_type(std::uint32_t number) {
    if (const auto type = tensor_type_from_file(number)) {
        return std::string(tensor_type_name(*type));
    }
    for (const auto& [known, name] : kForeignTypes) {
        if (known == number) return fmt::format("{} ({})", name, number);
    }
    return fmt::format("{}", number);
}

std::string supported_type_names() {
    std::string names;
    for (std::uint32_t number = 0; number < kTypeNumberMax; ++number) {
        const auto type = tensor_type_from_file(number);
        if (!type) continue;
        if (!names.empty()) names += ", ";
        names += tensor_type_name(*type);
    }
    return names;
}

}  // namespace engine
