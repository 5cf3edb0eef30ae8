#include "memory/knowledge/parse/text_builder.h"

#include <algorithm>

#include "base/core/utf8.h"

namespace memory::knowledge::parse {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr std::size_t kWarningsMax = 50;
constexpr std::size_t kTitleBytesMax = 300;

bool is_blank(char32_t code) {
    return code == ' ' || code == '\t' || code == '\n' || code == '\r' || code == '\v' ||
           code == '\f' || code == 0xA0 || code == 0x3000 || (code >= 0x2000 && code <= 0x200A) ||
           code == 0x2028 || code == 0x2029 || code == 0x202F;
}

/// Soft hyphens, zero-width marks, private use: nothing that a reader sees.
bool is_invisible(char32_t code) {
    return code == 0xAD || code == 0x200B || code == 0x2060 || code == 0xFEFF ||
           (code < 0x20 && !is_blank(code)) || (code >= 0x7F && code < 0xA0);
}

bool table_row(BlockKind kind) {
    return kind == BlockKind::row || kind == BlockKind::header;
}

}  // namespace

std::string clean_utf8(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    for (std::size_t at = 0; at < bytes.size();) {
        const auto character = base::utf8_at(bytes, at);
        at += character.bytes;
        if (!character.valid) {
            base::append_utf8(out, 0xFFFD);
        } else if (character.code == '\r') {
            if (at >= bytes.size() || bytes[at] != '\n') out += '\n';
        } else if (character.code == '\n' || character.code == '\t' ||
                   !is_invisible(character.code)) {
            base::append_utf8(out, character.code);
        }
    }
    return out;
}

std::string one_line(std::string_view text) {
    std::string out;
    bool blank = false;
    for (std::size_t at = 0; at < text.size();) {
        const auto character = base::utf8_at(text, at);
        at += character.bytes;
        if (character.valid && is_blank(character.code)) {
            blank = true;
            continue;
        }
        if (character.valid && is_invisible(character.code)) continue;
        if (blank && !out.empty()) out += ' ';
        blank = false;
        base::append_utf8(out, character.valid ? character.code : 0xFFFD);
    }
    return out;
}

void join_line(std::string& paragraph, std::string_view line) {
    const std::string next = one_line(line);
    if (next.empty()) return;
    if (paragraph.empty()) {
        paragraph = next;
        return;
    }
    std::size_t last = paragraph.size() - 1;
    while (last > 0 && (static_cast<unsigned char>(paragraph[last]) & 0xC0) == 0x80) --last;
    const char32_t before = base::utf8_at(paragraph, last).code;
    const char32_t after = base::utf8_at(next, 0).code;
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    if (before == '-' && last > 0 && letter(paragraph[last - 1]) && after >= 'a' && after <= 'z') {
        paragraph.pop_back();
    } else if (before == 0x2010) {
        paragraph.resize(last);
    } else if (!(before >= 0x2E80 && after >= 0x2E80)) {
        paragraph += ' ';
    }
    paragraph += next;
}

void TextBuilder::put(BlockKind kind, std::string text, std::uint32_t level) {
    if (text.empty() || full_) return;
    std::string& all = parsed_.text;
    if (all.size() + text.size() + 2 > bytes_max_) {
        full_ = true;
        return;
    }
    if (!parsed_.blocks.empty()) {
        const bool same_page =
            parsed_.pages.empty() || parsed_.pages.back().begin <= parsed_.blocks.back().begin;
        const BlockKind before = parsed_.blocks.back().kind;
        const bool close = same_page && ((table_row(before) && table_row(kind)) ||
                                         (before == BlockKind::item && kind == BlockKind::item));
        all += close ? "\n" : "\n\n";
        // An empty page begins where the next one does.
        for (auto page = parsed_.pages.rbegin();
             page != parsed_.pages.rend() && page->begin > parsed_.blocks.back().begin; ++page) {
            page->begin = all.size();
        }
    }
    const std::uint64_t begin = all.size();
    all += text;
    parsed_.blocks.push_back({kind, level, begin, all.size()});
}

void TextBuilder::add(BlockKind kind, std::string_view text, std::uint32_t level) {
    put(kind, one_line(text), level);
}

void TextBuilder::add_lines(BlockKind kind, std::string_view text) {
    std::string lines;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(text.size(), line.size() + 1));
        const std::string clean = one_line(line);
        if (clean.empty()) continue;
        if (!lines.empty()) lines += '\n';
        lines += clean;
    }
    put(kind, std::move(lines), 0);
}

void TextBuilder::add_code(std::string_view text) {
    std::string clean = clean_utf8(text);
    while (!clean.empty() && (clean.back() == '\n' || clean.back() == ' ')) clean.pop_back();
    const std::size_t first = clean.find_first_not_of('\n');
    put(BlockKind::code, first == std::string::npos ? "" : clean.substr(first), 0);
}

void TextBuilder::add_row(std::span<const std::string> cells, bool header, std::uint32_t number) {
    std::string row;
    bool any = false;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        std::string cell = one_line(cells[i]);
        for (char& c : cell) {
            if (c == '|') c = '/';  // the bar parts cells
        }
        any |= !cell.empty();
        if (i != 0) row += kCellBreak;
        row += cell;
    }
    if (any) put(header ? BlockKind::header : BlockKind::row, std::move(row), number);
}

void TextBuilder::begin_page(std::string_view name) {
    // One past the end while nothing stands on it: put() moves it to where its text begins.
    parsed_.pages.push_back({parsed_.text.size(), one_line(name)});
    if (parsed_.pages.size() == 1) parsed_.pages.front().begin = 0;
}

void TextBuilder::warn(std::string text) {
    if (parsed_.warnings.size() < kWarningsMax) parsed_.warnings.push_back(one_line(text));
}

void TextBuilder::title(std::string_view text) {
    if (!parsed_.title.empty()) return;
    std::string title = one_line(text);
    if (title.size() > kTitleBytesMax) {
        title.resize(base::utf8_valid_prefix_bytes(title.substr(0, kTitleBytesMax)));
    }
    parsed_.title = std::move(title);
}

Result<Parsed> TextBuilder::finish(std::string_view media_type, std::string_view what) {
    if (full_) {
        return fail(Code::payload_too_large,
                    "{} has more than {} bytes of text; split it into several documents", what,
                    bytes_max_);
    }
    if (parsed_.blocks.empty()) {
        return fail(Code::invalid_argument, "there is no text in {}{}{}", what,
                    parsed_.warnings.empty() ? "" : ": ",
                    parsed_.warnings.empty() ? "" : parsed_.warnings.front());
    }
    parsed_.media_type = media_type;
    if (parsed_.title.empty()) {
        for (const Block& block : parsed_.blocks) {
            if (block.kind != BlockKind::heading) continue;
            title(std::string_view(parsed_.text).substr(block.begin, block.end - block.begin));
            break;
        }
    }
    return std::move(parsed_);
}

}  // namespace memory::knowledge::parse
