#include "base/core/result.h"

#include <gtest/gtest.h>

namespace {

base::Result<int> half(int value) {
    if (value % 2 != 0) return base::fail(base::Code::invalid_argument, "{} is odd", value);
    return value / 2;
}

base::Result<int> quarter(int value) {
    return DG_TRY(half(DG_TRY(half(value))));
}

TEST(Result, TryUnwrapsValues) {
    EXPECT_EQ(quarter(12).value(), 3);
}

TEST(Result, TryReturnsTheFirstError) {
    const auto result = quarter(6);
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, base::Code::invalid_argument);
    EXPECT_EQ(result.error().message, "3 is odd");
}

TEST(Result, ContextGoesBeforeTheMessage) {
    auto result = half(3);
    const base::Error error = std::move(result).error().with_context("model.gguf");
    EXPECT_EQ(error.message, "model.gguf: 3 is odd");
}

}  // namespace
