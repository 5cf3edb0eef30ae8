#include "app/ranking.h"

#include <numeric>
#include <vector>

namespace app {

using base::Result;

Result<gate::ModelBackend::Ranking> rank_documents(engine::Engine& engine, std::string_view query,
                                                   std::span<const std::string> documents) {
    if (engine.ranks()) {
        auto ranked = DG_TRY(engine.rank(query, documents));
        return gate::ModelBackend::Ranking{std::move(ranked.scores), ranked.tokens};
    }
    std::vector<std::string> texts(documents.begin(), documents.end());
    texts.emplace_back(query);
    const auto vectors = DG_TRY(engine.embed(texts));
    gate::ModelBackend::Ranking ranking;
    for (std::size_t i = 0; i < documents.size(); ++i) {  // their lengths are 1
        ranking.scores.push_back(
            std::inner_product(vectors[i].begin(), vectors[i].end(), vectors.back().begin(), 0.f));
    }
    for (const std::string& text : texts) {
        ranking.prompt_tokens += static_cast<std::uint32_t>(engine.tokenizer().encode(text).size());
    }
    return ranking;
}

}  // namespace app
