#include "memory/knowledge/parse/main_text.h"

#include <algorithm>
#include <array>
#include <string>

namespace memory::knowledge::parse {
namespace {

/// A paragraph that says something: longer than a caption, and not mostly links.
constexpr std::size_t kLongBytes = 80;
/// A page with less text in its article than this, or than this of all its long paragraphs, is a
/// page of something else.
constexpr std::size_t kArticleBytesMin = 400;
constexpr double kShareMin = .3;
/// The page's own word for its text is taken from so much text on.
constexpr std::size_t kBodyBytesMin = 100;
/// A box that holds more than this of all long paragraphs is no boilerplate, whatever its name.
constexpr double kTooMuch = .4, kAllComments = .95;
/// Of what a box scores, its parent gets half, and so on.
constexpr double kFade = .5;
constexpr std::uint32_t kGenerations = 4;

constexpr auto kWords = std::to_array<std::string_view>(
    {"ad",         "ads",         "advert",     "advertisement", "advertising", "banner",
     "breadcrumb", "breadcrumbs", "byline",     "comment",       "comments",    "consent",
     "cookie",     "cookies",     "disclaimer", "disqus",        "donate",      "follow",
     "footer",     "hidden",      "jump",       "login",         "masthead",    "menu",
     "meta",       "modal",       "mostread",   "nav",           "navbar",      "navigation",
     "newsletter", "outbrain",    "pager",      "pagination",    "paywall",     "popular",
     "popup",      "print",       "promo",      "promotion",     "recirc",      "recommended",
     "recommend",  "related",     "rss",        "share",         "sharebar",    "sharing",
     "shares",     "sidebar",     "signin",     "signup",        "skip",        "social",
     "sponsor",    "sponsored",   "subscribe",  "subscription",  "taboola",     "tags",
     "taglist",    "teaser",      "teasers",    "toolbar",       "trending",    "widget",
     "caption",    "credit",      "credits",    "author",        "authors",     "bio",
     "timestamp",  "dateline",    "readmore",   "toc",           "reply",       "respond"});

constexpr auto kArticleWords =
    std::to_array<std::string_view>({"article", "articlebody", "articletext", "body", "content",
                                     "entry", "post", "story", "storybody", "text"});
/// What a box whose name says that it is the text scores more than another.
constexpr double kArticleBonus = 1.5;

bool is_long(const Part& part) {
    return part.paragraph && part.bytes >= kLongBytes && part.link_bytes * 3 < part.bytes;
}
bool is_links(const Part& part) {
    return part.link_bytes * 2 > part.bytes;
}

template <class List>
bool has_word(const List& words, std::string_view name) {
    std::string word;
    const auto is_one = [&] { return std::ranges::find(words, word) != words.end(); };
    bool upper_before = true;
    for (const char c : name) {
        const bool upper = c >= 'A' && c <= 'Z';
        const bool letter = upper || (c >= 'a' && c <= 'z');
        if (!letter || (upper && !upper_before)) {  // shareBar is two words
            if (is_one()) return true;
            word.clear();
        }
        if (letter) word += static_cast<char>(c | 0x20);
        upper_before = upper;
    }
    return is_one();
}

}  // namespace

bool is_boilerplate(std::string_view name) {
    return has_word(kWords, name);
}

bool is_comments(std::string_view name) {
    static constexpr auto kComments =
        std::to_array<std::string_view>({"comment", "comments", "disqus", "reply", "respond"});
    return has_word(kComments, name);
}
bool is_article(std::string_view name) {
    return has_word(kArticleWords, name);
}

std::vector<bool> main_text(std::span<const Box> boxes, std::span<const Part> parts) {
    // Boxes come after their parents, so one pass from behind sums what each holds.
    std::vector<double> inside(boxes.size()), score(boxes.size());
    double all = 0;
    for (const Part& part : parts) {
        if (!is_long(part)) continue;
        inside[part.box] += static_cast<double>(part.bytes);
        all += static_cast<double>(part.bytes);
    }
    for (std::size_t b = boxes.size(); b-- > 1;) inside[boxes[b].parent] += inside[b];
    std::vector<bool> left_out(boxes.size());
    for (std::size_t b = 1; b < boxes.size(); ++b) {
        left_out[b] = left_out[boxes[b].parent] ||
                      (boxes[b].boilerplate && inside[b] <= kTooMuch * all) ||
                      (boxes[b].comments && inside[b] <= kAllComments * all);
    }
    for (const Part& part : parts) {
        if (!is_long(part) || left_out[part.box]) continue;
        auto points = static_cast<double>(part.bytes);
        std::uint32_t box = part.box;
        while (box != 0 && boxes[box].leaf) box = boxes[box].parent;
        for (std::uint32_t g = 0; g < kGenerations; ++g, points *= kFade) {
            score[box] += points * (boxes[box].article ? kArticleBonus : 1);
            if (box == 0) break;
            box = boxes[box].parent;
        }
    }
    const auto best = std::ranges::max_element(score);
    auto root = static_cast<std::size_t>(best - score.begin());
    std::vector<std::size_t> bytes(boxes.size());
    for (const Part& part : parts)
        bytes[part.box] += part.bytes - std::min(part.bytes, part.link_bytes);
    for (std::size_t b = boxes.size(); b-- > 1;) bytes[boxes[b].parent] += bytes[b];
    std::size_t body = 0;
    for (std::size_t b = 1; b < boxes.size(); ++b) {
        if (boxes[b].article_body && (body == 0 || bytes[b] > bytes[body])) body = b;
    }
    const bool is_named = body != 0 && bytes[body] >= kBodyBytesMin;
    if (is_named) root = body;
    const double held = inside[root];
    if (!is_named && (held < static_cast<double>(kArticleBytesMin) || held < kShareMin * all))
        return {};

    std::vector<bool> within(boxes.size());
    within[root] = true;
    for (std::size_t b = root + 1; b < boxes.size(); ++b) within[b] = within[boxes[b].parent];
    std::vector<bool> kept(parts.size());
    std::size_t last = parts.size();
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const Part& part = parts[i];
        if (!within[part.box] || left_out[part.box] || is_links(part)) continue;
        kept[i] = true;
        if (is_long(part)) last = i;
    }
    // Behind the last paragraph stand dates, tags and headings of other things.
    for (std::size_t i = last + 1; i < parts.size(); ++i) {
        kept[i] = kept[i] && !parts[i].paragraph && parts[i].heading == 0;
    }
    return kept;
}

}  // namespace memory::knowledge::parse
