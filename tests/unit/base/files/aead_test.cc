#include "base/files/aead.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "support/seeds.h"

namespace {

using base::SecretKey;

std::string bytes_of(base::Rng& rng, std::size_t size) {
    std::string out;
    for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(rng.below(256));
    return out;
}

TEST(Aead, OpensWhatWasSealedForThatPlaceAndNothingElse) {
    test::for_each_seed(200, [](base::Rng& rng) {
        const SecretKey key = SecretKey::random(), other = SecretKey::random();
        const std::string plain = bytes_of(rng, rng.below(300)),
                          place = bytes_of(rng, rng.below(40));
        const std::string sealed = base::seal(key, plain, place);
        EXPECT_EQ(sealed.size(), plain.size() + base::kSealBytes);
        EXPECT_EQ(base::unseal(key, sealed, place), plain);
        EXPECT_FALSE(base::unseal(other, sealed, place));
        EXPECT_FALSE(base::unseal(key, sealed, place + "x"));
        std::string damaged = sealed;
        damaged[rng.below(damaged.size())] ^= static_cast<char>(1 + rng.below(255));
        EXPECT_FALSE(base::unseal(key, damaged, place));
        EXPECT_FALSE(base::unseal(key, sealed.substr(0, rng.below(sealed.size())), place));
        EXPECT_FALSE(base::unseal(key, bytes_of(rng, rng.below(100)), place));
        EXPECT_NE(base::seal(key, plain, place), sealed) << "the same nonce twice";
    });
}

TEST(Aead, VeiledNumbersAreTheSameForTheSameAndForNoOther) {
    const SecretKey key = SecretKey::random(), other = SecretKey::random();
    std::vector<std::int64_t> numbers, again;
    for (std::int64_t i = 0; i < 1'000; ++i) numbers.push_back(i * i - 500);
    again = numbers;
    std::vector<std::int64_t> elsewhere = numbers;
    base::veil(key, numbers);
    base::veil(key, again);
    base::veil(other, elsewhere);
    EXPECT_EQ(numbers, again);
    EXPECT_NE(numbers, elsewhere);
    // 0 and 1 are each there twice: i * i - 500 gives every number once for i >= 0.
    EXPECT_EQ(std::set<std::int64_t>(numbers.begin(), numbers.end()).size(), 1'000u);
}

}  // namespace
