// Typed access to metadata: the entry's bytes were checked by open(), so only types and ranges are
// checked here.

#include <limits>

#include "engine/model_files/byte_reader.h"
#include "engine/model_files/gguf.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

std::string describe(const GgufEntry& entry) {
    if (entry.type != GgufType::array) return std::string(gguf_type_name(entry.type));
    return fmt::format("array of {}", gguf_type_name(entry.element_type));
}

std::unexpected<base::Error> wrong_type(const GgufFile& file, const GgufEntry& entry,
                                        std::string_view expected) {
    return fail_on(file.path(), Code::data_loss, "{}: key {} is {}, expected {}", file.path(),
                   entry.key, describe(entry), expected);
}

Result<const GgufEntry*> entry_of(const GgufFile& file, std::string_view key) {
    if (const GgufEntry* entry = file.find(key)) return entry;
    return fail_on(file.path(), Code::not_found, "{}: has no metadata key {}", file.path(), key);
}

/// An integer of any stored width, with its sign kept apart so that u64 fits.
struct AnyInteger {
    bool negative = false;
    std::uint64_t magnitude = 0;
};

template <class T>
AnyInteger widen(ByteReader& reader) {
    const T value = *reader.read<T>();
    if constexpr (std::numeric_limits<T>::is_signed) {
        if (value < 0) return {true, 0 - static_cast<std::uint64_t>(value)};
    }
    return {false, static_cast<std::uint64_t>(value)};
}

std::optional<AnyInteger> read_integer(ByteReader& reader, GgufType type) {
    switch (type) {
        case GgufType::u8:
            return widen<std::uint8_t>(reader);
        case GgufType::i8:
            return widen<std::int8_t>(reader);
        case GgufType::u16:
            return widen<std::uint16_t>(reader);
        case GgufType::i16:
            return widen<std::int16_t>(reader);
        case GgufType::u32:
            return widen<std::uint32_t>(reader);
        case GgufType::i32:
            return widen<std::int32_t>(reader);
        case GgufType::u64:
            return widen<std::uint64_t>(reader);
        case GgufType::i64:
            return widen<std::int64_t>(reader);
        default:
            return std::nullopt;
    }
}

std::optional<double> read_number(ByteReader& reader, GgufType type) {
    if (type == GgufType::f32) return static_cast<double>(*reader.read<float>());
    if (type == GgufType::f64) return *reader.read<double>();
    const auto integer = read_integer(reader, type);
    if (!integer) return std::nullopt;
    const auto magnitude = static_cast<double>(integer->magnitude);
    return integer->negative ? -magnitude : magnitude;
}

Result<std::uint64_t> unsigned_in_range(const GgufFile& file, const GgufEntry& entry,
                                        std::optional<AnyInteger> value, std::uint64_t max) {
    if (!value) return wrong_type(file, entry, "an integer");
    if (value->negative || value->magnitude > max) {
        return fail_on(file.path(), Code::data_loss, "{}: key {} is {}{}, expected 0 to {}",
                       file.path(), entry.key, value->negative ? "-" : "", value->magnitude, max);
    }
    return value->magnitude;
}

Result<std::uint64_t> get_unsigned(const GgufFile& file, std::string_view key, std::uint64_t max) {
    const GgufEntry& entry = *DG_TRY(entry_of(file, key));
    ByteReader reader(entry.value);
    return unsigned_in_range(file, entry, read_integer(reader, entry.type), max);
}

constexpr std::uint64_t kU32Max = std::numeric_limits<std::uint32_t>::max();

}  // namespace

Result<std::uint32_t> GgufFile::get_u32(std::string_view key) const {
    return static_cast<std::uint32_t>(DG_TRY(get_unsigned(*this, key, kU32Max)));
}

Result<std::uint64_t> GgufFile::get_u64(std::string_view key) const {
    return get_unsigned(*this, key, std::numeric_limits<std::uint64_t>::max());
}

Result<float> GgufFile::get_f32(std::string_view key) const {
    const GgufEntry& entry = *DG_TRY(entry_of(*this, key));
    ByteReader reader(entry.value);
    const auto value = read_number(reader, entry.type);
    if (!value) return wrong_type(*this, entry, "a number");
    return static_cast<float>(*value);
}

Result<bool> GgufFile::get_bool(std::string_view key) const {
    const GgufEntry& entry = *DG_TRY(entry_of(*this, key));
    if (entry.type != GgufType::boolean) return wrong_type(*this, entry, "bool");
    return *ByteReader(entry.value).read<std::uint8_t>() != 0;
}

Result<std::string> GgufFile::get_string(std::string_view key) const {
    const GgufEntry& entry = *DG_TRY(entry_of(*this, key));
    if (entry.type != GgufType::string) return wrong_type(*this, entry, "string");
    return std::string(*ByteReader(entry.value).read_string());
}

Result<std::vector<std::string>> GgufFile::get_strings(std::string_view key) const {
    const GgufEntry& entry = *DG_TRY(entry_of(*this, key));
    if (entry.type != GgufType::array || entry.element_type != GgufType::string) {
        return wrong_type(*this, entry, "array of string");
    }
    std::vector<std::string> strings;
    strings.reserve(entry.count);
    ByteReader reader(entry.value);
    for (std::uint64_t i = 0; i < entry.count; ++i) strings.emplace_back(*reader.read_string());
    return strings;
}

Result<std::vector<float>> GgufFile::get_f32s(std::string_view key) const {
    const GgufEntry& entry = *DG_TRY(entry_of(*this, key));
    std::vector<float> values;
    ByteReader reader(entry.value);
    for (std::uint64_t i = 0; entry.type == GgufType::array && i < entry.count; ++i) {
        const auto value = read_number(reader, entry.element_type);
        if (!value) return wrong_type(*this, entry, "array of numbers");
        values.push_back(static_cast<float>(*value));
    }
    if (entry.type != GgufType::array) return wrong_type(*this, entry, "array of numbers");
    return values;
}

Result<std::vector<std::int32_t>> GgufFile::get_i32s(std::string_view key) const {
    const GgufEntry& entry = *DG_TRY(entry_of(*this, key));
    if (entry.type != GgufType::array) return wrong_type(*this, entry, "array of integers");
    std::vector<std::int32_t> values;
    ByteReader reader(entry.value);
    for (std::uint64_t i = 0; i < entry.count; ++i) {
        const auto value = read_integer(reader, entry.element_type);
        if (!value) return wrong_type(*this, entry, "array of integers");
        const std::uint64_t max = value->negative ? 1ull << 31 : (1ull << 31) - 1;
        if (value->magnitude > max) {
            return fail_on(path(), Code::data_loss, "{}: element {} of key {} does not fit 32 bits",
                           path(), i, key);
        }
        const auto magnitude = static_cast<std::int64_t>(value->magnitude);
        values.push_back(static_cast<std::int32_t>(value->negative ? -magnitude : magnitude));
    }
    return values;
}

Result<std::uint32_t> GgufFile::get_u32_or(std::string_view key, std::uint32_t fallback) const {
    if (!has(key)) return fallback;
    return get_u32(key);
}

Result<float> GgufFile::get_f32_or(std::string_view key, float fallback) const {
    if (!has(key)) return fallback;
    return get_f32(key);
}

Result<bool> GgufFile::get_bool_or(std::string_view key, bool fallback) const {
    if (!has(key)) return fallback;
    return get_bool(key);
}

Result<std::string> GgufFile::get_string_or(std::string_view key, std::string fallback) const {
    if (!has(key)) return fallback;
    return get_string(key);
}

Result<std::vector<std::uint32_t>> GgufFile::get_u32_per_layer(std::string_view key,
                                                               std::uint32_t layers) const {
    const GgufEntry& entry = *DG_TRY(entry_of(*this, key));
    std::vector<std::uint32_t> values;
    if (entry.type != GgufType::array) {
        values.assign(layers, DG_TRY(get_u32(key)));
        return values;
    }
    if (entry.count != layers) {
        return fail_on(path(), Code::data_loss,
                       "{}: key {} has {} elements, expected one for each "
                       "of {} layers",
                       path(), key, entry.count, layers);
    }
    ByteReader reader(entry.value);
    for (std::uint64_t i = 0; i < entry.count; ++i) {
        const auto value = read_integer(reader, entry.element_type);
        values.push_back(
            static_cast<std::uint32_t>(DG_TRY(unsigned_in_range(*this, entry, value, kU32Max))));
    }
    return values;
}

}  // namespace engine
