#include "sphere/policy/tool_name.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <utility>

#include "base/core/utf8.h"

namespace sphere::policy {
namespace {

using base::Code;
using base::Result;

constexpr std::size_t kBytesMax = 128;
constexpr std::string_view kSeparators = "._:/-";

bool ascii_ok(char32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c < 0x80 && kSeparators.find(static_cast<char>(c)) != std::string_view::npos);
}

/// Scripts none of whose letters is drawn like an ASCII one.
bool script_ok(char32_t c) {
    constexpr std::array<std::pair<char32_t, char32_t>, 8> kRanges{{{0x3005, 0x3007},
                                                                    {0x3041, 0x3096},
                                                                    {0x30A1, 0x30FA},
                                                                    {0x30FC, 0x30FE},
                                                                    {0x3400, 0x4DBF},
                                                                    {0x4E00, 0x9FFF},
                                                                    {0xAC00, 0xD7A3},
                                                                    {0x20000, 0x323AF}}};
    for (const auto& [first, last] : kRanges) {
        if (c >= first && c <= last) return true;
    }
    return false;
}

std::string mapped(std::string_view text, int options) {
    utf8proc_uint8_t* out = nullptr;
    const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                     static_cast<utf8proc_ssize_t>(text.size()), &out,
                                     static_cast<utf8proc_option_t>(options));
    const std::unique_ptr<utf8proc_uint8_t, void (*)(void*)> owner(out, std::free);
    if (length < 0) return {};
    return {reinterpret_cast<const char*>(out), static_cast<std::size_t>(length)};
}

constexpr int kNfkc = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;

/// One letter for those that are drawn alike in common fonts.
char32_t look(char32_t c) {
    constexpr std::array<std::pair<char32_t, char32_t>, 14> kAlike{
        {{U'0', U'o'},
         {U'1', U'l'},
         {U'i', U'l'},
         {U'\u30FC', U'\u4E00'},    // ー 一
         {U'\u30ED', U'\u53E3'},    // ロ 口
         {U'\u30A8', U'\u5DE5'},    // エ 工
         {U'\u30CB', U'\u4E8C'},    // ニ 二
         {U'\u30CF', U'\u516B'},    // ハ 八
         {U'\u30AB', U'\u529B'},    // カ 力
         {U'\u30BF', U'\u5915'},    // タ 夕
         {U'\u30C8', U'\u535C'},    // ト 卜
         {U'\u30DF', U'\u4E09'},    // ミ 三
         {U'\u3078', U'\u30D8'},    // へ ヘ
         {U'\u308A', U'\u30EA'}}};  // り リ
    for (const auto& [from, to] : kAlike) {
        if (c == from) return to;
    }
    return c;
}

}  // namespace

Result<void> check_tool_name(std::string_view name) {
    if (name.empty() || name.size() > kBytesMax) {
        return base::fail(Code::invalid_argument, "a tool name has 1 to {} bytes, this one {}",
                          kBytesMax, name.size());
    }
    for (std::size_t at = 0; at < name.size();) {
        const base::Utf8Char c = base::utf8_at(name, at);
        if (!c.valid || !(ascii_ok(c.code) || script_ok(c.code))) {
            return base::fail(Code::invalid_argument,
                              "tool name: U+{:04X} at byte {} is not allowed; ASCII letters, "
                              "digits and {} are, and Han, kana and Hangul",
                              static_cast<std::uint32_t>(c.code), at, kSeparators);
        }
        at += c.bytes;
    }
    if (mapped(name, kNfkc) != name) {
        return base::fail(Code::invalid_argument, "tool name '{}' is not in Unicode normal form KC",
                          name);
    }
    return {};
}

std::string tool_skeleton(std::string_view name) {
    const std::string folded = mapped(name, kNfkc | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE);
    std::string out;
    for (std::size_t at = 0; at < folded.size();) {
        const base::Utf8Char c = base::utf8_at(folded, at);
        at += c.bytes;
        if (c.code < 0x80 &&
            kSeparators.find(static_cast<char>(c.code)) != std::string_view::npos) {
            continue;
        }
        base::append_utf8(out, look(c.code));
    }
    return out;
}

std::vector<std::string> tail_skeletons(std::string_view name) {
    std::vector<std::string> out;
    for (std::size_t at = 0; at < name.size(); ++at) {
        const bool single = std::string_view(".:/").find(name[at]) != std::string_view::npos;
        if (!single && !name.substr(at).starts_with("__")) continue;
        std::string skeleton = tool_skeleton(name.substr(at + 1));
        if (!skeleton.empty()) out.push_back(std::move(skeleton));
    }
    return out;
}

}  // namespace sphere::policy
