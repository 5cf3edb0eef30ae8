// Random histories of three tenants against plain maps: everything each tenant sees is its own, and
// all of it.
#include <gtest/gtest.h>

#include <map>

#include "memory/truth/truth.h"
#include "support/seeds.h"
#include "truth_fixture.h"

namespace memory::truth {
namespace {

using test::need;
using test::note;

/// What a tenant must see: every state of each entry, the last one live or not.
struct Known {
    std::vector<std::string> versions;  // contents
    std::uint64_t accesses = 0, unflushed = 0;
    bool live = true;
};
using Tenant = std::map<MemoryId, Known>;

class Isolation : public test::TruthTest {
protected:
    static constexpr const char* kTenants[] = {"a", "ab", ""};
    static std::string name(std::size_t tenant) {
        return std::string("tenant ") + kTenants[tenant];
    }

    /// Some id, of any tenant: the wrong one must be as if it did not exist.
    std::pair<std::size_t, MemoryId> any_id(base::Rng& rng) {
        const std::size_t owner = rng.below(3);
        if (model_[owner].empty()) return {owner, "mem-00000000000000000000000000"};
        auto at = model_[owner].begin();
        std::advance(at, static_cast<std::ptrdiff_t>(rng.below(model_[owner].size())));
        return {owner, at->first};
    }

    void add(base::Rng& rng, std::size_t tenant) {
        std::vector<NewEntry> batch;
        for (std::uint64_t n = 1 + rng.below(3); n > 0; --n) {
            // The same texts for all tenants, unique within one: nothing may merge across.
            batch.push_back(note("secret " + std::to_string(next_[tenant]++), name(tenant)));
        }
        const Written written = need(truth_->add(batch, "", ""));
        for (std::size_t i = 0; i < batch.size(); ++i) {
            ASSERT_EQ(written.added[i].how, Added::How::added);
            model_[tenant][written.added[i].id] = {{batch[i].content}};
        }
    }

    void change(base::Rng& rng, std::size_t tenant) {
        const auto [owner, id] = any_id(rng);
        Known* known =
            owner == tenant && model_[tenant].contains(id) ? &model_[tenant][id] : nullptr;
        const std::string text = "changed " + std::to_string(rng.next());
        switch (rng.below(4)) {
            case 0:
                ASSERT_EQ(truth_->update(name(tenant), id, {.content = text}, "").has_value(),
                          known != nullptr && known->live);
                if (known != nullptr && known->live) known->versions.push_back(text);
                break;
            case 1:
                ASSERT_EQ(truth_->remove(name(tenant), id, "").has_value(),
                          known != nullptr && known->live);
                if (known != nullptr && known->live) {
                    known->versions.push_back(known->versions.back());
                    known->live = false;
                }
                break;
            case 2: {
                const std::size_t count = known == nullptr ? 3 : known->versions.size();
                const auto version = static_cast<std::uint32_t>(1 + rng.below(count));
                ASSERT_EQ(truth_->restore(name(tenant), id, version, "").has_value(),
                          known != nullptr);
                if (known != nullptr) {
                    known->versions.push_back(known->versions[version - 1]);
                    known->live = true;
                }
                break;
            }
            default:
                truth_->touch(name(tenant), {&id, 1}, 5);
                if (known != nullptr) ++known->unflushed;
        }
    }

    void flush() {
        DG_OK(truth_->flush_touches());
        for (Tenant& tenant : model_) {
            for (auto& [id, known] : tenant) {
                if (known.live) known.accesses += known.unflushed;
                known.unflushed = 0;
            }
        }
    }

    void verify() {
        for (std::size_t t = 0; t < 3; ++t) {
            std::map<MemoryId, Entry> seen;
            for (Entry& entry : test::all(*truth_, name(t))) seen[entry.id] = entry;
            std::map<MemoryId, Change> heard;
            DG_OK(truth_->changes(name(t), 0, "", [&](Change&& change) {
                heard[change.entry.id] = std::move(change);
                return true;
            }));
            ASSERT_EQ(heard.size(), model_[t].size());
            std::size_t live = 0;
            for (const auto& [id, known] : model_[t]) {
                ASSERT_TRUE(heard.contains(id));
                ASSERT_EQ(heard[id].gone, !known.live);
                const auto history = need(truth_->history(name(t), id));
                ASSERT_EQ(history.size(), known.versions.size());
                for (std::size_t v = 0; v < history.size(); ++v) {
                    ASSERT_EQ(history[history.size() - 1 - v].entry.content, known.versions[v]);
                }
                const auto got = truth_->get(name(t), id);
                ASSERT_EQ(got.has_value(), known.live);
                const auto by_row = need(test::get_rows(*truth_, name(t), {&heard[id].row, 1}));
                ASSERT_EQ(by_row.size(), known.live ? 1u : 0u);
                for (std::size_t other = 0; other < 3; ++other) {
                    if (other == t) continue;
                    ASSERT_FALSE(truth_->get(name(other), id));
                    ASSERT_FALSE(truth_->history(name(other), id));
                    for (const Entry& entry :
                         need(test::get_rows(*truth_, name(other), {&heard[id].row, 1}))) {
                        ASSERT_NE(entry.id, id);
                    }
                }
                if (!known.live) continue;
                ++live;
                ASSERT_EQ(got->content, known.versions.back());
                ASSERT_EQ(got->scope.tenant, name(t));
                ASSERT_EQ(got->access_count, known.accesses);
                ASSERT_EQ(seen[id].content, known.versions.back());
            }
            ASSERT_EQ(seen.size(), live);
        }
    }

    std::unique_ptr<Truth> truth_;
    Tenant model_[3];
    std::uint64_t next_[3] = {};
};

TEST_P(Isolation, RandomHistoriesEqualTheModel) {
    test::for_each_seed(GetParam() == "sqlite" ? 12 : 4, [&](base::Rng& rng) {
        truth_.reset();
        truth_ = open_fresh();
        for (std::size_t t = 0; t < 3; ++t) model_[t].clear(), next_[t] = 0;
        for (int step = 0; step < 120; ++step) {
            clock_.ms += static_cast<std::int64_t>(rng.below(1'000)) - 300;
            const std::size_t tenant = rng.below(3);
            if (rng.below(3) == 0)
                add(rng, tenant);
            else
                change(rng, tenant);
            if (::testing::Test::HasFatalFailure()) return;
            if (rng.below(20) == 0) flush();
            if (rng.below(30) == 0) {
                flush();
                truth_.reset();
                truth_ = open();
            }
        }
        flush();
        verify();
        DG_OK(truth_->check());
    });
}

INSTANTIATE_TEST_SUITE_P(Databases, Isolation, ::testing::Values("sqlite", "postgresql"),
                         [](const auto& database) { return database.param; });

}  // namespace
}  // namespace memory::truth
