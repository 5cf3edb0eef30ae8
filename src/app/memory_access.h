#pragma once
// The memories that `dougong memory` speaks to: those of a running server, or the folder itself
// when no server has it. Both are the same calls (memory/http).

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/command.h"
#include "base/json/json.h"

namespace app {

class MemoryAccess {
public:
    virtual ~MemoryAccess() = default;

    /// With --url: that server. Without: the configured folder, or the server on this machine that
    /// has it. Errors: unavailable, failed_precondition (says what to do).
    static base::Result<std::unique_ptr<MemoryAccess>> open(const Args& args,
                                                            const Program& program);

    /// Errors: what the store said, by its code.
    virtual base::Result<base::json::object> call(const std::string& method,
                                                  const std::string& path,
                                                  const base::json::object* body = nullptr) = 0;
    /// PUT of bytes as they are.
    virtual base::Result<base::json::object> upload(const std::string& path, std::string bytes) = 0;
    /// Waits until what was written can be found in every way. At once with a server, which does
    /// that by itself.
    virtual base::Result<void> settle() = 0;
    /// The folder itself: what runs in the background ends with this program.
    virtual bool local() const = 0;
};

/// --url, --tenant, --json: what every subcommand has.
std::vector<OptionSpec> memory_options();

}  // namespace app
