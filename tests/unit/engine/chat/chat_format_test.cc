#include "engine/chat/chat_format.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>

namespace engine::chat {
namespace {

std::string published(const std::string& name) {
    std::ifstream file(DG_SOURCE_DIR "/tests/golden/templates/templates/" + name + ".jinja",
                       std::ios::binary);
    EXPECT_TRUE(file) << name;
    return {std::istreambuf_iterator<char>(file), {}};
}

TEST(DetectFormat, KnowsThePublishedTemplates) {
    const std::map<std::string, std::string> families = {
        {"Bielik-11B-v3.0-Instruct", "hermes"},
        {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "command_r"},
        {"DeepSeek-V2", "generic"},
        {"GLM-4.6", "glm"},
        {"HuggingFaceTB-SmolLM2-135M-Instruct", "generic"},
        {"Kimi-K2-Instruct", "kimi"},
        {"LFM2-8B-A1B", "lfm2"},
        {"Llama-3", "generic"},
        {"MiniMax-M2", "minimax"},
        {"Mistral-Large-Instruct-2407", "mistral_list"},
        {"Mistral-Small-3.2-24B-Instruct-2506", "mistral_arguments"},
        {"NVIDIA-Nemotron-Nano-v2", "nemotron"},
        {"Qwen-QwQ-32B", "hermes"},
        {"Qwen-Qwen1.5-72B-Chat", "generic"},
        {"Qwen-Qwen2.5-7B-Instruct", "hermes"},
        {"Qwen-Qwen3-0.6B", "hermes"},
        {"Qwen3-Coder", "qwen_xml"},
        {"Qwen3.5-4B", "qwen_xml"},
        {"ai21labs-AI21-Jamba-Large-1.6", "jamba"},
        {"deepseek-ai-DeepSeek-V3.2", "deepseek_dsml"},
        {"google-gemma-2-2b-it", "generic"},
        {"google-gemma-4-31B-it", "gemma4"},
        {"ibm-granite-granite-3.0-8b-instruct", "granite"},
        {"ibm-granite-granite-3.3-2B-Instruct", "granite"},
        {"ibm-granite-granite-4.0", "hermes"},
        {"meta-llama-Llama-3.1-8B-Instruct", "llama3"},
        {"meta-llama-Llama-3.2-11B-Vision-Instruct", "llama3"},
        {"meta-llama-Llama-3.2-3B-Instruct", "llama3"},
        {"mistralai-Mistral-7B-Instruct-v0.3", "mistral_list"},
        {"mistralai-Mistral-Nemo-Instruct-2407", "mistral_list"},
        {"moonshotai-Kimi-K2-Thinking", "kimi"},
        {"openai-gpt-oss-120b", "harmony"},
        {"phi-4", "generic"},
        {"zai-org-GLM-5.1", "glm_tight"},
    };
    for (const auto& [name, family] : families) {
        const ChatFormat format = detect_format(published(name));
        EXPECT_EQ(format.calls.family, family) << name;
        EXPECT_EQ(format.template_has_tools, family != "generic") << name;
    }
}

TEST(DetectFormat, ReadsCallsOfDeepSeekWhoseTemplateShowsNoTools) {
    // These templates render past calls but never the tools; the calls keep the family's form.
    EXPECT_EQ(detect_format(published("deepseek-ai-DeepSeek-R1")).calls.family, "deepseek_r1");
    EXPECT_EQ(detect_format(published("deepseek-ai-DeepSeek-R1-Distill-Llama-8B")).calls.family,
              "deepseek_r1");
    EXPECT_EQ(detect_format(published("deepseek-ai-DeepSeek-V3.1")).calls.family, "deepseek_v31");
    EXPECT_FALSE(detect_format(published("deepseek-ai-DeepSeek-V3.1")).template_has_tools);
}

TEST(DetectFormat, FindsReasoningMarkers) {
    EXPECT_EQ(detect_format(published("Qwen-Qwen3-0.6B")).reasoning.close, "</think>");
    EXPECT_EQ(detect_format(published("deepseek-ai-DeepSeek-R1")).reasoning.open, "<think>");
    EXPECT_EQ(
        detect_format(published("CohereForAI-c4ai-command-r7b-12-2024-tool_use")).reasoning.open,
        "<|START_THINKING|>");
    EXPECT_EQ(detect_format(published("Qwen-Qwen2.5-7B-Instruct")).reasoning.open, "");
}

TEST(DetectFormat, NamesMarkersThatAreControlTokens) {
    Vocabulary vocabulary;
    vocabulary.model = "gpt2";
    vocabulary.pre = "gpt-2";
    vocabulary.tokens = {"a", "[TOOL_CALLS]", "[ARGS]", "</s>"};
    vocabulary.kinds = {TokenKind::normal, TokenKind::control, TokenKind::user_defined,
                        TokenKind::control};
    const auto tokenizer = Tokenizer::create(std::move(vocabulary));
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    const ChatFormat format =
        detect_format(published("Mistral-Small-3.2-24B-Instruct-2506"), **tokenizer);
    EXPECT_EQ(format.control_texts, std::vector<std::string>{"[TOOL_CALLS]"});
}

TEST(Reasoning, IsWhereThePromptLeavesIt) {
    const ReasoningSyntax think{"<think>", "</think>"};
    EXPECT_EQ(reasoning_after(think, "assistant\n<think>\n"), ReasoningState::open);
    EXPECT_EQ(reasoning_after(think, "<think>\n\n</think>\n\n"), ReasoningState::done);
    EXPECT_EQ(reasoning_after(think, "assistant\n"), ReasoningState::possible);
    EXPECT_EQ(reasoning_after(think, ""), ReasoningState::possible);
    EXPECT_EQ(reasoning_after({}, "<think>"), ReasoningState::done);
}

}  // namespace
}  // namespace engine::chat
