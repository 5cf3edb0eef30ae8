// Matrix products by weight type, shape and rows. GB/s counts weight bytes read once per product,
// GOP/s two operations per weight and row. One row is a decode step, many are a prefill.
// Weights rotate over copies that together exceed the last-level cache, as a whole model would.

#include <benchmark/benchmark.h>
#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/rng.h"
#include "base/exec/thread_pool.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/machine_limits.h"
#include "engine/kernels/packed.h"
#include "engine/kernels/reference.h"
#include "engine/tensor/blocks.h"
#include "engine/tensor/tensor_type.h"

namespace {

using engine::TensorType;

constexpr std::size_t kColdBytes = 96u << 20;

struct Shape {
    std::size_t in, out;
};
constexpr Shape kShapes[] = {{576, 576},   {576, 1536},  {1536, 576}, {576, 49152},
                             {2048, 2048}, {8192, 2048}, {1024, 256}};

/// F16 fields of random blocks would overflow; a byte pattern of small halves is safe in any field.
void fill(std::vector<std::byte>& bytes) {
    base::Rng rng(1);
    for (std::byte& b : bytes) b = static_cast<std::byte>(rng.next() & 0x1f);
}

/// How a product's weights are met: in cache or not, as stored or packed.
struct Weights {
    bool cold, packed;
    std::string suffix() const {
        return std::string(cold ? "/cold" : "") + (packed ? "/packed" : "");
    }
};

void matmul(benchmark::State& state, TensorType type, Shape shape, std::size_t rows,
            Weights weights, std::size_t threads) {
    base::ThreadPool pool(threads);
    const std::size_t bytes = shape.out * engine::row_bytes(type, shape.in);
    const std::size_t copies = weights.cold ? std::max<std::size_t>(1, kColdBytes / bytes) : 1;
    std::vector<std::byte> data(bytes * copies + 64);
    fill(data);
    engine::TensorView weight;
    weight.type = type;
    weight.dims = {shape.in, shape.out, 1, 1};
    weight.data = data.data();
    const std::size_t packed_bytes = weights.packed ? engine::packed_bytes(weight) : 0;
    const auto packed = hwy::AllocateAligned<std::byte>(packed_bytes * copies + 64);
    for (std::size_t i = 0; i < copies && packed_bytes > 0; ++i) {
        engine::pack(pool, weight, packed.get() + i * packed_bytes);
    }
    std::vector<float> x(rows * shape.in, 0.5f), y(rows * shape.out);
    engine::Activations activations;
    std::size_t copy = 0;
    for (auto _ : state) {
        weight.data = data.data() + copy * bytes;
        if (packed_bytes > 0) weight.packed = packed.get() + copy * packed_bytes;
        copy = (copy + 1) % copies;
        activations.assign(x.data(), rows, shape.in);
        engine::matmul(pool, weight, activations, y.data(), shape.out);
        benchmark::DoNotOptimize(y.data());
    }
    const auto runs = static_cast<double>(state.iterations());
    state.counters["GB/s"] =
        benchmark::Counter(static_cast<double>(bytes) * runs * 1e-9, benchmark::Counter::kIsRate);
    state.counters["GOP/s"] =
        benchmark::Counter(2e-9 * runs * static_cast<double>(rows * shape.in * shape.out),
                           benchmark::Counter::kIsRate);
}

/// The plain loops, for the ratio that vector code earns.
void reference_matmul(benchmark::State& state, TensorType type, Shape shape, std::size_t rows) {
    std::vector<std::byte> data(shape.out * engine::row_bytes(type, shape.in));
    fill(data);
    engine::TensorView weight;
    weight.type = type;
    weight.dims = {shape.in, shape.out, 1, 1};
    weight.data = data.data();
    std::vector<float> x(rows * shape.in, 0.5f), y(rows * shape.out);
    for (auto _ : state) {
        engine::reference::matmul(weight, x.data(), rows, y.data(), shape.out);
        benchmark::DoNotOptimize(y.data());
    }
    const auto runs = static_cast<double>(state.iterations());
    state.counters["GB/s"] = benchmark::Counter(static_cast<double>(data.size()) * runs * 1e-9,
                                                benchmark::Counter::kIsRate);
    state.counters["GOP/s"] =
        benchmark::Counter(2e-9 * runs * static_cast<double>(rows * shape.in * shape.out),
                           benchmark::Counter::kIsRate);
}

void read_bandwidth(benchmark::State& state, std::size_t threads) {
    base::ThreadPool pool(threads);
    const base::SystemClock clock;
    double best = 0;
    for (auto _ : state) {
        best = std::max(best, engine::measure_machine_limits(pool, clock).read_bytes_per_second);
    }
    state.counters["GB/s"] = best * 1e-9;
}

std::string threads_suffix(std::size_t threads) {
    return "/threads:" + std::to_string(threads);
}

/// One thread is timed by its own CPU time, which a busy machine disturbs least.
void timed(benchmark::internal::Benchmark* bench, std::size_t threads) {
    if (threads > 1) bench->UseRealTime();
}

void register_shape(TensorType type, Shape shape, std::size_t threads) {
    for (const std::size_t rows : {1u, 2u, 4u, 8u, 16u, 64u, 256u}) {
        if (shape.out > 40000 && rows > 4) continue;
        for (const Weights weights : {Weights{false, false}, Weights{false, true},
                                      Weights{true, false}, Weights{true, true}}) {
            if (weights.cold && rows > 1) continue;
            const std::string name = std::string(engine::tensor_type_name(type)) + "/" +
                                     std::to_string(shape.in) + "x" + std::to_string(shape.out) +
                                     "/rows:" + std::to_string(rows) + weights.suffix() +
                                     threads_suffix(threads);
            timed(benchmark::RegisterBenchmark(name.c_str(), matmul, type, shape, rows, weights,
                                               threads),
                  threads);
        }
    }
}

void register_all() {
    using enum TensorType;
    const TensorType types[] = {q4_1, q8_0, f16,  f32,  q4_0, q6_k, q4_k,
                                q5_k, q3_k, q2_k, q5_0, q5_1, bf16};
    for (const std::size_t threads : {1u, 2u}) {
        timed(benchmark::RegisterBenchmark(("read_bandwidth" + threads_suffix(threads)).c_str(),
                                           read_bandwidth, threads),
              threads);
    }
    for (const TensorType type : types) {
        for (const std::size_t rows : {1u, 64u}) {
            const std::string name = "reference/" + std::string(engine::tensor_type_name(type)) +
                                     "/2048x512/rows:" + std::to_string(rows);
            benchmark::RegisterBenchmark(name.c_str(), reference_matmul, type, Shape{2048, 512},
                                         rows);
        }
        for (const Shape shape : kShapes) {
            if (shape.in % engine::block_shape(type).elements != 0) continue;
            for (const std::size_t threads : {1u, 2u}) register_shape(type, shape, threads);
        }
    }
}

const bool registered = (register_all(), true);

}  // namespace
