#include "app/engine_backend.h"

#include <fmt/format.h>

#include "app/backend_stats.h"
#include "app/generation_adapter.h"
#include "app/model_facts.h"

namespace app {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

// The top byte of a handle is the model, the rest the engine's own id.
constexpr unsigned kIndexShift = 56;

json::object details(const engine::ModelInfo& info) {
    json::object facts = model_facts(info);
    facts["context_tokens"] = info.context_tokens;
    facts["chat_template"] = !info.chat_template.empty();
    return facts;
}

}  // namespace

void EngineBackend::add(std::string id, std::unique_ptr<engine::Engine> engine,
                        std::uint32_t max_tokens_default) {
    const std::unique_lock lock(mutex_);
    open_.push_back(
        {std::move(id), clock_.unix_ns() / 1'000'000'000, std::move(engine), max_tokens_default});
}

void EngineBackend::set_ready() {
    const std::unique_lock lock(mutex_);
    ready_ = true;
}

void EngineBackend::close() {
    std::vector<Open> closing;
    {
        const std::unique_lock lock(mutex_);
        ready_ = false;
        closing.swap(open_);
    }
    // Engines stop here, outside the lock: their last events may ask this object for stats.
}

bool EngineBackend::ready() const {
    const std::shared_lock lock(mutex_);
    return ready_;
}

std::vector<gate::ModelCard> EngineBackend::models() const {
    const std::shared_lock lock(mutex_);
    std::vector<gate::ModelCard> cards;
    for (const Open& open : open_) {
        const engine::ModelInfo& info = open.engine->info();
        gate::ModelCard card;
        card.id = open.id;
        card.created_unix_s = open.opened_unix_s;
        card.generates = info.kind == engine::ModelKind::generator;
        card.embeds = true;
        card.context_tokens = info.context_tokens;
        card.embedding_dim = info.embedding_dim;
        card.details = details(info);
        cards.push_back(std::move(card));
    }
    return cards;
}

Result<EngineBackend::Found> EngineBackend::find(std::string_view model, Need need) const {
    const std::shared_lock lock(mutex_);
    std::string known;
    for (std::size_t i = 0; i < open_.size(); ++i) {
        const Open& open = open_[i];
        const bool generates = open.engine->info().kind == engine::ModelKind::generator;
        if (open.id == model) {
            if (need == Need::any || generates)
                return Found{i, open.max_tokens_default, open.engine};
            return fail_on("model", Code::invalid_argument,
                           "model {} is an encoder and writes no text; use /v1/embeddings", model);
        }
        known += (known.empty() ? "" : ", ") + open.id;
    }
    if (open_.empty()) {
        return fail_on("model", Code::unavailable,
                       "the model is still being loaded; try again soon");
    }
    return fail_on("model", Code::not_found, "model '{}' is not open here; open models: {}", model,
                   known);
}

Result<gate::GenerationHandle> EngineBackend::start(
    gate::GenerationRequest request, std::shared_ptr<gate::GenerationListener> listener) {
    const base::Instant received = clock_.now();
    const Found found = DG_TRY(find(request.model, Need::generator));
    if (request.max_tokens == 0) request.max_tokens = found.max_tokens_default;
    auto prompt = DG_TRY(prompt_tokens(*found.engine, request));
    const base::Instant templated = clock_.now();
    auto sink =
        make_sink(*found.engine, request, std::move(listener), {received, templated}, prompt);
    const engine::GenerationId id = DG_TRY(found.engine->submit(
        DG_TRY(engine_request(*found.engine, std::move(request), std::move(prompt))),
        std::move(sink)));
    return (static_cast<gate::GenerationHandle>(found.index) << kIndexShift) | id;
}

void EngineBackend::cancel(gate::GenerationHandle handle) {
    const std::size_t index = handle >> kIndexShift;
    const std::shared_lock lock(mutex_);
    if (index >= open_.size()) return;
    open_[index].engine->cancel(handle & ((std::uint64_t{1} << kIndexShift) - 1));
}

Result<gate::ModelBackend::Embeddings> EngineBackend::embed(std::string_view model,
                                                            std::span<const std::string> texts) {
    const Found found = DG_TRY(find(model, Need::any));
    Embeddings out;
    out.vectors = DG_TRY(found.engine->embed(texts));
    for (const std::string& text : texts) {
        out.prompt_tokens +=
            static_cast<std::uint32_t>(found.engine->tokenizer().encode(text).size());
    }
    return out;
}

Result<gate::ModelBackend::Ranking> EngineBackend::rank(std::string_view, std::string_view,
                                                        std::span<const std::string>) {
    return base::fail(Code::unimplemented, "no model here ranks documents");
}

Result<void> EngineBackend::load(std::string_view model) {
    DG_TRY(find(model, Need::any));
    return {};
}

Result<void> EngineBackend::unload(std::string_view) {
    return base::fail(Code::unimplemented, "models stay open until the server stops");
}

Result<gate::ModelBackend::KeptPrefix> EngineBackend::keep_prefix(std::string_view,
                                                                  std::string_view, gate::Prompt,
                                                                  base::Duration) {
    return base::fail(Code::unimplemented, "no prefixes are kept here");
}

Result<void> EngineBackend::drop_prefix(std::string_view, std::string_view id) {
    return fail_on("id", Code::not_found, "no prefix is kept as '{}'", id);
}

std::vector<gate::ModelBackend::KeptPrefix> EngineBackend::kept_prefixes(std::string_view) const {
    return {};
}

Result<std::vector<std::int32_t>> EngineBackend::tokenize(std::string_view model,
                                                          std::string_view text,
                                                          bool add_special) const {
    const Found found = DG_TRY(find(model, Need::any));
    return found.engine->tokenizer().encode(text,
                                            {.add_special = add_special, .parse_special = true});
}

Result<std::string> EngineBackend::detokenize(std::string_view model,
                                              std::span<const std::int32_t> tokens) const {
    const Found found = DG_TRY(find(model, Need::any));
    return found.engine->tokenizer().decode(tokens, true);
}

gate::BackendStats EngineBackend::stats() const {
    gate::BackendStats sum;
    for (const auto& [unused, stats] : stats_by_model()) add_to(sum, stats);
    return sum;
}

std::vector<gate::ModelBackend::ModelStats> EngineBackend::stats_by_model() const {
    const std::shared_lock lock(mutex_);
    std::vector<ModelStats> all;
    for (const Open& open : open_) all.push_back({open.id, backend_stats(open.engine->stats())});
    return all;
}

}  // namespace app
