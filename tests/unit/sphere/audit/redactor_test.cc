#include "sphere/audit/redactor.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include "base/json/json_text.h"
#include "support/seeds.h"

namespace sphere::audit {
namespace {

const std::string kValue = "p4ss w\"rd/\xC3\xA9+?";

Redactor one() {
    return *Redactor::create({{"DB", kValue}});
}

std::string base64(const std::string& text) {
    std::string out(4 * ((text.size() + 2) / 3), '\0');
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                    reinterpret_cast<const unsigned char*>(text.data()),
                    static_cast<int>(text.size()));
    return out;
}

TEST(Redactor, TakesTheValueOutAndSaysWhichItWas) {
    EXPECT_EQ(one().apply("before " + kValue + " after"), "before [secret:DB] after");
    EXPECT_EQ(one().apply("nothing here"), "nothing here");
    EXPECT_EQ(one().apply(""), "");
}

TEST(Redactor, FindsBase64AtEveryOffset) {
    for (const char* before : {"", "a", "ab", "abc"}) {
        for (const char* after : {"", "x", "xy", "xyz"}) {
            std::string text = base64(before + kValue + after);
            const std::string clean = one().apply(text);
            EXPECT_NE(clean.find("[secret:DB]"), std::string::npos) << text;
            // At most two characters at each end hold bits of the value.
            EXPECT_LE(clean.size(), text.size() - base64(kValue).size() + 8 + 11) << text;
            for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
            EXPECT_NE(one().apply(text).find("[secret:DB]"), std::string::npos) << text;
        }
    }
}

TEST(Redactor, FindsHexPercentAndJsonForms) {
    std::string escaped;
    base::append_json_escaped(escaped, kValue);
    for (const std::string& form : {std::string("703473732077227264") + "2fc3a92b3f",
                                    std::string("703473732077227264") + "2FC3A92B3F",
                                    std::string("p4ss%20w%22rd%2F%C3%A9%2B%3F"),
                                    std::string("p4ss+w%22rd%2f%c3%a9%2b%3f"), escaped}) {
        EXPECT_EQ(one().apply("<" + form + ">"), "<[secret:DB]>") << form;
    }
}

TEST(Redactor, RefusesAValueThatIsTooShortToFind) {
    const auto made = Redactor::create({{"PIN", "1234"}});
    ASSERT_FALSE(made.has_value());
    EXPECT_EQ(made.error().code, base::Code::invalid_argument);
    EXPECT_EQ(made.error().subject, "PIN");
}

TEST(Redactor, OverlappingSecretsLeaveNoByteOfEither) {
    const auto both = *Redactor::create({{"A", "abcdefgh"}, {"B", "efghijkl"}});
    EXPECT_EQ(both.apply("1abcdefghijkl2"), "1[secret:A]2");
    const auto inner = *Redactor::create({{"OUTER", "xxabcdefxx"}, {"INNER", "abcdef"}});
    EXPECT_EQ(inner.apply("xxabcdefxx").find("xx"), std::string::npos);
    EXPECT_EQ(inner.apply("xxabcdefx"), "xx[secret:INNER]x");
}

/// The referee: positions covered by any raw value, by trying each.
TEST(Redactor, CoversWhatTryingEachPositionCovers) {
    test::for_each_seed(300, [](base::Rng& rng) {
        const auto random_text = [&](std::size_t length) {
            std::string text;
            for (std::size_t i = 0; i < length; ++i) text += static_cast<char>('a' + rng.below(2));
            return text;
        };
        std::vector<Secret> secrets;
        for (int i = 0; i < 3; ++i) secrets.push_back({"S", random_text(6 + rng.below(5))});
        const Redactor redactor = *Redactor::create(secrets);
        const std::string text = random_text(rng.below(60));
        std::vector<bool> covered(text.size());
        for (const Secret& secret : secrets) {
            for (std::size_t at = text.find(secret.value); at != std::string::npos;
                 at = text.find(secret.value, at + 1)) {
                std::fill_n(covered.begin() + static_cast<long>(at), secret.value.size(), true);
            }
        }
        std::string expected;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (!covered[i]) {
                expected += text[i];
            } else if (i == 0 || !covered[i - 1]) {
                expected += '#';
            }
        }
        std::string found = redactor.apply(text);
        for (std::size_t at; (at = found.find("[secret:S]")) != std::string::npos;) {
            found.replace(at, 10, "#");
        }
        // Two secrets that touch may be written as one or as two.
        for (std::size_t at; (at = found.find("##")) != std::string::npos;) found.erase(at, 1);
        ASSERT_EQ(found, expected) << text;
    });
}

/// However a stream is cut, it keeps its length and no form of the secret comes through.
TEST(RedactorMask, AStreamInPiecesIsMaskedAsAWhole) {
    const std::string value = "s3cret/value+x";
    const auto redactor = Redactor::create({{"key", value}, {"other", "value+xyz"}});
    ASSERT_TRUE(redactor);
    test::for_each_seed(300, [&](base::Rng& rng) {
        std::string text;
        for (int i = 0; i < 12; ++i) {
            const std::string pieces[] = {value, value.substr(0, rng.below(value.size())),
                                          "czNjcmV0L3ZhbHVlK3g=", "s3cret%2Fvalue%2Bx", " plain "};
            text += pieces[rng.below(5)];
        }
        std::string whole, cut;
        Redactor::Mask one(*redactor), many(*redactor);
        one.feed(text, whole);
        one.finish(whole);
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t bytes = 1 + rng.below(9);
            many.feed(std::string_view(text).substr(at, bytes), cut);
            ASSERT_LE(cut.size(), text.size());
            at += bytes;
        }
        many.finish(cut);
        EXPECT_EQ(cut, whole);
        EXPECT_EQ(whole.size(), text.size());
        EXPECT_EQ(redactor->apply(whole), whole);
    });
}

}  // namespace
}  // namespace sphere::audit
