// Opening a model: options checked, memory planned, weights on their way, everything composed.

#include <algorithm>
#include <utility>

#include "engine/engine_impl.h"
#include "engine/kernels/packed.h"
#include "engine/kv/block_hash.h"

namespace engine {
namespace {

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

}  // namespace engine
