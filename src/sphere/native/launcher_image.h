#pragma once
// The launcher as an anonymous, sealed file: nobody, and no box, can change or replace it.

#include "base/core/result.h"
#include "base/files/unique_fd.h"

namespace sphere::native {

/// A sealed memory file with the launcher's program. Errors: unavailable.
base::Result<base::UniqueFd> launcher_image();

/// Starts it with `arguments` after its name, an empty environment, /dev/null for what is not given
/// and `control` as descriptor 3 (-1: none). Returns its process id.
base::Result<int> start_launcher(const char* argument, int control, int output);

}  // namespace sphere::native
