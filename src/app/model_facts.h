#pragma once
// A model's facts as JSON, the same for `dougong models inspect --json` and the admin API.

#include "base/json/json.h"
#include "engine/model_info.h"

namespace app {

/// Everything but the chat template, which one shows whole and the other only as present or not.
base::json::object model_facts(const engine::ModelInfo& info);

}  // namespace app
