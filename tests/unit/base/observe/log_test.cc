#include "base/log/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include <boost/json.hpp>

namespace {

using namespace base::log;
using testing::EndsWith;
using testing::HasSubstr;

struct LogTest : testing::Test {
    void make(Format format, Level level = Level::debug) {
        Options options;
        options.format = format;
        options.level = level;
        options.sink = [this](std::string_view line) { lines.emplace_back(line); };
        logger = std::move(*Logger::create(std::move(options)));
    }
    std::vector<std::string> lines;
    std::unique_ptr<Logger> logger;
};

TEST_F(LogTest, JsonLinesHaveFieldsOfTheirTypes) {
    make(Format::json);
    logger->warn("it's \"quoted\"\nand split",
                 {{"text", "a\tb"}, {"count", 7}, {"share", 0.5}, {"ok", true}, {"neg", -3L}},
                 "0af7651916cd43dd8448eb211c80319c");
    ASSERT_EQ(lines.size(), 1U);
    const auto line = boost::json::parse(lines[0]).as_object();
    EXPECT_EQ(line.at("level").as_string(), "warn");
    EXPECT_EQ(line.at("message").as_string(), "it's \"quoted\"\nand split");
    EXPECT_EQ(line.at("trace_id").as_string(), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(line.at("text").as_string(), "a\tb");
    EXPECT_EQ(line.at("count").as_int64(), 7);
    EXPECT_EQ(line.at("share").as_double(), 0.5);
    EXPECT_EQ(line.at("ok").as_bool(), true);
    EXPECT_EQ(line.at("neg").as_int64(), -3);
    EXPECT_THAT(std::string(line.at("time").as_string()), EndsWith("Z"));
    EXPECT_EQ(lines[0].find('\n'), std::string::npos) << "one event is one line";
}

TEST_F(LogTest, TextLinesQuoteOnlyWhatNeedsIt) {
    make(Format::text);
    logger->info("started", {{"url", "http://x/y"}, {"name", "two words"}, {"empty", ""}});
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_THAT(lines[0], EndsWith(R"(info  started url=http://x/y name="two words" empty="")"));
}

TEST_F(LogTest, LevelsBelowTheThresholdCostNothingAndSayNothing) {
    make(Format::json, Level::warn);
    logger->info("no");
    logger->debug("no");
    EXPECT_FALSE(logger->enabled(Level::info));
    logger->error("yes");
    EXPECT_EQ(lines.size(), 1U);
}

TEST_F(LogTest, NoneDropsEverything) {
    EXPECT_FALSE(Logger::none().enabled(Level::error));
    Logger::none().error("nothing happens");
}

TEST_F(LogTest, WritesToAFileAndNamesOneItCannotOpen) {
    const std::string path = testing::TempDir() + "dougong_log_test.log";
    std::remove(path.c_str());
    Options options;
    options.file = path;
    {
        auto file_logger = Logger::create(options);
        ASSERT_TRUE(file_logger) << file_logger.error().message;
        (*file_logger)->info("hello", {{"n", 1}});
    }
    std::ifstream file(path);
    std::string line;
    ASSERT_TRUE(std::getline(file, line));
    EXPECT_THAT(line, HasSubstr(R"("message":"hello","n":1})"));
    std::remove(path.c_str());
    options.file = "/proc/cannot/be/a/log";
    const auto refused = Logger::create(options);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().subject, options.file);
}

TEST(LogLevel, ParsesNamesAndListsThemOtherwise) {
    EXPECT_EQ(parse_level("warn").value(), Level::warn);
    EXPECT_THAT(parse_level("loud").error().message, HasSubstr("debug, info, warn, error"));
}

}  // namespace
