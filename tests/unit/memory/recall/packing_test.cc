#include <gtest/gtest.h>

#include "base/core/rng.h"
#include "memory/recall/packing.h"
#include "memory/text/analyzer.h"
#include "support/seeds.h"

namespace {

using memory::Hit;

Hit hit(const std::string& id, const std::string& content, const std::string& speaker = "") {
    Hit h;
    h.entry.id = id;
    h.entry.content = content;
    h.entry.speaker = speaker;
    return h;
}

TEST(Packing, EqualWordsAreOneHit) {
    std::vector<Hit> hits = {hit("a", "I like tea."), hit("b", "Coffee"),
                             hit("c", "I like tea!"), hit("d", "I like tea.", "Bob"),
                             hit("e", "..."),         hit("f", "!!!")};
    memory::recall::collapse_duplicates(hits);
    ASSERT_EQ(hits.size(), 5u);
    EXPECT_EQ(hits[0].duplicates, std::vector<std::string>{"c"});
    EXPECT_EQ(hits[2].entry.id, "d") << "somebody else said it";
}

TEST(Packing, AShorterHitTakesTheRoomALongerOneCannot) {
    std::string longer;
    for (int i = 0; i < 200; ++i) longer += "banana ";
    std::vector<Hit> hits = {hit("a", "one two three"), hit("b", longer), hit("c", "four five")};
    memory::recall::pack(hits, 20);
    ASSERT_EQ(hits.size(), 2u);
    EXPECT_EQ(hits[1].entry.id, "c");
}

TEST(Packing, NeverPassesTheBudgetNorLeavesAGap) {
    test::for_each_seed(200, [](base::Rng& rng) {
        const auto text = [&] {
            std::string out;
            for (std::uint64_t n = 1 + rng.below(20); n-- > 0;) out += "word ";
            return out;
        };
        std::vector<Hit> hits;
        for (std::uint64_t n = rng.below(10); n-- > 0;) {
            hits.push_back(hit(std::to_string(n), text()));
            for (std::uint64_t b = rng.below(3); b-- > 0;) {
                hits.back().before.push_back(hit("b" + std::to_string(b), text()).entry);
            }
            for (std::uint64_t a = 0, most = rng.below(3); a < most; ++a) {
                hits.back().after.push_back(hit("a" + std::to_string(a), text()).entry);
            }
        }
        const auto budget = static_cast<std::uint32_t>(1 + rng.below(200));
        memory::recall::pack(hits, budget);
        std::uint64_t used = 0;
        const auto count = [&](const memory::Entry& e) {
            used += memory::text::count_tokens(e.content);
        };
        for (const Hit& h : hits) {
            count(h.entry);
            for (std::size_t i = 0; i < h.before.size(); ++i) {
                count(h.before[i]);
                EXPECT_EQ(h.before[i].id, "b" + std::to_string(h.before.size() - 1 - i));
            }
            for (std::size_t i = 0; i < h.after.size(); ++i) {
                count(h.after[i]);
                EXPECT_EQ(h.after[i].id, "a" + std::to_string(i));
            }
        }
        EXPECT_LE(used, budget);
    });
}

}  // namespace
