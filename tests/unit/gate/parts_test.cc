// The small pure parts of the gateway.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <limits>

#include "base/json/json.h"
#include "gate/answer_writer.h"
#include "gate/json_text.h"
#include "gate/live_stats.h"
#include "gate/model_choice.h"
#include "gate/request_log.h"
#include "gate/worker.h"
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

TEST(AnswerWriter, EventsAreOneJsonDocumentEach) {
    AnswerWriter::Facts facts;
    facts.id = "chatcmpl-1";
    facts.model = "a\"b";
    facts.system_fingerprint = "fp";
    facts.include_usage = true;
    const AnswerWriter writer(facts);
    std::string out;
    writer.append_role_event(out, 0);
    writer.append_delta_event(out, 1, "line\nbreak", nullptr);
    GenerationEnd end;
    end.prompt_tokens = 10;
    end.cached_tokens = 4;
    end.completion_tokens = 5;
    end.received = base::Instant{1'000'000};
    end.templated = base::Instant{2'000'000};
    end.started = base::Instant{3'000'000};
    end.first_token = base::Instant{6'000'000};
    end.finished = base::Instant{10'000'000};
    writer.append_finish_event(out, 0, end);
    writer.append_usage_event(out, {10, 4, 5}, timings_of(end));
    std::vector<base::json::value> events;
    while (!out.empty()) {
        ASSERT_TRUE(out.starts_with("data: "));
        const auto stop = out.find("\n\n");
        ASSERT_NE(stop, std::string::npos);
        auto event = base::parse_json(out.substr(6, stop - 6));
        ASSERT_TRUE(event) << out;
        events.push_back(std::move(*event));
        out.erase(0, stop + 2);
    }
    ASSERT_EQ(events.size(), 4U);
    EXPECT_EQ(events[0].at("choices").at(0).at("delta").at("role").as_string(), "assistant");
    EXPECT_TRUE(events[0].at("usage").is_null());
    EXPECT_EQ(events[1].at("choices").at(0).at("index").as_int64(), 1);
    EXPECT_EQ(events[1].at("choices").at(0).at("delta").at("content").as_string(), "line\nbreak");
    EXPECT_EQ(events[1].at("model").as_string(), "a\"b");
    EXPECT_EQ(events[2].at("choices").at(0).at("finish_reason").as_string(), "stop");
    EXPECT_EQ(events[3].at("choices").as_array().size(), 0U);
    EXPECT_EQ(events[3].at("usage").at("total_tokens").as_int64(), 15);
    EXPECT_EQ(events[3].at("usage").at("prompt_tokens_details").at("cached_tokens").as_int64(), 4);
    const auto& timings = events[3].at("timings");
    EXPECT_EQ(timings.at("ttft_ms").as_double(), 5);
    EXPECT_EQ(timings.at("prefill_tokens_per_s").as_double(), 2000);
    EXPECT_EQ(timings.at("decode_tokens_per_s").as_double(), 1000);
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
    TokenDelta delta;
    delta.chosen = TokenText{1, "ab", -0.5f};
    delta.top = {{1, "ab", -0.5f}, {2, "c", -1.5f}};
    std::string out;
    logprobs.add(false, delta);
    logprobs.append_to(out, false);
    EXPECT_EQ(out, R"({"tokens":["ab"],"token_logprobs":[-0.5],)"
                   R"("top_logprobs":[{"ab":-0.5,"c":-1.5}],"text_offset":[0]})");
    EXPECT_TRUE(logprobs.empty());
    out.clear();
    logprobs.add(false, delta);
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
    inputs.backend.prompt_tokens_total = 1200;
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

TEST(Worker, RefusesWhenFullAndFinishesWhatItTook) {
    std::promise<void> release;
    std::promise<void> running;
    std::atomic<int> done{0};
    Worker worker(1, 2);
    ASSERT_TRUE(worker.post([&] {
        running.set_value();
        release.get_future().wait();
        ++done;
    }));
    running.get_future().wait();
    EXPECT_TRUE(worker.post([&] { ++done; }));
    EXPECT_TRUE(worker.post([&] { ++done; }));
    EXPECT_FALSE(worker.post([&] { ++done; }));
    release.set_value();
    worker.stop();
    EXPECT_EQ(done, 3);
    EXPECT_FALSE(worker.post([] {}));
}

}  // namespace
