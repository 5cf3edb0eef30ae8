#pragma once
// Steps whose outputs are bounded, and large ones durable before they come to the engine's thread.

#include <fmt/format.h>

#include "flow/blobs/spilling_run_log.h"
#include "flow/step_runner.h"

namespace flow {

class BoundedSteps final : public StepRunner {
public:
    /// All outlive it. An output of more than `bytes_max` fails its step.
    BoundedSteps(StepRunner& steps, BlobStore& blobs, SpillOptions spill, std::uint64_t bytes_max)
        : steps_(steps), blobs_(blobs), spill_(spill), bytes_max_(bytes_max) {}

    void run(Call call, Done done) override {
        const RunId run = call.run;
        steps_.run(std::move(call),
                   [this, run, done = std::move(done)](base::Result<StepOutput> result) {
                       if (result) result = bounded(run, *std::move(result));
                       done(std::move(result));
                   });
    }
    void cancel(RunId run, std::string_view path) override { steps_.cancel(run, path); }

private:
    base::Result<StepOutput> bounded(RunId run, StepOutput output) {
        const std::size_t bytes = text_bytes(output.value, spill_.value_bytes);
        if (bytes <= spill_.value_bytes) return output;
        const std::string text = base::json::serialize(output.value);
        if (text.size() > bytes_max_) {
            return base::fail(base::Code::payload_too_large,
                              "the output has {} bytes; a value may have {}: keep what is large "
                              "elsewhere and give its name",
                              text.size(), bytes_max_);
        }
        (void)blobs_.put(run, text);  // where it fails, the append says so and it comes again
        return output;
    }

    StepRunner& steps_;
    BlobStore& blobs_;
    const SpillOptions spill_;
    const std::uint64_t bytes_max_;
};

}  // namespace flow
