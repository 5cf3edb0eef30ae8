#include "base/core/crc32c.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace base {
namespace {

static_assert(std::endian::native == std::endian::little, "words are loaded as they are stored");

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // reflected

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

/// tables[k][b]: the CRC of byte b followed by k zero bytes, so that eight bytes go at once.
constexpr Tables make_tables() {
    Tables tables{};
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
        std::uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
        tables[0][byte] = crc;
    }
    for (std::size_t k = 1; k < tables.size(); ++k) {
        for (std::size_t byte = 0; byte < 256; ++byte) {
            const std::uint32_t crc = tables[k - 1][byte];
            tables[k][byte] = (crc >> 8) ^ tables[0][crc & 0xFF];
        }
    }
    return tables;
}
constexpr Tables kTables = make_tables();

std::uint64_t load64(const char* at) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, sizeof(word));
    return word;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::string_view bytes,
                                                               std::uint32_t before) {
    std::uint64_t crc = ~before;
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; left -= 8, at += 8) crc = __builtin_ia32_crc32di(crc, load64(at));
    auto last = static_cast<std::uint32_t>(crc);
    for (; left > 0; --left, ++at) {
        last = __builtin_ia32_crc32qi(last, static_cast<unsigned char>(*at));
    }
    return ~last;
}
bool has_instruction() {
    return __builtin_cpu_supports("sse4.2");
}
#elif defined(__aarch64__)
__attribute__((target("+crc"))) std::uint32_t by_instruction(std::string_view bytes,
                                                             std::uint32_t before) {
    std::uint32_t crc = ~before;
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; left -= 8, at += 8) crc = __builtin_aarch64_crc32cx(crc, load64(at));
    for (; left > 0; --left, ++at) {
        crc = __builtin_aarch64_crc32cb(crc, static_cast<unsigned char>(*at));
    }
    return ~crc;
}
bool has_instruction() {
    return (::getauxval(AT_HWCAP) & HWCAP_CRC32) != 0;
}
#else
std::uint32_t by_instruction(std::string_view bytes, std::uint32_t before) {
    return crc32c_by_table(bytes, before);
}
bool has_instruction() {
    return false;
}
#endif

}  // namespace

std::uint32_t crc32c_by_table(std::string_view bytes, std::uint32_t before) {
    std::uint32_t crc = ~before;
    const char* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; left -= 8, at += 8) {
        const std::uint64_t word = load64(at) ^ crc;
        crc = 0;
        for (std::size_t i = 0; i < 8; ++i) crc ^= kTables[7 - i][(word >> (8 * i)) & 0xFF];
    }
    for (; left > 0; --left, ++at) {
        crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<unsigned char>(*at)) & 0xFF];
    }
    return ~crc;
}

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before) {
    static const bool kByInstruction = has_instruction();
    return kByInstruction ? by_instruction(bytes, before) : crc32c_by_table(bytes, before);
}

}  // namespace base
