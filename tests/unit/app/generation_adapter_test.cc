// Tools and answer formats through the engine: a tiny model that knows nothing of either still
// answers as the grammar says.
#include "app/generation_adapter.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <set>

#include "app/chat_sink.h"
#include "support/models_dir.h"

namespace app {
namespace {

namespace json = base::json;
using base::Code;

struct Heard {
    std::string text, reasoning;
    std::vector<gate::ToolCallDelta> calls;
    std::size_t deltas = 0;
    gate::GenerationEnd end;
};

class Collect final : public gate::GenerationListener {
public:
    void on_delta(const gate::TokenDelta& delta) override {
        const std::lock_guard lock(mutex_);
        ++heard_.deltas;
        add(delta.text, delta.reasoning, delta.tool_calls);
    }
    void on_end(const gate::GenerationEnd& end) override {
        const std::lock_guard lock(mutex_);
        add(end.text, end.reasoning, end.tool_calls);
        heard_.end = end;
        ended_ = true;
        done_.notify_all();
    }
    Heard wait() {
        std::unique_lock lock(mutex_);
        done_.wait(lock, [&] { return ended_; });
        return heard_;
    }

private:
    void add(const std::string& text, const std::string& reasoning,
             const std::vector<gate::ToolCallDelta>& calls) {
        heard_.text += text;
        heard_.reasoning += reasoning;
        for (const gate::ToolCallDelta& call : calls) {
            if (!call.name.empty()) {
                EXPECT_EQ(call.index, heard_.calls.size());
                heard_.calls.push_back({call.index, call.id, call.name, ""});
            }
            ASSERT_LT(call.index, heard_.calls.size());
            heard_.calls[call.index].arguments += call.arguments;
        }
    }
    std::mutex mutex_;
    std::condition_variable done_;
    Heard heard_;
    bool ended_ = false;
};

constexpr std::string_view kTools = R"([
    {"type": "function", "function": {"name": "get_temperature", "parameters":
        {"type": "object", "properties": {"city": {"type": "string", "enum": ["Bern", "Oslo"]},
         "days": {"type": "integer", "minimum": 1, "maximum": 3}}, "required": ["city", "days"]}}},
    {"type": "function", "function": {"name": "now"}}
])";

class Adapter : public ::testing::Test {
protected:
    void SetUp() override { open(DG_SOURCE_DIR "/assets/stories260K-f16.gguf"); }
    void open(const std::string& path) {
        auto engine = engine::Engine::open(path, {.threads = 1}, clock_);
        ASSERT_TRUE(engine) << engine.error().message;
        engine_ = *std::move(engine);
    }

    static gate::GenerationRequest asking(gate::ToolChoice::Kind kind, std::string name = "") {
        gate::GenerationRequest request;
        request.prompt.messages =
            json::array{json::object{{"role", "user"}, {"content", "How warm?"}}};
        request.tools = *base::parse_json(kTools);
        request.tool_choice.kind = kind;
        request.tool_choice.name = std::move(name);
        request.tool_choice.parallel = false;
        request.sampling.temperature = 0;
        request.max_tokens = 120;
        return request;
    }
    static gate::GenerationRequest formatted(gate::AnswerFormat format) {
        gate::GenerationRequest request;
        request.prompt.text = "Once upon a time";
        request.format = std::move(format);
        request.sampling.temperature = 0;
        request.max_tokens = 120;
        return request;
    }

    base::Result<Heard> run(gate::GenerationRequest request) {
        auto listener = std::make_shared<Collect>();
        ModelPrompt prompt = DG_TRY(answer_prompt(*engine_, request));
        const PromptFacts facts{{}, {}, prompt.dropped_tokens};
        auto sink = make_sink(*engine_, request, listener, facts, prompt.tokens);
        auto ask = DG_TRY(engine_request(*engine_, std::move(request), std::move(prompt)));
        DG_TRY(engine_->submit(std::move(ask), std::move(sink)));
        return listener->wait();
    }

    base::SystemClock clock_;
    std::unique_ptr<engine::Engine> engine_;
};

using Kind = gate::ToolChoice::Kind;

void expect_temperature_call(const gate::ToolCallDelta& call) {
    EXPECT_EQ(call.name, "get_temperature");
    EXPECT_TRUE(call.id.starts_with("call_"));
    const auto arguments = base::parse_json(call.arguments);
    ASSERT_TRUE(arguments) << call.arguments;
    EXPECT_TRUE(arguments->at("city") == "Bern" || arguments->at("city") == "Oslo");
    EXPECT_GE(arguments->at("days").as_int64(), 1);
    EXPECT_LE(arguments->at("days").as_int64(), 3);
}

TEST_F(Adapter, CallsTheNamedTool) {
    const auto heard = run(asking(Kind::named, "get_temperature"));
    ASSERT_TRUE(heard) << heard.error().message;
    ASSERT_EQ(heard->calls.size(), 1u) << heard->text;
    expect_temperature_call(heard->calls[0]);
    EXPECT_EQ(heard->text, "");
    EXPECT_EQ(heard->end.finish, gate::Finish::tool_calls);
    EXPECT_GT(heard->deltas, 1u);
}

TEST_F(Adapter, CallsSomeToolWhenOneIsRequired) {
    for (const std::uint64_t seed : {1, 2, 3}) {
        gate::GenerationRequest request = asking(Kind::required);
        request.sampling.temperature = 1;
        request.sampling.seed = seed;
        const auto heard = run(std::move(request));
        ASSERT_TRUE(heard);
        ASSERT_EQ(heard->calls.size(), 1u) << heard->text;
        if (heard->calls[0].name != "now") expect_temperature_call(heard->calls[0]);
        EXPECT_EQ(heard->end.finish, gate::Finish::tool_calls);
    }
}

TEST_F(Adapter, CallsInParallelOnlyWhenAllowed) {
    gate::GenerationRequest request = asking(Kind::required);
    request.tool_choice.parallel = request.tool_choice.parallel_asked = true;
    request.max_tokens = 400;
    const auto heard = run(std::move(request));
    ASSERT_TRUE(heard);
    std::set<std::string> ids;
    for (const auto& call : heard->calls) ids.insert(call.id);
    EXPECT_EQ(ids.size(), heard->calls.size());
    EXPECT_GE(heard->calls.size(), 1u);
}

/// This model's template shows no tools: it is told of them in words.
TEST_F(Adapter, ToldInWordsOneCallIsTheDefault) {
    gate::GenerationRequest one = asking(Kind::required), more = asking(Kind::required);
    one.tool_choice.parallel = true;
    one.max_tokens = 400;
    const auto heard = run(one);
    ASSERT_TRUE(heard);
    EXPECT_EQ(heard->calls.size(), 1u);
    EXPECT_EQ(heard->end.finish, gate::Finish::tool_calls);
    more.tool_choice.parallel = more.tool_choice.parallel_asked = true;
    const auto first = engine_request(*engine_, std::move(one), {{1}});
    const auto second = engine_request(*engine_, std::move(more), {{1}});
    EXPECT_NE(first->grammar, second->grammar);
}

TEST_F(Adapter, SaysNothingOfToolsThatMayNotBeCalled) {
    gate::GenerationRequest with = asking(Kind::none), without = asking(Kind::none);
    without.tools = nullptr;
    EXPECT_EQ(*prompt_tokens(*engine_, with), *prompt_tokens(*engine_, without));
    EXPECT_NE(*prompt_tokens(*engine_, with), *prompt_tokens(*engine_, asking(Kind::automatic)));
    const auto ask = engine_request(*engine_, std::move(with), {{1}});
    ASSERT_TRUE(ask);
    EXPECT_EQ(ask->grammar, nullptr);
}

TEST_F(Adapter, IsFreeUntilTheModelBeginsACall) {
    const auto ask = engine_request(*engine_, asking(Kind::automatic), {{1}});
    ASSERT_TRUE(ask);
    EXPECT_NE(ask->grammar, nullptr);
    EXPECT_EQ(ask->grammar_triggers, std::vector<std::string>{"<tool_call>"});
}

TEST_F(Adapter, AKeptPrefixOfAChatStandsInItsPromptOnce) {
    gate::GenerationRequest request;
    const json::object begin{{"role", "user"}, {"content", "Once upon a time there was a girl"}};
    request.prompt.messages = json::array{begin};
    const auto kept = engine_->keep_prefix(
        "t", *prompt_tokens(*engine_, request, PromptEnd::messages_follow), std::chrono::hours(1));
    ASSERT_TRUE(kept) << kept.error().message;
    request.prompt.messages->push_back(json::object{{"role", "user"}, {"content", "named Lily"}});
    request.tenant = "t";
    request.cache_id = kept->id;
    request.max_tokens = 3;
    const std::size_t whole = prompt_tokens(*engine_, request)->size();
    const auto heard = run(request);
    ASSERT_TRUE(heard) << heard.error().message;
    EXPECT_EQ(heard->end.prompt_tokens, whole);

    request.prompt.messages->erase(request.prompt.messages->begin());
    const auto other = run(request);
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, base::Code::invalid_argument);
    EXPECT_EQ(other.error().subject, "cache_id");
}

/// A conversation over the context, whose answer then goes on past it.
TEST_F(Adapter, AChatThatIsTooLongLosesItsOldestTurnsWhereItMay) {
    gate::GenerationRequest request;
    json::array& messages = request.prompt.messages.emplace();
    messages.push_back(json::object{{"role", "system"}, {"content", "Tell stories of animals."}});
    for (int i = 0; i < 60; ++i) {
        messages.push_back(json::object{{"role", "user"}, {"content", "Tell me about a big dog."}});
        messages.push_back(
            json::object{{"role", "assistant"}, {"content", "Once upon a time there was a dog."}});
    }
    messages.push_back(json::object{{"role", "user"}, {"content", "Once there was a girl"}});
    request.sampling.temperature = 0;
    request.max_tokens = 600;
    request.ignore_eos = true;
    const std::size_t whole = prompt_tokens(*engine_, request)->size();
    const std::uint32_t context = engine_->info().context_tokens;
    ASSERT_GT(whole, context);
    const auto refused = run(request);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().subject, "context_tokens");

    request.context_overflow = gate::ContextOverflow::shift;
    const auto prompt = answer_prompt(*engine_, request);
    ASSERT_TRUE(prompt) << prompt.error().message;
    EXPECT_EQ(prompt->dropped_tokens, whole - prompt->tokens.size());
    const std::string text = engine_->tokenizer().decode(prompt->tokens);
    EXPECT_NE(text.find("Tell stories of animals.\nTell me about"), std::string::npos) << text;
    EXPECT_TRUE(text.ends_with("Once there was a girl")) << text;
    // All of the system prompt, and what every chat goes on with.
    const auto system = engine_->tokenizer().encode("Tell stories of animals.");
    EXPECT_GE(prompt->lasting_tokens + 1, system.size());
    EXPECT_LE(prompt->lasting_tokens, system.size() + 2);

    const auto heard = run(request);
    ASSERT_TRUE(heard) << heard.error().message;
    EXPECT_EQ(heard->end.completion_tokens, 600u);
    EXPECT_EQ(heard->end.prompt_tokens, prompt->tokens.size());
    EXPECT_GT(heard->end.context_dropped_tokens, prompt->dropped_tokens);
    const std::uint32_t all = heard->end.prompt_tokens + 599;
    EXPECT_LE(all - (heard->end.context_dropped_tokens - prompt->dropped_tokens), context);
    EXPECT_EQ(run(request)->text, heard->text);
}

TEST_F(Adapter, KeepsStopStringsOutOfCalls) {
    gate::GenerationRequest request = asking(Kind::named, "get_temperature");
    request.stop = {"city", "name"};
    const auto heard = run(std::move(request));
    ASSERT_TRUE(heard);
    ASSERT_EQ(heard->calls.size(), 1u);
    expect_temperature_call(heard->calls[0]);
}

TEST_F(Adapter, HoldsTheAnswerToAFormat) {
    gate::AnswerFormat schema;
    schema.kind = gate::AnswerFormat::Kind::json_schema;
    schema.schema = *base::parse_json(R"({"type": "object", "properties": {"n": {"enum": [4, 5]},
        "s": {"type": "string", "maxLength": 6}}, "required": ["n", "s"],
        "additionalProperties": false})");
    const auto heard = run(formatted(schema));
    ASSERT_TRUE(heard) << heard.error().message;
    const auto value = base::parse_json(heard->text);
    ASSERT_TRUE(value) << heard->text;
    EXPECT_GE(value->at("n").as_int64(), 4);
    EXPECT_LE(value->at("s").as_string().size(), 24u);
    EXPECT_EQ(heard->end.finish, gate::Finish::stop);

    gate::AnswerFormat regex;
    regex.kind = gate::AnswerFormat::Kind::regex;
    regex.pattern = "a{3}|b{2}";
    const auto letters = run(formatted(regex));
    ASSERT_TRUE(letters) << letters.error().message;
    EXPECT_TRUE(letters->text == "aaa" || letters->text == "bb") << letters->text;

    gate::AnswerFormat ebnf;
    ebnf.kind = gate::AnswerFormat::Kind::ebnf;
    ebnf.pattern = "root ::= (\"yes\" | \"no\") \"!\"";
    const auto word = run(formatted(ebnf));
    ASSERT_TRUE(word) << word.error().message;
    EXPECT_TRUE(word->text == "yes!" || word->text == "no!") << word->text;

    gate::AnswerFormat object;
    object.kind = gate::AnswerFormat::Kind::json_object;
    const auto braces = run(formatted(object));
    ASSERT_TRUE(braces);
    EXPECT_TRUE(braces->text.starts_with("{")) << braces->text;
}

TEST_F(Adapter, RefusesWhatCannotBeHeldByItsPath) {
    gate::AnswerFormat schema;
    schema.kind = gate::AnswerFormat::Kind::json_schema;
    schema.schema = *base::parse_json(
        R"({"type": "object", "properties": {"x": {"type": "number", "multipleOf": 0.7}}})");
    const auto answer = run(formatted(schema));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().subject, "response_format.json_schema.schema.properties.x.multipleOf");

    gate::AnswerFormat regex;
    regex.kind = gate::AnswerFormat::Kind::regex;
    regex.pattern = "*a";
    const auto pattern = run(formatted(regex));
    ASSERT_FALSE(pattern);
    SCOPED_TRACE(pattern.error().message);
    EXPECT_EQ(pattern.error().code, Code::invalid_argument);
    EXPECT_EQ(pattern.error().subject, "response_format");

    gate::AnswerFormat ebnf;
    ebnf.kind = gate::AnswerFormat::Kind::ebnf;
    ebnf.pattern = "root ::= missing";
    const auto text = run(formatted(ebnf));
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().subject, "response_format");
    EXPECT_NE(text.error().message.find("missing"), std::string::npos) << text.error().message;

    gate::GenerationRequest strict = asking(Kind::automatic);
    strict.tools.at(0).at("function").as_object()["strict"] = true;
    strict.tools.at(0).at("function").at("parameters").at("properties").as_object()["x"] =
        json::object{{"type", "number"}, {"multipleOf", 0.7}};
    const auto tools = run(std::move(strict));
    ASSERT_FALSE(tools);
    EXPECT_TRUE(tools.error().subject.starts_with("tools[0].function.parameters"))
        << tools.error().subject;
}

TEST_F(Adapter, TellsAModelWithoutToolsInItsTemplateAboutThem) {
    gate::GenerationRequest request = asking(Kind::automatic);
    request.prompt.messages->push_back(*base::parse_json(
        R"({"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function",
            "function": {"name": "now", "arguments": "{}"}}]})"));
    request.prompt.messages->push_back(
        json::object{{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "noon"}});
    const auto tokens = prompt_tokens(*engine_, request);
    ASSERT_TRUE(tokens);
    const std::string text = engine_->tokenizer().decode(*tokens);
    EXPECT_NE(text.find("\"get_temperature\""), std::string::npos) << text;
    EXPECT_NE(text.find("<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>"),
              std::string::npos);
    EXPECT_NE(text.find("<tool_response>\nnoon\n</tool_response>"), std::string::npos);
}

/// With the default model, whose template knows no tools: what it is told in words must be enough
/// for it to name the right city when it is held to a call.
class DefaultModel : public Adapter {
protected:
    void SetUp() override {
        const auto path = test::cached_model("SmolLM2-135M-Instruct.Q4_1.gguf");
        if (!path) GTEST_SKIP() << "the default model is not in the cache";
        open(*path);
    }
    static gate::GenerationRequest weather(Kind kind, std::string name = "") {
        gate::GenerationRequest request = asking(kind, std::move(name));
        request.tools = *base::parse_json(R"([{"type": "function", "function": {
            "name": "get_weather", "description": "The weather in a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}},
                           "required": ["city"]}}}])");
        request.prompt.messages = json::array{
            json::object{{"role", "user"}, {"content", "What is the weather like in Paris?"}}};
        return request;
    }
};

TEST_F(DefaultModel, CallsAToolWithTheRightArgument) {
    for (const Kind kind : {Kind::required, Kind::named}) {
        const auto heard = run(weather(kind, "get_weather"));
        ASSERT_TRUE(heard) << heard.error().message;
        ASSERT_EQ(heard->calls.size(), 1u) << heard->text;
        EXPECT_EQ(heard->calls[0].name, "get_weather");
        const auto arguments = base::parse_json(heard->calls[0].arguments);
        ASSERT_TRUE(arguments) << heard->calls[0].arguments;
        EXPECT_NE(arguments->at("city").as_string().find("Paris"), std::string::npos)
            << heard->calls[0].arguments;
        EXPECT_EQ(heard->end.finish, gate::Finish::tool_calls);
    }
}

TEST_F(DefaultModel, AnswersOrCallsWhenItMayChoose) {
    const auto heard = run(weather(Kind::automatic));
    ASSERT_TRUE(heard) << heard.error().message;
    EXPECT_TRUE(!heard->text.empty() || !heard->calls.empty());
    for (const auto& call : heard->calls) {
        EXPECT_EQ(call.name, "get_weather");
        EXPECT_TRUE(base::parse_json(call.arguments)) << call.arguments;
    }
    std::printf("automatic: %zu calls, text \"%s\"\n", heard->calls.size(), heard->text.c_str());
}

gate::TokenDelta pushed(ChatSink& sink, std::string_view text) {
    gate::TokenDelta delta;
    sink.push(text, {}, delta);
    return delta;
}

ChatSinkOptions sink_options(bool parallel, std::vector<std::string> stop) {
    ChatSinkOptions options;
    auto format = std::make_shared<engine::chat::ChatFormat>();
    format->calls = engine::chat::call_syntax("hermes");
    format->reasoning = {"<think>", "</think>"};
    options.format = format;
    options.tools = engine::chat::ToolSet::parse(*base::parse_json(kTools)).value();
    options.parser.new_id = [](auto&&...) { return "call_x"; };
    options.stop = std::move(stop);
    options.parallel = parallel;
    return options;
}

TEST(ChatSink, EndsAfterOneCallWithoutParallelOnes) {
    ChatSink sink(sink_options(false, {}));
    const auto delta = pushed(sink,
                              "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>\n"
                              "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>");
    ASSERT_EQ(delta.tool_calls.size(), 1u);
    EXPECT_EQ(delta.tool_calls[0].arguments, "{}");
    EXPECT_TRUE(sink.has_enough());
}

TEST(ChatSink, MatchesStopStringsInTheAnswerOnly) {
    ChatSink sink(sink_options(true, {"END"}));
    gate::TokenDelta delta = pushed(sink, "<think>the END is near</think>Well, E");
    EXPECT_EQ(delta.reasoning, "the END is near");
    EXPECT_EQ(delta.text, "Well, ");
    EXPECT_FALSE(sink.has_enough());
    delta = pushed(sink, "ND of it");
    EXPECT_EQ(delta.text, "");
    EXPECT_TRUE(sink.has_enough());
    gate::GenerationEnd end;
    sink.finish("", end);
    EXPECT_EQ(end.text, "");
    EXPECT_EQ(end.finish, gate::Finish::stop);
}

TEST(ChatSink, SaysLengthWhenACallWasCut) {
    ChatSink sink(sink_options(true, {}));
    gate::TokenDelta delta;
    sink.push("<tool_call>\n{\"name\": \"now\", \"arguments\": {\"a\"", {}, delta);
    gate::GenerationEnd end;
    end.finish = gate::Finish::length;
    sink.finish("", end);
    EXPECT_EQ(end.finish, gate::Finish::length);
}

}  // namespace
}  // namespace app
