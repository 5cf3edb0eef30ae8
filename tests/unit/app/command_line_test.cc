// What was typed becomes a command with arguments, or an error that names the word at fault.
#include "app/command_line.h"

#include <gtest/gtest.h>

#include "app/help.h"

namespace app {
namespace {

using base::Code;

base::Result<int> nothing(const Args&, Program&) {
    return 0;
}

Command table() {
    Command pull{.name = "pull",
                 .summary = "Get one",
                 .about = "Gets a model.",
                 .positionals = {{"SOURCE", "what to get", true, false}},
                 .options = {{"--json", "", "As JSON."}},
                 .examples = {{"x models pull y", "z"}},
                 .config_sections = {"models"},
                 .run = nothing,
                 .subcommands = {}};
    Command models{.name = "models",
                   .summary = "Models",
                   .about = "About models.",
                   .positionals = {},
                   .options = {},
                   .examples = {},
                   .config_sections = {},
                   .run = nullptr,
                   .subcommands = {pull}};
    Command run{.name = "run",
                .summary = "Ask",
                .about = "Asks.",
                .positionals = {{"PROMPT", "the words", false, true}},
                .options = {{"-n,--max-tokens", "N", "How many."},
                            {"--stop", "TEXT", "Stops."},
                            {"--json", "", "As JSON."}},
                .examples = {},
                .config_sections = {},
                .run = nothing,
                .subcommands = {}};
    return {.name = "dougong",
            .summary = "s",
            .about = "a",
            .positionals = {},
            .options = {{"-V,--version", "", "v"}},
            .examples = {},
            .config_sections = {},
            .run = nullptr,
            .subcommands = {run, models}};
}

const Command& root() {
    static const Command command = table();
    return command;
}

base::Result<ParsedLine> parse(std::vector<std::string> words) {
    return parse_command_line(root(), words);
}

TEST(CommandLine, CollectsOptionsAndWords) {
    const auto line = parse({"run", "-n", "5", "--stop", "a", "why", "--stop=b", "not"});
    ASSERT_TRUE(line) << line.error().message;
    EXPECT_EQ(line->command().name, "run");
    EXPECT_EQ(line->args.value("--max-tokens"), "5");
    EXPECT_EQ(line->args.all("--stop"), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(line->args.all("PROMPT"), (std::vector<std::string>{"why", "not"}));
    EXPECT_FALSE(line->args.has("--json"));
}

TEST(CommandLine, APromptMayBeTheNameOfACommand) {
    const auto line = parse({"run", "models"});
    ASSERT_TRUE(line) << line.error().message;
    EXPECT_EQ(line->command().name, "run");
    EXPECT_EQ(line->args.all("PROMPT"), (std::vector<std::string>{"models"}));
}

TEST(CommandLine, TwoDashesEndTheOptions) {
    const auto line = parse({"run", "--json", "--", "--help", "-5"});
    ASSERT_TRUE(line) << line.error().message;
    EXPECT_FALSE(line->help);
    EXPECT_EQ(line->args.all("PROMPT"), (std::vector<std::string>{"--help", "-5"}));
}

TEST(CommandLine, ConfigFlagsWorkBeforeAndAfterTheCommandByEitherName) {
    const auto line = parse({"--server.port", "1", "run", "--threads", "2", "--offline"});
    ASSERT_TRUE(line) << line.error().message;
    ASSERT_EQ(line->settings.size(), 3u);
    EXPECT_EQ(line->settings[0].path, "server.port");
    EXPECT_EQ(line->settings[0].text, "1");
    EXPECT_EQ(line->settings[1].path, "engine.threads");
    EXPECT_EQ(line->settings[2].path, "models.offline");
    EXPECT_EQ(line->settings[2].text, "true");
}

TEST(CommandLine, SwitchesOfTheConfigCanBeTurnedOff) {
    const auto line = parse({"run", "--server.console=false"});
    ASSERT_TRUE(line) << line.error().message;
    ASSERT_EQ(line->settings.size(), 1u);
    EXPECT_EQ(line->settings[0].text, "false");
}

TEST(CommandLine, NestedCommandsAreFound) {
    const auto line = parse({"models", "pull", "there", "--json"});
    ASSERT_TRUE(line) << line.error().message;
    EXPECT_EQ(line->path.size(), 3u);
    EXPECT_EQ(line->args.value("SOURCE"), "there");
    EXPECT_TRUE(line->args.has("--json"));
}

TEST(CommandLine, AHelpFlagAnywhereIsSeenEvenWithoutWhatIsRequired) {
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"--help"}, {"run", "-h"}, {"models", "--help"}, {"models", "pull", "--help"}}) {
        const auto line = parse(words);
        ASSERT_TRUE(line) << line.error().message;
        EXPECT_TRUE(line->help);
    }
}

struct Wrong {
    std::vector<std::string> words;
    std::string in_message;
};
class WrongLine : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongLine, IsExplained) {
    const auto line = parse(GetParam().words);
    ASSERT_FALSE(line);
    EXPECT_EQ(line.error().code, Code::invalid_argument);
    EXPECT_NE(line.error().message.find(GetParam().in_message), std::string::npos)
        << line.error().message;
}
INSTANTIATE_TEST_SUITE_P(CommandLine, WrongLine,
                         ::testing::Values(Wrong{{"rnu"}, "'run'"},
                                           Wrong{{"models", "plul", "x"}, "'pull'"},
                                           Wrong{{"run", "--max-tokesn", "3"}, "'--max-tokens'"},
                                           Wrong{{"run", "--prot", "3"}, "'--port'"},
                                           Wrong{{"run", "--max-tokens"}, "--max-tokens"},
                                           Wrong{{"models", "pull"}, "SOURCE"},
                                           Wrong{{"models", "pull", "a", "b"}, "'b'"},
                                           Wrong{{"zzzzzz"}, "--help"}));

TEST(Args, NumbersAreChecked) {
    Args args;
    args.add("--max-tokens", "12");
    args.add("--top-p", "1.5");
    args.add("--half", "2.5");
    EXPECT_EQ(args.count("--max-tokens", 1, 100).value(), 12u);
    EXPECT_FALSE(args.count("--max-tokens", 1, 10));
    EXPECT_FALSE(args.number("--top-p", 0, 1));
    EXPECT_FALSE(args.count("--half", 0, 10));
    EXPECT_FALSE(args.count("--absent", 0, 10).value().has_value());
}

TEST(Help, NamesEverythingTheCommandTakes) {
    const auto line = parse({"models", "pull", "x"});
    ASSERT_TRUE(line);
    const std::string text = help_text(line->path, 80);
    for (const char* part :
         {"dougong models pull", "SOURCE", "--json", "--models.offline", "Examples:", "--config"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part;
    }
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        EXPECT_LE(end - at, 80u) << text.substr(at, end - at);
        at = end + 1;
    }
}

TEST(Help, ManPageAndCompletionCoverEveryCommand) {
    const std::string man = man_page(root(), "1.2.3");
    EXPECT_NE(man.find("models pull"), std::string::npos);
    EXPECT_NE(man.find(".SH EXIT STATUS"), std::string::npos);
    const std::string completion = bash_completion(root());
    EXPECT_NE(completion.find("\" models pull\"*)"), std::string::npos);
}

}  // namespace
}  // namespace app
