#include "base/document/document.h"

#include <gtest/gtest.h>

namespace base {
namespace {

std::string fault_at(std::string_view text, const std::string& file = "d.yaml") {
    const auto read = parse_document(text, file);
    if (read) return "none";
    EXPECT_EQ(read.error().code, Code::invalid_argument);
    return read.error().subject;
}

TEST(Document, RemembersWhereValuesStand) {
    const auto root = parse_document("a: 1\nb:\n  - 'x'\n  - {c: null}\n", "d.yaml");
    ASSERT_TRUE(root);
    const Node* list = root->find("b");
    ASSERT_NE(list, nullptr);
    EXPECT_EQ(root->find("z"), nullptr);
    EXPECT_TRUE(list->items[0].quoted);
    EXPECT_FALSE(root->find("a")->quoted);
    EXPECT_EQ(place("d.yaml", list->items[0]), "d.yaml:3:5");
    EXPECT_EQ(list->items[1].find("c")->kind, Node::Kind::null);
}

TEST(Document, PointsAtWhatItCannotRead) {
    EXPECT_EQ(fault_at("a: 1\na: 2\n"), "d.yaml:2:1");
    EXPECT_EQ(fault_at("a: 1\n---\nb: 2\n"), "d.yaml");
    EXPECT_EQ(fault_at("[a]: 1\n"), "d.yaml:1:1");
    EXPECT_EQ(fault_at("\xFF"), "d.yaml");
    EXPECT_NE(fault_at("a: 1", "d.json"), "none");
    EXPECT_NE(fault_at(std::string((1u << 20) + 1, ' ')), "none");
    EXPECT_NE(fault_at(std::string(70, '[') + std::string(70, ']')), "none");
}

TEST(Document, EndsWhereTheParserFindsDocumentsWithoutEnd) {
    EXPECT_NE(fault_at(",\n---1\n"), "none");
    EXPECT_NE(fault_at(","), "none");
    EXPECT_EQ(fault_at(""), "none");
    EXPECT_EQ(fault_at("# nothing\n"), "none");
}

}  // namespace
}  // namespace base
