#pragma once
// Adapts engine::Engine to the port that the gateway declares. Holds the open models by name: the
// first one that generates is the default, and an encoder beside it can answer embeddings.

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/clock.h"
#include "engine/engine.h"
#include "gate/model_backend.h"

namespace app {

class EngineBackend final : public gate::ModelBackend {
public:
    explicit EngineBackend(const base::Clock& clock) : clock_(clock) {}

    /// Makes an open model available under `id`. Thread-safe, also while requests run.
    /// `max_tokens_default`: for requests that set no limit; 0 leaves it to the model and context.
    void add(std::string id, std::unique_ptr<engine::Engine> engine,
             std::uint32_t max_tokens_default = 0);
    /// From now on ready() is true: everything that will be opened is open.
    void set_ready();
    /// Ends all models; what runs finishes as cancelled.
    void close();

    std::vector<gate::ModelCard> models() const override;
    bool ready() const override;
    base::Result<gate::GenerationHandle> start(
        gate::GenerationRequest request,
        std::shared_ptr<gate::GenerationListener> listener) override;
    void cancel(gate::GenerationHandle handle) override;
    base::Result<Embeddings> embed(std::string_view model,
                                   std::span<const std::string> texts) override;
    base::Result<Ranking> rank(std::string_view model, std::string_view query,
                               std::span<const std::string> documents) override;
    base::Result<void> load(std::string_view model) override;
    base::Result<void> unload(std::string_view model) override;
    base::Result<KeptPrefix> keep_prefix(std::string_view model, std::string_view tenant,
                                         gate::Prompt prompt, base::Duration time_to_live) override;
    base::Result<void> drop_prefix(std::string_view tenant, std::string_view id) override;
    std::vector<KeptPrefix> kept_prefixes(std::string_view tenant) const override;
    base::Result<std::vector<std::int32_t>> tokenize(std::string_view model, std::string_view text,
                                                     bool add_special) const override;
    base::Result<std::string> detokenize(std::string_view model,
                                         std::span<const std::int32_t> tokens) const override;
    gate::BackendStats stats() const override;
    std::vector<ModelStats> stats_by_model() const override;

private:
    struct Open {
        std::string id;
        std::int64_t opened_unix_s = 0;
        std::shared_ptr<engine::Engine> engine;
        std::uint32_t max_tokens_default = 0;
    };
    struct Found {
        std::size_t index;
        std::uint32_t max_tokens_default;
        std::shared_ptr<engine::Engine> engine;
    };
    enum class Need { any, generator };
    base::Result<Found> find(std::string_view model, Need need) const;

    const base::Clock& clock_;
    mutable std::shared_mutex mutex_;
    std::vector<Open> open_;  // guarded by mutex_; grows only, so that indices stay valid
    bool ready_ = false;      // guarded by mutex_
};

}  // namespace app
