// A pass that stops between parts gives the same bits as a whole one, whatever runs in between.

#include "engine/graph/pass_in_parts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/files/files.h"
#include "engine/packed_weights.h"
#include "support/seeds.h"
#include "unit/engine/graph/graph_runner.h"
#include "unit/engine/graph/synthetic_model.h"

namespace {

using engine::BatchRow;
using engine::KvSequence;
using engine::PassInParts;
using test::GraphRunner;
using Ids = std::vector<std::int32_t>;

engine::GgufFile smoke_model() {
    auto file = engine::GgufFile::open(test::source_path("assets/stories260K-f16.gguf"));
    EXPECT_TRUE(file.has_value());
    return *std::move(file);
}

Ids random_ids(base::Rng& rng, const GraphRunner& runner, std::size_t count) {
    Ids ids(count);
    for (auto& id : ids) id = static_cast<std::int32_t>(rng.below(runner.vocab()));
    return ids;
}

/// Reads one text chunk by chunk, each in parts, and remembers the logits of every position.
class Reader {
public:
    Reader(GraphRunner& runner, Ids ids)
        : runner_(runner),
          ids_(std::move(ids)),
          kv_(runner.sequence(static_cast<std::uint32_t>(ids_.size()))),
          pass_(32, runner.decoder().config().dim) {}

    bool ended() const { return at_ == ids_.size(); }
    bool half_done() const { return reading_; }
    /// One part, of a new chunk of `rows` rows where none is half done.
    void go_on(std::uint32_t rows) {
        if (!reading_) begin(rows);
        runner_.decoder().advance(runner_.pool(), pass_);
        if (!pass_.done()) return;
        const auto logits = runner_.decoder().logits(runner_.pool(), pass_);
        logits_.insert(logits_.end(), logits.begin(), logits.end());
        at_ += static_cast<std::uint32_t>(pass_.rows().size());
        kv_.set_written(at_);
        reading_ = false;
    }
    /// The chunk that is half done never happened.
    void drop() { reading_ = false; }
    const Ids& ids() const { return ids_; }
    const std::vector<float>& logits() const { return logits_; }

private:
    void begin(std::uint32_t rows) {
        std::vector<BatchRow> batch;
        const auto end =
            static_cast<std::uint32_t>(std::min<std::size_t>(ids_.size(), std::size_t{at_} + rows));
        for (std::uint32_t p = at_; p < end; ++p) batch.push_back({ids_[p], &kv_, p, true});
        runner_.decoder().begin(runner_.pool(), pass_, batch);
        reading_ = true;
    }

    GraphRunner& runner_;
    Ids ids_;
    KvSequence kv_;
    PassInParts pass_;
    std::uint32_t at_ = 0;
    bool reading_ = false;
    std::vector<float> logits_;
};

/// Three texts whose chunks are half done at the same time, dropped at times, and whole passes of a
/// fourth in between.
void expect_same_bits(GraphRunner& runner, base::Rng& rng, const std::string& what) {
    std::vector<Reader> readers;
    for (int i = 0; i < 3; ++i) {
        readers.emplace_back(runner, random_ids(rng, runner, 20 + rng.below(60)));
    }
    const Ids other = random_ids(rng, runner, 40);
    const auto other_alone = runner.all_logits(other, 1);
    std::uint32_t drops = 4;
    while (!std::ranges::all_of(readers, &Reader::ended)) {
        Reader& reader = readers[rng.below(readers.size())];
        if (!reader.ended()) reader.go_on(static_cast<std::uint32_t>(1 + rng.below(32)));
        if (reader.half_done() && drops > 0 && rng.below(10) == 0) {
            reader.drop();
            --drops;
        }
        if (rng.below(12) == 0) {
            ASSERT_EQ(runner.all_logits(other, 7), other_alone) << what;
        }
    }
    for (const Reader& reader : readers) {
        const auto alone = runner.all_logits(reader.ids(), 1);
        ASSERT_EQ(reader.logits().size(), alone.size()) << what;
        EXPECT_EQ(std::memcmp(reader.logits().data(), alone.data(), alone.size() * sizeof(float)),
                  0)
            << what;
    }
}

/// One text in one pass of parts, of which chance says which rows want output.
struct OnePass {
    OnePass(GraphRunner& runner, base::Rng& rng, std::size_t rows)
        : ids(random_ids(rng, runner, rows)),
          kv(runner.sequence(static_cast<std::uint32_t>(rows))),
          pass(32, runner.decoder().config().dim) {
        const std::vector<float> all = runner.all_logits(ids, 1);
        std::vector<BatchRow> batch;
        const bool unread = rng.below(4) == 0;
        for (std::uint32_t p = 0; p < rows; ++p) {
            const bool read = !unread && rng.below(2) == 0;
            batch.push_back({ids[p], &kv, p, read});
            const auto first = all.begin() + std::ptrdiff_t{p} * runner.vocab();
            if (read) expected.insert(expected.end(), first, first + runner.vocab());
        }
        runner.decoder().begin(runner.pool(), pass, batch);
    }
    void go_to(GraphRunner& runner, std::uint32_t part) {
        while (pass.part() < std::min(part, pass.parts())) {
            runner.decoder().advance(runner.pool(), pass);
        }
    }
    void expect_same_bits(GraphRunner& runner, const std::string& what) {
        go_to(runner, pass.parts());
        const auto logits = runner.decoder().logits(runner.pool(), pass);
        ASSERT_EQ(logits.size(), expected.size()) << what;
        EXPECT_TRUE(std::ranges::equal(std::as_bytes(logits), std::as_bytes(std::span(expected))))
            << what;
    }

    Ids ids;
    KvSequence kv;
    PassInParts pass;
    std::vector<float> expected;
};

/// A chunk, and rows that go along with it through some parts and alone through the others.
void expect_same_bits_together(GraphRunner& runner, base::Rng& rng, const std::string& what) {
    for (int round = 0; round < 8; ++round) {
        OnePass chunk(runner, rng, 1 + rng.below(24)), riders(runner, rng, 1 + rng.below(8));
        const std::uint32_t common = std::min(chunk.pass.parts(), riders.pass.parts());
        const auto from = static_cast<std::uint32_t>(rng.below(common));
        const auto to = static_cast<std::uint32_t>(from + 1 + rng.below(common - from));
        chunk.go_to(runner, from);
        riders.go_to(runner, from);
        for (std::uint32_t part = from; part < to; ++part) {
            runner.decoder().advance(runner.pool(), chunk.pass, riders.pass);
        }
        EXPECT_EQ(riders.pass.part(), to);
        chunk.expect_same_bits(runner, what + ", chunk");
        riders.expect_same_bits(runner, what + ", riders");
    }
}

TEST(PassInParts, ChangesNoBitForAnyKvType) {
    for (const engine::KvType type :
         {engine::KvType::f16, engine::KvType::bf16, engine::KvType::q8}) {
        GraphRunner runner(smoke_model(), 0, 64, type);
        ASSERT_TRUE(runner.ok());
        test::for_each_seed(2, [&](base::Rng& rng) {
            expect_same_bits(runner, rng, std::string(engine::kv_type_name(type)));
            expect_same_bits_together(runner, rng, std::string(engine::kv_type_name(type)));
        });
    }
}

TEST(PassInParts, ChangesNoBitForAnyArchitecture) {
    const auto folder = base::TemporaryDir::create(testing::TempDir(), "models");
    ASSERT_TRUE(folder.has_value());
    base::Rng rng(5);
    std::size_t with_experts = 0, with_windows = 0;
    for (const test::SyntheticModel& model : test::synthetic_models()) {
        if (model.encoder) continue;
        const std::string path = folder->path() + "/" + model.name + ".gguf";
        test::write_synthetic(model, path);
        auto file = engine::GgufFile::open(path);
        ASSERT_TRUE(file.has_value()) << model.name;
        GraphRunner runner(*std::move(file), model.context_tokens);
        ASSERT_TRUE(runner.ok()) << model.name;
        const engine::DecoderConfig& config = runner.decoder().config();
        with_experts += config.experts.count > 0 ? 1 : 0;
        with_windows +=
            std::ranges::any_of(config.window, [](std::uint32_t w) { return w > 0; }) ? 1 : 0;
        expect_same_bits(runner, rng, model.name);
        expect_same_bits_together(runner, rng, model.name);
        const auto packed =
            engine::PackedWeights::in_memory(runner.pool(), runner.decoder().products());
        ASSERT_TRUE(packed.has_value());
        expect_same_bits(runner, rng, model.name + " packed");
        expect_same_bits_together(runner, rng, model.name + " packed");
    }
    EXPECT_GT(with_experts, 0u);
    EXPECT_GT(with_windows, 0u);
}

TEST(PassInParts, WithoutAReaderItEndsAtTheLastCacheWrite) {
    GraphRunner runner(smoke_model());
    ASSERT_TRUE(runner.ok());
    const KvSequence kv = runner.sequence(2);
    PassInParts pass(2, runner.decoder().config().dim);
    const auto parts_of = [&](bool read) {
        const std::vector<BatchRow> rows = {{1, &kv, 0, false}, {403, &kv, 1, read}};
        runner.decoder().begin(runner.pool(), pass, rows);
        while (!pass.done()) runner.decoder().advance(runner.pool(), pass);
        EXPECT_EQ(runner.decoder().logits(runner.pool(), pass).size(), read ? runner.vocab() : 0u);
        return pass.part();
    };
    EXPECT_EQ(parts_of(true), runner.decoder().parts());
    EXPECT_EQ(parts_of(false), runner.decoder().parts() - 1);
}

}  // namespace
