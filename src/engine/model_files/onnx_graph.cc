#include "engine/model_files/onnx_graph.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>

#include "base/files/mapped_file.h"
#include "engine/model_files/protobuf.h"
#include "engine/tensor/quantize.h"

namespace engine {

using base::Code;
using base::fail;
using base::Result;

namespace {

constexpr std::string_view kWhat = "an ONNX model";
constexpr std::size_t kDimsMax = 8;
constexpr std::uint64_t kElementsMax = 1ull << 40;

std::uint64_t element_bytes(std::uint32_t type) {
    switch (static_cast<OnnxType>(type)) {
        case OnnxType::u8:
        case OnnxType::i8:
            return 1;
        case OnnxType::f16:
        case OnnxType::bf16:
            return 2;
        case OnnxType::f32:
        case OnnxType::i32:
            return 4;
        case OnnxType::i64:
        case OnnxType::f64:
            return 8;
    }
    return 0;
}

/// A repeated number: packed into bytes, or one field each.
Result<void> add_varints(const ProtoField& field, std::vector<std::int64_t>& out) {
    if (field.wire == 0) {
        out.push_back(static_cast<std::int64_t>(field.varint));
        return {};
    }
    if (field.wire != 2) return fail(Code::data_loss, "{}: a list of numbers is damaged", kWhat);
    ByteReader reader(field.bytes);
    while (reader.left() > 0) {
        const auto value = read_varint(reader);
        if (!value) return fail(Code::data_loss, "{}: a list of numbers is cut off", kWhat);
        out.push_back(static_cast<std::int64_t>(*value));
    }
    return {};
}

template <class T>
void add_floats(std::span<const std::byte> bytes, std::vector<float>& out) {
    for (std::size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
        T value;
        std::memcpy(&value, bytes.data() + at, sizeof(T));
        out.push_back(static_cast<float>(value));
    }
}

}  // namespace

std::uint64_t OnnxTensor::elements() const {
    std::uint64_t product = 1;
    for (const std::uint64_t dim : dims) product *= dim;
    return product;
}

bool OnnxTensor::is_bytes() const {
    return type == static_cast<std::uint32_t>(OnnxType::u8) ||
           type == static_cast<std::uint32_t>(OnnxType::i8);
}

Result<std::vector<float>> OnnxTensor::floats() const {
    if (external) {
        return fail(Code::unimplemented,
                    "tensor {} is in a file of its own; save the model as one file", name);
    }
    std::vector<float> out;
    out.reserve(bytes.size() / std::max<std::uint64_t>(1, element_bytes(type)));
    switch (static_cast<OnnxType>(type)) {
        case OnnxType::f32:
            add_floats<float>(bytes, out);
            break;
        case OnnxType::u8:
            add_floats<std::uint8_t>(bytes, out);
            break;
        case OnnxType::i8:
            add_floats<std::int8_t>(bytes, out);
            break;
        case OnnxType::i32:
            add_floats<std::int32_t>(bytes, out);
            break;
        case OnnxType::i64:
            add_floats<std::int64_t>(bytes, out);
            break;
        case OnnxType::f64:
            add_floats<double>(bytes, out);
            break;
        case OnnxType::f16:
        case OnnxType::bf16: {
            const bool half = static_cast<OnnxType>(type) == OnnxType::f16;
            out.resize(bytes.size() / 2);
            dequantize_row(half ? TensorType::f16 : TensorType::bf16, bytes.data(), out.size(),
                           out.data());
            break;
        }
        default:
            return fail(Code::unimplemented,
                        "tensor {} has ONNX type {}; floats and 8-bit integers can be converted",
                        name, type);
    }
    return out;
}

const OnnxAttribute* OnnxNode::attribute(std::string_view wanted) const {
    const auto found = std::ranges::find(attributes, wanted, &OnnxAttribute::name);
    return found == attributes.end() ? nullptr : &*found;
}

std::string_view OnnxNode::input(std::size_t index) const {
    return index < inputs.size() ? std::string_view(inputs[index]) : std::string_view();
}

struct OnnxGraph::Impl {
    std::string path;
    std::optional<base::MappedFile> file;
    std::uint64_t bytes = 0;
    std::vector<OnnxNode> nodes;
    std::deque<OnnxTensor> tensors;               // others point here
    std::deque<std::vector<std::byte>> unpacked;  // values that were not stored as bytes
    std::map<std::string, const OnnxTensor*, std::less<>> initializers;
    std::map<std::string, std::size_t, std::less<>> makers, readers;

    Result<void> read_model(std::span<const std::byte> message);
    Result<void> read_graph(std::span<const std::byte> message);
    Result<void> read_node(std::span<const std::byte> message);
    Result<OnnxAttribute> read_attribute(std::span<const std::byte> message);
    Result<const OnnxTensor*> read_tensor(std::span<const std::byte> message);
    Result<void> check(OnnxTensor& tensor, const std::vector<std::int64_t>& numbers);
};

Result<void> OnnxGraph::Impl::read_model(std::span<const std::byte> message) {
    bool has_graph = false;
    DG_TRY(for_each_proto_field(message, kWhat, [&](const ProtoField& field) -> Result<void> {
        if (field.number != 7 || field.wire != 2) return {};
        has_graph = true;
        return read_graph(field.bytes);
    }));
    if (!has_graph || nodes.empty()) return fail(Code::data_loss, "not {}: no graph in it", kWhat);
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        for (const std::string& value : nodes[i].outputs) makers.emplace(value, i);
        for (const std::string& value : nodes[i].inputs) readers.emplace(value, i);
    }
    return {};
}

Result<void> OnnxGraph::Impl::read_graph(std::span<const std::byte> message) {
    return for_each_proto_field(message, kWhat, [&](const ProtoField& field) -> Result<void> {
        if (field.wire != 2) return {};
        if (field.number == 1) return read_node(field.bytes);
        if (field.number == 15) {
            return fail(Code::unimplemented, "the graph has sparse tensors, which are not read");
        }
        if (field.number != 5) return {};
        const OnnxTensor* tensor = DG_TRY(read_tensor(field.bytes));
        initializers.emplace(tensor->name, tensor);
        return {};
    });
}

Result<void> OnnxGraph::Impl::read_node(std::span<const std::byte> message) {
    OnnxNode node;
    DG_TRY(for_each_proto_field(message, kWhat, [&](const ProtoField& field) -> Result<void> {
        if (field.wire != 2) return {};
        switch (field.number) {
            case 1:
                node.inputs.push_back(field.text());
                break;
            case 2:
                node.outputs.push_back(field.text());
                break;
            case 3:
                node.name = field.text();
                break;
            case 4:
                node.op = field.text();
                break;
            case 5:
                node.attributes.push_back(DG_TRY(read_attribute(field.bytes)));
                break;
            case 7:
                node.domain = field.text();
                break;
            default:
                break;
        }
        return {};
    }));
    nodes.push_back(std::move(node));
    return {};
}

Result<OnnxAttribute> OnnxGraph::Impl::read_attribute(std::span<const std::byte> message) {
    OnnxAttribute attribute;
    DG_TRY(for_each_proto_field(message, kWhat, [&](const ProtoField& field) -> Result<void> {
        switch (field.number) {
            case 1:
                attribute.name = field.text();
                break;
            case 2:
                attribute.f32 = field.f32;
                break;
            case 3:
                attribute.integer = static_cast<std::int64_t>(field.varint);
                break;
            case 4:
                attribute.text = field.text();
                break;
            case 5:
                attribute.tensor = DG_TRY(read_tensor(field.bytes));
                break;
            case 6:
                return fail(Code::unimplemented,
                            "a node has a graph of its own ({}), which is not "
                            "read",
                            attribute.name);
            case 8:
                return add_varints(field, attribute.integers);
            default:
                break;
        }
        return {};
    }));
    return attribute;
}

Result<const OnnxTensor*> OnnxGraph::Impl::read_tensor(std::span<const std::byte> message) {
    OnnxTensor tensor;
    std::vector<std::int64_t> dims, numbers;
    DG_TRY(for_each_proto_field(message, kWhat, [&](const ProtoField& field) -> Result<void> {
        switch (field.number) {
            case 1:
                return add_varints(field, dims);
            case 2:
                tensor.type = static_cast<std::uint32_t>(field.varint);
                break;
            case 4:   // floats
            case 10:  // doubles
                tensor.bytes = field.bytes;
                break;
            case 5:  // 32-bit and shorter integers
            case 7:  // 64-bit ones
                return add_varints(field, numbers);
            case 8:
                tensor.name = field.text();
                break;
            case 9:
                tensor.bytes = field.bytes;
                break;
            case 14:
                tensor.external = field.varint == 1;
                break;
            default:
                break;
        }
        return {};
    }));
    std::uint64_t elements = 1;
    for (const std::int64_t dim : dims) {
        const bool possible =
            dim >= 0 && dims.size() <= kDimsMax &&
            (dim == 0 || elements <= kElementsMax / static_cast<std::uint64_t>(dim));
        if (!possible) {
            return fail(Code::data_loss, "tensor {} has an impossible shape", tensor.name);
        }
        elements *= static_cast<std::uint64_t>(dim);
        tensor.dims.push_back(static_cast<std::uint64_t>(dim));
    }
    DG_TRY(check(tensor, numbers));
    return &tensors.emplace_back(std::move(tensor));
}

/// Its bytes are as many as its shape and type need. Types that no weight has are left alone.
Result<void> OnnxGraph::Impl::check(OnnxTensor& tensor, const std::vector<std::int64_t>& numbers) {
    const std::uint64_t size = element_bytes(tensor.type);
    if (size == 0 || tensor.external) return {};
    if (!numbers.empty() && tensor.bytes.empty()) {
        std::vector<std::byte>& packed = unpacked.emplace_back(numbers.size() * size);
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            std::memcpy(packed.data() + i * size, &numbers[i], size);
        }
        tensor.bytes = packed;
    }
    if (tensor.bytes.size() == tensor.elements() * size) return {};
    return fail(Code::data_loss,
                "tensor {} has {} bytes, its shape and type need {}; fetch it again", tensor.name,
                tensor.bytes.size(), tensor.elements() * size);
}

OnnxGraph::OnnxGraph(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
OnnxGraph::~OnnxGraph() = default;
OnnxGraph::OnnxGraph(OnnxGraph&&) noexcept = default;
OnnxGraph& OnnxGraph::operator=(OnnxGraph&&) noexcept = default;

Result<OnnxGraph> OnnxGraph::open(const std::string& path) {
    base::MappedFile file = DG_TRY(base::MappedFile::open(path));
    OnnxGraph graph = DG_TRY(parse(file.bytes(), path));
    graph.impl_->file = std::move(file);
    return graph;
}

Result<OnnxGraph> OnnxGraph::parse(std::span<const std::byte> bytes, std::string path) {
    auto impl = std::make_unique<Impl>();
    impl->path = std::move(path);
    impl->bytes = bytes.size();
    if (auto read = impl->read_model(bytes); !read) {
        return std::unexpected(std::move(read).error().with_context(impl->path));
    }
    return OnnxGraph(std::move(impl));
}

const std::string& OnnxGraph::path() const {
    return impl_->path;
}

std::uint64_t OnnxGraph::bytes() const {
    return impl_->bytes;
}

std::span<const OnnxNode> OnnxGraph::nodes() const {
    return impl_->nodes;
}

const OnnxTensor* OnnxGraph::initializer(std::string_view name) const {
    const auto found = impl_->initializers.find(name);
    return found == impl_->initializers.end() ? nullptr : found->second;
}

const OnnxNode* OnnxGraph::maker(std::string_view value) const {
    const auto found = impl_->makers.find(value);
    return found == impl_->makers.end() ? nullptr : &impl_->nodes[found->second];
}

const OnnxNode* OnnxGraph::reader(std::string_view value) const {
    const auto found = impl_->readers.find(value);
    return found == impl_->readers.end() ? nullptr : &impl_->nodes[found->second];
}

}  // namespace engine
