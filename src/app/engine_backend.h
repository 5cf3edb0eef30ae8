#pragma once
// Adapts engine::Engine to the port that the gateway declares, for all models of a pool.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "app/model_pool.h"
#include "base/core/clock.h"
#include "engine/engine.h"
#include "gate/model_backend.h"

namespace app {

class EngineBackend final : public gate::ModelBackend {
public:
    /// As ModelPool.
    explicit EngineBackend(const base::Clock& clock, ModelSource* source = nullptr,
                           std::uint64_t budget_bytes = 0)
        : clock_(clock), pool_(clock, source, budget_bytes) {}

    ModelPool& pool() { return pool_; }
    /// Makes an open model available under `id`, for as long as this lives. Thread-safe, also while
    /// requests run. `max_tokens_default`: for requests that set no limit; 0 leaves it to the model
    /// and context.
    void add(std::string id, std::unique_ptr<engine::Engine> engine,
             std::uint32_t max_tokens_default = 0);
    /// From now on ready() is true: everything that will be opened at the start is open.
    void set_ready() { ready_ = true; }
    /// Ends all models; what runs finishes as cancelled.
    void close();

    std::vector<gate::ModelCard> models() const override { return pool_.cards(); }
    bool ready() const override { return ready_; }
    /// A model that is not in memory is loaded first: the handle comes at once, and what goes wrong
    /// later ends the generation with that error.
    base::Result<gate::GenerationHandle> start(
        gate::GenerationRequest request,
        std::shared_ptr<gate::GenerationListener> listener) override;
    void cancel(gate::GenerationHandle handle) override;
    base::Result<Embeddings> embed(std::string_view model,
                                   std::span<const std::string> texts) override;
    base::Result<Ranking> rank(std::string_view model, std::string_view query,
                               std::span<const std::string> documents) override;
    base::Result<void> load(std::string_view model) override;
    base::Result<void> unload(std::string_view model) override { return pool_.unload(model); }
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
    class Ticket;
    base::Result<void> submit(const std::shared_ptr<Ticket>& ticket, ModelPool::Lease lease,
                              gate::GenerationRequest request);
    void forget(gate::GenerationHandle handle);

    const base::Clock& clock_;
    std::atomic<bool> ready_{false};
    std::mutex mutex_;  ///< guards the two below
    std::map<gate::GenerationHandle, std::shared_ptr<Ticket>> tickets_;
    gate::GenerationHandle last_handle_ = 0;
    mutable ModelPool pool_;  ///< last: its engines' requests end before what they tell goes
};

}  // namespace app
