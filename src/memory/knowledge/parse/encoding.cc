#include "memory/knowledge/parse/encoding.h"

#include <iconv.h>

#include <algorithm>
#include <optional>

#include "base/core/utf8.h"
#include "memory/knowledge/parse/text_builder.h"

namespace memory::knowledge::parse {
namespace {

using base::Code;
using base::fail;

/// Strict: nothing when a byte does not fit.
std::optional<std::string> convert(std::string_view bytes, const std::string& from) {
    const iconv_t conversion = ::iconv_open("UTF-8", from.c_str());
    if (conversion == reinterpret_cast<iconv_t>(-1)) return std::nullopt;
    std::string in(bytes), out(bytes.size() * 3 + 16, '\0');
    char* from_at = in.data();
    char* to_at = out.data();
    std::size_t left = in.size(), room = out.size();
    const std::size_t done = ::iconv(conversion, &from_at, &left, &to_at, &room);
    ::iconv_close(conversion);
    if (done == static_cast<std::size_t>(-1) || left != 0) return std::nullopt;
    out.resize(out.size() - room);
    return out;
}

/// Half of the characters past ASCII at least are Han or its punctuation.
bool looks_chinese(std::string_view text) {
    std::size_t wide = 0, han = 0;
    for (std::size_t at = 0; at < text.size();) {
        const auto character = base::utf8_at(text, at);
        at += character.bytes;
        if (character.code < 0x80) continue;
        ++wide;
        han += (character.code >= 0x4E00 && character.code < 0xA000) ||
               (character.code >= 0x3000 && character.code < 0x3040) ||
               (character.code >= 0xFF00 && character.code < 0xFFF0);
    }
    return wide != 0 && han * 2 >= wide;
}

bool binary(std::string_view text) {
    const std::string_view head = text.substr(0, 64u << 10);
    const auto bad = std::ranges::count_if(head, [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte == 0 || (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r' &&
                             byte != '\f' && byte != 0x1b && byte != '\b');
    });
    return static_cast<std::size_t>(bad) * 50 > head.size();
}

}  // namespace

base::Result<std::string> decode_text(std::string_view bytes, std::string_view label) {
    if (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")) {
        if (auto text = convert(bytes, "UTF-16")) return clean_utf8(*text);
    }
    if (binary(bytes)) {
        return fail(Code::invalid_argument,
                    "these bytes are no text; say what they are by media_type or by a file name");
    }
    if (base::utf8_valid_prefix_bytes(bytes) == bytes.size()) return clean_utf8(bytes);
    if (!label.empty()) {
        if (auto text = convert(bytes, std::string(label))) return clean_utf8(*text);
    }
    if (auto text = convert(bytes, "GB18030"); text && looks_chinese(*text)) {
        return clean_utf8(*text);
    }
    // Text in UTF-8 with a few damaged bytes is still that.
    std::size_t invalid = 0;
    for (std::size_t at = 0; at < bytes.size();) {
        const auto character = base::utf8_at(bytes, at);
        at += character.bytes;
        invalid += !character.valid;
    }
    const auto wide = static_cast<std::size_t>(
        std::ranges::count_if(bytes, [](char c) { return static_cast<signed char>(c) < 0; }));
    if (invalid * 4 < wide) return clean_utf8(bytes);
    if (auto text = convert(bytes, "WINDOWS-1252")) return clean_utf8(*text);
    if (auto text = convert(bytes, "ISO-8859-1")) return clean_utf8(*text);
    return clean_utf8(bytes);
}

}  // namespace memory::knowledge::parse
