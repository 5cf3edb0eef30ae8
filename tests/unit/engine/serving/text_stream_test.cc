#include "engine/sample/text_stream.h"

#include <gtest/gtest.h>

#include "support/seeds.h"

namespace {

using engine::TextStream;
using engine::Utf8Assembler;

TEST(Utf8Assembler, HoldsHalfACharacterBack) {
    Utf8Assembler utf8;
    EXPECT_EQ(utf8.push("a\xE2\x82"), "a");
    EXPECT_EQ(utf8.push("\xAC!"), "€!");
    EXPECT_EQ(utf8.finish(), "");
}

TEST(Utf8Assembler, ReplacesWhatCanNeverBeValid) {
    const std::string r = "\xEF\xBF\xBD";
    EXPECT_EQ(Utf8Assembler().push("\xFFx"), r + "x");
    EXPECT_EQ(Utf8Assembler().push("\xC0\xAF"), r + r);                  // overlong
    EXPECT_EQ(Utf8Assembler().push("\xED\xA0\x80"), r + r + r);          // surrogate
    EXPECT_EQ(Utf8Assembler().push("\xF0\x9F\x98z"), r + "z");           // one maximal part
    EXPECT_EQ(Utf8Assembler().push("\xF4\x90\x80\x80"), r + r + r + r);  // above U+10FFFF
    Utf8Assembler cut;
    EXPECT_EQ(cut.push("\xF0\x9F"), "");
    EXPECT_EQ(cut.finish(), r);
    EXPECT_EQ(cut.finish(), "");
}

TEST(TextStream, FreesTextAtOnceWithoutStops) {
    TextStream stream({});
    EXPECT_EQ(stream.push("Hello"), "Hello");
    EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, FindsAStopAcrossTokensAndNeverEmitsIt) {
    TextStream stream({"STOP"});
    EXPECT_EQ(stream.push("go S"), "go ");
    EXPECT_EQ(stream.push("TO"), "");
    EXPECT_EQ(stream.push("P and more"), "");
    EXPECT_EQ(stream.matched(), "STOP");
    EXPECT_EQ(stream.push("later"), "");
    EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, FreesHeldTextWhenTheStopDoesNotCome) {
    TextStream stream({"STOP"});
    EXPECT_EQ(stream.push("ST"), "");
    EXPECT_EQ(stream.push("ART"), "START");
    EXPECT_EQ(stream.push("S"), "");
    EXPECT_EQ(stream.finish(), "S");
    EXPECT_FALSE(stream.matched().has_value());
}

TEST(TextStream, TheEarliestStopWins) {
    TextStream stream({"world", "lo w"});
    EXPECT_EQ(stream.push("hello world"), "hel");
    EXPECT_EQ(stream.matched(), "lo w");
}

TEST(TextStream, SelfOverlappingStopsAreFound) {
    TextStream stream({"aab"});
    EXPECT_EQ(stream.push("a"), "");
    EXPECT_EQ(stream.push("a"), "");
    EXPECT_EQ(stream.push("a"), "a");
    EXPECT_EQ(stream.push("b"), "");
    EXPECT_EQ(stream.matched(), "aab");
}

TEST(TextStream, EmptyStopsAreIgnored) {
    TextStream stream({""});
    EXPECT_EQ(stream.push("x"), "x");
}

// However the bytes are cut into tokens, the text that comes out is the same.
TEST(TextStream, CutsDoNotMatter) {
    test::for_each_seed(500, [](base::Rng& rng) {
        static const std::string kAlphabet[] = {"a", "b", "ab", "é", "€", "😀", "\xFF", "\xE2\x82"};
        std::string bytes;
        for (std::uint64_t i = 0; i < rng.below(30); ++i) bytes += kAlphabet[rng.below(8)];
        const std::vector<std::string> stops = {"abab", "é€", "bb"};
        const auto run = [&](std::size_t piece_max) {
            TextStream stream(stops);
            std::string text;
            for (std::size_t at = 0; at < bytes.size();) {
                const std::size_t size = piece_max == 0 ? bytes.size() : 1 + rng.below(piece_max);
                text += stream.push(std::string_view(bytes).substr(at, size));
                at += size;
            }
            text += stream.finish();
            return std::pair(text, stream.matched());
        };
        const auto whole = run(0);
        for (const std::size_t piece_max : {1u, 3u, 6u}) EXPECT_EQ(run(piece_max), whole);
        for (const std::string& stop : stops) {
            EXPECT_EQ(whole.first.find(stop), std::string::npos);
        }
    });
}

}  // namespace
