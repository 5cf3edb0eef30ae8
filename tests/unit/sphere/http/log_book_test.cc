#include "sphere/http/log_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/manual_clock.h"

namespace {

using sphere::LogBook;
using sphere::Stream;
using ::testing::HasSubstr;
using ::testing::Not;

class LogBookTest : public ::testing::Test {
protected:
    static std::string output(const LogBook& book, std::size_t entry = 0) {
        std::string all;
        const auto listing = book.listing("box");
        for (const auto& piece : listing.at(entry).at("output").as_array()) {
            all += std::string(piece.at("text").as_string());
        }
        return all;
    }
    test::ManualClock clock_;
};

TEST_F(LogBookTest, KeepsTheEndOfWhatWasPrintedAndSaysHowMuchIsGone) {
    LogBook book(clock_, {.bytes_per_exec = 10});
    LogBook::Writer writer(book, "box", {"cmd", "arg"}, false);
    writer.started(7);
    for (int i = 0; i < 10; ++i) writer.append(Stream::out, "12345");
    writer.append(Stream::err, "end");
    writer.end({.exit_code = 3});
    const auto entry = book.listing("box").at(0).as_object();
    EXPECT_EQ(output(book), "12345end");
    EXPECT_EQ(entry.at("dropped_bytes").to_number<int>(), 45);
    EXPECT_EQ(entry.at("exec").to_number<int>(), 7);
    EXPECT_EQ(entry.at("argv").as_array().size(), 2u);
    EXPECT_EQ(entry.at("result").at("exit_code").to_number<int>(), 3);
    EXPECT_TRUE(book.listing("another").empty());
}

TEST_F(LogBookTest, WhatAnUnstartedCommandPrintedComesWithItsStart) {
    LogBook book(clock_, {});
    LogBook::Writer writer(book, "box", {"cmd"}, false);
    writer.append(Stream::out, "early");
    writer.end({});
    EXPECT_TRUE(book.listing("box").empty());
    writer.started(1);
    EXPECT_EQ(output(book), "early");
    EXPECT_TRUE(book.listing("box").at(0).as_object().contains("result"));
}

TEST_F(LogBookTest, CharactersAreNeverCutAndBytesThatAreNoneAreReplaced) {
    LogBook book(clock_, {});
    LogBook::Writer writer(book, "box", {"cmd"}, false);
    writer.started(1);
    for (const char c : std::string_view("\u6587\u00e9")) writer.append(Stream::out, {&c, 1});
    writer.append(Stream::out, "\xff\xe6");
    writer.end({});
    EXPECT_EQ(output(book), "\u6587\u00e9\ufffd\ufffd");
}

TEST_F(LogBookTest, FollowersHearEveryEventOnceInOrder) {
    LogBook book(clock_, {});
    int told = 0;
    const auto follower = book.follow("box", [&] { ++told; });
    LogBook::Writer one(book, "box", {"one"}, false), two(book, "box", {"two"}, true);
    one.started(1);
    two.started(2);
    one.append(Stream::out, "a");
    auto news = book.events_after("box", 0);
    EXPECT_THAT(news.events, HasSubstr("\"argv\":[\"one\"]"));
    const auto last = news.last;
    two.append(Stream::out, "b");
    one.append(Stream::err, "c");
    two.end({});
    news = book.events_after("box", last);
    EXPECT_THAT(news.events, Not(HasSubstr("event: start")));
    EXPECT_LT(news.events.find("\"text\":\"b\""), news.events.find("\"text\":\"c\""));
    EXPECT_LT(news.events.find("\"text\":\"c\""), news.events.find("event: end"));
    EXPECT_TRUE(book.events_after("box", news.last).events.empty());
    EXPECT_EQ(told, 6);
    book.unfollow("box", follower);
    one.end({});
    EXPECT_EQ(told, 6);
}

TEST_F(LogBookTest, ASecretIsTakenOutHoweverItIsCut) {
    const auto scrub = [](const std::string&, std::string_view text) {
        std::string out(text);
        for (std::size_t at = 0; (at = out.find("hunter2")) != std::string::npos;) {
            out.replace(at, 7, "[secret]");
        }
        return out;
    };
    LogBook book(clock_, {.scrub = scrub});
    LogBook::Writer writer(book, "box", {"login", "hunter2"}, false);
    writer.started(1);
    for (const char c : std::string_view("pass hunter2\nand hunter2")) {
        writer.append(Stream::out, {&c, 1});
        EXPECT_THAT(output(book), Not(HasSubstr("hunter2")));
    }
    writer.end({});
    EXPECT_EQ(output(book), "pass [secret]\nand [secret]");
    EXPECT_EQ(book.listing("box").at(0).at("argv").at(1).as_string(), "[secret]");
}

TEST_F(LogBookTest, CommandsAndBoxesAreBounded) {
    LogBook book(clock_, {.execs_per_box = 3, .boxes_max = 2});
    for (int i = 1; i <= 5; ++i) LogBook::Writer(book, "box", {"cmd"}, false).started(i);
    ASSERT_EQ(book.listing("box").size(), 3u);
    EXPECT_EQ(book.listing("box").at(0).at("exec").to_number<int>(), 3);
    LogBook::Writer(book, "second", {"cmd"}, false).started(1);
    LogBook::Writer(book, "third", {"cmd"}, false).started(1);
    EXPECT_TRUE(book.listing("box").empty());
    EXPECT_EQ(book.listing("third").size(), 1u);
}

}  // namespace
