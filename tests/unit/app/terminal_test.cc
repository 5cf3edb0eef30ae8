#include <gtest/gtest.h>

#include "app/terminal/progress_bar.h"

namespace app {
namespace {

TEST(ProgressLine, ShowsShareRateAndTimeLeft) {
    const std::string line = progress_line("pull", 50 << 20, 100 << 20, 10.0 * (1 << 20), 100);
    EXPECT_NE(line.find(" 50 %"), std::string::npos) << line;
    EXPECT_NE(line.find("10.0 MiB/s"), std::string::npos) << line;
    EXPECT_NE(line.find("5 s left"), std::string::npos) << line;
}

TEST(ProgressLine, FitsTheTerminalAndBearsUnknownTotals) {
    for (const std::size_t width : {40u, 60u, 80u, 200u}) {
        for (const std::uint64_t total : {0ull, 1ull, 1ull << 40}) {
            EXPECT_LE(progress_line("a label", 1 << 20, total, 5, width).size(), width);
        }
    }
}

TEST(Format, BytesAndSecondsAreReadable) {
    EXPECT_EQ(format_bytes(987), "987 B");
    EXPECT_EQ(format_bytes(1536), "1.5 KiB");
    EXPECT_EQ(format_seconds(3.4), "3 s");
    EXPECT_EQ(format_seconds(125), "2 min 5 s");
    EXPECT_EQ(format_seconds(3840), "1 h 4 min");
}

}  // namespace
}  // namespace app
