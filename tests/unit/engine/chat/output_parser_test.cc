#include "engine/chat/output_parser.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "parser_cases.h"
#include "support/seeds.h"

namespace engine::chat {
namespace {

using test::Parsed;
using test::parser_cases;
using test::ParserCase;

std::shared_ptr<const ToolSet> tool_set() {
    const auto tools = base::parse_json(R"([
        {"type": "function", "function": {"name": "get_temperature", "parameters":
            {"type": "object", "properties": {"city": {"type": "string"}}}}},
        {"type": "function", "function": {"name": "multiply", "parameters":
            {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}}}
    ])");
    return ToolSet::parse(*tools).value();
}

std::shared_ptr<const ChatFormat> format_of(std::string_view family, bool think) {
    auto format = std::make_shared<ChatFormat>();
    // These have markers of their own around everything.
    const std::string published = family == "harmony"  ? "openai-gpt-oss-120b"
                                  : family == "gemma4" ? "google-gemma-4-31B-it"
                                                       : "";
    if (!published.empty()) {
        std::ifstream file(
            DG_SOURCE_DIR "/tests/golden/templates/templates/" + published + ".jinja",
            std::ios::binary);
        EXPECT_TRUE(file) << published;
        *format = detect_format(std::string(std::istreambuf_iterator<char>(file), {}));
        return format;
    }
    format->calls = call_syntax(family);
    if (think) format->reasoning = {"<think>", "</think>"};
    return format;
}

OutputParser make_parser(const ParserCase& one, bool split_reasoning = true) {
    ParserOptions options;
    options.split_reasoning = split_reasoning;
    options.new_id = [n = 0](auto&&...) mutable { return "id" + std::to_string(n++); };
    return {format_of(one.family, one.think), tool_set(), std::move(options)};
}

std::vector<Event> events_of(OutputParser parser, const std::vector<std::string>& pieces) {
    std::vector<Event> events;
    for (const std::string& piece : pieces) parser.push(piece, events);
    parser.finish(events);
    return joined(events);
}

Parsed parsed(const std::vector<Event>& events) {
    Parsed out;
    for (const Event& event : events) {
        if (event.kind == Event::Kind::content) out.content += event.text;
        if (event.kind == Event::Kind::reasoning) out.reasoning += event.text;
        if (event.kind == Event::Kind::call) out.calls.push_back({event.name, ""});
        if (event.kind == Event::Kind::arguments) out.calls.at(event.index).arguments += event.text;
    }
    return out;
}

std::vector<std::string> cut(std::string_view text, base::Rng& rng) {
    std::vector<std::string> pieces;
    while (!text.empty()) {
        const std::size_t bytes = std::min<std::size_t>(text.size(), 1 + rng.below(12));
        pieces.emplace_back(text.substr(0, bytes));
        text.remove_prefix(bytes);
    }
    return pieces;
}

/// `part` is `whole` with some bytes left out.
bool is_part_of(std::string_view part, std::string_view whole) {
    std::size_t at = 0;
    for (const char c : part) {
        at = whole.find(c, at);
        if (at == std::string_view::npos) return false;
        ++at;
    }
    return true;
}

class EachFamily : public ::testing::TestWithParam<ParserCase> {};

TEST_P(EachFamily, ReadsWhatItsModelsWrite) {
    const ParserCase& one = GetParam();
    const Parsed got = parsed(events_of(make_parser(one), {one.text}));
    EXPECT_EQ(got.content, one.expected.content);
    EXPECT_EQ(got.reasoning, one.expected.reasoning);
    ASSERT_EQ(got.calls.size(), one.expected.calls.size());
    for (std::size_t i = 0; i < got.calls.size(); ++i) {
        EXPECT_EQ(got.calls[i].name, one.expected.calls[i].name);
        EXPECT_EQ(got.calls[i].arguments, one.expected.calls[i].arguments);
    }
}

TEST_P(EachFamily, GivesTheSameEventsForEveryCutInTwo) {
    const ParserCase& one = GetParam();
    const std::vector<Event> whole = events_of(make_parser(one), {one.text});
    for (std::size_t at = 1; at < one.text.size(); ++at) {
        ASSERT_EQ(events_of(make_parser(one), {one.text.substr(0, at), one.text.substr(at)}), whole)
            << "cut at " << at;
    }
}

TEST_P(EachFamily, GivesTheSameEventsByteByByte) {
    const ParserCase& one = GetParam();
    std::vector<std::string> bytes;
    for (const char c : one.text) bytes.emplace_back(1, c);
    EXPECT_EQ(events_of(make_parser(one), bytes), events_of(make_parser(one), {one.text}));
}

TEST_P(EachFamily, SurvivesDamagedTexts) {
    const ParserCase& one = GetParam();
    test::for_each_seed(1500, [&](base::Rng& rng) {
        std::string text = one.text;
        for (std::uint64_t changes = 1 + rng.below(4); changes > 0 && !text.empty(); --changes) {
            const std::size_t at = rng.below(text.size());
            const std::uint64_t what = rng.below(4);
            if (what == 0) text[at] = static_cast<char>(rng.below(256));
            if (what == 1) text.erase(at, 1 + rng.below(9));
            if (what == 2) text.insert(at, text.substr(rng.below(text.size()), rng.below(20)));
            if (what == 3) text.resize(at);
        }
        const bool split = rng.below(2) == 0;
        const std::vector<Event> whole = events_of(make_parser(one, split), {text});
        ASSERT_EQ(events_of(make_parser(one, split), cut(text, rng)), whole) << text;
        const Parsed got = parsed(whole);
        EXPECT_TRUE(is_part_of(got.content, text)) << text;
        EXPECT_TRUE(is_part_of(got.reasoning, text)) << text;
        if (got.calls.empty() && got.reasoning.empty() && split && !one.think) {
            EXPECT_EQ(got.content, text);
        }
    });
}

INSTANTIATE_TEST_SUITE_P(OutputParser, EachFamily, ::testing::ValuesIn(parser_cases()),
                         [](const auto& one) { return one.param.name; });

TEST(OutputParser, StreamsArgumentsAsTheyCome) {
    ParserOptions options;
    options.new_id = [](auto&&...) { return "x"; };
    OutputParser parser(format_of("hermes", false), tool_set(), std::move(options));
    std::vector<Event> events;
    parser.push("<tool_call>\n{\"name\": \"get_temperature\", \"arguments\": {\"ci", events);
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].kind, Event::Kind::call);
    EXPECT_EQ(events[0].id, "x");
    EXPECT_EQ(events[1].text, "{\"ci");
    EXPECT_EQ(parser.calls_finished(), 0u);
    parser.push("ty\": \"Bern\"}", events);
    EXPECT_EQ(events.back().text, "ty\": \"Bern\"}");
    parser.push("}", events);
    EXPECT_EQ(parser.calls_finished(), 1u);
}

TEST(OutputParser, LeavesMarkupAloneWithoutTools) {
    ParserOptions options;
    options.new_id = [](auto&&...) { return "x"; };
    const std::string text = "<tool_call>\n{\"name\": \"multiply\"}\n</tool_call>";
    const auto events =
        events_of(OutputParser(format_of("hermes", false), nullptr, std::move(options)), {text});
    EXPECT_EQ(parsed(events).content, text);
}

TEST(OutputParser, ContinuesReasoningThatThePromptOpened) {
    ParserOptions options;
    options.reasoning_open = true;
    options.new_id = [](auto&&...) { return "x"; };
    const auto events = events_of(OutputParser(format_of("hermes", true), tool_set(), options),
                                  {"7 * 13 = 91, so <no>.\n</thi", "nk>\n\nNo: <think> is a tag."});
    EXPECT_EQ(parsed(events).reasoning, "7 * 13 = 91, so <no>.");
    EXPECT_EQ(parsed(events).content, "No: <think> is a tag.");
}

TEST(OutputParser, KeepsReasoningInTheContentWhenAsked) {
    const std::string text = "<think>\nhm\n</think>\n\nNo.";
    for (const bool tools : {false, true}) {
        ParserOptions options;
        options.split_reasoning = false;
        options.new_id = [](auto&&...) { return "x"; };
        const auto events = events_of(
            OutputParser(format_of("hermes", true), tools ? tool_set() : nullptr, options),
            {text.substr(0, 9), text.substr(9)});
        EXPECT_EQ(parsed(events).content, text);
        EXPECT_EQ(parsed(events).reasoning, "");
    }
}

TEST(OutputParser, DropsMarkersAroundPlainAnswers) {
    auto format = std::make_shared<ChatFormat>();
    format->calls = call_syntax("command_r");
    format->silent = {"<|START_RESPONSE|>", "<|END_RESPONSE|>"};
    format->reasoning = {"<|START_THINKING|>", "<|END_THINKING|>"};
    ParserOptions options;
    options.new_id = [](auto&&...) { return "x"; };
    const auto events = events_of(
        OutputParser(format, tool_set(), options),
        {"<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>It is 19.<|END_RESPONSE|>"});
    EXPECT_EQ(parsed(events), (Parsed{"It is 19.", "hm", {}}));
}

TEST(CallIds, AreFreshAndInTheFormOfTheFamily) {
    base::Rng rng(7);
    const auto random = [&] { return rng.next(); };
    const std::string plain = make_call_id(call_syntax("hermes"), "f", 0, random);
    EXPECT_TRUE(plain.starts_with("call_"));
    EXPECT_EQ(plain.size(), 29u);
    EXPECT_NE(make_call_id(call_syntax("hermes"), "f", 0, random), plain);
    EXPECT_EQ(make_call_id(call_syntax("mistral_list"), "f", 0, random).size(), 9u);
    EXPECT_EQ(make_call_id(call_syntax("kimi"), "f", 3, random), "functions.f:3");
}

}  // namespace
}  // namespace engine::chat
