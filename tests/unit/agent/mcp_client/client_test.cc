// The client beside our own server, over HTTP, in both kinds of revisions.
#include "agent/mcp/client/client.h"

#include <gtest/gtest.h>

#include <condition_variable>

#include "agent/mcp/client/http_transport.h"
#include "agent/mcp/http_endpoint.h"
#include "base/http/server.h"
#include "unit/agent/mcp/some_features.h"

namespace {

namespace mcp = agent::mcp;
namespace json = base::json;
using Kind = mcp::Client::Kind;

class Answers final : public mcp::Host {
public:
    json::object capabilities() const override {
        return {{"elicitation", {{"form", json::object()}}}};
    }
    base::Result<json::object> answer(std::string_view, const json::object& params,
                                      const mcp::Stop&) override {
        ++asked;
        return json::object{{"action", "accept"}, {"content", {{"to", params.at("message")}}}};
    }
    void warn(std::string_view what) override { ADD_FAILURE() << what; }
    std::atomic<int> asked = 0;
};

/// `GetParam()`: the revision to speak.
class ClientBesideOurServer : public testing::TestWithParam<const char*>,
                              protected mcp_test::SomeServer {
protected:
    ClientBesideOurServer() {
        endpoint_.register_routes(http_->router());
        http_->start();
        client_ = connect(host_);
    }
    ~ClientBesideOurServer() override {
        client_.reset();
        http_->stop(std::chrono::milliseconds(0));
        endpoint_.stop();
    }
    std::unique_ptr<mcp::Client> connect(mcp::Host& host) {
        mcp::HttpTransportOptions options;
        options.url = http_->url() + "/mcp";
        mcp::ClientOptions client;
        client.revision = GetParam();
        auto made =
            mcp::Client::connect(std::make_unique<mcp::HttpTransport>(std::move(options), nullptr),
                                 host, client, clock_);
        EXPECT_TRUE(made) << made.error().message;
        return made ? *std::move(made) : nullptr;
    }

    base::SystemClock clock_;
    std::unique_ptr<base::http::Server> http_ = *base::http::Server::listen({}, clock_);
    mcp::HttpEndpoint endpoint_{server};
    Answers host_;
    std::unique_ptr<mcp::Client> client_;
};

TEST_P(ClientBesideOurServer, KnowsWhatItIs) {
    EXPECT_EQ(client_->server().info.at("name"), "some");
    EXPECT_EQ(client_->server().instructions, "be kind");
    EXPECT_TRUE(client_->server().has("tools"));
    const std::string spoken = GetParam();
    EXPECT_EQ(client_->server().revision, spoken.empty() ? "2026-07-28" : spoken);
}

TEST_P(ClientBesideOurServer, ReadsAllPages) {
    tools.more = 500;
    const auto listed = client_->list(Kind::tools);
    ASSERT_TRUE(listed) << listed.error().message;
    EXPECT_EQ(listed->size(), 505u);
    EXPECT_EQ(client_->list(Kind::resources)->size(), 1u);
}

TEST_P(ClientBesideOurServer, CallsWithProgress) {
    std::vector<json::object> progress;
    mcp::CallOptions options;
    options.progress = [&](const json::object& one) { progress.push_back(one); };
    const auto result = client_->call_tool("echo", {{"a", 1}}, options);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->at("content").at(0).at("text"), R"(default: {"a":1})");
    ASSERT_EQ(progress.size(), 1u);
    EXPECT_EQ(progress[0].at("message"), "half");
}

TEST_P(ClientBesideOurServer, AnswersWhatIsAskedBack) {
    const auto result = client_->call_tool("ask", {});
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(host_.asked, 2);
    const std::string text(result->at("content").at(0).at("text").as_string());
    EXPECT_NE(text.find(R"({"to":"name"})"), std::string::npos) << text;
    EXPECT_NE(text.find(R"({"to":"number"})"), std::string::npos) << text;
}

TEST_P(ClientBesideOurServer, SaysMarkedArgumentsInHeadersAlsoWhenItDidNotKnow) {
    const auto result = client_->call_tool("routed", {{"region", "eu"}});
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_TRUE(client_->call_tool("routed", {{"region", "us"}}));
}

TEST_P(ClientBesideOurServer, ReadsResourcesAndSaysWhatIsMissing) {
    EXPECT_EQ(client_->read_resource("note://1")->at("contents").at(0).at("text"), "one");
    const auto missing = client_->read_resource("note://2");
    ASSERT_FALSE(missing);
    EXPECT_FALSE(client_->call_tool("no-such-tool", {}));
}

TEST_P(ClientBesideOurServer, CancelsWhatTakesTooLong) {
    mcp::CallOptions options;
    options.cancelled = [this] { return tools.waiting.load(); };
    const auto result = client_->call_tool("wait", {}, options);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, base::Code::cancelled);
    while (!tools.cancelled) std::this_thread::yield();  // the server heard of it
}

TEST_P(ClientBesideOurServer, HearsOfChanges) {
    std::mutex mutex;
    std::condition_variable came;
    std::set<std::string> heard;
    mcp::ChangeFilter filter;
    filter.tools = true;
    filter.uris = {"note://1"};
    const auto listening = client_->listen(filter, [&](const mcp::Message& message) {
        const std::lock_guard lock(mutex);
        heard.insert(message.method);
        came.notify_all();
    });
    ASSERT_TRUE(listening) << listening.error().message;
    std::unique_lock lock(mutex);
    // The stream opens when it does: what changed before is not told.
    while (heard.size() < 2) {
        lock.unlock();
        endpoint_.changed({mcp::Change::Kind::tools, ""});
        endpoint_.changed({mcp::Change::Kind::resource, "note://1"});
        lock.lock();
        came.wait_for(lock, std::chrono::milliseconds(20));
    }
    EXPECT_EQ(heard, (std::set<std::string>{"notifications/tools/list_changed",
                                            "notifications/resources/updated"}));
}

TEST_P(ClientBesideOurServer, ManyCallAtOnce) {
    std::vector<std::thread> callers;
    for (int i = 0; i < 6; ++i) {
        callers.emplace_back([this, i] {
            for (int call = 0; call < 20; ++call) {
                const auto result = client_->call_tool("echo", {{"n", i * 100 + call}});
                ASSERT_TRUE(result) << result.error().message;
                EXPECT_EQ(result->at("content").at(0).at("text"),
                          json::value("default: {\"n\":" + std::to_string(i * 100 + call) + "}"));
            }
        });
    }
    for (std::thread& caller : callers) caller.join();
}

INSTANTIATE_TEST_SUITE_P(Revisions, ClientBesideOurServer,
                         testing::Values("", "2026-07-28", "2025-11-25", "2025-06-18"),
                         [](const auto& each) {
                             std::string name = each.param;
                             std::ranges::replace(name, '-', '_');
                             return name.empty() ? std::string("open") : name;
                         });

}  // namespace
