#include "app/measure.h"

#include <time.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

namespace app {
namespace {

using base::Code;
using base::fail;
using base::Result;

double process_cpu_seconds() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

class WaitForEnd final : public engine::GenerationSink {
public:
    void on_token(const engine::TokenEvent&) override {
        const std::lock_guard lock(mutex_);
        if (cpu_first_ == 0) cpu_first_ = process_cpu_seconds();
    }
    void on_finish(const engine::Completion& completion) override {
        const std::lock_guard lock(mutex_);
        cpu_finished_ = process_cpu_seconds();
        completion_ = completion;
        finished_.notify_one();
    }
    std::optional<engine::Completion> wait_briefly() {
        std::unique_lock lock(mutex_);
        finished_.wait_for(lock, std::chrono::milliseconds(50),
                           [&] { return completion_.has_value(); });
        return completion_;
    }
    void add_cpu_times(double begin, PhaseTimes& times) {
        const std::lock_guard lock(mutex_);
        times.prefill_cpu_s = cpu_first_ - begin;
        times.decode_cpu_s = cpu_finished_ - cpu_first_;
    }

private:
    std::mutex mutex_;
    std::condition_variable finished_;
    std::optional<engine::Completion> completion_;  // this and the times: guarded by mutex_
    double cpu_first_ = 0, cpu_finished_ = 0;
};

}  // namespace

Result<PhaseTimes> measure_request(engine::Engine& engine, std::vector<engine::TokenId> prompt,
                                   std::uint32_t completion_tokens,
                                   const std::function<bool()>& stop_asked) {
    engine::GenerateRequest request;
    request.prompt = std::move(prompt);
    request.sampling.temperature = 0;
    request.max_tokens = completion_tokens;
    request.ignore_eos = true;
    const auto sink = std::make_shared<WaitForEnd>();
    const double cpu_begin = process_cpu_seconds();
    const engine::GenerationId id = DG_TRY(engine.submit(std::move(request), sink));
    std::optional<engine::Completion> done;
    while (!(done = sink->wait_briefly())) {
        if (stop_asked()) engine.cancel(id);
    }
    if (done->error) return std::unexpected(*done->error);
    if (done->reason == engine::FinishReason::cancelled) {
        return fail(Code::cancelled, "the measurement was stopped");
    }
    PhaseTimes times;
    times.prompt_tokens = done->prompt_tokens - done->cached_tokens;
    times.completion_tokens = done->completion_tokens;
    times.prefill_s = base::to_seconds(done->first_token - done->started);
    times.decode_s = base::to_seconds(done->finished - done->first_token);
    sink->add_cpu_times(cpu_begin, times);
    return times;
}

std::vector<engine::TokenId> random_prompt(const engine::Tokenizer& tokenizer, std::size_t length,
                                           base::Rng& rng) {
    std::vector<engine::TokenId> prompt;
    while (prompt.size() < length) {
        const auto id = static_cast<engine::TokenId>(rng.below(tokenizer.size()));
        if (!tokenizer.is_control(id)) prompt.push_back(id);
    }
    return prompt;
}

double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace app
