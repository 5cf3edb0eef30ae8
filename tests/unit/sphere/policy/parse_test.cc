#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "policy_fixture.h"
#include "sphere/policy/policy_shape.h"
#include "support/seeds.h"

namespace sphere::policy {
namespace {

std::string read_file(const std::string& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

const std::string kExample = std::string(DG_SOURCE_DIR) + "/examples/policies/research.yaml";

std::string fault_at(const std::string& text, const std::string& file = "p.yaml") {
    const auto policies = parse_policies(text, file);
    if (policies) return "none";
    EXPECT_EQ(policies.error().code, base::Code::invalid_argument);
    return policies.error().subject;
}

TEST(ParsePolicy, ReadsEveryField) {
    const auto policies = parse_policies(read_file(kExample), kExample);
    ASSERT_TRUE(policies.has_value()) << policies.error().message;
    const Policy& policy = policies->at(0);
    EXPECT_EQ(policy.name, "research");
    EXPECT_EQ(policy.tenants, (std::vector<std::string>{"acme"}));
    EXPECT_EQ(policy.limits.memory_bytes, 1u << 30);
    EXPECT_EQ(policy.limits.lifetime, std::chrono::hours(1));
    EXPECT_EQ(policy.network.mode, NetworkMode::egress);
    EXPECT_EQ(policy.secrets.at(0).header, "Authorization");
    EXPECT_EQ(policy.rules.size(), 5u);
}

TEST(ParsePolicy, SaysLineAndColumn) {
    EXPECT_EQ(fault_at("version: 1\nname: p\nlimits:\n  cpus: many\n"), "p.yaml:4:9");
    EXPECT_EQ(fault_at("version: 1\nname: p\nunknown: 1\n"), "p.yaml:3:1");
    EXPECT_EQ(fault_at("version: 1\nname: p\nname: q\n"), "p.yaml:3:1");
    EXPECT_EQ(fault_at("version: 2\nname: p\n"), "p.yaml:1:10");
    EXPECT_EQ(fault_at("version: 1\nname: p\ntools: [{id: a, effect: allow, tools: ['a b']}]"),
              "p.yaml:3:40");
    EXPECT_EQ(fault_at("version: 1\nname: p\ntools: [{id: a, effect: maybe, tools: [t]}]"),
              "p.yaml:3:25");
    EXPECT_EQ(fault_at("{\"version\": 1,\n \"name\": 5}", "p.json"), "p.json:2:10");
    EXPECT_EQ(fault_at("version: 1\nname: [p\n").substr(0, 7), "p.yaml:");
}

TEST(ParsePolicy, RefusesWhatCannotBeMeant) {
    const std::string head = "version: 1\nname: p\n";
    const auto rule = [&](const std::string& rest) {
        return head + "tools: [{id: a, effect: allow, tools: [t]" + rest + "}]";
    };
    EXPECT_EQ(fault_at(rule("")), "none");
    for (const std::string& text :
         {std::string(),
          std::string("[]"),
          std::string("version: 1"),
          std::string("name: p"),
          head + "---\n" + head,
          head + "tenants: []",
          head + "limits: {memory_bytes: -1}",
          head + "limits: {memory_bytes: 1.5}",
          head + "limits: {memory_bytes: 512MiB}",
          head + "limits: {cpus: .inf}",
          head + "limits: {cpus: 0x10}",
          head + "dry_run: yes",
          head + "network: {mode: open}",
          head + "network: {allow_domains: ['Example.org']}",
          head + "network: {allow_domains: ['*.org.']}",
          head + "network: {allow_cidrs: [10.0.0.1/8]}",
          head + "network: {allow_cidrs: [10.0.0.0/33]}",
          head + "secrets: [{name: s}]",
          head + "secrets: [{name: s, environment: A, header: B, domains: [a.b]}]",
          head + "secrets: [{name: s, header: B}]",
          rule(", arguments: {a: {pattern: '('}}"),
          rule(", arguments: {a: {path_prefix: [a]}}"),
          rule(", arguments: {a: {path_prefix: [/a/]}}"),
          rule(", arguments: {a: {enum: []}}"),
          rule(", arguments: {a: {min: 2, max: 1}}"),
          rule(", arguments: {a: {domain: ['https://x.y']}}"),
          rule(", id: b"),
          head + "tools: [{id: a, effect: allow, tools: []}]",
          head + "tools: [{id: a, effect: allow, tools: [t]}, {id: a, effect: deny, tools: [t]}]",
          std::string("policies: {}"),
          std::string("policies: []\nname: p"),
          std::string("\xFF"),
          std::string("a: &x [1]\nb: *x")}) {
        EXPECT_NE(fault_at(text), "none") << text;
    }
}

TEST(ParsePolicy, AliasesUnfoldWithinABudget) {
    std::string bomb = "a: &a0 [x, x]\n";
    for (int i = 1; i < 40; ++i) {
        const std::string n = std::to_string(i), last = std::to_string(i - 1);
        bomb += "a" + n + ": &a" + n + " [*a" + last + ", *a" + last + "]\n";
    }
    EXPECT_NE(fault_at(bomb), "none");
    EXPECT_NE(fault_at(std::string(100'000, '[')), "none");
    EXPECT_NE(fault_at(std::string(100'000, '['), "p.json"), "none");
}

TEST(ParsePolicy, JsonAndYamlMeanTheSame) {
    const std::string json =
        R"({"version":1,"name":"p","tools":[{"id":"r","effect":"allow","tools":["t"],)"
        R"("arguments":{"a":{"enum":["yes","5",5,true,"a\/\u00e9"]}}}]})";
    const PolicySet a = set_of(json, "p.json"), b = set_of(json, "p.yaml");
    for (const char* value : {"\"yes\"", "\"5\"", "5", "true", "\"a/\xC3\xA9\"", "\"true\"", "1"}) {
        const ToolRequest request = call("t", R"({"a":)" + std::string(value) + "}");
        EXPECT_EQ(a.decide(request).effect, b.decide(request).effect) << value;
    }
    EXPECT_EQ(a.decide(call("t", R"({"a":"5"})")).effect, Effect::allow);
    EXPECT_EQ(a.decide(call("t", R"({"a":"true"})")).effect, Effect::deny);
}

TEST(ParsePolicy, ThePublishedSchemaIsTheOneThatIsChecked) {
    const std::string path = std::string(DG_SOURCE_DIR) + "/src/sphere/policy/policy.schema.json";
    const auto published = base::parse_json(read_file(path));
    ASSERT_TRUE(published.has_value()) << "make it with: dougong policy schema";
    EXPECT_EQ(*published, base::json::value(policy_schema()));
}

TEST(ParsePolicy, SurvivesRandomDamage) {
    const std::string whole = read_file(kExample);
    test::for_each_seed(2000, [&](base::Rng& rng) {
        std::string text = whole;
        for (std::uint64_t i = 0; i < 1 + rng.below(6); ++i) {
            const std::size_t at = rng.below(text.size());
            switch (rng.below(4)) {
                case 0:
                    text[at] = static_cast<char>(rng.below(256));
                    break;
                case 1:
                    text.erase(at, 1 + rng.below(20));
                    break;
                case 2:
                    text.insert(at, whole.substr(rng.below(whole.size()), rng.below(40)));
                    break;
                case 3:
                    text.insert(at, std::string(1, "{}[]:,&*!|>'\"#%@`-?\n\t "[rng.below(23)]));
                    break;
            }
            if (text.empty()) return;
        }
        const std::string file = rng.below(4) == 0 ? "p.json" : "p.yaml";
        auto policies = parse_policies(text, file);
        if (!policies) {
            ASSERT_EQ(policies.error().code, base::Code::invalid_argument);
            return;
        }
        const auto set = PolicySet::create(std::move(*policies));
        if (set) set->decide(call("fs.read", R"({"path":"/workspace/a"})"));
    });
}

}  // namespace
}  // namespace sphere::policy
