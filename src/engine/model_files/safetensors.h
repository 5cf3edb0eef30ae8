#pragma once
// Reads safetensors files, single or sharded, where they lie in the mapped files. Format: an 8-byte
// header length, a JSON header, then tensor data without gaps.

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace engine {

enum class SafeType : std::uint8_t { f32, f16, bf16, other };  ///< other: kept, not readable

struct SafeTensor {
    std::string name;
    SafeType type = SafeType::other;
    std::string type_name;             ///< as in the file
    std::vector<std::uint64_t> shape;  ///< outermost first, as PyTorch prints it
    std::span<const std::byte> data;

    std::uint64_t elements() const;
};

/// A tensor in memory, F32.
struct NamedValues {
    std::string name;
    std::vector<std::uint64_t> shape;  ///< as SafeTensor's
    std::vector<float> values;
};

/// Immutable and thread-safe after open; tensors live as long as it does.
class Safetensors {
public:
    /// One file. Errors: not_found, data_loss (header or offsets: names the tensor).
    static base::Result<Safetensors> open(const std::string& path);
    /// The model in a folder: model.safetensors.index.json and its shards, else the folder's only
    /// *.safetensors file. Errors: as above; not_found (no such file, or a shard: named).
    static base::Result<Safetensors> open_folder(const std::string& folder);

    /// What was read from a file of another format, `file_bytes` long. Errors: data_loss (a name
    /// twice).
    static base::Result<Safetensors> of_values(std::string path, std::vector<NamedValues> values,
                                               std::uint64_t file_bytes);

    ~Safetensors();
    Safetensors(Safetensors&&) noexcept;
    Safetensors& operator=(Safetensors&&) noexcept;

    /// Sorted by name.
    std::span<const SafeTensor> tensors() const;
    const SafeTensor* find(std::string_view name) const;
    /// Errors: data_loss (there is no such tensor).
    base::Result<const SafeTensor*> tensor(std::string_view name) const;
    std::uint64_t bytes() const;  ///< of all files

private:
    struct Impl;
    explicit Safetensors(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// Values [first, first + count) of a tensor as floats. Pre: type is not other; in range.
void read_values(const SafeTensor& tensor, std::uint64_t first, std::uint64_t count, float* out);

}  // namespace engine
