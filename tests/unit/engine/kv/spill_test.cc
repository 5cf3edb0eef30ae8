#include <fcntl.h>
#include <gtest/gtest.h>

#include <fstream>

#include "engine/kv/spill_file.h"
#include "support/seeds.h"
#include "support/temp_dir.h"
#include "unit/engine/kv/kv_fixture.h"

namespace {

using base::Code;
using engine::KvPool;
using engine::KvScope;
using engine::KvSequence;
using engine::PrefixCache;
using engine::SpillFile;
using engine::SpillId;
using test::compute;
using test::counting;
using test::first_wrong;
using test::kSmallPages;

using Bytes = std::vector<std::byte>;

base::Result<SpillId> save(SpillFile& spill, const Bytes& bytes) {
    const std::span<const std::byte> part(bytes);
    return spill.save(std::span(&part, 1));
}

base::Result<Bytes> load(SpillFile& spill, SpillId id, std::size_t size) {
    Bytes bytes(size);
    const std::span<std::byte> part(bytes);
    DG_TRY(spill.load(id, std::span(&part, 1)));
    return bytes;
}

Bytes random_bytes(base::Rng& rng, std::size_t size) {
    Bytes bytes(size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(rng.below(256));
    return bytes;
}

/// A spill file that the test can reach by name.
class NamedSpill {
public:
    explicit NamedSpill(std::uint64_t bytes_max = 1u << 20)
        : spill(base::UniqueFd(::open(path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)), "spill",
                bytes_max) {}
    std::string path() const { return dir.file("spill"); }

    test::TempDir dir;
    SpillFile spill;
};

TEST(SpillFile, GivesBackWhatWasSavedAndReusesTheSpace) {
    test::for_each_seed(30, [](base::Rng& rng) {
        constexpr std::uint64_t kMax = 64 * 4096;
        NamedSpill named(kMax);
        std::map<SpillId, Bytes> model;
        std::uint64_t bytes = 0;
        for (int step = 0; step < 200; ++step) {
            if (model.empty() || rng.below(2) == 0) {
                const Bytes fresh = random_bytes(rng, rng.below(20'000));
                const auto id = save(named.spill, fresh);
                if (!id) {
                    ASSERT_EQ(id.error().code, Code::resource_exhausted);
                    continue;
                }
                bytes += fresh.size();
                ASSERT_TRUE(model.emplace(*id, fresh).second);
            } else {
                const auto at =
                    std::next(model.begin(), static_cast<std::ptrdiff_t>(rng.below(model.size())));
                const auto back = load(named.spill, at->first, at->second.size());
                ASSERT_TRUE(back.has_value()) << back.error().message;
                ASSERT_EQ(*back, at->second);
                named.spill.drop(at->first);
                bytes -= at->second.size();
                model.erase(at);
            }
            ASSERT_EQ(named.spill.bytes_total(), bytes);
            ASSERT_LE(std::filesystem::file_size(named.path()), kMax);
        }
        for (const auto& [id, content] : model) named.spill.drop(id);
        ASSERT_TRUE(save(named.spill, Bytes(kMax)).has_value()) << "one hole again";
    });
}

TEST(SpillFile, TellsChangedAndShortenedBytes) {
    NamedSpill named;
    base::Rng rng(1);
    const Bytes content = random_bytes(rng, 10'000);
    const SpillId id = *save(named.spill, content);
    for (int round = 0; round < 50; ++round) {
        const auto at = static_cast<std::streamoff>(rng.below(content.size()));
        std::fstream file(named.path(), std::ios::in | std::ios::out | std::ios::binary);
        const auto change = static_cast<char>(1 + rng.below(255));
        const auto was = static_cast<char>(content[static_cast<std::size_t>(at)]);
        file.seekp(at).put(static_cast<char>(was ^ change)).flush();
        const auto changed = load(named.spill, id, content.size());
        ASSERT_FALSE(changed.has_value());
        EXPECT_EQ(changed.error().code, Code::data_loss);
        file.seekp(at).put(was).flush();
    }
    EXPECT_TRUE(load(named.spill, id, content.size()).has_value());
    std::filesystem::resize_file(named.path(), 5000);
    EXPECT_EQ(load(named.spill, id, content.size()).error().code, Code::data_loss);
    named.spill.drop(id);
    EXPECT_EQ(load(named.spill, id, content.size()).error().code, Code::not_found);
}

TEST(SpillFile, AFullDeviceIsAnErrorWithItsName) {
    SpillFile full(base::UniqueFd(::open("/dev/full", O_RDWR | O_CLOEXEC)), "/dev/full", 1u << 20);
    const auto refused = save(full, Bytes(100));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Code::resource_exhausted);
    EXPECT_EQ(full.bytes_total(), 0u);
}

TEST(SpillFile, LeavesNoNameBehindAndNamesAFolderItCannotUse) {
    const test::TempDir dir;
    const auto spill = SpillFile::create(dir.path(), 1u << 20);
    ASSERT_TRUE(spill.has_value());
    EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
    base::Rng rng(1);
    const Bytes content = random_bytes(rng, 5000);
    const SpillId id = *save(**spill, content);
    EXPECT_EQ(*load(**spill, id, content.size()), content);
    const auto missing = SpillFile::create(dir.file("none"), 1);
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, Code::not_found);
}

class SwapTest : public ::testing::Test {
protected:
    test::TestClock clock;
    KvPool pool{kSmallPages, 20};
    PrefixCache cache{pool, {}, clock};
    NamedSpill named;
    const KvScope scope{"", "a"};
};

TEST_F(SwapTest, OwnPagesGoOutAndComeBackUnchanged) {
    const auto text = counting(0, 14);
    KvSequence sequence = pool.sequence();
    ASSERT_TRUE(compute(kSmallPages, sequence, scope, text));
    const auto id = sequence.swap_out(named.spill);
    ASSERT_TRUE(id.has_value());
    EXPECT_EQ(pool.pages_free(), 20u);
    EXPECT_EQ(sequence.pages_swapped(), 4u);
    EXPECT_EQ(named.spill.bytes_total(), 4 * kSmallPages.page_bytes());
    KvSequence other = pool.sequence();
    ASSERT_TRUE(compute(kSmallPages, other, scope, counting(500, 60)));
    ASSERT_TRUE(sequence.swap_in(named.spill, *id).has_value());
    EXPECT_EQ(first_wrong(kSmallPages, sequence, scope, text), 14u);
    EXPECT_EQ(named.spill.bytes_total(), 0u);
    const auto longer = counting(0, 20);
    ASSERT_TRUE(compute(kSmallPages, sequence, scope, longer));
    EXPECT_EQ(first_wrong(kSmallPages, sequence, scope, longer), 20u);
}

TEST_F(SwapTest, PagesSharedWithOtherSequencesStayWhereTheyAre) {
    const auto text = counting(0, 8), longer = counting(0, 14);
    KvSequence a = pool.sequence();
    ASSERT_TRUE(compute(kSmallPages, a, scope, text));
    KvSequence b = a.fork();
    ASSERT_TRUE(compute(kSmallPages, b, scope, longer));
    const auto id = b.swap_out(named.spill);
    ASSERT_TRUE(id.has_value());
    EXPECT_EQ(b.pages_swapped(), 2u);
    a = KvSequence();
    ASSERT_TRUE(b.swap_in(named.spill, *id).has_value());
    EXPECT_EQ(first_wrong(kSmallPages, b, scope, longer), 14u);
}

TEST_F(SwapTest, WhatTheCacheSharesCanBeEvictedMeanwhile) {
    const auto text = counting(0, 16);
    KvSequence sequence = pool.sequence();
    ASSERT_TRUE(compute(kSmallPages, sequence, scope, text));
    cache.put(scope, text, sequence);
    EXPECT_EQ(sequence.pages_owned_alone(), 4u);
    const auto id = sequence.swap_out(named.spill);
    ASSERT_TRUE(id.has_value());
    EXPECT_EQ(pool.pages_available(), 20u);
    KvSequence big = pool.sequence();
    ASSERT_TRUE(compute(kSmallPages, big, scope, counting(500, 80)));
    EXPECT_EQ(sequence.swap_in(named.spill, *id).error().code, Code::resource_exhausted);
    EXPECT_TRUE(sequence.swapped_out());
    big = KvSequence();
    ASSERT_TRUE(sequence.swap_in(named.spill, *id).has_value());
    EXPECT_EQ(first_wrong(kSmallPages, sequence, scope, text), 16u);
}

TEST_F(SwapTest, AFailureChangesNothing) {
    const auto text = counting(0, 16);
    KvSequence sequence = pool.sequence();
    ASSERT_TRUE(compute(kSmallPages, sequence, scope, text));
    SpillFile none(base::UniqueFd(::open("/dev/full", O_RDWR | O_CLOEXEC)), "full", 1u << 20);
    EXPECT_FALSE(sequence.swap_out(none).has_value());
    EXPECT_EQ(first_wrong(kSmallPages, sequence, scope, text), 16u);
    {
        const auto id = sequence.swap_out(named.spill);
        ASSERT_TRUE(id.has_value());
        std::filesystem::resize_file(named.path(), 100);
        EXPECT_EQ(sequence.swap_in(named.spill, *id).error().code, Code::data_loss);
        EXPECT_EQ(pool.pages_free(), 20u) << "pages taken for it went back";
    }
    sequence = KvSequence();
    EXPECT_EQ(named.spill.bytes_total(), 0u) << "destroyed, it drops what it spilled";
}

}  // namespace
