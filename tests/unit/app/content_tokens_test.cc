// Log probabilities stand beside the tokens that a client sees as content, however reasoning, calls
// and stop strings were cut into tokens.
#include "app/content_tokens.h"

#include <gtest/gtest.h>

#include "app/chat_sink.h"
#include "support/seeds.h"

namespace app {
namespace {

gate::TokenLogprobs token(std::string bytes) {
    return {{0, std::move(bytes), -1.f}, {}};
}

std::string joined(const std::vector<gate::TokenLogprobs>& tokens) {
    std::string text;
    for (const auto& one : tokens) text += "[" + one.chosen.bytes + "]";
    return text;
}

TEST(ContentTokens, AreThoseWithAPartInWhatIsShown) {
    ContentTokens tokens;
    for (const char* bytes : {"<think>", "a", "</think>B", "c", "d<", "x>"}) {
        tokens.add(token(bytes), std::string_view(bytes).size());
    }
    std::vector<gate::TokenLogprobs> out;
    tokens.content(16, 3);  // B, c, d
    tokens.shown(2, out);
    EXPECT_EQ(joined(out), "[</think>B][c]");
    tokens.shown(1, out);
    EXPECT_EQ(joined(out), "[</think>B][c][d<]");
    tokens.decided(22);
    tokens.shown(100, out);
    EXPECT_EQ(out.size(), 3u);
}

TEST(ContentTokens, PartsOfACharacterComeWithTheLastOne) {
    ContentTokens tokens;
    std::vector<gate::TokenLogprobs> out;
    tokens.add(token("\xc3"), 0);
    tokens.decided(0);
    tokens.shown(0, out);
    EXPECT_TRUE(out.empty());
    tokens.add(token("\xa9"), 2);
    tokens.content(0, 2);
    tokens.shown(2, out);
    ASSERT_EQ(out.size(), 2u);
    // Or with what the end of the text frees.
    tokens.add(token("\xc3"), 0);
    tokens.extend(3);
    tokens.content(2, 3);
    tokens.shown(3, out);
    EXPECT_EQ(out.size(), 3u);
}

struct Seen {
    std::string content;
    std::vector<gate::TokenLogprobs> tokens;
};

Seen seen(const std::vector<std::string>& pieces, std::vector<std::string> stop) {
    auto format = std::make_shared<engine::chat::ChatFormat>();
    format->calls = engine::chat::call_syntax("hermes");
    format->reasoning.open = "<think>";
    format->reasoning.close = "</think>";
    ChatSinkOptions options;
    options.format = format;
    options.tools = *engine::chat::ToolSet::parse(
        *base::parse_json(R"([{"type": "function", "function": {"name": "now"}}])"));
    options.parser.new_id = [](auto&&...) { return "x"; };
    options.stop = std::move(stop);
    ChatSink sink(std::move(options));
    Seen out;
    for (const std::string& piece : pieces) {
        gate::TokenDelta delta;
        sink.push(piece, token(piece), delta);
        out.content += delta.text;
        for (auto& one : delta.logprobs) out.tokens.push_back(std::move(one));
        if (sink.has_enough()) break;
    }
    gate::GenerationEnd end;
    sink.finish("", end);
    out.content += end.text;
    for (auto& one : end.logprobs) out.tokens.push_back(std::move(one));
    return out;
}

TEST(ContentTokens, OfAChatHaveNeitherThoughtsNorCallsNorStops) {
    const std::string call = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
    const std::string text = "<think>\nHm, hm.\n</think>\n\nOne <b> moment. " + call + "\n" + call +
                             "\nDone, I think. STOP And more.";
    const std::string content = "One <b> moment.Done, I think. ";
    EXPECT_EQ(seen({text}, {"STOP"}).content, content);
    test::for_each_seed(300, [&](base::Rng& rng) {
        std::vector<std::string> pieces;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t bytes = 1 + rng.below(7);
            pieces.push_back(text.substr(at, bytes));
            at += bytes;
        }
        const Seen got = seen(pieces, {"STOP"});
        ASSERT_EQ(got.content, content);
        // In order, each with bytes of the content, which they cover.
        std::string all;
        for (const auto& one : got.tokens) {
            EXPECT_LE(one.chosen.bytes.size(), 7u);
            all += one.chosen.bytes;
        }
        std::size_t covered = 0;
        for (const char c : all) covered += covered < content.size() && c == content[covered];
        EXPECT_EQ(covered, content.size()) << all;
        EXPECT_EQ(all.find("Hm, hm."), std::string::npos);
        EXPECT_EQ(all.find("arguments"), std::string::npos);
        EXPECT_EQ(all.find("And more"), std::string::npos);
        // A token at each border may hold bytes of what is beside it, 6 at most.
        EXPECT_LE(all.size(), content.size() + 4 * 6);
    });
}

}  // namespace
}  // namespace app
