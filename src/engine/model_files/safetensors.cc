#include "engine/model_files/safetensors.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <set>

#include "base/core/check.h"
#include "base/files/files.h"
#include "base/files/mapped_file.h"
#include "base/json/json.h"
#include "engine/model_files/byte_reader.h"
#include "engine/tensor/quantize.h"

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

namespace {

constexpr std::uint64_t kHeaderBytesMax = 100u << 20;
constexpr std::size_t kDimsMax = 8;

std::uint64_t type_bytes(std::string_view name) {
    constexpr std::pair<std::string_view, std::uint64_t> kTypes[] = {
        {"F32", 4},     {"F16", 2},     {"BF16", 2}, {"F64", 8}, {"I64", 8},
        {"I32", 4},     {"I16", 2},     {"I8", 1},   {"U8", 1},  {"BOOL", 1},
        {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"U16", 2},  {"U32", 4}, {"U64", 8}};
    for (const auto& [known, bytes] : kTypes) {
        if (known == name) return bytes;
    }
    return 0;
}

SafeType safe_type(std::string_view name) {
    if (name == "F32") return SafeType::f32;
    if (name == "F16") return SafeType::f16;
    if (name == "BF16") return SafeType::bf16;
    return SafeType::other;
}

/// A JSON number as a count, or nothing.
std::optional<std::uint64_t> as_count(const base::json::value& value) {
    if (value.is_uint64()) return value.get_uint64();
    if (value.is_int64() && value.get_int64() >= 0) {
        return static_cast<std::uint64_t>(value.get_int64());
    }
    return std::nullopt;
}

/// Parses the header of one mapped file.
class HeaderParser {
public:
    HeaderParser(const std::string& path, std::span<const std::byte> bytes)
        : path_(path), bytes_(bytes) {}

    Result<std::vector<SafeTensor>> parse();

private:
    Result<SafeTensor> parse_tensor(std::string_view name, const base::json::value& entry);
    Result<std::uint64_t> parse_shape(const base::json::object& entry, SafeTensor& tensor);
    Result<void> check_coverage(std::vector<SafeTensor>& tensors) const;

    template <class... Args>
    std::unexpected<base::Error> damaged(fmt::format_string<Args...> format, Args&&... args) const {
        return fail_on(path_, Code::data_loss, "{}: {}", path_,
                       fmt::format(format, std::forward<Args>(args)...));
    }

    const std::string& path_;
    std::span<const std::byte> bytes_;
    std::span<const std::byte> data_;
};

Result<std::vector<SafeTensor>> HeaderParser::parse() {
    ByteReader reader(bytes_);
    const auto header_bytes = reader.read<std::uint64_t>();
    if (!header_bytes) return damaged("not a safetensors file (shorter than 8 bytes)");
    if (*header_bytes > kHeaderBytesMax || *header_bytes > reader.left()) {
        return damaged("not a safetensors file, or cut off: its header says {} bytes, {} are left",
                       *header_bytes, reader.left());
    }
    const auto text = *reader.take(*header_bytes);
    data_ = bytes_.subspan(reader.offset());
    const auto header = base::parse_json({reinterpret_cast<const char*>(text.data()), text.size()});
    if (!header) return damaged("header: {}", header.error().message);
    if (!header->is_object()) return damaged("header is not a JSON object");
    std::vector<SafeTensor> tensors;
    for (const auto& [name, entry] : header->get_object()) {
        if (name == "__metadata__") continue;
        tensors.push_back(DG_TRY(parse_tensor(name, entry)));
    }
    DG_TRY(check_coverage(tensors));
    return tensors;
}

Result<SafeTensor> HeaderParser::parse_tensor(std::string_view name,
                                              const base::json::value& value) {
    const base::json::object* entry = value.if_object();
    if (entry == nullptr) return damaged("entry of tensor {} is not an object", name);
    SafeTensor tensor;
    tensor.name = name;
    const base::json::value* type = entry->if_contains("dtype");
    if (type == nullptr || !type->is_string()) return damaged("tensor {} has no dtype", name);
    tensor.type_name = std::string(type->get_string());
    tensor.type = safe_type(tensor.type_name);
    const std::uint64_t element_bytes = type_bytes(tensor.type_name);
    if (element_bytes == 0)
        return damaged("tensor {} has unknown dtype {}", name, tensor.type_name);
    const std::uint64_t elements = DG_TRY(parse_shape(*entry, tensor));
    const base::json::value* offsets = entry->if_contains("data_offsets");
    if (offsets == nullptr || !offsets->is_array() || offsets->get_array().size() != 2) {
        return damaged("tensor {} has no data_offsets", name);
    }
    const auto begin = as_count(offsets->get_array()[0]);
    const auto end = as_count(offsets->get_array()[1]);
    if (!begin || !end || *begin > *end || *end > data_.size()) {
        return damaged("cut off: tensor {} lies outside of the {} bytes of data; fetch it again",
                       name, data_.size());
    }
    if (*end - *begin != elements * element_bytes) {
        return damaged("tensor {} has {} bytes, its shape and dtype need {}", name, *end - *begin,
                       elements * element_bytes);
    }
    tensor.data = data_.subspan(*begin, *end - *begin);
    return tensor;
}

Result<std::uint64_t> HeaderParser::parse_shape(const base::json::object& entry,
                                                SafeTensor& tensor) {
    const base::json::value* shape = entry.if_contains("shape");
    if (shape == nullptr || !shape->is_array() || shape->get_array().size() > kDimsMax) {
        return damaged("tensor {} has no usable shape", tensor.name);
    }
    std::uint64_t elements = 1;
    for (const base::json::value& dim : shape->get_array()) {
        const auto size = as_count(dim);
        if (!size || (*size != 0 && elements > (1ull << 56) / *size)) {
            return damaged("tensor {} has an impossible dimension", tensor.name);
        }
        elements *= *size;
        tensor.shape.push_back(*size);
    }
    return elements;
}

/// The format allows neither overlaps nor holes; both are signs of a file put together wrongly.
Result<void> HeaderParser::check_coverage(std::vector<SafeTensor>& tensors) const {
    std::ranges::sort(tensors, {}, [](const SafeTensor& tensor) {
        return std::pair(tensor.data.data(), tensor.data.size());
    });
    const std::byte* at = data_.data();
    for (const SafeTensor& tensor : tensors) {
        if (tensor.data.empty()) continue;
        if (tensor.data.data() != at) {
            return damaged("tensor {} {} the data before it", tensor.name,
                           tensor.data.data() < at ? "overlaps" : "leaves a hole after");
        }
        at += tensor.data.size();
    }
    if (at != data_.data() + data_.size()) {
        return damaged("{} bytes of data belong to no tensor", data_.data() + data_.size() - at);
    }
    return {};
}

}  // namespace

std::uint64_t SafeTensor::elements() const {
    std::uint64_t product = 1;
    for (const std::uint64_t dim : shape) product *= dim;
    return product;
}

struct Safetensors::Impl {
    std::string path;
    std::vector<base::MappedFile> files;
    std::vector<NamedValues> values;  // of other formats
    std::uint64_t other_bytes = 0;    // of their files
    std::vector<SafeTensor> tensors;

    Result<void> add_file(const std::string& file);
    Result<void> finish();
};

Result<void> Safetensors::Impl::add_file(const std::string& file) {
    base::MappedFile map = DG_TRY(base::MappedFile::open(file));
    std::vector<SafeTensor> found = DG_TRY(HeaderParser(file, map.bytes()).parse());
    std::ranges::move(found, std::back_inserter(tensors));
    files.push_back(std::move(map));
    return {};
}

Result<void> Safetensors::Impl::finish() {
    std::ranges::sort(tensors, {}, &SafeTensor::name);
    const auto twice = std::ranges::adjacent_find(tensors, {}, &SafeTensor::name);
    if (twice != tensors.end()) {
        return fail_on(path, Code::data_loss, "{}: tensor {} appears in two shards", path,
                       twice->name);
    }
    return {};
}

Safetensors::Safetensors(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Safetensors::~Safetensors() = default;
Safetensors::Safetensors(Safetensors&&) noexcept = default;
Safetensors& Safetensors::operator=(Safetensors&&) noexcept = default;

Result<Safetensors> Safetensors::open(const std::string& path) {
    auto impl = std::make_unique<Impl>();
    impl->path = path;
    DG_TRY(impl->add_file(path));
    DG_TRY(impl->finish());
    return Safetensors(std::move(impl));
}

Result<Safetensors> Safetensors::of_values(std::string path, std::vector<NamedValues> values,
                                           std::uint64_t file_bytes) {
    auto impl = std::make_unique<Impl>();
    impl->path = std::move(path);
    impl->values = std::move(values);
    impl->other_bytes = file_bytes;
    for (const NamedValues& one : impl->values) {
        impl->tensors.push_back({.name = one.name,
                                 .type = SafeType::f32,
                                 .type_name = "F32",
                                 .shape = one.shape,
                                 .data = std::as_bytes(std::span(one.values))});
    }
    DG_TRY(impl->finish());
    return Safetensors(std::move(impl));
}

namespace {

/// File name by tensor name, from model.safetensors.index.json.
Result<std::map<std::string, std::string>> read_weight_map(const std::string& path) {
    const base::json::value index = DG_TRY(base::parse_json_file(path));
    const base::json::value* map =
        index.is_object() ? index.get_object().if_contains("weight_map") : nullptr;
    if (map == nullptr || !map->is_object()) {
        return fail_on(path, Code::data_loss, "{}: has no object `weight_map`", path);
    }
    std::map<std::string, std::string> files;
    for (const auto& [tensor, file] : map->get_object()) {
        // A shard lies beside its index: a path would let the index read elsewhere.
        if (!file.is_string() || file.get_string().find('/') != std::string::npos) {
            return fail_on(path, Code::data_loss, "{}: shard of tensor {} is not a file name", path,
                           std::string_view(tensor));
        }
        files.emplace(tensor, file.get_string());
    }
    return files;
}

Result<std::string> only_safetensors_file(const std::string& folder) {
    std::vector<std::string> found;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
        if (entry.path().extension() == ".safetensors") found.push_back(entry.path().string());
    }
    if (error) {
        return fail_on(folder, Code::not_found, "cannot read folder {}: {}", folder,
                       error.message());
    }
    if (found.empty()) {
        return fail_on(folder, Code::not_found, "{} holds no *.safetensors file", folder);
    }
    if (found.size() > 1) {
        return fail_on(folder, Code::not_found,
                       "{} holds {} *.safetensors files but no "
                       "model.safetensors.index.json that says how they belong together",
                       folder, found.size());
    }
    return found.front();
}

}  // namespace

Result<Safetensors> Safetensors::open_folder(const std::string& folder) {
    const std::string index = folder + "/model.safetensors.index.json";
    if (!base::path_exists(index)) {
        const std::string single = folder + "/model.safetensors";
        if (base::path_exists(single)) return open(single);
        return open(DG_TRY(only_safetensors_file(folder)));
    }
    const auto weight_map = DG_TRY(read_weight_map(index));
    auto impl = std::make_unique<Impl>();
    impl->path = folder;
    std::set<std::string> names;
    for (const auto& [tensor, file] : weight_map) names.insert(file);
    for (const std::string& name : names) DG_TRY(impl->add_file(folder + "/" + name));
    DG_TRY(impl->finish());
    Safetensors all(std::move(impl));
    for (const auto& [tensor, file] : weight_map) {
        if (all.find(tensor) == nullptr) {
            return fail_on(index, Code::data_loss, "{}: tensor {} is not in {}", index, tensor,
                           file);
        }
    }
    return all;
}

std::span<const SafeTensor> Safetensors::tensors() const {
    return impl_->tensors;
}

const SafeTensor* Safetensors::find(std::string_view name) const {
    const auto found = std::ranges::lower_bound(impl_->tensors, name, {}, &SafeTensor::name);
    return found == impl_->tensors.end() || found->name != name ? nullptr : &*found;
}

Result<const SafeTensor*> Safetensors::tensor(std::string_view name) const {
    if (const SafeTensor* found = find(name)) return found;
    return fail_on(impl_->path, Code::data_loss, "{}: has no tensor {}", impl_->path, name);
}

std::uint64_t Safetensors::bytes() const {
    std::uint64_t total = impl_->other_bytes;
    for (const base::MappedFile& file : impl_->files) total += file.bytes().size();
    return total;
}

void read_values(const SafeTensor& tensor, std::uint64_t first, std::uint64_t count, float* out) {
    DG_CHECK(tensor.type != SafeType::other, "values of a type that is not readable");
    const TensorType type = tensor.type == SafeType::f32   ? TensorType::f32
                            : tensor.type == SafeType::f16 ? TensorType::f16
                                                           : TensorType::bf16;
    const std::uint64_t size = row_bytes(type, 1);
    DG_CHECK((first + count) * size <= tensor.data.size(), "values outside of the tensor");
    dequantize_row(type, tensor.data.data() + first * size, count, out);
}

}  // namespace engine
