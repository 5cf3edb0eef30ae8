#include "sphere/files/name_text.h"

#include <fmt/format.h>

#include <charconv>

#include "base/core/utf8.h"

namespace sphere::files {

std::string escape_name(std::string_view bytes) {
    std::string out;
    for (std::size_t at = 0; at < bytes.size();) {
        const base::Utf8Char c = base::utf8_at(bytes, at);
        const auto byte = static_cast<unsigned char>(bytes[at]);
        if (!c.valid || byte < 0x20 || byte == 0x7F) {
            out += fmt::format("\\x{:02x}", byte);
            ++at;
            continue;
        }
        if (byte == '\\') out += '\\';
        out += bytes.substr(at, c.bytes);
        at += c.bytes;
    }
    return out;
}

base::Result<std::string> unescape_name(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t backslash = std::min(text.find('\\'), text.size());
        out += text.substr(0, backslash);
        text.remove_prefix(backslash);
        if (text.empty()) break;
        unsigned byte = 0;
        if (text.starts_with("\\\\")) {
            out += '\\';
            text.remove_prefix(2);
        } else if (text.starts_with("\\x") && text.size() >= 4 &&
                   std::from_chars(text.data() + 2, text.data() + 4, byte, 16).ptr ==
                       text.data() + 4) {
            out += static_cast<char>(byte);
            text.remove_prefix(4);
        } else {
            return base::fail(base::Code::invalid_argument,
                              "a backslash in a name is written \\\\, a byte \\xHH");
        }
    }
    return out;
}

}  // namespace sphere::files
