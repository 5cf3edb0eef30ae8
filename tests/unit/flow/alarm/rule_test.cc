#include "flow/alarm/rule.h"

#include <gtest/gtest.h>

#include "base/schema/schema_check.h"
#include "support/seeds.h"

namespace {

namespace json = base::json;
using flow::AlarmRule;

constexpr std::string_view kFile = R"(webhooks:
  - {name: ops, url: "https://hooks.example.org/a", secret_env: OPS_KEY}
  - {name: chat, url: "http://127.0.0.1:9/b", secret_file: /run/key}
rules:
  - name: failing
    workflow: analytics
    when: {failure_rate: 0.2, over: 15m, at_least: 5}
    for: 1m
    clear_after: 5m
    repeat: 4h
    webhooks: [ops]
    note: see the runbook
  - {name: hung, when: {stuck: 1h}}
  - {name: dear, when: {budget: {cost_usd: 5}, per: run}}
  - {name: daily, when: {budget: {tokens: 1000000}, per: day}}
  - {name: sick, tenant: acme, when: {quarantined: true}}
  - {name: full, when: {disk_free_mib: 1024}}
)";

base::Result<flow::AlarmFile> read(std::string_view text) {
    return flow::read_alarm_file(text, "alarms.yaml",
                                 [](bool, const std::string&) -> base::Result<std::string> {
                                     return std::string("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
                                 });
}

TEST(AlarmFile, SaysRulesAndWebhooks) {
    const auto file = read(kFile);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    ASSERT_EQ(file->rules.size(), 6u);
    ASSERT_EQ(file->webhooks.size(), 2u);
    EXPECT_EQ(file->webhooks[0].secret.size(), 24u) << "whsec_ is Base64 of the key";
    const AlarmRule& failing = file->rules[0];
    EXPECT_EQ(failing.over_ms, 15 * 60'000);
    EXPECT_EQ(failing.hold_ms, 60'000);
    EXPECT_EQ(failing.repeat_ms, 4 * 3'600'000);
    EXPECT_TRUE(failing.from_file);
    EXPECT_EQ(file->rules[1].limit, 3'600'000);
    EXPECT_FALSE(file->rules[2].per_day);
    EXPECT_TRUE(file->rules[3].per_day);
    EXPECT_EQ(file->rules[4].tenant, "acme");
    for (const AlarmRule& rule : file->rules) {
        auto again = flow::read_alarm_rule(flow::to_json(rule), "");
        ASSERT_TRUE(again.has_value()) << again.error().message;
        again->from_file = true;
        again->tenant = rule.tenant;
        EXPECT_EQ(*again, rule) << "what is shown is what is read";
    }
}

TEST(AlarmFile, WhatIsWrongIsToldWithItsPlace) {
    const auto wrong = [](std::string_view text) {
        const auto file = read(text);
        EXPECT_FALSE(file.has_value()) << text;
        return file ? std::string() : file.error().subject;
    };
    EXPECT_EQ(wrong("rules:\n  - {name: a, when: {stuck: soon}}"), "alarms.yaml:2:29");
    EXPECT_EQ(wrong("rules:\n  - {name: a, when: {}}"), "alarms.yaml:2:21");
    EXPECT_EQ(wrong("rules:\n  - {name: a, when: {stuck: 1h, quarantined: true}}"),
              "alarms.yaml:2:46");
    EXPECT_EQ(wrong("rules:\n  - {name: a, wehn: {stuck: 1h}}"), "alarms.yaml:2:15");
    EXPECT_EQ(wrong("rules:\n  - {name: a, when: {stuck: 1h}, webhooks: [ops]}"),
              "alarms.yaml:2:44");
    EXPECT_EQ(wrong("rules:\n  - {name: a, when: {stuck: 1h}}\n  - {name: a, when: {stuck: 2h}}"),
              "alarms.yaml:3:12");
    EXPECT_EQ(wrong("webhooks:\n  - {name: a, url: 'ftp://x', secret_env: K}"), "alarms.yaml:2:20");
    const auto missing = flow::read_alarm_file(
        "webhooks:\n  - {name: a, url: 'http://x', secret_env: K}", "alarms.yaml",
        [](bool, const std::string&) -> base::Result<std::string> { return std::string("short"); });
    EXPECT_EQ(missing.error().subject, "alarms.yaml:2:44");
    EXPECT_EQ(read("")->rules.size(), 0u);
}

TEST(AlarmFile, TheSchemaTakesWhatTheReaderTakes) {
    const auto check = base::SchemaCheck::compile(flow::alarm_file_schema());
    ASSERT_TRUE(check.has_value()) << check.error().message;
    const json::value document = base::to_json(*base::parse_document(kFile, "alarms.yaml"));
    EXPECT_TRUE(check->check(document).has_value());
    EXPECT_FALSE(check->check(*base::parse_json(R"({"rules": [{"name": "a"}]})")).has_value());
}

TEST(AlarmRule, ARuleByTheApiIsCheckedFieldByField) {
    const auto subject = [](std::string_view text) {
        const auto rule = flow::read_alarm_rule(base::parse_json(text)->as_object(), "");
        return rule ? std::string("good") : rule.error().subject;
    };
    EXPECT_EQ(subject(R"({"name": "a", "when": {"stuck": "1h"}})"), "good");
    EXPECT_EQ(subject(R"({"name": "a", "when": {"stuck": 90}})"), "good");
    EXPECT_EQ(subject(R"({"when": {"stuck": "1h"}})"), "name");
    EXPECT_EQ(subject(R"({"name": "a"})"), "when");
    EXPECT_EQ(subject(R"({"name": "a", "when": {"stuck": "-1h"}})"), "when.stuck");
    EXPECT_EQ(subject(R"({"name": "a", "when": {"failure_rate": 2}})"), "when.failure_rate");
    EXPECT_EQ(subject(R"({"name": "a", "when": {"stuck": "1h", "over": "1m"}})"), "when.over");
    EXPECT_EQ(subject(R"({"name": "a", "when": {"budget": {"tokens": 1}, "per": "week"}})"),
              "when.per");
    EXPECT_EQ(subject(R"({"name": "a", "when": {"stuck": "1h"}, "url": "http://x"})"), "url")
        << "no URL comes by the API";
}

TEST(AlarmRule, WhateverBytesComeTheReaderSaysGoodOrWhere) {
    test::for_each_seed(2'000, [](base::Rng& rng) {
        std::string text(kFile);
        for (std::uint64_t i = 1 + rng.below(4); i > 0; --i) {
            const std::size_t at = rng.below(text.size());
            switch (rng.below(3)) {
                case 0:
                    text[at] = static_cast<char>(rng.below(256));
                    break;
                case 1:
                    text.erase(at, rng.below(20));
                    break;
                default:
                    text.insert(at, text.substr(rng.below(text.size()), rng.below(30)));
                    break;
            }
            if (text.empty()) text = "a";
        }
        const auto file = read(text);
        if (!file) {
            ASSERT_EQ(file.error().code, base::Code::invalid_argument);
            ASSERT_TRUE(file.error().subject.starts_with("alarms.yaml")) << file.error().subject;
        }
    });
}

}  // namespace
