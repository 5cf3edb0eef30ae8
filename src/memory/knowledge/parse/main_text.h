#pragma once
// Which parts of a page are its article: the box that most of the long paragraphs stand in, without
// boxes whose names say that they are something else, lists of links, and what trails behind.
// Scores flow to the boxes around, as Readability's do (Arc90 2009); densities of links as in
// Kohlschuetter et al. 2010.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace memory::knowledge::parse {

/// An element that holds others. The first of them is the page itself.
struct Box {
    std::uint32_t parent = 0;
    bool boilerplate = false;   ///< its class or id says so
    bool comments = false;      ///< of readers: never the text, however long
    bool article_body = false;  ///< the page's own data (schema.org) says that it is the text
    bool article = false;       ///< its element, class or id says that it is the text
    bool leaf = false;          ///< a paragraph, an item: no box to find an article in
};

struct Part {
    std::uint32_t box = 0;  ///< the innermost
    std::size_t bytes = 0, link_bytes = 0;
    std::uint32_t heading = 0;  ///< its level; 0: no heading
    bool paragraph = false;
};

/// Whether a class or an id has a word for what is around a text: menu, share, related, comments.
bool is_boilerplate(std::string_view class_or_id);

bool is_comments(std::string_view class_or_id);
/// Whether they have a word for the text itself: article, story, entry.
bool is_article(std::string_view class_or_id);

/// Of each part, whether it is of the article; empty: the page is none, all of it counts.
std::vector<bool> main_text(std::span<const Box> boxes, std::span<const Part> parts);

}  // namespace memory::knowledge::parse
