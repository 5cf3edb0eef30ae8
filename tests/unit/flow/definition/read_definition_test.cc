#include "flow/definition/read_definition.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "flow/definition/definition_shape.h"
#include "flow/definition/duration.h"
#include "support/seeds.h"

namespace flow {
namespace {

namespace fs = std::filesystem;
namespace json = base::json;

std::string read_file(const fs::path& path) {
    std::ifstream in(path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

const fs::path kSource = DG_SOURCE_DIR;
const fs::path kExamples = kSource / "examples/flows";

std::vector<fs::path> files_of(const fs::path& folder, const std::string& extension) {
    std::set<fs::path> out;
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (entry.path().extension() == extension) out.insert(entry.path());
    }
    return {out.begin(), out.end()};
}

std::shared_ptr<const Definition> read(const std::string& text) {
    auto made = read_definition(text, "f.yaml");
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return made ? *made : std::make_shared<const Definition>();
}

std::string faults_of(const std::string& text, const std::string& file) {
    std::string out;
    for (const base::Fault& fault : read_definition_faults(text, file).faults) {
        out += fault_line(file, fault) + "\n";
    }
    return out;
}

const std::string kHead = "name: f\nsteps:\n";

std::vector<std::string> ids(const Block& block) {
    std::vector<std::string> out;
    for (const Step& step : block.steps) out.push_back(step.id);
    return out;
}

class Lookup final : public base::Variables {
public:
    explicit Lookup(json::object object) : object_(std::move(object)) {}
    const json::value* find(std::span<const std::string_view> path,
                            std::size_t& used) const override {
        used = 1;
        return object_.if_contains(path[0]);
    }

private:
    json::object object_;
};

TEST(ReadDefinition, ReadsTheExamples) {
    const auto files = files_of(kExamples, ".yaml");
    ASSERT_GE(files.size(), 3u);
    for (const fs::path& file : files) {
        EXPECT_EQ(faults_of(read_file(file), file.filename()), "");
    }
}

TEST(ReadDefinition, ReadsWhatTheDocumentationShows) {
    const std::string page = read_file(kSource / "docs/workflows.md");
    int shown = 0;
    for (std::size_t at = 0; (at = page.find("```yaml\n", at)) != std::string::npos; ++shown) {
        at += 8;
        const std::string block = page.substr(at, page.find("```", at) - at);
        if (block.starts_with("flow:")) continue;  // of the server's configuration
        if (block.starts_with("name:")) {
            EXPECT_EQ(faults_of(block, "docs.yaml"), "") << block;
            continue;
        }
        std::string text = kHead + "  - {id: collect, tool: t}\n";
        std::istringstream lines(block);
        for (std::string line; std::getline(lines, line);) text += "  " + line + "\n";
        EXPECT_EQ(faults_of(text, "docs.yaml"), "") << block;
    }
    EXPECT_GE(shown, 10);
}

TEST(ReadDefinition, FaultsAreToldAsTheGoldenTextsSay) {
    const auto files = files_of(kSource / "tests/golden/flows", ".yaml");
    ASSERT_GE(files.size(), 5u);
    for (const fs::path& file : files) {
        const std::string found = faults_of(read_file(file), file.filename());
        const fs::path golden = fs::path(file).replace_extension(".txt");
        if (std::getenv("DG_REFRESH_GOLDEN") != nullptr) std::ofstream(golden) << found;
        EXPECT_EQ(found, read_file(golden)) << file << ": refresh with DG_REFRESH_GOLDEN=1";
        EXPECT_NE(found, "");
    }
}

TEST(ReadDefinition, FillsInWhatTheEngineRuns) {
    const auto made = read(read_file(kExamples / "training.yaml"));
    ASSERT_EQ(made->body->steps.size(), 6u);
    EXPECT_EQ(made->name, "training");
    EXPECT_EQ(made->hash.size(), 64u);
    EXPECT_EQ(made->deadline, std::chrono::hours(2));
    EXPECT_EQ(made->budget.steps, 1000u);
    EXPECT_EQ(made->input_defaults, json::value({{"rows_min", 100}}));
    EXPECT_FALSE(made->input_check->check(json::object()).has_value());
    const Step& collect = made->body->steps[0];
    EXPECT_EQ(collect.retry.attempts_max, 5u);
    EXPECT_EQ(collect.retry.backoff, milliseconds(2000));
    EXPECT_EQ(collect.timeout, milliseconds(30'000));
    EXPECT_EQ(collect.retry.on, (std::vector<std::string>{"unavailable"}));
    EXPECT_EQ(collect.line, 16u);
    const Step& gate = made->body->steps[3];
    EXPECT_EQ(gate.timeout, std::chrono::days(3));
    EXPECT_EQ(std::get<HumanAction>(gate.action).escalate_after, std::chrono::days(1));
    const auto& loop = std::get<LoopAction>(made->body->steps[4].action);
    EXPECT_EQ(loop.item_name, "part");
    EXPECT_EQ(loop.concurrency, 2u);
    EXPECT_EQ(loop.body->steps.at(0).queue, "training");
    EXPECT_EQ(loop.body->steps.at(0).timeout, std::chrono::minutes(5));
    EXPECT_EQ(made->body->steps[4].timeout.count(), 0);
    for (std::size_t i = 1; i < 6; ++i) {
        EXPECT_EQ(made->body->steps[i].needs,
                  (std::vector<std::uint32_t>{static_cast<std::uint32_t>(i - 1)}));
    }
}

TEST(ReadDefinition, OrdersAGraph) {
    const auto made = read(kHead +
                           "  - {id: d, depends_on: [b, c], set: {}}\n"
                           "  - {id: c, depends_on: a, set: {}}\n"
                           "  - {id: b, depends_on: [a], set: {}}\n"
                           "  - {id: a, set: {}}\n"
                           "  - {id: e, set: {}}\n");
    EXPECT_EQ(ids(*made->body), (std::vector<std::string>{"a", "c", "b", "d", "e"}));
    EXPECT_EQ(made->body->steps[3].needs, (std::vector<std::uint32_t>{1, 2}));
    EXPECT_TRUE(made->body->steps[4].needs.empty());
}

TEST(ReadDefinition, OrderIsTopologicalForEveryGraph) {
    test::for_each_seed(200, [](base::Rng& rng) {
        const std::size_t count = 1 + rng.below(12);
        std::vector<std::size_t> rank(count);
        for (std::size_t i = 0; i < count; ++i) rank[i] = i;
        for (std::size_t i = count; i > 1; --i) std::swap(rank[i - 1], rank[rng.below(i)]);
        std::string text = kHead;
        bool cyclic = false;
        for (std::size_t i = 0; i < count; ++i) {
            text += "  - {id: s" + std::to_string(i) + ", set: {}, depends_on: [";
            std::string names;
            for (std::size_t j = 0; j < count; ++j) {
                const bool back = rank[j] > rank[i] && rng.below(40) == 0;
                if (i == j || !((rank[j] < rank[i] && rng.below(3) == 0) || back)) continue;
                names += (names.empty() ? "s" : ", s") + std::to_string(j);
                cyclic = cyclic || back;
            }
            text += names + "]}\n";
        }
        const auto made = read_definition(text, "f.yaml");
        if (!cyclic) {
            ASSERT_TRUE(made.has_value()) << made.error().message;
        }
        if (!made) return;
        const auto& steps = (*made)->body->steps;
        for (std::uint32_t i = 0; i < steps.size(); ++i) {
            for (const std::uint32_t need : steps[i].needs) ASSERT_LT(need, i);
        }
    });
}

TEST(ReadDefinition, JsonAndYamlMeanTheSame) {
    for (const fs::path& file : files_of(kExamples, ".yaml")) {
        const auto yaml = read_definition(read_file(file), "f.yaml");
        ASSERT_TRUE(yaml.has_value());
        const auto made = read_definition(base::to_text((*yaml)->document), "f.json");
        ASSERT_TRUE(made.has_value()) << made.error().message;
        EXPECT_EQ((*made)->hash, (*yaml)->hash);
        EXPECT_EQ((*made)->document, (*yaml)->document);
        EXPECT_EQ(ids(*(*made)->body), ids(*(*yaml)->body));
    }
}

TEST(ReadDefinition, ThePublishedSchemaIsTheOneThatIsChecked) {
    const auto published =
        base::parse_json(read_file(kSource / "src/flow/definition/workflow.schema.json"));
    ASSERT_TRUE(published.has_value()) << "make it with: dougong flow schema";
    EXPECT_EQ(*published, json::value(definition_schema()));
    const auto check = base::SchemaCheck::compile(*published);
    ASSERT_TRUE(check.has_value()) << check.error().message;
    for (const fs::path& file : files_of(kExamples, ".yaml")) {
        const auto made = read_definition(read_file(file), "f.yaml");
        ASSERT_TRUE(made.has_value());
        const auto checked = check->check((*made)->document);
        EXPECT_TRUE(checked.has_value()) << file << ": " << checked.error().message;
    }
}

TEST(ReadDefinition, AListWrittenOutIsAList) {
    const auto made = read(kHead + "  - for_each: {in: [1, {a: 'b c'}], steps: [{set: {}}]}\n");
    const auto& loop = std::get<LoopAction>(made->body->steps[0].action);
    EXPECT_EQ(loop.items->evaluate(json::object()).value(),
              json::value({1, json::object{{"a", "b c"}}}));
    EXPECT_EQ(made->body->steps[0].id, "for_each_1");
}

TEST(ReadDefinition, SurvivesRandomDamage) {
    std::vector<std::string> wholes;
    for (const fs::path& file : files_of(kExamples, ".yaml")) wholes.push_back(read_file(file));
    for (const fs::path& file : files_of(kSource / "tests/golden/flows", ".yaml")) {
        wholes.push_back(read_file(file));
    }
    test::for_each_seed(500, [&](base::Rng& rng) {
        const std::string& whole = wholes[rng.below(wholes.size())];
        std::string text = whole;
        for (std::uint64_t i = 0; i < 1 + rng.below(6) && !text.empty(); ++i) {
            const std::size_t at = rng.below(text.size());
            switch (rng.below(5)) {
                case 0:
                    text[at] = static_cast<char>(rng.below(256));
                    break;
                case 1:
                    text.erase(at, 1 + rng.below(20));
                    break;
                case 2:
                    text.insert(at, whole.substr(rng.below(whole.size()), rng.below(60)));
                    break;
                case 3:
                    text.insert(at, std::string(1, "{}[]:,&*!|>'\"#%@`-?\n\t "[rng.below(23)]));
                    break;
                case 4:
                    std::swap(text[at], text[rng.below(text.size())]);
                    break;
            }
        }
        const ReadDefinition made = read_definition_faults(text, "f.yaml");
        ASSERT_EQ(made.definition == nullptr, !made.faults.empty());
        ASSERT_LE(made.faults.size(), 400u);
    });
}

TEST(ReadDefinition, SurvivesRandomBytes) {
    test::for_each_seed(500, [](base::Rng& rng) {
        std::string text(rng.below(200), '\0');
        for (char& c : text) c = static_cast<char>(rng.below(256));
        static_cast<void>(read_definition_faults(text, "f.yaml"));
        static_cast<void>(read_definition_faults(text, "f.json"));
    });
}

TEST(ValueTemplate, ALoneExpressionKeepsItsType) {
    const auto made = ValueTemplate::parse(
        {{"n", "{{ a.b }}"}, {"t", "n is {{ a.b }}"}, {"two", "{{ a.b }}{{ a.b }}"}, {"c", 5}});
    ASSERT_TRUE(made.has_value());
    const auto out = made->render(Lookup({{"a", {{"b", 7}}}}));
    ASSERT_TRUE(out.has_value());
    EXPECT_EQ(*out, json::value({{"n", 7}, {"t", "n is 7"}, {"two", "77"}, {"c", 5}}));
    EXPECT_TRUE(ValueTemplate::parse({{"a", "b"}})->constant());
    const auto bad = ValueTemplate::parse({{"x", {1, "{{ a + }}"}}});
    ASSERT_FALSE(bad.has_value());
    EXPECT_EQ(bad.error().subject, "/x/1");
}

TEST(Duration, IsReadAsWritten) {
    EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
    EXPECT_EQ(parse_duration("2h30m"), milliseconds(9'000'000));
    EXPECT_EQ(parse_duration("1.5"), milliseconds(1500));
    EXPECT_EQ(parse_duration("3d"), std::chrono::days(3));
    for (const char* text :
         {"", "h", "5x", "5m5m", "30m2h", "-5s", "1e5", "5 m", "9999w", "1.2.3s"}) {
        EXPECT_FALSE(parse_duration(text).has_value()) << text;
    }
    test::for_each_seed(200, [](base::Rng& rng) {
        const milliseconds span(static_cast<std::int64_t>(rng.below(10'000'000'000)));
        ASSERT_EQ(parse_duration(duration_text(span)), span);
    });
}

}  // namespace
}  // namespace flow
