#include "base/http/server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include "support/raw_client.h"
#include "support/seeds.h"

namespace {

using namespace base::http;
using namespace std::chrono_literals;
using test::RawClient;

class ServerTest : public testing::Test {
protected:
    void start(ServerOptions options = {}) {
        auto listening = Server::listen(std::move(options), clock_);
        ASSERT_TRUE(listening) << listening.error().message;
        server_ = std::move(*listening);
        Router& router = server_->router();
        router.add("GET", "/hello", [](const Request&, const ResponderPtr& to) {
            to->send(text_response(200, "text/plain", "hello"));
        });
        router.add("POST", "/echo/{name}", [](const Request& request, const ResponderPtr& to) {
            to->send(text_response(
                200, "text/plain",
                std::string(request.param("name")) + ":" + request.query + ":" + request.body));
        });
        router.add("GET", "/keep",
                   [this](const Request&, const ResponderPtr& to) { kept_.set_value(to); });
        router.add("GET", "/drop", [](const Request&, const ResponderPtr&) {});
        router.add("GET", "/throw", [](const Request&, const ResponderPtr&) {
            throw std::runtime_error("out of something");
        });
        router.add("GET", "/later", [this](const Request&, const ResponderPtr& to) {
            threads_.emplace_back([to] { to->send(text_response(200, "text/plain", "later")); });
        });
        server_->start();
    }
    void TearDown() override {
        for (std::thread& thread : threads_) thread.join();
        if (server_) server_->stop(0ms);
    }

    /// The responder of a GET /keep that `client` has sent.
    ResponderPtr keep(RawClient& client) {
        client.send("GET /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return kept_.get_future().get();
    }
    static std::shared_ptr<std::promise<void>> watch(const ResponderPtr& responder) {
        auto closed = std::make_shared<std::promise<void>>();
        responder->on_closed([closed] { closed->set_value(); });
        return closed;
    }
    static bool happens(const std::shared_ptr<std::promise<void>>& event) {
        return event->get_future().wait_for(60s) == std::future_status::ready;
    }
    std::uint16_t port() const { return server_->port(); }

    const base::SystemClock clock_;
    std::unique_ptr<Server> server_;
    std::promise<ResponderPtr> kept_;
    std::vector<std::thread> threads_;
};

ServerOptions with(ServerLimits limits) {
    ServerOptions options;
    options.limits = limits;
    return options;
}

TEST_F(ServerTest, AStreamOfKnownLengthIsWholeOrCut) {
    start();
    for (const std::string_view body : {"12345", "1234", "123456"}) {
        kept_ = {};
        RawClient client(port());
        const ResponderPtr responder = keep(client);
        responder->begin_stream(200, {{"Content-Length", "5"}});
        responder->write(body);
        responder->end();
        const auto response = client.read_response();
        EXPECT_EQ(response.complete, body.size() == 5) << body;
        if (body.size() != 5) continue;
        EXPECT_EQ(client.request("GET", "/hello").body, "hello");
    }
}

TEST_F(ServerTest, AHeadOfAStreamOfKnownLengthTellsItAndSendsNone) {
    start();
    RawClient client(port());
    client.send("HEAD /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const ResponderPtr responder = kept_.get_future().get();
    responder->begin_stream(200, {{"Content-Length", "5"}});
    EXPECT_EQ(client.read_response(true).header("Content-Length"), "5");
    EXPECT_EQ(client.request("GET", "/hello").body, "hello");
}

TEST_F(ServerTest, KeepsTheConnectionForTheNextRequest) {
    start();
    RawClient client(port());
    for (int i = 0; i < 3; ++i) {
        const auto response = client.request("GET", "/hello");
        EXPECT_EQ(response.status, 200);
        EXPECT_EQ(response.body, "hello");
        EXPECT_EQ(response.header("Connection"), "keep-alive");
        EXPECT_FALSE(response.header("Date").empty());
    }
    EXPECT_EQ(server_->stats().connections_total, 1U);
    EXPECT_EQ(server_->stats().requests_total, 3U);
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrderAlsoWhenTheFirstAnswersLater) {
    start();
    RawClient client(port());
    client.send(
        "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\nGET /hello HTTP/1.1\r\nHost: "
        "localhost\r\n\r\n"
        "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi");
    EXPECT_EQ(client.read_response().body, "later");
    EXPECT_EQ(client.read_response().body, "hello");
    EXPECT_EQ(client.read_response().body, "x::hi");
}

TEST_F(ServerTest, ARequestSentWhileTheFirstIsInProgressIsAnsweredAfterIt) {
    start();
    RawClient client(port());
    const ResponderPtr responder = keep(client);
    client.send("GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n");
    responder->send(text_response(200, "text/plain", "first"));
    EXPECT_EQ(client.read_response().body, "first");
    EXPECT_EQ(client.read_response().body, "hello");
}

TEST_F(ServerTest, DecodesPathParametersAndBodies) {
    start();
    RawClient client(port());
    EXPECT_EQ(client.request("POST", "/echo/a%20b?x=1", "body").body, "a b:x=1:body");
    client.send(
        "POST /echo/c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n4;ext=1\r\ndefg\r\n0\r\n\r\n");
    EXPECT_EQ(client.read_response().body, "c::abcdefg");
    EXPECT_EQ(client.request("GET", "http://any.host/hello").body, "hello");
}

TEST_F(ServerTest, ContinuesOnRequest) {
    start();
    RawClient client(port());
    client.send(
        "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: "
        "3\r\n\r\n");
    EXPECT_EQ(client.read_response().status, 100);
    client.send("abc");
    EXPECT_EQ(client.read_response().body, "x::abc");
}

TEST_F(ServerTest, HeadHasNoBodyAndOptionsAndWrongMethodsNameWhatIsAllowed) {
    start();
    RawClient client(port());
    const auto head = client.request("HEAD", "/hello");
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.header("Content-Length"), "5");
    const auto options = client.request("OPTIONS", "/hello");
    EXPECT_EQ(options.status, 204);
    EXPECT_EQ(options.header("Allow"), "GET, HEAD, OPTIONS");
    const auto wrong = client.request("DELETE", "/hello");
    EXPECT_EQ(wrong.status, 405);
    EXPECT_EQ(wrong.header("Allow"), "GET, HEAD, OPTIONS");
    EXPECT_EQ(client.request("GET", "/nothing").status, 404);
}

TEST_F(ServerTest, CorsIsOffUnlessAsked) {
    start();
    RawClient client(port());
    const auto response = client.request("GET", "/hello", {}, "Origin: http://a.example\r\n");
    EXPECT_EQ(response.header("Access-Control-Allow-Origin"), "");
}

TEST_F(ServerTest, CorsAnswersListedOriginsOnly) {
    ServerOptions options;
    options.cors_origins = {"http://a.example"};
    start(options);
    RawClient client(port());
    const auto preflight =
        client.request("OPTIONS", "/echo/x", {},
                       "Origin: http://a.example\r\nAccess-Control-Request-Method: POST\r\n"
                       "Access-Control-Request-Headers: content-type\r\n");
    EXPECT_EQ(preflight.status, 204);
    EXPECT_EQ(preflight.header("Access-Control-Allow-Origin"), "http://a.example");
    EXPECT_EQ(preflight.header("Access-Control-Allow-Headers"), "content-type");
    EXPECT_NE(preflight.header("Access-Control-Allow-Methods").find("POST"), std::string::npos);
    const auto other = client.request("GET", "/hello", {}, "Origin: http://b.example\r\n");
    EXPECT_EQ(other.header("Access-Control-Allow-Origin"), "");
}

TEST_F(ServerTest, PagesOfOtherSitesAndReboundNamesAreRefused) {
    ServerOptions options;
    options.allowed_hosts = {"box.example"};
    start(std::move(options));
    const auto status = [&](std::string_view head) {
        RawClient client(port());
        client.send(std::string(head) + "Content-Length: 0\r\n\r\n");
        return client.read_response().status;
    };
    EXPECT_EQ(status("GET /hello HTTP/1.1\r\nHost: rebound.example\r\n"), 403);
    EXPECT_EQ(status("GET /hello HTTP/1.1\r\nHost: box.example\r\n"), 200);
    const std::string post = "POST /echo/x HTTP/1.1\r\nHost: localhost\r\n";
    EXPECT_EQ(status(post), 200);
    EXPECT_EQ(status(post + "Content-Type: text/plain\r\nOrigin: http://evil.example\r\n"), 403);
}

TEST_F(ServerTest, AHandlerThatThrowsIs500AndLeavesNothingBehind) {
    start();
    RawClient client(port());
    EXPECT_EQ(client.request("GET", "/throw").status, 500);
    server_->stop(60s);  // returns only once every connection is gone
    EXPECT_EQ(server_->stats().connections, 0U);
}

TEST_F(ServerTest, LimitsAnswerWithTheirOwnCodes) {
    ServerLimits limits;
    limits.body_bytes_max = 100;
    limits.header_bytes_max = 1000;
    limits.target_bytes_max = 200;
    start(with(limits));
    const auto ask = [&](const std::string& text) {
        RawClient client(port());
        client.send(text);
        const auto response = client.read_response();
        EXPECT_TRUE(client.wait_closed());
        return response.status;
    };
    const std::string post = "POST /echo/x HTTP/1.1\r\nHost: localhost\r\n";
    EXPECT_EQ(ask(post + "Content-Length: 101\r\n\r\n" + std::string(101, 'x')), 413);
    EXPECT_EQ(ask(post + "Transfer-Encoding: chunked\r\n\r\nc8\r\n" + std::string(200, 'x')), 413);
    EXPECT_EQ(ask("GET /" + std::string(300, 'u') + " HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414);
    EXPECT_EQ(ask("GET /" + std::string(3000, 'u') + " HTTP/1.1\r\nHost: localhost\r\n\r\n"), 414);
    EXPECT_EQ(
        ask("GET /hello HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(3000, 'h') + "\r\n\r\n"),
        431);
    EXPECT_EQ(ask(post + "Expect: miracles\r\nContent-Length: 1\r\n\r\n"), 417);
    EXPECT_EQ(ask(post + "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501);
}

TEST_F(ServerTest, MalformedRequestsAre400) {
    start();
    for (const std::string_view wrong :
         {"hello\r\n\r\n", "GET\r\n\r\n", "GET /hello HTTP/1.1\r\n\r\n",
          "GET /hello HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n",
          "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "GET nopath HTTP/1.1\r\nHost: localhost\r\n\r\n",
          "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
          "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: "
          "2\r\n\r\nab",
          "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: "
          "chunked\r\n\r\na",
          "POST /echo/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}) {
        RawClient client(port());
        client.send(wrong);
        const auto response = client.read_response();
        EXPECT_EQ(response.status, 400) << wrong;
        EXPECT_EQ(response.header("Connection"), "close");
        EXPECT_TRUE(client.wait_closed()) << wrong;
    }
}

TEST_F(ServerTest, ARequestThatDoesNotCompleteIs408) {
    ServerLimits limits;
    limits.request_timeout = 40ms;
    start(with(limits));
    for (const std::string_view half : {"GET /he",
                                        "POST /echo/x HTTP/1.1\r\nHost: localhost\r\n"
                                        "Content-Length: 10\r\n\r\nabc"}) {
        RawClient client(port());
        client.send(half);
        EXPECT_EQ(client.read_response().status, 408);
        EXPECT_TRUE(client.wait_closed());
    }
}

TEST_F(ServerTest, IdleConnectionsAreClosedSilently) {
    ServerLimits limits;
    limits.idle_timeout = 40ms;
    start(with(limits));
    RawClient client(port());
    EXPECT_EQ(client.request("GET", "/hello").status, 200);
    EXPECT_EQ(client.read_response().status, 0);
    EXPECT_TRUE(client.wait_closed());
}

TEST_F(ServerTest, ConnectionsOverTheLimitAreToldSo) {
    ServerLimits limits;
    limits.connections_max = 1;
    start(with(limits));
    RawClient first(port());
    EXPECT_EQ(first.request("GET", "/hello").status, 200);
    RawClient second(port());
    EXPECT_EQ(second.request("GET", "/hello").status, 503);
    EXPECT_TRUE(second.wait_closed());
    EXPECT_EQ(first.request("GET", "/hello").status, 200);
    EXPECT_EQ(server_->stats().connections_refused_total, 1U);
}

TEST_F(ServerTest, StreamsChunksFromAnotherThread) {
    start();
    RawClient client(port());
    const ResponderPtr responder = keep(client);
    responder->begin_stream(200, {{"Content-Type", "text/plain"}});
    responder->write("one ");
    EXPECT_EQ(client.read_head().status, 200);
    EXPECT_EQ(client.read_chunk(), "one ");
    responder->write("two");
    EXPECT_EQ(client.read_chunk(), "two");
    responder->end();
    EXPECT_EQ(client.read_chunk(), "");
    EXPECT_EQ(client.request("GET", "/hello").body, "hello");
}

TEST_F(ServerTest, AStreamAskedForWithHeadIsOnlyAHead) {
    start();
    RawClient client(port());
    client.send("HEAD /keep HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const ResponderPtr responder = kept_.get_future().get();
    responder->begin_stream(200, {{"Content-Type", "text/plain"}});
    EXPECT_FALSE(responder->write("not sent"));
    EXPECT_EQ(client.read_response(true).status, 200);
    EXPECT_EQ(client.request("GET", "/hello").body, "hello");
}

TEST_F(ServerTest, AnHttp10StreamEndsWithTheConnection) {
    start();
    RawClient client(port());
    client.send("GET /keep HTTP/1.0\r\n\r\n");
    const ResponderPtr responder = kept_.get_future().get();
    responder->begin_stream(200, {});
    responder->write("plain");
    responder->end();
    const auto response = client.read_response();
    EXPECT_EQ(response.header("Transfer-Encoding"), "");
    EXPECT_EQ(response.body, "plain");
}

TEST_F(ServerTest, PulledStreamsAskAgainOnlyAfterTheBytesHaveLeft) {
    start();
    RawClient client(port());
    const ResponderPtr responder = keep(client);
    std::atomic<int> produced{0};
    responder->begin_stream(200, {});
    responder->set_source([&, responder](std::string& out) {
        out = "part " + std::to_string(++produced);
        if (produced == 3) responder->end();
    });
    EXPECT_EQ(client.read_head().status, 200);
    for (int i = 1; i <= 3; ++i) {
        responder->notify();
        EXPECT_EQ(client.read_chunk(), "part " + std::to_string(i));
    }
    EXPECT_EQ(client.read_chunk(), "");
}

TEST_F(ServerTest, NoticesAClientThatLeavesWhileNothingIsWritten) {
    start();
    RawClient client(port());
    const ResponderPtr responder = keep(client);
    const auto closed = watch(responder);
    client.close();
    EXPECT_TRUE(happens(closed));
    EXPECT_TRUE(responder->closed());
    EXPECT_FALSE(responder->write("x"));
    responder->send(text_response(200, "text/plain", "too late"));
    EXPECT_TRUE(happens(watch(responder))) << "a late callback runs at once";
}

TEST_F(ServerTest, NoticesAClientThatLeavesInTheMiddleOfAStream) {
    start();
    RawClient client(port());
    const ResponderPtr responder = keep(client);
    const auto closed = watch(responder);
    responder->begin_stream(200, {});
    responder->write("x");
    EXPECT_EQ(client.read_head().status, 200);
    client.close();
    EXPECT_TRUE(happens(closed));
}

TEST_F(ServerTest, ASlowReaderIsCutOffAtTheBufferLimit) {
    ServerLimits limits;
    limits.stream_buffer_bytes = 64 * 1024;
    start(with(limits));
    RawClient client(port(), 4096);
    const ResponderPtr responder = keep(client);
    const auto closed = watch(responder);
    responder->begin_stream(200, {});
    const std::string block(16 * 1024, 'x');
    std::size_t written = 0;
    while (responder->write(block)) written += block.size();
    EXPECT_LT(written, 64U * 1024 * 1024) << "the kernel's buffers and ours are bounded";
    EXPECT_FALSE(responder->write("more"));
    EXPECT_TRUE(client.wait_closed());
    EXPECT_TRUE(happens(closed));
}

TEST_F(ServerTest, AReaderThatStopsIsCutOffAfterTheWriteTimeout) {
    ServerLimits limits;
    limits.write_timeout = 50ms;
    start(with(limits));
    RawClient client(port(), 4096);
    const ResponderPtr responder = keep(client);
    const auto closed = watch(responder);
    responder->send(text_response(200, "text/plain", std::string(64 * 1024 * 1024, 'x')));
    EXPECT_TRUE(happens(closed));
}

TEST_F(ServerTest, AnUnansweredRequestIs500AndACutStreamIsNotComplete) {
    start();
    {
        RawClient client(port());
        EXPECT_EQ(client.request("GET", "/drop").status, 500);
    }
    RawClient client(port());
    ResponderPtr responder = keep(client);
    responder->begin_stream(200, {});
    responder->write("half");
    EXPECT_EQ(client.read_head().status, 200);
    EXPECT_EQ(client.read_chunk(), "half");
    responder.reset();
    kept_ = {};
    EXPECT_EQ(client.read_chunk(), std::nullopt);
}

TEST_F(ServerTest, HeaderValuesCannotSmuggleHeaders) {
    start();
    RawClient client(port());
    const ResponderPtr responder = keep(client);
    Response response = text_response(200, "text/plain", "x");
    response.headers.add("X-A", "1\r\nX-Evil: 2");
    responder->send(std::move(response));
    const auto got = client.read_response();
    EXPECT_EQ(got.header("X-Evil"), "");
    EXPECT_EQ(got.header("X-A"), "1  X-Evil: 2");
}

TEST_F(ServerTest, StopDrainsStreamsAndRefusesNewConnections) {
    start();
    RawClient busy(port()), idle(port());
    EXPECT_EQ(idle.request("GET", "/hello").status, 200);
    const ResponderPtr responder = keep(busy);
    responder->begin_stream(200, {});
    responder->write("a");
    EXPECT_EQ(busy.read_head().status, 200);
    std::thread stopper([&] { server_->stop(10'000ms); });
    EXPECT_TRUE(idle.wait_closed());
    responder->write("b");
    responder->end();
    std::string body;
    while (const auto chunk = busy.read_chunk()) {
        if (chunk->empty()) break;
        body += *chunk;
    }
    EXPECT_EQ(body, "ab");
    stopper.join();
    EXPECT_FALSE(RawClient(port()).connected());
}

TEST_F(ServerTest, StopClosesWhatDoesNotEndInTime) {
    start();
    RawClient client(port());
    const ResponderPtr responder = keep(client);
    const auto closed = watch(responder);
    server_->stop(20ms);
    EXPECT_TRUE(happens(closed));
    EXPECT_FALSE(responder->write("x"));
    server_.reset();
    responder->send(text_response(200, "text/plain", "the server is gone"));
}

TEST_F(ServerTest, SeveralThreadsServeManyConnections) {
    ServerOptions options;
    options.threads = 3;
    start(options);
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 60; ++i) clients.push_back(std::make_unique<RawClient>(port()));
    for (int round = 0; round < 3; ++round) {
        for (auto& client : clients) {
            EXPECT_EQ(client->request("POST", "/echo/n", std::to_string(round)).body,
                      "n::" + std::to_string(round));
        }
    }
}

TEST_F(ServerTest, ListenNamesWhatIsWrong) {
    start();
    ServerOptions taken;
    taken.port = port();
    EXPECT_EQ(Server::listen(taken, clock_).error().code, base::Code::already_exists);
    ServerOptions wrong;
    wrong.address = "not-an-address";
    EXPECT_EQ(Server::listen(wrong, clock_).error().code, base::Code::invalid_argument);
}

TEST_F(ServerTest, SurvivesMutatedRequests) {
    ServerLimits limits;
    limits.request_timeout = 30ms;
    limits.body_bytes_max = 4096;
    start(with(limits));
    const std::string valid =
        "POST /echo/x?a=b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        "Accept: */*\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";
    test::for_each_seed(150, [&](base::Rng& rng) {
        std::string text = valid;
        for (std::uint64_t edits = 1 + rng.below(6); edits > 0; --edits) {
            const std::size_t at = rng.below(text.size());
            switch (rng.below(3)) {
                case 0:
                    text[at] = static_cast<char>(rng.below(256));
                    break;
                case 1:
                    text.erase(at, 1 + rng.below(8));
                    break;
                default:
                    text.insert(at, 1 + rng.below(4), static_cast<char>(rng.below(256)));
            }
            if (text.empty()) text = "x";
        }
        RawClient client(port());
        client.send(text + "\r\n\r\n");
        client.close();
    });
    RawClient client(port());
    EXPECT_EQ(client.request("GET", "/hello").body, "hello");
}

}  // namespace
