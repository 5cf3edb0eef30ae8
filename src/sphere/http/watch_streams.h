#pragma once
// Watches of workspaces told as server-sent events: `ready` once, `change` each, `end` when the box
// is gone. One thread waits for all of them.

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "base/http/server.h"
#include "sphere/files/watcher.h"
#include "sphere/sphere.h"

namespace sphere {

class WatchStreams {
public:
    WatchStreams(Sphere& sphere, std::size_t watches_max);
    ~WatchStreams();  ///< stop()

    /// Answers `responder`. Errors: resource_exhausted at watches_max; nothing was sent then.
    base::Result<void> add(SandboxId box, files::Watcher watcher,
                           base::http::ResponderPtr responder);
    /// Idempotent.
    void stop();

private:
    struct Watch;
    void run();
    void wake();

    Sphere& sphere_;
    const std::size_t watches_max_;
    base::UniqueFd wake_;

    std::mutex mutex_;  // guards the rest; no calls out under it
    std::list<std::shared_ptr<Watch>> watches_;
    bool stopping_ = false;
    std::thread thread_;  ///< started by the first watch
};

}  // namespace sphere
