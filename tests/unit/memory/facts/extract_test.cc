// What the rules see in plain sentences, and what they must leave alone.
#include "memory/facts/extract.h"

#include <gmock/gmock.h>

#include "memory/facts/when.h"
#include "support/seeds.h"

namespace memory::facts {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const UnixMs kSaid = day_of(2024, 6, 15)->from + 36'000'000;  // a Saturday, ten o'clock

/// "2024-06-15", or "said" for the moment itself.
std::string shown(UnixMs at) {
    if (at == kSaid) return "said";
    for (int year = 1980; year < 2040; ++year) {
        for (unsigned month = 1; month <= 12; ++month) {
            const Period whole = month_of(year, month);
            if (at < whole.from || at >= whole.to) continue;
            return std::to_string(year) + "-" + std::to_string(month) + "-" +
                   std::to_string((at - whole.from) / 86'400'000 + 1);
        }
    }
    return std::to_string(at);
}

std::vector<std::string> found(std::string_view text) {
    const ExtractContext context{.scope = {.tenant = "t"},
                                 .speaker = "Ann",
                                 .listener = "Bob",
                                 .said_at_unix_ms = kSaid,
                                 .source = "mem-1"};
    std::vector<std::string> out;
    for (const Extracted& one : extract(text, context)) {
        const Assertion& said = one.assertion;
        std::string line = std::string(one.retracts ? "- " : "+ ") + said.subject + " " +
                           said.predicate + " " + said.object + " " +
                           shown(said.valid_from_unix_ms);
        if (said.valid_to_unix_ms != 0) line += ".." + shown(said.valid_to_unix_ms);
        out.push_back(line);
    }
    return out;
}

TEST(Extract, EnglishStates) {
    EXPECT_THAT(found("I live in Paris."), ElementsAre("+ Ann lives_in Paris said"));
    EXPECT_THAT(found("You work at Acme Corp now."), ElementsAre("+ Bob works_at Acme Corp said"));
    EXPECT_THAT(found("Maria Silva is allergic to peanuts and shrimp."),
                ElementsAre("+ Maria Silva allergic_to peanuts said",
                            "+ Maria Silva allergic_to shrimp said"));
    EXPECT_THAT(found("I work as a welder at Acme and live in Oslo."),
                ElementsAre("+ Ann works_as welder said", "+ Ann works_at Acme said",
                            "+ Ann lives_in Oslo said"));
    EXPECT_THAT(
        found("My sister is married to Tom. She speaks French and Dutch."),
        ElementsAre("+ Ann's sister married_to Tom said", "+ Ann's sister speaks French said",
                    "+ Ann's sister speaks Dutch said"));
    EXPECT_THAT(found("I'm a nurse and I've a dog named Rex"),
                ElementsAre("+ Ann works_as nurse said", "+ Ann has_pet Rex said"));
    EXPECT_THAT(found("I am 34 years old."), ElementsAre("+ Ann age 34 said"));
    EXPECT_THAT(found("I can\u2019t stand mushrooms"),
                ElementsAre("+ Ann dislikes mushrooms said"));
    EXPECT_THAT(found("I'm planning to learn the violin."),
                ElementsAre("+ Ann plans_to learn the violin said"));
    EXPECT_THAT(found("Bob's living in Lima."), ElementsAre("+ Bob lives_in Lima said"));
}

TEST(Extract, EnglishAttributes) {
    EXPECT_THAT(found("My favorite color is dark green."),
                ElementsAre("+ Ann favourite_colour dark green said"));
    EXPECT_THAT(found("My email is ann.lee@example.org"),
                ElementsAre("+ Ann email ann.lee@example.org said"));
    EXPECT_THAT(found("Tom's phone number is +49 170 555."),
                ElementsAre("+ Tom phone +49 170 555 said"));
    EXPECT_THAT(found("The capital of France is Paris."),
                ElementsAre("+ France capital Paris said"));
    EXPECT_THAT(found("My sister's name is Clara."), ElementsAre("+ Ann's sister name Clara said"));
    EXPECT_THAT(found("My boss is not Tom."), ElementsAre("- Ann boss Tom said"));
    EXPECT_THAT(found("My birthday is May 3."), ElementsAre("+ Ann birthday May 3 said"));
}

TEST(Extract, EnglishChanges) {
    EXPECT_THAT(found("I moved to Berlin last month."),
                ElementsAre("+ Ann lives_in Berlin 2024-5-1"));
    EXPECT_THAT(found("In March 2021 Tom joined Globex as an engineer."),
                ElementsAre("+ Tom works_at Globex 2021-3-1", "+ Tom works_as engineer 2021-3-1"));
    EXPECT_THAT(found("I moved from Rome to Oslo in 2020"),
                ElementsAre("- Ann lives_in Rome 2020-1-1", "+ Ann lives_in Oslo 2020-1-1"));
    EXPECT_THAT(found("I no longer work at Acme."), ElementsAre("- Ann works_at Acme said"));
    EXPECT_THAT(found("I don't like coffee any more."), ElementsAre("- Ann likes coffee said"));
    EXPECT_THAT(found("I stopped playing chess yesterday."),
                ElementsAre("- Ann plays chess 2024-6-14"));
    EXPECT_THAT(found("We used to live in Kyiv. I used to live in Kyiv."),
                ElementsAre("- Ann lives_in Kyiv said"));
    EXPECT_THAT(found("She left. Tom quit Globex two weeks ago."),
                ElementsAre("- Tom works_at Globex 2024-6-1"));
    EXPECT_THAT(found("I started working at Initech on 3 May 2024"),
                ElementsAre("+ Ann works_at Initech 2024-5-3"));
    EXPECT_THAT(found("I moved out of Paris in May."),
                ElementsAre("- Ann lives_in Paris 2024-5-1"));
}

TEST(Extract, EnglishIntervals) {
    EXPECT_THAT(found("I have lived in Rome since 2019."),
                ElementsAre("+ Ann lives_in Rome 2019-1-1"));
    EXPECT_THAT(found("I've been working at Acme for three years"),
                ElementsAre("+ Ann works_at Acme 2021-6-15"));
    EXPECT_THAT(
        found("I lived in Lima from 2015 to 2018 and moved to Quito in 2019."),
        ElementsAre("+ Ann lives_in Lima 2015-1-1..2018-1-1", "+ Ann lives_in Quito 2019-1-1"));
    EXPECT_THAT(found("I worked at Acme until May 2020."),
                ElementsAre("- Ann works_at Acme 2020-5-1"));
    EXPECT_THAT(found("I lived in Lima in 2015."),
                ElementsAre("+ Ann lives_in Lima 2015-1-1..2016-1-1"));
    EXPECT_THAT(found("I was born on 3 May 1990."),
                ElementsAre("+ Ann born_on 3 May 1990 1990-5-3"));
    EXPECT_THAT(found("I work at Acme since 2024-02-01"),
                ElementsAre("+ Ann works_at Acme 2024-2-1"));
}

TEST(Extract, WhatIsNotClearIsNotAsserted) {
    for (const std::string_view text : {"Do you live in Paris?",
                                        "If I lived in Paris I would be happy.",
                                        "I lived in Paris.",
                                        "Maybe I work at Acme.",
                                        "I think Tom lives in Oslo.",
                                        "I am moving to Rome next month.",
                                        "I want to live in Paris.",
                                        "We live in Paris.",
                                        "They work at Acme.",
                                        "I like it.",
                                        "My job is great.",
                                        "My sister is visiting.",
                                        "Tom said he lives in Oslo.",
                                        "I didn't move to Rome.",
                                        "I have never been to Rome.",
                                        "I will move to Rome in May.",
                                        "I live in Paris before 2019.",
                                        "He lives in Oslo.",
                                        "I have a question.",
                                        "I have a dog walker.",
                                        "I left the house.",
                                        "My car is in Paris.",
                                        "\"I live in Paris\" was the title.",
                                        "Live in Paris!",
                                        "I love how you sing.",
                                        "I love you.",
                                        "I have worked at Acme.",
                                        "It is called Rex.",
                                        "",
                                        "...",
                                        "is is is"}) {
        EXPECT_THAT(found(text), IsEmpty()) << text;
    }
}

TEST(Extract, Chinese) {
    EXPECT_THAT(found("我住在北京。"), ElementsAre("+ Ann lives_in 北京 said"));
    EXPECT_THAT(found("我叫李雷，在小米工作。"),
                ElementsAre("+ Ann name 李雷 said", "+ Ann works_at 小米 said"));
    EXPECT_THAT(found("去年我搬到了上海"), ElementsAre("+ Ann lives_in 上海 2023-1-1"));
    EXPECT_THAT(found("韩梅梅喜欢茶和咖啡。"),
                ElementsAre("+ 韩梅梅 likes 茶 said", "+ 韩梅梅 likes 咖啡 said"));
    EXPECT_THAT(found("我已经不在小米工作了。"), ElementsAre("- Ann works_at 小米 said"));
    EXPECT_THAT(found("我不再喜欢足球。"), ElementsAre("- Ann likes 足球 said"));
    EXPECT_THAT(found("我对花生过敏"), ElementsAre("+ Ann allergic_to 花生 said"));
    EXPECT_THAT(found("我从2019年5月起住在杭州。"), ElementsAre("+ Ann lives_in 杭州 2019-5-1"));
    EXPECT_THAT(found("我从2015年到2018年住在广州。"),
                ElementsAre("+ Ann lives_in 广州 2015-1-1..2018-1-1"));
    EXPECT_THAT(found("我的邮箱是ann@example.org。"),
                ElementsAre("+ Ann email ann@example.org said"));
    EXPECT_THAT(found("我最喜欢的颜色是绿色。"), ElementsAre("+ Ann favourite_colour 绿色 said"));
    EXPECT_THAT(found("我是一名护士。"), ElementsAre("+ Ann works_as 护士 said"));
    EXPECT_THAT(found("我妹妹住在成都。"), ElementsAre("+ Ann的妹妹 lives_in 成都 said"));
    EXPECT_THAT(found("我出生于1990年5月3日。"),
                ElementsAre("+ Ann born_on 1990年5月3日 1990-5-3"));
    for (const std::string_view text :
         {"你住在北京吗？", "如果我住在北京就好了。", "他们住在北京。", "我想住在北京。",
          "我没喜欢过他。", "谁住在北京"}) {
        EXPECT_THAT(found(text), IsEmpty()) << text;
    }
}

TEST(Extract, SpansNameTheClause) {
    const std::string text = "Hello there. I live in Paris.";
    const auto all = extract(text, {.speaker = "Ann", .said_at_unix_ms = kSaid, .source = "mem-7"});
    ASSERT_EQ(all.size(), 1u);
    const SourceSpan& span = all[0].assertion.sources.at(0);
    EXPECT_EQ(span.source, "mem-7");
    EXPECT_EQ(text.substr(span.begin, span.end - span.begin), "I live in Paris");
}

TEST(ExtractFuzz, NoTextCrashesAndSpansStayInside) {
    const std::vector<std::string> pieces = {
        "I",         "live in", "Paris",   "my",
        "'s",        "\u2019s", "is",      "not",
        "no longer", "since",   "2019",    "May",
        ",",         ".",       "and",     "have a dog named",
        "because",   "the",     "of",      "我",
        "住在",      "北京",    "从",      "到",
        "年",        "13月",    "2019年",  "不",
        "了",        "的",      "是",      "\xff",
        "\xe4\xbd",  "?",       "\"",      "99999999999999999999",
        "from",      "to",      "born on", "moved from",
        "used to",   "been",    "any"};
    test::for_each_seed(4'000, [&](base::Rng& rng) {
        std::string text;
        for (std::uint64_t i = rng.below(14); i > 0; --i) {
            text += pieces[rng.below(pieces.size())];
            if (rng.below(3) != 0) text += ' ';
        }
        if (!text.empty() && rng.below(4) == 0) {
            text[rng.below(text.size())] = static_cast<char>(rng.below(256));
        }
        for (const Extracted& one :
             extract(text, {.speaker = "Ann", .listener = "Bob", .said_at_unix_ms = kSaid})) {
            const SourceSpan& span = one.assertion.sources.at(0);
            ASSERT_LE(span.begin, span.end) << text;
            ASSERT_LE(span.end, text.size()) << text;
            ASSERT_FALSE(one.assertion.subject.empty()) << text;
            ASSERT_FALSE(one.assertion.object.empty()) << text;
            ASSERT_EQ(one.retracts, one.assertion.ends);
        }
    });
}

}  // namespace
}  // namespace memory::facts
