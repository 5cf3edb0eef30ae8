#pragma once
// Writes GGUF version 3. Declare everything first, then hand over tensor data in the declared
// order, in pieces of any size: the header goes out once and no model needs to fit in memory.

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "engine/model_files/gguf.h"

namespace engine {

/// One thread. Order of calls: set_* and add_tensor, begin, write_tensor_data until every tensor is
/// complete, commit. Breaking it is a bug and ends the process.
class GgufWriter {
public:
    /// The file appears at `path` on commit, whole; dropped without commit, nothing is left. What
    /// killed writers left in its folder is removed.
    static base::Result<GgufWriter> create(const std::string& path);
    ~GgufWriter();
    GgufWriter(GgufWriter&&) noexcept;
    GgufWriter& operator=(GgufWriter&&) noexcept;

    // Metadata, in file order. Setting a key again replaces its value in place.
    void set_u32(std::string_view key, std::uint32_t value);
    void set_u64(std::string_view key, std::uint64_t value);
    void set_i32(std::string_view key, std::int32_t value);
    void set_f32(std::string_view key, float value);
    void set_bool(std::string_view key, bool value);
    void set_string(std::string_view key, std::string_view value);
    void set_strings(std::string_view key, std::span<const std::string> values);
    void set_f32s(std::string_view key, std::span<const float> values);
    void set_i32s(std::string_view key, std::span<const std::int32_t> values);
    void set_u32s(std::string_view key, std::span<const std::uint32_t> values);
    /// As an array of u8.
    void set_bytes(std::string_view key, std::string_view bytes);
    /// Copies an entry of another file, any type.
    void set_entry(const GgufEntry& entry);
    bool has(std::string_view key) const;

    /// Pre: dims[0] is a multiple of the type's block; the name is new.
    void add_tensor(std::string_view name, TensorType type, std::array<std::uint64_t, 4> dims);

    /// Writes the header. Nothing can be declared afterwards.
    base::Result<void> begin();
    /// The next bytes of the current tensor; the following one begins when it is complete.
    base::Result<void> write_tensor_data(std::span<const std::byte> bytes);
    base::Result<void> commit();

    std::uint64_t tensor_bytes_total() const;
    std::uint64_t bytes_written() const;

private:
    struct Impl;
    explicit GgufWriter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace engine
