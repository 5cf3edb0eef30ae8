// The calls as published templates render them for past messages are what their models were trained
// to write: they must read back, and our own rendering of them must be the same text.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "engine/chat/output_parser.h"
#include "engine/chat/render_calls.h"

namespace engine::chat {
namespace {

namespace fs = std::filesystem;
namespace json = base::json;

const fs::path kFolder = fs::path(DG_SOURCE_DIR) / "tests/golden/templates";

std::string read_text(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<PastCall> two_calls() {
    return {{"call00002", "get_temperature", {{"city", "Bern"}}},
            {"call00003", "multiply", {{"a", 17}, {"b", 23}}}};
}

/// The conversation of two calls as the template renders it, from the question's end on; "" when
/// the template has none.
std::string rendered_calls(const std::string& name) {
    const auto goldens = base::parse_json(read_text(kFolder / "goldens" / (name + ".json")));
    for (const json::value& one : goldens->as_array()) {
        const json::value* output = one.as_object().if_contains("output");
        if (output == nullptr || one.at("conversation") != "tool_result_last") continue;
        constexpr std::string_view kQuestion = "what is 17 * 23?";
        const std::string text(output->as_string());
        return text.substr(text.rfind(kQuestion) + kQuestion.size());
    }
    return {};
}

TEST(PublishedTemplates, RenderCallsThatReadBack) {
    const auto tools = ToolSet::parse(*base::parse_json(read_text(kFolder / "tools.json")));
    ASSERT_TRUE(tools);
    int read_back = 0, same_text = 0;
    for (const auto& entry : fs::directory_iterator(kFolder / "goldens")) {
        const std::string name = entry.path().stem().string();
        SCOPED_TRACE(name);
        const ChatFormat format =
            detect_format(read_text(kFolder / "templates" / (name + ".jinja")));
        const std::string text = rendered_calls(name);
        // Its ids are the calls' heads, and those of the conversation are not of its form.
        if (name == "moonshotai-Kimi-K2-Thinking") continue;
        // Some templates leave the calls of clients out, or allow one call only.
        if (!format.template_has_calls || text.find("multiply") == std::string::npos) continue;
        ParserOptions options;
        options.new_id = [](auto&&...) { return "x"; };
        OutputParser parser(std::make_shared<ChatFormat>(format), *tools, options);
        std::vector<Event> events;
        parser.push(text, events);
        parser.finish(events);
        std::vector<PastCall> calls;
        for (const Event& event : joined(events)) {
            if (event.kind == Event::Kind::call) calls.push_back({"", event.name, {}});
            if (event.kind == Event::Kind::arguments) {
                calls.back().arguments = base::parse_json(event.text)->as_object();
            }
        }
        ASSERT_EQ(calls.size(), 2u) << text;
        for (std::size_t i = 0; i < 2; ++i) {
            EXPECT_EQ(calls[i].name, two_calls()[i].name);
            EXPECT_EQ(calls[i].arguments, two_calls()[i].arguments);
        }
        ++read_back;
        const std::string own = render_calls(format.calls, two_calls(), tools->get());
        same_text += text.find(own) != std::string::npos ? 1 : 0;
    }
    EXPECT_GE(read_back, 17);
    EXPECT_GE(same_text, 12);
    RecordProperty("read_back", read_back);
    RecordProperty("same_text", same_text);
}

}  // namespace
}  // namespace engine::chat
