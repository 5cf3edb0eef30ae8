// Scans against exact cosines, kernels against plain loops.

#include "memory/index/vectors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "memory/index/kernels.h"
#include "memory/index/rotation.h"
#include "support/seeds.h"

namespace memory::index {
namespace {

double gaussian(base::Rng& rng) {
    return std::sqrt(-2 * std::log(1 - rng.uniform())) *
           std::cos(6.283185307179586 * rng.uniform());
}

/// Topics with a shape of their own, like embeddings; every component off centre.
class Topics {
public:
    Topics(base::Rng& rng, std::uint32_t dims, std::size_t count) : rng_(rng), dims_(dims) {
        for (std::size_t i = 0; i < count * dims; ++i) centres_.push_back(gaussian(rng) + .5);
    }
    std::vector<float> next() {
        const std::size_t topic = rng_.below(centres_.size() / dims_);
        std::vector<float> v(dims_);
        for (std::uint32_t d = 0; d < dims_; ++d) {
            v[d] = static_cast<float>(centres_[topic * dims_ + d] + .6 * gaussian(rng_));
        }
        return v;
    }

private:
    base::Rng& rng_;
    std::uint32_t dims_;
    std::vector<double> centres_;
};

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
    double dot = 0, aa = 0, bb = 0;
    for (std::size_t d = 0; d < a.size(); ++d) {
        dot += double{a[d]} * b[d];
        aa += double{a[d]} * a[d];
        bb += double{b[d]} * b[d];
    }
    return dot / std::sqrt(aa * bb);
}

TEST(Kernels, AgreeWithPlainLoops) {
    test::for_each_seed(100, [](base::Rng& rng) {
        const std::size_t dims = 1 + rng.below(700), words = (dims + 63) / 64;
        std::vector<std::uint64_t> block(words * kBlockSlots), query(words);
        for (std::uint64_t& w : block) w = rng.next();
        for (std::uint64_t& w : query) w = rng.next();
        std::uint16_t distances[kBlockSlots];
        const auto limit = static_cast<std::uint16_t>(rng.below(words * 64));
        const std::uint64_t near =
            sign_distances(block.data(), query.data(), words, limit, distances);
        for (std::size_t i = 0; i < kBlockSlots; ++i) {
            int expected = 0;
            for (std::size_t w = 0; w < words; ++w) {
                expected += std::popcount(block[w * kBlockSlots + i] ^ query[w]);
            }
            ASSERT_EQ(distances[i], expected);
            ASSERT_EQ((near >> i & 1) != 0, expected <= limit);
        }
        std::vector<std::int8_t> coarse(dims), fine(dims);
        std::vector<std::int16_t> codes(dims);
        std::vector<float> floats(dims);
        std::int64_t sum = 0;
        double fine_sum = 0, size = 1;
        for (std::size_t d = 0; d < dims; ++d) {
            coarse[d] = static_cast<std::int8_t>(static_cast<int>(rng.below(255)) - 127);
            fine[d] = static_cast<std::int8_t>(static_cast<int>(rng.below(256)) - 128);
            codes[d] = static_cast<std::int16_t>(static_cast<int>(rng.below(40'000)) - 20'000);
            floats[d] = static_cast<float>(rng.uniform() - .5);
            sum += std::int64_t{coarse[d]} * codes[d];
            fine_sum += (256. * coarse[d] + fine[d]) * double{floats[d]};
            size += std::abs((256. * coarse[d] + fine[d]) * double{floats[d]});
        }
        ASSERT_EQ(dot_coarse(coarse.data(), codes.data(), dims), sum);
        ASSERT_NEAR(dot_fine(coarse.data(), fine.data(), floats.data(), dims), fine_sum,
                    1e-5 * size);
    });
}

TEST(Rotation, KeepsAnglesAndSpreadsAxes) {
    for (const std::uint32_t dims : {1u, 3u, 64u, 300u, 384u}) {
        base::Rng rng(dims);
        const Rotation rotation(dims);
        std::vector<float> a(dims), b(dims);
        for (std::uint32_t d = 0; d < dims; ++d) {
            a[d] = static_cast<float>(gaussian(rng));
            b[d] = static_cast<float>(gaussian(rng));
        }
        const double before = cosine(a, b);
        rotation.apply(a);
        rotation.apply(b);
        EXPECT_NEAR(cosine(a, b), before, 1e-4) << dims;
        if (dims < 64) continue;
        std::vector<float> axis(dims);
        axis[dims / 2] = 1;
        rotation.apply(axis);
        EXPECT_LT(std::abs(*std::ranges::max_element(axis)), .5) << dims;
    }
}

bool at_once(const std::function<void()>& piece) {
    piece();
    return true;
}

/// recall@10 of 60 queries under a filter that keeps about `share`.
double recall_of(const VectorIndex& index, const std::vector<std::vector<float>>& vectors,
                 Topics& topics, base::Rng& rng, double share, float asked) {
    Bits allowed(vectors.size());
    for (std::size_t i = 0; i < vectors.size(); ++i) {
        if (rng.uniform() < share) allowed.set(i);
    }
    std::size_t found = 0, wanted = 0;
    for (int q = 0; q < 60; ++q) {
        const std::vector<float> query = topics.next();
        std::vector<std::pair<double, Slot>> exact;
        allowed.each([&](Slot slot) {
            if (index.has(slot)) exact.emplace_back(-cosine(query, vectors[slot]), slot);
        });
        std::ranges::sort(exact);
        exact.resize(std::min<std::size_t>(10, exact.size()));
        std::string plan;
        const std::vector<Scored> got = index.nearest(query, allowed, 10, asked, &plan);
        for (const Scored& s : got) {
            EXPECT_TRUE(allowed.test(s.slot) && index.has(s.slot));
            EXPECT_NEAR(s.score, cosine(query, vectors[s.slot]), 1e-4);
        }
        wanted += exact.size();
        for (const auto& [score, slot] : exact) {
            found += static_cast<std::size_t>(std::ranges::count_if(
                got, [&, want = slot](const Scored& s) { return s.slot == want; }));
        }
    }
    return static_cast<double>(found) / static_cast<double>(std::max<std::size_t>(wanted, 1));
}

TEST(VectorIndex, FindsTheAskedShareAtEverySelectivity) {
    constexpr std::uint32_t kDims = 96;
    base::Rng rng(5);
    Topics topics(rng, kDims, 40);
    auto file = *SpillFile::create("");
    VectorIndex index(kDims, *file);
    std::vector<std::vector<float>> vectors;
    for (Slot slot = 0; slot < 20'000; ++slot) {
        vectors.push_back(topics.next());
        // Some have none; those after the fit are coded as they come.
        ASSERT_TRUE(slot % 17 == 3 ? index.set(slot, {}) : index.set(slot, vectors.back()));
        if (index.wants_fit()) index.adopt(index.fit(at_once));
    }
    for (Slot slot = 0; slot < 20'000; slot += 11) index.remove(slot);
    std::string plan;
    index.nearest(vectors[1], Bits(20'000), 10, .99f, &plan);
    for (const double share : {1., .5, .1, .01, .001}) {
        EXPECT_GE(recall_of(index, vectors, topics, rng, share, .99f), .985) << share;
    }
    EXPECT_EQ(recall_of(index, vectors, topics, rng, 1., 1.f), 1.);
}

TEST(VectorIndex, LooksDeeperForMore) {
    DepthCurve curve;
    std::vector<std::uint32_t> ranks(1000), small(1000);
    std::iota(ranks.begin(), ranks.end(), 0u);
    std::iota(small.begin(), small.end(), 0u);
    for (std::uint32_t& r : small) r /= 2;
    EXPECT_EQ(curve.depth(5000, 10, .9f), 5000u);  // nothing known: all
    curve.add(4'000, small, small);
    curve.add(16'000, ranks, ranks);
    EXPECT_LT(curve.depth(16'000, 10, .8f), curve.depth(16'000, 10, .95f));
    EXPECT_LT(curve.depth(16'000, 10, .95f), curve.depth(16'000, 100, .95f));
    EXPECT_LT(curve.depth(16'000, 10, .95f), curve.depth(1'000'000, 10, .95f));
    EXPECT_EQ(curve.depth(16'000, 10, 1.f), 16'000u);
    EXPECT_EQ(curve.depth(100, 10, .99f), 100u);
}

}  // namespace
}  // namespace memory::index
