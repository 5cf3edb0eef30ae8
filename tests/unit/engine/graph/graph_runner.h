#pragma once
// Runs a model file's decoder over token ids without the rest of the engine.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/exec/thread_pool.h"
#include "engine/graph/model.h"
#include "engine/kv/kv_sequence.h"

namespace test {

class GraphRunner {
public:
    /// Adds a test failure and leaves decoder() null when the file cannot be loaded.
    GraphRunner(engine::GgufFile file, std::uint32_t context_tokens = 0,
                std::uint32_t batch_rows = 64, engine::KvType kv_type = engine::KvType::f16);

    bool ok() const { return model_.decoder != nullptr; }
    engine::Decoder& decoder() { return *model_.decoder; }
    base::ThreadPool& pool() { return pool_; }
    engine::KvSequence sequence(std::uint32_t tokens);
    std::uint32_t vocab() const { return model_.decoder->config().vocab_size; }

    /// Logits of every position, [ids][vocab], computed in chunks of `chunk` rows.
    std::vector<float> all_logits(std::span<const std::int32_t> ids, std::uint32_t chunk);
    /// `count` tokens of greedy continuation.
    std::vector<std::int32_t> greedy(std::span<const std::int32_t> prompt, std::uint32_t count);

private:
    engine::GgufFile file_;
    base::ThreadPool pool_{2};
    engine::Model model_;
    std::unique_ptr<engine::KvPool> kv_;
};

/// The bytes of a file, unzipped when it ends in .gz. Empty when it cannot be read.
std::string read_golden(const std::string& name);
std::string source_path(const std::string& relative);

}  // namespace test
