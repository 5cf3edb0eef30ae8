#include "flow/observe/span_export.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <set>

#include "base/http/client.h"
#include "base/http/server.h"
#include "base/trace/otlp_exporter.h"
#include "flow/observe/run_trace.h"
#include "unit/flow/observe/runtime_fixture.h"

namespace {

using namespace flow_test;

/// An OTLP receiver: an HTTP server, and the client that posts to it.
class Receiver final : public base::trace::OtlpTransport {
public:
    Receiver() : server_(std::move(*base::http::Server::listen({}, clock_))) {
        server_->router().add(
            "POST", "/v1/traces",
            [this](const base::http::Request& request, const base::http::ResponderPtr& to) {
                const auto body = *base::parse_json(request.body);
                {
                    const std::lock_guard lock(mutex_);
                    for (const json::value& span : body.at("resourceSpans")
                                                       .at(0)
                                                       .at("scopeSpans")
                                                       .at(0)
                                                       .at("spans")
                                                       .as_array()) {
                        ++spans_[std::string(span.at("spanId").as_string())];
                        traces_.insert(std::string(span.at("traceId").as_string()));
                        texts_ += base::to_text(span);
                    }
                }
                to->send(base::http::text_response(200, "application/json", "{}"));
            });
        server_->start();
    }
    base::Result<void> post(std::string_view body) override {
        base::HttpClient::Request request;
        request.method = "POST";
        request.url = server_->url() + "/v1/traces";
        request.headers = {{"content-type", "application/json"}};
        request.body = body;
        DG_TRY(client_.send(request));
        return {};
    }
    std::map<std::string, int> spans() {
        const std::lock_guard lock(mutex_);
        return spans_;
    }
    std::string texts() {
        const std::lock_guard lock(mutex_);
        return texts_;
    }
    std::size_t traces() {
        const std::lock_guard lock(mutex_);
        return traces_.size();
    }

private:
    const base::SystemClock clock_;
    const base::HttpClient client_;
    std::unique_ptr<base::http::Server> server_;
    std::mutex mutex_;
    std::map<std::string, int> spans_;  ///< how often each came
    std::set<std::string> traces_;
    std::string texts_;
};

class SpanExportTest : public RuntimeTest {
protected:
    SpanExportTest() { begin(); }
    ~SpanExportTest() override { end(); }
    void begin() {
        exporter_ =
            std::make_unique<base::trace::OtlpExporter>(base::trace::OtlpOptions{}, receiver_);
        export_ = std::make_unique<flow::SpanExport>(*runtime_, *log_, *definitions_, *exporter_);
    }
    void end() {
        export_.reset();
        if (exporter_) exporter_->stop();
        exporter_.reset();
    }
    void restart() {
        end();
        halt();
        boot();
        begin();
    }

    Receiver receiver_;
    std::unique_ptr<base::trace::OtlpExporter> exporter_;
    std::unique_ptr<flow::SpanExport> export_;
};

constexpr std::string_view kLong = R"(
name: long
steps:
  - id: each
    for_each: {in: [1, 2, 3, 4], concurrency: 4, steps: [{id: work, call: {function: echo, arguments: {word: "a secret"}}}]}
  - {id: gate, human: {ask: approve, prompt: "Go on?"}}
  - {id: talk, llm: {prompt: "hello", model: small}}
)";

TEST_F(SpanExportTest, EverySpanIsSentOnceThroughARestart) {
    deploy(kLong);
    std::vector<flow::RunId> runs;
    std::promise<void> all_wait;
    int waiting = 0;
    runtime_->post([&] {
        runtime_->engine().watch(
            [&](flow::RunId, const std::vector<flow::Event>& events, std::uint64_t) {
                for (const flow::Event& event : events) {
                    if (event.kind != flow::EventKind::step_waiting) continue;
                    if (++waiting == 20) all_wait.set_value();
                }
            });
    });
    for (int i = 0; i < 20; ++i) runs.push_back(start("long"));
    all_wait.get_future().wait();
    restart();
    for (const flow::RunId run : runs) {
        ASSERT_TRUE(
            runtime_->answer(run, "gate", json::object{{"decision", "approved"}}).has_value());
    }
    for (int i = 0; i < 20; ++i) {
        calls_.next().done(flow::StepOutput{
            json::object{{"text", "a secret"},
                         {"model", "small-1"},
                         {"usage", {{"prompt_tokens", 5}, {"completion_tokens", 7}}}},
            12, 0.25});
    }
    for (const flow::RunId run : runs) end_of(run);
    end();
    std::size_t wanted = 0;
    const auto sent = receiver_.spans();
    for (const flow::RunId run : runs) {
        const auto trace = flow::read_trace(*log_, *definitions_, run, 1'000);
        ASSERT_TRUE(trace.has_value());
        for (const flow::RunSpan& span : trace->spans) {
            const auto found = sent.find(base::trace::to_hex(span.id));
            ASSERT_NE(found, sent.end()) << span.name << " " << span.path;
            EXPECT_EQ(found->second, 1) << span.name << " " << span.path;
            ++wanted;
        }
    }
    EXPECT_EQ(sent.size(), wanted);
    EXPECT_EQ(receiver_.traces(), runs.size());
    const std::string texts = receiver_.texts();
    EXPECT_EQ(texts.find("a secret"), std::string::npos);
    for (const char* name :
         {"gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens",
          "gen_ai.response.model", "dougong.cost_usd"}) {
        EXPECT_NE(texts.find(name), std::string::npos) << name;
    }
}

TEST_F(SpanExportTest, ACallerThatDoesNotSampleIsHeard) {
    deploy("name: w\nsteps: [{id: a, set: {x: 1}}]");
    const auto run =
        runtime_->start({.workflow = "w",
                         .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"});
    end_of(*run);
    end();
    EXPECT_TRUE(receiver_.spans().empty());
}

}  // namespace
