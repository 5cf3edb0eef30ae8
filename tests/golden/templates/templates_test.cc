// Published chat templates rendered over conversations, compared byte for byte with the reference
// renderings in goldens/. make_goldens.mjs refreshes those.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/json/json.h"
#include "base/template/template.h"

namespace {

namespace fs = std::filesystem;
namespace json = base::json;

const fs::path kFolder = fs::path(DG_SOURCE_DIR) / "tests/golden/templates";
constexpr std::int64_t kNowUnixSeconds = 1'783'141'567;  // as in make_goldens.mjs

std::string read_text(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

json::value read_json(const fs::path& path) {
    return base::parse_json(read_text(path)).value();
}

const json::object& conversation_named(const json::value& all, const json::value& name) {
    const auto& list = all.as_array();
    const auto found = std::find_if(list.begin(), list.end(),
                                    [&](const json::value& one) { return one.at("name") == name; });
    return found->as_object();
}

json::object variables(const json::object& conversation, const json::value& tools, bool generate) {
    json::object all{{"bos_token", "<s>"},
                     {"eos_token", "</s>"},
                     {"add_generation_prompt", generate},
                     {"messages", conversation.at("messages")}};
    if (const json::value* more = conversation.if_contains("variables")) {
        for (const auto& [name, value] : more->as_object()) all.insert_or_assign(name, value);
    }
    if (conversation.contains("tools")) all.emplace("tools", tools);
    return all;
}

TEST(ChatTemplates, RenderAsTheReferenceByteForByte) {
    const json::value conversations = read_json(kFolder / "conversations.json");
    const json::value tools = read_json(kFolder / "tools.json");
    base::RenderOptions options;
    options.now_unix_s = kNowUnixSeconds;
    int templates = 0;
    int cases = 0;
    for (const auto& entry : fs::directory_iterator(kFolder / "goldens")) {
        const std::string name = entry.path().stem().string();
        SCOPED_TRACE(name);
        ++templates;
        const auto parsed =
            base::Template::parse(read_text(kFolder / "templates" / (name + ".jinja")));
        ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
        const json::value goldens = read_json(entry.path());
        for (const json::value& one : goldens.as_array()) {
            const json::value* expected = one.as_object().if_contains("output");
            if (expected == nullptr) continue;
            ++cases;
            const auto& conversation = conversation_named(conversations, one.at("conversation"));
            const auto rendered = parsed->render(
                variables(conversation, tools, one.at("add_generation_prompt").as_bool()), options);
            ASSERT_TRUE(rendered.has_value())
                << one.at("conversation") << ": " << rendered.error().message;
            EXPECT_EQ(*rendered, std::string_view(expected->as_string())) << one.at("conversation");
        }
    }
    EXPECT_GE(templates, 60);
    EXPECT_GE(cases, 1300);
}

TEST(ChatTemplates, RefuseWhatTheTemplateRefuses) {
    const auto parsed = base::Template::parse(
        read_text(kFolder / "templates/mistralai-Mixtral-8x7B-Instruct-v0.1.jinja"));
    ASSERT_TRUE(parsed.has_value());
    const auto rendered = parsed->render(
        {{"bos_token", "<s>"}, {"messages", {{{"role", "narrator"}, {"content", "Meanwhile"}}}}});
    ASSERT_FALSE(rendered.has_value());
    EXPECT_EQ(rendered.error().code, base::Code::invalid_argument);
}

}  // namespace
