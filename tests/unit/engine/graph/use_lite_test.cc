// The Universal Sentence Encoder's graph against a plain reading of its definition, on a small
// random model that every machine can run.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/files/files.h"
#include "unit/engine/graph/graph_runner.h"
#include "unit/engine/graph/synthetic_model.h"

namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;
constexpr std::size_t kDim = 16, kHidden = 32, kHeads = 4, kFfn = 24, kVocab = 64, kOut = 12;

test::SyntheticModel use_lite() {
    test::SyntheticModel model;
    model.name = model.architecture = "use-lite";
    auto& t = model.tensors;
    const auto linear = [&](const std::string& name, std::uint64_t in, std::uint64_t out) {
        t.push_back({name + ".weight", {in, out}, 0.f, 0.3f});
        t.push_back({name + ".bias", {out}, 0.f, 0.2f});
    };
    const auto norm = [&](const std::string& name, std::uint64_t dim) {
        t.push_back({name + ".weight", {dim}, 1.f, 0.2f});
        t.push_back({name + ".bias", {dim}, 0.f, 0.2f});
    };
    t.push_back({"token_embd.weight", {kDim, kVocab}, 0.f, 0.5f});
    t.push_back({"position_inv_timescales.weight", {kDim / 2}, 0.5f, 0.2f});
    for (std::uint64_t i = 0; i < 2; ++i) {
        const std::string blk = "blk." + std::to_string(i) + ".";
        const std::uint64_t in = i == 0 ? kDim : kHidden;
        norm(blk + "attn_norm", in);
        linear(blk + "attn_qkv", in, 3 * in);
        linear(blk + "attn_output", in, kHidden);
        if (i == 0) linear(blk + "residual_proj", in, kHidden);
        norm(blk + "ffn_norm", kHidden);
        linear(blk + "ffn_up", kHidden, kFfn);
        linear(blk + "ffn_down", kFfn, kHidden);
    }
    linear("pooler", kHidden, kOut);
    model.keys = [](engine::GgufWriter& w) {
        w.set_u32("use-lite.block_count", 2);
        w.set_u32("use-lite.context_length", 128);
        w.set_u32("use-lite.embedding_length", kDim);
        w.set_u32("use-lite.hidden_length", kHidden);
        w.set_u32("use-lite.embedding_length_out", kOut);
        w.set_u32("use-lite.feed_forward_length", kFfn);
        w.set_u32("use-lite.attention.head_count", kHeads);
        w.set_f32("use-lite.attention.layer_norm_epsilon", 1e-6f);
        w.set_f32("use-lite.embedding_scale", 2.f);
        w.set_u32("use-lite.pooling_type", 1);
    };
    return model;
}

/// The definition, one loop after another, in double.
class PlainUse {
public:
    explicit PlainUse(const engine::GgufFile& file) : file_(file) {}

    Row embed(std::span<const std::int32_t> ids) const {
        Rows x;
        const float* inv = values("position_inv_timescales.weight");
        for (std::size_t t = 0; t < ids.size(); ++t) {
            const float* e = values("token_embd.weight") + static_cast<std::size_t>(ids[t]) * kDim;
            Row row;
            for (std::size_t d = 0; d < kDim; ++d) {
                const double angle =
                    static_cast<double>(t) * static_cast<double>(inv[d % (kDim / 2)]);
                row.push_back(2. * static_cast<double>(e[d]) +
                              (d < kDim / 2 ? std::sin(angle) : std::cos(angle)));
            }
            x.push_back(row);
        }
        for (const std::string blk : {"blk.0.", "blk.1."}) x = layer(blk, x);
        Row mean(kHidden, 0.);
        for (const Row& row : x) {
            for (std::size_t d = 0; d < kHidden; ++d)
                mean[d] += row[d] / static_cast<double>(x.size());
        }
        Row out = linear("pooler", {mean})[0];
        double square = 0.;
        for (double& value : out) {
            value = std::tanh(value);
            square += value * value;
        }
        for (double& value : out) value /= std::sqrt(square);
        return out;
    }

private:
    Rows layer(const std::string& blk, const Rows& x) const {
        const std::size_t width = x[0].size(), head = width / kHeads;
        const Rows qkv = linear(blk + "attn_qkv", norm(blk + "attn_norm", x));
        Rows attended(x.size(), Row(width, 0.));
        for (std::size_t h = 0; h < kHeads; ++h) {
            for (std::size_t i = 0; i < x.size(); ++i) {
                Row weights;
                double sum = 0.;
                for (std::size_t j = 0; j < x.size(); ++j) {
                    double dot = 0.;
                    for (std::size_t d = h * head; d < (h + 1) * head; ++d)
                        dot += qkv[i][d] * qkv[j][width + d];
                    weights.push_back(std::exp(dot / std::sqrt(static_cast<double>(head))));
                    sum += weights.back();
                }
                for (std::size_t j = 0; j < x.size(); ++j) {
                    for (std::size_t d = h * head; d < (h + 1) * head; ++d) {
                        attended[i][d] += weights[j] / sum * qkv[j][2 * width + d];
                    }
                }
            }
        }
        const Rows residual = width == kHidden ? x : linear(blk + "residual_proj", x);
        const Rows y = add(residual, linear(blk + "attn_output", attended));
        Rows up = linear(blk + "ffn_up", norm(blk + "ffn_norm", y));
        for (Row& row : up) {
            for (double& value : row) value = std::max(value, 0.);
        }
        return add(y, linear(blk + "ffn_down", up));
    }

    static Rows add(Rows a, const Rows& b) {
        for (std::size_t i = 0; i < a.size(); ++i) {
            for (std::size_t d = 0; d < a[i].size(); ++d) a[i][d] += b[i][d];
        }
        return a;
    }
    Rows linear(const std::string& name, const Rows& x) const {
        const float* w = values(name + ".weight");
        const std::size_t out = file_.find_tensor(name + ".weight")->dims[1];
        Rows y;
        for (const Row& row : x) {
            Row sums;
            for (std::size_t o = 0; o < out; ++o) {
                double sum = static_cast<double>(values(name + ".bias")[o]);
                for (std::size_t i = 0; i < row.size(); ++i) {
                    sum += row[i] * static_cast<double>(w[o * row.size() + i]);
                }
                sums.push_back(sum);
            }
            y.push_back(sums);
        }
        return y;
    }
    Rows norm(const std::string& name, Rows x) const {
        for (Row& row : x) {
            double mean = 0., square = 0.;
            for (const double value : row) mean += value / static_cast<double>(row.size());
            for (const double value : row) square += (value - mean) * (value - mean);
            const double scale = 1. / std::sqrt(square / static_cast<double>(row.size()) + 1e-6);
            for (std::size_t d = 0; d < row.size(); ++d) {
                row[d] =
                    (row[d] - mean) * scale * static_cast<double>(values(name + ".weight")[d]) +
                    static_cast<double>(values(name + ".bias")[d]);
            }
        }
        return x;
    }
    const float* values(const std::string& name) const {
        return reinterpret_cast<const float*>(file_.find_tensor(name)->data);
    }

    const engine::GgufFile& file_;
};

TEST(UseLiteGraph, ComputesItsDefinition) {
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "use");
    ASSERT_TRUE(folder.has_value());
    test::write_synthetic(use_lite(), folder->path() + "/model.gguf");
    const auto file = engine::GgufFile::open(folder->path() + "/model.gguf");
    ASSERT_TRUE(file.has_value());
    const auto model = engine::load_model(*file, {});
    ASSERT_TRUE(model.has_value()) << model.error().message;
    base::ThreadPool pool(2);
    // Shorter texts after longer ones: buffers are reused.
    for (const auto& ids :
         {std::vector<std::int32_t>{5}, std::vector<std::int32_t>{3, 9, 3, 60, 1, 2, 8},
          std::vector<std::int32_t>{7, 7}}) {
        const auto ours = model->encoder->run(pool, std::vector<engine::EncoderText>{{ids}}).at(0);
        const Row expected = PlainUse(*file).embed(ids);
        ASSERT_EQ(ours.size(), expected.size());
        for (std::size_t d = 0; d < ours.size(); ++d) {
            EXPECT_NEAR(static_cast<double>(ours[d]), expected[d], 1e-5);
        }
    }
}

}  // namespace
