#include "flow/observe/token_streams.h"

#include <gtest/gtest.h>

#include "base/http/local_answer.h"
#include "unit/flow/observe/runtime_fixture.h"

namespace {

using namespace flow_test;
using base::http::LocalAnswer;

constexpr std::string_view kTalk =
    "name: talk\nsteps: [{id: say, llm: {prompt: \"hello\"}, retry: {attempts: 2, backoff: 1ms}}]";

struct Seen {
    std::string id, event;
    json::object data;
};

class TokenStreamsTest : public RuntimeTest {
protected:
    TokenStreamsTest() : streams_(std::make_unique<flow::TokenStreams>(clock_)) {
        streams_->attach(*runtime_);
        deploy(kTalk);
    }
    ~TokenStreamsTest() override { streams_->detach(); }
    void restart() {
        streams_->detach();
        halt();
        streams_ = std::make_unique<flow::TokenStreams>(clock_);
        boot();
        streams_->attach(*runtime_);
    }
    std::shared_ptr<LocalAnswer> reader(flow::RunId run, std::string_view last = "") {
        auto answer = std::make_shared<LocalAnswer>();
        streams_->open_step(run, "say", last, answer);
        return answer;
    }
    /// What was written by now.
    static std::vector<Seen> seen(LocalAnswer& answer) {
        return frames(answer.next().value_or(""));
    }
    /// All that comes until the stream ends.
    static std::vector<Seen> to_end(LocalAnswer& answer) {
        std::string text;
        while (auto more = answer.next()) text += *more;
        return frames(std::move(text));
    }
    static std::vector<Seen> frames(std::string text) {
        std::vector<Seen> out;
        for (std::size_t end; (end = text.find("\n\n")) != std::string::npos;
             text.erase(0, end + 2)) {
            Seen one;
            std::string frame = text.substr(0, end + 1);
            for (std::size_t line; (line = frame.find('\n')) != std::string::npos;
                 frame.erase(0, line + 1)) {
                const std::string each = frame.substr(0, line);
                if (each.starts_with("id: ")) one.id = each.substr(4);
                if (each.starts_with("event: ")) one.event = each.substr(7);
                if (each.starts_with("data: "))
                    one.data = base::parse_json(each.substr(6))->as_object();
            }
            out.push_back(std::move(one));
        }
        return out;
    }
    static std::string text_of(const std::vector<Seen>& all) {
        std::string out;
        for (const Seen& one : all) {
            if (one.event == "token") out += std::string(one.data.at("text").as_string());
        }
        return out;
    }

    std::unique_ptr<flow::TokenStreams> streams_;
};

TEST_F(TokenStreamsTest, TokensComeAsTheyAreSaidAndAReconnectGoesOn) {
    const flow::RunId run = start("talk");
    auto held = calls_.next();
    const auto early = reader(run);
    const auto call = streams_->begin(run, "say", 1);
    call->write("Once ");
    call->write("upon ");
    const auto first = seen(*early);
    ASSERT_EQ(first.size(), 3u);
    EXPECT_EQ(first[0].event, "attempt");
    EXPECT_EQ(text_of(first), "Once upon ");
    early->close();
    call->write("a ");
    const auto again = reader(run, first[1].id);  // it has "Once "
    call->write("time");
    held.done(flow::StepOutput{json::object{{"text", "Once upon a time"}}, 4, 0});
    const auto rest = to_end(*again);
    EXPECT_EQ(text_of(rest), "upon a time");
    EXPECT_EQ(rest.front().event, "token");  // the same call: nothing begins anew
    EXPECT_EQ(rest.front().data.at("index").to_number<int>(), 1);
    EXPECT_EQ(rest.back().event, "done");
    EXPECT_EQ(rest.back().data.at("output").at("text").as_string(), "Once upon a time");
    const auto late = to_end(*reader(run));
    ASSERT_EQ(late.size(), 1u);
    EXPECT_EQ(late[0].data.at("status").as_string(), "done");
}

TEST_F(TokenStreamsTest, AnotherAttemptSaysSo) {
    const flow::RunId run = start("talk");
    auto held = calls_.next();
    const auto answer = reader(run);
    streams_->begin(run, "say", 1)->write("Onc");
    held.done(base::fail(base::Code::unavailable, "broke off"));
    auto second = calls_.next();
    EXPECT_EQ(second.call.attempt, 2u);
    streams_->begin(run, "say", 2)->write("Once");
    second.done(flow::StepOutput{"Once", 1, 0});
    const auto all = to_end(*answer);
    ASSERT_EQ(all.size(), 5u);
    EXPECT_EQ(all[2].event, "attempt");
    EXPECT_EQ(all[2].data.at("attempt").to_number<int>(), 2);
    EXPECT_EQ(all[3].data.at("index").to_number<int>(), 0);
}

TEST_F(TokenStreamsTest, AfterACrashTheAttemptIsAnotherCall) {
    const flow::RunId run = start("talk");
    calls_.next();
    const auto before = reader(run);
    const auto call = streams_->begin(run, "say", 1);
    call->write("Once ");
    const auto first = seen(*before);
    restart();
    auto held = calls_.next();
    EXPECT_EQ(held.call.attempt, 1u);
    streams_->begin(run, "say", 1)->write("Twice ");
    const auto after = reader(run, first.back().id);
    held.done(flow::StepOutput{"Twice ", 1, 0});
    const auto rest = to_end(*after);
    ASSERT_EQ(rest.size(), 3u);
    EXPECT_EQ(rest[0].event, "attempt");
    EXPECT_NE(rest[0].data.at("call"), first[0].data.at("call"));
    EXPECT_EQ(text_of(rest), "Twice ");
}

TEST_F(TokenStreamsTest, AReaderThatIsGoneIsForgottenAndTheTextIsBounded) {
    const flow::RunId run = start("talk");
    auto held = calls_.next();
    const auto gone = reader(run);
    const auto call = streams_->begin(run, "say", 1);
    gone->close();
    const std::string token(1'000, 'x');
    for (std::size_t i = 0; i < 2'000; ++i) call->write(token);
    const auto late = reader(run);
    call->write("end");
    held.done(flow::StepOutput{"x", 1, 0});
    const auto all = to_end(*late);
    ASSERT_EQ(all.size(), 4u);
    EXPECT_LE(all[1].data.at("text").as_string().size(), flow::TokenStreams::kTextBytesMax);
    EXPECT_EQ(all[2].data.at("index").to_number<int>(), 2'000);  // the gap shows
    EXPECT_EQ(all[3].event, "done");
}

TEST_F(TokenStreamsTest, WhoWatchesTheRunReadsAlong) {
    const flow::RunId run = start("talk");
    auto held = calls_.next();
    const auto call = streams_->begin(run, "say", 1);
    call->write("Once ");
    const auto watcher = std::make_shared<LocalAnswer>();
    streams_->join(run, watcher);
    (void)runtime_->stats();  // it has joined
    call->write("upon");
    const auto all = seen(*watcher);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(text_of(all), "Once upon");
    for (const Seen& one : all) EXPECT_EQ(one.id, "") << "ids are those of durable events";
    held.done(flow::StepOutput{"x", 1, 0});
    end_of(run);
}

TEST_F(TokenStreamsTest, OfAStepThatIsCancelledEndAndUnknownOnesAreRefused) {
    const flow::RunId run = start("talk");
    auto held = calls_.next();
    const auto answer = reader(run);
    ASSERT_TRUE(runtime_->cancel(run, "enough").has_value());
    const auto all = to_end(*answer);
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].data.at("status").as_string(), "cancelled");
    auto wrong = std::make_shared<LocalAnswer>();
    streams_->open_step(run, "sing", "", wrong);
    EXPECT_EQ(wrong->take().status, 404);
}

}  // namespace
