// Adapters of embedders to the memory plane: our engine's model when it is on this machine, an
// endpoint on this host.

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <numeric>

#include "app/memory_embedder.h"
#include "base/files/files.h"
#include "base/json/json.h"
#include "engine/engine.h"
#include "engine/model_files/convert.h"
#include "engine/model_files/prefixes.h"
#include "support/http_stub.h"
#include "support/models_dir.h"

namespace {

const base::SystemClock kClock;

std::vector<float> vectors_of(memory::Embedder& embedder,
                              const std::vector<std::string_view>& texts,
                              memory::EmbedSide side = memory::EmbedSide::document) {
    std::vector<float> out(texts.size() * embedder.dims());
    const auto done = embedder.embed(texts, side, out);
    EXPECT_TRUE(done.has_value()) << done.error().message;
    return out;
}
float dot(std::span<const float> a, std::span<const float> b) {
    return std::inner_product(a.begin(), a.end(), b.begin(), 0.f);
}

TEST(EngineEmbedder, TakesAnyTextAndKnowsWhatItCannotRead) {
    const auto source = test::shared_model("use-lite-en");
    if (!source) GTEST_SKIP() << "the published use-lite-en files are not on this machine";
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "use-lite");
    ASSERT_TRUE(folder.has_value());
    const std::string path = folder->path() + "/use-lite-en.gguf";
    ASSERT_TRUE(engine::convert_model(*source, path, engine::file_type_from_name("Q8_0").value())
                    .has_value());
    auto engine = engine::Engine::open(path, {.threads = 1}, kClock);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    const auto embedder = app::make_engine_embedder(std::move(*engine), {});
    ASSERT_TRUE(embedder.has_value()) << embedder.error().message;
    const std::uint32_t dims = (*embedder)->dims();
    ASSERT_EQ(dims, 512u);
    std::string longer;
    for (int i = 0; i < 2'000; ++i) longer += "how old are you ";
    const std::vector<float> v = vectors_of(
        **embedder, {"How old are you?", "What is your age?", "", "今天天气很好", longer, " \n"});
    const auto row = [&](std::size_t i) { return std::span(v).subspan(i * dims, dims); };
    EXPECT_GT(dot(row(0), row(1)), .8f);
    EXPECT_NEAR(dot(row(4), row(4)), 1.f, 1e-3f);
    for (const std::size_t empty : {2u, 3u, 5u}) EXPECT_EQ(dot(row(empty), row(empty)), 0.f);
}

/// An endpoint whose vectors are (length of the text, 1, 0), in backward order.
class EndpointTest : public testing::Test {
protected:
    test::StubResponse answer(const test::StubRequest& request) const {
        test::StubResponse response;
        response.status = status_;
        if (status_ != 200) return response;
        const auto body = base::parse_json(request.body).value();
        base::json::array data;
        const auto& input = body.at("input").as_array();
        for (std::size_t i = input.size(); i-- > 0;) {
            base::json::array vector = {static_cast<double>(input[i].as_string().size()), 1., 0.};
            for (int extra = 0; extra < extra_; ++extra) vector.push_back(0.);
            data.push_back({{"index", i}, {"embedding", std::move(vector)}});
        }
        response.body = base::to_text(base::json::object{{"data", data}});
        return response;
    }
    base::Result<std::shared_ptr<memory::Embedder>> make() {
        return app::make_endpoint_embedder({.url = stub_.url() + "/v1/",
                                            .model = "m",
                                            .api_key = "key",
                                            .batch_max = 3,
                                            .query_prefix = "query: "});
    }

    std::atomic<int> status_ = 200, extra_ = 0;
    test::HttpStub stub_{[this](const test::StubRequest& request) { return answer(request); }};
};

TEST_F(EndpointTest, AsksInBatchesAndPutsVectorsInTheirPlaces) {
    const auto embedder = make();
    ASSERT_TRUE(embedder.has_value()) << embedder.error().message;
    EXPECT_EQ((*embedder)->dims(), 3u);
    const std::vector<float> v =
        vectors_of(**embedder, {"1", "22", "333", "4444", "55555", "", "7"});
    for (std::size_t i = 0; i < 7; ++i) {
        const float length = i < 5 ? static_cast<float>(i + 1) : 1.f;
        EXPECT_NEAR(v[i * 3] / v[i * 3 + 1], length, 1e-3f) << i;
        EXPECT_NEAR(dot(std::span(v).subspan(i * 3, 3), std::span(v).subspan(i * 3, 3)), 1.f,
                    1e-5f);
    }
    EXPECT_EQ(stub_.requests().size(), 1u + 3u);
    EXPECT_EQ(stub_.requests().back().target, "/v1/embeddings");
    EXPECT_EQ(stub_.requests().back().headers.at("authorization"), "Bearer key");
    const std::vector<float> query = vectors_of(**embedder, {"x"}, memory::EmbedSide::query);
    EXPECT_NEAR(query[0] / query[1], 8.f, 1e-3f) << "the prefix";
}

TEST_F(EndpointTest, TellsWhatIsWorthARetryFromWhatIsNot) {
    const auto embedder = make();
    ASSERT_TRUE(embedder.has_value());
    std::vector<float> out(3);
    const std::string_view text = "x";
    const auto code = [&] {
        return (*embedder)->embed({&text, 1}, memory::EmbedSide::query, out).error().code;
    };
    status_ = 503;
    EXPECT_EQ(code(), base::Code::unavailable);
    status_ = 401;
    EXPECT_EQ(code(), base::Code::failed_precondition);
    status_ = 200;
    extra_ = 1;
    EXPECT_EQ(code(), base::Code::failed_precondition) << "another length";
}

TEST_F(EndpointTest, RefusesWhatIsNoAddressOrNoModel) {
    EXPECT_EQ(app::make_endpoint_embedder({.url = "ftp://x", .model = "m"}).error().code,
              base::Code::invalid_argument);
    EXPECT_EQ(app::make_endpoint_embedder({.url = stub_.url(), .model = ""}).error().code,
              base::Code::invalid_argument);
}

}  // namespace
