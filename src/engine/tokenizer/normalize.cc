#include "engine/tokenizer/normalize.h"

#include <utf8proc.h>

#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/core/utf8.h"

namespace engine {
namespace {

struct Free {
    void operator()(utf8proc_uint8_t* bytes) const { std::free(bytes); }
};

std::string repaired(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const base::Utf8Char next = base::utf8_at(text, at);
        base::append_utf8(out, next.code);
        at += next.bytes;
    }
    return out;
}

std::string mapped(std::string_view text, int options) {
    const bool valid = base::utf8_valid_prefix_bytes(text) == text.size();
    const std::string input = valid ? std::string(text) : repaired(text);
    utf8proc_uint8_t* bytes = nullptr;
    const utf8proc_ssize_t length =
        utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(input.data()),
                     static_cast<utf8proc_ssize_t>(input.size()), &bytes,
                     static_cast<utf8proc_option_t>(options));
    const std::unique_ptr<utf8proc_uint8_t, Free> owner(bytes);
    if (length < 0) return input;
    return std::string(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

}  // namespace

std::string to_nfkc(std::string_view text) {
    return mapped(text, UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
}

std::string to_nfd(std::string_view text) {
    return mapped(text, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);
}

base::Result<CharsMap> CharsMap::parse(std::string_view blob) {
    CharsMap map;
    if (blob.empty()) return map;
    std::uint32_t trie_bytes = 0;
    if (blob.size() >= sizeof(trie_bytes))
        std::memcpy(&trie_bytes, blob.data(), sizeof(trie_bytes));
    if (blob.size() < sizeof(trie_bytes) + std::size_t{trie_bytes} || trie_bytes % 4 != 0) {
        return base::fail(base::Code::data_loss,
                          "vocabulary: the normaliser map has {} bytes but declares a trie of {}; "
                          "the model file is damaged",
                          blob.size(), trie_bytes);
    }
    map.trie_ = blob.substr(sizeof(trie_bytes), trie_bytes);
    map.replacements_ = blob.substr(sizeof(trie_bytes) + trie_bytes);
    return map;
}

// Past the end reads as a node that no byte leads to.
std::uint32_t CharsMap::word(std::size_t index) const {
    std::uint32_t value = UINT32_MAX;
    if (index < trie_.size() / 4) std::memcpy(&value, trie_.data() + index * 4, sizeof(value));
    return value;
}

CharsMap::Replacement CharsMap::longest_prefix(std::string_view text) const {
    const auto offset_of = [](std::uint32_t node) {
        return (node >> 10) << ((node & 0x200u) >> 6);
    };
    Replacement longest;
    if (trie_.empty()) return longest;
    std::size_t node = offset_of(word(0));
    for (std::size_t i = 0; i < text.size() && text[i] != '\0'; ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        node ^= byte;
        const std::uint32_t here = word(node);
        if ((here & 0x800000FFu) != byte) break;
        node ^= offset_of(here);
        if ((here & 0x100u) == 0) continue;
        const std::size_t start = word(node) & 0x7FFFFFFFu;
        if (start >= replacements_.size()) continue;
        const std::size_t end = replacements_.find('\0', start);
        if (end == std::string::npos) continue;
        longest = {std::string_view(replacements_).substr(start, end - start), i + 1};
    }
    return longest;
}

}  // namespace engine
