#include "base/json/object_reader.h"

#include <gtest/gtest.h>

#include "support/seeds.h"

namespace {

using base::Code;
using base::ObjectReader;
namespace json = base::json;

enum class Mode { off, on };

struct Target {
    std::string name = "before";
    double ratio = 0.5;
    std::uint32_t count = 7;
    bool flag = false;
    std::chrono::milliseconds wait{5};
    std::vector<std::string> items;
    std::map<std::string, std::string> labels;
    Mode mode = Mode::off;
    std::uint64_t inner = 1;
};

base::Result<void> read(const json::object& object, Target& out) {
    ObjectReader in(object);
    in.text("name", out.name, 8);
    in.number("ratio", out.ratio, 0, 1);
    in.integer<std::uint32_t>("count", out.count, 1, 100);
    in.flag("flag", out.flag);
    in.milliseconds("wait_ms", out.wait, std::chrono::milliseconds(1000));
    in.texts("items", out.items, 2, 4);
    in.text_map("labels", out.labels, 2, 4);
    in.choice<Mode>("mode", out.mode, {{"off", Mode::off}, {"on", Mode::on}});
    in.object("limits", [&](ObjectReader& limits) {
        limits.integer<std::uint64_t>("inner", out.inner, 0, UINT64_MAX);
    });
    return in.done();
}

TEST(ObjectReader, ReadsEveryKindAndLeavesAbsentFieldsAlone) {
    Target target;
    const auto object = json::parse(R"({"name": "box", "ratio": 1, "count": 3.0, "flag": true,
        "wait_ms": 20, "items": ["a", "b"], "labels": {"k": "v"}, "mode": "on",
        "limits": {"inner": 12}})");
    ASSERT_TRUE(read(object.get_object(), target));
    EXPECT_EQ(target.name, "box");
    EXPECT_EQ(target.ratio, 1.);
    EXPECT_EQ(target.count, 3u);
    EXPECT_TRUE(target.flag);
    EXPECT_EQ(target.wait.count(), 20);
    EXPECT_EQ(target.items, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(target.labels.at("k"), "v");
    EXPECT_EQ(target.mode, Mode::on);
    EXPECT_EQ(target.inner, 12u);

    Target untouched;
    ASSERT_TRUE(read(json::parse(R"({"name": null})").get_object(), untouched));
    EXPECT_EQ(untouched.name, "before");
    EXPECT_EQ(untouched.count, 7u);
}

TEST(ObjectReader, NamesTheFieldThatIsWrong) {
    const struct {
        const char* text;
        const char* subject;
    } cases[] = {
        {R"({"name": 1})", "name"},
        {R"({"name": "123456789"})", "name"},
        {R"({"ratio": 1.01})", "ratio"},
        {R"({"ratio": "1"})", "ratio"},
        {R"({"count": 0})", "count"},
        {R"({"count": 1.5})", "count"},
        {R"({"flag": 1})", "flag"},
        {R"({"wait_ms": -1})", "wait_ms"},
        {R"({"items": "a"})", "items"},
        {R"({"items": ["a", 2]})", "items[1]"},
        {R"({"items": ["a", "b", "c"]})", "items"},
        {R"({"labels": {"k": 1}})", "labels.k"},
        {R"({"labels": {"a": "", "b": "", "c": ""}})", "labels"},
        {R"({"mode": "maybe"})", "mode"},
        {R"({"mode": 4})", "mode"},
        {R"({"limits": {"inner": -1}})", "limits.inner"},
        {R"({"limits": {"other": 1}})", "limits.other"},
        {R"({"limits": []})", "limits"},
        {R"({"nmae": "x"})", "nmae"},
    };
    for (const auto& each : cases) {
        Target target;
        const auto done = read(json::parse(each.text).get_object(), target);
        ASSERT_FALSE(done) << each.text;
        EXPECT_EQ(done.error().subject, each.subject) << each.text;
        EXPECT_EQ(done.error().code, Code::invalid_argument) << each.text;
    }
}

TEST(ObjectReader, TheFirstFaultIsTold) {
    Target target;
    const auto done =
        read(json::parse(R"({"mode": "x", "name": 1, "zzz": 0})").get_object(), target);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().subject, "name");
}

}  // namespace
