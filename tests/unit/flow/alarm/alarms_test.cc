#include "flow/alarm/alarms.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/files/files.h"
#include "base/files/linux_disk.h"
#include "base/journal/journal.h"
#include "flow/log/journal_run_log.h"
#include "flow/store/definition_store.h"
#include "support/database_server.h"
#include "support/manual_clock.h"

namespace {

namespace json = base::json;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// Ends calls as it is told, or never.
class Steered final : public flow::StepRunner {
public:
    enum class How { hold, fail, finish } how = How::finish;
    std::uint64_t tokens = 0;
    void run(flow::Call, Done done) override {
        if (how == How::fail) done(base::fail(base::Code::invalid_argument, "it broke"));
        if (how == How::finish) done(flow::StepOutput{json::object(), tokens, 0.25});
    }
    void cancel(flow::RunId, std::string_view) override {}
};

/// A receiver; says what it is told to say.
struct Receiver {
    std::vector<std::pair<std::string, json::object>> got;  ///< id and message
    int status = 200;
    base::Result<flow::WebhookAnswer> take(const flow::WebhookHeaders& headers,
                                           const std::string& body) {
        if (status == 0) return base::fail(base::Code::unavailable, "nobody there");
        got.emplace_back(headers[1].second, base::parse_json(body)->as_object());
        return flow::WebhookAnswer{.status = status};
    }
    std::vector<std::string> types() const {
        std::vector<std::string> out;
        for (const auto& [id, message] : got) {
            const std::string_view type = message.at("type").as_string();
            out.emplace_back(type.substr(std::string_view("flow.alarm.").size()));
        }
        return out;
    }
};

class AlarmsTest : public testing::Test {
protected:
    AlarmsTest() : dir_(*base::TemporaryDir::create("/tmp", "dougong-alarm-")) { boot_runs(); }
    ~AlarmsTest() override { halt(); }

    void boot_runs(bool after_crash = false) {
        journal_ = *base::journal::Journal::open(
            disk_, dir_.path() + "/journal",
            {.segment_bytes = 1u << 20, .record_bytes_max = 256u << 10});
        log_ = *flow::JournalRunLog::open(*journal_, dir_.path() + "/runs.db");
        definitions_ = *flow::DefinitionStore::open(dir_.path() + "/workflows.db", clock_);
        runtime_ = *flow::Runtime::open(*log_, *definitions_, steps_, clock_,
                                        {.after_crash = after_crash});
    }
    std::unique_ptr<flow::Alarms> opened(const std::string& location) {
        flow::Alarms::Parts parts{.runtime = *runtime_, .log = *log_, .clock = clock_};
        parts.file.webhooks = {{"ops", "http://x", std::string(32, 'k')}};
        parts.file.rules = rules_;
        parts.post = [this](const flow::Webhook&, const flow::WebhookHeaders& headers,
                            const std::string& body) { return receiver_.take(headers, body); };
        parts.disk_free = [this] { return free_; };
        parts.metrics = &metrics_;
        auto made = flow::Alarms::open(location, std::move(parts), false);
        EXPECT_TRUE(made.has_value()) << made.error().message;
        return *std::move(made);
    }
    void boot() { alarms_ = opened(dir_.path() + "/alarms.db"); }
    void halt() {
        alarms_.reset();
        runtime_.reset();
        definitions_.reset();
        log_.reset();
        journal_.reset();
    }
    void rule(std::string_view text) {
        auto read = flow::read_alarm_rule(base::parse_json(text)->as_object(), "");
        ASSERT_TRUE(read.has_value()) << read.error().message;
        read->tenant = "t";
        read->from_file = true;
        rules_.push_back(*read);
    }
    void deploy(std::string_view text) {
        const auto deployed = definitions_->deploy("t", text, "w.yaml");
        ASSERT_TRUE(deployed.has_value()) << deployed.error().message;
    }
    flow::RunId start(std::string_view workflow = "w") {
        return *runtime_->start({.tenant = "t", .workflow = std::string(workflow)});
    }
    void run_to_end(Steered::How how) {
        steps_.how = how;
        ASSERT_TRUE(runtime_->wait(start(), seconds(60)).has_value());
    }
    void pass(base::Duration time) {
        clock_.advance(time);
        const auto looked = alarms_->look();
        ASSERT_TRUE(looked.has_value()) << looked.error().message;
        ASSERT_TRUE(alarms_->deliver().has_value());
    }
    flow::AlarmView::Alarm only() {
        const auto view = alarms_->list("t")->at(0);
        return view.alarms.empty() ? flow::AlarmView::Alarm() : view.alarms.at(0);
    }

    test::ManualClock clock_;
    base::LinuxDisk disk_;
    base::TemporaryDir dir_;
    base::metrics::Registry metrics_;
    Steered steps_;
    Receiver receiver_;
    std::vector<flow::AlarmRule> rules_;
    std::optional<std::uint64_t> free_ = 1ull << 40;
    std::unique_ptr<base::journal::Journal> journal_;
    std::unique_ptr<flow::JournalRunLog> log_;
    std::unique_ptr<flow::DefinitionStore> definitions_;
    std::unique_ptr<flow::Runtime> runtime_;
    std::unique_ptr<flow::Alarms> alarms_;
};

constexpr std::string_view kOneCall = "name: w\nsteps: [{id: s, call: {function: f}}]\n";
constexpr std::string_view kRate =
    R"({"name": "failing", "when": {"failure_rate": 0.2, "over": "15m", "at_least": 5}})";

TEST_F(AlarmsTest, AFailureRateFiresOnceAndEndsOnce) {
    rule(kRate);
    boot();
    deploy(kOneCall);
    for (int i = 0; i < 3; ++i) run_to_end(Steered::How::finish);
    run_to_end(Steered::How::fail);
    pass(seconds(1));
    EXPECT_TRUE(receiver_.got.empty()) << "four runs say little";
    run_to_end(Steered::How::finish);
    pass(seconds(1));
    ASSERT_EQ(receiver_.types(), std::vector<std::string>{"fired"});
    const json::object& data = receiver_.got[0].second.at("data").as_object();
    EXPECT_EQ(data.at("workflow"), "w");
    EXPECT_EQ(data.at("value").to_number<double>(), 0.2);
    ASSERT_EQ(data.at("runs").as_array().size(), 1u);
    EXPECT_EQ(data.at("runs").at(0).at("detail"), "step 's': it broke");
    for (int i = 0; i < 30; ++i) pass(seconds(10));
    EXPECT_EQ(receiver_.got.size(), 1u) << "the same again is told to nobody";
    for (int i = 0; i < 20; ++i) pass(minutes(1));
    EXPECT_EQ(receiver_.types(), (std::vector<std::string>{"fired", "resolved"}));
    EXPECT_EQ(only().state.phase, flow::AlarmPhase::quiet);
    EXPECT_NE(metrics_.exposition().find("dougong_flow_alarms_told_total{what=\"fired\"} 1"),
              std::string::npos);
    const auto lines = *alarms_->history("t", "", 0, 10);
    ASSERT_EQ(lines.size(), 2u);
    EXPECT_EQ(lines[0].what, "resolved");
}

TEST_F(AlarmsTest, WhatFiredIsDeliveredByTheNextProcess) {
    rule(kRate);
    boot();
    deploy(kOneCall);
    for (int i = 0; i < 5; ++i) run_to_end(Steered::How::fail);
    receiver_.status = 0;
    pass(seconds(1));
    ASSERT_TRUE(receiver_.got.empty());
    const auto waiting = *alarms_->deliveries("t", "due", 10);
    ASSERT_EQ(waiting.size(), 1u);
    EXPECT_EQ(waiting[0].attempts, 1u);
    EXPECT_FALSE(waiting[0].error.empty());
    alarms_.reset();
    boot();
    receiver_.status = 200;
    pass(seconds(1));
    EXPECT_TRUE(receiver_.got.empty()) << "not before its time";
    pass(seconds(10));
    ASSERT_EQ(receiver_.got.size(), 1u);
    EXPECT_EQ(receiver_.got[0].first, waiting[0].id);
    EXPECT_EQ(alarms_->deliveries("t", "delivered", 10)->size(), 1u);
}

TEST_F(AlarmsTest, WhatFailedWhileNobodyListenedCounts) {
    rule(kRate);
    boot();
    deploy(kOneCall);
    pass(seconds(1));
    run_to_end(Steered::How::fail);
    pass(seconds(1));
    alarms_.reset();
    for (int i = 0; i < 4; ++i) run_to_end(Steered::How::fail);
    boot();
    pass(seconds(1));
    ASSERT_EQ(receiver_.types(), std::vector<std::string>{"fired"});
    EXPECT_EQ(receiver_.got[0].second.at("data").at("runs_total"), 5) << "and none twice";
    alarms_.reset();
    boot();
    EXPECT_EQ(only().reading.runs_total, 5u);
}

TEST_F(AlarmsTest, ADeadMessageIsListedWithItsReasonAndCanBeSentAgain) {
    rule(kRate);
    boot();
    deploy(kOneCall);
    for (int i = 0; i < 5; ++i) run_to_end(Steered::How::fail);
    receiver_.status = 410;
    pass(seconds(1));
    const auto dead = *alarms_->deliveries("t", "dead", 10);
    ASSERT_EQ(dead.size(), 1u);
    EXPECT_NE(dead[0].error.find("410"), std::string::npos);
    EXPECT_EQ(alarms_->send_again("t", "msg_x").error().code, base::Code::not_found);
    receiver_.status = 200;
    ASSERT_TRUE(alarms_->send_again("t", dead[0].id).has_value());
    pass(seconds(1));
    ASSERT_EQ(receiver_.got.size(), 2u);
    EXPECT_EQ(receiver_.got[1].first, receiver_.got[0].first);
    EXPECT_EQ(alarms_->send_again("t", dead[0].id).error().code, base::Code::failed_precondition);
}

TEST_F(AlarmsTest, ACallThatDoesNotComeBackIsStuckAndAWaitIsNot) {
    rule(R"({"name": "hung", "when": {"stuck": "1h"}})");
    boot();
    deploy("name: w\nsteps: [{id: s, call: {function: f}, timeout: 2d}]\n");
    deploy("name: sleeper\nsteps: [{id: s, wait: {for: 30d}}]\n");
    deploy("name: asker\nsteps: [{id: s, wait: {signal: go}}]\n");
    deploy("name: above\nsteps: [{id: s, subflow: {workflow: sleeper}}]\n");
    steps_.how = Steered::How::hold;
    const flow::RunId held = start();
    for (const char* name : {"sleeper", "asker", "above"}) start(name);
    pass(minutes(59));
    EXPECT_TRUE(receiver_.got.empty());
    pass(minutes(2));
    ASSERT_EQ(receiver_.types(), std::vector<std::string>{"fired"});
    const json::object& data = receiver_.got[0].second.at("data").as_object();
    EXPECT_EQ(data.at("workflow"), "w");
    ASSERT_EQ(data.at("runs").as_array().size(), 1u);
    EXPECT_EQ(data.at("runs").at(0).at("id"), json::value(flow::to_text(held)));
    ASSERT_TRUE(runtime_->cancel(held, "").has_value());
    for (int i = 0; i < 3; ++i) pass(minutes(1));
    EXPECT_EQ(receiver_.types(), (std::vector<std::string>{"fired", "resolved"}));
}

TEST_F(AlarmsTest, APersonWhoDoesNotAnswerInTimeIsToldOf) {
    rule(R"({"name": "hung", "when": {"stuck": "1d"}})");
    boot();
    deploy(R"(name: w
steps:
  - id: gate
    human: {ask: approve, prompt: "Go?", escalate: {after: 10m, to: [boss]}}
)");
    const flow::RunId run = start();
    pass(minutes(9));
    EXPECT_TRUE(receiver_.got.empty());
    clock_.advance(minutes(2));
    runtime_->post([this] { runtime_->engine().tick(); });
    runtime_->stats();  // behind the tick
    log_->flush();
    runtime_->stats();  // behind what the commit posted
    pass(seconds(1));
    ASSERT_EQ(receiver_.types(), std::vector<std::string>{"fired"});
    for (int i = 0; i < 3; ++i) pass(minutes(1));
    EXPECT_EQ(receiver_.got.size(), 1u) << "nobody has answered yet";
    ASSERT_TRUE(runtime_->answer(run, "gate", json::object{{"decision", "approved"}}).has_value());
    for (int i = 0; i < 3; ++i) pass(minutes(1));
    EXPECT_EQ(receiver_.types(), (std::vector<std::string>{"fired", "resolved"}));
}

TEST_F(AlarmsTest, BudgetsOfARunAndOfADay) {
    rule(R"({"name": "run", "when": {"budget": {"tokens": 100}}, "clear_after": "1s"})");
    rule(R"({"name": "day", "when": {"budget": {"cost_usd": 0.6}, "per": "day"}})");
    boot();
    deploy(kOneCall);
    steps_.tokens = 100;
    run_to_end(Steered::How::finish);
    pass(seconds(1));
    EXPECT_TRUE(receiver_.got.empty());
    steps_.tokens = 101;
    run_to_end(Steered::How::finish);
    pass(seconds(1));
    ASSERT_EQ(receiver_.got.size(), 1u);
    EXPECT_EQ(receiver_.got[0].second.at("data").at("alarm"), "run");
    run_to_end(Steered::How::finish);
    pass(seconds(1));
    ASSERT_EQ(receiver_.got.size(), 2u) << "three runs of 0.25";
    EXPECT_EQ(receiver_.got[1].second.at("data").at("alarm"), "day");
    for (int i = 0; i < 30; ++i) pass(hours(1));
    EXPECT_EQ(receiver_.types(),
              (std::vector<std::string>{"fired", "fired", "resolved", "resolved"}));
}

TEST_F(AlarmsTest, AStepThatProcessesDieOfIsToldOf) {
    rule(R"({"name": "sick", "when": {"quarantined": true}})");
    boot();
    deploy(kOneCall);
    pass(seconds(1));
    steps_.how = Steered::How::hold;
    const flow::RunId run = start();
    for (int i = 0; i < 4; ++i) {
        halt();
        boot_runs(true);
        boot();
        runtime_->stats();
        log_->flush();
        runtime_->stats();
    }
    pass(seconds(1));
    ASSERT_EQ(receiver_.types(), std::vector<std::string>{"fired"});
    EXPECT_EQ(receiver_.got[0].second.at("data").at("runs").at(0).at("id"),
              json::value(flow::to_text(run)));
}

TEST_F(AlarmsTest, SilencedTakenAndReminded) {
    rule(R"({"name": "full", "when": {"disk_free_mib": 1024}, "repeat": "1h"})");
    boot();
    free_ = 1u << 20;
    ASSERT_TRUE(alarms_->silence("t", "full", 3'600'000, "ann").has_value());
    pass(seconds(11));
    EXPECT_TRUE(receiver_.got.empty());
    EXPECT_EQ(only().state.phase, flow::AlarmPhase::firing);
    pass(hours(1));
    EXPECT_EQ(receiver_.types(), std::vector<std::string>{"fired"});
    pass(hours(1));
    EXPECT_EQ(receiver_.types(), (std::vector<std::string>{"fired", "reminded"}));
    EXPECT_EQ(*alarms_->acknowledge("t", "full", "", "ann"), 1u);
    EXPECT_FALSE(alarms_->acknowledge("t", "full", "", "bob").has_value());
    pass(hours(2));
    EXPECT_EQ(receiver_.got.size(), 2u);
    EXPECT_EQ(only().state.acked_by, "ann");
    free_ = 1ull << 40;
    pass(seconds(1));
    pass(minutes(2));
    EXPECT_EQ(receiver_.types(), (std::vector<std::string>{"fired", "reminded", "resolved"}));
    EXPECT_EQ(alarms_->silence("t", "fulll", 1, "").error().code, base::Code::not_found);
}

TEST_F(AlarmsTest, RulesComeAndGoByTheApiAndOutliveRestarts) {
    rule(kRate);
    boot();
    auto mine = *flow::read_alarm_rule(
        base::parse_json(R"({"name": "mine", "when": {"stuck": "1h"}})")->as_object(), "");
    mine.tenant = "t";
    ASSERT_TRUE(alarms_->add(mine).has_value());
    EXPECT_EQ(alarms_->add(mine).error().code, base::Code::already_exists);
    mine.name = "other";
    mine.webhooks = {"opps"};
    EXPECT_EQ(alarms_->add(mine).error().code, base::Code::not_found);
    EXPECT_EQ(alarms_->list("t")->size(), 2u);
    EXPECT_TRUE(alarms_->list("u")->empty());
    alarms_.reset();
    boot();
    EXPECT_EQ(alarms_->list("t")->size(), 2u);
    EXPECT_EQ(alarms_->remove("t", "failing").error().code, base::Code::failed_precondition);
    ASSERT_TRUE(alarms_->remove("t", "mine").has_value());
    EXPECT_EQ(alarms_->list("t")->size(), 1u);
    const auto sent = *alarms_->test("t", "failing");
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_TRUE(sent[0].error.empty());
    EXPECT_EQ(receiver_.types(), std::vector<std::string>{"test"});
}

TEST_F(AlarmsTest, OfTwoProcessesOneTells) {
    test::PostgresServer& server = test::PostgresServer::instance();
    DG_NEED_SERVER(server);
    rule(kRate);
    const std::string url = server.fresh_url();
    alarms_ = opened(url);
    const auto other = opened(url);
    deploy(kOneCall);
    for (int i = 0; i < 5; ++i) run_to_end(Steered::How::fail);
    for (int i = 0; i < 20; ++i) {
        pass(seconds(1));
        ASSERT_TRUE(other->look().has_value());
        ASSERT_TRUE(other->deliver().has_value());
    }
    EXPECT_EQ(receiver_.types(), std::vector<std::string>{"fired"});
    alarms_.reset();  // who decided is gone; the other goes on
    for (int i = 0; i < 20; ++i) {
        clock_.advance(minutes(1));
        ASSERT_TRUE(other->look().has_value());
        ASSERT_TRUE(other->deliver().has_value());
    }
    EXPECT_EQ(receiver_.types(), (std::vector<std::string>{"fired", "resolved"}));
}

}  // namespace
