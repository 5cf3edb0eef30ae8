// The composition of the token factory: file, tokenizer, template, graph, KV pages and the thread
// that steps them.

#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "base/exec/thread_pool.h"
#include "base/template/template.h"
#include "engine/batch/batcher.h"
#include "engine/batch/mean_pooling.h"
#include "engine/chat/chat_format.h"
#include "engine/chat/chat_prompt.h"
#include "engine/constrain/constrainer.h"
#include "engine/constrain/grammar_cache.h"
#include "engine/graph/model.h"
#include "engine/host.h"
#include "engine/kernels/packed.h"
#include "engine/kv/block_hash.h"
#include "engine/kv/kv_sequence.h"
#include "engine/kv/prefix_cache.h"
#include "engine/kv/spill_file.h"
#include "engine/memory_plan.h"
#include "engine/model_files/gguf.h"
#include "engine/packed_weights.h"
#include "engine/sample/sampler.h"
#include "engine/text_pair.h"

namespace engine {
namespace {

constexpr std::uint32_t kTopLogprobsMax = 20;
constexpr std::uint32_t kBatchTokensMax = 65'536;
constexpr std::uint32_t kPromptRowsMin = 1;

base::Result<void> validate(const EngineOptions& options) {
    if (options.running_max == 0 || options.batch_tokens_max <= options.running_max) {
        return base::fail_on("batch_tokens_max", base::Code::invalid_argument,
                             "batch_tokens_max is {}; it must be above running_max, which is {} "
                             "and must be at least 1, so that prompts advance beside full decoding",
                             options.batch_tokens_max, options.running_max);
    }
    if (options.batch_tokens_max > kBatchTokensMax) {
        return base::fail_on("batch_tokens_max", base::Code::invalid_argument,
                             "batch_tokens_max is {}; at most {} are allowed",
                             options.batch_tokens_max, kBatchTokensMax);
    }
    if (!(options.token_gap_target_ms >= 0.)) {
        return base::fail_on("token_gap_target_ms", base::Code::invalid_argument,
                             "token_gap_target_ms is {}; it must be 0 (automatic) or more",
                             options.token_gap_target_ms);
    }
    if (options.queue_depth_max == 0) {
        return base::fail_on("queue_depth_max", base::Code::invalid_argument,
                             "queue_depth_max is 0, which would refuse every request");
    }
    if (options.threads > 1024) {
        return base::fail_on("threads", base::Code::invalid_argument,
                             "threads is {}; at most 1024 are allowed", options.threads);
    }
    return {};
}

StepBudget step_budget(const EngineOptions& options, std::uint32_t parts) {
    return {.rows_max = options.batch_tokens_max,
            .seconds_max = options.token_gap_target_ms / 1000.,
            .gap_ratio_max = kTokenGapRatio,
            .prompt_rows_min = kPromptRowsMin,
            .parts = parts};
}

MemoryBudget memory_budget(const EngineOptions& options) {
    return {options.memory_bytes_max > 0 ? options.memory_bytes_max : available_memory_bytes(),
            options.kv_bytes_max};
}

}  // namespace

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

base::Result<void> Engine::Impl::load() {
    const base::Instant begin = clock.now();
    info = DG_TRY(read_model_info(file));
    model = DG_TRY(load_model(file, {options.context_tokens_max, options.batch_tokens_max}));
    const MemoryBudget budget = memory_budget(options);
    need = memory_need(model, file, options, budget);
    const std::uint32_t kv_pages = DG_TRY(plan_kv_pages(info.name, need, budget));
    DG_TRY(begin_reading_weights());  // what follows goes on beside it
    info.context_tokens = model.context_tokens;
    tokenizer = DG_TRY(Tokenizer::create(DG_TRY(load_vocabulary(file))));
    constrainer = std::make_unique<constrain::Constrainer>(tokenizer);
    chat_format = std::make_shared<const chat::ChatFormat>(
        chat::detect_format(info.chat_template, *tokenizer));
    const std::uint32_t rows = model.decoder != nullptr ? model.decoder->config().vocab_size
                                                        : model.encoder->config().vocab_size;
    if (tokenizer->size() > rows) {
        return base::fail_on("token_embd.weight", base::Code::data_loss,
                             "the vocabulary of {} has {} tokens and its embeddings {} rows",
                             info.name, tokenizer->size(), rows);
    }
    if (!info.chat_template.empty()) {
        base::Result<base::Template> parsed = base::Template::parse(info.chat_template);
        if (parsed) {
            chat_template = *std::move(parsed);
        } else {
            chat_template_error = std::move(parsed).error();  // plain completion still works
        }
    }
    std::unique_ptr<RunningSet> running;
    if (model.decoder != nullptr) {
        DG_TRY(load_decoder(kv_pages));
        const RunningParts parts{.decoder = *model.decoder,
                                 .tokenizer = *tokenizer,
                                 .threads = pool,
                                 .pages = *kv,
                                 .cache = *prefixes,
                                 .spill = spill.get(),
                                 .clock = clock};
        running = std::make_unique<RunningSet>(parts, step_budget(options, model.decoder->parts()));
    }
    batcher = std::make_unique<Batcher>(
        std::move(running),
        BatcherLimits{options.queue_depth_max, options.running_max, model.context_tokens,
                      kv != nullptr ? kv->geometry().page_tokens : 0},
        clock);
    load_seconds = base::to_seconds(clock.now() - begin);
    return {};
}

base::Result<void> Engine::Impl::begin_reading_weights() {
    PackedOptions how;
    how.threads = pool.threads();
    if (file.on_disk()) {
        how.dir = options.packed_dir;
        for (const ModelFile& part : file.files()) {
            how.model_files.push_back({part.path, part.stamp});
        }
        how.model_is_unchanged = [this] { return file.is_unchanged(); };
    }
    how.will_read = [this](const TensorView& matrix) { file.will_read(matrix); };
    how.was_read = [this](const TensorView& matrix) { file.release_pages(matrix); };
    const bool generates = model.decoder != nullptr;
    how.layers = generates ? model.decoder->config().layers : model.encoder->config().layers;
    if (generates) model.decoder->set_gate(&gate);
    const std::vector<TensorView*> matrices =
        generates ? model.decoder->products() : model.encoder->products();
    packed = DG_TRY(PackedWeights::begin(matrices, how, gate));
    if (!packed->from_file()) return {};
    // Of these the stored form is read for an embedding and a sample at most: the disk is busy.
    for (const TensorView* matrix : matrices) {
        if (packed_bytes(*matrix) > 0) file.will_read_single_rows(*matrix);
    }
    return {};
}

base::Result<void> Engine::Impl::load_decoder(std::uint32_t kv_pages) {
    const KvGeometry geometry = model.decoder->kv_geometry(options.kv_type);
    kv = std::make_unique<KvPool>(geometry, kv_pages);
    PrefixCacheLimits limits;
    if (!options.prefix_cache) limits.pages_max = 0;
    std::vector<ModelBytes> parts;
    for (const ModelFile& part : file.files()) parts.push_back({part.bytes, part.data_offset});
    prefixes = std::make_unique<PrefixCache>(*kv, model_hash(parts, geometry.type), clock, limits);
    if (!options.kv_spill_dir.empty()) {
        spill = DG_TRY(SpillFile::create(options.kv_spill_dir, options.kv_spill_bytes_max));
    }
    model.context_tokens = static_cast<std::uint32_t>(std::min<std::uint64_t>(
        model.context_tokens, std::uint64_t{kv_pages} * geometry.page_tokens));
    info.context_tokens = model.context_tokens;
    return {};
}

base::Result<ModelOutline> Engine::outline(const std::string& path, const EngineOptions& options) {
    DG_TRY(validate(options));
    const GgufFile file = DG_TRY(GgufFile::open(path));
    Model model = DG_TRY(load_model(file, {options.context_tokens_max, options.batch_tokens_max}));
    ModelOutline outline;
    outline.info = DG_TRY(read_model_info(file));
    outline.info.context_tokens = model.context_tokens;
    outline.need = memory_need(model, file, options, memory_budget(options));
    return outline;
}

base::Result<std::unique_ptr<Engine>> Engine::open(const std::string& path,
                                                   const EngineOptions& options,
                                                   const base::Clock& clock) {
    DG_TRY(validate(options));
    auto impl = std::make_unique<Impl>(DG_TRY(GgufFile::open(path)), options, clock);
    DG_TRY(impl->load());
    return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

base::Result<std::unique_ptr<Engine>> Engine::open_bytes(std::span<const std::byte> bytes,
                                                         const std::string& name,
                                                         const EngineOptions& options,
                                                         const base::Clock& clock) {
    DG_TRY(validate(options));
    auto impl = std::make_unique<Impl>(DG_TRY(GgufFile::from_memory(bytes, name)), options, clock);
    DG_TRY(impl->load());
    return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

const ModelInfo& Engine::info() const {
    return impl_->info;
}
const Tokenizer& Engine::tokenizer() const {
    return *impl_->tokenizer;
}
const std::shared_ptr<const chat::ChatFormat>& Engine::chat_format() const {
    return impl_->chat_format;
}
constrain::GrammarCache& Engine::grammars() const {
    return impl_->grammars;
}
void Engine::cancel(GenerationId id) {
    impl_->batcher->cancel(id);
}
void Engine::stop() {
    impl_->batcher->stop();
}

base::Result<std::string> Engine::render_chat(const base::json::array& messages,
                                              const base::json::value& tools,
                                              bool add_generation_prompt,
                                              const base::json::object& extra) const {
    if (impl_->chat_template_error) {
        return base::fail(base::Code::failed_precondition,
                          "the chat template of {} cannot be used: {}", impl_->info.name,
                          impl_->chat_template_error->message);
    }
    if (!impl_->chat_template) {
        return base::fail(base::Code::failed_precondition,
                          "model {} has no chat template; use plain completion", impl_->info.name);
    }
    const Vocabulary& vocabulary = impl_->tokenizer->vocabulary();
    const auto token_text = [&](TokenId id) {
        return id < 0 ? std::string() : vocabulary.tokens[static_cast<std::size_t>(id)];
    };
    base::json::object variables{{"messages", messages},
                                 {"add_generation_prompt", add_generation_prompt},
                                 {"bos_token", token_text(vocabulary.bos)},
                                 {"eos_token", token_text(vocabulary.eos)}};
    variables["tools"] = tools;
    for (const auto& [name, value] : extra) variables.insert_or_assign(name, value);
    base::RenderOptions options;
    options.now_unix_s = impl_->clock.unix_ns() / 1'000'000'000;
    return render_chat_prompt(*impl_->chat_template, std::move(variables), options);
}

base::Result<GenerationId> Engine::submit(GenerateRequest request,
                                          std::shared_ptr<GenerationSink> sink) {
    DG_TRY(impl_->continue_kept(request));
    DG_TRY(impl_->check(request));
    std::unique_ptr<constrain::Guide> guide;
    if (request.grammar != nullptr) {
        guide = impl_->constrainer->guide(request.grammar, request.grammar_triggers,
                                          request.trigger_pause);
    }
    return impl_->batcher->submit(std::move(request), std::move(sink), std::move(guide));
}

/// Puts the kept prefix that the request names before its prompt, unless it begins with it.
base::Result<void> Engine::Impl::continue_kept(GenerateRequest& request) const {
    if (request.cache_id.empty() || prefixes == nullptr) return {};
    auto found = prefixes->find(request.tenant, request.cache_id);
    if (!found) {
        return base::fail_on("cache_id", found.error().code, "{}", found.error().message);
    }
    std::vector<TokenId> tokens = *std::move(found);
    request.context_keep_tokens =
        std::max(request.context_keep_tokens, static_cast<std::uint32_t>(tokens.size()));
    if (request.prompt_has_prefix) {
        const auto differs = std::ranges::mismatch(tokens, request.prompt);
        const auto same = static_cast<std::size_t>(differs.in1 - tokens.begin());
        if (same == tokens.size()) return {};
        return base::fail_on("cache_id", base::Code::invalid_argument,
                             "the prompt begins with {} of the {} tokens that are kept as '{}' and "
                             "then differs; send the messages that were kept, unchanged and first, "
                             "or leave cache_id out",
                             same, tokens.size(), request.cache_id);
    }
    tokens.insert(tokens.end(), request.prompt.begin(), request.prompt.end());
    request.prompt = std::move(tokens);
    return {};
}

base::Result<void> Engine::Impl::check(const GenerateRequest& request) const {
    using base::Code;
    if (model.decoder == nullptr) {
        return base::fail(Code::failed_precondition,
                          "model {} is an encoder: it embeds text and cannot generate", info.name);
    }
    if (request.prompt.empty()) {
        return base::fail_on("prompt", Code::invalid_argument,
                             "the prompt has no tokens; at least 1 is needed");
    }
    const std::uint32_t vocab = model.decoder->config().vocab_size;
    for (const TokenId id : request.prompt) {
        if (id >= 0 && static_cast<std::uint32_t>(id) < vocab) continue;
        return base::fail_on("prompt", Code::invalid_argument,
                             "the prompt holds token {}; the model has ids 0 to {}", id, vocab - 1);
    }
    if (request.prompt.size() >= model.context_tokens) {
        return base::fail_on("context_tokens", Code::invalid_argument,
                             "the prompt has {} tokens and the context holds {}, one of which must "
                             "stay free for the answer; shorten the prompt",
                             request.prompt.size(), model.context_tokens);
    }
    if (request.top_logprobs.value_or(0) > kTopLogprobsMax) {
        return base::fail_on("top_logprobs", Code::invalid_argument,
                             "top_logprobs is {}; allowed are 0 to {}", *request.top_logprobs,
                             kTopLogprobsMax);
    }
    return engine::validate(request.sampling, vocab);
}

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

base::Result<KeptPrefix> Engine::keep_prefix(const std::string& tenant, std::vector<TokenId> tokens,
                                             base::Duration time_to_live) {
    GenerateRequest request;
    request.prompt = std::move(tokens);
    request.tenant = tenant;
    DG_TRY(impl_->check(request));
    return impl_->batcher->keep(std::move(request), time_to_live);
}

base::Result<void> Engine::drop_prefix(const std::string& tenant, const std::string& id) {
    base::Result<void> dropped;
    if (impl_->prefixes == nullptr) {
        return base::fail_on("id", base::Code::not_found, "no prefix is kept as '{}'", id);
    }
    DG_TRY(impl_->batcher->call([&](RunningSet*) {
        dropped = impl_->prefixes->drop(tenant, id);
        return Batcher::Progress::done;
    }));
    return dropped;
}

std::vector<KeptPrefix> Engine::kept_prefixes(const std::string& tenant) const {
    if (impl_->prefixes == nullptr) return {};
    return impl_->prefixes->list(tenant);
}

EngineStats Engine::stats() const {
    const BatcherStats batch = impl_->batcher->stats();
    EngineStats stats;
    stats.queued = batch.queued;
    stats.running = batch.running;
    stats.requests_total = batch.requests_total;
    stats.prompt_tokens_total = batch.totals.prompt_tokens;
    stats.completion_tokens_total = batch.totals.completion_tokens;
    stats.forced_tokens_total = batch.totals.forced_tokens;
    stats.steps_total = batch.totals.steps;
    stats.prefill_seconds_total = batch.totals.prefill_seconds;
    stats.decode_seconds_total = batch.totals.decode_seconds;
    stats.running_max = impl_->options.running_max;
    stats.batch_rows_last = batch.rows_last;
    stats.batch_rows_max = impl_->options.batch_tokens_max;
    stats.gaps = batch.gaps;
    stats.cached_tokens_total = batch.totals.cached_tokens;
    stats.preempted_total = batch.totals.preempted;
    stats.swapped_out_bytes_total = batch.totals.swapped_out_bytes;
    stats.weights_bytes = impl_->need.weights_bytes;
    stats.load_seconds = impl_->load_seconds;
    if (impl_->prefixes != nullptr) {
        const PrefixCacheStats prefixes = impl_->prefixes->stats();
        stats.prefix_hits_total = prefixes.hits;
        stats.prefix_misses_total = prefixes.misses;
        stats.pages_evicted_total = prefixes.pages_evicted;
    }
    if (impl_->kv != nullptr) {
        const KvStats kv = impl_->kv->stats();
        stats.kv_pages_used = kv.pages_taken;
        stats.kv_pages_total = kv.pages_total;
        stats.kv_pages_cached = kv.pages_cached;
        stats.kv_bytes = std::uint64_t{kv.pages_total} * impl_->kv->geometry().page_bytes();
    }
    return stats;
}

}  // namespace engine
