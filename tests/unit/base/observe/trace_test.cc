#include "base/trace/trace.h"

#include <gtest/gtest.h>

#include "support/seeds.h"

namespace {

using namespace base::trace;

constexpr std::string_view kValid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(Traceparent, RoundTrips) {
    const auto context = parse_traceparent(kValid);
    ASSERT_TRUE(context);
    EXPECT_TRUE(context->sampled);
    EXPECT_EQ(to_hex(context->trace_id), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(to_hex(context->span_id), "b7ad6b7169203331");
    EXPECT_EQ(format_traceparent(*context), kValid);
    EXPECT_FALSE(
        parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")->sampled);
}

TEST(Traceparent, HigherVersionsMayBeLonger) {
    EXPECT_TRUE(parse_traceparent("cc" + std::string(kValid.substr(2)) + "-what-comes-later"));
    EXPECT_TRUE(parse_traceparent("cc" + std::string(kValid.substr(2))));
    EXPECT_FALSE(parse_traceparent("cc" + std::string(kValid.substr(2)) + "x"));
}

TEST(Traceparent, WrongOnesAreRefused) {
    for (const std::string_view wrong :
         {"", "00", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
          "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
          "00-00000000000000000000000000000000-b7ad6b7169203331-01",
          "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
          "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
          "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"}) {
        EXPECT_FALSE(parse_traceparent(wrong)) << wrong;
    }
}

TEST(Traceparent, NoMutationCrashesOrInventsAnId) {
    test::for_each_seed(2000, [](base::Rng& rng) {
        std::string text(kValid);
        for (std::uint64_t edits = rng.below(4); edits > 0; --edits) {
            text[rng.below(text.size())] = static_cast<char>(rng.below(256));
        }
        text.resize(text.size() - rng.below(3));
        const auto context = parse_traceparent(text);
        if (!context) return;
        const auto again = parse_traceparent(format_traceparent(*context));
        ASSERT_TRUE(again);
        EXPECT_EQ(again->trace_id, context->trace_id);
        EXPECT_EQ(again->span_id, context->span_id);
    });
}

TEST(Tracestate, AcceptsTheStandardsExamples) {
    EXPECT_TRUE(valid_tracestate(""));
    EXPECT_TRUE(valid_tracestate("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
    EXPECT_TRUE(valid_tracestate("fw529a3039@dt=FfAt , a/b-c_d*=x y"));
    EXPECT_FALSE(valid_tracestate("Upper=1"));
    EXPECT_FALSE(valid_tracestate("novalue"));
    EXPECT_FALSE(valid_tracestate("a=1,a=2"));
    EXPECT_FALSE(valid_tracestate("a=b=c"));
    std::string many;
    for (int i = 0; i < 33; ++i) many += "k" + std::to_string(i) + "=v,";
    EXPECT_FALSE(valid_tracestate(many));
}

TEST(NewContext, KeepsTheTraceAndMakesANewSpan) {
    base::Rng rng(1);
    const Context root = new_context(rng, std::nullopt);
    const Context child = new_context(rng, root);
    EXPECT_EQ(child.trace_id, root.trace_id);
    EXPECT_NE(child.span_id, root.span_id);
    EXPECT_NE(root.trace_id, TraceId{});
    EXPECT_NE(new_context(rng, std::nullopt).trace_id, root.trace_id);
}

}  // namespace
