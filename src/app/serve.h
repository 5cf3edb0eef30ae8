#pragma once
// Everything `dougong serve` consists of, put together. Reading serve.cc top to bottom explains the
// running program.

#include "app/command.h"
#include "base/core/result.h"

namespace app {

/// Serves until SIGINT or SIGTERM, then drains; the second signal ends the process at once.
/// Errors: already_exists (the port is taken: says what to do), permission_denied, those of
/// locate_model and open_model.
base::Result<int> serve(Program& program);

}  // namespace app
