#pragma once
// The way to a box's files from outside, the same for every caller: asked of the sphere first, and
// what is written belongs to the box.

#include "sphere/files/workspace.h"
#include "sphere/sphere.h"

namespace sphere::tools {

/// Errors: those of Sphere::admit_file and open_workspace.
base::Result<files::Workspace> open_files(Sphere& sphere, const SandboxId& box,
                                          const FileAccess& access);

}  // namespace sphere::tools
