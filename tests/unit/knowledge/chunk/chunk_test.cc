#include "memory/knowledge/chunk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/core/utf8.h"
#include "memory/knowledge/parse/text_builder.h"
#include "memory/knowledge/sentences.h"
#include "memory/text/analyzer.h"
#include "support/seeds.h"

namespace test {
namespace {

using memory::knowledge::BlockKind;
using memory::knowledge::Chunk;
using memory::knowledge::ChunkOptions;
using memory::knowledge::Parsed;
using memory::knowledge::parse::TextBuilder;
using testing::ElementsAre;

std::vector<std::string> sentences(std::string_view text) {
    std::vector<std::string> out;
    std::size_t begin = 0;
    for (const std::size_t end : memory::knowledge::sentence_ends(text)) {
        out.emplace_back(text.substr(begin, end - begin));
        begin = end;
    }
    return out;
}

std::string text_of(const Parsed& parsed, const Chunk& chunk) {
    return parsed.text.substr(chunk.begin, chunk.end - chunk.begin);
}

TEST(Sentences, EndWhereReadersEndThem) {
    EXPECT_THAT(sentences("Dr. A. Smith paid 3.5 kg, e.g. today. \"Why?\" he said! 他来了。走吧"),
                ElementsAre("Dr. A. Smith paid 3.5 kg, e.g. today.", " \"Why?\"", " he said!",
                            " 他来了。", "走吧"));
    EXPECT_THAT(sentences(""), ElementsAre());
}

TEST(Chunk, FollowsHeadingsAndKnowsWhatIsAbove) {
    TextBuilder out(1000);
    out.add(BlockKind::heading, "Guide", 1);
    out.add(BlockKind::heading, "Set up", 2);
    out.add(BlockKind::paragraph, "First do this.");
    out.add(BlockKind::heading, "Run", 2);
    out.add(BlockKind::paragraph, "Then that.");
    const Parsed parsed = *out.finish("text/markdown", "it");
    const auto chunks = memory::knowledge::chunk(parsed);
    ASSERT_EQ(chunks.size(), 2u);
    EXPECT_EQ(text_of(parsed, chunks[0]), "Guide\n\nSet up\n\nFirst do this.");
    EXPECT_THAT(chunks[0].section, ElementsAre("Guide", "Set up"));
    EXPECT_EQ(chunks[0].above, "");
    EXPECT_EQ(text_of(parsed, chunks[1]), "Run\n\nThen that.");
    EXPECT_THAT(chunks[1].section, ElementsAre("Guide", "Run"));
    EXPECT_EQ(chunks[1].above, "Guide");
    EXPECT_EQ(searched_text(chunks[1], "Guide", parsed.text), "Guide\nRun\n\nThen that.");
    EXPECT_EQ(searched_text(chunks[1], "Book", parsed.text), "Book › Guide\nRun\n\nThen that.");
}

TEST(Chunk, ALongTableRepeatsItsHeaderAndCitesItsRows) {
    TextBuilder out(100'000);
    out.begin_page("Prices");
    out.add_row(std::vector<std::string>{"Part", "Price"}, true, 1);
    for (std::uint32_t i = 2; i < 200; ++i) {
        out.add_row(std::vector<std::string>{"bolt number " + std::to_string(i), "3"}, false, i);
    }
    const Parsed parsed = *out.finish("x", "it");
    const auto chunks = memory::knowledge::chunk(parsed);
    ASSERT_GT(chunks.size(), 3u);
    EXPECT_EQ(chunks[0].header, "");
    EXPECT_TRUE(chunks[0].place.starts_with("Prices!1:")) << chunks[0].place;
    for (std::size_t i = 1; i < chunks.size(); ++i) EXPECT_EQ(chunks[i].header, "Part | Price");
    EXPECT_TRUE(chunks.back().place.ends_with(":199"));
}

TEST(Chunk, PassagesAreTheTextWithoutGapOverlapOrCutCharacter) {
    const std::string_view words[] = {
        "memory", "is",  "context.", "记忆是", "上下文。",
        "(3.5",   "kg)", "é",        "Dr.",    "a-very-long-identifier_name"};
    for_each_seed(300, [&](base::Rng& rng) {
        TextBuilder out(1u << 20);
        for (std::uint64_t block = 1 + rng.below(30); block != 0; --block) {
            std::string text;
            for (std::uint64_t word = rng.below(rng.below(10) == 0 ? 900 : 60); word != 0; --word) {
                text += words[rng.below(std::size(words))];
                if (rng.below(8) != 0) text += rng.below(9) == 0 ? "\n" : " ";
            }
            switch (rng.below(8)) {
                case 0:
                    out.add(BlockKind::heading, text.substr(0, 40),
                            1 + static_cast<std::uint32_t>(rng.below(4)));
                    break;
                case 1:
                    out.add_code(text);
                    break;
                case 2:
                    out.add_row(std::vector<std::string>{text, "b"}, rng.below(3) == 0);
                    break;
                case 3:
                    out.begin_page();
                    break;
                default:
                    out.add(BlockKind::paragraph, text);
                    break;
            }
        }
        const auto parsed = out.finish("x", "it");
        if (!parsed) return;
        ChunkOptions options;
        options.tokens_target = 20 + static_cast<std::uint32_t>(rng.below(100));
        options.tokens_max = options.tokens_target + static_cast<std::uint32_t>(rng.below(100));
        std::uint64_t at = 0;
        const auto blank = [&](std::uint64_t from, std::uint64_t to) {
            return parsed->text.substr(from, to - from).find_first_not_of(" \n") ==
                   std::string::npos;
        };
        for (const Chunk& one : memory::knowledge::chunk(*parsed, options)) {
            ASSERT_GE(one.begin, at);
            ASSERT_TRUE(blank(at, one.begin)) << "a gap";
            ASSERT_LT(one.begin, one.end);
            const std::string text = text_of(*parsed, one);
            ASSERT_EQ(base::utf8_valid_prefix_bytes(text), text.size());
            // Blanks between pieces are marks, too.
            ASSERT_LE(memory::text::count_tokens(text), options.tokens_max * 3 / 2 + 20);
            at = one.end;
        }
        ASSERT_TRUE(blank(at, parsed->text.size())) << "the end is missing";
    });
}

}  // namespace
}  // namespace test
