#pragma once
// Requests to the embedded smoke-test model, and what came of them.

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace test {

using engine::Completion;
using engine::Engine;
using engine::EngineOptions;
using engine::FinishReason;
using engine::GenerateRequest;
using engine::TokenEvent;
using engine::TokenId;

/// Collects one request's output; optionally acts on each token.
class Collector final : public engine::GenerationSink {
public:
    std::function<void(std::size_t tokens)> on_each;

    void on_token(const TokenEvent& event) override {
        std::size_t count = 0;
        {
            const std::lock_guard lock(mutex_);
            EXPECT_FALSE(finished_) << "a token after the end";
            events_.push_back(event);
            count = events_.size();
        }
        if (on_each) on_each(count);
    }
    void on_finish(const Completion& completion) override {
        const std::lock_guard lock(mutex_);
        EXPECT_FALSE(finished_) << "finished twice";
        completion_ = completion;
        finished_ = true;
        changed_.notify_all();
    }
    Completion wait() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return finished_; });
        return completion_;
    }
    std::vector<TokenId> ids() const {
        std::vector<TokenId> ids;
        for (const TokenEvent& event : events_) ids.push_back(event.id);
        return ids;
    }
    std::string text() const {
        std::string text;
        for (const TokenEvent& event : events_) text += event.text;
        return text + completion_.text;
    }
    const std::vector<TokenEvent>& events() const { return events_; }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<TokenEvent> events_;
    Completion completion_;
    bool finished_ = false;
};

/// Moves only when told, so that deadlines are exact.
class ManualClock final : public base::Clock {
public:
    base::Instant now() const override { return base::Instant{now_ns_.load()}; }
    std::int64_t unix_ns() const override { return 1'700'000'000'000'000'000; }
    void advance(std::int64_t ns) { now_ns_ += ns; }

private:
    std::atomic<std::int64_t> now_ns_{1};
};

inline std::string asset(const char* path) {
    return std::string(DG_SOURCE_DIR) + "/" + path;
}

inline std::unique_ptr<Engine> open_smoke(const base::Clock& clock, EngineOptions options = {}) {
    if (options.threads == 0) options.threads = 2;
    auto engine = Engine::open(asset("assets/stories260K-f16.gguf"), options, clock);
    EXPECT_TRUE(engine.has_value()) << engine.error().message;
    return *std::move(engine);
}

inline GenerateRequest greedy(std::vector<TokenId> prompt, std::uint32_t max_tokens) {
    GenerateRequest request;
    request.prompt = std::move(prompt);
    request.sampling.temperature = 0.f;
    request.max_tokens = max_tokens;
    return request;
}

struct Outcome {
    std::shared_ptr<Collector> sink;
    Completion completion;
};

inline Outcome generate(Engine& engine, GenerateRequest request) {
    auto sink = std::make_shared<Collector>();
    const auto id = engine.submit(std::move(request), sink);
    EXPECT_TRUE(id.has_value()) << id.error().message;
    Completion completion = sink->wait();
    return {std::move(sink), std::move(completion)};
}

inline const base::SystemClock kClock;

}  // namespace test
