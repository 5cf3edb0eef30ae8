#include "app/memories.h"

#include <fmt/format.h>

#include <optional>

#include "app/memory_embedder.h"
#include "app/memory_extractor.h"
#include "app/memory_reranker.h"
#include "app/memory_summarizer.h"
#include "app/model_store.h"
#include "base/api/error_answer.h"
#include "engine/model_files/prefixes.h"
#include "memory/http/memory_routes.h"

namespace app {

using base::Code;
using base::Error;
using base::Result;

std::string memory_dir(const Program& program) {
    if (const std::string& dir = program.config().memory.dir; !dir.empty()) return dir;
    if (const auto data = variable(program.environment, "XDG_DATA_HOME")) {
        return *data + "/dougong/memory";
    }
    if (const auto home = variable(program.environment, "HOME")) {
        return *home + "/.local/share/dougong/memory";
    }
    return "/var/lib/dougong/memory";
}

namespace {

/// A model that reads one text at a time, on one core: the others are for tokens.
Result<std::shared_ptr<engine::Engine>> open_reader(LocatedModel located, const Program& program) {
    engine::EngineOptions options = engine_options(program);
    options.threads = 1;
    options.packed_dir = located.memory ? "" : options.packed_dir;
    OpenModel open = DG_TRY(open_model(std::move(located), options, program));
    return std::shared_ptr<engine::Engine>(std::move(open.engine));
}

/// What memory.embedder names. Null: none.
Result<std::shared_ptr<memory::Embedder>> open_embedder(const Program& program) {
    const MemoryConfig& config = program.config().memory;
    if (config.embedder == "none") return nullptr;
    if (config.embedder.starts_with("http://") || config.embedder.starts_with("https://")) {
        return make_endpoint_embedder({.url = config.embedder,
                                       .model = config.embedder_model,
                                       .api_key = config.embedder_key});
    }
    LocatedModel located = config.embedder == "auto"
                               ? DG_TRY(embedded_encoder())
                               : DG_TRY(locate_model(config.embedder, program));
    const engine::ModelPrefixes prefixes = DG_TRY(engine::read_prefixes(located.path));
    return make_engine_embedder(DG_TRY(open_reader(std::move(located), program)), prefixes);
}

/// What memory.reranker names. Null: none.
Result<std::shared_ptr<memory::Reranker>> open_reranker(const Program& program) {
    const MemoryConfig& config = program.config().memory;
    if (config.reranker.empty()) return nullptr;
    if (config.reranker.starts_with("http://") || config.reranker.starts_with("https://")) {
        return make_endpoint_reranker({.url = config.reranker,
                                       .model = config.reranker_model,
                                       .api_key = config.reranker_key,
                                       .chat = config.reranker_chat});
    }
    return make_engine_reranker(
        DG_TRY(open_reader(DG_TRY(locate_model(config.reranker, program)), program)));
}

/// What memory.facts names. Null: nothing is read.
Result<std::shared_ptr<memory::facts::Extractor>> open_extractor(const MemoryConfig& config) {
    if (config.facts == "off") return nullptr;
    if (config.facts == "rules") return memory::facts::rule_extractor();
    return make_endpoint_extractor(
        {.url = config.facts, .model = config.facts_model, .api_key = config.facts_key});
}

/// What memory.summaries names. Null: sentences are picked.
Result<std::shared_ptr<memory::compress::Summarizer>> open_summarizer(const MemoryConfig& config) {
    if (config.summaries.empty()) return nullptr;
    return make_endpoint_summarizer({.url = config.summaries,
                                     .model = config.summaries_model,
                                     .api_key = config.summaries_key});
}

}  // namespace

Result<std::unique_ptr<memory::MemoryStore>> open_memory(const Program& program) {
    const MemoryConfig& config = program.config().memory;
    memory::StoreOptions options;
    options.location = memory_dir(program);
    options.sessions = config.sessions;
    options.shards = config.shards;
    options.index_bytes_max = config.index_bytes_max;
    options.versions_keep_ms = static_cast<std::int64_t>(config.versions_keep_days * 86'400'000.);
    if (config.encryption == "subject") options.encryption = memory::Encryption::subject;
    options.key_file = config.key_file;
    options.compress_when = {config.compress_entries, config.compress_tokens,
                             config.compress_sentences};
    options.summarizer = DG_TRY(open_summarizer(config));
    options.reranker = DG_TRY(open_reranker(program));
    options.extractor = DG_TRY(open_extractor(config));
    auto embedder = DG_TRY(open_embedder(program));
    return memory::MemoryStore::open(options, std::move(embedder), program.clock);
}

struct Memories::Impl {
    Error unavailable;  ///< its message is empty when there is a store
    std::unique_ptr<memory::MemoryStore> store;
    std::optional<memory::MemoryApi> api;
};

Memories::Memories(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Memories::~Memories() {
    stop();
}

Result<std::unique_ptr<Memories>> Memories::open(const Program& program,
                                                 base::metrics::Registry& metrics) {
    const std::string& enabled = program.config().memory.enabled;
    auto impl = std::make_unique<Impl>();
    if (enabled == "off") {
        impl->unavailable = {Code::unavailable,
                             "memories are off; set memory.enabled to auto or on", ""};
        return std::unique_ptr<Memories>(new Memories(std::move(impl)));
    }
    auto opened = open_memory(program);
    if (!opened && enabled == "on") return std::unexpected(std::move(opened).error());
    if (opened) {
        impl->store = std::move(*opened);
        impl->api.emplace(*impl->store, memory::MemoryApiOptions{.metrics = &metrics});
    } else {
        impl->unavailable = {Code::unavailable, std::move(opened).error().message, ""};
    }
    return std::unique_ptr<Memories>(new Memories(std::move(impl)));
}

void Memories::register_routes(base::http::Router& router) {
    if (impl_->api) return impl_->api->register_routes(router);
    const auto refuse = [this](const base::http::Request&,
                               const base::http::ResponderPtr& responder) {
        responder->send(base::api::error_response(impl_->unavailable));
    };
    for (const char* pattern :
         {"/v1/memories", "/v1/memories/{rest...}", "/v1/knowledge", "/v1/knowledge/{rest...}",
          "/v1/profiles", "/v1/profiles/{rest...}", "/v1/tasks", "/v1/tasks/{rest...}", "/v1/facts",
          "/v1/facts/{rest...}"}) {
        for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
            router.add(method, pattern, refuse);
        }
    }
}

const std::string& Memories::unavailable() const {
    return impl_->unavailable.message;
}

memory::MemoryStore* Memories::store() {
    return impl_->store.get();
}

void Memories::stop() {
    if (impl_->api) impl_->api->stop();
    impl_->api.reset();
    impl_->store.reset();
}

}  // namespace app
