// What counts as the same, the ids, and 16-bit numbers.
#include "memory/truth/similar.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "memory/truth/half.h"
#include "memory/truth/memory_id.h"
#include "support/seeds.h"

namespace memory::truth {
namespace {

bool same(std::string_view a, std::string_view b) {
    return nearly_equal(words_of(a), words_of(b));
}

TEST(Similar, PunctuationSpaceAndSentenceCaseAreNoDifference) {
    EXPECT_TRUE(same("Ann likes tea.", "ann  likes\ttea"));
    EXPECT_TRUE(same("\"Ann likes tea!\"", "Ann likes tea"));
    EXPECT_TRUE(same("caf\u00e9 noir", "cafe\u0301 noir"));
    EXPECT_TRUE(same("\u4f60\u597d\u3002", "\u4f60\u597d"));
}

TEST(Similar, MeaningIs) {
    const char* const pairs[][2] = {{"Ann likes tea.", "Ann likes tea?"},
                                    {"Ann pays 5", "Ann pays -5"},
                                    {"at .5 units", "at 5 units"},
                                    {"Ann does like tea", "Ann does not like tea"},
                                    {"C++ is used", "C is used"},
                                    {"sent to US", "sent to us"},
                                    {"Ann beat Bob", "Bob beat Ann"},
                                    {"due 2024-05-01", "due 2024-05-10"},
                                    {"rate is 1.5", "rate is 15"},
                                    {"x\u00b2", "x2"},
                                    {"\u4ed6\u6765\u4e86", "\u4ed6\u6ca1\u6765"},
                                    {"the million", "the billion"}};
    for (const auto& pair : pairs) EXPECT_FALSE(same(pair[0], pair[1])) << pair[0];
}

constexpr std::string_view kWords[] = {
    "harbour",  "window",   "quarterly", "invoice",  "customer", "delivery", "garden",   "meeting",
    "software", "engineer", "building",  "contract", "hospital", "language", "mountain", "calendar",
    "teacher",  "shipment", "database",  "keyboard", "airport",  "bicycle",  "kitchen",  "library",
    "the",      "was",      "to",        "of",       "with",     "increase", "decrease", "arrived"};

std::vector<std::string> random_words(base::Rng& rng, std::size_t count) {
    std::vector<std::string> words;
    for (std::size_t i = 0; i < count; ++i)
        words.emplace_back(kWords[rng.below(std::size(kWords))]);
    words[count / 2] = std::to_string(rng.below(10'000));
    words[count / 3] = "not";
    words[count / 4] = "Marta";
    words[count / 5] = "November";
    return words;
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
    return text;
}

/// An edit that leaves the meaning: punctuation, space, a filler word, a slip in a long word.
std::vector<std::string> harmless(base::Rng& rng, std::vector<std::string> words) {
    const std::size_t at = rng.below(words.size());
    switch (rng.below(4)) {
        case 0:
            words[at] += ",";
            break;
        case 1:
            words[at] += "  ";
            break;
        case 2:
            words.insert(words.begin() + static_cast<std::ptrdiff_t>(at), "really");
            break;
        default:
            for (std::string& word : words) {
                if (word.size() < 8 || word[0] < 'a' || word == "increase" || word == "decrease")
                    continue;
                std::swap(word[3], word[4]);
                break;
            }
    }
    return words;
}

/// One that changes it: a number, a negation, a date, a name, a word, the order, more or less said.
std::vector<std::string> meaningful(base::Rng& rng, std::vector<std::string> words) {
    const std::size_t count = words.size();
    switch (rng.below(8)) {
        case 0:
            words[count / 2] = std::to_string(std::stoi(words[count / 2]) + 1);
            break;
        case 1:
            words.erase(words.begin() + static_cast<std::ptrdiff_t>(count / 3));
            break;
        case 2:
            words[count / 5] = "December";
            break;
        case 3:
            words[count / 4] = "Maria";
            break;
        case 4:
            words[count - 1] = words[count - 1] == "increase" ? "decrease" : "increase";
            break;
        case 5:
            std::swap(words[count / 4], words[count / 5]);
            break;
        case 6:
            words.push_back("cancelled");
            break;
        default:
            words.insert(words.begin() + static_cast<std::ptrdiff_t>(rng.below(count)), "never");
    }
    return words;
}

TEST(Similar, NearDuplicatesArePrecise) {
    int merged = 0, wrong = 0, harmless_pairs = 0, found = 0;
    test::for_each_seed(4'000, [&](base::Rng& rng) {
        const auto words = random_words(rng, 60 + rng.below(90));
        const std::string text = joined(words);
        const bool changes = rng.below(2) == 0;
        const std::string other = joined(changes ? meaningful(rng, words) : harmless(rng, words));
        const bool is_same = same(text, other);
        merged += is_same;
        wrong += is_same && changes;
        if (!changes) {
            ++harmless_pairs;
            const auto a = marks_of({.tenant = "t"}, MemoryType::long_term, text, "", 0);
            const auto b = marks_of({.tenant = "t"}, MemoryType::long_term, other, "", 0);
            const bool shares =
                std::find_first_of(a.begin(), a.end(), b.begin(), b.end()) != a.end();
            found += is_same && shares;
        }
    });
    ::testing::Test::RecordProperty("merged", merged);
    EXPECT_EQ(wrong, 0) << "of " << merged;
    EXPECT_GT(found, harmless_pairs * 85 / 100) << "of " << harmless_pairs;
}

TEST(Similar, MarksTellScopesTypesAndEventsApart) {
    const Scope scope{.tenant = "t", .user = "u"};
    const auto mark = [](const Scope& of, MemoryType type, std::string_view text, UnixMs at) {
        return marks_of(of, type, text, "", at)[0];
    };
    const auto base = mark(scope, MemoryType::semantic, "Tea.", 1);
    EXPECT_EQ(base, mark(scope, MemoryType::semantic, "tea", 2));
    EXPECT_NE(base, mark({.tenant = "t", .agent = "u"}, MemoryType::semantic, "tea", 1));
    EXPECT_NE(base, mark(scope, MemoryType::long_term, "tea", 1));
    EXPECT_NE(mark(scope, MemoryType::episodic, "ok", 1),
              mark(scope, MemoryType::episodic, "ok", 2));
    EXPECT_NE(mark(scope, MemoryType::episodic, "ok", 1),
              mark(scope, MemoryType::episodic, "OK", 1));
}

TEST(MemoryIds, SortByTimeAndNameTheirRow) {
    test::for_each_seed(2'000, [](base::Rng& rng) {
        const auto time = static_cast<UnixMs>(rng.below(1ull << 47));
        const auto row = static_cast<RowId>(rng.below(1ull << 40));
        const MemoryId id = make_id(time, row, rng.next());
        EXPECT_EQ(id.size(), 30u);
        EXPECT_EQ(row_of(id), row);
        EXPECT_LT(id, make_id(time + 1, 0, rng.next()));
        EXPECT_LT(id, make_id(row < kRowMax ? time : time + 1, (row + 1) & kRowMax, rng.next()));
        std::string broken = id;
        broken[4 + rng.below(26)] = static_cast<char>(rng.below(256));
        static_cast<void>(row_of(broken));
    });
    EXPECT_FALSE(row_of(""));
    EXPECT_FALSE(row_of("mem-0000000000000000000000000l"));
}

TEST(Half, IsWithinHalfABitAndExactAgain) {
    test::for_each_seed(500, [](base::Rng& rng) {
        std::vector<float> numbers(rng.below(40));
        for (float& number : numbers) {
            number =
                static_cast<float>((rng.uniform() * 2 - 1) * std::pow(2., rng.uniform() * 20 - 10));
        }
        const auto read = from_half(to_half(numbers));
        ASSERT_EQ(read.size(), numbers.size());
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            EXPECT_NEAR(read[i], numbers[i], std::fabs(numbers[i]) / 2'048 + 1e-7);
        }
        EXPECT_EQ(from_half(to_half(read)), read);
    });
    const std::vector<float> edges{0.f, -0.f, 65'504.f, -65'504.f, 6.1e-5f, 1.f};
    const auto read = from_half(to_half(edges));
    EXPECT_EQ(read[2], 65'504.f);
    EXPECT_EQ(read[5], 1.f);
}

}  // namespace
}  // namespace memory::truth
