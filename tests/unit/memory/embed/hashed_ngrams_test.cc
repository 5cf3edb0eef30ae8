#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "memory/embed/hashed_ngrams.h"

namespace {

std::vector<float> vector_of(memory::Embedder& embedder, std::string_view text) {
    std::vector<float> out(embedder.dims());
    EXPECT_TRUE(embedder.embed({&text, 1}, memory::EmbedSide::document, out));
    return out;
}
float cosine(const std::vector<float>& a, const std::vector<float>& b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.f);
}

TEST(HashedNgrams, LengthIsOneOrZero) {
    const auto embedder = memory::embed::make_hashed_ngrams();
    const auto v = vector_of(*embedder, "The quick brown fox 数据库");
    EXPECT_NEAR(cosine(v, v), 1.f, 1e-5f);
    const auto nothing = vector_of(*embedder, " .,!? ");
    EXPECT_EQ(cosine(nothing, nothing), 0.f);
}

TEST(HashedNgrams, AlikeWordsAreNearerThanOthers) {
    const auto embedder = memory::embed::make_hashed_ngrams();
    const auto v = vector_of(*embedder, "psychology counselling certificate");
    EXPECT_GT(cosine(v, vector_of(*embedder, "psychological counsellor certification")),
              cosine(v, vector_of(*embedder, "train to the harbour")) + .2f);
}

TEST(HashedNgrams, RoomOfTheWrongSizeIsRefused) {
    const auto embedder = memory::embed::make_hashed_ngrams();
    std::vector<float> small(3);
    const std::string_view text = "x";
    const auto done = embedder->embed({&text, 1}, memory::EmbedSide::query, small);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().code, base::Code::invalid_argument);
}

}  // namespace
