#pragma once
// Reads little-endian fields from untrusted bytes. Every read checks what is left, so a parser
// built on it cannot leave its input.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace engine {

static_assert(std::endian::native == std::endian::little, "model files are read in place");

class ByteReader {
public:
    explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

    std::uint64_t offset() const { return offset_; }
    std::uint64_t left() const { return bytes_.size() - offset_; }

    /// Nothing when fewer bytes are left; the position does not move then.
    template <class T>
    std::optional<T> read() {
        if (left() < sizeof(T)) return std::nullopt;
        T value;
        std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
        offset_ += sizeof(T);
        return value;
    }

    std::optional<std::span<const std::byte>> take(std::uint64_t size) {
        if (left() < size) return std::nullopt;
        const auto taken = bytes_.subspan(offset_, size);
        offset_ += size;
        return taken;
    }

    /// A length in 8 bytes, then that many characters.
    std::optional<std::string_view> read_string() {
        const std::uint64_t before = offset_;
        const auto size = read<std::uint64_t>();
        const auto text = size ? take(*size) : std::nullopt;
        if (!text) {
            offset_ = before;
            return std::nullopt;
        }
        return std::string_view(reinterpret_cast<const char*>(text->data()), text->size());
    }

private:
    std::span<const std::byte> bytes_;
    std::uint64_t offset_ = 0;
};

}  // namespace engine
