#include "agent/pack/pack.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/compile/compile.h"
#include "flow/definition/read_definition.h"
#include "support/seeds.h"

namespace agent {
namespace {

namespace json = base::json;
using testing::HasSubstr;

std::vector<Tool> memory_tools() {
    const auto schema = [](std::string_view name) {
        return json::object{{"type", "object"},
                            {"required", json::array{name}},
                            {"properties", json::object{{name, json::object{{"type", "string"}}}}}};
    };
    return {{"memory_search", "Find.", schema("query"), true},
            {"memory_add", "Keep.", schema("content"), false},
            {"knowledge_search", "Look up.", schema("query"), true}};
}

constexpr std::string_view kWhole = R"(
name: helper
description: Helps.
instructions: "Say {{ braces }} and {% more %} as they stand."
model: {temperature: 0.2, max_tokens: 99, seed: 7, calls: may, input_usd_per_million: 1.5}
tools: [calculator, {name: python, calls_max: 2}, ask_human, memory_search]
policy:
  default: allow
  rules:
    - {tool: "memory_*", do: deny, why: no memories}
    - {tool: python, when: "'rm' in arguments.code", do: ask}
memory: {recall: 3}
limits: {turns: 5, tokens: 1000, context_tokens: 800, time: 10m, tool_calls: 7, repeats: 2, parallel: 3}
output: {type: object, required: [n], properties: {n: {type: integer}}}
examples: [{goal: "Count"}]
evals:
  - {name: a, goal: Count, schema: {type: object}}
  - {name: b, goal: Count, contains: [one, two]}
)";

std::string faults_of(std::string_view text) {
    std::string out;
    for (const base::Fault& fault : read_pack_faults(text, "pack.yaml", memory_tools()).faults) {
        out += fmt::format("{}:{} {}\n", fault.line, fault.column, fault.message);
    }
    return out;
}

TEST(Pack, EveryFieldIsRead) {
    const auto pack = read_pack(kWhole, "pack.yaml", memory_tools());
    ASSERT_TRUE(pack) << pack.error().message;
    EXPECT_EQ(pack->name, "helper");
    EXPECT_FALSE(pack->model.must_call);
    EXPECT_EQ(pack->model.seed, 7u);
    ASSERT_EQ(pack->tools.size(), 4u);
    EXPECT_EQ(pack->tools[1].calls_max, 2u);
    ASSERT_EQ(pack->rules.size(), 2u);
    EXPECT_EQ(pack->rules[1].verdict, Verdict::ask);
    EXPECT_EQ(pack->limits.repeats, 2u);
    ASSERT_EQ(pack->evals.size(), 2u);
    EXPECT_EQ(pack->evals[1].expected, (json::array{"one", "two"}));
}

TEST(Pack, FaultsAreToldWithTheirPlace) {
    EXPECT_THAT(faults_of("name: a\ninstructions: x\ntools: [calcuator]\n"),
                testing::AllOf(HasSubstr("3:9"), HasSubstr("calculator")));
    EXPECT_THAT(faults_of("name: a\ninstructions: x\ntools: [clock]\n"
                          "policy: {rules: [{tool: python, do: deny}]}\n"),
                HasSubstr("python"));
    EXPECT_THAT(faults_of("name: a\ninstructions: x\ntools: [clock]\n"
                          "policy: {rules: [{tool: clock, when: 'input.x', do: deny}]}\n"),
                HasSubstr("arguments"));
    EXPECT_THAT(faults_of("name: a\ninstructions: x\noutput: {type: nothing}\n"),
                HasSubstr("JSON Schema"));
    EXPECT_THAT(faults_of("name: Big Name\ninstructions: x\n"), HasSubstr("small letters"));
    EXPECT_THAT(faults_of("name: a\n"), HasSubstr("instructions"));
    EXPECT_THAT(faults_of("name: a\ninstructions: [x\n"), HasSubstr(":"));
}

/// What a pack says is a workflow that the workflow reader finds nothing wrong with.
TEST(Compile, GivesAWorkflow) {
    for (const bool must : {false, true}) {
        std::string text(kWhole);
        if (must) text.replace(text.find("calls: may"), 10, "calls: must");
        const auto pack = read_pack(text, "pack.yaml", memory_tools());
        ASSERT_TRUE(pack);
        const std::string made = base::to_text(compile(*pack, memory_tools()));
        const auto definition = flow::read_definition(made, "agent.helper.json");
        ASSERT_TRUE(definition) << definition.error().message << "\n" << made;
        EXPECT_EQ((*definition)->name, "agent.helper");
        EXPECT_EQ(agent_of((*definition)->name), "helper");
        EXPECT_EQ((*definition)->budget.tokens, 1000u);
        EXPECT_EQ(made, base::to_text(compile(*pack, memory_tools()))) << "the same text each time";
    }
}

TEST(Compile, APackWithoutToolsIsAWorkflowToo) {
    const auto pack = read_pack("name: a\ninstructions: x\nmodel: {calls: may}\n", "p.yaml", {});
    ASSERT_TRUE(pack);
    const auto definition = flow::read_definition(base::to_text(compile(*pack, {})), "a.json");
    ASSERT_TRUE(definition) << definition.error().message;
}

/// Every pack that ships reads and compiles, and says how it is judged.
TEST(Compile, PacksOfTheHouse) {
    std::size_t found = 0;
    for (const auto& folder : std::filesystem::directory_iterator(DG_SOURCE_DIR "/packs")) {
        if (!folder.is_directory()) continue;
        std::ifstream in(folder.path() / "pack.yaml");
        std::stringstream text;
        text << in.rdbuf();
        const auto pack = read_pack(text.str(), folder.path() / "pack.yaml", memory_tools());
        ASSERT_TRUE(pack) << pack.error().message;
        EXPECT_EQ(pack->name, folder.path().filename());
        EXPECT_FALSE(pack->evals.empty());
        const auto definition =
            flow::read_definition(base::to_text(compile(*pack, memory_tools())), "a.json");
        ASSERT_TRUE(definition) << definition.error().message;
        ++found;
    }
    EXPECT_GT(found, 0u);
}

/// Damaged packs are refused in words or are packs; what is a pack is a workflow.
TEST(PackFuzz, DamagedTexts) {
    test::for_each_seed(400, [](base::Rng& rng) {
        std::string text(kWhole);
        for (std::uint64_t edits = 1 + rng.below(4); edits > 0; --edits) {
            const std::size_t place = rng.below(text.size());
            const std::uint64_t what = rng.below(3);
            if (what == 0) text[place] = static_cast<char>(rng.below(256));
            if (what == 1) text.erase(place, 1 + rng.below(20));
            if (what == 2) text.insert(place, text.substr(rng.below(text.size()), rng.below(30)));
            if (text.empty()) text = "x";
        }
        const ReadPack read = read_pack_faults(text, "pack.yaml", memory_tools());
        EXPECT_EQ(read.pack.has_value(), read.faults.empty());
        for (const base::Fault& fault : read.faults) EXPECT_FALSE(fault.message.empty());
        if (!read.pack) return;
        const auto definition =
            flow::read_definition(base::to_text(compile(*read.pack, memory_tools())), "a.json");
        EXPECT_TRUE(definition) << (definition ? "" : definition.error().message) << text;
    });
}

}  // namespace
}  // namespace agent
