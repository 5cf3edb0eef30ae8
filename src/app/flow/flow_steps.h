#pragma once
// Does the calls of workflow steps with what this server has. [AInfra 2.4]: one path for every
// call, with its policy, its limits and its record.

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "app/flow/step_adapters.h"
#include "app/flow/tool_sources.h"
#include "base/exec/worker.h"
#include "flow/step_runner.h"
#include "flow/worker/worker_tasks.h"

namespace app {

class FlowSteps final : public flow::StepRunner {
public:
    /// What there is; null where the server has none. All outlive this.
    struct Parts {
        sphere::Sphere* sphere = nullptr;
        const Workspaces* workspaces = nullptr;  ///< with a sphere
        memory::MemoryStore* memories = nullptr;
        /// Waits until models answer. Errors: there are none, they cannot be opened, cancelled.
        std::function<base::Result<const ModelEndpoint*>(const std::atomic<bool>& cancelled)> model;
        flow::WorkerTasks* workers = nullptr;
        ToolCaller* tools = nullptr;
        flow::TokenStreams* tokens = nullptr;  ///< where what models say is told as it comes
        /// Takes secrets' values out of what tools and code give, before it is written anywhere.
        std::function<std::string(std::string_view)> scrub = {};
    };
    FlowSteps(Parts parts, const base::Clock& clock, std::size_t threads, std::size_t queue_max);
    ~FlowSteps() override;

    void run(flow::Call call, Done done) override;
    void cancel(flow::RunId run, std::string_view path) override;
    /// Finishes what runs. Idempotent.
    void stop();

private:
    base::Result<flow::StepOutput> make(const flow::Call& call,
                                        const std::shared_ptr<std::atomic<bool>>& cancelled);

    const Parts parts_;
    const base::Clock& clock_;
    const base::HttpClient http_;
    std::mutex mutex_;                                                           // guards calls_
    std::unordered_map<std::string, std::shared_ptr<std::atomic<bool>>> calls_;  ///< run/path
    base::Worker workers_;
};

}  // namespace app
