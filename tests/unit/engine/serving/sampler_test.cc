#include "engine/sample/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "support/seeds.h"

namespace {

using engine::Sampler;
using engine::SamplingParams;
using engine::TokenId;

std::vector<float> random_logits(base::Rng& rng, std::size_t count, double spread = 4.) {
    std::vector<float> logits(count);
    for (float& logit : logits) logit = static_cast<float>((rng.uniform() - 0.5) * 2. * spread);
    return logits;
}

std::vector<double> softmax(std::span<const float> logits, double temperature = 1.) {
    const double max = static_cast<double>(*std::ranges::max_element(logits));
    std::vector<double> p;
    for (const float logit : logits)
        p.push_back(std::exp((static_cast<double>(logit) - max) / temperature));
    const double sum = std::accumulate(p.begin(), p.end(), 0.);
    for (double& value : p) value /= sum;
    return p;
}

/// Draws with one sampler, whose penalties are off, so that draws are independent.
std::map<TokenId, int> draw_many(const SamplingParams& params, std::span<const float> logits,
                                 int draws, std::uint64_t seed = 1) {
    Sampler sampler(params, seed, {});
    std::map<TokenId, int> counts;
    for (int i = 0; i < draws; ++i) {
        std::vector<float> copy(logits.begin(), logits.end());
        const auto token = sampler.sample(copy, std::nullopt);
        EXPECT_TRUE(token.has_value());
        ++counts[token->id];
    }
    return counts;
}

TokenId draw_one(const SamplingParams& params, std::span<const float> logits,
                 std::span<const TokenId> prompt = {}) {
    Sampler sampler(params, 1, prompt);
    std::vector<float> copy(logits.begin(), logits.end());
    return sampler.sample(copy, std::nullopt)->id;
}

TEST(Sampler, TheSmallestTemperatureIsGreedy) {
    SamplingParams params;
    params.temperature = std::numeric_limits<float>::denorm_min();
    const std::vector<float> logits = {1.f, 3.f, 3.f - 1e-6f, -2.f};
    EXPECT_EQ(draw_one(params, logits), 1);
    for (params.top_k = 1; params.top_k < logits.size(); ++params.top_k) {
        EXPECT_EQ(draw_one(params, logits), 1) << params.top_k;
    }
}

/// Ids by probability, most likely first, lower id first among equals.
std::vector<TokenId> by_likelihood(std::span<const float> logits) {
    std::vector<TokenId> ids(logits.size());
    std::iota(ids.begin(), ids.end(), 0);
    std::ranges::stable_sort(ids, [&](TokenId a, TokenId b) {
        return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
    });
    return ids;
}

TEST(Sampler, TemperatureZeroTakesTheBestAndTheLowerIdOfEquals) {
    SamplingParams greedy{.temperature = 0.f};
    EXPECT_EQ(draw_one(greedy, std::vector<float>{1.f, 5.f, 3.f, 5.f}), 1);
}

TEST(Sampler, DrawsFollowTheDistribution) {
    base::Rng rng(11);
    for (const float temperature : {0.5f, 1.f, 2.f}) {
        const auto logits = random_logits(rng, 20, 2.);
        const auto expected = softmax(logits, static_cast<double>(temperature));
        constexpr int kDraws = 20'000;
        const auto counts = draw_many({.temperature = temperature}, logits, kDraws);
        double chi_square = 0.;
        for (std::size_t id = 0; id < logits.size(); ++id) {
            const auto found = counts.find(static_cast<TokenId>(id));
            const double seen = found == counts.end() ? 0. : found->second;
            chi_square += std::pow(seen - expected[id] * kDraws, 2) / (expected[id] * kDraws);
        }
        EXPECT_LT(chi_square, 43.8) << "19 degrees of freedom, p = 0.001";
    }
}

TEST(Sampler, TheSameSeedGivesTheSameTokens) {
    base::Rng rng(2);
    const auto logits = random_logits(rng, 500);
    const SamplingParams params{.temperature = 0.9f, .top_k = 50, .top_p = 0.9f};
    const auto run = [&](std::uint64_t seed) {
        Sampler sampler(params, seed, {});
        std::vector<TokenId> ids;
        for (int i = 0; i < 50; ++i) {
            auto copy = logits;
            ids.push_back(sampler.sample(copy, std::nullopt)->id);
        }
        return ids;
    };
    EXPECT_EQ(run(42), run(42));
    EXPECT_NE(run(42), run(43));
}

TEST(Sampler, TopKDrawsOnlyTheKBest) {
    test::for_each_seed(20, [](base::Rng& rng) {
        const auto logits = random_logits(rng, 300, 1.);
        const auto k = static_cast<std::uint32_t>(1 + rng.below(8));
        const auto order = by_likelihood(logits);
        const std::set<TokenId> allowed(order.begin(), order.begin() + k);
        const auto counts = draw_many({.top_k = k}, logits, 400);
        for (const auto& [id, count] : counts) EXPECT_TRUE(allowed.contains(id));
        EXPECT_EQ(counts.size(), allowed.size()) << "flat enough that each is drawn";
    });
}

TEST(Sampler, TopPKeepsTheSmallestSetThatHoldsP) {
    test::for_each_seed(20, [](base::Rng& rng) {
        const auto logits = random_logits(rng, 200, 3.);
        const double p = 0.2 + 0.6 * rng.uniform();
        const auto order = by_likelihood(logits);
        const auto probability = softmax(logits);
        std::set<TokenId> allowed;
        double mass = 0.;
        for (const TokenId id : order) {
            if (mass >= p) break;
            mass += probability[static_cast<std::size_t>(id)];
            allowed.insert(id);
        }
        const auto counts = draw_many({.top_p = static_cast<float>(p)}, logits, 6000);
        for (const auto& [id, count] : counts) EXPECT_TRUE(allowed.contains(id));
        EXPECT_EQ(counts.size(), allowed.size());
    });
}

TEST(Sampler, TopPOfZeroKeepsOneToken) {
    EXPECT_EQ(draw_many({.top_p = 0.f}, std::vector<float>{1.f, 2.f, 1.5f}, 100).size(), 1u);
}

TEST(Sampler, MinPDropsWhatIsFarBelowTheBest) {
    const std::vector<float> logits = {0.f, std::log(0.5f), std::log(0.11f), std::log(0.09f)};
    const auto counts = draw_many({.min_p = 0.1f}, logits, 3000);
    EXPECT_EQ(counts.size(), 3u);
    EXPECT_FALSE(counts.contains(3));
}

TEST(Sampler, TypicalKeepsTokensNearTheEntropy) {
    // Entropy 1.37 nats; surprises are 0.51 (token 0) and 2.30 (1 to 4): 0 is nearer by 0.07.
    const std::vector<float> logits = {std::log(0.6f), std::log(0.1f), std::log(0.1f),
                                       std::log(0.1f), std::log(0.1f)};
    EXPECT_EQ(draw_many({.typical_p = 0.5f}, logits, 500).size(), 1u);
    const auto counts = draw_many({.typical_p = 0.75f}, logits, 2000);
    EXPECT_EQ(counts.size(), 3u);  // ties go to the lower ids
    EXPECT_TRUE(counts.contains(1) && counts.contains(2));
}

TEST(Sampler, RepetitionPenaltyLooksAtPromptAndAnswer) {
    const SamplingParams params{.temperature = 0.f, .repetition_penalty = 2.f};
    const std::vector<float> logits = {3.f, 2.f, -1.f};
    EXPECT_EQ(draw_one(params, logits), 0);
    EXPECT_EQ(draw_one(params, logits, std::vector<TokenId>{0}), 1);
    // A negative logit is multiplied, not divided: it must not become better.
    const std::vector<float> negative = {-1.f, -1.5f};
    EXPECT_EQ(draw_one(params, negative, std::vector<TokenId>{0}), 1);
}

TEST(Sampler, PresenceAndFrequencyCountGeneratedTokensOnly) {
    const std::vector<float> logits = {1.f, 0.5f, 0.f};
    EXPECT_EQ(
        draw_one({.temperature = 0.f, .presence_penalty = 1.f}, logits, std::vector<TokenId>{0, 0}),
        0);
    const auto run = [&](SamplingParams params) {
        params.temperature = 0.f;
        Sampler sampler(params, 1, {});
        std::vector<TokenId> ids;
        for (int i = 0; i < 4; ++i) {
            auto copy = logits;
            ids.push_back(sampler.sample(copy, std::nullopt)->id);
        }
        return ids;
    };
    EXPECT_EQ(run({.presence_penalty = 0.7f}), (std::vector<TokenId>{0, 1, 0, 0}));
    EXPECT_EQ(run({.frequency_penalty = 0.3f}), (std::vector<TokenId>{0, 0, 1, 0}));
}

TEST(Sampler, LogitBiasForcesAndForbids) {
    const std::vector<float> logits = {1.f, 2.f, 3.f};
    EXPECT_EQ(draw_one({.temperature = 0.f, .logit_bias = {{0, 100.f}}}, logits), 0);
    EXPECT_EQ(draw_one({.temperature = 0.f, .logit_bias = {{2, -100.f}}}, logits), 1);
}

TEST(Sampler, LogprobsAreNaturalLogSoftmax) {
    base::Rng rng(5);
    const auto logits = random_logits(rng, 100);
    const auto probability = softmax(logits);
    Sampler sampler({.temperature = 0.3f, .top_k = 2}, 9, {});
    auto copy = logits;
    const auto token = sampler.sample(copy, 5);
    ASSERT_TRUE(token.has_value());
    EXPECT_NEAR(token->logprob, std::log(probability[static_cast<std::size_t>(token->id)]), 1e-5)
        << "before temperature and truncation";
    const auto order = by_likelihood(logits);
    ASSERT_EQ(token->top.size(), 5u);
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(token->top[i].first, order[i]);
        EXPECT_NEAR(token->top[i].second, std::log(probability[static_cast<std::size_t>(order[i])]),
                    1e-5);
    }
}

TEST(Sampler, NonFiniteLogitsAreAnError) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
          -std::numeric_limits<float>::infinity()}) {
        Sampler sampler({.temperature = 0.f}, 1, {});
        std::vector<float> logits(70, 0.f);
        logits[37] = bad;
        const auto token = sampler.sample(logits, std::nullopt);
        ASSERT_FALSE(token.has_value());
        EXPECT_EQ(token.error().code, base::Code::internal);
    }
}

TEST(Sampler, TinyTemperatureIsGreedyAndStaysFinite) {
    base::Rng rng(8);
    const auto logits = random_logits(rng, 1000, 40.);
    const auto counts = draw_many({.temperature = 1e-6f}, logits, 50);
    ASSERT_EQ(counts.size(), 1u);
    EXPECT_EQ(counts.begin()->first, by_likelihood(logits).front());
}

TEST(SamplingParams, OutOfRangeValuesAreNamed) {
    const auto subject = [](const SamplingParams& params) {
        const auto valid = engine::validate(params, 100);
        return valid ? std::string() : valid.error().subject;
    };
    EXPECT_EQ(subject({}), "");
    EXPECT_EQ(subject({.temperature = -1.f}), "temperature");
    EXPECT_EQ(subject({.temperature = std::nanf("")}), "temperature");
    EXPECT_EQ(subject({.top_p = 1.5f}), "top_p");
    EXPECT_EQ(subject({.min_p = -0.1f}), "min_p");
    EXPECT_EQ(subject({.typical_p = 2.f}), "typical_p");
    EXPECT_EQ(subject({.repetition_penalty = 0.f}), "repetition_penalty");
    EXPECT_EQ(subject({.logit_bias = {{100, 1.f}}}), "logit_bias");
    EXPECT_EQ(subject({.logit_bias = {{-1, 1.f}}}), "logit_bias");
}

}  // namespace
