// Blocks that are always in context: limits, versions, and one text of them.
#include "memory/profile/profile.h"

#include "../store/store_fixture.h"
#include "memory/forget/forget.h"

namespace test {
namespace {

using base::Code;
using memory::profile::Block;
using memory::profile::Owner;

class Profile : public MemoryTest {
protected:
    memory::profile::Profiles& profiles() { return store->profiles(); }
    Block set(std::string name, std::string text, std::uint32_t limit = 2'000) {
        auto block = profiles().put(
            ann, {.name = std::move(name), .text = std::move(text), .limit_chars = limit},
            "tester");
        EXPECT_TRUE(block) << block.error().message;
        return block.value_or(Block{});
    }
    const Owner ann{"t", "ann", "helper"};
};

TEST_F(Profile, ABlockIsMadeChangedAndKeptInEveryState) {
    EXPECT_EQ(set("human", "Likes tea").version, 1u);
    EXPECT_EQ(profiles().append(ann, "human", "Has a dog", "a")->text, "Likes tea\nHas a dog");
    EXPECT_EQ(profiles().replace(ann, "human", "tea", "coffee", "b")->text,
              "Likes coffee\nHas a dog");
    const auto history = profiles().history(ann, "human");
    ASSERT_TRUE(history);
    ASSERT_EQ(history->size(), 3u);
    EXPECT_EQ(history->at(0).by, "b");
    EXPECT_EQ(history->at(2).text, "Likes tea");
    const auto back = profiles().restore(ann, "human", 1, "c");
    ASSERT_TRUE(back);
    EXPECT_EQ(back->text, "Likes tea");
    EXPECT_EQ(back->version, 4u);
    open(std::make_shared<LetterEmbedder>());
    EXPECT_EQ(profiles().get(ann, "human")->text, "Likes tea") << "it is on the disk";
}

TEST_F(Profile, ItsLimitIsInCharacters) {
    set("human", "\xE4\xBD\xA0\xE5\xA5\xBD", 2);
    const auto over = profiles().append(ann, "human", "x", "");
    ASSERT_FALSE(over);
    EXPECT_EQ(over.error().code, Code::payload_too_large);
    EXPECT_EQ(profiles().get(ann, "human")->version, 1u);
    EXPECT_EQ(profiles().put(ann, {.name = "human", .limit_chars = 1}, "").error().code,
              Code::payload_too_large);
    EXPECT_EQ(profiles().put(ann, {.name = "human", .limit_chars = 0}, "").error().code,
              Code::invalid_argument);
    EXPECT_EQ(profiles().put(ann, {.name = "human", .text = "\xFF"}, "").error().code,
              Code::invalid_argument);
    for (const char* name : {"", "Human", "a b", "../x"}) {
        EXPECT_EQ(profiles().put(ann, {.name = name, .text = "x"}, "").error().code,
                  Code::invalid_argument)
            << name;
    }
}

TEST_F(Profile, TwoWritersDoNotOverwriteEachOther) {
    set("human", "one");
    EXPECT_EQ(
        profiles().put(ann, {.name = "human", .text = "x", .expected_version = 0}, "").error().code,
        Code::failed_precondition);
    EXPECT_TRUE(profiles().put(ann, {.name = "human", .text = "two", .expected_version = 1}, ""));
    EXPECT_EQ(
        profiles().put(ann, {.name = "human", .text = "x", .expected_version = 1}, "").error().code,
        Code::failed_precondition);
    for (const char* piece : {"absent", "", "o"}) {
        set("human", "to do");
        EXPECT_EQ(profiles().replace(ann, "human", piece, "", "").error().code,
                  Code::failed_precondition)
            << piece;
    }
}

TEST_F(Profile, WhatIsReadOnlyIsChangedOnPurposeAlone) {
    ASSERT_TRUE(profiles().put(ann, {.name = "rules", .text = "be kind", .read_only = true}, ""));
    EXPECT_EQ(profiles().append(ann, "rules", "x", "").error().code, Code::failed_precondition);
    EXPECT_EQ(profiles().put(ann, {.name = "rules", .text = "x"}, "").error().code,
              Code::failed_precondition);
    EXPECT_EQ(profiles().put(ann, {.name = "rules", .text = "be brief", .unlock = true}, "")->text,
              "be brief");
}

TEST_F(Profile, TheSameBlocksGiveTheSameText) {
    EXPECT_EQ(*profiles().render(ann), "");
    set("persona", "I am brief.");
    set("human", "Ann.\nLikes tea.", 100);
    ASSERT_TRUE(profiles().put(ann, {.name = "human", .description = "Who I talk to."}, ""));
    EXPECT_EQ(*profiles().render(ann),
              "<human chars=\"15/100\">\n(Who I talk to.)\nAnn.\nLikes tea.\n</human>\n"
              "<persona chars=\"11/2000\">\nI am brief.\n</persona>\n");
    EXPECT_EQ(*profiles().render({"t", "bob", "helper"}), "");
    EXPECT_EQ(*profiles().render({"u", "ann", "helper"}), "");
}

TEST_F(Profile, ARemovedBlockIsGone) {
    set("human", "x");
    EXPECT_TRUE(profiles().remove(ann, "human"));
    EXPECT_EQ(profiles().get(ann, "human").error().code, Code::not_found);
    EXPECT_EQ(profiles().remove(ann, "human").error().code, Code::not_found);
    EXPECT_EQ(set("human", "y").version, 1u);
}

TEST_F(Profile, ForgettingAUserTakesItsBlocks) {
    set("human", "Ann likes tea");
    ASSERT_TRUE(profiles().put({"t", "bob", ""}, {.name = "notes", .text = "met Ann once"}, ""));
    ASSERT_TRUE(profiles().put({"t", "bob", ""}, {.name = "human", .text = "Bob sails"}, ""));
    const auto gone = store->forgetting().forget({.tenant = "t", .target = {.subject = "Ann"}});
    ASSERT_TRUE(gone) << gone.error().message;
    EXPECT_EQ(gone->counts.at("profile_blocks"), 2u);
    EXPECT_FALSE(profiles().get(ann, "human"));
    EXPECT_FALSE(profiles().get({"t", "bob", ""}, "notes"));
    EXPECT_TRUE(profiles().get({"t", "bob", ""}, "human"));
}

}  // namespace
}  // namespace test
