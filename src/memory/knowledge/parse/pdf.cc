// PDF by poppler: the text of each page in reading order. Headings are what the outline names, and
// lines that are numbered like one.
#include <poppler-document.h>
#include <poppler-page.h>
#include <poppler-toc.h>

#include <algorithm>
#include <map>
#include <memory>

#include <fmt/format.h>

#include "base/core/utf8.h"
#include "memory/knowledge/parse/parse.h"
#include "memory/knowledge/parse/text_builder.h"

namespace memory::knowledge::parse {
namespace {

using base::Code;
using base::fail;

constexpr int kOutlineDepthMax = 16;
constexpr std::size_t kOutlineItemsMax = 20'000;

std::string text_of(const poppler::ustring& text) {
    const auto bytes = text.to_utf8();
    return {bytes.data(), bytes.size()};
}

/// Without blanks and case: outlines and pages write titles differently.
std::string key_of(std::string_view text) {
    std::string key;
    for (const char c : text) {
        if (c == ' ') continue;
        key += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    return key;
}

using Outline = std::map<std::string, std::uint32_t>;  // level by key

void collect(const poppler::toc_item& item, std::uint32_t level, Outline& outline) {
    if (level > kOutlineDepthMax || outline.size() >= kOutlineItemsMax) return;
    for (const poppler::toc_item* child : item.children()) {
        const std::string title = one_line(text_of(child->title()));
        if (title.size() >= 2) outline.emplace(key_of(title), level);
        collect(*child, level + 1, outline);
    }
}

/// "2.1 Results": its level, else 0.
std::uint32_t numbered_level(std::string_view line) {
    constexpr std::size_t kTitleMax = 80;
    std::size_t at = 0;
    std::uint32_t level = 0;
    while (at < line.size() && line[at] >= '0' && line[at] <= '9') {
        const std::size_t digits = line.find_first_not_of("0123456789", at);
        if (digits == std::string_view::npos || digits - at > 2) return 0;
        ++level;
        at = digits;
        if (at < line.size() && line[at] == '.') ++at;
    }
    if (level == 0 || line.size() > kTitleMax || at >= line.size() || line[at] != ' ') return 0;
    const auto first = base::utf8_at(line, at + 1 < line.size() ? at + 1 : at).code;
    const bool starts = (first >= 'A' && first <= 'Z') || first >= 0x2E80;
    const char last = line.back();
    // A list's items look the same and end like sentences; a figure has digits.
    const bool ends = last == '.' || last == ',' || last == ';' || last == ':';
    const auto digits =
        std::ranges::count_if(line.substr(at), [](char c) { return c >= '0' && c <= '9'; });
    return starts && !ends && digits <= 4 ? level : 0;
}

class PageReader {
public:
    PageReader(const Outline& outline, TextBuilder& out) : outline_(outline), out_(out) {}

    void read(std::string_view page) {
        widest_ = 0;
        for (std::string_view rest = page; !rest.empty();) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(rest.size(), line.size() + 1));
            widest_ = std::max(widest_, base::utf8_length(line));
        }
        while (!page.empty()) {
            const std::string_view line = page.substr(0, page.find('\n'));
            page.remove_prefix(std::min(page.size(), line.size() + 1));
            take(one_line(line));
        }
        flush();
    }

private:
    void take(const std::string& line) {
        if (line.empty()) return flush();
        std::uint32_t level = 0;
        if (const auto known = outline_.find(key_of(line)); known != outline_.end()) {
            level = known->second;
        } else if (paragraph_.empty()) {
            level = numbered_level(line);
        }
        if (level != 0) {
            flush();
            return out_.add(BlockKind::heading, line, level);
        }
        join_line(paragraph_, line);
        // The last line of a paragraph is a short one that ends a sentence.
        const bool ends = line.ends_with('.') || line.ends_with("。") || line.ends_with(':');
        if (ends && base::utf8_length(line) * 10 < widest_ * 7) flush();
    }
    void flush() {
        out_.add(BlockKind::paragraph, paragraph_);
        paragraph_.clear();
    }

    const Outline& outline_;
    TextBuilder& out_;
    std::size_t widest_ = 0;
    std::string paragraph_;
};

}  // namespace

base::Result<Parsed> parse_pdf(std::string_view bytes, const ParseRequest& request) {
    poppler::set_debug_error_function([](const std::string&, void*) {}, nullptr);
    const std::unique_ptr<poppler::document> document(poppler::document::load_from_raw_data(
        bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), INT32_MAX))));
    if (document == nullptr) {
        return fail(Code::invalid_argument,
                    "this is no PDF that can be read: it is damaged or cut off; open it in a "
                    "viewer and save it again");
    }
    if (document->is_locked()) {
        return fail(Code::failed_precondition,
                    "this PDF needs a password; save it without one and add it again");
    }
    const int pages = document->pages();
    if (pages > static_cast<int>(request.pages_max)) {
        return fail(Code::payload_too_large, "this PDF has {} pages; the most is {}", pages,
                    request.pages_max);
    }
    TextBuilder out(request.text_bytes_max);
    out.title(text_of(document->info_key("Title")));
    Outline outline;
    if (const std::unique_ptr<poppler::toc> toc(document->create_toc()); toc != nullptr) {
        collect(*toc->root(), 1, outline);
    }
    PageReader reader(outline, out);
    int empty = 0, first_empty = 0, broken = 0;
    for (int number = 0; number < pages && !out.full(); ++number) {
        out.begin_page();
        const std::unique_ptr<poppler::page> page(document->create_page(number));
        if (page == nullptr) {
            ++broken;
            continue;
        }
        const std::string text = clean_utf8(
            text_of(page->text(poppler::rectf(), poppler::page::non_raw_non_physical_layout)));
        if (one_line(text).empty()) {
            if (empty++ == 0) first_empty = number + 1;
            continue;
        }
        reader.read(text);
    }
    if (empty != 0) {
        out.warn(
            fmt::format("{} of {} pages have no text (the first is page {}): they may be "
                        "scans; run them through OCR and add the result",
                        empty, pages, first_empty));
    }
    if (broken != 0) out.warn(fmt::format("{} of {} pages are damaged", broken, pages));
    return out.finish(kPdf, "this PDF");
}

}  // namespace memory::knowledge::parse
