// The small pure parts of the gateway.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/json/json.h"
#include "gate/chat_writer.h"
#include "gate/event_text.h"
#include "gate/json_text.h"
#include "gate/live_stats.h"
#include "gate/model_choice.h"
#include "gate/request_log.h"
#include "gate/response_store.h"
#include "gate/responses_writer.h"
#include "support/seeds.h"

namespace {

using namespace gate;

std::string escaped(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

TEST(JsonText, EscapesWhatJsonDemands) {
    EXPECT_EQ(escaped("a\"b\\c\n\t\r\x01"), R"("a\"b\\c\n\t\r\u0001")");
    EXPECT_EQ(escaped("é漢😀"), "\"é漢😀\"");
    EXPECT_EQ(escaped("\xff|\xc0\x80|\xed\xa0\x80"),
              "\"\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(JsonText, AnyBytesGiveAValidStringThatKeepsValidText) {
    test::for_each_seed(2000, [](base::Rng& rng) {
        std::string text;
        for (std::uint64_t n = rng.below(40); n > 0; --n) {
            text += static_cast<char>(rng.below(4) == 0 ? 0x80 + rng.below(128) : rng.below(128));
        }
        const auto value = base::parse_json(escaped(text));
        ASSERT_TRUE(value) << value.error().message;
        EXPECT_TRUE(utf8_error_offset(text) || value->as_string() == text);
    });
}

TEST(JsonText, FindsTheFirstWrongByte) {
    EXPECT_EQ(utf8_error_offset("plain é 😀"), std::nullopt);
    EXPECT_EQ(utf8_error_offset("ab\xff"), 2U);
    EXPECT_EQ(utf8_error_offset("a\xe2\x82"), 1U);
    EXPECT_EQ(utf8_error_offset("\xf4\x90\x80\x80"), 0U);
}

TEST(JsonText, FloatsReadBackAndInfinityIsANumber) {
    std::string out;
    append_json_float(out, 0.1f);
    out += ' ';
    append_json_float(out, -std::numeric_limits<float>::infinity());
    EXPECT_EQ(out, "0.1 -9999.0");
}

/// The JSON documents of a stream's events, and the ids in front of them.
struct ReadEvents {
    std::vector<base::json::value> data;
    std::vector<std::string> ids, types;
};
ReadEvents read_events(std::string_view text) {
    ReadEvents out;
    while (!text.empty()) {
        const auto stop = text.find("\n\n");
        EXPECT_NE(stop, std::string::npos) << text;
        std::string_view event = text.substr(0, stop);
        text.remove_prefix(std::min(text.size(), stop + 2));
        while (!event.empty()) {
            const std::string_view line = event.substr(0, event.find('\n'));
            event.remove_prefix(std::min(event.size(), line.size() + 1));
            const std::string value(line.substr(line.find(' ') + 1));
            if (line.starts_with("id: ")) out.ids.push_back(value);
            if (line.starts_with("event: ")) out.types.push_back(value);
            if (!line.starts_with("data: ") || value == "[DONE]") continue;
            auto parsed = base::parse_json(value);
            EXPECT_TRUE(parsed) << value;
            if (parsed) out.data.push_back(std::move(*parsed));
        }
    }
    return out;
}

TEST(ChatWriter, EventsAreOneJsonDocumentEach) {
    ChatWriter::Facts facts;
    facts.id = "chatcmpl-1";
    facts.model = "a\"b";
    facts.system_fingerprint = "fp";
    facts.include_usage = true;
    ChatWriter writer(facts);
    std::string out;
    EventText text(out, 0, false);
    ChoiceOutput choice;
    choice.pieces.add("line\nbreak", "why", {});
    writer.append_events(text, 1, choice);
    GenerationEnd& end = choice.end;
    end.prompt_tokens = 10;
    end.cached_tokens = 4;
    end.completion_tokens = 5;
    end.received = base::Instant{1'000'000};
    end.templated = base::Instant{2'000'000};
    end.started = base::Instant{3'000'000};
    end.first_token = base::Instant{6'000'000};
    end.finished = base::Instant{10'000'000};
    choice.ended = true;
    writer.append_events(text, 1, choice);
    writer.append_end(text, {{10, 4, 5, 2}, timings_of(end), {}});
    EXPECT_TRUE(out.ends_with("data: [DONE]\n\n"));
    const auto events = read_events(out).data;
    ASSERT_EQ(events.size(), 5U);
    const auto delta = [&](std::size_t i) { return events[i].at("choices").at(0).at("delta"); };
    EXPECT_EQ(delta(0).at("role").as_string(), "assistant");
    EXPECT_TRUE(events[0].at("usage").is_null());
    EXPECT_EQ(events[1].at("choices").at(0).at("index").as_int64(), 1);
    EXPECT_EQ(delta(1).at("reasoning_content").as_string(), "why");
    EXPECT_EQ(delta(2).at("content").as_string(), "line\nbreak");
    EXPECT_EQ(events[1].at("model").as_string(), "a\"b");
    EXPECT_EQ(events[3].at("choices").at(0).at("finish_reason").as_string(), "stop");
    EXPECT_EQ(events[4].at("choices").as_array().size(), 0U);
    const auto& usage = events[4].at("usage");
    EXPECT_EQ(usage.at("total_tokens").as_int64(), 15);
    EXPECT_EQ(usage.at("prompt_tokens_details").at("cached_tokens").as_int64(), 4);
    EXPECT_EQ(usage.at("completion_tokens_details").at("reasoning_tokens").as_int64(), 2);
    const auto& timings = events[4].at("timings");
    EXPECT_EQ(timings.at("ttft_ms").as_double(), 5);
    EXPECT_EQ(timings.at("prefill_tokens_per_s").as_double(), 2000);
    EXPECT_EQ(timings.at("decode_tokens_per_s").as_double(), 1000);
}

TEST(PieceList, NeighboursOfOneKindAreOnePiece) {
    PieceList list;
    list.add("a", "", {});
    list.add("b", "", {});
    const std::vector<ToolCallDelta> begin{{0, "id", "f", ""}}, more{{0, "", "", "{}"}};
    list.add("", "", begin);
    list.add("", "", more);
    list.add("", "", std::vector<ToolCallDelta>{{1, "id2", "f", "{"}});
    ASSERT_EQ(list.pieces().size(), 3U);
    EXPECT_EQ(list.pieces()[0].text, "ab");
    EXPECT_EQ(list.pieces()[1].text, "{}");
    EXPECT_EQ(list.pieces()[2].call_id, "id2");
    const JoinedAnswer joined = join(list.pieces());
    EXPECT_EQ(joined.text, "ab");
    ASSERT_EQ(joined.calls.size(), 2U);
    EXPECT_EQ(joined.calls[0].arguments, "{}");
    list.clear();
    EXPECT_TRUE(list.empty());
    list.add("", "", more);
    EXPECT_EQ(list.pieces()[0].call_id, "") << "nothing is left of what was there before";
}

TEST(EventLog, GivesTheEventsFromAnyNumberOnUntilTheyAreDropped) {
    test::for_each_seed(50, [](base::Rng& rng) {
        EventLog log(400);
        std::vector<std::string> all;
        for (int block = 0; block < 30; ++block) {
            std::string events;
            EventText text(events, log.next_id(), true);
            for (std::uint64_t n = rng.below(4); n > 0; --n) {
                const std::string data = "data: " + std::string(rng.below(30), 'x') + "\n\n";
                all.push_back("id: " + std::to_string(text.next_id()) + "\n" + data);
                text.begin() += data;
            }
            log.add(std::move(events), text.next_id());
            ASSERT_EQ(log.next_id(), all.size());
            ASSERT_LE(log.bytes(), 400U + 200U);
            const std::uint64_t from =
                log.first_id() + rng.below(log.next_id() - log.first_id() + 1);
            std::string read, expected;
            log.read(from, read);
            for (std::size_t i = from; i < all.size(); ++i) expected += all[i];
            ASSERT_EQ(read, expected);
        }
        EXPECT_GT(log.first_id(), 0U);
    });
}

TEST(ResponseStore, DropsTheOldestAndKeepsTenantsApart) {
    ResponseStore store(3, 1000);
    for (int i = 0; i < 5; ++i) store.add({std::to_string(i), "t", "", "{}", "[]", "[]"});
    EXPECT_EQ(store.count(), 3U);
    EXPECT_EQ(store.find("t", "1"), nullptr);
    ASSERT_NE(store.find("t", "2"), nullptr);
    EXPECT_EQ(store.find("other", "2"), nullptr);
    EXPECT_FALSE(store.remove("other", "2"));
    EXPECT_TRUE(store.remove("t", "2"));
    EXPECT_FALSE(store.remove("t", "2"));
    store.add({"big", "t", "", std::string(999, 'x'), "", ""});
    EXPECT_EQ(store.count(), 1U);
    EXPECT_EQ(store.bytes(), 999U);
}

TEST(ResponseStore, WhoHoldsAnEqualShareLosesNothingToOthers) {
    test::for_each_seed(100, [](base::Rng& rng) {
        constexpr std::size_t kTenants = 4, kCount = 40, kBytes = 4000;
        ResponseStore store(kCount, kBytes);
        // The first tenant keeps within its share; the others store what they like.
        std::vector<std::string> own;
        std::size_t own_bytes = 0;
        for (int i = 0; i < 400; ++i) {
            const std::uint64_t tenant = rng.below(kTenants);
            const std::size_t size = 1 + rng.below(300);
            const std::string id = std::to_string(tenant == 0 ? i : rng.below(60));
            if (tenant == 0) {
                if (own.size() == kCount / kTenants || own_bytes + size > kBytes / kTenants)
                    continue;
                own.push_back(id);
                own_bytes += size;
            }
            store.add({id, std::to_string(tenant), "", std::string(size, 'x'), "", ""});
            ASSERT_LE(store.count(), kCount);
            ASSERT_LE(store.bytes(), kBytes);
            for (const std::string& one : own) ASSERT_NE(store.find("0", one), nullptr);
        }
        for (const std::string& one : own) EXPECT_TRUE(store.remove("0", one));
    });
}

TEST(AnswerWriter, PhasesThatWereNotReachedAreNull) {
    GenerationEnd end;
    end.received = base::Instant{1};
    const Timings timings = timings_of(end);
    EXPECT_EQ(timings.ttft_ms, std::nullopt);
    EXPECT_EQ(timings.decode_tokens_per_s, std::nullopt);
}

TEST(LogprobText, TextOffsetsCountOverEvents) {
    LogprobText logprobs;
    const TokenLogprobs token{{1, "ab", -0.5f}, {{1, "ab", -0.5f}, {2, "c", -1.5f}}};
    std::string out;
    logprobs.add(false, {&token, 1});
    logprobs.append_to(out, false);
    EXPECT_EQ(out, R"({"tokens":["ab"],"token_logprobs":[-0.5],)"
                   R"("top_logprobs":[{"ab":-0.5,"c":-1.5}],"text_offset":[0]})");
    EXPECT_TRUE(logprobs.empty());
    out.clear();
    logprobs.add(false, {&token, 1});
    logprobs.append_to(out, false);
    EXPECT_THAT(out, testing::HasSubstr(R"("text_offset":[2])"));
}

RequestRecord row(std::string id) {
    RequestRecord record;
    record.id = std::move(id);
    return record;
}

TEST(RequestLog, PagesFromTheNewestAndForgetsTheOldest) {
    RequestLog log(5);
    for (int i = 0; i < 8; ++i) log.add(row("r" + std::to_string(i)));
    const auto first = log.page(3, "");
    ASSERT_TRUE(first);
    ASSERT_EQ(first->records.size(), 3U);
    EXPECT_EQ(first->records[0]->id, "r7");
    EXPECT_EQ(first->next_before, "r5");
    const auto second = log.page(3, first->next_before);
    ASSERT_TRUE(second);
    ASSERT_EQ(second->records.size(), 2U);
    EXPECT_EQ(second->records[1]->id, "r3");
    EXPECT_EQ(second->next_before, "");
    EXPECT_FALSE(log.page(3, "r2")) << "forgotten";
    EXPECT_EQ(log.find("r0"), nullptr);
    EXPECT_EQ(log.find("r6")->id, "r6");
}

base::Instant at_seconds(double s) {
    return base::Instant{static_cast<std::int64_t>(s * 1e9) + 1};
}

TEST(LiveStats, RatesAreOverTheLastTickAndPercentilesOverAMinute) {
    LiveStats stats(at_seconds(0));
    LiveStats::Inputs inputs;
    inputs.now = at_seconds(10);
    inputs.backend.completion_tokens_total = 100;
    stats.tick(inputs);
    for (int i = 1; i <= 100; ++i) {
        LiveStats::Latencies seen;
        seen.ttft_ms = i;
        seen.e2e_ms = 2.0 * i;
        seen.failed = i % 10 == 0;
        stats.record(at_seconds(10.5), seen);
    }
    inputs.now = at_seconds(12);
    inputs.backend.completion_tokens_total = 300;
    stats.tick(inputs);
    auto sample = base::parse_json(stats.latest()).value();
    EXPECT_EQ(sample.at("decode_tokens_per_s").as_double(), 100);
    EXPECT_EQ(sample.at("requests_per_s").as_double(), 50);
    EXPECT_EQ(sample.at("requests_total").as_int64(), 100);
    EXPECT_EQ(sample.at("errors_total").as_int64(), 10);
    EXPECT_EQ(sample.at("ttft_ms").at("p50").as_double(), 50);
    EXPECT_EQ(sample.at("ttft_ms").at("p95").as_double(), 95);
    EXPECT_EQ(sample.at("e2e_ms").at("p95").as_double(), 190);
    EXPECT_TRUE(sample.at("itl_ms").at("p50").is_null());
    EXPECT_EQ(sample.at("uptime_s").as_double(), 12);
    inputs.now = at_seconds(71);
    sample = base::parse_json(stats.sample(inputs)).value();
    EXPECT_TRUE(sample.at("ttft_ms").at("p50").is_null()) << "older than a minute";
    EXPECT_EQ(stats.history().size(), 2U);
}

TEST(LiveStats, HitRateIsTheLastMinutesShareOfPromptTokens) {
    LiveStats stats(at_seconds(0));
    LiveStats::Inputs inputs;
    const auto rate = [&] {
        return base::parse_json(stats.sample(inputs)).value().at("prefix_hit_rate");
    };
    EXPECT_TRUE(rate().is_null());
    inputs.backend.prompt_tokens_total = 1000;
    inputs.backend.cached_tokens_total = 0;
    inputs.now = at_seconds(1);
    stats.tick(inputs);
    EXPECT_TRUE(rate().is_null()) << "nothing since";
    inputs.backend.prompt_tokens_total = 1050;  // those that were computed
    inputs.backend.cached_tokens_total = 150;
    EXPECT_DOUBLE_EQ(rate().as_double(), 0.75);
    for (int i = 2; i < 70; ++i) {
        inputs.now = at_seconds(i);
        stats.tick(inputs);
    }
    EXPECT_TRUE(rate().is_null()) << "longer ago than a minute";
}

TEST(LiveStats, HistoryIsFifteenMinutes) {
    LiveStats stats(at_seconds(0));
    LiveStats::Inputs inputs;
    for (int i = 0; i < 1000; ++i) {
        inputs.now = at_seconds(i);
        inputs.unix_ms = i;
        stats.tick(inputs);
    }
    const auto history = stats.history();
    ASSERT_EQ(history.size(), 900U);
    EXPECT_EQ(base::parse_json(history.front())->at("unix_ms").as_int64(), 100);
}

ModelCard card(std::string id, bool generates) {
    ModelCard out;
    out.id = std::move(id);
    out.generates = generates;
    return out;
}

TEST(ChooseModel, ANameIsNeededOnlyWhereSeveralCouldBeMeant) {
    const auto chosen = [](const std::vector<ModelCard>& cards, std::string_view name, Task task) {
        const auto model = choose_model(cards, name, task);
        return model ? model->id : std::string(base::code_name(model.error().code));
    };
    const std::string missing(base::code_name(base::Code::failed_precondition));
    const std::vector<ModelCard> one{card("a", true)};
    const std::vector<ModelCard> pair{card("a", true), card("e", false)};
    const std::vector<ModelCard> many{card("a", true), card("b", true)};
    EXPECT_EQ(chosen(many, "b", Task::generate), "b");
    EXPECT_EQ(chosen(many, "c", Task::generate), base::code_name(base::Code::not_found));
    EXPECT_EQ(chosen(one, "", Task::generate), "a");
    EXPECT_EQ(chosen(one, "", Task::embed), "a");
    EXPECT_EQ(chosen(pair, "", Task::generate), "a");
    EXPECT_EQ(chosen(pair, "", Task::embed), "e");
    EXPECT_EQ(chosen(many, "", Task::generate), missing);
    EXPECT_EQ(chosen(many, "", Task::embed), missing);
    EXPECT_EQ(chosen(many, "", Task::tokenize), "a");
    EXPECT_EQ(chosen({card("e", false)}, "", Task::generate), missing);
    EXPECT_EQ(chosen({}, "", Task::tokenize), missing);
    EXPECT_EQ(model_error(choose_model({}, "", Task::tokenize).error()).status, 400);
}

}  // namespace
