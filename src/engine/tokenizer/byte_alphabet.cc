#include "engine/tokenizer/byte_alphabet.h"

#include <algorithm>

#include "base/core/utf8.h"

namespace engine {

ByteAlphabet::ByteAlphabet() {
    bytes_.fill(-1);
    char32_t next_free = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
        const bool printable =
            (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
        const char32_t character = printable ? byte : next_free++;
        characters_[byte] = character;
        bytes_[character] = static_cast<std::int16_t>(byte);
    }
}

std::string ByteAlphabet::bytes_of(std::string_view stored) const {
    std::string out;
    write_bytes_of(stored, out);
    return out;
}

// Nearly all characters of a vocabulary have one or two bytes; those are read here.
void ByteAlphabet::write_bytes_of(std::string_view stored, std::string& out) const {
    out.resize(stored.size());  // a character stands for no more bytes than it has
    char* to = out.data();
    for (std::size_t at = 0; at < stored.size();) {
        const auto lead = static_cast<unsigned char>(stored[at]);
        const auto next = static_cast<unsigned char>(at + 1 < stored.size() ? stored[at + 1] : 0);
        const bool one = lead < 0x80;
        const bool two = lead >= 0xC2 && lead < 0xC8 && (next & 0xC0u) == 0x80;
        const std::size_t code = one ? lead : (lead & 0x1Fu) << 6 | (next & 0x3Fu);
        if ((one || two) && bytes_[code] >= 0) {
            *to++ = static_cast<char>(bytes_[code]);
            at += one ? 1 : 2;
            continue;
        }
        const std::size_t bytes = base::utf8_at(stored, at).bytes;
        to = std::copy_n(stored.data() + at, bytes, to);
        at += bytes;
    }
    out.resize(static_cast<std::size_t>(to - out.data()));
}

}  // namespace engine
