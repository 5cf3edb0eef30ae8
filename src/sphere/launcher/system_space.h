#pragma once
// A mount namespace in which the shared system already is "/" and nothing else of the host exists.
// A box born in a copy of it has no old root to leave behind: pivot_root looks at every process of
// the host, and copying a namespace costs by the mount.

#include "sphere/launcher/system_root.h"

namespace sphere::launcher {

/// One thread: the launcher's.
class SystemSpace {
public:
    /// Pre: prepare_staging was called; its folder is the working directory.
    Outcome make();
    /// Moves this process into it, with "/" as its working directory; children are born in a copy.
    Outcome enter() const;
    /// Back to where make() was called. A launcher that cannot is of no use: it ends.
    void leave() const;

private:
    int space_ = -1, own_ = -1, staging_ = -1;
};

}  // namespace sphere::launcher
