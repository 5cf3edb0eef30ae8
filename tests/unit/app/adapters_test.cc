// The small parts between planes: event streams, the service manager, the engine behind the
// gateway's port.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "app/embedded_files.h"
#include "app/engine_backend.h"
#include "app/measure.h"
#include "app/service_manager.h"
#include "app/sse.h"
#include "base/core/rng.h"
#include "base/files/files.h"
#include "base/files/unique_fd.h"

namespace app {
namespace {

using base::Code;

std::vector<std::string> events_of(std::string_view stream, std::size_t piece) {
    std::vector<std::string> events;
    SseParser parser([&](std::string_view data) { events.emplace_back(data); });
    for (std::size_t at = 0; at < stream.size(); at += piece) {
        EXPECT_TRUE(parser.feed(stream.substr(at, piece)));
    }
    return events;
}

TEST(SseParser, CutsTheSameEventsHoweverTheBytesArrive) {
    const std::string stream =
        ": hello\n\ndata: one\n\ndata:two\r\ndata: lines\r\n\r\nevent: x\nid: 3\ndata: [DONE]\n\n"
        "data: unfinished";
    const std::vector<std::string> expected = {"one", "two\nlines", "[DONE]"};
    for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
        EXPECT_EQ(events_of(stream, piece), expected) << piece;
    }
}

TEST(SseParser, RefusesAnEventWithoutEnd) {
    SseParser parser([](std::string_view) { FAIL() << "there is no event"; });
    const std::string piece(1 << 20, 'x');
    std::size_t taken = 0;
    while (taken <= SseParser::kEventBytesMax && parser.feed(piece)) taken += piece.size();
    EXPECT_LE(taken, SseParser::kEventBytesMax);
}

TEST(ServiceManager, SendsOneDatagramAndIsSilentWithoutASocket) {
    EXPECT_TRUE(ServiceManager("").notify("READY=1"));
    EXPECT_FALSE(ServiceManager("/nowhere/notify").notify("READY=1"));
    EXPECT_FALSE(ServiceManager(std::string(200, 'x')).notify("READY=1"));

    const auto dir = base::TemporaryDir::create("/tmp", "dougong-notify");
    ASSERT_TRUE(dir);
    const std::string path = dir->path() + "/socket";
    const base::UniqueFd listener(::socket(AF_UNIX, SOCK_DGRAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    EXPECT_TRUE(ServiceManager(path).notify("READY=1"));
    char buffer[64];
    const ssize_t got = ::recv(listener.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0))), "READY=1");
}

TEST(Median, IsTheMiddle) {
    EXPECT_EQ(median({}), 0);
    EXPECT_EQ(median({3}), 3);
    EXPECT_EQ(median({9, 1, 5}), 5);
    EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
}

class Collect final : public gate::GenerationListener {
public:
    void on_delta(const gate::TokenDelta& delta) override {
        const std::lock_guard lock(mutex_);
        text_ += delta.text;
    }
    void on_end(const gate::GenerationEnd& end) override {
        const std::lock_guard lock(mutex_);
        end_ = end;
        done_.notify_all();
    }
    gate::GenerationEnd wait() {
        std::unique_lock lock(mutex_);
        done_.wait(lock, [&] { return end_.has_value(); });
        return *end_;
    }
    std::string text() {
        const std::lock_guard lock(mutex_);
        return text_ + end_->text;
    }

private:
    std::mutex mutex_;
    std::condition_variable done_;
    std::string text_;
    std::optional<gate::GenerationEnd> end_;
};

class Backend : public ::testing::Test {
protected:
    void SetUp() override {
        auto engine = engine::Engine::open(DG_SOURCE_DIR "/assets/stories260K-f16.gguf",
                                           {.threads = 1}, clock_);
        ASSERT_TRUE(engine) << engine.error().message;
        backend_.add("tiny", *std::move(engine), 9);
        backend_.set_ready();
    }
    void TearDown() override { backend_.close(); }

    static gate::GenerationRequest greedy(std::uint32_t max_tokens) {
        gate::GenerationRequest request;
        request.model = "tiny";
        request.prompt.text = "Once upon a time";
        request.sampling.temperature = 0;
        request.max_tokens = max_tokens;
        return request;
    }

    base::SystemClock clock_;
    EngineBackend backend_{clock_};
};

TEST_F(Backend, StreamsTextAndTimesInOrder) {
    const auto listener = std::make_shared<Collect>();
    ASSERT_TRUE(backend_.start(greedy(20), listener));
    const gate::GenerationEnd end = listener->wait();
    EXPECT_EQ(end.finish, gate::Finish::length);
    EXPECT_EQ(end.completion_tokens, 20u);
    EXPECT_NE(listener->text().find("there was"), std::string::npos) << listener->text();
    EXPECT_LE(end.received, end.templated);
    EXPECT_LE(end.templated, end.started);
    EXPECT_LE(end.started, end.first_token);
    EXPECT_LE(end.first_token, end.finished);
}

TEST_F(Backend, ARequestWithoutALimitGetsTheDefault) {
    const auto listener = std::make_shared<Collect>();
    ASSERT_TRUE(backend_.start(greedy(0), listener));
    EXPECT_EQ(listener->wait().completion_tokens, 9u);
}

TEST_F(Backend, ChatWithoutATemplateIsPlainText) {
    gate::GenerationRequest chat = greedy(12);
    chat.prompt.text.reset();
    chat.prompt.messages = base::json::array{
        {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "Once upon a time"}}}}}};
    const auto from_chat = std::make_shared<Collect>(), from_text = std::make_shared<Collect>();
    ASSERT_TRUE(backend_.start(std::move(chat), from_chat));
    ASSERT_TRUE(backend_.start(greedy(12), from_text));
    from_chat->wait();
    from_text->wait();
    EXPECT_EQ(from_chat->text(), from_text->text());
}

TEST_F(Backend, UnknownModelsAndTokensAreNamed) {
    gate::GenerationRequest request = greedy(1);
    request.model = "nobody";
    const auto unknown = backend_.start(request, std::make_shared<Collect>());
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Code::not_found);
    request = greedy(1);
    request.prompt.text.reset();
    request.prompt.tokens = {{1, 512}};
    const auto outside = backend_.start(request, std::make_shared<Collect>());
    ASSERT_FALSE(outside);
    EXPECT_EQ(outside.error().code, Code::invalid_argument);
    EXPECT_FALSE(backend_.tokenize("nobody", "x", true));
}

TEST_F(Backend, TokensGoThereAndBack) {
    const auto tokens = backend_.tokenize("tiny", "Once upon a time", false);
    ASSERT_TRUE(tokens);
    const auto text = backend_.detokenize("tiny", *tokens);
    ASSERT_TRUE(text);
    EXPECT_EQ(*text, "Once upon a time");
}

TEST_F(Backend, AfterCloseNothingIsServed) {
    backend_.close();
    EXPECT_FALSE(backend_.ready());
    EXPECT_TRUE(backend_.models().empty());
    const auto late = backend_.start(greedy(1), std::make_shared<Collect>());
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Code::unavailable);
}

TEST_F(Backend, MeasuresItsPhases) {
    auto engine =
        engine::Engine::open(DG_SOURCE_DIR "/assets/stories260K-f16.gguf", {.threads = 1}, clock_);
    ASSERT_TRUE(engine);
    base::Rng rng(1);
    const auto times = measure_request(**engine, random_prompt((*engine)->tokenizer(), 30, rng), 5,
                                       [] { return false; });
    ASSERT_TRUE(times) << times.error().message;
    EXPECT_EQ(times->prompt_tokens, 30u);
    EXPECT_EQ(times->completion_tokens, 5u);
    EXPECT_GT(times->prefill_s, 0);
    EXPECT_GT(times->decode_s, 0);
}

}  // namespace
}  // namespace app
