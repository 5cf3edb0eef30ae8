#include "engine/chat/tool_messages.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "base/template/template.h"
#include "engine/chat/chat_prompt.h"

namespace engine::chat {
namespace {

namespace json = base::json;

std::string published(const std::string& name) {
    std::ifstream file(DG_SOURCE_DIR "/tests/golden/templates/templates/" + name + ".jinja",
                       std::ios::binary);
    EXPECT_TRUE(file) << name;
    return {std::istreambuf_iterator<char>(file), {}};
}

json::value tools() {
    return *base::parse_json(R"([{"type": "function", "function": {"name": "now",
        "description": "The time", "parameters": {"type": "object", "properties": {}}}}])");
}

json::array conversation() {
    return base::parse_json(R"([
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What time is it in Bern and Oslo?"},
        {"role": "assistant", "content": "Let me look.", "tool_calls": [
            {"id": "call00001", "type": "function", "function": {"name": "now",
             "arguments": "{\"city\": \"Bern\"}"}},
            {"id": "call00002", "type": "function", "function": {"name": "now",
             "arguments": {"city": "Oslo"}}}]},
        {"role": "tool", "tool_call_id": "call00001", "content": "noon"},
        {"role": "tool", "tool_call_id": "call00002", "content": "noon too"}])")
        ->as_array();
}

std::string content(const json::value& message) {
    return std::string(message.at("content").as_string());
}

TEST(ToolMessages, ShowHarmonyEachCallWithItsResult) {
    const std::string text = published("openai-gpt-oss-120b");
    json::array messages = conversation();
    messages[2].as_object()["content"] = nullptr;
    messages[2].as_object()["reasoning_content"] = "Both, then.";
    const auto said =
        tool_messages(detect_format(text), messages, tools(), ToolsPlace::system_message);
    ASSERT_EQ(said.size(), 6u);
    const auto parsed = base::Template::parse(text);
    ASSERT_TRUE(parsed) << parsed.error().message;
    const auto prompt = render_chat_prompt(
        *parsed, {{"messages", said}, {"tools", tools()}, {"add_generation_prompt", true}}, {});
    ASSERT_TRUE(prompt) << prompt.error().message;
    const std::size_t from = prompt->find("<|start|>assistant<|channel|>");
    ASSERT_NE(from, std::string::npos) << *prompt;
    EXPECT_EQ(prompt->substr(from),
              "<|start|>assistant<|channel|>analysis<|message|>Both, then.<|end|>"
              "<|start|>assistant to=functions.now<|channel|>commentary json<|message|>"
              "{\"city\": \"Bern\"}<|call|>"
              "<|start|>functions.now to=assistant<|channel|>commentary<|message|>\"noon\"<|end|>"
              "<|start|>assistant to=functions.now<|channel|>commentary json<|message|>"
              "{\"city\": \"Oslo\"}<|call|>"
              "<|start|>functions.now to=assistant<|channel|>commentary<|message|>\"noon too\""
              "<|end|><|start|>assistant");
}

TEST(ToolMessages, SayInWordsWhatATemplateLeavesOut) {
    const ChatFormat format = detect_format(published("HuggingFaceTB-SmolLM2-135M-Instruct"));
    const auto said = tool_messages(format, conversation(), tools(), ToolsPlace::system_message);
    ASSERT_EQ(said.size(), 4u);
    EXPECT_TRUE(content(said[0]).starts_with("Be brief.\n\n"));
    EXPECT_NE(content(said[0]).find("{\"name\": \"now\", \"description\": \"The time\""),
              std::string::npos);
    EXPECT_NE(content(said[0]).find("<tool_call>"), std::string::npos);
    EXPECT_EQ(
        content(said[2]),
        "Let me look.\n<tool_call>\n{\"name\": \"now\", \"arguments\": {\"city\": "
        "\"Bern\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"now\", \"arguments\": {\"city\": "
        "\"Oslo\"}}\n</tool_call>");
    EXPECT_FALSE(said[2].as_object().contains("tool_calls"));
    EXPECT_EQ(said[3].at("role"), "user");
    EXPECT_EQ(content(said[3]),
              "<tool_response>\nnoon\n</tool_response>\n<tool_response>\nnoon "
              "too\n</tool_response>");
}

TEST(ToolMessages, LeaveATemplateThatKnowsToolsAlone) {
    const ChatFormat format = detect_format(published("Qwen-Qwen2.5-7B-Instruct"));
    EXPECT_EQ(tool_messages(format, conversation(), tools(), ToolsPlace::system_message),
              conversation());
}

TEST(ToolMessages, WriteCallsInTheFormOfTheFamily) {
    const ChatFormat format = detect_format(published("LFM2-8B-A1B"));
    const auto said = tool_messages(format, conversation(), tools(), ToolsPlace::system_message);
    EXPECT_EQ(content(said[0]), "Be brief.");  // the template shows the tools
    EXPECT_EQ(content(said[2]),
              "Let me look.\n<|tool_call_start|>[now(city=\"Bern\"), "
              "now(city=\"Oslo\")]<|tool_call_end|>");
    EXPECT_EQ(said[3].at("role"), "tool");
}

TEST(ToolMessages, GoToTheUserWhereSystemMessagesAreRefused) {
    const std::string text = published("google-gemma-2-2b-it");
    const auto parsed = base::Template::parse(text);
    ASSERT_TRUE(parsed);
    const ChatFormat format = detect_format(text);
    json::array messages = conversation();
    messages.erase(messages.begin());
    const auto render = [&](ToolsPlace place) {
        return render_chat_prompt(*parsed,
                                  {{"messages", tool_messages(format, messages, tools(), place)},
                                   {"bos_token", "<bos>"},
                                   {"add_generation_prompt", true}},
                                  {});
    };
    EXPECT_FALSE(render(ToolsPlace::system_message));
    const auto prompt = render(ToolsPlace::user_message);
    ASSERT_TRUE(prompt) << prompt.error().message;
    EXPECT_NE(prompt->find("\"now\""), std::string::npos);
    EXPECT_LT(prompt->find("\"now\""), prompt->find("What time is it"));
    EXPECT_NE(prompt->find("noon too"), std::string::npos);
}

TEST(ToolMessages, AddToPartsAndSurviveOddMessages) {
    const ChatFormat format = detect_format("");
    json::array messages = base::parse_json(R"([
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, 7,
        {"role": "assistant", "tool_calls": [3, {"function": 4}]},
        {"role": "tool"}, {"content": "x"}])")
                               ->as_array();
    const auto said = tool_messages(format, messages, tools(), ToolsPlace::system_message);
    ASSERT_EQ(said.size(), 5u);
    EXPECT_EQ(said[0].at("content").as_array().size(), 2u);
    EXPECT_EQ(content(said[2]), "");
    EXPECT_EQ(tool_messages(format, {}, tools(), ToolsPlace::user_message).size(), 0u);
}

}  // namespace
}  // namespace engine::chat
