#include "engine/model_files/gguf_writer.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <unordered_map>

#include "base/core/check.h"
#include "base/files/files.h"

namespace engine {

using base::Result;

namespace {

constexpr std::uint64_t kAlignment = 32;
constexpr std::uint32_t kVersion = 3;

std::uint64_t aligned(std::uint64_t offset) {
    return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

template <class T>
void put(std::string& out, T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out.append(bytes, sizeof(T));
}

void put_string(std::string& out, std::string_view text) {
    put<std::uint64_t>(out, text.size());
    out.append(text);
}

template <class T>
std::string scalar(GgufType type, T value) {
    std::string out;
    put(out, static_cast<std::uint32_t>(type));
    put(out, value);
    return out;
}

std::string array_head(GgufType element, std::uint64_t count) {
    std::string out = scalar(GgufType::array, static_cast<std::uint32_t>(element));
    put(out, count);
    return out;
}

template <class T>
std::string array(GgufType element, std::span<const T> values) {
    std::string out = array_head(element, values.size());
    out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    return out;
}

}  // namespace

struct GgufWriter::Impl {
    struct Entry {
        std::string key;
        std::string value;  // type number and value, as in the file
    };
    struct Tensor {
        std::string name;
        TensorType type;
        std::array<std::uint64_t, 4> dims;
        std::uint64_t bytes, offset;
    };

    explicit Impl(base::AtomicFileWriter writer) : file(std::move(writer)) {}

    void set(std::string_view key, std::string value) {
        DG_CHECK(!begun, "metadata after begin");
        const auto [at, fresh] = entry_index.try_emplace(std::string(key), entries.size());
        if (fresh) {
            entries.push_back({std::string(key), std::move(value)});
        } else {
            entries[at->second].value = std::move(value);
        }
    }
    std::string header() const;
    Result<void> pad();

    base::AtomicFileWriter file;
    std::vector<Entry> entries;
    std::unordered_map<std::string, std::size_t> entry_index;
    std::vector<Tensor> tensors;
    std::uint64_t data_bytes = 0;  // of the data section, padding between tensors included
    bool begun = false;
    std::size_t current = 0;   // tensor being filled
    std::uint64_t filled = 0;  // bytes of it
};

GgufWriter::GgufWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GgufWriter::~GgufWriter() = default;
GgufWriter::GgufWriter(GgufWriter&&) noexcept = default;
GgufWriter& GgufWriter::operator=(GgufWriter&&) noexcept = default;

Result<GgufWriter> GgufWriter::create(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    base::remove_abandoned(folder.empty() ? "." : folder,
                           [](std::string_view target) { return target.ends_with(".gguf"); });
    return GgufWriter(std::make_unique<Impl>(DG_TRY(base::AtomicFileWriter::create(path))));
}

void GgufWriter::set_u32(std::string_view key, std::uint32_t value) {
    impl_->set(key, scalar(GgufType::u32, value));
}
void GgufWriter::set_u64(std::string_view key, std::uint64_t value) {
    impl_->set(key, scalar(GgufType::u64, value));
}
void GgufWriter::set_i32(std::string_view key, std::int32_t value) {
    impl_->set(key, scalar(GgufType::i32, value));
}
void GgufWriter::set_f32(std::string_view key, float value) {
    impl_->set(key, scalar(GgufType::f32, value));
}
void GgufWriter::set_bool(std::string_view key, bool value) {
    impl_->set(key, scalar(GgufType::boolean, static_cast<std::uint8_t>(value)));
}
void GgufWriter::set_string(std::string_view key, std::string_view value) {
    std::string out = scalar(GgufType::string, static_cast<std::uint64_t>(value.size()));
    out.append(value);
    impl_->set(key, std::move(out));
}
void GgufWriter::set_strings(std::string_view key, std::span<const std::string> values) {
    std::string out = array_head(GgufType::string, values.size());
    for (const std::string& value : values) put_string(out, value);
    impl_->set(key, std::move(out));
}
void GgufWriter::set_f32s(std::string_view key, std::span<const float> values) {
    impl_->set(key, array(GgufType::f32, values));
}
void GgufWriter::set_i32s(std::string_view key, std::span<const std::int32_t> values) {
    impl_->set(key, array(GgufType::i32, values));
}
void GgufWriter::set_u32s(std::string_view key, std::span<const std::uint32_t> values) {
    impl_->set(key, array(GgufType::u32, values));
}
void GgufWriter::set_bytes(std::string_view key, std::string_view bytes) {
    impl_->set(key, array(GgufType::u8, std::span(bytes)));
}
void GgufWriter::set_entry(const GgufEntry& entry) {
    std::string out;
    if (entry.type == GgufType::array) {
        out = array_head(entry.element_type, entry.count);
    } else {
        put(out, static_cast<std::uint32_t>(entry.type));
    }
    out.append(reinterpret_cast<const char*>(entry.value.data()), entry.value.size());
    impl_->set(entry.key, std::move(out));
}
bool GgufWriter::has(std::string_view key) const {
    return impl_->entry_index.contains(std::string(key));
}

void GgufWriter::add_tensor(std::string_view name, TensorType type,
                            std::array<std::uint64_t, 4> dims) {
    DG_CHECK(!impl_->begun, "tensor after begin");
    DG_CHECK(dims[0] % block_shape(type).elements == 0, "rows hold whole blocks");
    const std::uint64_t bytes = dims[1] * dims[2] * dims[3] * row_bytes(type, dims[0]);
    impl_->tensors.push_back({std::string(name), type, dims, bytes, impl_->data_bytes});
    impl_->data_bytes = aligned(impl_->data_bytes + bytes);
}

std::string GgufWriter::Impl::header() const {
    std::string out = "GGUF";
    put(out, kVersion);
    put<std::uint64_t>(out, tensors.size());
    put<std::uint64_t>(out, entries.size());
    for (const Entry& entry : entries) {
        put_string(out, entry.key);
        out.append(entry.value);
    }
    for (const Tensor& tensor : tensors) {
        std::uint32_t dim_count = 4;
        while (dim_count > 1 && tensor.dims[dim_count - 1] == 1) --dim_count;
        put_string(out, tensor.name);
        put(out, dim_count);
        for (std::uint32_t d = 0; d < dim_count; ++d) put(out, tensor.dims[d]);
        put(out, static_cast<std::uint32_t>(tensor.type));
        put(out, tensor.offset);
    }
    return out;
}

Result<void> GgufWriter::Impl::pad() {
    const std::uint64_t at = file.bytes_written();
    return file.write(std::string(aligned(at) - at, '\0'));
}

Result<void> GgufWriter::begin() {
    DG_CHECK(!impl_->begun, "begin is called once");
    // An alignment copied from another file would contradict the offsets chosen here.
    if (has("general.alignment")) set_u32("general.alignment", kAlignment);
    impl_->begun = true;
    DG_TRY(impl_->file.write(impl_->header()));
    return impl_->pad();
}

Result<void> GgufWriter::write_tensor_data(std::span<const std::byte> bytes) {
    Impl& state = *impl_;
    DG_CHECK(state.begun, "tensor data before begin");
    while (!bytes.empty()) {
        DG_CHECK(state.current < state.tensors.size(), "more data than tensors declared");
        const std::uint64_t wanted = state.tensors[state.current].bytes - state.filled;
        const auto piece = bytes.first(std::min<std::uint64_t>(wanted, bytes.size()));
        DG_TRY(state.file.write(piece));
        state.filled += piece.size();
        bytes = bytes.subspan(piece.size());
        if (piece.size() == wanted) {
            DG_TRY(state.pad());
            ++state.current;
            state.filled = 0;
        }
    }
    return {};
}

Result<void> GgufWriter::commit() {
    DG_CHECK(impl_->begun && impl_->current == impl_->tensors.size(), "a tensor is incomplete");
    return impl_->file.commit();
}

std::uint64_t GgufWriter::tensor_bytes_total() const {
    std::uint64_t total = 0;
    for (const Impl::Tensor& tensor : impl_->tensors) total += tensor.bytes;
    return total;
}

std::uint64_t GgufWriter::bytes_written() const {
    return impl_->file.bytes_written();
}

}  // namespace engine
