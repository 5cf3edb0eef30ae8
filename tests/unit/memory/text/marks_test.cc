#include <gtest/gtest.h>

#include "memory/text/analyzer.h"
#include "memory/text/marks.h"

namespace {

using memory::text::marks;

TEST(Marks, WhatEndsByAskingAsks) {
    for (const char* text : {"Really?", "你去哪儿？", "Is it \"so?\" ", "What?!"}) {
        EXPECT_EQ(marks(text, "").size(), 1u) << text;
    }
    for (const char* text : {"No.", "Why? Because.", "", "?x"}) {
        EXPECT_TRUE(marks(text, "").empty()) << text;
    }
}

TEST(Marks, NameEveryWordOfTheSpeakerOnceAndNoTextMakesOne) {
    EXPECT_EQ(marks("Hello.", "Ann Ann Lee").size(), 2u);
    for (const auto& term : memory::text::analyze("\x02@ann \x02? ann")) {
        EXPECT_NE(term.text.front(), '\x02');
    }
}

}  // namespace
