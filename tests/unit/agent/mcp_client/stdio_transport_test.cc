#include "agent/mcp/client/stdio_transport.h"

#include <gtest/gtest.h>

#include <atomic>
#include <csignal>

namespace {

namespace mcp = agent::mcp;
using base::Code;

/// A server that is a few lines of shell.
std::unique_ptr<mcp::StdioTransport> shell(
    const std::string& script, std::vector<std::string> environment = {},
    std::size_t message_bytes_max = 1 << 20,
    std::chrono::milliseconds patience = std::chrono::seconds(10)) {
    std::signal(SIGPIPE, SIG_IGN);
    mcp::StdioTransportOptions options;
    options.command = {"/bin/sh", "-c", script};
    options.environment = std::move(environment);
    options.environment.emplace_back("PATH=/usr/bin:/bin");
    options.message_bytes_max = message_bytes_max;
    options.patience = patience;
    auto started = mcp::StdioTransport::start(std::move(options));
    EXPECT_TRUE(started) << started.error().message;
    return *std::move(started);
}

base::Result<mcp::Answer> ask(mcp::StdioTransport& transport) {
    return transport.ask({.message = mcp::request_of(1, "x", {})}, [] { return std::nullopt; });
}

constexpr const char* kAnswer = R"(read line; echo '{"jsonrpc":"2.0","id":1,"result":{}}'; cat)";

TEST(StdioTransport, AsksAndIsAnswered) {
    const auto transport = shell(kAnswer);
    const auto answer = ask(*transport);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_TRUE(answer->outcome.contains("result"));
}

TEST(StdioTransport, GivesItsChildNoOtherEnvironment) {
    ::setenv("DOUGONG_SECRET", "1", 1);
    const auto transport = shell(
        R"(read line; echo "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"s\":\"$DOUGONG_SECRET$MINE\"}}"; cat)",
        {"MINE=2"});
    const auto answer = ask(*transport);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->outcome.at("result").at("s"), "2");
}

TEST(StdioTransport, LinesThatAreNoMessagesAreLeftOut) {
    const auto transport = shell(std::string("echo starting up; ") + kAnswer);
    std::atomic<int> warned = 0;
    transport->set_warn([&](const std::string&) { ++warned; });
    const auto answer = ask(*transport);
    ASSERT_TRUE(answer) << answer.error().message;
}

TEST(StdioTransport, AServerThatOnlyTalksIsGivenUp) {
    const auto transport =
        shell("while echo no message; do :; done", {}, 1 << 20, std::chrono::milliseconds(100));
    const auto answer = ask(*transport);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::data_loss);
}

TEST(StdioTransport, ALineHasALimit) {
    const auto transport = shell("read line; while printf aaaaaaaaaaaaaaaaaaaa; do :; done", {},
                                 1000, std::chrono::milliseconds(100));
    const auto answer = ask(*transport);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::payload_too_large);
}

TEST(StdioTransport, ItsLastWordsSayWhyItEnded) {
    const auto transport = shell("read line; echo 'no such database' >&2; exit 3");
    const auto answer = ask(*transport);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::unavailable);
    EXPECT_NE(answer.error().message.find("no such database"), std::string::npos);
}

TEST(StdioTransport, ItsLastWordsAreKnownAlsoWhenItNeverRead) {
    for (int round = 0; round < 20; ++round) {
        const auto transport = shell("echo 'no license' >&2; exit 3");
        const auto answer = ask(*transport);
        ASSERT_FALSE(answer);
        EXPECT_NE(answer.error().message.find("no license"), std::string::npos)
            << answer.error().message;
    }
}

TEST(StdioTransport, AMissingProgramIsNamed) {
    mcp::StdioTransportOptions options;
    options.command = {"no-such-program-anywhere"};
    const auto started = mcp::StdioTransport::start(std::move(options));
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, Code::not_found);
}

TEST(StdioTransport, AServerThatDoesNotWantToEndIsEnded) {
    // Deaf to a closed input and to SIGTERM, with a child of its own: close() still returns.
    const auto transport = shell(
        R"(trap '' TERM; (sleep 1000) & read line; echo '{"jsonrpc":"2.0","id":1,"result":{}}'; while :; do sleep 1000; done)",
        {}, 1 << 20, std::chrono::milliseconds(100));
    ASSERT_TRUE(ask(*transport));
    transport->close();
    const auto answer = ask(*transport);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::cancelled);
}

TEST(StdioTransport, WhoAsksMayStop) {
    const auto transport = shell("cat >/dev/null");
    std::atomic<int> asked = 0;
    const auto answer = transport->ask({.message = mcp::request_of(1, "x", {})},
                                       [&]() -> std::optional<base::Error> {
                                           ++asked;
                                           return base::Error{Code::cancelled, "enough", ""};
                                       });
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Code::cancelled);
    EXPECT_EQ(asked, 1);
}

}  // namespace
