#pragma once
// Ports of the workflow engine: who does what steps ask for, and where definitions come from.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "flow/run/machine.h"

namespace flow {

/// Does the calls of steps: models, tools, sandboxes, HTTP, memory, native functions, workers.
class StepRunner {
public:
    virtual ~StepRunner() = default;
    using Done = std::function<void(base::Result<StepOutput>)>;
    /// Begins the call and returns at once; `done` is called once, on any thread, possibly before
    /// this returns. The same call may come again after a crash, with the same idempotency key.
    virtual void run(Call call, Done done) = 0;
    /// Nobody waits for this call any more; `done` may still be called.
    virtual void cancel(RunId run, std::string_view path) = 0;
};

/// Definitions that were deployed.
class DefinitionSource {
public:
    virtual ~DefinitionSource() = default;
    /// `version` 0: the newest. Errors: not_found.
    virtual base::Result<std::shared_ptr<const Definition>> find(std::string_view tenant,
                                                                 std::string_view name,
                                                                 std::uint32_t version) = 0;
    /// What a run was started with, also when it was removed since. Errors: not_found.
    virtual base::Result<std::shared_ptr<const Definition>> by_hash(std::string_view hash) = 0;
};

}  // namespace flow
