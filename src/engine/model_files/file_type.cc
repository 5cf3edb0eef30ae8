#include "engine/model_files/file_type.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "base/core/check.h"

namespace engine {
namespace {

struct NamedFileType {
    std::string_view name;
    FileType type;
    std::uint32_t number;
};

constexpr std::array<NamedFileType, 19> kFileTypes = {{
    {"F32", {TensorType::f32, false}, 0},     {"F16", {TensorType::f16, false}, 1},
    {"BF16", {TensorType::bf16, false}, 32},  {"Q8_0", {TensorType::q8_0, false}, 7},
    {"Q4_0", {TensorType::q4_0, false}, 2},   {"Q4_1", {TensorType::q4_1, false}, 3},
    {"Q5_0", {TensorType::q5_0, false}, 8},   {"Q5_1", {TensorType::q5_1, false}, 9},
    {"Q2_K", {TensorType::q2_k, false}, 10},  {"Q3_K_S", {TensorType::q3_k, false}, 11},
    {"Q3_K_M", {TensorType::q3_k, true}, 12}, {"Q4_K_S", {TensorType::q4_k, false}, 14},
    {"Q4_K_M", {TensorType::q4_k, true}, 15}, {"Q5_K_S", {TensorType::q5_k, false}, 16},
    {"Q5_K_M", {TensorType::q5_k, true}, 17}, {"Q6_K", {TensorType::q6_k, false}, 18},
    {"Q3_K", {TensorType::q3_k, true}, 12},   {"Q4_K", {TensorType::q4_k, true}, 15},
    {"Q5_K", {TensorType::q5_k, true}, 17},
}};

constexpr std::size_t kAliases = 3;  // at the end of the table

bool has_suffix(const TensorView& tensor, std::string_view suffix) {
    return std::string_view(tensor.name).ends_with(suffix);
}

/// N of `blk.N.`, or nothing.
std::optional<std::uint32_t> layer_of(std::string_view name) {
    constexpr std::string_view kPrefix = "blk.";
    if (!name.starts_with(kPrefix)) return std::nullopt;
    std::uint32_t layer = 0;
    const char* first = name.data() + kPrefix.size();
    const auto [end, error] = std::from_chars(first, name.data() + name.size(), layer);
    if (error != std::errc() || end == first) return std::nullopt;
    return layer;
}

/// The first and last eighth of the layers and every third between them.
bool is_sensitive_layer(std::uint32_t layer, std::uint32_t layers) {
    const std::uint32_t eighth = layers / 8;
    return layer < eighth || layer >= layers - eighth || (layer - eighth) % 3 == 2;
}

bool stays_f32(const TensorView& tensor) {
    return tensor.rows() == 1 || !has_suffix(tensor, ".weight") ||
           tensor.name.find("norm") != std::string::npos ||
           tensor.name.starts_with("position_embd") || tensor.name.starts_with("token_types") ||
           tensor.name.starts_with("rope_") || tensor.name.starts_with("position_inv");
}

bool is_quantised_below_q6(TensorType type) {
    switch (type) {
        case TensorType::q4_0:
        case TensorType::q4_1:
        case TensorType::q5_0:
        case TensorType::q5_1:
        case TensorType::q2_k:
        case TensorType::q3_k:
        case TensorType::q4_k:
        case TensorType::q5_k:
            return true;
        default:
            return false;
    }
}

TensorType wanted_type(FileType file, const TensorView& tensor, const TensorPlace& place) {
    const bool output =
        tensor.name == "output.weight" || (place.tied_output && tensor.name == "token_embd.weight");
    if (output && is_quantised_below_q6(file.type)) return TensorType::q6_k;
    if (!file.medium) return file.type;
    const bool sensitive = has_suffix(tensor, "attn_v.weight") ||
                           has_suffix(tensor, "attn_qkv.weight") ||
                           has_suffix(tensor, "ffn_down.weight");
    const auto layer = layer_of(tensor.name);
    if (!sensitive || !layer || !is_sensitive_layer(*layer, place.layers)) return file.type;
    return file.type == TensorType::q3_k ? TensorType::q5_k : TensorType::q6_k;
}

/// The type to take where a K type's 256 does not divide the row.
TensorType small_block_type(TensorType type) {
    switch (type) {
        case TensorType::q2_k:
        case TensorType::q3_k:
            return TensorType::q4_0;
        case TensorType::q4_k:
            return TensorType::q5_0;
        default:
            return TensorType::q8_0;
    }
}

}  // namespace

std::optional<FileType> file_type_from_name(std::string_view name) {
    const auto same = [](char a, char b) {
        return std::toupper(static_cast<unsigned char>(a)) == b;
    };
    for (const NamedFileType& known : kFileTypes) {
        if (std::ranges::equal(name, known.name, same)) return known.type;
    }
    return std::nullopt;
}

std::string file_type_name(FileType type) {
    const auto* found = std::ranges::find(kFileTypes, type, &NamedFileType::type);
    return std::string(found == kFileTypes.end() ? tensor_type_name(type.type) : found->name);
}

std::uint32_t file_type_number(FileType type) {
    const auto* found = std::ranges::find(kFileTypes, type, &NamedFileType::type);
    DG_CHECK(found != kFileTypes.end(), "a FileType must come from file_type_from_name");
    return found->number;
}

std::string file_type_names() {
    std::string names;
    for (std::size_t i = 0; i + kAliases < kFileTypes.size(); ++i) {
        if (i > 0) names += ", ";
        names += kFileTypes[i].name;
    }
    return names;
}

TypeChoice type_for_tensor(FileType file, const TensorView& tensor, const TensorPlace& place) {
    if (stays_f32(tensor)) return {TensorType::f32, false};
    const TensorType wanted = wanted_type(file, tensor, place);
    const auto divides = [&](TensorType t) {
        return tensor.dims[0] % block_shape(t).elements == 0;
    };
    if (divides(wanted)) return {wanted, false};
    const TensorType smaller =
        block_shape(wanted).elements == 256 ? small_block_type(wanted) : wanted;
    return {divides(smaller) ? smaller : TensorType::f16, true};
}

}  // namespace engine
