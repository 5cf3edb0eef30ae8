#include "sphere/tools/bounded_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/core/utf8.h"

namespace sphere::tools {
namespace {

bool continues(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
}

/// Without a character at the end that more bytes would have to complete.
std::string_view whole_end(std::string_view text) {
    for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
        const auto byte = static_cast<unsigned char>(text[text.size() - back]);
        if ((byte & 0xC0) == 0x80) continue;
        const std::size_t wanted = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
        return wanted > back ? text.substr(0, text.size() - back) : text;
    }
    return text;
}

}  // namespace

std::string as_utf8(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    while (!bytes.empty()) {
        const std::size_t valid = base::utf8_valid_prefix_bytes(bytes);
        out += bytes.substr(0, valid);
        bytes.remove_prefix(valid);
        if (bytes.empty()) break;
        base::append_utf8(out, 0xFFFD);
        bytes.remove_prefix(1);
    }
    return out;
}

void BoundedText::append(std::string_view bytes) {
    total_ += bytes.size();
    const std::size_t first = std::min(bytes.size(), head_max() - head_.size());
    head_ += bytes.substr(0, first);
    tail_ += bytes.substr(first);
    if (tail_.size() > 2 * tail_max()) trim();
}

void BoundedText::trim() {
    if (tail_.size() > tail_max()) tail_.erase(0, tail_.size() - tail_max());
}

std::string BoundedText::text() {
    trim();
    if (left_out() == 0) return as_utf8(head_ + tail_);
    std::string_view begin = whole_end(head_), end = tail_;
    for (int i = 0; i < 3 && !end.empty() && continues(end.front()); ++i) end.remove_prefix(1);
    return fmt::format(
        "{}\n[... {} bytes left out; to see them, send the output to a file and read it in parts "
        "...]\n{}",
        as_utf8(begin), total_ - begin.size() - end.size(), as_utf8(end));
}

}  // namespace sphere::tools
