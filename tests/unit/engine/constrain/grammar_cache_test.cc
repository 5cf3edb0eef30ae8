#include "engine/constrain/grammar_cache.h"

#include <gtest/gtest.h>

#include "engine/constrain/ebnf.h"

namespace engine::constrain {
namespace {

struct Source {
    std::string text;
    int compiled = 0;

    base::Result<std::shared_ptr<const Grammar>> from(GrammarCache& cache) {
        return cache.get(text, [&] {
            ++compiled;
            return compile_ebnf(text);
        });
    }
};

TEST(GrammarCache, CompilesOnce) {
    GrammarCache cache;
    Source a{"root ::= \"a\""}, b{"root ::= \"b\""};
    const auto first = a.from(cache);
    ASSERT_TRUE(first && b.from(cache));
    EXPECT_EQ(*a.from(cache), *first);
    EXPECT_EQ(a.compiled, 1);
    EXPECT_EQ(cache.stats().hits, 1u);
    EXPECT_EQ(cache.stats().misses, 2u);
    EXPECT_EQ(cache.stats().grammars, 2u);
}

TEST(GrammarCache, ForgetsWhatWasNotUsedLately) {
    Source a{"root ::= \"a\""}, b{"root ::= \"b\""}, c{"root ::= \"c\""};
    const std::size_t one = a.text.size() + (*compile_ebnf(a.text))->memory_bytes();
    GrammarCache cache({2 * one + one / 2});
    ASSERT_TRUE(a.from(cache) && b.from(cache) && a.from(cache) && c.from(cache));
    EXPECT_EQ(cache.stats().grammars, 2u);
    EXPECT_LE(cache.stats().bytes, 2 * one + one / 2);
    ASSERT_TRUE(a.from(cache) && b.from(cache));
    EXPECT_EQ(a.compiled, 1);
    EXPECT_EQ(b.compiled, 2);
}

TEST(GrammarCache, ErrorsAndGiantsAreNotKept) {
    GrammarCache cache({100});
    Source bad{"root ::= ("}, giant{"root ::= \"" + std::string(200, 'x') + "\""};
    EXPECT_FALSE(bad.from(cache));
    EXPECT_FALSE(bad.from(cache));
    EXPECT_EQ(bad.compiled, 2);
    EXPECT_TRUE(giant.from(cache));
    EXPECT_EQ(cache.stats().grammars, 0u);
    EXPECT_EQ(cache.stats().bytes, 0u);
}

}  // namespace
}  // namespace engine::constrain
