// Several texts in one pass, and the ranking head, against a plain computation in doubles.

#include "engine/graph/encoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/core/rng.h"
#include "base/exec/thread_pool.h"
#include "base/files/files.h"
#include "engine/graph/model.h"
#include "unit/engine/graph/synthetic_model.h"

namespace {

using engine::EncoderText;
using Row = std::vector<double>;

class OpenSynthetic {
public:
    explicit OpenSynthetic(const test::SyntheticModel& model) {
        const auto folder = base::TemporaryDir::create(testing::TempDir(), "encoder");
        const std::string path = folder.value().path() + "/model.gguf";
        test::write_synthetic(model, path);
        file_ = engine::GgufFile::open(path).value();
        auto loaded = engine::load_model(*file_, {});
        if (loaded) model_ = *std::move(loaded);
    }
    engine::Encoder& encoder() { return *model_.encoder; }
    const engine::GgufFile& file() const { return *file_; }

private:
    std::optional<engine::GgufFile> file_;
    engine::Model model_;
};

std::vector<std::vector<std::int32_t>> random_texts(base::Rng& rng, std::size_t count,
                                                    std::uint32_t vocab) {
    std::vector<std::vector<std::int32_t>> texts(count);
    for (auto& text : texts) {
        text.resize(1 + rng.below(70));
        for (auto& id : text) id = static_cast<std::int32_t>(rng.below(vocab));
    }
    return texts;
}

TEST(EncoderBatch, AVectorKeepsItsBitsWhateverTextsComeAlong) {
    for (const test::SyntheticModel& model : test::synthetic_models()) {
        if (!model.encoder) continue;
        SCOPED_TRACE(model.name);
        OpenSynthetic open(model);
        base::ThreadPool pool(2);
        base::Rng rng(5);
        const auto texts = random_texts(rng, 17, open.encoder().config().vocab_size);
        std::vector<EncoderText> together;
        for (const auto& text : texts) together.push_back({text});
        const auto all = open.encoder().run(pool, together);
        ASSERT_EQ(all.size(), texts.size());
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const auto alone = open.encoder().run(pool, std::span(&together[i], 1)).at(0);
            ASSERT_EQ(alone.size(), all[i].size());
            EXPECT_EQ(std::memcmp(alone.data(), all[i].data(), alone.size() * sizeof(float)), 0)
                << "text " << i << " of " << texts[i].size() << " tokens";
        }
    }
}

/// BERT as Devlin et al. 2019 define it, one text at a time, all in doubles.
class PlainBert {
public:
    explicit PlainBert(const engine::GgufFile& file, const engine::EncoderConfig& config)
        : file_(file), c_(config) {}

    double score(const std::vector<std::int32_t>& tokens, std::size_t second_at) const {
        std::vector<Row> x;
        for (std::size_t t = 0; t < tokens.size(); ++t) {
            Row row = row_of("token_embd.weight", static_cast<std::size_t>(tokens[t]));
            add(row, row_of("position_embd.weight", t));
            add(row, row_of("token_types.weight", t < second_at ? 0 : 1));
            x.push_back(normed(row, "token_embd_norm"));
        }
        for (std::uint32_t l = 0; l < c_.layers; ++l)
            x = layer(x, "blk." + std::to_string(l) + ".");
        Row head = linear(x[0], "cls");
        for (double& value : head) value = std::tanh(value);
        return linear(head, "cls.output")[0];
    }

private:
    Row row_of(const std::string& name, std::size_t row) const {
        const engine::TensorView view = file_.tensor(name).value();
        const auto* data = reinterpret_cast<const float*>(view.data) + row * view.dims[0];
        return Row(data, data + view.dims[0]);
    }
    static void add(Row& to, const Row& from) {
        for (std::size_t d = 0; d < to.size(); ++d) to[d] += from[d];
    }
    Row linear(const Row& x, const std::string& name) const {
        const std::size_t out = file_.tensor(name + ".weight").value().rows();
        Row y = row_of(name + ".bias", 0);
        for (std::size_t o = 0; o < out; ++o) {
            const Row w = row_of(name + ".weight", o);
            for (std::size_t d = 0; d < x.size(); ++d) y[o] += w[d] * x[d];
        }
        return y;
    }
    Row normed(Row x, const std::string& name) const {
        double mean = 0, square = 0;
        for (const double value : x) mean += value / static_cast<double>(x.size());
        for (const double value : x) {
            square += (value - mean) * (value - mean) / static_cast<double>(x.size());
        }
        const Row weight = row_of(name + ".weight", 0), bias = row_of(name + ".bias", 0);
        for (std::size_t d = 0; d < x.size(); ++d) {
            x[d] = (x[d] - mean) / std::sqrt(square + c_.norm_eps) * weight[d] + bias[d];
        }
        return x;
    }
    std::vector<Row> layer(const std::vector<Row>& x, const std::string& at) const {
        std::vector<Row> q, k, v, out;
        for (const Row& row : x) {
            q.push_back(linear(row, at + "attn_q"));
            k.push_back(linear(row, at + "attn_k"));
            v.push_back(linear(row, at + "attn_v"));
        }
        for (std::size_t t = 0; t < x.size(); ++t) {
            Row y = linear(attended(q[t], k, v), at + "attn_output");
            add(y, x[t]);
            y = normed(y, at + "attn_output_norm");
            Row inner = linear(y, at + "ffn_up");
            for (double& value : inner) value *= 0.5 * (1. + std::erf(value / std::sqrt(2.)));
            Row z = linear(inner, at + "ffn_down");
            add(z, y);
            out.push_back(normed(z, at + "layer_output_norm"));
        }
        return out;
    }
    Row attended(const Row& q, const std::vector<Row>& k, const std::vector<Row>& v) const {
        const std::size_t head_dim = q.size() / c_.heads;
        Row out(q.size());
        for (std::size_t first = 0; first < q.size(); first += head_dim) {
            Row weights;
            double sum = 0;
            for (const Row& key : k) {
                double dot = 0;
                for (std::size_t d = first; d < first + head_dim; ++d) dot += q[d] * key[d];
                weights.push_back(std::exp(dot / std::sqrt(static_cast<double>(head_dim))));
                sum += weights.back();
            }
            for (std::size_t t = 0; t < v.size(); ++t) {
                for (std::size_t d = first; d < first + head_dim; ++d) {
                    out[d] += weights[t] / sum * v[t][d];
                }
            }
        }
        return out;
    }

    const engine::GgufFile& file_;
    const engine::EncoderConfig c_;
};

TEST(Ranker, ScoresAsThePlainComputationDoes) {
    OpenSynthetic open(test::synthetic_ranker());
    ASSERT_TRUE(open.encoder().ranks());
    base::ThreadPool pool(2);
    base::Rng rng(6);
    const auto texts = random_texts(rng, 6, open.encoder().config().vocab_size);
    std::vector<EncoderText> pairs;
    for (const auto& text : texts) pairs.push_back({text, text.size() / 3});
    const auto scores = open.encoder().run(pool, pairs);
    const PlainBert plain(open.file(), open.encoder().config());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        ASSERT_EQ(scores[i].size(), 1u);
        EXPECT_NEAR(static_cast<double>(scores[i][0]), plain.score(texts[i], texts[i].size() / 3),
                    2e-3)
            << "text " << i;
    }
}

}  // namespace
