#include "engine/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include "base/core/utf8.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/merge_table.h"
#include "engine/tokenizer/normalize.h"
#include "engine/tokenizer/pre_split.h"
#include "support/seeds.h"

namespace {

using engine::EncodeOptions;
using engine::TokenId;
using engine::TokenKind;
using engine::Vocabulary;
using Ids = std::vector<TokenId>;

constexpr EncodeOptions kPlain{.add_special = false};

std::shared_ptr<const engine::Tokenizer> make(Vocabulary vocabulary) {
    return engine::Tokenizer::create(std::move(vocabulary)).value();
}

void add(Vocabulary& vocabulary, std::string token, TokenKind kind = TokenKind::normal,
         float score = 0) {
    vocabulary.tokens.push_back(std::move(token));
    vocabulary.kinds.push_back(kind);
    vocabulary.scores.push_back(score);
}

/// Ids 0..255 are the bytes; then "lo", "low", "Ġlow", two control tokens and a user-defined one.
Vocabulary byte_vocabulary() {
    Vocabulary vocabulary;
    vocabulary.model = "gpt2";
    vocabulary.pre = "gpt-2";
    const engine::ByteAlphabet alphabet;
    for (unsigned byte = 0; byte < 256; ++byte) {
        std::string token;
        const char32_t code = alphabet.character_of(static_cast<unsigned char>(byte));
        if (code < 0x80) {
            token.push_back(static_cast<char>(code));
        } else {
            token.push_back(static_cast<char>(0xC0 | (code >> 6)));
            token.push_back(static_cast<char>(0x80 | (code & 0x3F)));
        }
        add(vocabulary, token);
    }
    for (const char* token : {"lo", "low", "\xC4\xA0low"}) add(vocabulary, token);
    vocabulary.merges = {"l o", "lo w", "\xC4\xA0 low"};
    add(vocabulary, "<|bos|>", TokenKind::control);
    add(vocabulary, "<|im_end|>", TokenKind::control);
    add(vocabulary, "<tool>", TokenKind::user_defined);
    vocabulary.bos = 259;
    vocabulary.eos = 259;
    vocabulary.add_bos = true;
    return vocabulary;
}

TEST(ByteBpe, MergesByRankInsideWords) {
    const auto tokenizer = make(byte_vocabulary());
    EXPECT_EQ(tokenizer->encode("low low", kPlain), (Ids{257, 258}));
    EXPECT_EQ(tokenizer->encode("lol", kPlain), (Ids{256, 'l'}));
    EXPECT_EQ(tokenizer->encode("", kPlain), Ids{});
}

TEST(ByteBpe, AddsAndParsesSpecialTokensOnlyWhenTold) {
    const auto tokenizer = make(byte_vocabulary());
    EXPECT_EQ(tokenizer->encode("low").front(), 259);
    EXPECT_EQ(tokenizer->encode("<|im_end|>", {.add_special = false, .parse_special = true}),
              Ids{260});
    EXPECT_EQ(tokenizer->encode("<|im_end|>", kPlain).size(), 10u);
    EXPECT_EQ(tokenizer->encode("low<tool>low", kPlain), (Ids{257, 261, 257}));
}

TEST(ByteBpe, ControlTokensPrintOnlyWhenAsked) {
    const auto tokenizer = make(byte_vocabulary());
    EXPECT_EQ(tokenizer->piece(260), "");
    EXPECT_EQ(tokenizer->piece(260, true), "<|im_end|>");
    EXPECT_EQ(tokenizer->decode(Ids{257, 260, 258}), "low low");
    EXPECT_EQ(tokenizer->decode(Ids{257, 260}, true), "low<|im_end|>");
}

TEST(ByteBpe, IdsOutOfRangeAreEmpty) {
    const auto tokenizer = make(byte_vocabulary());
    for (const TokenId id : {-1, -1000, 262, INT32_MAX, INT32_MIN}) {
        EXPECT_EQ(tokenizer->piece(id), "");
        EXPECT_EQ(tokenizer->decode(Ids{id}), "");
        EXPECT_FALSE(tokenizer->is_control(id));
        EXPECT_FALSE(tokenizer->ends_generation(id));
    }
}

TEST(ByteBpe, AnyBytesSurvive) {
    const auto tokenizer = make(byte_vocabulary());
    test::for_each_seed(500, [&](base::Rng& rng) {
        std::string text;
        const std::uint64_t bytes = rng.below(200);
        for (std::uint64_t i = 0; i < bytes; ++i) {
            text.push_back(rng.below(2) == 0 ? "low "[rng.below(4)]
                                             : static_cast<char>(rng.below(256)));
        }
        ASSERT_EQ(tokenizer->decode(tokenizer->encode(text, kPlain)), text);
    });
}

TEST(ByteBpe, BytesWithoutATokenBecomeTheReplacementCharacter) {
    Vocabulary vocabulary = byte_vocabulary();
    vocabulary.tokens[0xFF] = "[gone]";
    vocabulary.unk =
        260;  // a control token, as some model files declare it: text must not reach it
    const auto tokenizer = make(std::move(vocabulary));
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("a\xFF\xFEz", kPlain)), "a\xEF\xBF\xBD\xFEz");
}

TEST(Tokenizer, KnowsWhatEndsATurn) {
    const auto tokenizer = make(byte_vocabulary());
    EXPECT_TRUE(tokenizer->ends_generation(259));
    EXPECT_TRUE(tokenizer->ends_generation(260));  // by its name
    EXPECT_FALSE(tokenizer->ends_generation(261));
    EXPECT_EQ(tokenizer->find("<tool>"), 261);
    EXPECT_EQ(tokenizer->find("absent"), std::nullopt);
}

TEST(Tokenizer, KnowsTurnEndsThatTheFileDoesNotDeclare) {
    for (const char* text : {"<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|END_OF_TURN_TOKEN|>",
                             "<|eot|>", "<｜end▁of▁sentence｜>", "</s>", "<|return|>"}) {
        Vocabulary vocabulary = byte_vocabulary();
        vocabulary.tokens[260] = text;
        EXPECT_TRUE(make(vocabulary)->ends_generation(260)) << text;
        vocabulary.kinds[260] = engine::TokenKind::normal;
        EXPECT_EQ(make(vocabulary)->ends_generation(260), std::string_view(text).starts_with("<|"))
            << text;
    }
}

TEST(Tokenizer, EndsHarmonyTurnsNotItsMessages) {
    Vocabulary vocabulary = byte_vocabulary();
    for (const char* text : {"<|end|>", "<|return|>", "<|call|>"}) {
        vocabulary.tokens.push_back(text);
        vocabulary.kinds.push_back(engine::TokenKind::control);
        if (!vocabulary.scores.empty()) vocabulary.scores.push_back(0);
    }
    const auto tokenizer = make(std::move(vocabulary));
    EXPECT_FALSE(tokenizer->ends_generation(*tokenizer->find("<|end|>")));
    EXPECT_TRUE(tokenizer->ends_generation(*tokenizer->find("<|return|>")));
    EXPECT_TRUE(tokenizer->ends_generation(*tokenizer->find("<|call|>")));
}

TEST(Tokenizer, RefusesWhatItDoesNotKnowByName) {
    Vocabulary unknown_model = byte_vocabulary();
    unknown_model.model = "abacus";
    auto made = engine::Tokenizer::create(std::move(unknown_model));
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code, base::Code::unimplemented);
    EXPECT_NE(made.error().message.find("abacus"), std::string::npos);

    Vocabulary unknown_rule = byte_vocabulary();
    unknown_rule.pre = "martian";
    made = engine::Tokenizer::create(std::move(unknown_rule));
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code, base::Code::unimplemented);
    EXPECT_NE(made.error().message.find("martian"), std::string::npos);
}

TEST(Tokenizer, RefusesDamagedVocabularies) {
    const auto damage = [](auto change) {
        Vocabulary vocabulary = byte_vocabulary();
        change(vocabulary);
        const auto made = engine::Tokenizer::create(std::move(vocabulary));
        return !made && made.error().code == base::Code::data_loss;
    };
    EXPECT_TRUE(damage([](Vocabulary& v) { v.bos = 99'999; }));
    EXPECT_TRUE(damage([](Vocabulary& v) { v.eos = -2; }));
    EXPECT_TRUE(damage([](Vocabulary& v) { v.eog_extra = {262}; }));
    EXPECT_TRUE(damage([](Vocabulary& v) { v.kinds.pop_back(); }));
    EXPECT_TRUE(damage([](Vocabulary& v) { v.scores.push_back(0); }));
    EXPECT_TRUE(damage([](Vocabulary& v) { v.tokens.clear(); }));
    EXPECT_TRUE(damage([](Vocabulary& v) { v.tokens[256].assign(100'000, 'x'); }));
}

// A vocabulary may know far fewer texts than its own bytes, merges and characters add.
TEST(Tokenizer, IndexesMoreTextsThanItHasTokens) {
    Vocabulary bytes;
    bytes.model = "gpt2";
    add(bytes, "a");
    for (int i = 0; i < 2000; ++i) {
        bytes.merges.push_back("l" + std::to_string(i) + " r" + std::to_string(i));
    }
    EXPECT_EQ(make(std::move(bytes))->encode("aa", kPlain), (Ids{0, 0}));
    Vocabulary sentence;
    sentence.model = "llama";
    std::string letters;
    for (char32_t code = 0x100; code < 0x180; ++code) base::append_utf8(letters, code);
    add(sentence, letters);
    add(sentence, "a");
    EXPECT_EQ(make(std::move(sentence))->encode("a", kPlain), (Ids{1}));
}

/// <unk>, the bytes, then scored pieces.
Vocabulary sentence_vocabulary() {
    Vocabulary vocabulary;
    vocabulary.model = "llama";
    add(vocabulary, "<unk>", TokenKind::unknown);
    add(vocabulary, "<s>", TokenKind::control);
    for (int byte = 0; byte < 256; ++byte) {
        char text[8];
        std::snprintf(text, sizeof(text), "<0x%02X>", static_cast<unsigned>(byte));
        add(vocabulary, text, TokenKind::byte);
    }
    float score = -1;
    for (const char* piece : {"ab", "bc", "\xE2\x96\x81", "a", "b", "c", "\xE2\x96\x81\x61"}) {
        add(vocabulary, piece, TokenKind::normal, score);
        score -= 1;
    }
    vocabulary.unk = 0;
    vocabulary.bos = 1;
    return vocabulary;
}

TEST(SentenceBpe, MergesTheBestScoredPairFirst) {
    const auto tokenizer = make(sentence_vocabulary());
    // "ab" (-1) before "bc" (-2); the space in front stays alone then.
    EXPECT_EQ(tokenizer->encode("abc", kPlain), (Ids{260, 258, 263}));
    EXPECT_EQ(tokenizer->encode("bc", kPlain), (Ids{260, 259}));
}

TEST(SentenceBpe, FallsBackToBytesAndTakesTheSpaceBack) {
    const auto tokenizer = make(sentence_vocabulary());
    EXPECT_EQ(tokenizer->encode("é", kPlain), (Ids{260, 2 + 0xC3, 2 + 0xA9}));
    EXPECT_EQ(tokenizer->decode(Ids{1, 260, 258}), "ab");
    EXPECT_EQ(tokenizer->piece(264), " a");
    EXPECT_EQ(tokenizer->piece(2 + 0x0A), "\n");
    for (const std::string_view text : {"", " ", "  a", "ab c\n", "\xFF\xFE", "x\xE4\xBDy"}) {
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
    }
}

TEST(SentenceBpe, TextCannotBecomeAControlToken) {
    Vocabulary vocabulary = sentence_vocabulary();
    for (const char* piece : {"<", "s", ">", "<s", "s>"}) add(vocabulary, piece);
    const auto tokenizer = make(std::move(vocabulary));
    for (const TokenId id : tokenizer->encode("<s>", kPlain)) EXPECT_NE(id, 1);
    EXPECT_EQ(tokenizer->encode("<s>", {.add_special = false, .parse_special = true}), Ids{1});
}

TEST(SentenceBpe, WithoutByteTokensUnknownCharactersAreOneToken) {
    Vocabulary vocabulary;
    vocabulary.model = "llama";
    add(vocabulary, "<unk>", TokenKind::unknown);
    add(vocabulary, "a");
    vocabulary.unk = 0;
    vocabulary.add_space_prefix = false;
    EXPECT_EQ(make(std::move(vocabulary))->encode("aéa", kPlain), (Ids{1, 0, 1}));
}

Vocabulary unigram_vocabulary(std::string model) {
    Vocabulary vocabulary;
    vocabulary.model = std::move(model);
    add(vocabulary, "<pad>", TokenKind::control);
    add(vocabulary, "</s>", TokenKind::control);
    add(vocabulary, "<unk>", TokenKind::unknown);
    for (int i = 3; i < 6; ++i) add(vocabulary, "<r" + std::to_string(i) + ">", TokenKind::unused);
    add(vocabulary, "\xE2\x96\x81", TokenKind::normal, -3);          // 6
    add(vocabulary, "a", TokenKind::normal, -2);                     // 7
    add(vocabulary, "b", TokenKind::normal, -2);                     // 8
    add(vocabulary, "\xE2\x96\x81\x61\x62", TokenKind::normal, -4);  // 9: "▁ab"
    add(vocabulary, "fi", TokenKind::normal, -1);                    // 10
    vocabulary.eos = 1;
    vocabulary.unk = 2;
    return vocabulary;
}

TEST(Unigram, TakesTheLikeliestCut) {
    const auto tokenizer = make(unigram_vocabulary("t5"));
    EXPECT_EQ(tokenizer->encode("ab"), (Ids{9, 1}));
    EXPECT_EQ(tokenizer->encode("ba", kPlain), (Ids{6, 8, 7}));
    EXPECT_EQ(tokenizer->encode("a  \xC3\xA9\xC3\xA9 b", kPlain), (Ids{6, 7, 6, 2, 6, 8}));
    EXPECT_EQ(tokenizer->decode(Ids{9, 9}), "ab ab");
    EXPECT_EQ(tokenizer->encode("", kPlain), Ids{});
}

TEST(Unigram, SentenceEncoderNormalizesAndMergesUnknowns) {
    for (const char* model : {"unigram", "t5"}) {  // converted files say t5 and name the rule
        Vocabulary vocabulary = unigram_vocabulary(model);
        vocabulary.pre = "use-lite";
        vocabulary.unk = 0;
        const auto tokenizer = make(std::move(vocabulary));
        EXPECT_EQ(tokenizer->encode("\xEF\xAC\x81"), (Ids{6, 10}));  // the ligature fi: NFKC
        EXPECT_EQ(tokenizer->encode("ab\xE4\xBD\xA0\xE5\xA5\xBD"), (Ids{9, 0}));
    }
}

TEST(Unigram, RefusesADamagedNormalizerMap) {
    Vocabulary vocabulary = unigram_vocabulary("t5");
    vocabulary.normalizer_charsmap = std::string(
        "\xFF\xFF\xFF\x7F"
        "abcd",
        8);
    const auto made = engine::Tokenizer::create(std::move(vocabulary));
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code, base::Code::data_loss);
}

TEST(CharsMap, RandomMapsNeverReadOutside) {
    test::for_each_seed(2'000, [](base::Rng& rng) {
        const std::uint32_t words = static_cast<std::uint32_t>(rng.below(64));
        std::string blob(4, '\0');
        blob[0] = static_cast<char>(words * 4);
        for (std::uint64_t i = 0; i < words * 4 + rng.below(32); ++i) {
            blob.push_back(static_cast<char>(rng.below(256)));
        }
        const auto map = engine::CharsMap::parse(blob);
        std::string text;
        for (int i = 0; i < 40; ++i) text.push_back(static_cast<char>(rng.below(256)));
        if (!map) return;
        EXPECT_LE(map->longest_prefix(text).consumed_bytes, text.size());
    });
}

Vocabulary word_vocabulary() {
    Vocabulary vocabulary;
    vocabulary.model = "bert";
    for (const char* token : {"[PAD]", "[UNK]", "[CLS]", "[SEP]"}) {
        add(vocabulary, token, TokenKind::control);
    }
    for (const char* token :
         {"\xE2\x96\x81un", "aff", "able", "\xE2\x96\x81,", "\xE2\x96\x81\xE4\xBD\xA0",
          "\xE2\x96\x81"
          "cafe"}) {
        add(vocabulary, token);
    }
    vocabulary.unk = 1;
    vocabulary.cls = 2;
    vocabulary.sep = 3;
    return vocabulary;
}

TEST(WordPiece, TakesTheLongestTokenAtEachPlace) {
    const auto tokenizer = make(word_vocabulary());
    EXPECT_EQ(tokenizer->encode("unaffable"), (Ids{2, 4, 5, 6, 3}));
    EXPECT_EQ(tokenizer->encode("UNAFFABLE, un", kPlain), (Ids{4, 5, 6, 7, 4}));
    EXPECT_EQ(tokenizer->encode("unknown", kPlain), Ids{1});
    EXPECT_EQ(tokenizer->encode("un\xE4\xBD\xA0un", kPlain), (Ids{4, 8, 4}));
    EXPECT_EQ(tokenizer->encode("Caf\xC3\xA9\x01", kPlain), Ids{9});  // accent and control go
    EXPECT_EQ(tokenizer->decode(Ids{2, 4, 5, 6, 7}), "unaffable ,");
}

TEST(WordPiece, SurvivesAnyBytesAndHugeWords) {
    const auto tokenizer = make(word_vocabulary());
    EXPECT_EQ(tokenizer->encode(std::string(1'000'000, 'x'), kPlain), Ids{1});
    test::for_each_seed(300, [&](base::Rng& rng) {
        std::string text;
        for (int i = 0; i < 60; ++i) text.push_back(static_cast<char>(rng.below(256)));
        for (const TokenId id : tokenizer->encode(text)) ASSERT_LT(id, 10);
    });
}

/// What PreSplitter makes of a text, with "|" between words.
std::string cut(std::string_view rule, std::string_view text) {
    const auto splitter = engine::PreSplitter::create(rule).value();
    std::vector<std::string_view> words;
    splitter.split(text, words);
    std::string out;
    for (const std::string_view word : words) out.append(out.empty() ? "" : "|").append(word);
    return out;
}

TEST(PreSplitter, CutsAsEachFamilyDoes) {
    EXPECT_EQ(cut("gpt-2", "I'll go  to 2024!"), "I|'ll| go| | to| 2024|!");
    EXPECT_EQ(cut("llama-bpe", "I'LL pay 12345"), "I|'LL| pay| |123|45");
    EXPECT_EQ(cut("qwen2", "a 12"), "a| |1|2");
    EXPECT_EQ(cut("smollm", "x12 y"), "x|1|2| y");
    EXPECT_EQ(cut("tekken", "helloWorld 12"), "hello|World| |1|2");
    EXPECT_EQ(cut("gpt-4o", "HelloWorld's 1234"), "Hello|World's| |123|4");
    EXPECT_EQ(cut("deepseek-v3", "a1234"), "a|123|4");
    EXPECT_EQ(cut("llama-bpe", "\n\n  x\xC2\xA0y"), "\n\n| | x|\xC2\xA0y");
}

TEST(PreSplitter, EveryRuleKeepsEveryByte) {
    for (const std::string_view rule : {"default",
                                        "llama-bpe",
                                        "dbrx",
                                        "minicpm5",
                                        "deepseek-llm",
                                        "deepseek-coder",
                                        "deepseek-v3",
                                        "youtu",
                                        "falcon",
                                        "gpt-2",
                                        "starcoder",
                                        "qwen2",
                                        "qwen35",
                                        "bloom",
                                        "viking",
                                        "jais-2",
                                        "tekken",
                                        "gpt-4o",
                                        "granite-embed-multi-97m",
                                        "tiny_aya",
                                        "exaone-moe",
                                        "bailingmoe",
                                        "seed-coder",
                                        "ufakzeka",
                                        "laguna"}) {
        const auto splitter = engine::PreSplitter::create(rule).value();
        test::for_each_seed(60, [&](base::Rng& rng) {
            constexpr std::string_view kParts[] = {
                "a",        "Z",        "é", "你", "7", " ", "\n", "!", "'s", "\xF0\x9F\x98\x80",
                "\xCC\x81", "\xC2\xA0", "가"};
            std::string text;
            for (int i = 0; i < 50; ++i) text.append(kParts[rng.below(std::size(kParts))]);
            std::vector<std::string_view> words;
            splitter.split(text, words);
            std::string joined;
            for (const std::string_view word : words) joined.append(word);
            ASSERT_EQ(joined, text) << rule;
        });
    }
}

/// Merges by scanning for the best pair, as the definition says.
std::vector<engine::Symbol> merged_by_definition(const engine::MergeTable& table,
                                                 std::vector<engine::Symbol> symbols) {
    for (;;) {
        const engine::MergeTable::Merge* best = nullptr;
        std::size_t at = 0;
        for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
            const auto* found = table.find(symbols[i], symbols[i + 1]);
            if (found != nullptr && (best == nullptr || found->rank < best->rank)) {
                best = found;
                at = i;
            }
        }
        if (best == nullptr) return symbols;
        symbols[at] = best->merged;
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    }
}

TEST(MergeTable, ShortAndLongWordsMergeByTheDefinition) {
    test::for_each_seed(400, [](base::Rng& rng) {
        engine::MergeTable table(64);
        for (engine::Symbol merged = 4; merged < 24; ++merged) {
            const auto part = [&] { return static_cast<engine::Symbol>(rng.below(24)); };
            table.add(part(), part(), {static_cast<std::uint32_t>(rng.below(8)), merged});
        }
        std::vector<engine::Symbol> symbols;
        const std::uint64_t length = rng.below(2) == 0 ? rng.below(33) : 33 + rng.below(200);
        for (std::uint64_t i = 0; i < length; ++i) {
            symbols.push_back(static_cast<engine::Symbol>(rng.below(5)) - 1);
        }
        const auto expected = merged_by_definition(table, symbols);
        engine::MergeTable::Scratch scratch;
        table.merge(symbols, scratch);
        ASSERT_EQ(symbols, expected);
    });
}

}  // namespace
