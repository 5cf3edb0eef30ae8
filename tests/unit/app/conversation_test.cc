// What a person can do to a conversation, without a terminal or a model.
#include "app/chat/conversation.h"

#include <gtest/gtest.h>

#include "base/core/rng.h"

namespace app {
namespace {

using base::Code;

Conversation two_turns() {
    Conversation conversation;
    conversation.set_system("Be kind.");
    conversation.add_user("Hi");
    conversation.add_assistant("Hello!");
    conversation.add_user("Why?");
    conversation.add_assistant("Because.");
    return conversation;
}

TEST(Conversation, UndoTakesBackQuestionAndAnswer) {
    Conversation conversation = two_turns();
    EXPECT_TRUE(conversation.undo());
    EXPECT_EQ(conversation.turns(), 2u);
    EXPECT_TRUE(conversation.undo());
    EXPECT_FALSE(conversation.undo());
    EXPECT_EQ(conversation.messages().size(), 1u) << "the system message stays";
}

TEST(Conversation, DropAnswerLeavesTheQuestion) {
    Conversation conversation = two_turns();
    EXPECT_TRUE(conversation.drop_answer());
    EXPECT_EQ(conversation.turns(), 3u);
    EXPECT_FALSE(conversation.drop_answer());
}

TEST(Conversation, SavedAndLoadedIsTheSame) {
    const Conversation conversation = two_turns();
    const auto loaded = Conversation::from_json(conversation.to_json());
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->to_json(), conversation.to_json());
    EXPECT_EQ(loaded->system(), "Be kind.");
}

TEST(Conversation, DamagedFilesAreRefusedAndNeverCrash) {
    for (const char* text :
         {"", "[]", "{}", R"({"messages":1})", R"({"messages":[1]})",
          R"({"messages":[{"role":"king","content":"x"}]})", R"({"messages":[{"role":"user"}]})",
          R"({"messages":[{"role":"user","content":[]}]})"}) {
        const auto loaded = Conversation::from_json(text);
        ASSERT_FALSE(loaded) << text;
        EXPECT_EQ(loaded.error().code, Code::invalid_argument);
    }
    const std::string good = two_turns().to_json();
    base::Rng rng(11);
    for (int round = 0; round < 500; ++round) {
        std::string text = good;
        text[rng.below(text.size())] = static_cast<char>(rng.below(256));
        text.resize(text.size() - rng.below(3));
        const auto loaded = Conversation::from_json(text);
        EXPECT_TRUE(loaded || loaded.error().code == Code::invalid_argument);
    }
}

TEST(Slash, CommandsAndTextAreToldApart) {
    EXPECT_EQ(parse_slash("/set  top_p 0.5 ")->argument, "top_p 0.5");
    EXPECT_EQ(parse_slash("/quit")->name, "quit");
    EXPECT_FALSE(parse_slash("hello /quit"));
    EXPECT_FALSE(parse_slash("//etc/passwd"));
    EXPECT_EQ(plain_text("//etc/passwd"), "/etc/passwd");
}

TEST(Settings, AreCheckedAndShown) {
    Question question;
    EXPECT_TRUE(apply_setting(question, "temperature 0.25"));
    EXPECT_FLOAT_EQ(question.sampling.temperature, 0.25f);
    EXPECT_TRUE(apply_setting(question, "seed 7"));
    EXPECT_EQ(question.sampling.seed, 7u);
    EXPECT_TRUE(apply_setting(question, "max_tokens 5"));
    EXPECT_NE(settings_text(question).find("temperature 0.25"), std::string::npos);
    for (const char* wrong : {"warmth 1", "top_p 2", "top_k 1.5", "top_p", "top_p x", ""}) {
        EXPECT_FALSE(apply_setting(question, wrong)) << wrong;
    }
}

TEST(InputJoiner, BackslashAndBlocksJoinLines) {
    InputJoiner joiner;
    EXPECT_EQ(joiner.feed("one"), "one");
    EXPECT_FALSE(joiner.feed("one\\"));
    EXPECT_TRUE(joiner.open());
    EXPECT_EQ(joiner.feed("two"), "one\ntwo");
    EXPECT_FALSE(joiner.feed("\"\"\"first"));
    EXPECT_FALSE(joiner.feed("second\\"));
    EXPECT_EQ(joiner.feed("third\"\"\""), "first\nsecond\\\nthird");
    EXPECT_FALSE(joiner.open());
    EXPECT_FALSE(joiner.feed("\"\"\""));
    joiner.clear();
    EXPECT_EQ(joiner.feed("fresh"), "fresh");
}

TEST(InputJoiner, TheEndOfInputGivesWhatIsPending) {
    InputJoiner joiner;
    EXPECT_FALSE(joiner.feed("half\\"));
    EXPECT_EQ(joiner.take_rest(), "half\n");
    EXPECT_EQ(joiner.take_rest(), "");
}

}  // namespace
}  // namespace app
