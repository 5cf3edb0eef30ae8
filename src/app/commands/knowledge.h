#pragma once

#include "app/command.h"

namespace app {

/// `dougong knowledge`.
Command knowledge_command();

}  // namespace app
