#include "app/model_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <thread>

#include "app/engine_backend.h"
#include "app/model_room.h"
#include "base/core/rng.h"
#include "support/seeds.h"

namespace app {
namespace {

using base::Code;
using gate::ModelState;

constexpr std::uint64_t kMiB = 1 << 20;

TEST(ModelRoom, TheLongestUnusedIdleModelsGoFirst) {
    const std::vector<HeldModel> held = {{"a", 100 * kMiB, 0, 7},
                                         {"b", 100 * kMiB, 0, 3},
                                         {"c", 100 * kMiB, 2, 1},
                                         {"d", 100 * kMiB, 0, 5}};
    const auto room = make_room("e", held, 400 * kMiB, 150 * kMiB, 150 * kMiB);
    ASSERT_TRUE(room) << room.error().message;
    EXPECT_EQ(room->victims, (std::vector<std::size_t>{1, 3}));
    EXPECT_EQ(room->bytes, 200 * kMiB);
}

TEST(ModelRoom, NothingGoesWhenItWouldNotHelp) {
    const std::vector<HeldModel> held = {{"idle", 10 * kMiB, 0, 1}, {"busy", 80 * kMiB, 3, 2}};
    const auto room = make_room("big", held, 100 * kMiB, 50 * kMiB, 60 * kMiB);
    ASSERT_FALSE(room);
    EXPECT_EQ(room.error().code, Code::resource_exhausted);
    for (const char* part : {"big", "50 MiB", "100 MiB", "busy (80 MiB, 3 requests"}) {
        EXPECT_NE(room.error().message.find(part), std::string::npos) << room.error().message;
    }
}

TEST(ModelRoom, NeverTooMuchNorBusyNorMoreThanNeeded) {
    test::for_each_seed(500, [](base::Rng& rng) {
        std::vector<HeldModel> held(rng.below(6));
        std::uint64_t used = 0;
        for (HeldModel& model : held) {
            model = {"m", rng.below(50), static_cast<std::uint32_t>(rng.below(2)), rng.below(9),
                     rng.below(8) == 0};
            used += model.memory_bytes;
        }
        const std::uint64_t budget = used + rng.below(30), least = rng.below(120);
        const std::uint64_t wished = least + rng.below(50);
        const auto room = make_room("new", held, budget, least, wished);
        std::uint64_t movable = 0;
        for (const HeldModel& model : held) {
            if (model.requests == 0 && !model.fixed) movable += model.memory_bytes;
        }
        ASSERT_EQ(room.has_value(), budget - used + movable >= least);
        if (!room) return;
        std::uint64_t left = used;
        for (const std::size_t victim : room->victims) {
            ASSERT_TRUE(held[victim].requests == 0 && !held[victim].fixed);
            ASSERT_LT(budget - left, wished) << "one went for nothing";
            left -= held[victim].memory_bytes;
        }
        ASSERT_EQ(room->bytes, budget - left);
        ASSERT_GE(room->bytes, least);
    });
}

/// The embedded model under as many names as a test likes; counts how often each is opened.
class SmokeModels final : public ModelSource {
public:
    explicit SmokeModels(const base::Clock& clock) : clock_(clock) {}

    std::vector<std::string> names() override { return {"a", "b", "c", "d"}; }
    base::Result<engine::ModelOutline> outline(const std::string& name, std::uint64_t) override {
        if (name == "broken") return base::fail(Code::data_loss, "tensor x is cut short");
        engine::EngineOptions options;
        options.threads = 1;  // and whatever the machine has: the same need in every test
        return engine::Engine::outline(path(), options);
    }
    base::Result<PooledEngine> open(const std::string&, std::uint64_t memory_bytes,
                                    std::uint64_t kv_bytes) override {
        ++opened;
        {
            std::unique_lock lock(mutex_);
            go_on_.wait(lock, [&] { return !held_; });
        }
        engine::EngineOptions options;
        options.threads = 1;
        options.memory_bytes_max = memory_bytes;
        options.kv_bytes_max = kv_bytes;
        return PooledEngine{DG_TRY(engine::Engine::open(path(), options, clock_)), 0, {}};
    }
    /// Until false, open() does not return.
    void hold(bool held) {
        const std::lock_guard lock(mutex_);
        held_ = held;
        go_on_.notify_all();
    }
    std::uint64_t need_bytes() {
        const auto outlined = outline("a", 0);
        EXPECT_TRUE(outlined);
        return outlined->need.wished();
    }
    std::atomic<int> opened{0};

private:
    static std::string path() { return DG_SOURCE_DIR "/assets/stories260K-f16.gguf"; }
    const base::Clock& clock_;
    std::mutex mutex_;
    std::condition_variable go_on_;
    bool held_ = false;
};

class Listener final : public gate::GenerationListener {
public:
    void on_delta(const gate::TokenDelta& delta) override {
        const std::lock_guard lock(mutex_);
        text_ += delta.text;
        began_.notify_all();
    }
    void on_end(const gate::GenerationEnd& end) override {
        const std::lock_guard lock(mutex_);
        end_ = end;
        ++ends_;
        began_.notify_all();
    }
    gate::GenerationEnd wait() {
        std::unique_lock lock(mutex_);
        began_.wait(lock, [&] { return end_.has_value(); });
        EXPECT_EQ(ends_, 1);
        return *end_;
    }
    void wait_for_text() {
        std::unique_lock lock(mutex_);
        began_.wait(lock, [&] { return end_.has_value() || !text_.empty(); });
    }

private:
    std::mutex mutex_;
    std::condition_variable began_;
    std::string text_;
    int ends_ = 0;
    std::optional<gate::GenerationEnd> end_;
};

class ModelPoolTest : public ::testing::Test {
protected:
    ModelPoolTest() : models_(clock_) {}

    static gate::GenerationRequest ask(const std::string& model, std::uint32_t max_tokens) {
        gate::GenerationRequest request;
        request.model = model;
        request.prompt.text = "Once upon a time";
        request.max_tokens = max_tokens;
        request.ignore_eos = true;
        return request;
    }
    static ModelState state(const EngineBackend& backend, const std::string& id) {
        for (const auto& card : backend.models()) {
            if (card.id == id) return card.state;
        }
        ADD_FAILURE() << id << " is not listed";
        return ModelState::failed;
    }
    /// Room for `models` of them and half of one more.
    std::uint64_t budget_for(std::uint64_t models) {
        return models * models_.need_bytes() + models_.need_bytes() / 2;
    }

    base::SystemClock clock_;
    SmokeModels models_;
};

TEST_F(ModelPoolTest, AModelIsLoadedWhenARequestNamesIt) {
    EngineBackend backend(clock_, &models_, budget_for(2));
    backend.pool().look_around();
    EXPECT_EQ(state(backend, "b"), ModelState::unloaded);
    EXPECT_EQ(models_.opened, 0);
    const auto listener = std::make_shared<Listener>();
    ASSERT_TRUE(backend.start(ask("b", 5), listener));
    EXPECT_EQ(listener->wait().completion_tokens, 5u);
    EXPECT_EQ(state(backend, "b"), ModelState::ready);
    EXPECT_EQ(models_.opened, 1);
}

TEST_F(ModelPoolTest, RequestsForALoadingModelWaitAndItIsOpenedOnce) {
    EngineBackend backend(clock_, &models_, budget_for(2));
    models_.hold(true);
    std::vector<std::shared_ptr<Listener>> listeners(8);
    for (auto& listener : listeners) {
        listener = std::make_shared<Listener>();
        ASSERT_TRUE(backend.start(ask("a", 3), listener));
    }
    EXPECT_EQ(state(backend, "a"), ModelState::loading);
    models_.hold(false);
    for (const auto& listener : listeners) EXPECT_EQ(listener->wait().completion_tokens, 3u);
    EXPECT_EQ(models_.opened, 1);
}

TEST_F(ModelPoolTest, AWaitingRequestCanBeCancelledOrExpire) {
    EngineBackend backend(clock_, &models_, budget_for(2));
    models_.hold(true);
    const auto cancelled = std::make_shared<Listener>(), late = std::make_shared<Listener>();
    const auto handle = backend.start(ask("a", 3), cancelled);
    ASSERT_TRUE(handle);
    backend.cancel(*handle);
    auto expired = ask("a", 3);
    expired.deadline = clock_.now();
    ASSERT_TRUE(backend.start(std::move(expired), late));
    models_.hold(false);
    EXPECT_EQ(cancelled->wait().finish, gate::Finish::cancelled);
    EXPECT_EQ(late->wait().finish, gate::Finish::deadline);
    backend.cancel(*handle);  // long gone
    backend.cancel(12345);
}

TEST_F(ModelPoolTest, TheLongestUnusedModelMakesRoom) {
    EngineBackend backend(clock_, &models_, budget_for(2));
    for (const char* id : {"a", "b", "a", "c"}) ASSERT_TRUE(backend.load(id)) << id;
    EXPECT_EQ(state(backend, "a"), ModelState::ready);
    EXPECT_EQ(state(backend, "b"), ModelState::unloaded);
    EXPECT_EQ(state(backend, "c"), ModelState::ready);
    EXPECT_EQ(models_.opened, 3);
}

TEST_F(ModelPoolTest, AModelWithRunningRequestsStays) {
    EngineBackend backend(clock_, &models_, budget_for(1));
    const auto listener = std::make_shared<Listener>();
    const auto handle = backend.start(ask("a", 400), listener);
    ASSERT_TRUE(handle);
    listener->wait_for_text();
    const auto refused = backend.load("b");
    // The answer may have ended before the refusal could be; then there was room.
    if (!refused) {
        EXPECT_EQ(refused.error().code, Code::resource_exhausted);
        EXPECT_NE(refused.error().message.find("1 requests running"), std::string::npos)
            << refused.error().message;
        EXPECT_EQ(state(backend, "b"), ModelState::failed);
    }
    backend.cancel(*handle);
    listener->wait();
    while (!backend.load("b")) std::this_thread::yield();  // until the lease is back
}

TEST_F(ModelPoolTest, WhatNeverFitsIsRefusedWithTheNumbers) {
    EngineBackend backend(clock_, &models_, kMiB);
    const auto refused = backend.load("a");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::resource_exhausted);
    EXPECT_NE(refused.error().message.find("is 1 MiB"), std::string::npos)
        << refused.error().message;
    const auto listener = std::make_shared<Listener>();
    ASSERT_TRUE(backend.start(ask("a", 3), listener));
    const auto end = listener->wait();
    EXPECT_EQ(end.finish, gate::Finish::error);
    ASSERT_TRUE(end.error);
    EXPECT_EQ(end.error->code, Code::resource_exhausted);
    EXPECT_EQ(models_.opened, 0);
}

TEST_F(ModelPoolTest, UnloadingWaitsForRequestsAndLaterOnesLoadAgain) {
    EngineBackend backend(clock_, &models_, budget_for(2));
    const auto first = std::make_shared<Listener>(), second = std::make_shared<Listener>();
    const auto handle = backend.start(ask("a", 400), first);
    ASSERT_TRUE(handle);
    first->wait_for_text();
    std::thread unloading([&] { EXPECT_TRUE(backend.unload("a")); });
    while (state(backend, "a") == ModelState::ready) std::this_thread::yield();
    ASSERT_TRUE(backend.start(ask("a", 4), second));
    backend.cancel(*handle);
    unloading.join();
    first->wait();
    EXPECT_EQ(second->wait().completion_tokens, 4u);
    EXPECT_EQ(models_.opened, 2);
    EXPECT_EQ(backend.stats().requests_total, 2u) << "totals never fall";
}

TEST_F(ModelPoolTest, AHandleOfAnUnloadedModelCancelsNobodyElse) {
    EngineBackend backend(clock_, &models_, budget_for(1));
    const auto first = std::make_shared<Listener>(), second = std::make_shared<Listener>();
    const auto old = backend.start(ask("a", 2), first);
    ASSERT_TRUE(old);
    first->wait();
    while (!backend.unload("a")) std::this_thread::yield();
    ASSERT_TRUE(backend.start(ask("b", 30), second));
    backend.cancel(*old);
    EXPECT_EQ(second->wait().finish, gate::Finish::length);
}

TEST_F(ModelPoolTest, ErrorsNameTheModel) {
    EngineBackend backend(clock_, &models_, budget_for(1));
    const auto unknown = backend.load("nobody");
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Code::not_found);
    EXPECT_FALSE(backend.unload("a"));
    backend.pool().offer("broken", "broken", 1);
    const auto broken = backend.load("broken");
    ASSERT_FALSE(broken);
    EXPECT_EQ(broken.error().code, Code::data_loss);
    EXPECT_EQ(state(backend, "broken"), ModelState::failed);
}

/// Requests, cancels, loads and unloads from several threads: every generation ends once, no
/// budget is broken, and nothing is used after it is gone (the sanitizers watch).
TEST_F(ModelPoolTest, ManyThreadsSwapModels) {
    const std::uint64_t budget = budget_for(2);
    EngineBackend backend(clock_, &models_, budget);
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            base::Rng rng(100 + t);
            const std::vector<std::string> ids = {"a", "b", "c", "d"};
            for (int i = 0; i < 25; ++i) {
                const std::string& id = ids[rng.below(ids.size())];
                if (rng.below(5) == 0) {
                    static_cast<void>(backend.unload(id));
                    continue;
                }
                const auto listener = std::make_shared<Listener>();
                const auto handle =
                    backend.start(ask(id, 1 + static_cast<std::uint32_t>(rng.below(20))), listener);
                ASSERT_TRUE(handle) << handle.error().message;
                if (rng.below(3) == 0) backend.cancel(*handle);
                const auto end = listener->wait();
                if (end.error) {
                    EXPECT_EQ(end.error->code, Code::resource_exhausted) << end.error->message;
                }
                std::uint64_t held = 0;
                for (const auto& card : backend.models()) {
                    if (card.state == ModelState::ready) held += card.memory_bytes;
                }
                EXPECT_LE(held, budget);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
}

TEST_F(ModelPoolTest, ClosingEndsWhatRunsAndWhatWaits) {
    const auto running = std::make_shared<Listener>(), waiting = std::make_shared<Listener>();
    EngineBackend backend(clock_, &models_, budget_for(2));
    ASSERT_TRUE(backend.start(ask("a", 400), running));
    running->wait_for_text();
    models_.hold(true);
    ASSERT_TRUE(backend.start(ask("b", 400), waiting));
    std::thread closing([&] { backend.close(); });
    models_.hold(false);
    closing.join();
    running->wait();
    waiting->wait();
    EXPECT_TRUE(backend.models().empty());
}

}  // namespace
}  // namespace app
