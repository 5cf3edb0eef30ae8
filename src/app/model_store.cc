#include "app/model_store.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "app/embedded_files.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/progress_bar.h"
#include "app/terminal/terminal.h"
#include "base/files/file_error.h"
#include "base/files/files.h"
#include "engine/host.h"

namespace app {
namespace {

using base::Code;
using base::fail;
using base::Result;

std::string models_dir(const Program& program) {
    const Config& config = program.config();
    if (!config.models.dir.empty()) return config.models.dir;
    const auto or_empty = [&](std::string_view name) {
        return variable(program.environment, name).value_or("");
    };
    return base::cache_dir(or_empty("XDG_CACHE_HOME"), or_empty("HOME"), "dougong") + "/models";
}

/// An embedded model as a file that exists in memory only, so that it needs no writable folder.
Result<LocatedModel> embedded_model_file(std::string_view id, std::span<const std::byte> rest) {
    const std::string name = fmt::format("{}.gguf", id);
    base::UniqueFd memory(::memfd_create(name.c_str(), MFD_CLOEXEC));
    if (!memory) return base::fail_errno(errno, "create", "the memory file of " + name);
    while (!rest.empty()) {
        const ssize_t written = ::write(memory.get(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return base::fail_errno(errno, "fill", "the memory file of " + name);
        rest = rest.subspan(static_cast<std::size_t>(written));
    }
    LocatedModel located;
    located.id = id;
    located.path = fmt::format("/proc/self/fd/{}", memory.get());
    located.memory = std::move(memory);
    return located;
}

Result<LocatedModel> smoke_model_file() {
    LocatedModel located = DG_TRY(embedded_model_file(kSmokeModelId, smoke_model()));
    located.smoke = true;
    return located;
}

/// Empty: none are kept.
std::string packed_dir(const Program& program) {
    const std::string& wanted = program.config().engine.packed_dir;
    if (wanted == "off") return "";
    if (!wanted.empty() && wanted != "auto") return wanted;
    const std::string dir = models_dir(program) + "/packed";
    // Nobody asked for it, so a folder that cannot be written is no error.
    return base::make_dirs(dir) && ::access(dir.c_str(), W_OK) == 0 ? dir : "";
}

/// What the machine has left, when it says.
std::uint64_t available_or(std::uint64_t otherwise) {
    const std::uint64_t available = engine::available_memory_bytes();
    return available > 0 ? available : otherwise;
}

LocatedModel located(const engine::CatalogEntry& entry) {
    LocatedModel model;
    model.id = entry.name;
    model.path = entry.path;
    return model;
}

Result<LocatedModel> smoke_instead(const Program& program, std::string_view why) {
    program.terminal.err(fmt::format("{} {}; going on with {}\n",
                                     program.terminal.err_styled(Style::yellow, "dougong:"), why,
                                     kSmokeModelNote));
    return smoke_model_file();
}

Result<LocatedModel> locate_default(engine::Catalog& catalog, const Program& program) {
    const std::string_view name = engine::Catalog::default_model();
    if (const auto found = catalog.find(name)) return located(*found);
    if (program.config().models.offline) {
        return smoke_instead(program,
                             fmt::format("{} is not in {} and models.offline forbids to get "
                                         "it",
                                         name, catalog.options().models_dir));
    }
    const auto pulled = pull_with_progress(catalog, program, name, {});
    if (pulled) return located(pulled->entry);
    if (pulled.error().code == Code::cancelled) return std::unexpected(pulled.error());
    return smoke_instead(program,
                         fmt::format("{} cannot be had ({})", name, pulled.error().message));
}

}  // namespace

Result<engine::Catalog> open_catalog(const Program& program) {
    engine::CatalogOptions options;
    options.models_dir = models_dir(program);
    options.hub_url = program.config().models.hub_url;
    options.hub_token = program.config().models.hub_token;
    options.proxy = program.config().models.proxy;
    return engine::Catalog::open(std::move(options));
}

Result<engine::PullResult> pull_with_progress(engine::Catalog& catalog, const Program& program,
                                              std::string_view source,
                                              const engine::PullOptions& options) {
    if (!program.terminal.stderr_is_terminal()) {
        program.terminal.err(
            fmt::format("pulling {} into {}\n", source, catalog.options().models_dir));
    }
    ProgressBar bar(program.terminal, program.clock, fmt::format("pulling {}", source));
    return catalog.pull(source, options, [&](const engine::PullProgress& progress) {
        bar.update(progress.bytes_done, progress.bytes_total);
        return !Interrupt::any_raised();
    });
}

Result<LocatedModel> embedded_encoder() {
    return embedded_model_file("use-lite-en", encoder_model());
}

Result<LocatedModel> locate_model(const std::string& name, const Program& program) {
    if (name == "smoke" || name == kSmokeModelId) return smoke_model_file();
    engine::Catalog catalog = DG_TRY(open_catalog(program));
    if (name == "default") return locate_default(catalog, program);
    return located(DG_TRY(catalog.find(name)));
}

Result<OpenModel> open_model(LocatedModel located, const Program& program) {
    return open_model(std::move(located), engine_options(program), program);
}

Result<OpenModel> open_model(LocatedModel located, const engine::EngineOptions& options,
                             const Program& program) {
    const base::Instant begin = program.clock.now();
    auto engine = engine::Engine::open(located.path, options, program.clock);
    if (!engine) {
        return std::unexpected(
            std::move(engine).error().with_context(fmt::format("model {}", located.id)));
    }
    OpenModel open;
    open.located = std::move(located);
    open.engine = *std::move(engine);
    open.max_tokens_default = program.config().engine.max_tokens_default;
    if (open.located.smoke && open.max_tokens_default == 0) {
        open.max_tokens_default = open.engine->info().context_tokens / 4;
    }
    open.load_ms = base::to_millis(program.clock.now() - begin);
    return open;
}

engine::EngineOptions engine_options(const Program& program) {
    const Config& config = program.config();
    return {
        .threads = config.engine.threads,
        .context_tokens_max = config.engine.context_tokens_max,
        .kv_bytes_max = config.engine.kv_bytes_max,
        .kv_type = engine::kv_type_from_name(config.engine.kv_type).value_or(engine::KvType::f16),
        .batch_tokens_max = config.engine.batch_tokens_max,
        .token_gap_target_ms = config.engine.token_gap_target_ms,
        .queue_depth_max = config.engine.queue_depth_max,
        .running_max = config.engine.running_max,
        .prefix_cache = config.engine.prefix_cache,
        .kv_spill_dir = config.engine.kv_spill_dir,
        .kv_spill_bytes_max = config.engine.kv_spill_bytes_max,
        .packed_dir = packed_dir(program)};
}

std::vector<std::string> StoredModels::names() {
    std::vector<std::string> names;
    if (!program_.config().models.on_demand) return names;
    const auto catalog = open_catalog(program_);
    const auto entries = catalog ? catalog->list() : Result<std::vector<engine::CatalogEntry>>();
    if (!entries) return names;  // an unreadable folder offers nothing
    for (const engine::CatalogEntry& entry : *entries) names.push_back(entry.name);
    return names;
}

Result<engine::ModelOutline> StoredModels::outline(const std::string& name,
                                                   std::uint64_t budget_bytes) {
    const LocatedModel located = DG_TRY(locate_model(name, program_));
    engine::EngineOptions options = engine_options(program_);
    options.memory_bytes_max = budget_bytes;
    auto outlined = engine::Engine::outline(located.path, options);
    if (outlined) return outlined;
    return std::unexpected(
        std::move(outlined).error().with_context(fmt::format("model {}", located.id)));
}

Result<PooledEngine> StoredModels::open(const std::string& name, std::uint64_t memory_bytes,
                                        std::uint64_t kv_bytes) {
    engine::EngineOptions options = engine_options(program_);
    options.memory_bytes_max = std::min(memory_bytes, available_or(memory_bytes));
    if (options.kv_bytes_max == 0) options.kv_bytes_max = kv_bytes;
    OpenModel open = DG_TRY(open_model(DG_TRY(locate_model(name, program_)), options, program_));
    return PooledEngine{std::move(open.engine), open.max_tokens_default,
                        std::make_shared<base::UniqueFd>(std::move(open.located.memory))};
}

}  // namespace app
