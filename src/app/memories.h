#pragma once
// The memory plane of a program: which folder, which embedder; and of a server: its routes.

#include <memory>
#include <string>

#include "app/command.h"
#include "base/http/router.h"
#include "base/metrics/metrics.h"
#include "memory/memory.h"

namespace app {

/// memory.dir, else $XDG_DATA_HOME/dougong/memory or ~/.local/share/dougong/memory.
std::string memory_dir(const Program& program);

/// Opens the configured store with the configured embedder. Errors: MemoryStore::open's, the
/// embedder's.
base::Result<std::unique_ptr<memory::MemoryStore>> open_memory(const Program& program);

/// Memories of a server: opened where the configuration allows it, else the routes say why not.
class Memories {
public:
    /// Errors: open_memory's with memory.enabled on; auto keeps the reason instead.
    static base::Result<std::unique_ptr<Memories>> open(const Program& program,
                                                        base::metrics::Registry& metrics);
    ~Memories();  ///< stop()

    void register_routes(base::http::Router& router);
    /// Why there are none; empty when there are.
    const std::string& unavailable() const;
    /// Null where there are none; gone with stop().
    memory::MemoryStore* store();
    /// After the server's stop. Idempotent.
    void stop();

private:
    struct Impl;
    explicit Memories(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace app
