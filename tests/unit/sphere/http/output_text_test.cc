#include <gtest/gtest.h>

#include <string>

#include "base/json/json.h"
#include "sphere/http/exec_answer.h"
#include "support/seeds.h"

namespace {

using sphere::OutputEncoding;
using sphere::OutputText;

/// What a reader puts together from the pieces.
std::string joined(OutputEncoding encoding, const std::vector<std::string>& pieces) {
    OutputText text(encoding);
    std::string out;
    for (std::size_t i = 0; i <= pieces.size(); ++i) {
        const bool last = i == pieces.size();
        std::string one;
        if (!text.append_json(one, last ? "" : pieces[i], last)) continue;
        out += base::json::parse(one).as_string();
    }
    return out;
}

std::vector<std::string> cut(base::Rng& rng, std::string_view text) {
    std::vector<std::string> pieces;
    while (!text.empty()) {
        const std::size_t size = std::min<std::size_t>(1 + rng.below(4), text.size());
        pieces.emplace_back(text.substr(0, size));
        text.remove_prefix(size);
    }
    return pieces;
}

TEST(OutputText, CharactersSurviveAnyCut) {
    const std::string text = "a\u00e9\u6f22\U0001f600\n\"quoted\"";
    test::for_each_seed(200, [&](base::Rng& rng) {
        EXPECT_EQ(joined(OutputEncoding::text, cut(rng, text)), text);
    });
}

TEST(OutputText, BytesThatAreNotTextAreReplacedAndNotHeldBack) {
    EXPECT_EQ(joined(OutputEncoding::text, {"\xff", "a"}), "\ufffda");
    EXPECT_EQ(joined(OutputEncoding::text, {"a\xe6\xbc"}), "a\ufffd\ufffd");
    OutputText text(OutputEncoding::text);
    std::string out;
    EXPECT_TRUE(text.append_json(out, "\x80\x80\x80\x80", false));
}

TEST(OutputText, Base64IsTheSameWhateverTheCut) {
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    const std::string whole = joined(OutputEncoding::base64, {bytes});
    EXPECT_EQ(whole.substr(0, 8), "AAECAwQF");
    EXPECT_EQ(whole.size(), 344u);
    EXPECT_TRUE(whole.ends_with("/w=="));
    test::for_each_seed(100, [&](base::Rng& rng) {
        EXPECT_EQ(joined(OutputEncoding::base64, cut(rng, bytes)), whole);
    });
}

}  // namespace
