#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "policy_fixture.h"
#include "support/seeds.h"

namespace sphere::policy {
namespace {

using Cause = Decision::Cause;

const std::string kHead = "version: 1\nname: p\n";

/// One allow rule for tool t with these constraints of argument a.
PolicySet allow_when(const std::string& constraint) {
    return set_of(
        kHead + "tools: [{id: r, effect: allow, tools: [t], arguments: {a: " + constraint + "}}]");
}
PolicySet deny_when(const std::string& constraint) {
    return set_of(kHead +
                  "tools: [{id: all, effect: allow, tools: [t], other_arguments: true},"
                  "{id: r, effect: deny, tools: [t], arguments: {a: " +
                  constraint + "}}]");
}
Effect effect(const PolicySet& set, const std::string& argument) {
    return set.decide(call("t", R"({"a":)" + argument + "}")).effect;
}

TEST(Decide, WhatNoRuleAllowsIsDenied) {
    const PolicySet set = set_of(kHead + "tools: [{id: r, effect: allow, tools: [t]}]");
    EXPECT_EQ(set.decide(call("t")).effect, Effect::allow);
    EXPECT_EQ(set.decide(call("t")).rule, "r");
    const Decision other = set.decide(call("u"));
    EXPECT_EQ(other.effect, Effect::deny);
    EXPECT_EQ(other.cause, Cause::no_rule);
    EXPECT_TRUE(other.blocks());
    EXPECT_EQ(set_of(kHead).decide(call("t")).effect, Effect::deny);
}

TEST(Decide, DenyGoesBeforeAskBeforeAllow) {
    const std::string allow = "{id: a, effect: allow, tools: ['*']}",
                      ask = "{id: b, effect: ask, tools: [t, u]}",
                      deny = "{id: c, effect: deny, tools: [t]}";
    const PolicySet set = set_of(kHead + "tools: [" + allow + "," + ask + "," + deny + "]");
    EXPECT_EQ(set.decide(call("t")).effect, Effect::deny);
    EXPECT_EQ(set.decide(call("u")).effect, Effect::ask);
    EXPECT_TRUE(set.decide(call("u")).blocks());
    EXPECT_EQ(set.decide(call("v")).effect, Effect::allow);
}

TEST(Decide, ADryRunDecidesAndBlocksNothing) {
    const PolicySet set = set_of(kHead + "dry_run: true\n");
    const Decision decision = set.decide(call("t"));
    EXPECT_EQ(decision.effect, Effect::deny);
    EXPECT_FALSE(decision.blocks());
}

TEST(Decide, TheMoreNamedPolicyApplies) {
    const PolicySet set = set_of(
        "policies:\n"
        "- {version: 1, name: both, tenants: [acme], agents: [writer]}\n"
        "- {version: 1, name: tenant, tenants: [acme]}\n"
        "- {version: 1, name: agent, agents: [writer]}\n"
        "- {version: 1, name: rest}\n");
    EXPECT_EQ(set.find("acme", "writer")->name, "both");
    EXPECT_EQ(set.find("acme", "other")->name, "tenant");
    EXPECT_EQ(set.find("other", "writer")->name, "agent");
    EXPECT_EQ(set.find("other", "")->name, "rest");
}

TEST(Decide, TwoPoliciesForTheSameAreRefused) {
    for (const std::string second :
         {"{version: 1, name: b, tenants: [x, acme]}", "{version: 1, name: a, tenants: [y]}"}) {
        auto policies = parse_policies(
            "policies: [{version: 1, name: a, tenants: [acme]}, " + second + "]", "p");
        ASSERT_TRUE(policies.has_value());
        const auto set = PolicySet::create(std::move(*policies));
        ASSERT_FALSE(set.has_value());
        EXPECT_EQ(set.error().code, base::Code::already_exists);
    }
}

TEST(Decide, NobodyWithoutAPolicyMayDoAnything) {
    const PolicySet set = set_of(kHead + "tenants: [other]\n");
    EXPECT_EQ(set.decide(call("t")).cause, Cause::no_policy);
    EXPECT_TRUE(set.decide(call("t")).blocks());
}

TEST(Decide, TypesRangesAndLengths) {
    const PolicySet set = allow_when("{type: integer, min: 1, max: 10}");
    EXPECT_EQ(effect(set, "1"), Effect::allow);
    EXPECT_EQ(effect(set, "10"), Effect::allow);
    EXPECT_EQ(effect(set, "7.0"), Effect::allow);
    for (const char* bad : {"0", "11", "1.5", "\"5\"", "true", "null", "[5]", "1e300"}) {
        EXPECT_EQ(effect(set, bad), Effect::deny) << bad;
    }
    const PolicySet text = allow_when("{type: string, length_max: 3}");
    EXPECT_EQ(effect(text, "\"abc\""), Effect::allow);
    EXPECT_EQ(effect(text, "\"abcd\""), Effect::deny);
    const PolicySet chosen = allow_when("{enum: [red, 5, true]}");
    EXPECT_EQ(effect(chosen, "\"red\""), Effect::allow);
    EXPECT_EQ(effect(chosen, "5.0"), Effect::allow);
    EXPECT_EQ(effect(chosen, "true"), Effect::allow);
    EXPECT_EQ(effect(chosen, "\"5\""), Effect::deny);
    EXPECT_EQ(effect(chosen, "\"RED\""), Effect::deny);
}

TEST(Decide, APatternIsOfTheWholeText) {
    const PolicySet set = allow_when("{pattern: '[a-z]+'}");
    EXPECT_EQ(effect(set, "\"abc\""), Effect::allow);
    for (const char* bad : {"\"abc1\"", "\"\"", "\"abc\\n\"", "\"x\\u0000\"", "5"}) {
        EXPECT_EQ(effect(set, bad), Effect::deny) << bad;
    }
}

TEST(Decide, APatternOverItsBudgetIsNotAMatchForAllowAndOneForDeny) {
    const std::string bomb = "\"" + std::string(40, 'a') + "!\"";
    EXPECT_EQ(effect(allow_when("{pattern: '(a|aa)+'}"), bomb), Effect::deny);
    EXPECT_EQ(effect(deny_when("{pattern: '(a|aa)+'}"), bomb), Effect::deny);
    EXPECT_EQ(effect(deny_when("{pattern: 'b'}"), "\"a\""), Effect::allow);
}

TEST(Decide, PathsStayBeneathTheirPrefix) {
    const PolicySet set = allow_when("{path_prefix: [/workspace, /data/in]}");
    for (const char* good :
         {"/workspace", "/workspace/a", "a/b", "./a", "/workspace//a/.", "/data/in/x"}) {
        EXPECT_EQ(effect(set, "\"" + std::string(good) + "\""), Effect::allow) << good;
    }
    for (const char* bad : {"/workspacex", "/etc/passwd", "../a", "/workspace/../etc", "a/..",
                            "~/x", "", "/data", "/", "/workspace\\u0000/x"}) {
        EXPECT_EQ(effect(set, "\"" + std::string(bad) + "\""), Effect::deny) << bad;
    }
    EXPECT_EQ(effect(set, "[\"/workspace\"]"), Effect::deny);
}

/// The spellings of S43 and their kin.
TEST(Decide, DomainsAreJudgedWhateverTheirSpelling) {
    const PolicySet set = allow_when("{domain: [example.org, '*.example.net', 192.0.2.1]}");
    for (const char* good : {"example.org", "EXAMPLE.org", "example.org.", "example.org:443",
                             "https://example.org/a?b#c", "HTTPS://Example.ORG", "a.example.net",
                             "http://a.b.example.net:8080/", "192.0.2.1"}) {
        EXPECT_EQ(effect(set, "\"" + std::string(good) + "\""), Effect::allow) << good;
    }
    for (const char* bad : {"example.com",
                            "example.net",
                            "xexample.org",
                            "example.org.evil.com",
                            "a.example.org",
                            "https://user@example.org",
                            "https://example.org@evil.com",
                            "https://evil.com#example.org",
                            "https://evil.com/example.org",
                            "https://evil.com\\\\@example.org",
                            "example.org..",
                            "ex%61mple.org",
                            "https://ex%61mple.org/",
                            "2130706433",
                            "0x7f.1",
                            "127.1",
                            "[::1]",
                            "https://[::1]/",
                            "exam\\u0440le.org",
                            "\\u3000example.org",
                            " example.org",
                            "example.org\\t",
                            "",
                            "https://",
                            "example.org:99999999",
                            "file:///etc/passwd"}) {
        EXPECT_EQ(effect(set, "\"" + std::string(bad) + "\""), Effect::deny) << bad;
    }
}

TEST(Decide, ListsAndObjectsAreJudgedInside) {
    const PolicySet list = allow_when("{type: array, length_max: 2, items: {enum: [a, b]}}");
    EXPECT_EQ(effect(list, R"(["a","b"])"), Effect::allow);
    EXPECT_EQ(effect(list, R"(["a","c"])"), Effect::deny);
    EXPECT_EQ(effect(list, R"(["a","a","a"])"), Effect::deny);
    const PolicySet object =
        allow_when("{type: object, fields: {x: {type: integer, required: true}, y: {max: 3}}}");
    EXPECT_EQ(effect(object, R"({"x":1})"), Effect::allow);
    EXPECT_EQ(effect(object, R"({"x":1,"y":3})"), Effect::allow);
    for (const char* bad : {R"({})", R"({"x":1,"y":4})", R"({"x":1,"z":0})", R"([])"}) {
        EXPECT_EQ(effect(object, bad), Effect::deny) << bad;
    }
}

TEST(Decide, ArgumentsThatAreNotNamedAreRefusedUnlessSaid) {
    EXPECT_EQ(allow_when("{}").decide(call("t", R"({"b":1})")).effect, Effect::deny);
    EXPECT_EQ(allow_when("{required: true}").decide(call("t")).effect, Effect::deny);
    const PolicySet open =
        set_of(kHead + "tools: [{id: r, effect: allow, tools: [t], other_arguments: true}]");
    EXPECT_EQ(open.decide(call("t", R"({"b":1})")).effect, Effect::allow);
    EXPECT_EQ(open.decide(call("t", "[]")).effect, Effect::deny) << "arguments are an object";
}

TEST(Decide, ADenyRuleHoldsWhenItCannotTell) {
    const PolicySet path = deny_when("{path_prefix: [/etc]}");
    EXPECT_EQ(effect(path, "\"/etc/passwd\""), Effect::deny);
    EXPECT_EQ(effect(path, "\"/tmp\""), Effect::allow);
    for (const char* unclear : {"\"/tmp/../etc/passwd\"", "[\"/etc/passwd\"]", "5", "null"}) {
        EXPECT_EQ(effect(path, unclear), Effect::deny) << unclear;
    }
    EXPECT_EQ(path.decide(call("t", "{}")).effect, Effect::allow) << "it is not there";
    const PolicySet host = deny_when("{domain: ['*.evil.com']}");
    EXPECT_EQ(effect(host, "\"https://x@a.evil.com\""), Effect::deny);
    EXPECT_EQ(effect(host, "\"https://good.com\""), Effect::allow);
    const PolicySet items = deny_when("{type: array, items: {enum: [rm]}}");
    EXPECT_EQ(effect(items, R"(["ls","rm"])"), Effect::deny) << "any item is enough";
    EXPECT_EQ(effect(items, R"(["ls"])"), Effect::allow);
}

TEST(Decide, DataClassesReachOnlyWhereTheyMay) {
    const PolicySet set = set_of(kHead +
                                 "may_leave: [public]\n"
                                 "tools:\n"
                                 "- {id: web, effect: allow, tools: [web]}\n"
                                 "- {id: mail, effect: allow, tools: [mail], data: [public, pii]}\n"
                                 "- {id: any, effect: allow, tools: [store], data: [a, b]}\n"
                                 "- {id: no-a, effect: deny, tools: [store], data: [a]}\n");
    EXPECT_EQ(set.decide(call("web", "{}", {"public"})).effect, Effect::allow);
    EXPECT_EQ(set.decide(call("web", "{}", {"public", "pii"})).effect, Effect::deny);
    EXPECT_EQ(set.decide(call("mail", "{}", {"pii"})).effect, Effect::allow);
    EXPECT_EQ(set.decide(call("store", "{}", {"b"})).effect, Effect::allow);
    EXPECT_EQ(set.decide(call("store", "{}", {"a", "b"})).effect, Effect::deny);
}

/// S53: whatever passes for a named tool is rejected, also where a wildcard would let it through.
TEST(Decide, ToolNamesThatLookLikeOthersAreRejected) {
    const PolicySet set = set_of(kHead +
                                 "tools:\n"
                                 "- {id: some, effect: allow, tools: ['*']}\n"
                                 "- {id: no, effect: deny, tools: [shell.exec, 'ロ座']}\n");
    EXPECT_EQ(set.decide(call("shell.exec")).cause, Cause::rule);
    EXPECT_EQ(set.decide(call("weather")).effect, Effect::allow);
    EXPECT_EQ(set.decide(call("搜索")).effect, Effect::allow);
    for (const char* name : {"Shell.Exec",
                             "SHELL.EXEC",
                             "shell_exec",
                             "shellexec",
                             "shell-exec",
                             "she1l.exec",
                             "exec",
                             "mcp/shell.exec",
                             "mcp__x__shell.exec",
                             "a:shell.exec",
                             "shell.exec ",
                             " shell.exec",
                             "shell.exec\n",
                             "sh\u0435ll.exec",
                             "shell\u200B.exec",
                             "\uFF53hell.exec",
                             "shell\u2024exec",
                             "shell.e\u0445ec",
                             "",
                             "shell.exec\x01",
                             "\xFF",
                             "口座",
                             "𝓈hell.exec"}) {
        const Decision decision = set.decide(call(name));
        EXPECT_EQ(decision.cause, Cause::tool_rejected) << name;
        EXPECT_TRUE(decision.blocks()) << name;
    }
    EXPECT_EQ(set.decide(call(std::string(129, 'a'))).cause, Cause::tool_rejected);
}

TEST(Decide, ExplainAsksEveryRuleInOrder) {
    const PolicySet set = set_of(kHead +
                                 "tools:\n"
                                 "- {id: z, effect: allow, tools: [t]}\n"
                                 "- {id: b, effect: deny, tools: ['*'], arguments: {a: {min: 5}}}\n"
                                 "- {id: a, effect: ask, tools: [t], arguments: {a: {max: 1}}}\n");
    const Explanation explained = set.explain(call("t", R"({"a":2})"));
    ASSERT_EQ(explained.rules.size(), 3u);
    EXPECT_EQ(explained.rules[0].rule, "b");
    EXPECT_EQ(explained.rules[1].rule, "a");
    EXPECT_EQ(explained.rules[2].rule, "z");
    EXPECT_FALSE(explained.rules[1].why.empty());
    EXPECT_EQ(explained.decision.effect, Effect::deny) << "z does not name argument a";
}

/// Random rules in random order: the decision is the same, and what the stated precedence gives.
TEST(Decide, TheOrderOfRulesNeverMatters) {
    test::for_each_seed(300, [](base::Rng& rng) {
        const std::array<std::string, 3> effects{"allow", "ask", "deny"}, tools{"t", "u", "'*'"};
        std::vector<std::string> rules;
        for (std::uint64_t i = 0; i < 1 + rng.below(8); ++i) {
            rules.push_back("{id: r" + std::to_string(i) + ", effect: " + effects[rng.below(3)] +
                            ", tools: [" + tools[rng.below(3)] +
                            "], arguments: {a: {min: " + std::to_string(rng.below(5)) +
                            ", max: " + std::to_string(5 + rng.below(5)) + "}}}");
        }
        const auto build = [&] {
            std::string text = kHead + "tools:\n";
            for (const auto& rule : rules) text += "- " + rule + "\n";
            return set_of(text);
        };
        const PolicySet first = build();
        for (std::size_t i = rules.size(); i > 1; --i) std::swap(rules[i - 1], rules[rng.below(i)]);
        const PolicySet second = build();
        for (const char* tool : {"t", "u", "v"}) {
            const ToolRequest request =
                call(tool, R"({"a":)" + std::to_string(rng.below(12)) + "}");
            const Explanation a = first.explain(request), b = second.explain(request);
            ASSERT_EQ(a.decision.effect, b.decision.effect);
            ASSERT_EQ(a.decision.rule, b.decision.rule);
            ASSERT_EQ(a.decision.reason, b.decision.reason);
            Effect strongest = Effect::allow;
            bool any = false;
            for (const RuleTrace& trace : a.rules) {
                if (!trace.matches) continue;
                any = true;
                strongest = std::min(strongest, trace.effect);
            }
            ASSERT_EQ(a.decision.effect, any ? strongest : Effect::deny);
        }
    });
}

}  // namespace
}  // namespace sphere::policy
