#pragma once
// The engine's figures in the gateway's words.

#include "engine/engine.h"
#include "gate/model_backend.h"

namespace app {

gate::BackendStats backend_stats(const engine::EngineStats& from);

/// Sums everything but the gaps between tokens: of several models the worst one's are shown.
void add_to(gate::BackendStats& sum, const gate::BackendStats& one);

}  // namespace app
