#include "memory/knowledge/parse/main_text.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/core/rng.h"
#include "memory/knowledge/parse/parse.h"
#include "support/seeds.h"

namespace memory::knowledge::parse {
namespace {

std::string text_of(const std::string& html) {
    const auto parsed = parse_html(html, {});
    return parsed ? parsed->text : parsed.error().message;
}

std::string paragraphs(const std::string& about, int count) {
    std::string out;
    for (int i = 0; i < count; ++i) {
        out += fmt::format(
            "<p>Paragraph {} tells at some length about {}, as paragraphs of articles do, and it "
            "ends after a second clause.</p>\n",
            i, about);
    }
    return out;
}

TEST(MainText, WordsOfNamesAreWholeWords) {
    for (const char* name : {"sidebar", "page-sidebar", "shareBar share", "related_articles",
                             "post comments", "AD-slot"}) {
        EXPECT_TRUE(is_boilerplate(name)) << name;
    }
    for (const char* name :
         {"", "content", "shared", "adjacent", "navigator", "heading", "header"}) {
        EXPECT_FALSE(is_boilerplate(name)) << name;
    }
}

TEST(MainText, AnArticleIsReadWithoutWhatStandsAroundIt) {
    const std::string text = text_of(
        "<body><div class='top'><a href='/'>Front page</a> <a href='/w'>World</a></div>"
        "<div><div class='text'><h1>On whales</h1>" +
        paragraphs("whales", 4) + "<h2>Songs</h2>" + paragraphs("songs", 3) +
        "<div class='share-buttons'>Tell your friends</div></div>"
        "<div class='related'>" +
        paragraphs("sharks", 1) +
        "</div></div>"
        "<div id='comments'>" +
        paragraphs("opinions", 6) +
        "</div>"
        "<div>Imprint and the address of the house</div></body>");
    EXPECT_NE(text.find("whales"), std::string::npos);
    EXPECT_NE(text.find("Songs"), std::string::npos);
    EXPECT_NE(text.find("songs"), std::string::npos);
    for (const char* other : {"Front page", "friends", "sharks", "opinions", "Imprint"}) {
        EXPECT_EQ(text.find(other), std::string::npos) << other;
    }
}

TEST(MainText, WhatThePageCallsItsBodyIsTheText) {
    const std::string text = text_of(
        "<div>" + paragraphs("our service", 9) +
        "</div><div itemprop='articleBody'>Short news of the day: the bridge over the river "
        "is open again after two years, and the mayor says that it will stay open for as "
        "long as the river runs below it, which is to say for a long time.</div>");
    EXPECT_NE(text.find("bridge"), std::string::npos);
    EXPECT_EQ(text.find("our service"), std::string::npos);
}

TEST(MainText, APageThatIsNoArticleIsReadWhole) {
    const std::string text = text_of(
        "<div><p>Opening hours</p><table><tr><th>Day</th><th>Hours</th></tr>"
        "<tr><td>Monday</td><td>9 to 5</td></tr></table></div>"
        "<div class='sidebar'><p>Phone 12345</p></div><ul><li>Cakes</li><li>Bread</li></ul>");
    for (const char* part :
         {"Opening hours", "Monday", "9 to 5", "Phone 12345", "Cakes", "Bread"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part;
    }
}

TEST(MainText, TablesAndCodeOfAnArticleStay) {
    const std::string text = text_of(
        "<article>" + paragraphs("tables", 5) +
        "<table><tr><th>Whale</th><th>Tons</th></tr><tr><td>Blue</td><td>150</td></tr></table>"
        "<pre>swim(fast)</pre></article>");
    EXPECT_NE(text.find("150"), std::string::npos);
    EXPECT_NE(text.find("swim(fast)"), std::string::npos);
}

TEST(MainText, AnyTreeGivesAnAnswerForEachPartOrForNone) {
    test::for_each_seed(300, [](base::Rng& rng) {
        std::vector<Box> boxes(1);
        for (std::uint64_t n = rng.below(40); n > 0; --n) {
            Box box{.parent = static_cast<std::uint32_t>(rng.below(boxes.size()))};
            box.boilerplate = rng.below(4) == 0;
            box.comments = rng.below(6) == 0;
            box.article = rng.below(4) == 0;
            box.article_body = rng.below(20) == 0;
            box.leaf = rng.below(3) == 0;
            boxes.push_back(box);
        }
        std::vector<Part> parts(rng.below(60));
        for (Part& part : parts) {
            part.box = static_cast<std::uint32_t>(rng.below(boxes.size()));
            part.bytes = rng.below(500);
            part.link_bytes = rng.below(600);
            part.heading = static_cast<std::uint32_t>(rng.below(4));
            part.paragraph = rng.below(2) == 0;
        }
        const std::vector<bool> kept = main_text(boxes, parts);
        EXPECT_TRUE(kept.empty() || kept.size() == parts.size());
        EXPECT_EQ(kept, main_text(boxes, parts));
    });
}

}  // namespace
}  // namespace memory::knowledge::parse
