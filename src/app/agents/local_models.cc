#include "app/agents/local_models.h"

#include <optional>

#include "app/build_info.h"
#include "app/engine_backend.h"
#include "app/model_store.h"
#include "base/http/server.h"
#include "base/log/log.h"
#include "base/metrics/metrics.h"
#include "engine/engine.h"
#include "gate/gate.h"

namespace app {

using base::Result;

/// From the bottom up: what is declared later uses what stands above it.
struct LocalModels::Impl {
    explicit Impl(const base::Clock& clock) : backend(clock) {}
    base::metrics::Registry metrics;
    std::unique_ptr<base::log::Logger> logger;
    base::UniqueFd memory;  ///< the smoke model's bytes
    EngineBackend backend;
    std::optional<gate::Gateway> gateway;
    std::unique_ptr<base::http::Server> server;
    std::string url;
};

LocalModels::LocalModels(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

LocalModels::~LocalModels() {
    impl_->gateway->begin_drain();
    impl_->server->stop(std::chrono::milliseconds(0));
    impl_->gateway->stop();
    impl_->backend.close();
}

Result<std::unique_ptr<LocalModels>> LocalModels::open(const Program& program) {
    OpenModel open =
        DG_TRY(open_model(DG_TRY(locate_model(program.config().models.model, program)), program));
    if (open.engine->info().kind == engine::ModelKind::encoder) {
        return base::fail_on("models.model", base::Code::invalid_argument,
                             "model {} is an encoder and writes no text", open.located.id);
    }
    auto impl = std::make_unique<Impl>(program.clock);
    base::log::Options quiet;
    quiet.level = DG_TRY(base::log::parse_level("error"));
    impl->logger = DG_TRY(base::log::Logger::create(std::move(quiet)));
    impl->memory = std::move(open.located.memory);
    impl->backend.add(open.located.id, std::move(open.engine), open.max_tokens_default);
    impl->backend.set_ready();
    impl->server = DG_TRY(base::http::Server::listen({}, program.clock));
    gate::GatewayOptions options;
    options.version = build_info().version;
    impl->gateway.emplace(gate::GatewayDeps{.backend = impl->backend,
                                            .clock = program.clock,
                                            .logger = *impl->logger,
                                            .metrics = impl->metrics},
                          std::move(options));
    impl->gateway->register_routes(*impl->server);
    impl->server->start();
    impl->url = impl->server->url() + "/v1";
    return std::unique_ptr<LocalModels>(new LocalModels(std::move(impl)));
}

const std::string& LocalModels::url() const {
    return impl_->url;
}

}  // namespace app
