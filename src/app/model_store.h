#pragma once
// From what the operator wrote in models.model to a file that can be opened: the folder of models,
// the default model pulled on first use, and the embedded smoke-test model when there is no other.

#include <memory>
#include <string>
#include <string_view>

#include "app/command.h"
#include "app/model_pool.h"
#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "engine/catalog/catalog.h"
#include "engine/engine.h"

namespace app {

/// The folder of models as configured. Errors: invalid_argument.
base::Result<engine::Catalog> open_catalog(const Program& program);

/// Pulls with a progress bar on a terminal; Ctrl-C stops it when an Interrupt is installed.
base::Result<engine::PullResult> pull_with_progress(engine::Catalog& catalog,
                                                    const Program& program, std::string_view source,
                                                    const engine::PullOptions& options);

struct LocatedModel {
    std::string id;  ///< what clients call it
    std::string path;
    bool smoke = false;
    base::UniqueFd memory;  ///< holds the embedded model's bytes; path points at it
};

inline constexpr std::string_view kSmokeModelId = "stories260K";
inline constexpr std::string_view kSmokeModelNote =
    "stories260K, the embedded smoke-test model: it proves that the engine runs and writes toy "
    "stories, not answers";

/// Finds the file for `name`: a catalogue name, a path, "smoke", or "default", which is pulled when
/// it is not there. When the default cannot be had, says why in one line on stderr and gives the
/// smoke model. Errors: as Catalog::find; cancelled (Ctrl-C during the pull).
base::Result<LocatedModel> locate_model(const std::string& name, const Program& program);

/// The encoder inside the program, as a file in memory.
base::Result<LocatedModel> embedded_encoder();

struct OpenModel {
    LocatedModel located;
    std::unique_ptr<engine::Engine> engine;
    double load_ms = 0;
    /// For requests without a limit, 0: none. The smoke model rarely ends by itself and would fill
    /// its context, so that the next question did not fit.
    std::uint32_t max_tokens_default = 0;
};

/// Opens what locate_model found. Errors: as Engine::open, naming the model.
base::Result<OpenModel> open_model(LocatedModel located, const Program& program);
base::Result<OpenModel> open_model(LocatedModel located, const engine::EngineOptions& options,
                                   const Program& program);

/// The engine's options as configured. Makes the folder of packed weights where that is automatic,
/// and does without where it cannot.
engine::EngineOptions engine_options(const Program& program);

/// The models of the configuration and the folder, for a pool. `program` must outlive it.
class StoredModels final : public ModelSource {
public:
    explicit StoredModels(const Program& program) : program_(program) {}
    std::vector<std::string> names() override;
    base::Result<engine::ModelOutline> outline(const std::string& name,
                                               std::uint64_t budget_bytes) override;
    base::Result<PooledEngine> open(const std::string& name, std::uint64_t memory_bytes,
                                    std::uint64_t kv_bytes) override;

private:
    const Program& program_;
};

}  // namespace app
