// Which messages of a long conversation are left out: whole ones, from the old end, the same ones
// while it grows a little.
#include "app/context_fit.h"

#include <gtest/gtest.h>

#include <set>

#include "support/seeds.h"

namespace app {
namespace {

namespace json = base::json;
using base::Code;
using engine::TokenId;

json::object message(std::string_view role, std::string_view content) {
    return {{"role", role}, {"content", content}};
}

/// A conversation of turns with calls in them, as clients send it.
json::array conversation(base::Rng& rng, std::size_t turns) {
    json::array messages;
    for (std::uint64_t i = rng.below(3); i > 0; --i) messages.push_back(message("system", "s"));
    int calls = 0;
    for (std::size_t turn = 0; turn < turns; ++turn) {
        messages.push_back(message("user", "question " + std::to_string(turn)));
        if (rng.below(5) == 0) messages.push_back(message("user", "and"));
        for (std::uint64_t round = rng.below(4); round > 0; --round) {
            json::array made;
            for (std::uint64_t i = 1 + rng.below(3); i > 0; --i) {
                made.push_back(json::object{{"id", std::to_string(++calls)}});
            }
            json::object said = message("assistant", "calls");
            said["tool_calls"] = made;
            messages.push_back(said);
            for (const json::value& call : made) {
                json::object result = message("tool", "result");
                result["tool_call_id"] = call.at("id");
                messages.push_back(result);
            }
        }
        if (turn + 1 < turns) messages.push_back(message("assistant", "answer"));
    }
    return messages;
}

/// As many tokens as the messages have characters, each naming its message.
RenderPrompt counting(int* renders = nullptr) {
    return [renders](const json::array& messages) -> base::Result<std::vector<TokenId>> {
        if (renders != nullptr) ++*renders;
        std::vector<TokenId> tokens;
        for (const json::value& one : messages) {
            const auto& text = one.at("content").as_string();
            tokens.insert(tokens.end(), text.size() + 1, static_cast<TokenId>(text.size()));
        }
        return tokens;
    };
}

TEST(CutsOf, TakeTurnsThenExchangesOfTheLastOne) {
    const json::array messages{
        message("system", "s"),   message("user", "a"),     message("assistant", ""),
        message("tool", ""),      message("assistant", ""), message("user", "b"),
        message("assistant", ""), message("tool", ""),      message("tool", ""),
        message("assistant", ""), message("tool", "")};
    const std::vector<MessageCut> expected = {{1, 5, 5, 5}, {1, 5, 6, 9}};
    EXPECT_EQ(cuts_of(messages), expected);
    const json::array left = without(messages, expected[1]);
    ASSERT_EQ(left.size(), 4u);
    EXPECT_EQ(left[1].at("content"), "b");
    EXPECT_TRUE(cuts_of({}).empty());
    EXPECT_TRUE(cuts_of({message("system", "s"), message("user", "a")}).empty());
}

TEST(CutsOf, NeverLeaveAResultWithoutItsCallNorAnAnswerWithoutItsQuestion) {
    test::for_each_seed(300, [](base::Rng& rng) {
        const json::array messages = conversation(rng, 1 + rng.below(6));
        std::size_t size = messages.size();
        for (const MessageCut& cut : cuts_of(messages)) {
            const json::array left = without(messages, cut);
            EXPECT_LT(left.size(), size) << "each cut takes more than the one before";
            size = left.size();
            ASSERT_FALSE(left.empty());
            EXPECT_EQ(left.back(), messages.back());
            std::set<std::string> called;
            bool asked = false;
            for (const json::value& one : left) {
                const std::string role(one.at("role").as_string());
                asked = asked || role == "user";
                EXPECT_TRUE(asked || role == "system") << json::serialize(left);
                if (const auto* made = one.as_object().if_contains("tool_calls")) {
                    for (const json::value& call : made->as_array()) {
                        called.insert(std::string(call.at("id").as_string()));
                    }
                }
                if (role == "tool") {
                    EXPECT_TRUE(called.contains(std::string(one.at("tool_call_id").as_string())));
                }
            }
            for (std::size_t i = 0; i < messages.size() && messages[i].at("role") == "system";
                 ++i) {
                EXPECT_EQ(left[i], messages[i]);
            }
        }
    });
}

TEST(FitPrompt, LeavesWhatFitsAlone) {
    int renders = 0;
    const json::array messages{message("user", "aaa")};
    const auto fitted = fit_prompt({1, 2, 3}, messages, 4, counting(&renders));
    ASSERT_TRUE(fitted);
    EXPECT_EQ(fitted->tokens, (std::vector<TokenId>{1, 2, 3}));
    EXPECT_EQ(fitted->dropped_tokens, 0u);
    EXPECT_EQ(renders, 0);
}

TEST(FitPrompt, FitsOrSaysWhy) {
    test::for_each_seed(300, [](base::Rng& rng) {
        const json::array messages = conversation(rng, 1 + rng.below(30));
        const std::vector<TokenId> whole = *counting()(messages);
        const auto context = static_cast<std::uint32_t>(8 + rng.below(200));
        int renders = 0;
        const auto fitted = fit_prompt(whole, messages, context, counting(&renders));
        EXPECT_LE(renders, 20);
        const std::vector<MessageCut> cuts = cuts_of(messages);
        const std::size_t least =
            cuts.empty() ? whole.size() : counting()(without(messages, cuts.back()))->size();
        ASSERT_EQ(fitted.has_value(), std::min(whole.size(), least) < context);
        if (!fitted) {
            EXPECT_EQ(fitted.error().code, Code::invalid_argument);
            EXPECT_EQ(fitted.error().subject, "context_tokens");
            return;
        }
        EXPECT_LT(fitted->tokens.size(), context);
        EXPECT_EQ(fitted->dropped_tokens, whole.size() - fitted->tokens.size());
    });
}

/// What is computed of the turns that stay is found again by the next requests.
TEST(FitPrompt, LeavesOutTheSameWhileTheConversationGrows) {
    constexpr std::uint32_t kContext = 400;
    json::array messages{message("system", "be brief")};
    std::set<std::size_t> firsts;
    std::size_t requests = 0;
    for (int turn = 0; turn < 200; ++turn) {
        messages.push_back(message("user", "q" + std::to_string(1000 + turn)));
        const RenderPrompt render = [](const json::array& left) {
            std::vector<TokenId> tokens;
            for (const json::value& one : left) {
                const std::string text(one.at("content").as_string());
                const TokenId id = text.front() == 'q' ? std::stoi(text.substr(1)) : 1;
                tokens.insert(tokens.end(), 5, id);
            }
            return base::Result<std::vector<TokenId>>(tokens);
        };
        const auto fitted = fit_prompt(*render(messages), messages, kContext, render);
        ASSERT_TRUE(fitted) << fitted.error().message;
        if (fitted->dropped_tokens > 0) {
            ++requests;
            firsts.insert(static_cast<std::size_t>(fitted->tokens[5]));
        }
        messages.push_back(message("assistant", "answer"));
    }
    ASSERT_GT(requests, 100u);
    // A turn takes 10 tokens and a step drops 100: one of ten requests moves on.
    EXPECT_LE(firsts.size(), requests / 10 + 1);
}

}  // namespace
}  // namespace app
