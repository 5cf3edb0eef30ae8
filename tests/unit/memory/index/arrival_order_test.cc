#include "memory/index/arrival_order.h"

#include <gtest/gtest.h>

namespace test {
namespace {

using memory::index::ArrivalOrder;
using Verdict = ArrivalOrder::Verdict;

TEST(ArrivalOrder, OfARowTheLaterChangeCountsWhicheverComesFirst) {
    ArrivalOrder order;
    EXPECT_EQ(order.take(1, 5), Verdict::take);
    EXPECT_EQ(order.take(2, 4), Verdict::take) << "of another row, only late";
    EXPECT_EQ(order.take(1, 3), Verdict::repeat);
    EXPECT_EQ(order.take(1, 5), Verdict::repeat);
    EXPECT_EQ(order.take(1, 6), Verdict::take);
    EXPECT_EQ(order.newest(), 6);
}

TEST(ArrivalOrder, WhatNobodyRemembersIsNotGuessed) {
    ArrivalOrder order;
    for (int i = 1; i <= 100'000; ++i) ASSERT_EQ(order.take(i, i), Verdict::take);
    EXPECT_EQ(order.take(7, 7), Verdict::too_old);
    EXPECT_EQ(order.take(99'999, 99'999), Verdict::repeat);
    EXPECT_EQ(order.take(7, 100'001), Verdict::take);
    EXPECT_LT(order.bytes(), 2'000'000u);
}

}  // namespace
}  // namespace test
