#include "memory/knowledge/statements.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "memory/knowledge/parse/parse.h"
#include "memory/knowledge/quantities.h"
#include "support/seeds.h"

namespace test {
namespace {

using memory::knowledge::agree;
using memory::knowledge::Parsed;
using memory::knowledge::read_quantity;
using memory::knowledge::Statement;
using memory::knowledge::StatementRow;
using testing::ElementsAre;
using testing::IsEmpty;

std::string normal(std::string_view text, bool year = false) {
    const auto read = read_quantity(text, year);
    return read ? read->normal : "-";
}

std::vector<StatementRow> rows_of(std::string_view text, std::string_view document = "d") {
    memory::knowledge::ParseRequest request;
    request.name = "a.md";
    const auto parsed = memory::knowledge::parse::parse_document(text, request);
    if (!parsed) return {};
    auto rows = find_statements(*parsed);
    for (StatementRow& row : rows) {
        row.document = document;
        EXPECT_LE(row.end, parsed->text.size());
        EXPECT_EQ(parsed->text.substr(row.begin, row.quote.size()), row.quote);
    }
    return rows;
}

/// "subject / attribute / value".
std::vector<std::string> said(std::string_view text) {
    std::vector<std::string> out;
    for (const StatementRow& row : rows_of(text)) {
        out.push_back(row.subject + " / " + row.attribute + " / " + row.value);
    }
    return out;
}

bool conflict(std::string_view a, std::string_view b) {
    auto rows = rows_of(a, "a");
    for (StatementRow& row : rows_of(b, "b")) rows.push_back(std::move(row));
    return !find_conflicts(rows).empty();
}

TEST(Quantities, AreBroughtToOneForm) {
    const auto same = [](std::string_view a, std::string_view b) {
        const auto x = read_quantity(a, true), y = read_quantity(b, true);
        return x && y && agree(x->kind, x->normal, y->normal).value_or(false);
    };
    EXPECT_TRUE(same("3.5 GB", "3500 MB"));
    EXPECT_TRUE(same("$1.2 million", "USD 1") == false);
    EXPECT_TRUE(same("$1,200,000", "1.2 million dollars"));
    EXPECT_TRUE(same("2 hours", "120 minutes"));
    EXPECT_TRUE(same("3.1 kg", "3.14 kg"));
    EXPECT_FALSE(same("3.5 kg", "3.9 kg"));
    EXPECT_FALSE(same("10 people", "12 people"));
    EXPECT_TRUE(same("3 May 2021", "2021-05-03"));
    EXPECT_TRUE(same("May 2021", "2021年5月3日"));
    EXPECT_FALSE(same("May 2021", "June 2021"));
    EXPECT_TRUE(same("9:30 pm", "21:30"));
    EXPECT_TRUE(same("3500万元", "0.35亿元"));
    const auto metres = read_quantity("3 m", false), seconds = read_quantity("3 s", false);
    EXPECT_FALSE(agree(metres->kind, metres->normal, seconds->normal).has_value());
    for (const char* text :
         {"", "x", "3-5 kg", "3 to 5 kg", "3/4/2021", "1998-2004", "5kg3", "2 and"}) {
        EXPECT_EQ(normal(text), "-") << text;
    }
}

TEST(Statements, AreWhatIsSaidPlainly) {
    EXPECT_THAT(said("The weight of the X200 is 3.5 kg."), ElementsAre("X200 / weight / 3.5 kg"));
    EXPECT_THAT(said("Acme's annual revenue was 12 million EUR in 2020."),
                ElementsAre("Acme / annual revenue / 12 million EUR"));
    EXPECT_THAT(said("Acme Tools was founded in 1998 in Bern."),
                ElementsAre("Acme Tools / founded / 1998"));
    EXPECT_THAT(said("Ann Lee is the CEO of Acme."), ElementsAre("Acme / CEO / Ann Lee"));
    EXPECT_THAT(said("Acme employs 12 people."), ElementsAre("Acme / employs person / 12 people"));
    EXPECT_THAT(said("The Model X200 has a range of 500 km."),
                ElementsAre("Model X200 / range / 500 km"));
    EXPECT_THAT(said("长江大桥的长度是1670米，长江大桥建成于1957年。"),
                ElementsAre("长江大桥 / 长度 / 1670米", "长江大桥 / 建成 / 1957年"));
    EXPECT_THAT(said("| Part | Weight (kg) | 2020 |\n|--|--|--|\n| Bolt M8 | 0.5 | 7 |\n| Total | "
                     "3 | 4 |\n"),
                ElementsAre("Bolt M8 / Weight / 0.5 kg"));
    EXPECT_THAT(said("# Pump P40\n\nWeight: 3.5 kg\n"), ElementsAre("P40 / Weight / 3.5 kg"));
}

TEST(Statements, NothingIsTakenFromWhatIsNotPlain) {
    for (const char* text :
         {"The weight of the X200 is about 3.5 kg.", "The weight of the X200 is not 3.5 kg.",
          "If the weight of the X200 is 3.5 kg, stop.", "Is the weight of the X200 3.5 kg?",
          "The weight of the device is 3.5 kg.", "It weighs 3.5 kg.", "This X200 weighs 3 kg.",
          "The weight of the X200 is between 3 and 4 kg.", "The weight of the X200 is 3 to 4 kg.",
          "The weight of the X200 is less than 3 kg.", "They said the X200 weighs 3 kg.",
          "The Company was founded in 1998.", "该公司的员工是12人。", "桥的长度约为12米。",
          "| Item | Amount |\n|--|--|\n| Net Income | 5 |\n", "Price: 5 EUR\n"}) {
        EXPECT_THAT(said(text), IsEmpty()) << text;
    }
}

TEST(Conflicts, AreOfOneThingUnderOneCondition) {
    EXPECT_TRUE(conflict("The weight of the X200 is 3.5 kg.", "The X200's weight is 5 kg."));
    EXPECT_TRUE(conflict("Acme was founded in 1998.", "Acme was founded in May 2001."));
    EXPECT_TRUE(conflict("Ann Lee is the CEO of Acme.", "The CEO of Acme is Bob Ray."));
    EXPECT_TRUE(conflict("| Part | Weight (kg) |\n|--|--|\n| Bolt M8 | 0.5 |\n",
                         "| Part | Weight |\n|--|--|\n| Bolt M8 | 700 g |\n"));
    EXPECT_TRUE(conflict("长江大桥的长度是1670米。", "据悉。长江大桥的长度为1760米。"));
    EXPECT_FALSE(
        conflict("The weight of the X200 is 3.5 kg.", "The weight of the X200 is 3500 g."));
    EXPECT_FALSE(conflict("The weight of the X200 is 3.5 kg.", "The weight of the X300 is 4 kg."));
    EXPECT_FALSE(conflict("In 2020, the revenue of Acme was 5 EUR.",
                          "In 2021, the revenue of Acme was 6 EUR."));
    EXPECT_FALSE(conflict("The price of the X200 is 5 EUR in Italy.",
                          "The price of the X200 is 6 EUR in Spain."));
    EXPECT_FALSE(conflict("Acme was founded in 1998.", "Acme was founded in May 1998."));
    EXPECT_FALSE(conflict("The length of the X200 is 3 m.", "The length of the X200 is 3 s."));
    const auto one = rows_of("The weight of the X200 is 3 kg. The weight of the X200 is 4 kg.");
    EXPECT_THAT(find_conflicts(one), IsEmpty()) << "of one document";
}

/// A generated world: every thing has one value; some documents tell another.
TEST(Conflicts, AGeneratedSetIsFoundWithFewMistakes) {
    std::size_t planted = 0, found = 0, wrong = 0;
    for_each_seed(20, [&](base::Rng& rng) {
        const std::string_view attributes[] = {"weight", "price", "length", "capacity"};
        const std::string_view units[][2] = {
            {"kg", "g"}, {"EUR", "euros"}, {"m", "cm"}, {"GB", "MB"}};
        const double factors[] = {1000, 1, 100, 1000};
        std::vector<StatementRow> rows;
        std::set<std::string> expected;
        for (int thing = 0; thing < 30; ++thing) {
            const std::size_t what = rng.below(4);
            const auto value = static_cast<double>(2 + rng.below(90));
            const bool differs = rng.below(3) == 0;
            const std::string name = fmt::format("Model A{}", thing);
            for (int document = 0; document < 2; ++document) {
                const double told =
                    value +
                    (differs && document == 1 ? 1. + static_cast<double>(rng.below(9)) : 0.);
                const bool small = rng.below(2) == 0;
                const std::string quantity =
                    fmt::format("{} {}", small ? told * factors[what] : told, units[what][small]);
                std::string text;
                switch (rng.below(4)) {
                    case 0:
                        text = fmt::format("The {} of the {} is {}.", attributes[what], name,
                                           quantity);
                        break;
                    case 1:
                        text = fmt::format("{}'s {} is {}.", name, attributes[what], quantity);
                        break;
                    case 2:
                        text =
                            fmt::format("The {} has a {} of {}.", name, attributes[what], quantity);
                        break;
                    default:
                        text = fmt::format("| Name | {} |\n|--|--|\n| {} | {} |\n",
                                           attributes[what], name, quantity);
                        break;
                }
                for (StatementRow& row : rows_of(text, document == 0 ? "a" : "b"))
                    rows.push_back(std::move(row));
            }
            if (differs) expected.insert(name);
        }
        planted += expected.size();
        for (const auto& group : find_conflicts(rows)) {
            const std::string& subject = group.front().subject;
            const std::string name = subject.starts_with("the ") ? subject.substr(4) : subject;
            (expected.contains(name) ? found : wrong) += 1;
        }
    });
    std::printf("conflicts: %zu of %zu planted found, %zu wrong\n", found, planted, wrong);
    EXPECT_EQ(wrong, 0u);
    EXPECT_GE(found * 100, planted * 95);
}

TEST(Statements, AnyTextIsRead) {
    const std::string_view pieces[] = {"The ",
                                       "of ",
                                       "is ",
                                       "3.5",
                                       " kg",
                                       "X200",
                                       "'s ",
                                       ". ",
                                       "的",
                                       "是",
                                       "1998年",
                                       "\n",
                                       "| ",
                                       "|--|",
                                       "# ",
                                       ": ",
                                       "\xE4\xB8",
                                       "-",
                                       "was founded in "};
    for_each_seed(500, [&](base::Rng& rng) {
        std::string text;
        for (std::uint64_t n = rng.below(60); n != 0; --n)
            text += pieces[rng.below(std::size(pieces))];
        rows_of(text);  // checks its quotes
    });
}

}  // namespace
}  // namespace test
