#include "engine/batch/wait_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "support/seeds.h"

namespace {

using engine::GenerationId;
using engine::WaitQueue;

void push(WaitQueue& queue, GenerationId id, const std::string& tenant, std::int32_t priority = 0) {
    queue.push({.id = id, .tenant = tenant, .priority = priority});
}

/// Serves one after the other, each costing `tokens`, and returns the order.
std::vector<GenerationId> drain(WaitQueue& queue, std::map<GenerationId, std::string> tenants,
                                std::uint64_t tokens) {
    std::vector<GenerationId> order;
    while (const auto id = queue.next()) {
        order.push_back(*id);
        queue.remove(*id);
        queue.charge(tenants[*id], tokens);
    }
    return order;
}

TEST(WaitQueue, OneTenantIsFirstComeFirstServed) {
    WaitQueue queue;
    for (const GenerationId id : {3u, 1u, 2u}) push(queue, id, "a");
    EXPECT_EQ(drain(queue, {{1, "a"}, {2, "a"}, {3, "a"}}, 10),
              (std::vector<GenerationId>{1, 2, 3}));
}

TEST(WaitQueue, HigherPriorityGoesFirst) {
    WaitQueue queue;
    push(queue, 1, "a");
    push(queue, 2, "a", 5);
    push(queue, 3, "b", -1);
    EXPECT_EQ(queue.priority_max(), 5);
    EXPECT_EQ(drain(queue, {{1, "a"}, {2, "a"}, {3, "b"}}, 10),
              (std::vector<GenerationId>{2, 1, 3}));
}

TEST(WaitQueue, ATenantThatFloodsDoesNotDelayAnother) {
    WaitQueue queue;
    std::map<GenerationId, std::string> tenants;
    for (GenerationId id = 1; id <= 100; ++id) push(queue, id, tenants[id] = "flood");
    for (GenerationId id = 101; id <= 105; ++id) push(queue, id, tenants[id] = "small");
    const auto order = drain(queue, tenants, 50);
    std::size_t last_small = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (tenants[order[i]] == "small") last_small = i;
    }
    EXPECT_LE(last_small, 10u) << "five requests of each take turns";
}

TEST(WaitQueue, TurnsAreByTokensNotByRequests) {
    WaitQueue queue;
    std::map<std::string, std::uint64_t> served;
    GenerationId last = 0;
    for (int i = 0; i < 200; ++i) {
        push(queue, ++last, "long");
        push(queue, ++last, "short");
    }
    for (int turn = 0; turn < 150; ++turn) {
        const GenerationId id = *queue.next();
        queue.remove(id);
        const std::string tenant = id % 2 == 1 ? "long" : "short";
        const std::uint64_t tokens = tenant == "long" ? 1000 : 100;
        queue.charge(tenant, tokens);
        served[tenant] += tokens;
    }
    EXPECT_NEAR(static_cast<double>(served["long"]), static_cast<double>(served["short"]), 1000.);
}

TEST(WaitQueue, APauseEarnsNoCredit) {
    WaitQueue queue;
    std::map<GenerationId, std::string> tenants;
    for (GenerationId id = 1; id <= 50; ++id) push(queue, id, tenants[id] = "busy");
    for (int i = 0; i < 20; ++i) {
        const GenerationId id = *queue.next();
        queue.remove(id);
        queue.charge("busy", 100);
    }
    for (GenerationId id = 51; id <= 80; ++id) push(queue, id, tenants[id] = "back");
    const auto order = drain(queue, tenants, 100);
    int back = 0;
    for (std::size_t i = 0; i < 10; ++i) back += tenants[order[i]] == "back" ? 1 : 0;
    EXPECT_GE(back, 4);
    EXPECT_LE(back, 6);
}

TEST(WaitQueue, SetAsideGoesBeforeWhatCameLater) {
    WaitQueue queue;
    push(queue, 7, "a");
    push(queue, 8, "a");
    push(queue, 2, "a");  // ran before and lost its place
    EXPECT_EQ(queue.next(), 2u);
}

TEST(WaitQueue, WhoWaitsForSomethingElseIsPassed) {
    WaitQueue queue;
    push(queue, 1, "a");
    push(queue, 2, "a");
    EXPECT_EQ(queue.next({1}), 2u);
    EXPECT_EQ(queue.next({1, 2}), std::nullopt);
}

TEST(WaitQueue, NamesTheOverdue) {
    WaitQueue queue;
    queue.push({.id = 1, .tenant = "a", .deadline = base::Instant{100}});
    queue.push({.id = 2, .tenant = "a", .deadline = base::Instant{200}});
    EXPECT_TRUE(queue.overdue(base::Instant{99}).empty());
    EXPECT_EQ(queue.overdue(base::Instant{100}), (std::vector<GenerationId>{1}));
    EXPECT_TRUE(queue.remove(1));
    EXPECT_FALSE(queue.remove(1));
    EXPECT_EQ(queue.size(), 1u);
}

/// Random arrivals of random sizes: among tenants that always have something waiting, no one is
/// ahead by more than the largest request of each.
TEST(WaitQueue, BusyTenantsStayTogether) {
    test::for_each_seed(50, [](base::Rng& rng) {
        WaitQueue queue;
        const std::size_t count = 2 + rng.below(4);
        std::map<GenerationId, std::size_t> tenants;
        std::vector<std::uint64_t> served(count, 0);
        GenerationId last = 0;
        const auto arrive = [&](std::size_t tenant) {
            tenants[++last] = tenant;
            push(queue, last, std::to_string(tenant));
        };
        for (std::size_t tenant = 0; tenant < count; ++tenant) arrive(tenant);
        for (int turn = 0; turn < 500; ++turn) {
            const GenerationId id = *queue.next();
            const std::size_t tenant = tenants[id];
            arrive(tenant);
            queue.remove(id);
            const std::uint64_t tokens = 1 + rng.below(1000);
            queue.charge(std::to_string(tenant), tokens);
            served[tenant] += tokens;
            const auto [least, most] = std::ranges::minmax(served);
            ASSERT_LE(most - least, 2000u);
        }
    });
}

}  // namespace
