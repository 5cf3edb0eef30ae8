#pragma once
// What models of each family write, and what should come of it. The shapes are those of the
// families' templates and model cards.

#include <string>
#include <utility>
#include <vector>

#include "engine/chat/output_parser.h"

namespace test {

struct Call {
    std::string name, arguments;
    bool operator==(const Call&) const = default;
};

struct Parsed {
    std::string content, reasoning;
    std::vector<Call> calls;
    bool operator==(const Parsed&) const = default;
};

struct ParserCase {
    std::string name, family, text;
    Parsed expected;
    bool think = false;  ///< reasoning is marked: with <think> where the family has no own way
};

inline const std::string kBern = R"({"city": "Bern"})";
inline const std::string kSum = R"({"a": 17, "b": 23})";

inline std::vector<ParserCase> parser_cases() {
    const Call weather{"get_temperature", kBern}, sum{"multiply", kSum};
    const std::vector<Call> one{weather}, two{weather, sum};
    return {
        {"HermesTwo",
         "hermes",
         "Let me look.\n<tool_call>\n{\"name\": \"get_temperature\", \"arguments\": {\"city\": "
         "\"Bern\"}}\n</tool_call>\n<tool_call>\n{\"name\": \"multiply\", \"arguments\": {\"a\": "
         "17, \"b\": 23}}\n</tool_call>",
         {"Let me look.", "", two}},
        {"HermesTight",
         "hermes",
         "<tool_call>{\"name\":\"get_temperature\",\"arguments\":{\"city\": \"Bern\"}}</tool_call>",
         {"", "", one}},
        {"HermesArgumentsFirst",
         "hermes",
         "<tool_call>\n{\"arguments\": {\"city\": \"Bern\"}, \"name\": "
         "\"get_temperature\"}\n</tool_call>",
         {"", "", one}},
        {"HermesArgumentsAsText",
         "hermes",
         "<tool_call>\n{\"name\": \"get_temperature\", \"arguments\": \"{\\\"city\\\": "
         "\\\"Bern\\\"}\"}\n</tool_call>",
         {"", "", one}},
        {"HermesNoArguments",
         "hermes",
         "<tool_call>\n{\"name\": \"multiply\"}\n</tool_call>",
         {"", "", {{"multiply", "{}"}}}},
        {"HermesAfterThinking",
         "hermes",
         "<think>\nBern, then.\n</think>\n\n<tool_call>\n{\"name\": \"get_temperature\", "
         "\"arguments\": {\"city\": \"Bern\"}}\n</tool_call>",
         {"", "Bern, then.", one},
         true},
        {"HermesBracesInStrings",
         "hermes",
         "<tool_call>\n{\"name\": \"multiply\", \"arguments\": {\"s\": \"}}</tool_call>\\\"{\"}}\n"
         "</tool_call> done",
         {"done", "", {{"multiply", "{\"s\": \"}}</tool_call>\\\"{\"}"}}}},
        {"HermesUnknownToolIsContent",
         "hermes",
         "<tool_call>\n{\"name\": \"launch\", \"arguments\": {}}\n</tool_call>",
         {"<tool_call>\n{\"name\": \"launch\", \"arguments\": {}}\n</tool_call>", "", {}}},
        {"HermesNotJsonIsContent",
         "hermes",
         "Use <tool_call> tags, < and <tool",
         {"Use <tool_call> tags, < and <tool", "", {}}},
        {"HermesCutInArguments",
         "hermes",
         "<tool_call>\n{\"name\": \"get_temperature\", \"arguments\": {\"city\": \"Be",
         {"", "", {{"get_temperature", "{\"city\": \"Be"}}}},
        {"Llama3",
         "llama3",
         "{\"name\": \"get_temperature\", \"parameters\": {\"city\": \"Bern\"}}",
         {"", "", one}},
        {"Llama3Two",
         "llama3",
         "{\"name\": \"get_temperature\", \"parameters\": {\"city\": \"Bern\"}}; {\"name\": "
         "\"multiply\", \"parameters\": {\"a\": 17, \"b\": 23}}",
         {"", "", two}},
        {"Llama3Tag",
         "llama3",
         "<|python_tag|>{\"type\": \"function\", \"name\": \"get_temperature\", \"parameters\": "
         "{\"city\": \"Bern\"}}<|eom_id|>",
         {"", "", one}},
        {"Llama3JsonAnswerIsContent",
         "llama3",
         "{\"name\": \"Bern\", \"people\": 134000}",
         {"{\"name\": \"Bern\", \"people\": 134000}", "", {}}},
        {"Llama3SemicolonIsContent",
         "llama3",
         "{\"name\": \"get_temperature\", \"parameters\": {\"city\": \"Bern\"}}; and then",
         {"; and then", "", one}},
        {"MistralList",
         "mistral_list",
         "[TOOL_CALLS] [{\"name\": \"get_temperature\", \"arguments\": {\"city\": \"Bern\"}, "
         "\"id\": \"call00002\"}, {\"name\": \"multiply\", \"arguments\": {\"a\": 17, \"b\": 23}}]",
         {"", "", two}},
        {"MistralArguments",
         "mistral_arguments",
         "Let me look.[TOOL_CALLS]get_temperature[ARGS]{\"city\": "
         "\"Bern\"}[TOOL_CALLS]multiply[CALL_ID]call00003[ARGS]{\"a\": 17, \"b\": 23}",
         {"Let me look.", "", two}},
        {"DeepSeekR1",
         "deepseek_r1",
         "<think>\nhm\n</"
         "think>\n\n<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>"
         "get_temperature\n```json\n{\"city\": "
         "\"Bern\"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin"
         "｜>function<｜tool▁sep｜>multiply\n```json\n{\"a\": 17, \"b\": "
         "23}\n```<｜tool▁call▁end｜>"
         "<｜tool▁calls▁end｜>",
         {"", "hm", two},
         true},
        {"DeepSeekR1WithoutSection",
         "deepseek_r1",
         "<｜tool▁call▁begin｜>function<｜tool▁sep｜>get_temperature\n```json\n{\"city\": "
         "\"Bern\"}\n```<｜tool▁call▁end｜>",
         {"", "", one}},
        {"DeepSeekV31",
         "deepseek_v31",
         "Let me look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_temperature<｜tool▁sep｜>"
         "{\"city\": "
         "\"Bern\"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>multiply<｜tool▁sep｜>{\"a\": "
         "17, \"b\": 23}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
         {"Let me look.", "", two}},
        {"DeepSeekDsml",
         "deepseek_dsml",
         "Let me look.\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"get_temperature\">\n"
         "<｜DSML｜parameter name=\"city\" string=\"true\">Bern</｜DSML｜parameter>\n"
         "</｜DSML｜invoke>\n<｜DSML｜invoke name=\"multiply\">\n<｜DSML｜parameter name=\"a\" "
         "string=\"false\">17</｜DSML｜parameter>\n<｜DSML｜parameter name=\"b\" "
         "string=\"false\">23</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>",
         {"Let me look.", "", two}},
        {"Kimi",
         "kimi",
         "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_temperature:0"
         "<|tool_call_argument_begin|>{\"city\": \"Bern\"}<|tool_call_end|><|tool_call_begin|>"
         "functions.multiply:1<|tool_call_argument_begin|>{\"a\": 17, \"b\": 23}<|tool_call_end|>"
         "<|tool_calls_section_end|>",
         {"", "", two}},
        {"Harmony",
         "harmony",
         "<|channel|>analysis<|message|>Bern, then.<|end|><|start|>assistant<|channel|>commentary "
         "to=functions.get_temperature <|constrain|>json<|message|>{\"city\": \"Bern\"}<|call|>",
         {"", "Bern, then.", one},
         true},
        {"HarmonyRecipientFirst",
         "harmony",
         "<|start|>assistant to=functions.get_temperature<|channel|>commentary "
         "json<|message|>{\"city\": \"Bern\"}<|call|>",
         {"", "", one},
         true},
        {"HarmonyWithoutStart",
         "harmony",
         " to=functions.get_temperature<|channel|>commentary "
         "<|constrain|>json<|message|>{\"city\": \"Bern\"}",
         {"", "", one},
         true},
        {"HarmonyFinal",
         "harmony",
         "<|channel|>analysis<|message|>Simple.<|end|><|start|>assistant<|channel|>final<|message|>"
         "It is 19 °C,\n\nor 292 K.<|return|>",
         {"It is 19 °C,\n\nor 292 K.", "Simple.", {}},
         true},
        {"HarmonyPreamble",
         "harmony",
         "<|channel|>analysis<|message|>One. <|end|><|start|>assistant<|channel|>commentary"
         "<|message|>Let me look.<|end|><|start|>assistant<|channel|>analysis<|message|>Two."
         "<|end|><|start|>assistant<|channel|>analysis to=functions.multiply json<|message|>"
         "{\"a\": 17, \"b\": 23}<|call|>",
         {"Let me look.", "One.Two.", {sum}},
         true},
        {"HarmonyUnknownToolIsContent",
         "harmony",
         "<|channel|>commentary to=functions.launch <|constrain|>json<|message|>{}<|call|>",
         {"<|channel|>commentary to=functions.launch <|constrain|>json<|message|>{}<|call|>",
          "",
          {}},
         true},
        {"Gemma4",
         "gemma4",
         "<|tool_call>call:get_temperature{city:<|\"|>Bern<|\"|>}<tool_call|><|tool_call>call:"
         "multiply{a:17,b:23}<tool_call|><|tool_response>",
         {"", "", two}},
        {"Gemma4AfterThinking",
         "gemma4",
         "<|channel>thought\nBern, then.\n<channel|>Let me look.<|tool_call>call:get_temperature"
         "{city:<|\"|>Bern<|\"|>}<tool_call|>",
         {"Let me look.", "Bern, then.", one},
         true},
        {"Gemma4Values",
         "gemma4",
         "<|tool_call>call:multiply{a:[1,-2.5e3,<|\"|>x,}\"y<|\"|>],b:{k:[true,null],<|\"|>o d"
         "<|\"|>:{}},c:<|\"|><|\"|>,d: warm }<tool_call|>",
         {"",
          "",
          {{"multiply",
            "{\"a\": [1, -2.5e3, \"x,}\\\"y\"], \"b\": {\"k\": [true, null], \"o d\": {}}, "
            "\"c\": \"\", \"d\": \"warm\"}"}}}},
        {"Gemma4UnknownToolIsContent",
         "gemma4",
         "<|tool_call>call:launch{}<tool_call|>",
         {"<|tool_call>call:launch{}<tool_call|>", "", {}}},
        {"Functionary",
         "functionary",
         "<function=get_temperature>{\"city\": \"Bern\"}</function><function=multiply>{\"a\": 17, "
         "\"b\": 23}</function>",
         {"", "", two}},
        {"Granite",
         "granite",
         "<|tool_call|>[{\"name\": \"get_temperature\", \"arguments\": {\"city\": \"Bern\"}}]",
         {"", "", one}},
        {"Nemotron",
         "nemotron",
         "<TOOLCALL>[{\"name\": \"get_temperature\", \"arguments\": {\"city\": \"Bern\"}}, "
         "{\"name\": \"multiply\", \"arguments\": {\"a\": 17, \"b\": 23}}]</TOOLCALL>",
         {"", "", two}},
        {"Jamba",
         "jamba",
         " <tool_calls>[\n    {\"name\": \"get_temperature\", \"arguments\": {\"city\": "
         "\"Bern\"}},\n    {\"name\": \"multiply\", \"arguments\": {\"a\": 17, \"b\": "
         "23}}\n]</tool_calls>",
         {"", "", two}},
        {"CommandR",
         "command_r",
         "<|START_ACTION|>[\n    {\"tool_call_id\": \"0\", \"tool_name\": \"get_temperature\", "
         "\"parameters\": {\"city\": \"Bern\"}},\n    {\"tool_call_id\": \"1\", \"tool_name\": "
         "\"multiply\", \"parameters\": {\"a\": 17, \"b\": 23}}\n]<|END_ACTION|>",
         {"", "", two}},
        {"QwenXml",
         "qwen_xml",
         "Let me look.\n\n<tool_call>\n<function=get_temperature>\n<parameter=city>\nBern\n"
         "</parameter>\n</function>\n</tool_call>\n<tool_call>\n<function=multiply>\n<parameter=a>"
         "\n17\n</parameter>\n<parameter=b>\n23\n</parameter>\n</function>\n</tool_call>",
         {"Let me look.", "", two}},
        {"QwenXmlKeepsLines",
         "qwen_xml",
         "<tool_call>\n<function=get_temperature>\n<parameter=city>\n  12\n\n</parameter>\n"
         "</function>\n</tool_call>",
         {"", "", {{"get_temperature", "{\"city\": \"  12\\n\"}"}}}},
        {"Glm",
         "glm",
         "\n<think>hm</think>\nLet me look.\n<tool_call>get_temperature\n<arg_key>city</arg_key>\n"
         "<arg_value>Bern</arg_value>\n</tool_call>\n<tool_call>multiply\n<arg_key>a</arg_key>\n"
         "<arg_value>17</arg_value>\n<arg_key>b</arg_key>\n<arg_value>23</arg_value>\n</tool_call>",
         {"Let me look.", "hm", two},
         true},
        {"GlmTight",
         "glm_tight",
         "<tool_call>get_temperature<arg_key>city</arg_key><arg_value>Bern</arg_value></tool_call>"
         "<tool_call>multiply<arg_key>a</arg_key><arg_value>17</arg_value><arg_key>b</arg_key>"
         "<arg_value>23</arg_value></tool_call>",
         {"", "", two}},
        {"MiniMax",
         "minimax",
         "Let me look.\n<minimax:tool_call>\n<invoke name=\"get_temperature\">\n<parameter "
         "name=\"city\">Bern</parameter>\n</invoke>\n<invoke name=\"multiply\">\n<parameter "
         "name=\"a\">17</parameter>\n<parameter name=\"b\">23</parameter>\n</invoke>\n"
         "</minimax:tool_call>",
         {"Let me look.", "", two}},
        {"Lfm2",
         "lfm2",
         "<|tool_call_start|>[get_temperature(city='Bern'), multiply(a=17, b=23)]"
         "<|tool_call_end|>Checking.",
         {"Checking.", "", two}},
        {"LlamaPythonic",
         "llama_pythonic",
         "[get_temperature(city=\"Bern\"), multiply(a=17, b=23)]",
         {"", "", two}},
        {"LlamaPythonicValues",
         "llama_pythonic",
         "[multiply(a=[1, -2.5e3, 'x\\'y'], b={'k': (True, None)}, c='')]",
         {"",
          "",
          {{"multiply",
            "{\"a\": [1, -2.5e3, \"x'y\"], \"b\": {\"k\": [true, null]}, \"c\": \"\"}"}}}},
        {"LlamaPythonicListIsContent",
         "llama_pythonic",
         "[1, 2, 3] are numbers",
         {"[1, 2, 3] are numbers", "", {}}},
        {"Generic",
         "generic",
         "<tool_call>\n{\"name\": \"get_temperature\", \"arguments\": {\"city\": \"Bern\"}}\n"
         "</tool_call>",
         {"", "", one}},
        {"PlainText",
         "hermes",
         "  It is 19 °C in Bern.\n\n",
         {"  It is 19 °C in Bern.\n\n", "", {}}},
    };
}

}  // namespace test
