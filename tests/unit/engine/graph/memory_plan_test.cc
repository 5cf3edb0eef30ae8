// What a model is said to take for its passes, from its head alone.

#include "engine/memory_plan.h"

#include <gtest/gtest.h>

#include "engine/model_files/gguf.h"
#include "support/temp_dir.h"
#include "unit/engine/graph/synthetic_model.h"

namespace {

using engine::EngineOptions;
using engine::MemoryNeed;

class MemoryPlanTest : public ::testing::Test {
protected:
    engine::GgufFile open(const test::SyntheticModel& model) {
        test::write_synthetic(model, path());
        return engine::GgufFile::open(path()).value();
    }
    std::string path() const { return temp_.path() + "/model.gguf"; }

    static std::uint64_t scratch(engine::Model& model, const engine::GgufFile& file,
                                 std::uint32_t batch_tokens_max) {
        EngineOptions options;
        options.batch_tokens_max = batch_tokens_max;
        return engine::memory_need(model, file, options, {}).scratch_bytes;
    }

    test::TempDir temp_;
};

TEST_F(MemoryPlanTest, AnEncodersLongestTextIsAPassWhateverTheBatch) {
    for (const test::SyntheticModel& synthetic : test::synthetic_models()) {
        if (!synthetic.encoder) continue;
        SCOPED_TRACE(synthetic.name);
        const engine::GgufFile file = open(synthetic);
        engine::Model model = engine::load_model(file, {}).value();
        const std::uint32_t longest = model.context_tokens;
        EXPECT_EQ(scratch(model, file, 17), scratch(model, file, longest));
        EXPECT_GT(scratch(model, file, 2 * longest), scratch(model, file, longest));
    }
}

TEST_F(MemoryPlanTest, EveryExpertOfARowCounts) {
    std::size_t models = 0;
    for (const test::SyntheticModel& synthetic : test::synthetic_models()) {
        const engine::GgufFile file = open(synthetic);
        engine::Model model = engine::load_model(file, {}).value();
        if (model.decoder == nullptr || model.decoder->config().experts.count == 0) continue;
        SCOPED_TRACE(synthetic.name);
        ++models;
        const engine::DecoderConfig& c = model.decoder->config();
        const std::uint64_t pair = (c.dim + c.experts.ffn_dim) * sizeof(float);
        const std::uint64_t others = (c.dim * 3 + c.q_dim() * 2 + c.kv_dim() * 2) * sizeof(float);
        EXPECT_GE(scratch(model, file, 128) - scratch(model, file, 64),
                  64 * (c.experts.used * pair + others));
    }
    EXPECT_GT(models, 0u);
}

}  // namespace
