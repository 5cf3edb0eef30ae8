#include "agent/mcp/client/event_reader.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/seeds.h"

namespace {

using agent::mcp::EventReader;

struct Read {
    std::vector<std::string> events;
    EventReader reader{1 << 20, [this](const EventReader::Event& event) {
                           events.push_back(event.name + "|" + event.data);
                           return true;
                       }};
};

TEST(EventReader, ReadsNamesDataIdsAndWaits) {
    Read read;
    ASSERT_TRUE(
        read.reader.feed("\xEF\xBB\xBFid: 7\nretry: 500\ndata: \n\n"
                         ": still here\r\nevent: other\r\ndata: a\r\ndata:b\r\n\r\n"
                         "data: half"));
    EXPECT_EQ(read.events, (std::vector<std::string>{"message|", "other|a\nb"}));
    EXPECT_EQ(read.reader.last_id(), "7");
    EXPECT_EQ(read.reader.retry_ms(), 500u);
}

TEST(EventReader, AnIdCountsWhenItsEventIsComplete) {
    Read read;
    ASSERT_TRUE(read.reader.feed("id: 1\ndata: a\n\nid: 2\ndata: b\n"));
    EXPECT_EQ(read.reader.last_id(), "1");
    read.reader.reconnected();
    ASSERT_TRUE(read.reader.feed("data: c\n\n"));
    EXPECT_EQ(read.events, (std::vector<std::string>{"message|a", "message|c"}));
    EXPECT_EQ(read.reader.last_id(), "1");
}

TEST(EventReader, AnEventHasALimit) {
    EventReader reader(100, [](const EventReader::Event&) { return true; });
    for (int i = 0; i < 12; ++i) {
        const auto fed = reader.feed("data: 12345678\n");
        if (!fed) {
            EXPECT_EQ(fed.error().code, base::Code::payload_too_large);
            return;
        }
    }
    FAIL() << "an endless event was read to its end";
}

TEST(EventReader, EndsWhenItsTakerHasEnough) {
    int taken = 0;
    EventReader reader(100, [&](const EventReader::Event&) { return ++taken < 2; });
    const auto more = reader.feed("data: a\n\ndata: b\n\ndata: c\n\n");
    ASSERT_TRUE(more);
    EXPECT_FALSE(*more);
    EXPECT_EQ(taken, 2);
}

TEST(EventReader, PiecesDoNotMatter) {
    test::for_each_seed(300, [](base::Rng& rng) {
        constexpr std::string_view kParts[] = {"data", ":",     " ",     "\r", "\n", "\r\n",
                                               "id",   "event", "retry", "7",  "x",  "\xEF\xBB\xBF",
                                               "\n\n", "\xff"};
        std::string stream;
        for (int i = 0; i < 60; ++i) stream += kParts[rng.below(std::size(kParts))];
        Read whole, pieces;
        ASSERT_TRUE(whole.reader.feed(stream));
        for (std::string_view rest = stream; !rest.empty();) {
            const std::size_t bytes = 1 + rng.below(rest.size());
            ASSERT_TRUE(pieces.reader.feed(rest.substr(0, bytes)));
            rest.remove_prefix(bytes);
        }
        EXPECT_EQ(whole.events, pieces.events);
        EXPECT_EQ(whole.reader.last_id(), pieces.reader.last_id());
        EXPECT_EQ(whole.reader.retry_ms(), pieces.reader.retry_ms());
    });
}

}  // namespace
