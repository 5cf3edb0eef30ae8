#pragma once
// What this kernel lets boxes be made of, tried in children that leave nothing behind.

namespace sphere::launcher {

/// Writes one line per primitive to stdout: a name, a tab, a number: 0 works, or errno; for
/// `landlock` the version.
int run_probe();

}  // namespace sphere::launcher
