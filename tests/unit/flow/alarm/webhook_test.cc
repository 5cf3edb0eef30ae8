#include "flow/alarm/webhook.h"

#include <gtest/gtest.h>

#include "base/core/base64.h"
#include "base/files/hmac.h"
#include "base/schema/schema_check.h"
#include "support/seeds.h"

namespace {

using flow::AlarmRule;
using flow::AlarmTold;
using flow::WebhookAnswer;
using Kind = flow::WebhookVerdict::Kind;

AlarmRule rule() {
    AlarmRule out;
    out.name = "failing";
    out.note = "see the runbook";
    out.limit = 0.2;
    out.over_ms = 900'000;
    return out;
}

TEST(Hmac, IsThatOfRfc4231) {
    const auto hex = [](const std::string& bytes) {
        std::string out;
        for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
        return out;
    };
    EXPECT_EQ(hex(base::hmac_sha256("Jefe", "what do ya want for nothing?")),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(hex(base::hmac_sha256(std::string(131, '\xaa'),
                                    "Test Using Larger Than Block-Size Key - Hash Key First")),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Webhook, SignsAsTheStandardSays) {
    const flow::Webhook to{"ops", "https://x",
                           *base::base64_decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")};
    const auto headers = flow::webhook_headers(to, "msg_p5jXN8AQM9LWM0D4loKWxJek",
                                               R"({"test": 2432232314})", 1614265330);
    const flow::WebhookHeaders expected = {
        {"content-type", "application/json"},
        {"webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"},
        {"webhook-timestamp", "1614265330"},
        {"webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}};
    EXPECT_EQ(headers, expected);
}

TEST(Webhook, EveryMessageIsAsItsSchemaSays) {
    const auto check = base::SchemaCheck::compile(flow::alarm_message_schema());
    ASSERT_TRUE(check.has_value());
    flow::AlarmReading reading{.value = 0.25, .samples = 8, .runs = {}, .runs_total = 2};
    reading.runs.push_back({flow::RunId{1ull << 40, 7}, 1'700'000'000'000, "it broke"});
    for (const auto told :
         {std::optional<AlarmTold>(), std::optional(AlarmTold::fired),
          std::optional(AlarmTold::reminded), std::optional(AlarmTold::resolved)}) {
        const auto message = base::parse_json(
            flow::alarm_message(rule(), "analytics", told, {}, reading, 1'700'000'000'250));
        ASSERT_TRUE(message.has_value());
        const auto good = check->check(*message);
        EXPECT_TRUE(good.has_value()) << good.error().message;
        EXPECT_EQ(message->at("timestamp"), "2023-11-14T22:13:20.250Z");
    }
    EXPECT_FALSE(check->check(*base::parse_json(R"({"type": "flow.alarm.fired"})")).has_value());
}

TEST(Webhook, AMessageKeepsItsIdAndNoTwoShareOne) {
    const auto id = [](std::uint64_t number, AlarmTold told, std::string_view webhook) {
        return flow::delivery_id(rule(), "w", {.number = number, .tellings = 1, .acked_by = {}},
                                 told, webhook);
    };
    EXPECT_EQ(id(1, AlarmTold::fired, "a"), id(1, AlarmTold::fired, "a"));
    EXPECT_NE(id(1, AlarmTold::fired, "a"), id(2, AlarmTold::fired, "a"));
    EXPECT_NE(id(1, AlarmTold::fired, "a"), id(1, AlarmTold::resolved, "a"));
    EXPECT_NE(id(1, AlarmTold::fired, "a"), id(1, AlarmTold::fired, "b"));
}

TEST(Webhook, TriesAgainLaterAndLaterUntilItGivesUp) {
    test::for_each_seed(200, [](base::Rng& rng) {
        std::int64_t age = 0;
        std::uint32_t attempts = 0;
        for (;;) {
            ++attempts;
            ASSERT_LT(attempts, 500u);
            const auto verdict = flow::verdict_of(WebhookAnswer{.status = 503}, attempts, age, rng);
            if (verdict.kind == Kind::dead) break;
            ASSERT_EQ(verdict.kind, Kind::again);
            const std::int64_t most =
                std::min<std::int64_t>(3'600'000, 5'000ll << std::min(attempts - 1, 20u));
            ASSERT_GE(verdict.wait_ms, most / 2);
            ASSERT_LE(verdict.wait_ms, most);
            age += verdict.wait_ms;
        }
        ASSERT_GT(age, 2 * 86'400'000) << "an outage of a weekend is no reason to give up";
        ASSERT_LE(age, 3 * 86'400'000);
    });
}

TEST(Webhook, WhatAReceiverSaysDecides) {
    base::Rng rng(1);
    const auto verdict = [&](const base::Result<WebhookAnswer>& answer) {
        return flow::verdict_of(answer, 1, 0, rng);
    };
    EXPECT_EQ(verdict(WebhookAnswer{.status = 204}).kind, Kind::delivered);
    EXPECT_EQ(verdict(WebhookAnswer{.status = 302}).kind, Kind::again);
    EXPECT_EQ(verdict(WebhookAnswer{.status = 404}).kind, Kind::again);
    EXPECT_EQ(verdict(WebhookAnswer{.status = 410}).kind, Kind::dead);
    EXPECT_EQ(verdict(base::fail(base::Code::unavailable, "nobody there")).kind, Kind::again);
    EXPECT_EQ(
        verdict(WebhookAnswer{.status = 429, .retry_after = std::chrono::seconds(600)}).wait_ms,
        600'000);
    EXPECT_EQ(verdict(WebhookAnswer{.status = 429, .retry_after = std::chrono::hours(50)}).wait_ms,
              3'600'000);
}

}  // namespace
