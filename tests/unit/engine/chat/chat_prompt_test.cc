#include "engine/chat/chat_prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace {

namespace json = base::json;
using testing::HasSubstr;

/// A published template over a conversation with one tool call, whose arguments came as
/// `arguments`.
base::Result<std::string> prompt(const std::string& name, json::value arguments) {
    std::ifstream file(std::string(DG_SOURCE_DIR) + "/tests/golden/templates/templates/" + name);
    const std::string source{std::istreambuf_iterator<char>(file), {}};
    EXPECT_FALSE(source.empty()) << name;
    const json::object function{{"name", "get_temperature"}, {"arguments", std::move(arguments)}};
    const json::object call{{"id", "call00004"}, {"type", "function"}, {"function", function}};
    json::object variables{
        {"bos_token", "<s>"},
        {"eos_token", "</s>"},
        {"add_generation_prompt", true},
        {"tools", nullptr},
        {"messages",
         json::array{
             json::object{{"role", "user"}, {"content", "How warm is it in Bern?"}},
             json::object{
                 {"role", "assistant"}, {"content", nullptr}, {"tool_calls", json::array{call}}},
             json::object{{"role", "tool"},
                          {"tool_call_id", "call00004"},
                          {"name", "get_temperature"},
                          {"content", "19"}}}}};
    return engine::render_chat_prompt(base::Template::parse(source).value(), std::move(variables),
                                      {});
}

const json::object kObject{{"city", "Bern"}, {"days", 2}};
const std::string kText = R"({"city": "Bern", "days": 2})";

TEST(ChatPrompt, TextArgumentsRenderAsTheObjectTheTemplateWants) {
    for (const char* name :
         {"Qwen-Qwen2.5-7B-Instruct.jinja", "Qwen-Qwen3-0.6B.jinja", "Qwen3-Coder.jinja",
          "GLM-4.6.jinja", "meta-llama-Llama-3.1-8B-Instruct.jinja", "MiniMax-M2.jinja"}) {
        const auto of_text = prompt(name, json::value(kText));
        const auto of_object = prompt(name, kObject);
        ASSERT_TRUE(of_text && of_object) << name;
        EXPECT_EQ(*of_text, *of_object) << name;
        EXPECT_THAT(*of_text, HasSubstr("Bern")) << name;
    }
}

TEST(ChatPrompt, TemplatesThatJoinTextGetTheTextAsItCame) {
    for (const char* name :
         {"deepseek-ai-DeepSeek-R1.jinja", "deepseek-ai-DeepSeek-R1-Distill-Llama-8B.jinja"}) {
        const auto of_text = prompt(name, json::value(kText));
        ASSERT_TRUE(of_text) << name << ": " << of_text.error().message;
        EXPECT_THAT(*of_text, HasSubstr(kText)) << name;
    }
}

TEST(ChatPrompt, NoContentIsNullOrEmptyAsTheTemplateNeedsIt) {
    const auto rendered = [](std::string_view source) {
        const json::object message{{"role", "assistant"}, {"content", nullptr}};
        return engine::render_chat_prompt(base::Template::parse(source).value(),
                                          {{"messages", json::array{message}}}, {});
    };
    EXPECT_EQ(rendered("{{ messages[0].content is none }}").value(), "True");
    EXPECT_EQ(rendered("{{ messages[0].content.split('x')|length }}").value(), "1");
    EXPECT_FALSE(rendered("{{ raise_exception('no') }}"));
}

TEST(ChatPrompt, ArgumentsThatAreNoObjectStayText) {
    for (const char* arguments : {"", "not json", "[1]", "7"}) {
        EXPECT_TRUE(prompt("Qwen-Qwen3-0.6B.jinja", json::value(arguments))) << arguments;
    }
}

}  // namespace
