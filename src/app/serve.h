#pragma once
// Everything `dougong serve` consists of, put together. Reading serve.cc top to bottom explains the
// running program.

#include <functional>

#include "app/command.h"
#include "app/model_endpoint.h"
#include "base/core/result.h"

namespace app {

/// Serves until SIGINT or SIGTERM, then drains; the second signal ends the process at once.
/// Errors: already_exists (the port is taken: says what to do), permission_denied, those of
/// locate_model and open_model.
/// `upstream`: who answers the model steps of workflows and agents; empty: this server's own
/// models.
base::Result<int> serve(Program& program,
                        std::function<base::Result<ModelEndpoint::Options>()> upstream = {});

}  // namespace app
