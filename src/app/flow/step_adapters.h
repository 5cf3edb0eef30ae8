#pragma once
// What workflow steps ask of the other planes: a model, a sandbox, memories, another server, a
// function of this program. One file each; `FlowSteps` finds the right one by the step's kind.

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "app/model_endpoint.h"
#include "base/core/clock.h"
#include "base/http/client.h"
#include "flow/step_runner.h"
#include "memory/memory.h"
#include "sphere/sphere.h"

namespace flow {
class TokenStreams;
}

namespace app {

class Workspaces;

/// One call on its way: what it may still use.
struct StepCall {
    const flow::Call& call;
    std::string tenant;
    std::shared_ptr<std::atomic<bool>> cancelled;
    std::chrono::milliseconds time_left;  ///< of the attempt; 0: no bound
};

/// Each blocks until its step is done. Errors are the step's.
base::Result<flow::StepOutput> run_http(const base::HttpClient& client,
                                        const flow::HttpAction& action, const StepCall& step);
base::Result<flow::StepOutput> run_code(sphere::Sphere& sphere, const Workspaces& kept,
                                        const flow::CodeAction& action, const StepCall& step);
base::Result<flow::StepOutput> run_memory(memory::MemoryStore& store,
                                          const flow::MemoryAction& action, const StepCall& step);
base::Result<flow::StepOutput> run_llm(const ModelEndpoint& endpoint, const flow::LlmAction& action,
                                       flow::TokenStreams* streams, const StepCall& step);

/// Functions that `call:` steps name. They run on the runtime's own thread: nothing that blocks.
using NativeFunction = base::Result<base::json::value> (*)(const base::json::value& arguments);
const std::map<std::string, NativeFunction, std::less<>>& native_functions();

}  // namespace app
