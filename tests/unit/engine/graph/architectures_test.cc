// Every architecture on tiny random models, against what llama.cpp computes from the same file.
// make_goldens.sh sets DG_WRITE_SYNTHETIC to a folder; the tests then write the models there.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/files/files.h"
#include "unit/engine/graph/graph_runner.h"
#include "unit/engine/graph/synthetic_model.h"

namespace {

using test::GraphRunner;
using test::SyntheticModel;

std::vector<float> read_floats(const std::string& golden) {
    const std::string bytes = test::read_golden(golden);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
    return values;
}

void write_for_reference(const SyntheticModel& model, const std::string& folder) {
    const std::string stem = folder + "/" + model.name;
    test::write_synthetic(model, stem + ".gguf");
    std::ofstream(stem + ".what") << (model.encoder ? "embedding" : "logits");
    std::ofstream(stem + ".context") << model.context_tokens;
    std::ofstream ids(stem + ".ids");
    for (std::size_t i = 0; i < model.ids.size(); ++i) ids << (i ? "," : "") << model.ids[i];
}

class SyntheticModels : public testing::TestWithParam<SyntheticModel> {
protected:
    void SetUp() override {
        if (const char* folder = std::getenv("DG_WRITE_SYNTHETIC")) {
            write_for_reference(GetParam(), folder);
            GTEST_SKIP() << "wrote the model for the reference";
        }
        auto folder = base::TemporaryDir::create(testing::TempDir(), "synthetic");
        ASSERT_TRUE(folder.has_value());
        const std::string path = folder->path() + "/model.gguf";
        test::write_synthetic(GetParam(), path);
        auto file = engine::GgufFile::open(path);  // stays mapped after the folder is gone
        ASSERT_TRUE(file.has_value()) << file.error().message;
        file_ = *std::move(file);
    }

    std::optional<engine::GgufFile> file_;
};

TEST_P(SyntheticModels, AgreesWithLlamaCpp) {
    const SyntheticModel& model = GetParam();
    if (model.encoder) {
        const auto expected = read_floats("synthetic-" + model.name + ".embedding.gz");
        const auto loaded = engine::load_model(*file_, {});
        ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
        base::ThreadPool pool(2);
        const auto ours =
            loaded->encoder->run(pool, std::vector<engine::EncoderText>{{model.ids}}).at(0);
        ASSERT_EQ(ours.size(), expected.size());
        double dot = 0., square = 0.;
        for (std::size_t i = 0; i < ours.size(); ++i) {
            dot += static_cast<double>(ours[i]) * static_cast<double>(expected[i]);
            square += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
        }
        const double cosine = dot / std::sqrt(square);
        std::printf("%s: cosine %.6f\n", model.name.c_str(), cosine);
        EXPECT_GE(cosine, 0.9999);
        return;
    }
    const auto expected = read_floats("synthetic-" + model.name + ".logits.gz");
    GraphRunner runner(*std::move(file_), model.context_tokens);
    ASSERT_TRUE(runner.ok());
    const auto ours = runner.all_logits(model.ids, 7);
    ASSERT_EQ(ours.size(), expected.size());
    float largest = 0.f, difference = 0.f;
    std::size_t top1_same = 0;
    for (std::size_t p = 0; p < model.ids.size(); ++p) {
        const auto a = std::span(ours).subspan(p * runner.vocab(), runner.vocab());
        const auto b = std::span(expected).subspan(p * runner.vocab(), runner.vocab());
        top1_same +=
            std::ranges::max_element(a) - a.begin() == std::ranges::max_element(b) - b.begin();
        for (std::size_t i = 0; i < a.size(); ++i) {
            largest = std::max(largest, std::abs(b[i]));
            difference = std::max(difference, std::abs(a[i] - b[i]));
        }
    }
    std::printf("%s: top-1 %zu of %zu, largest difference %.2e of %.2f\n", model.name.c_str(),
                top1_same, model.ids.size(), static_cast<double>(difference),
                static_cast<double>(largest));
    EXPECT_EQ(top1_same, model.ids.size());
    EXPECT_LT(difference, 0.002f * largest);  // keys and values are kept in half precision
}

std::string name_of(const testing::TestParamInfo<SyntheticModel>& info) {
    std::string name = info.param.name;
    std::ranges::replace(name, '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(All, SyntheticModels, testing::ValuesIn(test::synthetic_models()),
                         name_of);

}  // namespace
