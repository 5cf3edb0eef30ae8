#include <algorithm>
#include <limits>

#include "engine/kernels/reference.h"
#include "kernel_fixture.h"
#include "support/seeds.h"

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

void expect_close(const std::vector<float>& got, const std::vector<float>& want, double relative,
                  double absolute) {
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
        ASSERT_NEAR(got[i], want[i], relative * std::fabs(want[i]) + absolute) << "at " << i;
    }
}

TEST(Norms, MatchTheReferee) {
    base::ThreadPool pool(2);
    test::for_each_seed(10, [&](base::Rng& rng) {
        const std::size_t rows = 1 + rng.below(33), dim = 1 + rng.below(1200);
        const auto x = test::random_floats(rng, rows * dim), w = test::random_floats(rng, dim);
        const auto b = test::random_floats(rng, dim);
        std::vector<float> rms(rows * dim), rms_plain(rms), layer(rms);
        engine::reference::rms_norm(rms.data(), x.data(), w.data(), rows, dim, 1e-5f);
        engine::reference::rms_norm(rms_plain.data(), x.data(), nullptr, rows, dim, 1e-5f);
        engine::reference::layer_norm(layer.data(), x.data(), w.data(), b.data(), rows, dim, 1e-2f);
        test::for_each_target([&] {
            std::vector<float> y = x;  // in place
            engine::rms_norm(pool, y.data(), y.data(), w.data(), rows, dim, 1e-5f);
            expect_close(y, rms, 1e-5, 1e-9);
            engine::rms_norm(pool, y.data(), x.data(), nullptr, rows, dim, 1e-5f);
            expect_close(y, rms_plain, 1e-5, 1e-9);
            engine::layer_norm(pool, y.data(), x.data(), w.data(), b.data(), rows, dim, 1e-2f);
            expect_close(y, layer, 1e-5, 2e-6);
        });
    });
}

TEST(Norms, NanSpoilsItsRowOnly) {
    base::ThreadPool pool(1);
    std::vector<float> x(3 * 40, 1.f);
    x[45] = kNan;
    test::for_each_target([&] {
        std::vector<float> y(x.size());
        engine::rms_norm(pool, y.data(), x.data(), nullptr, 3, 40, 1e-5f);
        for (std::size_t i = 0; i < y.size(); ++i) ASSERT_EQ(std::isnan(y[i]), i / 40 == 1);
    });
}

TEST(Rope, MatchesTheReferee) {
    base::ThreadPool pool(2);
    test::for_each_seed(12, [&](base::Rng& rng) {
        const std::size_t rows = 1 + rng.below(9), heads = 1 + rng.below(5);
        const std::size_t head_dim = 2 * (1 + rng.below(80)), stride = heads * head_dim + 3;
        const std::size_t rot_dim = 2 * (1 + rng.below(head_dim / 2));
        std::vector<float> inv_freq(rot_dim / 2);
        for (std::size_t i = 0; i < inv_freq.size(); ++i) {
            inv_freq[i] =
                std::pow(10000.f, -2.f * static_cast<float>(i) / static_cast<float>(rot_dim));
        }
        std::vector<std::uint32_t> positions(rows);
        for (auto& p : positions) p = static_cast<std::uint32_t>(rng.below(100'000));
        const auto x = test::random_floats(rng, rows * stride);
        for (const auto pairing : {engine::RopePairing::adjacent, engine::RopePairing::halves}) {
            std::vector<float> expected = x;
            engine::reference::rope(expected.data(), rows, heads, head_dim, stride, rot_dim,
                                    inv_freq, positions, pairing, 1.2f);
            test::for_each_target([&] {
                std::vector<float> y = x;
                engine::rope(pool, y.data(), rows, heads, head_dim, stride, rot_dim, inv_freq,
                             positions, pairing, 1.2f);
                expect_close(y, expected, 1e-6, 2e-6);
            });
        }
    });
}

constexpr engine::Activation kActivations[] = {
    engine::Activation::silu, engine::Activation::gelu_tanh, engine::Activation::gelu_erf,
    engine::Activation::relu, engine::Activation::tanh};

// silu and tanh are relative (an exp good to 3e-7); the two GELUs cancel in their negative tail, so
// there the bound is absolute.
TEST(Activations, MatchTheReferee) {
    base::ThreadPool pool(2);
    std::vector<float> x;
    for (float v = -30.f; v < 30.f; v += 0.0037f) x.push_back(v);
    for (const float v : {0.f, -0.f, 1e-30f, -1e-30f, 90.f, -90.f, 1e4f, -1e4f}) x.push_back(v);
    const std::vector<float> up(x.size(), 0.5f);
    for (const auto f : kActivations) {
        SCOPED_TRACE(static_cast<int>(f));
        std::vector<float> expected(x.size()), gated(x.size());
        engine::reference::activate(expected.data(), x.data(), x.size(), f);
        engine::reference::gated(gated.data(), x.data(), up.data(), x.size(), f);
        const double absolute =
            f == engine::Activation::gelu_erf || f == engine::Activation::gelu_tanh ? 5e-7 : 1e-37;
        test::for_each_target([&] {
            std::vector<float> y = x;
            engine::activate(pool, y.data(), y.data(), y.size(), f);
            expect_close(y, expected, 1e-6, absolute);
            engine::gated(pool, y.data(), x.data(), up.data(), y.size(), f);
            expect_close(y, gated, 1e-6, absolute);
        });
    }
}

TEST(Activations, NanStaysNan) {
    base::ThreadPool pool(1);
    for (const auto f : kActivations) {
        test::for_each_target([&] {
            std::vector<float> y = {1.f, kNan, 2.f};
            engine::activate(pool, y.data(), y.data(), y.size(), f);
            ASSERT_TRUE(std::isfinite(y[0]) && std::isnan(y[1]) && std::isfinite(y[2]));
        });
    }
}

TEST(Activations, InfinityGoesToTheLimit) {
    base::ThreadPool pool(1);
    test::for_each_target([&] {
        std::vector<float> y = {kInf, -kInf};
        engine::activate(pool, y.data(), y.data(), 2, engine::Activation::tanh);
        EXPECT_EQ(y, (std::vector<float>{1.f, -1.f}));
        y = {kInf, -kInf};
        engine::activate(pool, y.data(), y.data(), 2, engine::Activation::relu);
        EXPECT_EQ(y, (std::vector<float>{kInf, 0.f}));
    });
}

TEST(Elementwise, MatchesPlainLoops) {
    base::ThreadPool pool(2);
    test::for_each_seed(8, [&](base::Rng& rng) {
        const std::size_t rows = 1 + rng.below(5), dim = 1 + rng.below(9000);
        const auto x = test::random_floats(rng, rows * dim),
                   z = test::random_floats(rng, rows * dim);
        const auto b = test::random_floats(rng, dim);
        test::for_each_target([&] {
            std::vector<float> sum = x, biased = x, scaled = x, capped = x, expected = x;
            engine::add(pool, sum.data(), z.data(), sum.size());
            engine::add_bias(pool, biased.data(), b.data(), rows, dim);
            engine::scale(pool, scaled.data(), scaled.size(), 0.3f);
            engine::soft_cap(pool, capped.data(), capped.size(), 0.5f);
            engine::reference::soft_cap(expected.data(), expected.size(), 0.5f);
            for (std::size_t i = 0; i < x.size(); ++i) {
                ASSERT_EQ(sum[i], x[i] + z[i]);
                ASSERT_EQ(biased[i], x[i] + b[i % dim]);
                ASSERT_EQ(scaled[i], x[i] * 0.3f);
            }
            expect_close(capped, expected, 2e-6, 0);
        });
    });
}

TEST(KernelTarget, NamesTheInstructionSetInUse) {
    test::for_each_target([] {
        EXPECT_EQ(std::string(engine::kernel_target_name()),
                  hwy::TargetName(hwy::SupportedTargets() & -hwy::SupportedTargets()));
    });
}

}  // namespace
