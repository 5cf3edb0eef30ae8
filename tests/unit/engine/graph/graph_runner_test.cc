// Helpers of this test program (named so that the test glob compiles them).

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <utility>

#include "unit/engine/graph/graph_runner.h"

namespace test {

GraphRunner::GraphRunner(engine::GgufFile file, std::uint32_t context_tokens,
                         std::uint32_t batch_rows, engine::KvType kv_type)
    : file_(std::move(file)) {
    auto model = engine::load_model(file_, {context_tokens, batch_rows});
    if (!model) {
        ADD_FAILURE() << file_.path() << ": " << model.error().message;
        return;
    }
    model_ = *std::move(model);
    engine::KvGeometry geometry = model_.decoder->kv_geometry();
    geometry.type = kv_type;
    kv_ = std::make_unique<engine::KvPool>(geometry, 4096);
}

engine::KvSequence GraphRunner::sequence(std::uint32_t tokens) {
    engine::KvSequence sequence = kv_->sequence();
    EXPECT_TRUE(sequence.grow_to(tokens).has_value());
    return sequence;
}

std::vector<float> GraphRunner::all_logits(std::span<const std::int32_t> ids, std::uint32_t chunk) {
    const auto count = static_cast<std::uint32_t>(ids.size());
    const engine::KvSequence kv = sequence(count);
    std::vector<float> all;
    for (std::uint32_t first = 0; first < count; first += chunk) {
        std::vector<engine::BatchRow> rows;
        for (std::uint32_t p = first; p < std::min(count, first + chunk); ++p) {
            rows.push_back({ids[p], &kv, p, true});
        }
        const std::span<float> logits = model_.decoder->logits(pool_, rows);
        all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
}

std::vector<std::int32_t> GraphRunner::greedy(std::span<const std::int32_t> prompt,
                                              std::uint32_t count) {
    const auto prompt_tokens = static_cast<std::uint32_t>(prompt.size());
    const engine::KvSequence kv = sequence(prompt_tokens + count);
    std::vector<engine::BatchRow> rows;
    for (std::uint32_t p = 0; p < prompt_tokens; ++p) {
        rows.push_back({prompt[p], &kv, p, p + 1 == prompt_tokens});
    }
    std::vector<std::int32_t> chosen;
    while (chosen.size() < count) {
        const std::span<float> logits = model_.decoder->logits(pool_, rows);
        chosen.push_back(
            static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin()));
        const auto position = prompt_tokens + static_cast<std::uint32_t>(chosen.size()) - 1;
        rows = {{chosen.back(), &kv, position, true}};
    }
    return chosen;
}

std::string source_path(const std::string& relative) {
    return std::string(DG_SOURCE_DIR) + "/" + relative;
}

std::string read_golden(const std::string& name) {
    const std::string path = source_path("tests/golden/engine/" + name);
    gzFile file = gzopen(path.c_str(), "rb");  // reads plain files as they are
    if (file == nullptr) return {};
    std::string bytes;
    char buffer[1 << 16];
    for (int got = 0; (got = gzread(file, buffer, sizeof(buffer))) > 0;) {
        bytes.append(buffer, static_cast<std::size_t>(got));
    }
    gzclose(file);
    return bytes;
}

}  // namespace test
