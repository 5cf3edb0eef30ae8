#include "app/engine_backend.h"

#include <fmt/format.h>

#include <optional>

#include "app/backend_stats.h"
#include "app/generation_adapter.h"
#include "app/ranking.h"

namespace app {
namespace {

using base::Code;
using base::fail_on;
using base::Result;

Result<void> check_generates(const engine::Engine& engine, std::string_view model) {
    if (engine.info().kind == engine::ModelKind::generator) return {};
    return fail_on("model", Code::invalid_argument,
                   "model {} is an encoder and writes no text; use /v1/embeddings", model);
}

gate::GenerationEnd ended(gate::Finish finish, std::optional<base::Error> error,
                          base::Instant received, base::Instant now) {
    gate::GenerationEnd end;
    end.finish = finish;
    end.error = std::move(error);
    end.received = received;
    end.finished = now;
    return end;
}

}  // namespace

/// One generation from start() to on_end: holds its model in memory and finds it for cancel().
class EngineBackend::Ticket final : public gate::GenerationListener {
public:
    Ticket(EngineBackend& backend, gate::GenerationHandle handle,
           std::shared_ptr<gate::GenerationListener> listener, base::Instant received)
        : backend_(backend), handle_(handle), received_(received), listener_(std::move(listener)) {}

    void on_delta(const gate::TokenDelta& delta) override { listener_->on_delta(delta); }
    void on_end(const gate::GenerationEnd& end) override {
        listener_->on_end(end);
        // Not under the lock of forget(): giving the lease back may wake who unloads.
        {
            const std::lock_guard lock(mutex_);
            lease_.reset();
        }
        backend_.forget(handle_);
    }
    void end(gate::Finish finish, std::optional<base::Error> error) {
        on_end(ended(finish, std::move(error), received_, backend_.clock_.now()));
    }

    void cancel() {
        const std::lock_guard lock(mutex_);
        cancelled_ = true;
        if (lease_) lease_.engine().cancel(id_);
    }
    bool cancelled() {
        const std::lock_guard lock(mutex_);
        return cancelled_;
    }
    /// The engine may tell of the end before submit returns; on_end waits here until it has.
    Result<void> submit(ModelPool::Lease lease, engine::GenerateRequest request,
                        std::shared_ptr<engine::GenerationSink> sink) {
        const std::lock_guard lock(mutex_);
        id_ = DG_TRY(lease.engine().submit(std::move(request), std::move(sink)));
        lease_ = std::move(lease);
        if (cancelled_) lease_.engine().cancel(id_);
        return {};
    }

    gate::GenerationHandle handle() const { return handle_; }
    base::Instant received() const { return received_; }

private:
    EngineBackend& backend_;
    const gate::GenerationHandle handle_;
    const base::Instant received_;
    const std::shared_ptr<gate::GenerationListener> listener_;
    std::mutex mutex_;  ///< guards all below
    ModelPool::Lease lease_;
    engine::GenerationId id_ = 0;
    bool cancelled_ = false;
};

void EngineBackend::add(std::string id, std::unique_ptr<engine::Engine> engine,
                        std::uint32_t max_tokens_default) {
    pool_.add(std::move(id), {std::move(engine), max_tokens_default, {}});
}

void EngineBackend::close() {
    ready_ = false;
    pool_.close();
}

Result<gate::GenerationHandle> EngineBackend::start(
    gate::GenerationRequest request, std::shared_ptr<gate::GenerationListener> listener) {
    const base::Instant received = clock_.now();
    ModelPool::Lease lease = DG_TRY(pool_.lease_if_ready(request.model));
    std::shared_ptr<Ticket> ticket;
    {
        const std::lock_guard lock(mutex_);
        ticket = std::make_shared<Ticket>(*this, ++last_handle_, std::move(listener), received);
        tickets_[ticket->handle()] = ticket;
    }
    if (lease) {
        const auto submitted = submit(ticket, std::move(lease), std::move(request));
        if (submitted) return ticket->handle();
        forget(ticket->handle());
        return std::unexpected(submitted.error());
    }
    const std::string model = request.model;
    auto waiting = std::make_shared<gate::GenerationRequest>(std::move(request));
    pool_.lease_later(model, [this, ticket, waiting](Result<ModelPool::Lease> loaded) {
        if (ticket->cancelled()) return ticket->end(gate::Finish::cancelled, {});
        if (!loaded) return ticket->end(gate::Finish::error, loaded.error());
        if (clock_.now() > waiting->deadline) return ticket->end(gate::Finish::deadline, {});
        const auto submitted = submit(ticket, *std::move(loaded), std::move(*waiting));
        if (!submitted) ticket->end(gate::Finish::error, submitted.error());
    });
    return ticket->handle();
}

Result<void> EngineBackend::submit(const std::shared_ptr<Ticket>& ticket, ModelPool::Lease lease,
                                   gate::GenerationRequest request) {
    engine::Engine& engine = lease.engine();
    DG_TRY(check_generates(engine, request.model));
    if (request.max_tokens == 0) request.max_tokens = lease.max_tokens_default();
    ModelPrompt prompt = DG_TRY(answer_prompt(engine, request));
    auto sink = make_sink(engine, request, ticket,
                          {ticket->received(), clock_.now(), prompt.dropped_tokens}, prompt.tokens);
    auto ask = DG_TRY(engine_request(engine, std::move(request), std::move(prompt)));
    return ticket->submit(std::move(lease), std::move(ask), std::move(sink));
}

void EngineBackend::cancel(gate::GenerationHandle handle) {
    std::shared_ptr<Ticket> ticket;
    {
        const std::lock_guard lock(mutex_);
        const auto found = tickets_.find(handle);
        if (found == tickets_.end()) return;
        ticket = found->second;
    }
    ticket->cancel();
}

void EngineBackend::forget(gate::GenerationHandle handle) {
    std::shared_ptr<Ticket> ticket;  // dies after the lock
    const std::lock_guard lock(mutex_);
    const auto found = tickets_.find(handle);
    if (found == tickets_.end()) return;
    ticket = std::move(found->second);
    tickets_.erase(found);
}

Result<gate::ModelBackend::Embeddings> EngineBackend::embed(std::string_view model,
                                                            std::span<const std::string> texts) {
    const ModelPool::Lease lease = DG_TRY(pool_.lease(model));
    Embeddings out;
    out.vectors = DG_TRY(lease.engine().embed(texts));
    for (const std::string& text : texts) {
        out.prompt_tokens +=
            static_cast<std::uint32_t>(lease.engine().tokenizer().encode(text).size());
    }
    return out;
}

Result<gate::ModelBackend::Ranking> EngineBackend::rank(std::string_view model,
                                                        std::string_view query,
                                                        std::span<const std::string> documents) {
    const ModelPool::Lease lease = DG_TRY(pool_.lease(model));
    return rank_documents(lease.engine(), query, documents);
}

Result<void> EngineBackend::load(std::string_view model) {
    DG_TRY(pool_.lease(model));
    return {};
}

Result<gate::ModelBackend::KeptPrefix> EngineBackend::keep_prefix(std::string_view model,
                                                                  std::string_view tenant,
                                                                  gate::Prompt prompt,
                                                                  base::Duration time_to_live) {
    const ModelPool::Lease lease = DG_TRY(pool_.lease(model));
    DG_TRY(check_generates(lease.engine(), model));
    gate::GenerationRequest request;
    request.prompt = std::move(prompt);
    auto tokens = DG_TRY(prompt_tokens(lease.engine(), request, PromptEnd::messages_follow));
    const engine::KeptPrefix kept =
        DG_TRY(lease.engine().keep_prefix(std::string(tenant), std::move(tokens), time_to_live));
    return KeptPrefix{.id = kept.id,
                      .model = std::string(model),
                      .tokens = kept.tokens,
                      .expires_unix_s = (clock_.unix_ns() + (kept.expires - clock_.now()).count()) /
                                        1'000'000'000};
}

Result<void> EngineBackend::drop_prefix(std::string_view tenant, std::string_view id) {
    for (const auto& model : pool_.figures()) {
        const auto lease = pool_.lease_if_ready(model.id);
        if (!lease || !*lease) continue;
        const auto dropped = lease->engine().drop_prefix(std::string(tenant), std::string(id));
        if (dropped || dropped.error().code != Code::not_found) return dropped;
    }
    return fail_on("id", Code::not_found, "no prefix is kept as '{}'", id);
}

std::vector<gate::ModelBackend::KeptPrefix> EngineBackend::kept_prefixes(
    std::string_view tenant) const {
    std::vector<KeptPrefix> all;
    for (const auto& model : pool_.figures()) {
        const auto lease = pool_.lease_if_ready(model.id);
        if (!lease || !*lease) continue;
        for (const auto& kept : lease->engine().kept_prefixes(std::string(tenant))) {
            all.push_back(
                {kept.id, model.id, kept.tokens,
                 (clock_.unix_ns() + (kept.expires - clock_.now()).count()) / 1'000'000'000});
        }
    }
    return all;
}

Result<std::vector<std::int32_t>> EngineBackend::tokenize(std::string_view model,
                                                          std::string_view text,
                                                          bool add_special) const {
    const ModelPool::Lease lease = DG_TRY(pool_.lease(model));
    return lease.engine().tokenizer().encode(text,
                                             {.add_special = add_special, .parse_special = true});
}

Result<std::string> EngineBackend::detokenize(std::string_view model,
                                              std::span<const std::int32_t> tokens) const {
    const ModelPool::Lease lease = DG_TRY(pool_.lease(model));
    return lease.engine().tokenizer().decode(tokens, true);
}

gate::BackendStats EngineBackend::stats() const {
    gate::BackendStats sum = backend_stats(pool_.retired());
    for (const auto& model : pool_.figures()) add_to(sum, backend_stats(model.stats));
    return sum;
}

std::vector<gate::ModelBackend::ModelStats> EngineBackend::stats_by_model() const {
    std::vector<ModelStats> all;
    for (auto& model : pool_.figures()) {
        all.push_back({std::move(model.id), backend_stats(model.stats)});
    }
    return all;
}

}  // namespace app
