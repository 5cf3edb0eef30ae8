#include "app/memory_embedder.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "app/fitting_text.h"
#include "engine/engine.h"
#include "engine/model_files/prefixes.h"

namespace app {
namespace {

using base::Code;

struct Prefixes {
    std::string query = {}, document = {};
};

/// As the models' cards say.
Prefixes prefixes_of(std::string name) {
    std::ranges::transform(name, name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
    if (has("e5")) return {"query: ", "passage: "};
    if (has("bge") && has("zh")) return {"为这个句子生成表示以用于检索相关文章：", ""};
    if (has("bge") && !has("m3")) {
        return {"Represent this sentence for searching relevant passages: ", ""};
    }
    return {};
}

class EngineEmbedder final : public memory::Embedder {
public:
    EngineEmbedder(std::shared_ptr<engine::Engine> engine, const engine::ModelPrefixes& said)
        : engine_(std::move(engine)), prefixes_(prefixes_of(engine_->info().name)) {
        const Prefixes by_name = prefixes_;
        if (said.query) prefixes_.query = *said.query;
        if (said.document) prefixes_.document = *said.document;
        id_ = engine_->info().name + "/" + engine_->info().quantization;
        if (prefixes_.document != by_name.document) id_ += "/" + prefixes_.document;
    }

    const std::string& id() const override { return id_; }
    std::uint32_t dims() const override { return engine_->info().embedding_dim; }

    base::Result<void> embed(std::span<const std::string_view> texts, memory::EmbedSide side,
                             std::span<float> out) override {
        DG_TRY(memory::check_room(*this, texts.size(), out.size()));
        std::ranges::fill(out, 0.f);
        std::vector<std::string> inputs;
        std::vector<std::size_t> rows;  // of each input; texts with nothing in them have none
        for (std::size_t i = 0; i < texts.size(); ++i) {
            if (texts[i].find_first_not_of(" \t\r\n") == std::string_view::npos) continue;
            if (!is_readable(texts[i])) continue;
            std::string text =
                side == memory::EmbedSide::query ? prefixes_.query : prefixes_.document;
            text = fitting_text(*engine_, text.append(texts[i]), engine_->info().context_tokens);
            if (text.empty()) continue;
            inputs.push_back(std::move(text));
            rows.push_back(i);
        }
        if (inputs.empty()) return {};
        const auto vectors = DG_TRY(engine_->embed(inputs));
        for (std::size_t i = 0; i < vectors.size(); ++i) {
            std::ranges::copy(vectors[i],
                              out.begin() + static_cast<std::ptrdiff_t>(rows[i] * dims()));
        }
        return {};
    }

private:
    /// At least half of the text is in the vocabulary: to an English model all Chinese is one
    /// unknown token, and its vectors would say that all Chinese texts are alike.
    bool is_readable(std::string_view text) const {
        const engine::Tokenizer& tokenizer = engine_->tokenizer();
        const engine::TokenId unknown = tokenizer.vocabulary().unk;
        std::size_t known_bytes = 0;
        for (const engine::TokenId id : tokenizer.encode(text)) {
            if (id != unknown) known_bytes += tokenizer.piece(id).size();
        }
        return known_bytes * 2 >= text.size();
    }

    const std::shared_ptr<engine::Engine> engine_;
    std::string id_;
    Prefixes prefixes_;
};

}  // namespace

base::Result<std::shared_ptr<memory::Embedder>> make_engine_embedder(
    std::shared_ptr<engine::Engine> engine, const engine::ModelPrefixes& prefixes) {
    const engine::ModelInfo& info = engine->info();
    if (engine->ranks() || info.embedding_dim == 0) {
        return base::fail(
            Code::failed_precondition,
            "model {} gives no vectors; name an embedding model (dougong models list)", info.name);
    }
    return std::make_shared<EngineEmbedder>(std::move(engine), prefixes);
}

}  // namespace app
