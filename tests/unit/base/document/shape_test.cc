#include "base/document/shape.h"

#include <gtest/gtest.h>

namespace base {
namespace {

using Type = Shape::Type;

const Shape& box() {
    static const Shape count = {.type = Type::integer, .min = 1, .max = 9};
    static const Shape word = {.type = Type::text, .one_of = {"all", "any"}};
    static const Shape shape = [] {
        Shape out = {.type = Type::object,
                     .fields = {{"id", {.type = Type::text}},
                                {"need", {.type = Type::either, .options = {&count, &word}}},
                                {"what", {.type = Type::any}, false, {"thing"}},
                                {"even",
                                 {.type = Type::text,
                                  .words = "letters in pairs",
                                  .pattern = "^(..)*$",
                                  .fits = [](std::string_view t) { return t.size() % 2 == 0; }}}}};
        out.one_field = {"what", "even"};
        out.noun = "box";
        out.noun_field = "id";
        return out;
    }();
    return shape;
}

std::vector<std::string> faults(const std::string& text) {
    std::vector<std::string> out;
    const auto node = parse_document(text, "d.yaml");
    for (const Fault& fault : shape_faults(node.value(), box(), false)) {
        out.push_back(std::to_string(fault.line) + ":" + fault.path + ": " + fault.message);
    }
    return out;
}

using List = std::vector<std::string>;

TEST(Shape, TakesAlternatives) {
    EXPECT_EQ(faults("{what: [1], need: 3}"), List{});
    EXPECT_EQ(faults("{even: abcd, need: any}"), List{});
    EXPECT_EQ(faults("{id: a, what: x, need: [1]}"),
              List{"1:need: need of box 'a' is a list, expected a whole number or a text"});
    EXPECT_EQ(faults("{id: a, what: x, need: 12}"),
              List{"1:need: need of box 'a' is 12, expected 1 "
                   "to 9"});
}

TEST(Shape, GathersEveryFaultInOrder) {
    const auto found = faults("id: a\neven: abc\nwhat: 1\nthingy: 2\n");
    ASSERT_EQ(found.size(), 3u);
    EXPECT_EQ(found[0], "2:even: even of box 'a' is 'abc', expected letters in pairs");
    EXPECT_EQ(found[1], "4:thingy: unknown field 'thingy' in box 'a': did you mean 'what'?");
    EXPECT_EQ(found[2], "2:: box 'a' has what and even, expected one of them");
    EXPECT_EQ(faults("{}"), List{"1:: the box lacks what it does: one of what, even"});
}

TEST(Shape, PrintsASchemaThatSaysTheSame) {
    const json::object schema = json_schema(box(), "urn:x", "Box");
    EXPECT_EQ(schema.at("oneOf").as_array().size(), 2u);
    const json::object& fields = schema.at("properties").as_object();
    EXPECT_EQ(fields.at("need").at("anyOf").at(0).at("type"), "integer");
    EXPECT_EQ(fields.at("even").at("pattern"), "^(..)*$");
    EXPECT_TRUE(fields.at("what").as_object().empty());
}

TEST(Document, MeansWhatJsonMeans) {
    const auto node = parse_document("[1, -2.5, true, null, ~, '1', 007, yes, 1e3]", "d.yaml");
    EXPECT_EQ(to_json(node.value()),
              json::value({1, -2.5, true, nullptr, nullptr, "1", "007", "yes", 1000.0}));
}

}  // namespace
}  // namespace base
