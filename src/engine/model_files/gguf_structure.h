#pragma once
// What one GGUF file says: its metadata and where its tensors lie. Internal to GgufFile, whose
// models are one such file or several.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/core/result.h"
#include "engine/model_files/gguf.h"

namespace engine {

class ByteReader;

struct StringHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
        return std::hash<std::string_view>{}(text);
    }
};

struct GgufStructure {
    std::span<const std::byte> bytes;  ///< the whole file; set with `path` before parse()
    std::string path;
    std::uint32_t version = 0;
    std::uint64_t alignment = 32;
    std::uint64_t data_offset = 0;
    std::vector<GgufEntry> entries;
    std::vector<TensorView> tensors;
    std::unordered_map<std::string_view, std::size_t> entry_index;  // keys point into bytes
    std::unordered_map<std::string, std::size_t, StringHash, std::equal_to<>> tensor_index;

    /// Fills the rest, checking every count, length, offset and overlap. Errors: those of
    /// GgufFile::open that are about one file.
    base::Result<void> parse();

    template <class... Args>
    std::unexpected<base::Error> damaged(fmt::format_string<Args...> format, Args&&... args) const {
        return base::fail_on(path, base::Code::data_loss, "{}: {}", path,
                             fmt::format(format, std::forward<Args>(args)...));
    }

private:
    base::Result<void> parse_entry(ByteReader& reader, std::uint64_t index);
    base::Result<void> skip_value(ByteReader& reader, std::string_view key, GgufType type,
                                  unsigned depth, GgufEntry* entry);
    base::Result<void> skip_array(ByteReader& reader, std::string_view key, unsigned depth,
                                  GgufEntry* entry);
    base::Result<std::uint64_t> parse_tensor(ByteReader& reader, std::uint64_t index);
    base::Result<void> parse_alignment();
    base::Result<void> place_tensors(const std::vector<std::uint64_t>& offsets);
    base::Result<void> check_overlaps() const;
};

}  // namespace engine
