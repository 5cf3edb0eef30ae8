// What people and programs write, and the terms it becomes.

#include "memory/text/analyzer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <utf8proc.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "base/core/utf8.h"
#include "support/seeds.h"

namespace memory::text {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> terms(std::string_view text) {
    std::vector<std::string> out;
    for (const Term& term : analyze(text)) {
        if (!term.stop_word) out.push_back(term.text);
    }
    return out;
}

std::string normal_form(const std::string& text, bool composed) {
    utf8proc_uint8_t* out =
        composed ? utf8proc_NFC(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str()))
                 : utf8proc_NFD(reinterpret_cast<const utf8proc_uint8_t*>(text.c_str()));
    std::string copy = out == nullptr ? "" : reinterpret_cast<const char*>(out);
    std::free(out);
    return copy;
}

TEST(Analyzer, StemsWordsAndFlagsStopWords) {
    EXPECT_THAT(terms("The Dogs were running in the gardens"), ElementsAre("dog", "run", "garden"));
    const std::vector<Term> all = analyze("to be or not");
    ASSERT_EQ(all.size(), 4u);
    for (const Term& term : all) EXPECT_TRUE(term.stop_word) << term.text;
}

TEST(Analyzer, DropsPossessivesAndKnowsContractions) {
    EXPECT_THAT(terms("Ann's dog"), ElementsAre("ann", "dog"));
    EXPECT_THAT(terms("Ann\u2019s dog"), ElementsAre("ann", "dog"));
    EXPECT_THAT(terms("don't DON\u2019T it's we'll"), IsEmpty());
    EXPECT_THAT(terms("O'Brien"), ElementsAre("o'brien", "o", "brien"));
}

TEST(Analyzer, KeepsIdentifiersWholeAndSplitsThem) {
    EXPECT_THAT(terms("parseHTTPHeader"), ElementsAre("parsehttpheader", "pars", "http", "header"));
    EXPECT_THAT(terms("err_no-42"), ElementsAre("err_no-42", "err", "42"));
    EXPECT_THAT(terms("v1.2.3"), ElementsAre("v1.2.3", "v1", "2", "3"));
    EXPECT_THAT(terms("src/foo/bar_baz.cc"),
                ElementsAre("src/foo/bar_baz.cc", "src", "foo", "bar", "baz", "cc"));
    EXPECT_THAT(terms("mail ann.smith@example.com."),
                ElementsAre("mail", "ann.smith@example.com", "ann", "smith", "exampl", "com"));
    EXPECT_THAT(terms("commit 6db168f9"), ElementsAre("commit", "6db168f9"));
    EXPECT_THAT(terms("iPhone15"), Contains("iphone15"));
    EXPECT_THAT(terms("utf8"), ElementsAre("utf8", "utf", "8"));
    EXPECT_THAT(terms("C++ and C#"), ElementsAre("c++", "c", "c#", "c"));
}

TEST(Analyzer, ReadsNumbersAsOne) {
    EXPECT_THAT(terms("1,234,567"), Contains("1234567"));
    EXPECT_THAT(terms("on 2023-05-07, 12:30"),
                ElementsAre("2023-05-07", "2023", "05", "07", "12:30", "12", "30"));
    EXPECT_THAT(terms("red,green"), ElementsAre("red", "green"));
}

TEST(Analyzer, PairsWhatHasNoSpaces) {
    EXPECT_THAT(terms("武汉大学"), ElementsAre("武汉", "汉大", "大学"));
    EXPECT_THAT(terms("猫"), ElementsAre("猫"));
    EXPECT_THAT(terms("用Redis缓存"), ElementsAre("用", "redi", "缓存"));
    EXPECT_THAT(terms("カタカナ"), ElementsAre("カタ", "タカ", "カナ"));
    EXPECT_THAT(terms("ｶﾞｽ"), ElementsAre("ガス"));
    EXPECT_THAT(terms("대한민국"), ElementsAre("대한", "한민", "민국"));
}

TEST(Analyzer, FoldsWidthAndCase) {
    EXPECT_EQ(terms("ＡＢＣ１２３"), terms("abc123"));
    EXPECT_EQ(terms("STRASSE"), terms("straße"));
}

TEST(Analyzer, PartsShareThePositionOfTheWhole) {
    const std::vector<Term> all = analyze("see foo_bar now");
    ASSERT_EQ(all.size(), 5u);
    EXPECT_EQ(all[1].text, "foo_bar");
    EXPECT_FALSE(all[1].part);
    EXPECT_TRUE(all[2].part && all[3].part);
    EXPECT_EQ(all[2].position, all[1].position);
    EXPECT_EQ(all[4].position, all[1].position + 1);
    EXPECT_EQ(all[3].begin, 8u);
    EXPECT_EQ(all[3].end, 11u);
}

TEST(Analyzer, EveryCharacterLooksTheSameInBothNormalForms) {
    for (char32_t code = 1; code <= 0x2FFFF; ++code) {
        if (code >= 0xD800 && code < 0xE000) continue;
        std::string text = "ab";
        base::append_utf8(text, code);
        text += "Cd 漢";
        base::append_utf8(text, code);
        const std::string composed = normal_form(text, true), apart = normal_form(text, false);
        if (composed == apart) continue;
        ASSERT_EQ(terms(composed), terms(apart)) << "U+" << std::hex << static_cast<unsigned>(code);
    }
}

TEST(Analyzer, SurvivesAnyBytes) {
    test::for_each_seed(300, [](base::Rng& rng) {
        static constexpr std::string_view kPieces[] = {"é",        "漢",     "Ab", "_", "-",
                                                       "'",        "한",     "1",  ",", "\xff",
                                                       "\xe6\xbc", "\u0301", " ",  "/", "Z"};
        std::string text;
        for (std::uint64_t n = rng.below(400); n > 0; --n) {
            if (rng.below(3) == 0) {
                text.push_back(static_cast<char>(rng.below(256)));
            } else {
                text += kPieces[rng.below(std::size(kPieces))];
            }
        }
        std::uint32_t position = 0;
        for (const Term& term : analyze(text)) {
            ASSERT_FALSE(term.text.empty());
            ASSERT_LE(term.text.size(), 255u);
            ASSERT_EQ(base::utf8_valid_prefix_bytes(term.text), term.text.size());
            ASSERT_LT(term.begin, term.end);
            ASSERT_LE(term.end, text.size());
            ASSERT_GE(term.position, position);
            position = term.position;
        }
        ASSERT_LE(count_tokens(text), 4 * text.size() + 1);
    });
}

TEST(Analyzer, CountsAboutAsManyTokensAsAModel) {
    // What Llama 3's vocabulary makes of each.
    const std::pair<std::string_view, double> kTexts[] = {
        {"Ann moved to Lisbon in March because her company opened an office there. She still has "
         "her old phone number, and she asked us to send the contract to her new address before "
         "the "
         "end of the month. Her allergies are the same as before: nuts and shellfish.",
         54},
        {"def parse_header(line: str) -> tuple[str, str]:\n    name, _, value = "
         "line.partition(\":\")\n"
         "    if not name:\n        raise ValueError(f\"no name in {line!r}\")\n"
         "    return name.strip().lower(), value.strip()\n",
         51},
        {"会议决定把数据库迁移到新的服务器上，时间定在下周三晚上十点。负责人需要提前备份所有的表，"
         "并且通知各个部门的同事不要在这段时间里提交修改。",
         49}};
    for (const auto& [text, tokens] : kTexts) {
        EXPECT_NEAR(count_tokens(text), tokens, .3 * tokens) << text;  // short: not the average
    }
    EXPECT_EQ(count_tokens(""), 0u);
}

TEST(Analyzer, AFileInOneWordIsFewTerms) {
    const std::string blob(1 << 20, 'a');
    ASSERT_EQ(analyze(blob).size(), 1u);
    std::string joined;
    for (int i = 0; i < 100'000; ++i) joined += "ab-";
    EXPECT_LE(analyze(joined).size(), 100u);
}

}  // namespace
}  // namespace memory::text
