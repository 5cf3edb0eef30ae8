#include "engine/model_files/gguf.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "base/files/mapped_file.h"
#include "engine/model_files/byte_reader.h"
#include "engine/model_files/tensor_type_names.h"

namespace engine {

using base::Code;
using base::fail;
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

struct alignas(32) AlignedChunk {
    std::byte bytes[32];
};

struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
        return std::hash<std::string_view>{}(text);
    }
};

}  // namespace

std::string_view gguf_type_name(GgufType type) {
    switch (type) {
        case GgufType::u8:
            return "u8";
        case GgufType::i8:
            return "i8";
        case GgufType::u16:
            return "u16";
        case GgufType::i16:
            return "i16";
        case GgufType::u32:
            return "u32";
        case GgufType::i32:
            return "i32";
        case GgufType::f32:
            return "f32";
        case GgufType::boolean:
            return "bool";
        case GgufType::string:
            return "string";
        case GgufType::array:
            return "array";
        case GgufType::u64:
            return "u64";
        case GgufType::i64:
            return "i64";
        case GgufType::f64:
            return "f64";
    }
    return "?";
}

struct GgufFile::Impl {
    base::MappedFile map;
    std::unique_ptr<AlignedChunk[]> copy;  // of misaligned memory
    std::span<const std::byte> bytes;
    std::string path;
    std::uint32_t version = 0;
    std::uint64_t alignment = kAlignmentDefault;
    std::uint64_t data_offset = 0;
    std::vector<GgufEntry> entries;
    std::vector<TensorView> tensors;
    std::unordered_map<std::string_view, std::size_t> entry_index;  // keys point into bytes
    std::unordered_map<std::string, std::size_t, StringHash, std::equal_to<>> tensor_index;

    Result<void> parse();
    Result<void> parse_entry(ByteReader& reader, std::uint64_t index);
    Result<void> skip_value(ByteReader& reader, std::string_view key, GgufType type, unsigned depth,
                            GgufEntry* entry);
    Result<void> skip_array(ByteReader& reader, std::string_view key, unsigned depth,
                            GgufEntry* entry);
    Result<std::uint64_t> parse_tensor(ByteReader& reader, std::uint64_t index);
    Result<void> parse_alignment();
    Result<void> place_tensors(const std::vector<std::uint64_t>& offsets);
    Result<void> check_overlaps() const;
    void advise(base::AccessHint hint, const TensorView& tensor) const;

    template <class... Args>
    std::unexpected<base::Error> damaged(fmt::format_string<Args...> format, Args&&... args) const {
        return fail_on(path, Code::data_loss, "{}: {}", path,
                       fmt::format(format, std::forward<Args>(args)...));
    }
};

Result<void> GgufFile::Impl::parse() {
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

Result<void> GgufFile::Impl::parse_entry(ByteReader& reader, std::uint64_t index) {
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
Result<void> GgufFile::Impl::skip_value(ByteReader& reader, std::string_view key, GgufType type,
                                        unsigned depth, GgufEntry* entry) {
    if (type == GgufType::array) return skip_array(reader, key, depth, entry);
    const std::uint64_t start = reader.offset();
    const bool whole = type == GgufType::string ? reader.read_string().has_value()
                                                : reader.take(fixed_bytes(type)).has_value();
    if (!whole) return damaged("truncated in the value of key {}", key);
    if (entry) entry->value = bytes.subspan(start, reader.offset() - start);
    return {};
}

Result<void> GgufFile::Impl::skip_array(ByteReader& reader, std::string_view key, unsigned depth,
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

Result<void> GgufFile::Impl::parse_alignment() {
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
Result<std::uint64_t> GgufFile::Impl::parse_tensor(ByteReader& reader, std::uint64_t index) {
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

Result<void> GgufFile::Impl::place_tensors(const std::vector<std::uint64_t>& offsets) {
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

Result<void> GgufFile::Impl::check_overlaps() const {
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

void GgufFile::Impl::advise(base::AccessHint hint, const TensorView& tensor) const {
    if (map.bytes().empty()) return;
    map.advise(hint, static_cast<std::size_t>(tensor.data - map.bytes().data()), tensor.bytes());
}

GgufFile::GgufFile(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GgufFile::~GgufFile() = default;
GgufFile::GgufFile(GgufFile&&) noexcept = default;
GgufFile& GgufFile::operator=(GgufFile&&) noexcept = default;

Result<GgufFile> GgufFile::open(const std::string& path) {
    auto impl = std::make_unique<Impl>();
    impl->map = DG_TRY(base::MappedFile::open(path));
    impl->bytes = impl->map.bytes();
    impl->path = path;
    DG_TRY(impl->parse());
    return GgufFile(std::move(impl));
}

Result<GgufFile> GgufFile::from_memory(std::span<const std::byte> bytes, std::string name) {
    auto impl = std::make_unique<Impl>();
    impl->path = std::move(name);
    impl->bytes = bytes;
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(AlignedChunk) != 0) {
        impl->copy = std::make_unique<AlignedChunk[]>(bytes.size() / sizeof(AlignedChunk) + 1);
        auto* to = reinterpret_cast<std::byte*>(impl->copy.get());
        std::ranges::copy(bytes, to);
        impl->bytes = {to, bytes.size()};
    }
    DG_TRY(impl->parse());
    return GgufFile(std::move(impl));
}

const std::string& GgufFile::path() const {
    return impl_->path;
}
std::uint32_t GgufFile::version() const {
    return impl_->version;
}
std::uint64_t GgufFile::alignment() const {
    return impl_->alignment;
}
std::span<const std::byte> GgufFile::bytes() const {
    return impl_->bytes;
}
std::uint64_t GgufFile::data_offset() const {
    return impl_->data_offset;
}
bool GgufFile::on_disk() const {
    return !impl_->map.bytes().empty();
}
void GgufFile::will_read(const TensorView& tensor) const {
    impl_->advise(base::AccessHint::will_need, tensor);
}
void GgufFile::will_read_single_rows(const TensorView& tensor) const {
    impl_->advise(base::AccessHint::random, tensor);
}
void GgufFile::release_pages(const TensorView& tensor) const {
    impl_->advise(base::AccessHint::dont_need, tensor);
}
std::span<const GgufEntry> GgufFile::metadata() const {
    return impl_->entries;
}
std::span<const TensorView> GgufFile::tensors() const {
    return impl_->tensors;
}

const GgufEntry* GgufFile::find(std::string_view key) const {
    const auto found = impl_->entry_index.find(key);
    return found == impl_->entry_index.end() ? nullptr : &impl_->entries[found->second];
}

const TensorView* GgufFile::find_tensor(std::string_view name) const {
    const auto found = impl_->tensor_index.find(name);
    return found == impl_->tensor_index.end() ? nullptr : &impl_->tensors[found->second];
}

Result<TensorView> GgufFile::tensor(std::string_view name) const {
    if (const TensorView* found = find_tensor(name)) return *found;
    return impl_->damaged("has no tensor {}, which its architecture needs", name);
}

}  // namespace engine
