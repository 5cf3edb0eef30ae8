#pragma once
// What an engine consists of; private to engine.cc, engine_open.cc and engine_texts.cc.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/exec/thread_pool.h"
#include "base/template/template.h"
#include "engine/batch/batcher.h"
#include "engine/chat/chat_format.h"
#include "engine/constrain/constrainer.h"
#include "engine/constrain/grammar_cache.h"
#include "engine/engine.h"
#include "engine/graph/model.h"
#include "engine/host.h"
#include "engine/kv/kv_pool.h"
#include "engine/kv/prefix_cache.h"
#include "engine/kv/spill_file.h"
#include "engine/memory_plan.h"
#include "engine/model_files/gguf.h"
#include "engine/packed_weights.h"

namespace engine {

struct Engine::Impl {
    Impl(GgufFile file_, const EngineOptions& options_, const base::Clock& clock_)
        : file(std::move(file_)),
          options(options_),
          clock(clock_),
          pool(options_.threads > 0 ? options_.threads : physical_cores()) {}

    base::Result<void> load();
    base::Result<void> load_decoder(std::uint32_t kv_pages);
    base::Result<void> begin_reading_weights();
    base::Result<void> check(const GenerateRequest& request) const;
    base::Result<void> continue_kept(GenerateRequest& request) const;
    using Vectors = std::vector<std::vector<float>>;
    /// One vector per text. Other work goes on between passes. Any thread.
    base::Result<Vectors> encode_all(std::span<const EncoderText> texts);
    base::Result<Vectors> mean_hidden_states(std::vector<std::vector<TokenId>> texts);
    base::Result<void> check_length(std::size_t tokens, const std::string& subject) const;

    GgufFile file;
    const EngineOptions options;
    const base::Clock& clock;
    base::ThreadPool pool;
    ModelInfo info;
    std::shared_ptr<const Tokenizer> tokenizer;
    std::optional<base::Template> chat_template;
    std::optional<base::Error> chat_template_error;
    std::shared_ptr<const chat::ChatFormat> chat_format;
    constrain::GrammarCache grammars;
    WeightGate gate;
    Model model;
    std::unique_ptr<PackedWeights> packed;  ///< read through the model's views
    MemoryNeed need;
    std::unique_ptr<KvPool> kv;
    std::unique_ptr<PrefixCache> prefixes;
    std::unique_ptr<SpillFile> spill;  ///< null: nowhere to swap to
    double load_seconds = 0;
    std::unique_ptr<constrain::Constrainer> constrainer;
    std::unique_ptr<Batcher> batcher;  ///< last: its thread uses everything above
};

}  // namespace engine
