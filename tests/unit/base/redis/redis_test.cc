#include "base/redis/redis.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/redis/redis_url.h"
#include "support/database_server.h"
#include "support/seeds.h"

namespace base::redis {
namespace {

TEST(RedisUrl, SaysWhatItSays) {
    const auto plain = parse_redis_url("redis://localhost");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->host, "localhost");
    EXPECT_EQ(plain->port, 6379);
    EXPECT_EQ(plain->prefix, "dougong");
    const auto full = parse_redis_url("redis://ann:p%40ss@[::1]:7000/3?prefix=team-a");
    ASSERT_TRUE(full);
    EXPECT_EQ(full->host, "::1");
    EXPECT_EQ(full->port, 7000);
    EXPECT_EQ(full->user, "ann");
    EXPECT_EQ(full->password, "p@ss");
    EXPECT_EQ(full->database, 3u);
    EXPECT_EQ(full->prefix, "team-a");
    EXPECT_EQ(full->shown, "redis://ann:***@[::1]:7000/3?prefix=team-a");
    EXPECT_EQ(parse_redis_url("redis+unix:///run/r%20s.sock")->socket, "/run/r s.sock");
}

TEST(RedisUrl, OthersAreRefusedWithoutTheirPassword) {
    for (const char* bad :
         {"", "redis", "redis://", "rediss://h", "http://h", "redis://h:0", "redis://h:70000",
          "redis://h:x", "redis://h/x", "redis://ann@h", "redis://a:geheim%zz@h",
          "redis://a:geheim@h?prefix=", "redis://a:geheim@h?prefix=a b", "redis://a:geheim@h?db=1",
          "redis+unix://relative", "redis://[::1", "redis://a:geheim@[::1]x"}) {
        const auto parsed = parse_redis_url(bad);
        ASSERT_FALSE(parsed) << bad;
        EXPECT_EQ(parsed.error().code, Code::invalid_argument);
        EXPECT_EQ(parsed.error().message.find("geheim"), std::string::npos) << bad;
    }
    test::for_each_seed(500, [](Rng& rng) {
        constexpr std::string_view kSigns = "redis://+unx:@[]/?%=prefix0129.";
        std::string text = rng.below(2) == 0 ? "redis://" : "";
        for (std::uint64_t n = rng.below(30); n > 0; --n) text += kSigns[rng.below(kSigns.size())];
        const auto parsed = parse_redis_url(text);
        const bool good = !parsed || parsed->host.empty() != parsed->socket.empty();
        EXPECT_TRUE(good) << text;
    });
}

class RedisTest : public ::testing::Test {
protected:
    void SetUp() override {
        DG_NEED_SERVER(test::RedisServer::instance());
        auto opened = Redis::open(test::RedisServer::instance().fresh_url(), 4);
        ASSERT_TRUE(opened) << opened.error().message;
        redis = std::move(*opened);
    }
    std::string get(const std::string& key) {
        std::string text;
        EXPECT_TRUE(redis->read([&](Session& session) -> Result<void> {
            text = DG_TRY(session.run({"GET", redis->prefix() + key})).text;
            return {};
        }));
        return text;
    }
    std::unique_ptr<Redis> redis;
};

TEST_F(RedisTest, TransactionsOnOneKeyRunOneAfterAnother) {
    const std::string key = redis->prefix() + "n";
    constexpr int kThreads = 4, kEach = 50;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < kEach; ++i) {
                    const auto wrote =
                        redis->transact(key, [&](Session& session) -> Result<std::vector<Command>> {
                            const auto now = DG_TRY(session.run({"GET", key})).text;
                            const int next = now.empty() ? 1 : std::stoi(now) + 1;
                            return std::vector<Command>{{"SET", key, std::to_string(next)}};
                        });
                    ASSERT_TRUE(wrote) << wrote.error().message;
                }
            });
        }
    }
    EXPECT_EQ(get("n"), std::to_string(kThreads * kEach));
}

TEST_F(RedisTest, APlanThatFailsWritesNothing) {
    const auto failed = redis->transact(redis->prefix() + "m", [&](Session&) {
        return Result<std::vector<Command>>(fail(Code::not_found, "no"));
    });
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, Code::not_found);
    // A command that Redis refuses while they are queued takes the others with it.
    const auto refused =
        redis->transact(redis->prefix() + "m", [&](Session&) -> Result<std::vector<Command>> {
            return std::vector<Command>{{"SET", redis->prefix() + "m", "1"}, {"NO_SUCH"}};
        });
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::internal);
    EXPECT_EQ(get("m"), "");
}

TEST_F(RedisTest, BytesStayAndAServerThatCameBackIsUsedAgain) {
    const std::string bytes("a\0b\r\n\xff", 6);
    ASSERT_TRUE(redis->transact(redis->prefix() + "k", [&](Session&) {
        return Result<std::vector<Command>>(
            std::vector<Command>{{"SET", redis->prefix() + "k", bytes}});
    }));
    EXPECT_EQ(get("k"), bytes);
    test::RedisServer::instance().kill();
    const auto away = redis->read([](Session&) { return Result<void>(); });
    ASSERT_FALSE(away);
    EXPECT_EQ(away.error().code, Code::unavailable);
    test::RedisServer::instance().start();
    EXPECT_EQ(get("k"), bytes);  // acknowledged, so on the disk
}

}  // namespace
}  // namespace base::redis
