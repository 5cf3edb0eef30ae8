#pragma once
// Bytes of records: numbers in seven bits a byte, texts with their length. A reader that meets the
// end or nonsense goes bad and gives zeros from then on; ask good() once at the end.

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace flow {

class WireWriter {
public:
    explicit WireWriter(std::string& out) : out_(out) {}
    void byte(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
    void number(std::uint64_t value) {
        for (; value >= 128; value >>= 7) byte(static_cast<std::uint8_t>(value | 128));
        byte(static_cast<std::uint8_t>(value));
    }
    void real(double value) { fixed(std::bit_cast<std::uint64_t>(value)); }
    void fixed(std::uint64_t value) {
        for (int i = 0; i < 8; ++i) byte(static_cast<std::uint8_t>(value >> (8 * i)));
    }
    void text(std::string_view value) {
        number(value.size());
        out_.append(value);
    }

private:
    std::string& out_;
};

class WireReader {
public:
    explicit WireReader(std::string_view bytes) : bytes_(bytes) {}
    std::uint8_t byte() {
        if (bytes_.empty()) return spoil(), std::uint8_t{0};
        const auto value = static_cast<std::uint8_t>(bytes_.front());
        bytes_.remove_prefix(1);
        return value;
    }
    std::uint64_t number() {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const std::uint8_t part = byte();
            value |= static_cast<std::uint64_t>(part & 127) << shift;
            if (part < 128) return value;
        }
        spoil();
        return 0;
    }
    double real() { return std::bit_cast<double>(fixed()); }
    std::uint64_t fixed() {
        std::uint64_t value = 0;
        for (int i = 0; i < 8; ++i) value |= static_cast<std::uint64_t>(byte()) << (8 * i);
        return value;
    }
    std::string_view text() {
        const std::uint64_t size = number();
        if (size > bytes_.size()) return spoil(), std::string_view();
        const std::string_view value = bytes_.substr(0, static_cast<std::size_t>(size));
        bytes_.remove_prefix(static_cast<std::size_t>(size));
        return value;
    }
    void spoil() {
        good_ = false;
        bytes_ = {};
    }
    bool good() const { return good_; }
    std::string_view rest() const { return bytes_; }

private:
    std::string_view bytes_;
    bool good_ = true;
};

}  // namespace flow
