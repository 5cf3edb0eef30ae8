// A cross-encoder from ONNX against the scores of onnxruntime; golden/engine/make_cross_encoder.py
// makes both.

#include <gtest/gtest.h>

#include "base/files/files.h"
#include "base/json/json.h"
#include "engine/engine.h"
#include "engine/model_files/convert.h"

namespace {

const base::SystemClock kClock;
const std::string kFolder = DG_SOURCE_DIR "/tests/golden/engine/cross-encoder";

TEST(CrossEncoder, ScoresPairsAsOnnxruntimeDoes) {
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "cross-encoder");
    ASSERT_TRUE(folder.has_value());
    const std::string path = folder->path() + "/cross-encoder.gguf";
    const auto written =
        engine::convert_model(kFolder, path, engine::file_type_from_name("F32").value());
    ASSERT_TRUE(written.has_value()) << written.error().message;
    const auto engine = engine::Engine::open(path, {.threads = 2}, kClock);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    ASSERT_TRUE((*engine)->ranks());
    const auto cases = base::parse_json_file(kFolder + "/scores.json");
    ASSERT_TRUE(cases.has_value());
    ASSERT_EQ(cases->as_array().size(), 8u);
    for (const auto& one : cases->as_array()) {
        const std::string query(one.at("query").as_string());
        const std::vector<std::string> documents = {std::string(one.at("document").as_string())};
        const auto ranked = (*engine)->rank(query, documents);
        ASSERT_TRUE(ranked.has_value()) << ranked.error().message;
        EXPECT_NEAR(ranked->scores.at(0), one.at("score").to_number<float>(), 1e-3f) << query;
        EXPECT_EQ(ranked->tokens, one.at("ids").as_array().size()) << query;
    }
}

}  // namespace
