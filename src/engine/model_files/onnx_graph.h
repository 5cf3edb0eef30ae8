#pragma once
// An ONNX file as it lies on disk: nodes and constant tensors, with nothing computed. Format:
// protocol buffer messages ModelProto, GraphProto, NodeProto, AttributeProto and TensorProto.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace engine {

/// TensorProto.DataType, as far as weights have them.
enum class OnnxType : std::uint32_t {
    f32 = 1,
    u8 = 2,
    i8 = 3,
    i32 = 6,
    i64 = 7,
    f16 = 10,
    f64 = 11,
    bf16 = 16
};

struct OnnxTensor {
    std::string name;
    std::uint32_t type = 0;            ///< OnnxType, or a number that is none of them
    std::vector<std::uint64_t> dims;   ///< none: a single value
    std::span<const std::byte> bytes;  ///< elements one after the other, little-endian
    bool external = false;             ///< its values are in another file

    std::uint64_t elements() const;
    bool is_bytes() const;  ///< 8-bit integers
    /// All values as floats. Errors: unimplemented (type: named; values elsewhere).
    base::Result<std::vector<float>> floats() const;
};

struct OnnxAttribute {
    std::string name, text;
    float f32 = 0.f;
    std::int64_t integer = 0;
    std::vector<std::int64_t> integers;
    const OnnxTensor* tensor = nullptr;
};

struct OnnxNode {
    std::string name, op, domain;
    std::vector<std::string> inputs, outputs;
    std::vector<OnnxAttribute> attributes;

    const OnnxAttribute* attribute(std::string_view name) const;
    /// Empty when there are fewer.
    std::string_view input(std::size_t index) const;
};

/// Immutable and thread-safe after open.
class OnnxGraph {
public:
    /// Errors: not_found, data_loss (not ONNX, cut off, a tensor whose bytes do not fit its shape),
    /// unimplemented (sparse tensors, graphs within graphs).
    static base::Result<OnnxGraph> open(const std::string& path);
    /// `bytes` outlive the graph; `path` is for errors.
    static base::Result<OnnxGraph> parse(std::span<const std::byte> bytes, std::string path);

    ~OnnxGraph();
    OnnxGraph(OnnxGraph&&) noexcept;
    OnnxGraph& operator=(OnnxGraph&&) noexcept;

    const std::string& path() const;
    std::uint64_t bytes() const;  ///< of the file
    std::span<const OnnxNode> nodes() const;
    const OnnxTensor* initializer(std::string_view name) const;
    /// The node that makes a value. Null: an initializer, an input or nothing.
    const OnnxNode* maker(std::string_view value) const;
    /// The first node that reads a value.
    const OnnxNode* reader(std::string_view value) const;

private:
    struct Impl;
    explicit OnnxGraph(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace engine
