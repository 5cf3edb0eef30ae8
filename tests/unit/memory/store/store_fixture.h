#pragma once
// A store of its own over each backend, with an embedder whose vectors tests can foresee.

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <string>

#include "memory/memory.h"
#include "support/database_server.h"
#include "support/manual_clock.h"
#include "support/temp_dir.h"

namespace test {

/// Each letter counts in a dimension of its own: texts of the same letters are near. Can be told to
/// fail, and to be another model.
class LetterEmbedder final : public memory::Embedder {
public:
    explicit LetterEmbedder(std::string id = "letters-1") : id_(std::move(id)) {}
    const std::string& id() const override { return id_; }
    std::uint32_t dims() const override { return 32; }
    base::Result<void> embed(std::span<const std::string_view> texts, memory::EmbedSide side,
                             std::span<float> out) override {
        ++calls;
        if (side == memory::EmbedSide::document) documents += static_cast<int>(texts.size());
        if (failing) return base::fail(base::Code::unavailable, "the embedder is away");
        for (std::size_t t = 0; t < texts.size(); ++t) {
            float* row = out.data() + t * 32;
            std::fill(row, row + 32, 0.f);
            for (const char c : texts[t]) row[static_cast<unsigned char>(c) % 32] += 1;
            float sum = 0;
            for (int d = 0; d < 32; ++d) sum += row[d] * row[d];
            for (int d = 0; d < 32 && sum > 0; ++d) row[d] /= std::sqrt(sum);
        }
        return {};
    }
    std::atomic<bool> failing = false;
    std::atomic<int> calls = 0, documents = 0;

private:
    const std::string id_;
};

/// Where memories may be kept; the suites run over each.
inline std::vector<std::string> backends() {
    return {"sqlite", "postgresql", "sqlite_redis", "postgresql_redis"};
}

/// Over SQLite, unless a test asks for more.
class MemoryTest : public ::testing::Test {
protected:
    virtual std::string backend() const { return "sqlite"; }
    void SetUp() override {
        options.location = dir.path() + "/memory";
        options.shards = 2;
        if (backend().starts_with("postgresql")) {
            DG_NEED_SERVER(PostgresServer::instance());
            options.location = PostgresServer::instance().fresh_url();
        }
        if (backend().ends_with("redis")) {
            DG_NEED_SERVER(RedisServer::instance());
            options.sessions = RedisServer::instance().fresh_url();
        }
        open(std::make_shared<LetterEmbedder>());
    }

    void open(std::shared_ptr<memory::Embedder> with) {
        store.reset();
        auto opened = memory::MemoryStore::open(options, std::move(with), clock);
        ASSERT_TRUE(opened) << opened.error().message;
        store = std::move(*opened);
    }
    memory::MemoryId add(std::string content, std::string tenant = "t", std::string session = "") {
        memory::NewEntry entry;
        // Events both; the first are what Redis is for.
        entry.type = options.sessions.empty() ? memory::MemoryType::episodic
                                              : memory::MemoryType::short_term;
        entry.content = std::move(content);
        entry.scope = {.tenant = std::move(tenant), .session = std::move(session)};
        entry.created_unix_ms = clock.unix_ns() / 1'000'000;
        clock.advance(std::chrono::milliseconds(1000));
        auto added = store->add(entry);
        EXPECT_TRUE(added) << added.error().message;
        return added ? added->id : "";
    }
    memory::Answer search(std::string text, std::string tenant = "t") {
        memory::Query query;
        query.text = std::move(text);
        query.filter.scope.tenant = std::move(tenant);
        query.explain = true;
        auto answer = store->search(query);
        EXPECT_TRUE(answer) << answer.error().message;
        return answer ? std::move(*answer) : memory::Answer{};
    }

    TempDir dir;
    ManualClock clock;
    memory::StoreOptions options;
    std::unique_ptr<memory::MemoryStore> store;
};

/// Over each backend: the parameter names it.
class AnyMemory : public MemoryTest, public ::testing::WithParamInterface<std::string> {
protected:
    std::string backend() const override { return GetParam(); }
};

}  // namespace test
