// Answers and output apart, however the stream is cut.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "sphere/session/frame_splitter.h"
#include "support/seeds.h"

namespace {

using sphere::session::FrameSplitter;
using Found = FrameSplitter::Found;

constexpr const char* kMark = "0123456789abcdef0123456789abcdef";

std::string piece(std::string_view bytes, bool last) {
    return fmt::format("\x1e{} {} {}\n{}", kMark, bytes.size(), last ? 1 : 0, bytes);
}

struct Heard {
    std::string output;
    std::vector<std::string> answers;
    bool broken = false;

    void read(FrameSplitter& splitter, std::string_view bytes) {
        splitter.feed(bytes);
        for (std::string text;;) {
            const Found found = splitter.next(text);
            if (found == Found::output) output += text;
            if (found == Found::answer) answers.push_back(text);
            broken = found == Found::broken;
            if (found == Found::nothing || broken) return;
        }
    }
};

TEST(FrameSplitter, AnAnswerBetweenOutput) {
    FrameSplitter splitter(kMark);
    Heard heard;
    heard.read(splitter, "before" + piece("{\"a\"", false) + piece(":1}", true) + "after");
    EXPECT_EQ(heard.output, "beforeafter");
    EXPECT_EQ(heard.answers, std::vector<std::string>{"{\"a\":1}"});
}

TEST(FrameSplitter, AnotherMarkIsOutput) {
    FrameSplitter splitter(kMark);
    Heard heard;
    const std::string forged = "\x1e" + std::string(32, '0') + " 2 1\n{}";
    heard.read(splitter, forged + piece("", true));
    EXPECT_EQ(heard.output, forged);
    EXPECT_EQ(heard.answers.size(), 1u);
}

TEST(FrameSplitter, AMarkWithoutASoundHeadBreaksIt) {
    for (const char* head : {" x 1\n", " 5\n", " 5 2\n", " 5000 1\n", " -1 1\n", " 1 1 1\n",
                             " 99999999999999999999 1\n", " 00000000000000000001 1\n", " \n"}) {
        FrameSplitter splitter(kMark);
        Heard heard;
        heard.read(splitter, "\x1e" + std::string(kMark) + head + "aaaaaaaaaaaaaaaaaaaa");
        EXPECT_TRUE(heard.broken) << head;
        heard.read(splitter, piece("{}", true));
        EXPECT_TRUE(heard.broken) << head;
    }
}

TEST(FrameSplitter, AnAnswerWithoutEndIsBounded) {
    FrameSplitter splitter(kMark);
    Heard heard;
    const std::string more = piece(std::string(FrameSplitter::kPieceMax, 'a'), false);
    for (std::size_t sent = 0; sent <= FrameSplitter::kAnswerMax && !heard.broken;
         sent += FrameSplitter::kPieceMax) {
        heard.read(splitter, more);
    }
    EXPECT_TRUE(heard.broken);
}

TEST(FrameSplitter, AnyCutOfAnyStreamTellsTheSame) {
    test::for_each_seed(300, [](base::Rng& rng) {
        std::string stream, output;
        std::vector<std::string> answers;
        for (int i = 0; i < 20; ++i) {
            std::string bytes;
            for (std::uint64_t n = rng.below(40); n > 0; --n) {
                const std::string near = "\x1e" + std::string(kMark).substr(0, rng.below(32));
                bytes += rng.below(4) == 0 ? near + "!"
                                           : std::string(1, static_cast<char>(rng.below(256)));
                if (bytes.back() == '\x1e') bytes += '.';
            }
            if (rng.below(2) == 0) {
                stream += bytes;
                output += bytes;
            } else {
                const std::size_t half = rng.below(bytes.size() + 1);
                stream += piece(bytes.substr(0, half), false) + piece(bytes.substr(half), true);
                answers.push_back(bytes);
            }
        }
        FrameSplitter splitter(kMark);
        Heard heard;
        for (std::size_t at = 0; at < stream.size();) {
            const std::size_t take = 1 + rng.below(rng.below(2) == 0 ? 3 : 500);
            heard.read(splitter, std::string_view(stream).substr(at, take));
            at += take;
        }
        ASSERT_EQ(heard.output, output);
        ASSERT_EQ(heard.answers, answers);
        ASSERT_FALSE(heard.broken);
    });
}

TEST(FrameSplitter, NoBytesMakeItFail) {
    test::for_each_seed(300, [](base::Rng& rng) {
        const std::string alphabet = "\x1e 01\n" + std::string(kMark);
        FrameSplitter splitter(kMark);
        Heard heard;
        std::size_t fed = 0, answered = 0;
        for (int i = 0; i < 200; ++i) {
            std::string bytes = rng.below(3) == 0 ? "\x1e" + std::string(kMark) : "";
            for (std::uint64_t n = rng.below(30); n > 0; --n) {
                bytes += alphabet[rng.below(alphabet.size())];
            }
            fed += bytes.size();
            heard.read(splitter, bytes);
        }
        for (const std::string& answer : heard.answers) answered += answer.size();
        ASSERT_LE(heard.output.size() + answered, fed);
    });
}

}  // namespace
