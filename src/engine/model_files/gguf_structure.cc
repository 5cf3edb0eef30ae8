#include "engine/model_files/gguf_structure.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "engine/model_files/byte_reader.h"
#include "engine/model_files/tensor_type_names.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint64_t kAlignmentDefault = 32;
constexpr std::uint64_t kAlignmentMax = 1u << 20;
constexpr unsigned kArrayDepthMax = 4;
constexpr std::uint32_t kDimsMax = 4;
// The smallest a metadata entry and a tensor entry can be; bounds counts before memory is taken.
constexpr std::uint64_t kEntryBytesMin = 8 + 4 + 1;
constexpr std::uint64_t kTensorBytesMin = 8 + 4 + 8 + 4 + 8;
// A large file may claim millions of entries and break off after two: memory follows what is read.
constexpr std::uint64_t kReservedMax = 4096;

/// Bytes of a fixed-size value; 0 for strings and arrays.
std::uint64_t fixed_bytes(GgufType type) {
    switch (type) {
        case GgufType::u8:
        case GgufType::i8:
        case GgufType::boolean:
            return 1;
        case GgufType::u16:
        case GgufType::i16:
            return 2;
        case GgufType::u32:
        case GgufType::i32:
        case GgufType::f32:
            return 4;
        case GgufType::u64:
        case GgufType::i64:
        case GgufType::f64:
            return 8;
        case GgufType::string:
        case GgufType::array:
            return 0;
    }
    return 0;
}

std::optional<GgufType> gguf_type(std::uint32_t number) {
    if (number > static_cast<std::uint32_t>(GgufType::f64)) return std::nullopt;
    return static_cast<GgufType>(number);
}

}  // namespace

Result<void> GgufStructure::parse() {
    ByteReader reader(bytes);
    const auto magic = reader.take(kMagic.size());
    if (!magic || !std::ranges::equal(*magic, std::as_bytes(std::span(kMagic)))) {
        return damaged("not a GGUF file (its first four bytes are not `GGUF`)");
    }
    const auto version_read = reader.read<std::uint32_t>();
    if (!version_read) return damaged("truncated before its version");
    version = *version_read;
    if (version != 2 && version != 3) {
        const bool big_endian = version != 0 && (version & 0xffffu) == 0;
        return fail_on(path, Code::unimplemented,
                       "{}: GGUF version {}{}; versions 2 and 3, little-endian, are supported: "
                       "convert the model again with a current converter",
                       path, version, big_endian ? " (big-endian)" : "");
    }
    const auto tensor_count = reader.read<std::uint64_t>();
    const auto entry_count = reader.read<std::uint64_t>();
    if (!tensor_count || !entry_count) return damaged("truncated before its counts");
    if (*entry_count > reader.left() / kEntryBytesMin) {
        return damaged("says {} metadata entries, but {} bytes are left", *entry_count,
                       reader.left());
    }
    entries.reserve(std::min(*entry_count, kReservedMax));
    for (std::uint64_t i = 0; i < *entry_count; ++i) DG_TRY(parse_entry(reader, i));
    if (*tensor_count > reader.left() / kTensorBytesMin) {
        return damaged("says {} tensors, but {} bytes are left", *tensor_count, reader.left());
    }
    DG_TRY(parse_alignment());
    std::vector<std::uint64_t> offsets;
    tensors.reserve(std::min(*tensor_count, kReservedMax));
    for (std::uint64_t i = 0; i < *tensor_count; ++i) {
        offsets.push_back(DG_TRY(parse_tensor(reader, i)));
    }
    data_offset = (reader.offset() + alignment - 1) / alignment * alignment;
    return place_tensors(offsets);
}

Result<void> GgufStructure::parse_entry(ByteReader& reader, std::uint64_t index) {
    const auto key = reader.read_string();
    if (!key) return damaged("truncated in the key of metadata entry {}", index);
    const auto number = reader.read<std::uint32_t>();
    if (!number) return damaged("truncated at key {}", *key);
    const auto type = gguf_type(*number);
    if (!type) return damaged("key {} has unknown value type {}", *key, *number);
    GgufEntry entry;
    entry.key = *key;
    entry.type = *type;
    DG_TRY(skip_value(reader, *key, *type, 0, &entry));
    if (!entry_index.emplace(entry.key, entries.size()).second) {
        return damaged("key {} appears twice", *key);
    }
    entries.push_back(entry);
    return {};
}

/// Checks one value and moves past it; fills `entry` when it is the entry's own value.
Result<void> GgufStructure::skip_value(ByteReader& reader, std::string_view key, GgufType type,
                                       unsigned depth, GgufEntry* entry) {
    if (type == GgufType::array) return skip_array(reader, key, depth, entry);
    const std::uint64_t start = reader.offset();
    const bool whole = type == GgufType::string ? reader.read_string().has_value()
                                                : reader.take(fixed_bytes(type)).has_value();
    if (!whole) return damaged("truncated in the value of key {}", key);
    if (entry) entry->value = bytes.subspan(start, reader.offset() - start);
    return {};
}

Result<void> GgufStructure::skip_array(ByteReader& reader, std::string_view key, unsigned depth,
                                       GgufEntry* entry) {
    const auto number = reader.read<std::uint32_t>();
    const auto count = reader.read<std::uint64_t>();
    if (!number || !count) return damaged("truncated in the array of key {}", key);
    const auto type = gguf_type(*number);
    if (!type) return damaged("array {} has unknown element type {}", key, *number);
    if (depth >= kArrayDepthMax) return damaged("array {} is nested too deeply", key);
    const std::uint64_t element_bytes_min = *type == GgufType::string  ? 8
                                            : *type == GgufType::array ? 12
                                                                       : fixed_bytes(*type);
    if (*count > reader.left() / element_bytes_min) {
        return damaged("array {} says {} elements of {}, but {} bytes are left", key, *count,
                       gguf_type_name(*type), reader.left());
    }
    const std::uint64_t start = reader.offset();
    if (const std::uint64_t size = fixed_bytes(*type); size != 0) {
        static_cast<void>(reader.take(*count * size));  // checked just above
    } else {
        for (std::uint64_t i = 0; i < *count; ++i) {
            DG_TRY(skip_value(reader, key, *type, depth + 1, nullptr));
        }
    }
    if (entry) {
        entry->element_type = *type;
        entry->count = *count;
        entry->value = bytes.subspan(start, reader.offset() - start);
    }
    return {};
}

Result<void> GgufStructure::parse_alignment() {
    const auto found = entry_index.find("general.alignment");
    if (found == entry_index.end()) return {};
    const GgufEntry& entry = entries[found->second];
    if (entry.type != GgufType::u32) {
        return damaged("general.alignment is {}, expected u32", gguf_type_name(entry.type));
    }
    alignment = *ByteReader(entry.value).read<std::uint32_t>();
    if (alignment < 8 || alignment > kAlignmentMax || (alignment & (alignment - 1)) != 0) {
        return damaged("general.alignment is {}, expected a power of two from 8 to {}", alignment,
                       kAlignmentMax);
    }
    return {};
}

/// Returns the tensor's offset from data_offset, which is known only after the last entry.
Result<std::uint64_t> GgufStructure::parse_tensor(ByteReader& reader, std::uint64_t index) {
    const auto name = reader.read_string();
    if (!name) return damaged("truncated in the name of tensor {}", index);
    const auto dim_count = reader.read<std::uint32_t>();
    if (!dim_count) return damaged("truncated in the entry of tensor {}", *name);
    if (*dim_count > kDimsMax) {
        return damaged("tensor {} has {} dimensions, expected at most 4", *name, *dim_count);
    }
    TensorView tensor;
    tensor.name = *name;
    std::uint64_t elements = 1;
    for (std::uint32_t d = 0; d < *dim_count; ++d) {
        const auto dim = reader.read<std::uint64_t>();
        if (!dim) return damaged("truncated in the entry of tensor {}", *name);
        if (*dim == 0 || *dim > std::numeric_limits<std::int64_t>::max() / elements) {
            return damaged("tensor {} has an impossible dimension {}", *name, *dim);
        }
        tensor.dims[d] = *dim;
        elements *= *dim;
    }
    const auto type_number = reader.read<std::uint32_t>();
    const auto offset = reader.read<std::uint64_t>();
    if (!type_number || !offset) return damaged("truncated in the entry of tensor {}", *name);
    const auto type = tensor_type_from_file(*type_number);
    if (!type) {
        return fail_on(path, Code::unimplemented,
                       "{}: tensor {} has type {}, which this engine cannot compute with; use the "
                       "model in one of {}",
                       path, *name, describe_file_type(*type_number), supported_type_names());
    }
    tensor.type = *type;
    const BlockShape block = block_shape(*type);
    if (tensor.dims[0] % block.elements != 0) {
        return damaged("tensor {} has rows of {} values, not a multiple of {}'s {}", *name,
                       tensor.dims[0], tensor_type_name(*type), block.elements);
    }
    // No type has over 8 bytes per element, so this keeps bytes() from wrapping.
    if (elements > std::numeric_limits<std::int64_t>::max() / 8) {
        return damaged("tensor {} says {} elements", *name, elements);
    }
    if (!tensor_index.emplace(tensor.name, tensors.size()).second) {
        return damaged("tensor {} appears twice", *name);
    }
    tensors.push_back(std::move(tensor));
    return *offset;
}

Result<void> GgufStructure::place_tensors(const std::vector<std::uint64_t>& offsets) {
    const std::uint64_t data_bytes = bytes.size() > data_offset ? bytes.size() - data_offset : 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        TensorView& tensor = tensors[i];
        if (offsets[i] % alignment != 0) {
            return damaged("tensor {} lies at offset {}, not a multiple of {}", tensor.name,
                           offsets[i], alignment);
        }
        if (offsets[i] > data_bytes || tensor.bytes() > data_bytes - offsets[i]) {
            return damaged(
                "truncated: tensor {} needs bytes {} to {} of the data, the file has {};"
                " fetch the file again",
                tensor.name, offsets[i], offsets[i] + tensor.bytes(), data_bytes);
        }
        tensor.data = bytes.data() + data_offset + offsets[i];
    }
    return check_overlaps();
}

Result<void> GgufStructure::check_overlaps() const {
    std::vector<const TensorView*> by_place;
    for (const TensorView& tensor : tensors) by_place.push_back(&tensor);
    std::ranges::sort(by_place, {}, &TensorView::data);
    for (std::size_t i = 1; i < by_place.size(); ++i) {
        const TensorView& before = *by_place[i - 1];
        if (before.data + before.bytes() > by_place[i]->data) {
            return damaged("tensors {} and {} overlap", before.name, by_place[i]->name);
        }
    }
    return {};
}

}  // namespace engine
