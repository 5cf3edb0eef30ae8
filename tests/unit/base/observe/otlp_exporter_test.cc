#include "base/trace/otlp_exporter.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "base/http/server.h"
#include "base/json/json.h"
#include "support/raw_client.h"

namespace {

using namespace base::trace;
using namespace std::chrono_literals;

Span make_span(std::string name) {
    Span span;
    span.trace_id[0] = 0xab;
    span.span_id[7] = 0x01;
    span.name = std::move(name);
    span.start_unix_ns = 1'700'000'000'000'000'001;
    span.end_unix_ns = 1'700'000'000'000'000'002;
    span.attributes = {{"s", std::string("v")}, {"i", std::int64_t{5}}, {"d", 0.5}, {"b", true}};
    return span;
}

/// A collector: an HTTP server that keeps what it is sent and answers as told.
class Collector : public OtlpTransport {
public:
    Collector() : server_(std::move(*base::http::Server::listen({}, clock_))) {
        server_->router().add(
            "POST", "/v1/traces",
            [this](const base::http::Request& request, const base::http::ResponderPtr& to) {
                const std::lock_guard lock(mutex_);
                bodies_.push_back(request.body);
                int status = 200;
                if (failures_ > 0) {
                    --failures_;
                    status = 503;
                }
                to->send(base::http::text_response(status, "application/json", "{}"));
                changed_.notify_all();
            });
        server_->start();
    }

    base::Result<void> post(std::string_view body) override {
        test::RawClient client(server_->port());
        const auto response =
            client.request("POST", "/v1/traces", body, "Content-Type: application/json\r\n");
        if (response.status == 200) return {};
        return base::fail(base::Code::unavailable, "the collector says {}", response.status);
    }

    void fail_next(int count) {
        const std::lock_guard lock(mutex_);
        failures_ = count;
    }
    std::vector<std::string> wait_for(std::size_t count) {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, 60s, [&] { return bodies_.size() >= count; }));
        return bodies_;
    }

private:
    const base::SystemClock clock_;
    std::unique_ptr<base::http::Server> server_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> bodies_;
    int failures_ = 0;
};

const base::json::array& spans_in(const base::json::value& body) {
    return body.at("resourceSpans").at(0).at("scopeSpans").at(0).at("spans").as_array();
}

TEST(OtlpExporter, SendsSpansInTheJsonMapping) {
    Collector collector;
    OtlpOptions options;
    options.service_version = "1.2";
    options.flush_interval = 1ms;
    OtlpExporter exporter(options, collector);
    Span span = make_span("prefill");
    span.parent_id[0] = 0xff;
    exporter.record(std::move(span));
    const auto body = base::parse_json(collector.wait_for(1).front()).value();
    const auto& sent = spans_in(body).at(0).as_object();
    EXPECT_EQ(sent.at("traceId").as_string(), "ab000000000000000000000000000000");
    EXPECT_EQ(sent.at("spanId").as_string(), "0000000000000001");
    EXPECT_EQ(sent.at("parentSpanId").as_string(), "ff00000000000000");
    EXPECT_EQ(sent.at("name").as_string(), "prefill");
    EXPECT_EQ(sent.at("kind").as_int64(), 1);
    EXPECT_EQ(sent.at("startTimeUnixNano").as_string(), "1700000000000000001");
    const auto& attributes = sent.at("attributes").as_array();
    EXPECT_EQ(attributes.at(1).at("value").at("intValue").as_string(), "5");
    EXPECT_EQ(attributes.at(3).at("value").at("boolValue").as_bool(), true);
    const auto& resource = body.at("resourceSpans").at(0).at("resource").at("attributes");
    EXPECT_EQ(resource.at(0).at("value").at("stringValue").as_string(), "dougong");
    exporter.stop();
    EXPECT_EQ(exporter.stats().exported, 1U);
}

TEST(OtlpExporter, StopSendsWhatIsQueuedInBatches) {
    Collector collector;
    OtlpOptions options;
    options.flush_interval = 3'600'000ms;
    options.batch_spans_max = 4;
    OtlpExporter exporter(options, collector);
    for (int i = 0; i < 10; ++i) exporter.record(make_span("s"));
    exporter.stop();
    std::size_t spans = 0;
    const auto bodies = collector.wait_for(3);
    for (const std::string& body : bodies) {
        const std::size_t count = spans_in(base::parse_json(body).value()).size();
        EXPECT_LE(count, 4U);
        spans += count;
    }
    EXPECT_EQ(spans, 10U);
    exporter.record(make_span("too late"));
    EXPECT_EQ(exporter.stats().dropped, 1U);
}

/// A collector that is gone.
class Nowhere : public OtlpTransport {
public:
    base::Result<void> post(std::string_view) override {
        ++posts;
        return base::fail(base::Code::unavailable, "no connection");
    }
    std::atomic<int> posts{0};
};

TEST(OtlpExporter, StopDoesNotAskADeadCollectorForEveryBatch) {
    Nowhere nowhere;
    OtlpOptions options;
    options.flush_interval = options.retry_pause = 3'600'000ms;
    options.batch_spans_max = 4;
    OtlpExporter exporter(options, nowhere);
    for (int i = 0; i < 40; ++i) exporter.record(make_span("s"));
    exporter.stop();
    EXPECT_LE(nowhere.posts, 2);  // the one in progress, and its last try
    EXPECT_EQ(exporter.stats().dropped, 40U);
}

TEST(OtlpExporter, TriesAgainWhenTheCollectorIsDown) {
    Collector collector;
    collector.fail_next(2);
    OtlpOptions options;
    options.flush_interval = 1ms;
    options.retry_pause = 1ms;
    OtlpExporter exporter(options, collector);
    exporter.record(make_span("s"));
    collector.wait_for(3);
    exporter.stop();
    EXPECT_EQ(exporter.stats().exported, 1U);
    EXPECT_EQ(exporter.stats().failed_batches, 0U);
}

TEST(OtlpExporter, GivesUpAndCountsAndNeverGrows) {
    Collector collector;
    collector.fail_next(1'000'000);
    OtlpOptions options;
    options.flush_interval = 3'600'000ms;
    options.queue_spans_max = 5;
    OtlpExporter exporter(options, collector);
    for (int i = 0; i < 8; ++i) exporter.record(make_span("s"));
    EXPECT_EQ(exporter.stats().dropped, 3U);
    exporter.stop();
    EXPECT_EQ(exporter.stats().dropped, 8U);
    EXPECT_EQ(exporter.stats().failed_batches, 1U);
    EXPECT_FALSE(exporter.stats().last_error.empty());
}

}  // namespace
