#include "engine/tokenizer/byte_alphabet.h"

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
    out.reserve(stored.size());
    for (std::size_t at = 0; at < stored.size();) {
        const base::Utf8Char next = base::utf8_at(stored, at);
        if (next.valid && next.code < bytes_.size() && bytes_[next.code] >= 0) {
            out.push_back(static_cast<char>(bytes_[next.code]));
        } else {
            out.append(stored.substr(at, next.bytes));
        }
        at += next.bytes;
    }
    return out;
}

}  // namespace engine
