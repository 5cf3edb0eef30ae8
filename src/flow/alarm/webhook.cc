#include "flow/alarm/webhook.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/core/base64.h"
#include "base/files/hmac.h"
#include "base/files/sha256.h"

namespace flow {

namespace json = base::json;

namespace {

constexpr std::int64_t kFirstMs = 5'000, kMostMs = 3'600'000;
constexpr std::int64_t kAgeMaxMs = 3 * 86'400'000;
constexpr std::uint32_t kDoublingsMax = 20;

/// "2026-12-01T09:00:00.250Z"
std::string moment_text(std::int64_t unix_ms) {
    const std::chrono::sys_time<std::chrono::milliseconds> at{std::chrono::milliseconds(unix_ms)};
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss time(at - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", int(date.year()),
                       unsigned(date.month()), unsigned(date.day()), time.hours().count(),
                       time.minutes().count(), time.seconds().count(), time.subseconds().count());
}

json::array runs_json(const AlarmReading& reading) {
    json::array out;
    for (const AlarmRun& run : reading.runs) {
        json::object one{{"id", to_text(run.run)}, {"at_unix_ms", run.at_ms}};
        if (!run.detail.empty()) one["detail"] = run.detail;
        out.push_back(std::move(one));
    }
    return out;
}

}  // namespace

std::string alarm_message(const AlarmRule& rule, std::string_view workflow,
                          std::optional<AlarmTold> told, const AlarmState& state,
                          const AlarmReading& reading, std::int64_t now_ms) {
    json::object data{{"alarm", rule.name}, {"tenant", rule.tenant}};
    if (!workflow.empty()) data["workflow"] = workflow;
    data["text"] = told ? alarm_text(rule, reading) : std::string("A test: nothing is wrong.");
    if (!rule.note.empty()) data["note"] = rule.note;
    data["when"] = to_json(rule).at("when");
    if (told) {
        data["number"] = state.number;
        data["since_unix_ms"] = state.since_ms;
        data["value"] = reading.value;
        data["runs_total"] = reading.runs_total;
        data["runs"] = runs_json(reading);
    }
    return base::to_text(
        json::object{{"type", fmt::format("flow.alarm.{}", told ? told_name(*told) : "test")},
                     {"timestamp", moment_text(now_ms)},
                     {"data", std::move(data)}});
}

json::object alarm_message_schema() {
    const auto text = [](std::string_view doc) {
        return json::object{{"type", "string"}, {"description", doc}};
    };
    const auto whole = [](std::string_view doc) {
        return json::object{{"type", "integer"}, {"minimum", 0}, {"description", doc}};
    };
    const json::object run{
        {"type", "object"},
        {"required", json::array{"id", "at_unix_ms"}},
        {"properties", json::object{{"id", text("Of the run, as GET /v1/runs/{id} takes it.")},
                                    {"at_unix_ms", whole("When it became part of this.")},
                                    {"detail", text("Why, for people.")}}}};
    const json::object data{
        {"type", "object"},
        {"required", json::array{"alarm", "tenant", "text", "when"}},
        {"properties",
         json::object{
             {"alarm", text("The rule's name.")},
             {"tenant", text("Whose runs.")},
             {"workflow", text("Which; not there: the alarm is about none.")},
             {"text", text("What is so, for people.")},
             {"note", text("The rule's own words.")},
             {"when", json::object{{"type", "object"}, {"description", "The rule's condition."}}},
             {"number", whole("Counts the firings of the rule for this workflow.")},
             {"since_unix_ms", whole("When it fired; resolved: when it ended.")},
             {"value", json::object{{"type", "number"},
                                    {"description", "What was measured, in the rule's unit."}}},
             {"runs_total", whole("How many runs it is about.")},
             {"runs",
              json::object{
                  {"type", "array"}, {"items", run}, {"description", "The newest 20 of them."}}}}}};
    return {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
            {"$id", "alarm-message.schema.json"},
            {"title", "Dougong alarm message"},
            {"type", "object"},
            {"required", json::array{"type", "timestamp", "data"}},
            {"properties",
             json::object{
                 {"type",
                  json::object{{"enum", json::array{"flow.alarm.fired", "flow.alarm.reminded",
                                                    "flow.alarm.resolved", "flow.alarm.test"}}}},
                 {"timestamp", json::object{{"type", "string"}, {"format", "date-time"}}},
                 {"data", data}}}};
}

std::string delivery_id(const AlarmRule& rule, std::string_view workflow, const AlarmState& state,
                        AlarmTold told, std::string_view webhook) {
    // The moment tells a rule from one of its name that was removed before.
    const std::string what =
        fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", rule.tenant, rule.name, workflow,
                    state.number, state.tellings, state.told_ms, told_name(told), webhook);
    return "msg_" + base::sha256_hex(what).substr(0, 32);
}

WebhookHeaders webhook_headers(const Webhook& to, std::string_view id, std::string_view body,
                               std::int64_t now_s) {
    const std::string moment = fmt::format("{}", now_s);
    std::string signature = "v1,";
    base::append_base64(signature,
                        base::hmac_sha256(to.secret, fmt::format("{}.{}.{}", id, moment, body)));
    return {{"content-type", "application/json"},
            {"webhook-id", std::string(id)},
            {"webhook-timestamp", moment},
            {"webhook-signature", std::move(signature)}};
}

WebhookVerdict verdict_of(const base::Result<WebhookAnswer>& answer, std::uint32_t attempts,
                          std::int64_t age_ms, base::Rng& rng) {
    using Kind = WebhookVerdict::Kind;
    constexpr int kGone = 410;
    if (answer && answer->status >= 200 && answer->status < 300) return {.kind = Kind::delivered};
    const std::string why = !answer ? answer.error().message
                                    : fmt::format("answered {}{}{}", answer->status,
                                                  answer->words.empty() ? "" : ": ", answer->words);
    if (answer && answer->status == kGone) {
        return {.kind = Kind::dead, .why = why + "; it wants no more of this webhook"};
    }
    const std::int64_t most = std::min(kMostMs, kFirstMs << std::min(attempts - 1, kDoublingsMax));
    std::int64_t wait =
        most / 2 + static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(most / 2 + 1)));
    if (answer && answer->retry_after) {
        const std::int64_t asked =
            std::chrono::duration_cast<std::chrono::milliseconds>(*answer->retry_after).count();
        wait = std::max(wait, std::min(asked, kMostMs));
    }
    if (age_ms + wait > kAgeMaxMs) {
        return {.kind = Kind::dead,
                .why = fmt::format("given up after {} attempts in three days: {}", attempts, why)};
    }
    return {.kind = Kind::again, .wait_ms = wait, .why = why};
}

}  // namespace flow
