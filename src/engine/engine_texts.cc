// Texts in, vectors and scores out: what encoders do, and decoders by the mean of their states.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "engine/batch/mean_pooling.h"
#include "engine/engine_impl.h"
#include "engine/text_pair.h"

namespace engine {

base::Result<void> Engine::Impl::check_length(std::size_t tokens,
                                              const std::string& subject) const {
    if (tokens > 0 && tokens <= model.context_tokens) return {};
    return base::fail_on(subject, base::Code::invalid_argument,
                         "{} has {} tokens; model {} takes 1 to {}; split or shorten it", subject,
                         tokens, info.name, model.context_tokens);
}

base::Result<std::vector<std::vector<float>>> Engine::embed(std::span<const std::string> texts) {
    if (ranks()) {
        return base::fail(base::Code::failed_precondition,
                          "model {} ranks documents and embeds no text; use /v1/rerank",
                          impl_->info.name);
    }
    std::vector<std::vector<TokenId>> encoded;
    std::vector<EncoderText> inputs;
    encoded.reserve(texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) {
        encoded.push_back(impl_->tokenizer->encode(texts[i]));
        DG_TRY(impl_->check_length(encoded.back().size(), fmt::format("input[{}]", i)));
        inputs.push_back({encoded.back()});
    }
    if (impl_->model.encoder != nullptr) return impl_->encode_all(inputs);
    return impl_->mean_hidden_states(std::move(encoded));
}

bool Engine::ranks() const {
    return impl_->model.encoder != nullptr && impl_->model.encoder->ranks();
}

base::Result<Engine::Ranking> Engine::rank(std::string_view query,
                                           std::span<const std::string> documents) {
    if (!ranks()) {
        return base::fail(base::Code::failed_precondition,
                          "model {} has no ranking head; compare embeddings instead",
                          impl_->info.name);
    }
    const std::vector<TokenId> first = impl_->tokenizer->encode(query);
    std::vector<TextPair> pairs;
    std::vector<EncoderText> inputs;
    pairs.reserve(documents.size());
    Ranking ranking;
    for (std::size_t i = 0; i < documents.size(); ++i) {
        pairs.push_back(encode_pair(*impl_->tokenizer, first, documents[i]));
        const auto& [tokens, second_at] = pairs.back();
        DG_TRY(impl_->check_length(tokens.size(), fmt::format("the query with documents[{}]", i)));
        inputs.push_back({tokens, second_at});
        ranking.tokens += static_cast<std::uint32_t>(tokens.size());
    }
    for (const auto& logit : DG_TRY(impl_->encode_all(inputs))) {
        ranking.scores.push_back(1.f / (1.f + std::exp(-logit[0])));
    }
    return ranking;
}

base::Result<Engine::Impl::Vectors> Engine::Impl::encode_all(std::span<const EncoderText> texts) {
    Vectors vectors;
    while (!texts.empty()) {
        std::size_t count = 0, tokens = 0;
        do {
            tokens += texts[count++].tokens.size();
        } while (count < texts.size() &&
                 tokens + texts[count].tokens.size() <= options.batch_tokens_max);
        Vectors part;
        DG_TRY(batcher->call([&](RunningSet*) {
            gate.wait_for_all();
            part = model.encoder->run(pool, texts.first(count));
            return Batcher::Progress::done;
        }));
        std::ranges::move(part, std::back_inserter(vectors));
        texts = texts.subspan(count);
    }
    return vectors;
}

base::Result<Engine::Impl::Vectors> Engine::Impl::mean_hidden_states(
    std::vector<std::vector<TokenId>> texts) {
    base::Result<Vectors> vectors;
    // The call owns the job, so that its pages come back on the engine's thread, also when it
    // stops.
    auto job = std::make_shared<MeanPooling>(*model.decoder, pool, *kv, clock, std::move(texts));
    DG_TRY(batcher->call([job = std::move(job), &vectors](RunningSet* running) {
        const Batcher::Progress progress = job->advance(*running);
        if (progress == Batcher::Progress::done) vectors = std::move(job->result());
        return progress;
    }));
    if (vectors) std::ranges::for_each(*vectors, normalise_length);
    return vectors;
}

}  // namespace engine
