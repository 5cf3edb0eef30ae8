// Streams that outlive their connection.
#include "support/gateway_fixture.h"

#include "support/seeds.h"

namespace {

using namespace std::chrono_literals;
using test::GatewayTest;
namespace json = base::json;

class StreamsTest : public GatewayTest {
protected:
    static std::string request(std::string_view method, const std::string& path,
                               std::string_view body, std::string_view headers = {}) {
        return std::string(method) + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" +
               std::string(headers) + "Content-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + std::string(body);
    }
    static std::string resumable(std::string_view content, std::string_view more = {}) {
        return chat(content,
                    R"(,"stream":true,"stream_options":{"resumable":true})" + std::string(more));
    }

    /// What a client knows of a stream that it reads with interruptions.
    struct Reading {
        std::string events;  ///< whole ones
        std::string stream_id, last_event_id;

        void take(std::string_view bytes) {
            open += bytes;
            for (;;) {
                const auto end = open.find("\n\n");
                if (end == std::string::npos) return;
                const std::string event = open.substr(0, end + 2);
                open.erase(0, end + 2);
                events += event;
                last_event_id = event.substr(4, event.find('\n') - 4);
                const auto id = event.find("\"id\":\"");
                if (id != std::string::npos) {
                    stream_id = event.substr(id + 6, event.find('"', id + 6) - id - 6);
                }
            }
        }
        bool done() const { return events.ends_with("data: [DONE]\n\n"); }
        std::string open;  ///< an event that is not complete: lost with its connection
    };
    static std::string text_of(std::string_view events) {
        std::string text;
        while (!events.empty()) {
            const std::string_view event = events.substr(0, events.find("\n\n"));
            events.remove_prefix(event.size() + 2);
            const std::string_view data = event.substr(event.find("data: ") + 6);
            if (data == "[DONE]") break;
            const auto value = parsed(std::string(data));
            const auto& delta = value.at("choices").at(0).at("delta").as_object();
            if (const auto* const content = delta.if_contains("content")) {
                text += content->as_string();
            }
        }
        return text;
    }
};

TEST_F(StreamsTest, AStreamCutManyTimesIsTheUncutOne) {
    start();
    std::string content;
    for (int i = 0; i < 400; ++i) content += "word" + std::to_string(i) + " é ";
    test::for_each_seed(5, [&](base::Rng& rng) {
        Reading reading;
        int connections = 0;
        while (!reading.done()) {
            ASSERT_LT(++connections, 1000);
            test::RawClient client(server_->port(), 4096);
            reading.open.clear();
            client.send(reading.stream_id.empty()
                            ? request("POST", "/v1/chat/completions", resumable(content))
                            : request("GET", "/v1/streams/" + reading.stream_id, {},
                                      "Last-Event-ID: " + reading.last_event_id + "\r\n"));
            ASSERT_EQ(client.read_head().status, 200);
            // A few chunks, then the connection is gone; the first one must tell the id.
            for (std::uint64_t n = 1 + rng.below(3); n > 0 && !reading.done(); --n) {
                const auto chunk = client.read_chunk();
                if (!chunk || chunk->empty()) break;
                const bool half = !reading.stream_id.empty() && rng.below(2) == 0;
                reading.take(half ? chunk->substr(0, chunk->size() / 2) : *chunk);
                if (half) break;
            }
        }
        EXPECT_EQ(text_of(reading.events), "You said: " + content);
        const auto whole = get("/v1/streams/" + reading.stream_id);
        EXPECT_EQ(whole.body, reading.events) << "and it can be read again";
    });
    EXPECT_EQ(backend_.cancels(), 0U);
}

TEST_F(StreamsTest, ANewReaderTakesThePlaceOfTheOldOne) {
    start();
    test::RawClient first(server_->port());
    first.send(request("POST", "/v1/chat/completions", resumable("forever")));
    EXPECT_EQ(first.read_head().status, 200);
    Reading reading;
    while (reading.stream_id.empty()) reading.take(*first.read_chunk());
    const std::string path = "/v1/streams/" + reading.stream_id;
    test::RawClient second(server_->port());
    second.send(request("GET", path + "?after=" + reading.last_event_id, {}));
    EXPECT_EQ(second.read_head().status, 200);
    EXPECT_TRUE(second.read_chunk().has_value());
    while (const auto chunk = first.read_chunk()) {
        if (chunk->empty()) break;  // its end
    }
    test::RawClient admin(server_->port());
    EXPECT_EQ(admin.request("DELETE", path).status, 200);
    backend_.wait_idle();
    EXPECT_EQ(backend_.cancels(), 1U);
    EXPECT_EQ(get(path).status, 404);
}

TEST_F(StreamsTest, RefusesWhatIsNotThere) {
    start();
    const auto whole = post("/v1/chat/completions", resumable("hello"));
    Reading reading;
    reading.take(whole.body);
    ASSERT_TRUE(reading.done()) << whole.body;
    const std::string path = "/v1/streams/" + reading.stream_id;
    EXPECT_EQ(get(path + "?after=x").status, 400);
    EXPECT_EQ(get(path + "?after=99").status, 400);
    EXPECT_EQ(get(path + "?after=" + reading.last_event_id).body, "");
    EXPECT_EQ(get("/v1/streams/unknown").status, 404);
    test::RawClient other(server_->port());
    EXPECT_EQ(other.request("GET", path, {}, "X-Dougong-Tenant: other\r\n").status, 404);
    const auto plain = post("/v1/chat/completions", chat("hello", R"(,"stream":true)"));
    EXPECT_EQ(("\n" + plain.body).find("\nid: "), std::string::npos)
        << "only streams that can be read again";
}

TEST_F(StreamsTest, TheLogIsBoundedAndSaysWhenEventsAreGone) {
    gate::GatewayOptions options;
    options.stream_log_bytes_max = 2000;
    start(options);
    const auto whole =
        post("/v1/chat/completions", resumable(std::string(20'000, 'x'), R"(,"logprobs":true)"));
    Reading reading;
    reading.take(whole.body);
    const auto gone = get("/v1/streams/" + reading.stream_id);
    if (gone.status == 200) {
        EXPECT_EQ(gone.body, reading.events) << "it came in one event, which is always kept";
    } else {
        EXPECT_EQ(gone.status, 410);
        EXPECT_EQ(error_code(gone), "events_dropped");
    }
}

TEST_F(StreamsTest, AStreamNobodyReadsEndsAfterAWhile) {
    gate::GatewayOptions options;
    options.stream_keep = 1ms;
    start(options);
    {
        test::RawClient client(server_->port());
        client.send(request("POST", "/v1/chat/completions", resumable("forever")));
        EXPECT_EQ(client.read_head().status, 200);
        EXPECT_TRUE(client.read_chunk().has_value());
    }
    backend_.wait_idle();
    EXPECT_EQ(backend_.cancels(), 1U);
}

TEST_F(StreamsTest, TooManyKeptStreamsAreRefused) {
    gate::GatewayOptions options;
    options.streams_max = 1;
    start(options);
    test::RawClient client(server_->port());
    client.send(request("POST", "/v1/chat/completions", resumable("forever")));
    EXPECT_EQ(client.read_head().status, 200);
    EXPECT_EQ(post("/v1/chat/completions", resumable("hello")).status, 429);
    EXPECT_EQ(post("/v1/chat/completions", chat("hello")).status, 200);
}

TEST_F(StreamsTest, OneTenantCannotTakeEveryPlace) {
    gate::GatewayOptions options;
    options.streams_max = 4;
    start(options);
    std::vector<std::unique_ptr<test::RawClient>> clients;
    const auto ask = [&](std::string_view tenant, std::string_view content) {
        clients.push_back(std::make_unique<test::RawClient>(server_->port()));
        clients.back()->send(request("POST", "/v1/chat/completions", resumable(content),
                                     "X-Dougong-Tenant: " + std::string(tenant) + "\r\n"));
        return clients.back()->read_head().status;
    };
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("a", "forever"), 200) << i;
    EXPECT_EQ(ask("a", "forever"), 429) << "the last quarter is for others";
    EXPECT_EQ(ask("b", "forever"), 200);
    EXPECT_EQ(ask("c", "forever"), 429) << "nothing that runs is pushed out";
}

TEST_F(StreamsTest, TheTenantWithTheMostMakesRoom) {
    gate::GatewayOptions options;
    options.streams_max = 4;
    start(options);
    const auto end_one = [&](std::string_view tenant, std::string_view id) {
        const std::string headers = "X-Dougong-Tenant: " + std::string(tenant) +
                                    "\r\nX-Request-Id: " + std::string(id) + "\r\n";
        EXPECT_EQ(post("/v1/chat/completions", resumable("hello"), headers).status, 200);
    };
    const auto there = [&](std::string_view tenant, std::string_view id) {
        test::RawClient client(server_->port());
        return client
                   .request("GET", "/v1/streams/chatcmpl-" + std::string(id), "",
                            "X-Dougong-Tenant: " + std::string(tenant) + "\r\n")
                   .status == 200;
    };
    end_one("quiet", "only");
    for (int i = 0; i < 12; ++i) end_one("loud", std::to_string(i));
    EXPECT_TRUE(there("quiet", "only"));
    end_one("other", "first");
    EXPECT_TRUE(there("quiet", "only"));
    EXPECT_TRUE(there("other", "first"));
}

/// A tenant's stream may have any id of another's, but not one of its own that still runs.
TEST_F(StreamsTest, AnIdIsTakenWithinOneTenantOnly) {
    start();
    for (const auto& [tenant, status] : {std::pair{"b", 200}, std::pair{"a", 400}}) {
        const std::string id = std::string("X-Request-Id: for-") + tenant + "\r\n";
        const std::string body = resumable("forever");
        test::RawClient first(server_->port()), second(server_->port());
        const auto ask_as = [&](test::RawClient& client, std::string_view as) {
            const std::string from = "X-Dougong-Tenant: " + std::string(as) + "\r\n";
            client.send(request("POST", "/v1/chat/completions", body, id + from));
            return client.read_head().status;
        };
        EXPECT_EQ(ask_as(first, "a"), 200);
        EXPECT_EQ(ask_as(second, tenant), status);
    }
}

TEST_F(StreamsTest, AReaderReplacedBeforeTheFirstEventIsTold) {
    start();
    test::RawClient first(server_->port()), second(server_->port());
    first.send(
        request("POST", "/v1/chat/completions", resumable("hold"), "X-Request-Id: early\r\n"));
    const std::string path = "/v1/streams/chatcmpl-early";
    int status = 404;  // until the first request has arrived
    while (status == 404) {
        test::RawClient reader(server_->port());
        reader.send(request("GET", path, ""));
        status = reader.read_head().status;
    }
    EXPECT_EQ(status, 200);
    EXPECT_EQ(first.read_head().status, 400);
}

}  // namespace
