#include "engine/chat/tool_grammar.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "engine/chat/answer_grammar.h"
#include "engine/chat/output_parser.h"
#include "engine/chat/render_calls.h"
#include "engine/constrain/matcher.h"
#include "support/seeds.h"

namespace engine::chat {
namespace {

using constrain::matches;
namespace json = base::json;

constexpr std::string_view kTools = R"([
    {"type": "function", "function": {"name": "get_temperature", "parameters":
        {"type": "object", "properties": {
            "city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "kelvin"]},
            "days": {"type": "integer", "minimum": 0, "maximum": 14},
            "exact": {"type": "boolean"}, "tags": {"type": "array", "items": {"type": "string"}}},
         "required": ["city"]}}},
    {"type": "function", "function": {"name": "multiply", "parameters":
        {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
         "required": ["a", "b"]}}},
    {"type": "function", "function": {"name": "now"}}
])";

std::shared_ptr<const ToolSet> tool_set(std::string_view text = kTools) {
    auto tools = ToolSet::parse(*base::parse_json(text));
    EXPECT_TRUE(tools) << tools.error().message;
    return *tools;
}

ChatFormat format_of(std::string_view family) {
    ChatFormat format;
    format.calls = call_syntax(family);
    return format;
}

std::shared_ptr<const constrain::Grammar> required(const ChatFormat& format, bool parallel = true) {
    ToolRule rule;
    rule.kind = ToolRule::Kind::required;
    rule.parallel = parallel;
    auto built = tool_grammar(format, *tool_set(), rule);
    EXPECT_TRUE(built) << built.error().message;
    return *built;
}

PastCall call(std::string name, std::string_view arguments) {
    return {"call00001", std::move(name), base::parse_json(arguments)->as_object()};
}

std::vector<PastCall> good_calls() {
    return {call("get_temperature", R"({"city": "Zürich \"1\"", "unit": "kelvin", "days": 2,
                                        "exact": true, "tags": ["a", "b"]})"),
            call("multiply", R"({"a": 17, "b": -2.5})"), call("now", "{}")};
}

std::vector<PastCall> parsed_calls(const ChatFormat& format, const std::string& text) {
    ParserOptions options;
    options.new_id = [](auto&&...) { return "call00001"; };
    OutputParser parser(std::make_shared<ChatFormat>(format), tool_set(), options);
    std::vector<Event> events;
    parser.push(text, events);
    parser.finish(events);
    std::vector<PastCall> calls;
    for (const Event& event : joined(events)) {
        if (event.kind == Event::Kind::call) calls.push_back({event.id, event.name, {}});
        if (event.kind == Event::Kind::content) ADD_FAILURE() << "content: " << event.text;
        if (event.kind != Event::Kind::arguments) continue;
        const auto arguments = base::parse_json(event.text);
        EXPECT_TRUE(arguments && arguments->is_object()) << event.text;
        if (arguments && arguments->is_object()) calls.back().arguments = arguments->as_object();
    }
    return calls;
}

class EachSyntax : public ::testing::TestWithParam<CallSyntax> {
protected:
    ChatFormat format() const { return format_of(GetParam().family); }
    std::string render(const std::vector<PastCall>& calls) const {
        return render_calls(GetParam(), calls, tool_set().get());
    }
    static std::string call_without_section(std::string text) {
        const CallSyntax& calls = GetParam();
        text.resize(text.size() - calls.section_close.size());
        return text.substr(calls.section_open.size());
    }
};

TEST_P(EachSyntax, TakesGoodCallsAndTheParserReadsThemBack) {
    const auto grammar = required(format());
    for (const auto& calls : {good_calls(), std::vector{good_calls()[1]}}) {
        const std::string text = render(calls);
        EXPECT_TRUE(matches(grammar, text)) << text;
        const auto got = parsed_calls(format(), text);
        ASSERT_EQ(got.size(), calls.size()) << text;
        for (std::size_t i = 0; i < calls.size(); ++i) {
            EXPECT_EQ(got[i].name, calls[i].name);
            EXPECT_EQ(got[i].arguments, calls[i].arguments) << text;
        }
    }
}

TEST_P(EachSyntax, RefusesWhatTheToolsDoNotAllow) {
    const auto grammar = required(format());
    for (const PastCall& bad :
         {call("launch", "{}"), call("multiply", R"({"a": 1})"),
          call("multiply", R"({"a": 1, "b": "two"})"),
          call("multiply", R"({"a": 1, "b": 2, "c": 3})"),
          call("get_temperature", R"({"city": "x", "unit": "rankine"})"),
          call("get_temperature", R"({"city": "x", "days": 15})"), call("now", R"({"x": 1})")}) {
        EXPECT_FALSE(matches(grammar, render({bad}))) << render({bad});
    }
    EXPECT_FALSE(matches(grammar, "It is warm."));
    EXPECT_FALSE(matches(required(format(), false), render(good_calls())));
}

TEST_P(EachSyntax, IsLazyUntilAnyOfItsMarkers) {
    const auto built = tool_grammar(format(), *tool_set(), {});
    ASSERT_TRUE(built) << built.error().message;
    const std::string text = render({good_calls()[1]});
    const auto triggers = grammar_triggers(format(), {});
    if (GetParam().bare) {
        EXPECT_TRUE(triggers.empty());
        EXPECT_TRUE(matches(*built, text));
        return;
    }
    EXPECT_EQ(triggers, GetParam().openers);
    ASSERT_TRUE(text.starts_with(triggers.front()));
    EXPECT_TRUE(matches(*built, text)) << text;
    for (const std::string& opener : std::span(triggers).subspan(1)) {
        const bool other = std::ranges::find(GetParam().other_call_opens, opener) !=
                           GetParam().other_call_opens.end();
        const std::string call =
            other ? opener + text.substr(GetParam().call_open.size()) : call_without_section(text);
        ASSERT_TRUE(call.starts_with(opener)) << call;
        EXPECT_TRUE(matches(*built, call)) << call;
        EXPECT_FALSE(matches(*built, call + call)) << "one call; the next has an opener again";
        EXPECT_EQ(parsed_calls(format(), call).size(), 1u);
        std::string unknown = call;
        unknown.replace(unknown.find("multiply"), 8, "launched");
        EXPECT_FALSE(matches(*built, unknown)) << unknown;
    }
}

/// Any text of the grammar, walked at random, is calls of known tools with JSON arguments.
TEST_P(EachSyntax, EveryTextOfTheGrammarParses) {
    const auto grammar = required(format());
    const auto tools = tool_set();
    test::for_each_seed(40, [&](base::Rng& rng) {
        constrain::StateTable table(grammar);
        constrain::StateId state = table.start();
        std::string text;
        while (text.size() < 4000 && !(table.can_end(state) && rng.below(3) == 0)) {
            const constrain::ByteSet next = table.next_bytes(state);
            std::vector<std::uint8_t> bytes;
            for (unsigned b = 0; b < 256; ++b) {
                const bool text_byte = b >= 0x20 && b < 0x7F;
                if (next.has(static_cast<std::uint8_t>(b)) && (text_byte || b == '\n'))
                    bytes.push_back(static_cast<std::uint8_t>(b));
            }
            if (bytes.empty()) break;
            std::uint8_t byte = bytes[rng.below(bytes.size())];
            // Long texts would end by chance only.
            for (const char c : {'"', '<', '/', ')', ']', '}'}) {
                if (rng.below(3) == 0 && next.has(static_cast<std::uint8_t>(c)))
                    byte = static_cast<std::uint8_t>(c);
            }
            state = table.step(state, byte);
            ASSERT_NE(state, constrain::kDead);
            text += static_cast<char>(byte);
        }
        if (!table.can_end(state)) return;
        const auto calls = parsed_calls(format(), text);
        EXPECT_GE(calls.size(), 1u) << text;
        for (const PastCall& one : calls) EXPECT_NE(tools->find(one.name), nullptr);
    });
}

INSTANTIATE_TEST_SUITE_P(ToolGrammar, EachSyntax, ::testing::ValuesIn(call_syntaxes()),
                         [](const auto& one) { return one.param.family; });

TEST(ToolGrammar, HoldsANamedToolOnly) {
    const ChatFormat format = format_of("hermes");
    ToolRule rule;
    rule.kind = ToolRule::Kind::named;
    rule.name = "multiply";
    rule.parallel = false;
    const auto built = tool_grammar(format, *tool_set(), rule);
    ASSERT_TRUE(built);
    EXPECT_TRUE(matches(*built, render_calls(format.calls, {good_calls()[1]}, nullptr)));
    EXPECT_FALSE(matches(*built, render_calls(format.calls, {good_calls()[0]}, nullptr)));
    rule.name = "launch";
    EXPECT_EQ(tool_grammar(format, *tool_set(), rule).error().code, base::Code::invalid_argument);
}

TEST(ToolGrammar, LetsTheModelReasonFirst) {
    ChatFormat format = format_of("hermes");
    format.reasoning = {"<think>", "</think>"};
    ToolRule rule;
    rule.kind = ToolRule::Kind::required;
    const std::string text = render_calls(format.calls, {good_calls()[1]}, nullptr);
    auto grammar = *tool_grammar(format, *tool_set(), rule);
    EXPECT_TRUE(matches(grammar, text));
    EXPECT_TRUE(matches(grammar, "<think>\na < b, <<think </thin</think>\n\n" + text));
    EXPECT_FALSE(matches(grammar, "<think>\nhm</think>no</think>\n\n" + text));
    EXPECT_FALSE(matches(grammar, "hm</think>" + text));
    rule.reasoning = ReasoningState::open;
    grammar = *tool_grammar(format, *tool_set(), rule);
    EXPECT_TRUE(matches(grammar, "hm <<</think>" + text));
    EXPECT_FALSE(matches(grammar, text));
    rule.reasoning = ReasoningState::done;
    grammar = *tool_grammar(format, *tool_set(), rule);
    EXPECT_TRUE(matches(grammar, text));
    EXPECT_FALSE(matches(grammar, "<think>hm</think>" + text));
}

TEST(ToolGrammar, AsksForControlTokens) {
    ChatFormat format = format_of("mistral_arguments");
    format.control_texts = {"[TOOL_CALLS]", "[ARGS]"};
    const auto grammar = required(format);
    EXPECT_FALSE(matches(grammar, "[TOOL_CALLS]now[ARGS]{}"));
    EXPECT_TRUE(matches(grammar, "\xFF[TOOL_CALLS]now\xFF[ARGS]{}"));
}

TEST(ToolGrammar, LeavesLlamaFreeToAnswer) {
    const auto built = tool_grammar(format_of("llama3"), *tool_set(), {});
    ASSERT_TRUE(built);
    for (const char* text :
         {"It is 19 degrees {\"name\": 1}.", "", "{\"people\": 3}", "{}", "{ \"nam\": 1}",
          "{\"name\": \"multiply\", \"parameters\": {\"a\": 1, \"b\": 2}}",
          "{\"name\": \"now\", \"parameters\": {}}; {\"name\": \"now\", \"parameters\": {}}"}) {
        EXPECT_TRUE(matches(*built, text)) << text;
    }
    EXPECT_FALSE(matches(*built, "{\"name\": \"launch\", \"parameters\": {}}"));
    const auto lists = tool_grammar(format_of("llama_pythonic"), *tool_set(), {});
    EXPECT_TRUE(matches(*lists, "[1, 2]"));
    EXPECT_TRUE(matches(*lists, "[now()]"));
    EXPECT_FALSE(matches(*lists, "[launch()]"));
}

TEST(ToolGrammar, AnswersHarmonyInItsChannels) {
    std::ifstream file(DG_SOURCE_DIR "/tests/golden/templates/templates/openai-gpt-oss-120b.jinja",
                       std::ios::binary);
    const ChatFormat format = detect_format(std::string(std::istreambuf_iterator<char>(file), {}));
    ASSERT_EQ(format.calls.family, "harmony");
    ToolRule rule;
    rule.parallel = false;
    rule.answer_schema = *base::parse_json(R"({"type": "integer"})");
    auto grammar = *tool_grammar(format, *tool_set(), rule);
    const std::string thought = "<|channel|>analysis<|message|>hm <|x<|end|><|start|>assistant";
    const std::string call =
        "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}";
    for (const std::string& before : {std::string(), thought}) {
        EXPECT_TRUE(matches(grammar, before + "<|channel|>final<|message|>17"));
        EXPECT_TRUE(matches(grammar, before + call));
        EXPECT_FALSE(matches(grammar, before + "17"));
        EXPECT_FALSE(matches(grammar, before + call + call));
    }
    AnswerRule answer;
    answer.kind = AnswerRule::Kind::json_schema;
    answer.schema = *rule.answer_schema;
    answer.reasoning = ReasoningState::possible;
    grammar = *answer_grammar(format, answer);
    EXPECT_TRUE(matches(grammar, thought + "<|channel|>final<|message|>17"));
    EXPECT_FALSE(matches(grammar, thought + "17"));
}

TEST(ToolGrammar, HoldsGemmasValuesToTheirSchemas) {
    constexpr std::string_view kNested = R"([{"type": "function", "function": {"name": "plan",
        STRICT "parameters": {"type": "object", "properties": {
            "to": {"type": "object", "properties": {"zip": {"type": "integer"},
                   "City": {"type": "string"}}, "required": ["City"]},
            "days": {"type": "array", "items": {"type": "integer", "minimum": 1}},
            "how": {"enum": ["train", 7]},
            "free": PATTERN}, "required": ["to"]}}}])";
    const auto set = [&](std::string_view strict, std::string_view free) {
        std::string text(kNested);
        text.replace(text.find("STRICT"), 6, strict);
        text.replace(text.find("PATTERN"), 7, free);
        return tool_set(text);
    };
    const ChatFormat format = format_of("gemma4");
    ToolRule rule;
    rule.kind = ToolRule::Kind::required;
    const auto built = tool_grammar(
        format, *set("", R"({"type": "array", "minItems": 2, "items": {"type": "string"}})"), rule);
    ASSERT_TRUE(built) << built.error().message;
    const auto plan = [](std::string_view arguments) {
        return "<|tool_call>call:plan{" + std::string(arguments) + "}<tool_call|>";
    };
    for (const char* good :
         {"to:{City:<|\"|>Bern<|\"|>}", "to:{City:<|\"|>a } , < b<|\"|>,zip:3000}",
          "days:[1,2],how:<|\"|>train<|\"|>,to:{City:<|\"|><|\"|>}",
          "how:7,to:{City:<|\"|>x<|\"|>}", "days:[],to:{City:<|\"|>x<|\"|>}",
          "free:[{a:[null,<|\"|>b<|\"|>]},-1.5],to:{City:<|\"|>x<|\"|>}"}) {
        EXPECT_TRUE(matches(*built, plan(good))) << plan(good);
    }
    for (const char* bad :
         {"", "to:{}", "to:{City:Bern}", "to:{City:<|\"|>x<|\"|>,zip:<|\"|>3<|\"|>}",
          "to:{City:<|\"|>x<|\"|>},how:7", "days:[0],to:{City:<|\"|>x<|\"|>}",
          "how:<|\"|>bus<|\"|>,to:{City:<|\"|>x<|\"|>}"}) {
        EXPECT_FALSE(matches(*built, plan(bad))) << plan(bad);
    }
    const auto strict = tool_grammar(
        format, *set("\"strict\": true,", R"({"type": "array", "minItems": 2})"), rule);
    ASSERT_FALSE(strict);
    EXPECT_EQ(strict.error().code, base::Code::unimplemented);
    EXPECT_EQ(strict.error().subject, "tools[0].function.parameters.properties.free.minItems");
}

TEST(ToolGrammar, HoldsBareCallsBehindReasoning) {
    for (const char* family : {"llama3", "llama_pythonic"}) {
        SCOPED_TRACE(family);
        ChatFormat format = format_of(family);
        format.reasoning = {"<think>", "</think>"};
        const std::string good = render_calls(format.calls, {good_calls()[1]}, nullptr);
        std::string bad = good;
        bad.replace(bad.find("multiply"), 8, "launched");
        ToolRule rule;
        auto grammar = *tool_grammar(format, *tool_set(), rule);
        for (const std::string before : {"", "<think>\n{ hm [</think>\n\n", " <think></think>"}) {
            EXPECT_TRUE(matches(grammar, before + good)) << before + good;
            EXPECT_FALSE(matches(grammar, before + bad)) << before + bad;
            EXPECT_TRUE(matches(grammar, before + "It is 19 degrees.")) << before;
        }
        for (const char* text : {"", "<", "<thin", "<b>bold</b>", "< think>", "  <thank you>"}) {
            EXPECT_TRUE(matches(grammar, text)) << text;
        }
        EXPECT_FALSE(matches(grammar, "<think>hm</think>" + bad));
        rule.reasoning = ReasoningState::open;
        grammar = *tool_grammar(format, *tool_set(), rule);
        EXPECT_TRUE(matches(grammar, "hm</think>\n" + good));
        EXPECT_FALSE(matches(grammar, "hm</think>\n" + bad));
        EXPECT_FALSE(matches(grammar, good)) << "still thinking";
        rule.reasoning = ReasoningState::done;
        grammar = *tool_grammar(format, *tool_set(), rule);
        EXPECT_TRUE(matches(grammar, good));
        EXPECT_FALSE(matches(grammar, bad));
    }
}

TEST(ToolGrammar, HoldsTheAnswerToItsSchemaWhereNothingIsCalled) {
    const ChatFormat format = format_of("hermes");
    ToolRule rule;
    rule.answer_schema = *base::parse_json(R"({"type": "object", "properties":
        {"people": {"type": "integer"}}, "required": ["people"], "additionalProperties": false})");
    const auto built = tool_grammar(format, *tool_set(), rule);
    ASSERT_TRUE(built) << built.error().message;
    EXPECT_TRUE(grammar_triggers(format, rule).empty());
    EXPECT_TRUE(matches(*built, "{\"people\": 134000}"));
    EXPECT_TRUE(matches(*built, render_calls(format.calls, good_calls(), nullptr)));
    EXPECT_FALSE(matches(*built, "Many."));
}

constexpr std::string_view kHardTool = R"([{"type": "function", "function": {"name": "hard",
    STRICT "parameters": {"type": "object", "properties": {
        "n": {"type": "integer"}, "x": {"type": "number", "multipleOf": 0.7}},
    "required": ["n", "gone"], "propertyNames": {"pattern": "^.$"}}}}])";

std::string hard_tool(std::string_view strict) {
    std::string text(kHardTool);
    return text.replace(text.find("STRICT"), 6, strict);
}

TEST(ToolGrammar, RefusesAStrictSchemaThatItCannotHold) {
    const auto tools = tool_set(hard_tool("\"strict\": true,"));
    for (const char* family : {"hermes", "qwen_xml"}) {
        const auto built = tool_grammar(format_of(family), *tools, {});
        ASSERT_FALSE(built) << family;
        EXPECT_EQ(built.error().code, base::Code::unimplemented);
        EXPECT_TRUE(built.error().subject.starts_with("tools[0].function.parameters."))
            << built.error().subject;
        EXPECT_NE(built.error().message.find("'hard'"), std::string::npos);
    }
}

TEST(ToolGrammar, HoldsWhatItCanOfOtherSchemas) {
    const auto tools = tool_set(hard_tool(""));
    ToolRule rule;
    rule.kind = ToolRule::Kind::required;
    const auto built = tool_grammar(format_of("hermes"), *tools, rule);
    ASSERT_TRUE(built) << built.error().message;
    const auto text = [](std::string_view arguments) {
        return render_calls(call_syntax("hermes"), {call("hard", arguments)}, nullptr);
    };
    EXPECT_TRUE(matches(*built, text(R"({"n": 1, "x": "anything"})")));
    EXPECT_FALSE(matches(*built, text(R"({"n": "one"})")));
    EXPECT_FALSE(matches(*built, text(R"({"n": 1, "y": 1})")));
    EXPECT_FALSE(matches(*built, text(R"({"x": 1})")));
}

TEST(ToolGrammar, TakesSchemasThatAreNoneAsAnyJson) {
    const auto tools = tool_set(R"([{"name": "f", "parameters": {"type": "dict", "properties":
        {"x": {"type": "float"}, "n": {"type": "integer"}}, "required": ["x"]}}])");
    ToolRule rule;
    rule.kind = ToolRule::Kind::required;
    for (const char* family : {"hermes", "glm", "lfm2"}) {
        const auto built = tool_grammar(format_of(family), *tools, rule);
        ASSERT_TRUE(built) << family << ": " << built.error().message;
        const auto text = [&](std::string_view arguments) {
            return render_calls(call_syntax(family), {call("f", arguments)}, tools.get());
        };
        EXPECT_TRUE(matches(*built, text(R"({"x": 1.5, "n": 1})"))) << family;
        EXPECT_FALSE(matches(*built, text(R"({"x": 1.5, "n": 1.5})"))) << family;
        EXPECT_FALSE(matches(*built, text(R"({"n": 1})"))) << family;
    }
}

TEST(ToolGrammar, FiveHundredToolsOfAMegabyteAreOneGrammar) {
    json::array tools;
    for (int t = 0; t < 500; ++t) {
        json::object properties;
        for (int p = 0; p < 16; ++p) {
            const std::string name = "field_" + std::to_string(t) + "_" + std::to_string(p);
            properties[name] = {{"type", p % 3 == 0 ? "integer" : "string"},
                                {"description", std::string(80, 'd')},
                                {"enum", p % 3 == 0 ? json::value(json::array{1, 2, t})
                                                    : json::value(json::array{"x", "y", name})}};
        }
        json::object parameters{{"type", "object"}, {"properties", properties}};
        tools.push_back(
            {{"type", "function"},
             {"function", {{"name", "tool_" + std::to_string(t)}, {"parameters", parameters}}}});
    }
    const auto set = ToolSet::parse(tools);
    ASSERT_TRUE(set);
    EXPECT_GE((*set)->text().size(), 1'000'000u);
    ToolRule rule;
    rule.kind = ToolRule::Kind::required;
    const auto built = tool_grammar(format_of("hermes"), **set, rule);
    ASSERT_TRUE(built) << built.error().message;
    EXPECT_TRUE(matches(*built, render_calls(call_syntax("hermes"),
                                             {call("tool_499", R"({"field_499_1": "field_499_1",
                                                          "field_499_3": 499})")},
                                             nullptr)));
    EXPECT_FALSE(
        matches(*built, render_calls(call_syntax("hermes"), {call("tool_500", "{}")}, nullptr)));
}

TEST(ToolSet, NamesWhatIsWrong) {
    const auto subject = [](std::string_view text) {
        const auto set = ToolSet::parse(*base::parse_json(text));
        return set ? "fine" : set.error().subject;
    };
    EXPECT_EQ(subject("[]"), "tools");
    EXPECT_EQ(subject("[1]"), "tools[0]");
    EXPECT_EQ(subject(R"([{"function": {"name": "a b"}}])"), "tools[0].function.name");
    EXPECT_EQ(subject(R"([{"function": {"name": "a"}}, {"name": "a"}])"), "tools[1].function.name");
    EXPECT_EQ(subject(R"([{"function": {"name": "a", "parameters": 3}}])"),
              "tools[0].function.parameters");
    EXPECT_EQ(subject(R"([{"name": "a.b-c_1"}])"), "fine");
}

}  // namespace
}  // namespace engine::chat
