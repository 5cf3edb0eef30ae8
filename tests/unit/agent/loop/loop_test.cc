#include "agent/loop/loop.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>
#include <set>

#include "agent/loop/fields.h"
#include "agent/loop/policy.h"
#include "agent/tool.h"
#include "agent/tools/calculator.h"
#include "support/seeds.h"

namespace agent {
namespace {

namespace json = base::json;
using testing::HasSubstr;

json::value parsed(std::string_view text) {
    auto value = base::parse_json(text);
    EXPECT_TRUE(value) << text;
    return value ? *value : json::value();
}

json::value config() {
    return parsed(R"({"name": "a", "final_answer": true, "tool_choice": "required",
        "instructions": "Be good.",
        "tools": {"add": {"arguments": {"type": "object", "required": ["n"],
                          "properties": {"n": {"type": "integer"}}}, "parallel": true},
                  "wipe": {"arguments": {"type": "object"}, "calls_max": 1},
                  "look": {"arguments": {"type": "object"}, "parallel": true}},
        "policy": {"default": "allow", "rules": [
            {"tool": "wipe", "when": "arguments.all", "do": "deny", "why": "not all"},
            {"tool": "wipe", "do": "ask"}]},
        "limits": {"turns": 6, "tokens": 10000, "answer_tokens": 100, "tool_calls": 10,
                   "repeats": 3, "result_bytes": 400}})");
}

json::value call(std::string_view name, std::string_view arguments, std::string_view id = "c1") {
    return json::object{{"id", id},
                        {"type", "function"},
                        {"function", json::object{{"name", name}, {"arguments", arguments}}}};
}

json::value started() {
    const auto out = begin(json::object{{"agent", config()}, {"goal", "Count."}});
    EXPECT_TRUE(out);
    return *out;
}

json::value planned(json::array calls, const json::value& progress, std::string_view text = "") {
    const auto out = plan(
        json::object{{"agent", config()},
                     {"answer", json::object{{"text", text}, {"tool_calls", std::move(calls)}}},
                     {"progress", progress}});
    EXPECT_TRUE(out);
    return *out;
}

TEST(Begin, SaysWhatIsDataAndHowToEnd) {
    const auto out = begin(
        json::object{{"agent", config()},
                     {"goal", "Count."},
                     {"context", json::object{{"n", 3}}},
                     {"history", parsed(R"([{"role": "user", "content": "Hi"}])")},
                     {"recalled", parsed(R"({"results": [{"content": "Ann \"likes\" tea"}]})")}});
    ASSERT_TRUE(out);
    const std::string system = text_at(*out, "/messages/0/content");
    EXPECT_THAT(system, HasSubstr("Be good."));
    EXPECT_THAT(system, HasSubstr("final_answer"));
    EXPECT_THAT(system, HasSubstr("likes"));
    EXPECT_EQ(text_at(*out, "/messages/1/content"), "Hi");
    EXPECT_THAT(text_at(*out, "/messages/2/content"), HasSubstr(R"({"n":3})"));
    EXPECT_EQ(at(*out, "/progress/end"), nullptr);
    EXPECT_FALSE(begin(json::object{{"history", parsed(R"([{"role": "system"}])")}}))
        << "history cannot give instructions";
}

TEST(Plan, OneCallGoesThroughSchemaPolicyAndBudget) {
    const json::value plans =
        planned({call("add", R"({"n": 1})"), call("look", "{}"), call("add", R"({"n": "one"})"),
                 call("ad", "{}"), call("wipe", R"({"all": true})"), call("wipe", "{}"),
                 call("wipe", "{}"), call("look", "{")},
                *at(started(), "/progress"));
    std::vector<std::string> verdicts;
    std::string whys;
    for (const json::value& wave : list_at(plans, "/waves")) {
        for (const json::value& each : wave.as_array()) {
            verdicts.push_back(text_at(each, "/verdict"));
            whys += text_at(each, "/why") + "\n";
        }
    }
    EXPECT_THAT(verdicts, testing::ElementsAre("run", "run", "refuse", "refuse", "refuse", "ask",
                                               "refuse", "refuse"));
    EXPECT_THAT(whys, HasSubstr("did you mean 'add'"));
    EXPECT_THAT(whys, HasSubstr("not all"));
    EXPECT_THAT(whys, HasSubstr("1 times"));
    EXPECT_THAT(whys, HasSubstr("not JSON"));
}

TEST(Plan, IndependentCallsShareAWave) {
    const json::value plans = planned({call("add", R"({"n": 1})"), call("look", "{}"),
                                       call("wipe", "{}"), call("add", R"({"n": 2})")},
                                      *at(started(), "/progress"));
    std::vector<std::size_t> sizes;
    for (const json::value& wave : list_at(plans, "/waves")) {
        sizes.push_back(wave.as_array().size());
    }
    EXPECT_THAT(sizes, testing::ElementsAre(2, 1, 1));
}

TEST(Plan, TheFinalAnswerIsHeldToItsSchema) {
    json::value agent = config();
    agent.as_object()["output"] = parsed(
        R"({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}})");
    const auto with = [&](std::string_view arguments) {
        json::array calls;
        calls.push_back(call("final_answer", arguments));
        return *plan(json::object{{"agent", agent},
                                  {"answer", json::object{{"tool_calls", std::move(calls)}}}});
    };
    EXPECT_EQ(*at(with(R"({"n": 4})"), "/final/answer"), parsed(R"({"n": 4})"));
    EXPECT_EQ(at(with(R"({"n": "4"})"), "/final"), nullptr);
    EXPECT_THAT(text_at(with(R"({"n": "4"})"), "/problem"), HasSubstr("/n"));
    EXPECT_THAT(text_at(with(R"({"n": )"), "/problem"), HasSubstr("JSON"));
    const auto words =
        plan(json::object{{"agent", agent}, {"answer", json::object{{"text", R"({"n": 5})"}}}});
    EXPECT_EQ(*at(*words, "/final/answer"), parsed(R"({"n": 5})"));
}

TEST(Admit, APersonMayChangeArgumentsWithinSchemaAndPolicy) {
    const auto with = [&](std::string_view decision, std::string_view arguments) {
        return *admit(json::object{
            {"agent", config()},
            {"call", parsed(R"({"tool": "wipe", "arguments": {"path": "a"}})")},
            {"decision", json::object{{"decision", decision}, {"answer", parsed(arguments)}}}});
    };
    EXPECT_EQ(*at(with("approved", "null"), "/arguments"), parsed(R"({"path": "a"})"));
    EXPECT_TRUE(flag_at(with("approved", "null"), "/run"));
    EXPECT_EQ(*at(with("answered", R"({"path": "b"})"), "/arguments"), parsed(R"({"path": "b"})"));
    EXPECT_FALSE(flag_at(with("answered", R"({"all": true})"), "/run")) << "denied by a rule";
    EXPECT_FALSE(flag_at(with("answered", R"("text")"), "/run")) << "not as the schema says";
    const auto refused =
        admit(json::object{{"agent", config()},
                           {"call", parsed(R"({"tool": "wipe"})")},
                           {"refused", parsed(R"({"message": "rejected by kim"})")}});
    EXPECT_FALSE(flag_at(*refused, "/run"));
    EXPECT_THAT(text_at(*refused, "/why"), HasSubstr("kim"));
}

TEST(Result, IsLabelledAndCut) {
    const auto out = result(json::object{
        {"agent", config()},
        {"call", parsed(R"({"id": "c9", "tool": "look", "verdict": "run", "arguments": {}})")},
        {"output", std::string(5'000, 'x')}});
    EXPECT_EQ(text_at(*out, "/message/tool_call_id"), "c9");
    const std::string text = text_at(*out, "/message/content");
    EXPECT_THAT(text, HasSubstr(R"("untrusted":true)"));
    EXPECT_LT(text.size(), 500u);
    EXPECT_THAT(text, HasSubstr("bytes left out"));
}

/// The goal and the last turn stay, with every call beside its result; the rest is the summary.
TEST(Compact, WhatIsOldBecomesTheSummary) {
    test::for_each_seed(100, [](base::Rng& rng) {
        const json::value opening = started();
        json::array messages = list_at(opening, "/messages");
        const std::size_t begun = messages.size();
        const std::uint64_t turns = rng.below(5);
        for (std::uint64_t turn = 0; turn < turns; ++turn) {
            json::array calls;
            json::array told;
            for (std::uint64_t n = rng.below(3); n > 0; --n) {
                const std::string id = fmt::format("c{}_{}", turn, n);
                calls.push_back(call("look", "{}", id));
                told.push_back({{"role", "tool"}, {"tool_call_id", id}, {"content", "x"}});
            }
            messages.push_back({{"role", "assistant"}, {"tool_calls", calls}});
            for (json::value& each : told) messages.push_back(std::move(each));
        }
        const auto out = compact(json::object{{"messages", messages},
                                              {"summary", "All is well."},
                                              {"usage", json::object{{"total_tokens", 7}}},
                                              {"progress", json::object{{"tokens", 5}}}});
        ASSERT_TRUE(out);
        EXPECT_EQ(count_at(*out, "/progress/tokens"), 12u);
        const json::array& kept = list_at(*out, "/messages");
        for (std::size_t i = 0; i < begun; ++i) EXPECT_EQ(kept[i], messages[i]);
        std::set<std::string> calls;
        std::size_t spoken = 0;
        for (const json::value& each : kept) {
            spoken += text_at(each, "/role") == "assistant" ? 1 : 0;
            for (const json::value& one : list_at(each, "/tool_calls")) {
                calls.insert(text_at(one, "/id"));
            }
            if (text_at(each, "/role") == "tool") {
                EXPECT_TRUE(calls.contains(text_at(each, "/tool_call_id")));
            }
        }
        EXPECT_EQ(spoken, std::min<std::size_t>(turns, 1));
        EXPECT_EQ(base::to_text(kept).contains("All is well."), turns > 1);
    });
}

TEST(Policy, WhatCannotBeDecidedIsNotAllowed) {
    const json::value policy = parsed(R"({"default": "allow", "rules": [
        {"tool": "t*", "when": "arguments.n + 1 > 2", "do": "allow"}]})");
    EXPECT_EQ(decide(policy, "tool", parsed(R"({"n": 5})")).verdict, "allow");
    EXPECT_EQ(decide(policy, "tool", parsed(R"({"n": "x"})")).verdict, "ask");
    EXPECT_EQ(decide(policy, "other", json::object()).verdict, "allow");
    EXPECT_EQ(decide(json::value(), "other", json::object()).verdict, "deny");
}

TEST(Calculator, FormulasAndNothingElse) {
    EXPECT_EQ(calculate("(2 + 3) * 4 ** 2")->at("result"), 80);
    EXPECT_EQ(calculate("7 // 2 == 3")->at("result"), true);
    for (const char* bad :
         {"'a' * 3", "x + 1", "1 / 0", "9 ** 9 ** 9 ** 9", "[1] * 99999999", ""}) {
        EXPECT_FALSE(calculate(bad)) << bad;
    }
}

TEST(Clock, ReadsInUtc) {
    EXPECT_EQ(clock_reading(0).at("utc"), "1970-01-01T00:00:00Z");
    EXPECT_EQ(clock_reading(0).at("weekday"), "Thursday");
}

/// A model that does whatever it likes.
class WildModel {
public:
    explicit WildModel(base::Rng& rng)
        : rng_(rng), stubborn(rng.below(2) == 0), dull_(rng.below(3) == 0) {}
    json::array calls(std::uint64_t turn) {
        constexpr std::string_view kNames[] = {"add",     "look",         "wipe",
                                               "nothing", "final_answer", ""};
        constexpr std::string_view kArguments[] = {
            R"({"n": 1})", "{}", R"({"all": true})", "{", "7", R"({"answer": "x"})", ""};
        json::array out;
        for (std::uint64_t n = dull_ ? 1 : rng_.below(4); n > 0; --n) {
            const std::size_t name = dull_ ? 1 : rng_.below(std::size(kNames));
            const std::size_t arguments = dull_ ? 1 : rng_.below(std::size(kArguments));
            if (stubborn && kNames[name] == "final_answer") continue;
            out.push_back(
                call(kNames[name], kArguments[arguments], fmt::format("c{}_{}", turn, out.size())));
        }
        return out;
    }
    std::string_view words() { return stubborn || rng_.below(3) > 0 ? "" : "words"; }

private:
    base::Rng& rng_;

public:
    const bool stubborn;  ///< it never answers

private:
    const bool dull_;  ///< it always makes the same call
};

/// The run ends within its limits, makes no call that it may not, and every call that the model is
/// told of has exactly one result.
TEST(LoopProperty, AnyModelEndsWithinItsLimits) {
    test::for_each_seed(1'000, [](base::Rng& rng) {
        WildModel model(rng);
        json::value state = started();
        std::uint64_t turns = 0, made = 0;
        while (at(state, "/progress/end") == nullptr) {
            ASSERT_LE(++turns, 6u + 3u);
            const json::value progress = *at(state, "/progress");
            const json::value plans = planned(model.calls(turns), progress, model.words());
            json::array results;
            std::size_t told = 0;
            for (const json::value& wave : list_at(plans, "/waves")) {
                json::array round;
                for (const json::value& each : wave.as_array()) {
                    if (text_at(each, "/verdict") != "refuse") {
                        ++made;
                        ASSERT_NE(text_at(each, "/tool"), "nothing");
                        ASSERT_FALSE(text_at(each, "/tool") == "wipe" &&
                                     flag_at(each, "/arguments/all"));
                    }
                    round.push_back(
                        *result(json::object{{"agent", config()}, {"call", each}, {"output", 1}}));
                    ++told;
                }
                results.push_back(std::move(round));
            }
            const auto seen =
                observe(json::object{{"agent", config()},
                                     {"plan", plans},
                                     {"results", std::move(results)},
                                     {"usage", json::object{{"total_tokens", rng.below(1'500)}}},
                                     {"progress", progress}});
            ASSERT_TRUE(seen);
            ASSERT_EQ(list_at(plans, "/message/tool_calls").size(), told);
            std::size_t answers = 0;
            for (const json::value& message : list_at(*seen, "/messages")) {
                answers += text_at(message, "/role") == "tool" ? 1 : 0;
            }
            ASSERT_EQ(answers, told);
            state = *seen;
        }
        EXPECT_LE(made, 10u);
        if (model.stubborn) {
            EXPECT_NE(text_at(state, "/progress/end/failed"), "");
        }
    });
}

json::value anything(base::Rng& rng, int depth) {
    constexpr std::string_view kNames[] = {
        "agent",   "answer", "progress", "tools",  "limits", "call",      "plan", "results",
        "message", "output", "function", "name",   "waves",  "arguments", "end",  "tool_calls",
        "policy",  "rules",  "when",     "forced", "seen",   "usage",     "turn", "key"};
    switch (rng.below(depth > 4 ? 5 : 7)) {
        case 0:
            return nullptr;
        case 1:
            return static_cast<std::int64_t>(rng.below(5)) - 2;
        case 2:
            return 1e300;
        case 3:
            return "final_answer";
        case 4:
            return true;
        case 5: {
            json::array out;
            for (std::uint64_t n = rng.below(4); n > 0; --n)
                out.push_back(anything(rng, depth + 1));
            return out;
        }
        default: {
            json::object out;
            for (std::uint64_t n = rng.below(8); n > 0; --n) {
                out[kNames[rng.below(std::size(kNames))]] = anything(rng, depth + 1);
            }
            return out;
        }
    }
}

/// Values of any shape: an error in words or an answer, never a crash.
TEST(LoopFuzz, StrangeArgumentsAreSurvived) {
    test::for_each_seed(3'000, [](base::Rng& rng) {
        const json::value in = anything(rng, 0);
        for (const auto function : {begin, plan, admit, result, compact, observe}) {
            const auto out = function(in);
            if (!out) {
                EXPECT_FALSE(out.error().message.empty());
            }
        }
    });
}

}  // namespace
}  // namespace agent
