#include "engine/kernels/packed.h"

#include <hwy/aligned_allocator.h>

#include "kernel_fixture.h"
#include "support/seeds.h"

namespace {

using engine::TensorType;

std::vector<float> product(base::ThreadPool& pool, const engine::TensorView& w,
                           const std::vector<float>& x, std::size_t rows) {
    std::vector<float> y(rows * w.rows());
    engine::Activations activations;
    activations.assign(x.data(), rows, w.dims[0]);
    engine::matmul(pool, w, activations, y.data(), w.rows());
    return y;
}

/// The product from packed weights, with the stored ones out of reach.
std::vector<float> packed_product(base::ThreadPool& pool, engine::TensorView w,
                                  const std::vector<float>& x, std::size_t rows) {
    const auto bytes = hwy::AllocateAligned<std::byte>(engine::packed_bytes(w));
    engine::pack(pool, w, bytes.get());
    w.packed = bytes.get();
    w.data = nullptr;
    return product(pool, w, x, rows);
}

void expect_same_product(base::ThreadPool& pool, base::Rng& rng, TensorType type, std::size_t outs,
                         std::size_t in, std::size_t rows) {
    const test::RandomWeight weight(rng, type, outs, in);
    const std::vector<float> x = test::random_floats(rng, rows * in);
    test::for_each_target([&] {
        if (engine::packed_bytes(weight.view) == 0) return;  // plain scalar code: no panels
        ASSERT_TRUE(test::same_bits(packed_product(pool, weight.view, x, rows),
                                    product(pool, weight.view, x, rows)))
            << rows << " rows, " << outs << " outputs, " << in << " inputs";
    });
}

TEST(Packed, EveryTypeAndTargetGivesTheProductOfTheStoredForm) {
    base::ThreadPool pool(2);
    for (const TensorType type : test::kAllTypes) {
        SCOPED_TRACE(engine::tensor_type_name(type));
        const std::size_t block = engine::block_shape(type).elements;
        test::for_each_seed(8, [&](base::Rng& rng) {
            const std::size_t blocks_max = block == 256 ? 6 : block == 32 ? 45 : 700;
            const std::size_t in = block * (1 + rng.below(blocks_max));
            expect_same_product(pool, rng, type, 1 + rng.below(50), in, 1 + rng.below(40));
        });
    }
}

// Also where the last panel is not whole, and where float rows are no whole vectors.
TEST(Packed, EveryTargetWritesTheBytesOfThePlainLoops) {
    base::ThreadPool pool(2);
    for (const TensorType type : test::kAllTypes) {
        SCOPED_TRACE(engine::tensor_type_name(type));
        const std::size_t block = engine::block_shape(type).elements;
        test::for_each_seed(10, [&](base::Rng& rng) {
            const std::size_t in = block * (1 + rng.below(block == 1 ? 300 : 9));
            const test::RandomWeight weight(rng, type, 1 + rng.below(70), in);
            test::for_each_target([&] {
                const std::size_t bytes = engine::packed_bytes(weight.view);
                if (bytes == 0) return;  // plain scalar code: no panels
                std::vector<std::byte> fast(bytes, std::byte{0xa5}), plain(fast);
                engine::pack(pool, weight.view, fast.data());
                engine::pack_plainly(pool, weight.view, plain.data());
                ASSERT_EQ(fast, plain) << weight.view.rows() << " rows of " << in;
            });
        });
    }
}

// Several chunks of inputs, and more rows than one task takes.
TEST(Packed, LongRowsAndManyRowsGiveTheSameProduct) {
    base::ThreadPool pool(3);
    for (const TensorType type : test::kAllTypes) {
        SCOPED_TRACE(engine::tensor_type_name(type));
        base::Rng rng(31);
        expect_same_product(pool, rng, type, 33, 256 * 19, 1);
        expect_same_product(pool, rng, type, 17, 256 * 13, 141);
    }
}

// Enough panels a task for one row to be read in several places at once, and some left over.
TEST(Packed, OneRowOverManyPanelsGivesTheSameProduct) {
    for (const std::size_t threads : {1u, 2u}) {
        base::ThreadPool pool(threads);
        for (const TensorType type : test::kAllTypes) {
            SCOPED_TRACE(engine::tensor_type_name(type));
            base::Rng rng(7);
            expect_same_product(pool, rng, type, 16 * 45 + 3, 256, 1);
            expect_same_product(pool, rng, type, 16 * 90, 512, 1);
        }
    }
}

TEST(Packed, WholePanelsTakeHardlyMoreThanTheStoredForm) {
    base::Rng rng(1);
    for (const TensorType type : test::kAllTypes) {
        const test::RandomWeight weight(rng, type, 64, 1024);
        const std::size_t bytes = engine::packed_bytes(weight.view);
        if (bytes == 0) continue;
        EXPECT_GE(bytes, weight.view.bytes() * 98 / 100) << engine::tensor_type_name(type);
        EXPECT_LE(bytes, weight.view.bytes() * 104 / 100) << engine::tensor_type_name(type);
    }
}

}  // namespace
