// Never another conversation's KV. DG_TORTURE_OPERATIONS runs more than the suite has time for:
//   DG_TORTURE_OPERATIONS=10000000 build/asan/tests/test_engine_kv --gtest_filter='KvTorture.*'
#include "unit/engine/kv/torture.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

namespace {

constexpr std::uint64_t kOperationsInSuite = 600'000;
constexpr std::uint64_t kOperationsOfOneWorld = 20'000;

std::uint64_t operations_wanted() {
    const char* const wanted = std::getenv("DG_TORTURE_OPERATIONS");
    return wanted == nullptr ? kOperationsInSuite : std::strtoull(wanted, nullptr, 10);
}

/// Reads what may be read from other threads, over and over, until destroyed.
class Onlooker {
public:
    explicit Onlooker(const test::KvTorture& torture)
        : thread_([this, &torture] {
              while (!stop_) {
                  torture.read_from_outside();
                  std::this_thread::yield();
              }
          }) {}
    ~Onlooker() {
        stop_ = true;
        thread_.join();
    }

private:
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

TEST(KvTorture, NeverAnotherConversationsKv) {
    const std::uint64_t wanted = operations_wanted();
    test::TortureCounts sum;
    for (std::uint64_t seed = 1; sum.operations < wanted; ++seed) {
        test::KvTorture torture(seed);
        {
            const Onlooker onlooker(torture);
            torture.run(std::min(kOperationsOfOneWorld, wanted - sum.operations));
            torture.finish();
        }
        ASSERT_FALSE(torture.error().has_value()) << *torture.error();
        sum.add(torture.counts());
    }
    fmt::print(
        "kv torture: {} operations, {} positions compared, {} takes found {} tokens, {} copies, "
        "{} pages evicted, {} forks, {} shifts, {} swaps out, {} in, {} lost, {} prefixes kept, "
        "{} times out of pages; 0 mismatches\n",
        sum.operations, sum.positions_compared, sum.takes, sum.tokens_found, sum.copies,
        sum.evicted, sum.forks, sum.shifts, sum.swaps_out, sum.swaps_in, sum.swaps_lost, sum.kept,
        sum.out_of_pages);
    // A run that never went there shows nothing.
    for (const std::uint64_t happened :
         {sum.tokens_found, sum.copies, sum.evicted, sum.forks, sum.shifts, sum.swaps_in,
          sum.swaps_lost, sum.kept, sum.out_of_pages}) {
        EXPECT_GT(happened, 0u);
    }
}

}  // namespace
