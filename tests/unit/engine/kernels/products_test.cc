// Products that run as one loop, what follows them, and what experts need besides.

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <memory>

#include "engine/kernels/reference.h"
#include "kernel_fixture.h"
#include "support/seeds.h"

namespace {

using engine::TensorType;

/// Two products of one input, one of its rows picked apart, with every kind of tail by chance.
struct Case {
    Case(base::Rng& rng, std::size_t rows_) : rows(rows_), in(32 * (1 + rng.below(9))) {
        x = test::random_floats(rng, rows * in);
        for (std::size_t i = 0; i < rows + 3; ++i) {
            picked.push_back(static_cast<std::uint32_t>(rng.below(rows)));
        }
        for (const std::uint32_t row : picked) {
            picked_x.insert(picked_x.end(), x.begin() + static_cast<std::ptrdiff_t>(row * in),
                            x.begin() + static_cast<std::ptrdiff_t>((row + 1) * in));
        }
        for (std::size_t p = 0; p < 4; ++p) add_product(rng, p % 2 == 1);
    }

    void add_product(base::Rng& rng, bool of_picked) {
        const std::size_t outs = 1 + rng.below(70), have = of_picked ? picked.size() : rows;
        const auto weight = [&]() -> const engine::TensorView* {
            constexpr TensorType kTypes[] = {TensorType::q4_1, TensorType::q8_0, TensorType::f16,
                                             TensorType::f32};
            weights.push_back(
                std::make_unique<test::RandomWeight>(rng, kTypes[rng.below(4)], outs, in));
            return &weights.back()->view;
        };
        const auto bias = [&]() -> const float* {
            if (rng.below(2) == 0) return nullptr;
            vectors.push_back(test::random_floats(rng, outs));
            return vectors.back().data();
        };
        engine::Product product;
        product.w = weight();
        product.bias = bias();
        if (rng.below(2) == 0) {
            product.up = weight();
            product.up_bias = bias();
            product.f = engine::Activation::silu;
        }
        product.add = rng.below(2) == 0;
        product.first_row = rng.below(have);
        product.rows = rng.below(2) == 0 ? rng.below(have + 1) : SIZE_MAX;
        product.y_stride = outs + rng.below(4);
        products.push_back(product);
        inputs.push_back(of_picked ? picked_x.data() : x.data());
        of_picked_rows.push_back(of_picked);
        before.push_back(test::random_floats(rng, have * product.y_stride));
    }

    bool quantises(std::size_t p) const {
        const auto is_float = [](const engine::TensorView* w) {
            return w == nullptr || engine::block_shape(w->type).elements == 1;
        };
        return !is_float(products[p].w) || !is_float(products[p].up);
    }

    std::size_t rows, in;
    std::vector<float> x, picked_x;
    std::vector<std::uint32_t> picked;
    std::vector<std::unique_ptr<test::RandomWeight>> weights;
    std::deque<std::vector<float>> vectors;
    std::vector<engine::Product> products;
    std::vector<const float*> inputs;
    std::vector<bool> of_picked_rows;
    std::vector<std::vector<float>> before;  ///< what y holds at first
};

std::vector<std::vector<float>> run(base::ThreadPool& pool, Case& c, bool one_by_one) {
    engine::Activations all, picked;
    all.assign(c.x.data(), c.rows, c.in);
    picked.assign_rows(all, c.picked);
    std::vector<std::vector<float>> y = c.before;
    for (std::size_t p = 0; p < c.products.size(); ++p) {
        c.products[p].x = c.of_picked_rows[p] ? &picked : &all;
        c.products[p].y = y[p].data();
        if (one_by_one) engine::matmul_all(pool, std::span(&c.products[p], 1));
    }
    if (!one_by_one) engine::matmul_all(pool, c.products);
    return y;
}

TEST(Products, EachMatchesTheReferee) {
    base::ThreadPool pool(3);
    test::for_each_seed(30, [&](base::Rng& rng) {
        Case c(rng, 1 + rng.below(150));
        std::vector<std::vector<float>> expected = c.before;
        for (std::size_t p = 0; p < c.products.size(); ++p) {
            c.products[p].y = expected[p].data();
            engine::reference::matmul_all(std::span(&c.products[p], 1), std::span(&c.inputs[p], 1),
                                          c.of_picked_rows[p] ? c.picked.size() : c.rows);
        }
        test::for_each_target([&] {
            const auto y = run(pool, c, false);
            for (std::size_t p = 0; p < y.size(); ++p) {
                float widest = 1.f;
                for (const float v : expected[p]) widest = std::max(widest, std::fabs(v));
                // Rounding activations to 8 bits costs up to 1/254 of a term; gating multiplies.
                const float bound = c.quantises(p) ? 0.05f : 1e-4f;
                for (std::size_t i = 0; i < y[p].size(); ++i) {
                    ASSERT_NEAR(y[p][i], expected[p][i], bound * widest)
                        << "product " << p << ", value " << i;
                }
            }
        });
    });
}

TEST(Products, TogetherAndAloneGiveTheSameBits) {
    base::ThreadPool one(1), many(64);
    test::for_each_seed(10, [&](base::Rng& rng) {
        Case c(rng, 1 + rng.below(300));
        test::for_each_target([&] {
            const auto alone = run(one, c, true);
            const auto together = run(many, c, false);
            for (std::size_t p = 0; p < alone.size(); ++p) {
                ASSERT_TRUE(test::same_bits(alone[p], together[p])) << "product " << p;
            }
        });
    });
}

TEST(Products, NoneAndEmptyOnesAreNoWork) {
    base::ThreadPool pool(2);
    engine::matmul_all(pool, {});
    base::Rng rng(1);
    const test::RandomWeight weight(rng, TensorType::q4_1, 16, 32);
    const std::vector<float> x = test::random_floats(rng, 3 * 32);
    engine::Activations activations;
    activations.assign(x.data(), 3, 32);
    engine::Product product;
    product.w = &weight.view;
    product.x = &activations;
    product.first_row = 3;  // past the last one
    engine::matmul_all(pool, std::span(&product, 1));
}

TEST(Experts, ChoicesMatchTheReferee) {
    base::ThreadPool pool(2);
    test::for_each_seed(50, [&](base::Rng& rng) {
        const std::size_t experts = 1 + rng.below(130), used = 1 + rng.below(experts);
        const std::size_t rows = 1 + rng.below(40);
        std::vector<float> logits = test::random_floats(rng, rows * experts);
        for (float& logit : logits) logit = std::round(logit * 20.f) / 4.f;  // with equals
        std::vector<engine::ExpertChoice> expected(rows * used), found(rows * used);
        const bool normalise = rng.below(2) == 0;
        engine::reference::choose_experts(expected, logits.data(), experts, used, normalise);
        engine::choose_experts(pool, found, logits.data(), experts, used, normalise);
        for (std::size_t i = 0; i < found.size(); ++i) {
            ASSERT_EQ(found[i].expert, expected[i].expert) << i;
            ASSERT_NEAR(found[i].weight, expected[i].weight, 1e-5) << i;
        }
    });
}

TEST(Experts, NanLogitsStillChooseDifferentExpertsAndSpoilTheirWeights) {
    base::ThreadPool pool(1);
    constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
    const float logits[] = {kNan, 1.f, kNan, 3.f, kNan, kNan, kNan, kNan};
    engine::ExpertChoice chosen[6];
    engine::choose_experts(pool, chosen, logits, 4, 3, true);
    EXPECT_EQ(chosen[0].expert, 3u);
    EXPECT_EQ(chosen[1].expert, 1u);
    EXPECT_EQ(chosen[2].expert, 0u);
    EXPECT_EQ(chosen[3].expert, 0u);
    EXPECT_EQ(chosen[4].expert, 1u);
    EXPECT_EQ(chosen[5].expert, 2u);
    for (const engine::ExpertChoice& choice : chosen) EXPECT_TRUE(std::isnan(choice.weight));
}

TEST(Experts, WeightedSumsMatchTheReferee) {
    base::ThreadPool pool(2);
    test::for_each_seed(20, [&](base::Rng& rng) {
        const std::size_t dim = 1 + rng.below(300), per_row = 1 + rng.below(9);
        const std::size_t rows = 1 + rng.below(20);
        const std::vector<float> values = test::random_floats(rng, rows * per_row * dim);
        std::vector<engine::WeightedRow> terms;
        for (std::size_t i = 0; i < rows * per_row; ++i) {
            terms.push_back(
                {values.data() + rng.below(rows * per_row) * dim, test::uniform_float(rng)});
        }
        const std::vector<float> before = test::random_floats(rng, rows * dim);
        std::vector<float> expected = before;
        engine::reference::add_weighted(expected.data(), terms, per_row, dim);
        test::for_each_target([&] {
            std::vector<float> y = before;
            engine::add_weighted(pool, y.data(), terms, per_row, dim);
            for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected[i], 1e-5);
        });
    });
}

}  // namespace
