#include "engine/packed_weights.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/core/clock.h"
#include "base/core/rng.h"
#include "base/exec/thread_pool.h"
#include "base/files/files.h"
#include "engine/engine.h"
#include "engine/kernels/packed.h"
#include "engine/model_files/file_type.h"
#include "engine/model_files/quantize.h"
#include "support/sharded_model.h"
#include "support/temp_dir.h"
#include "unit/engine/serving/engine_fixture.h"

namespace {

namespace fs = std::filesystem;
using engine::PackedWeights;
using engine::TensorType;
using engine::TensorView;

/// Three matrices of random bytes, one of them of a type without a packed form, beside a stand-in
/// for their model file.
class PackedWeightsTest : public ::testing::Test {
protected:
    PackedWeightsTest() : bytes_(1 << 16) {
        base::Rng rng(7);
        for (std::byte& b : bytes_) b = static_cast<std::byte>(rng.next());
        write_model("a model");
        add("blk.0.attn_q.weight", TensorType::q4_1, 64, 40);
        add("blk.0.attn_k.weight", TensorType::f16, 64, 16);
        add("output.weight", TensorType::q6_k, 256, 33);
    }
    void SetUp() override {
        if (engine::packed_bytes(views_[0]) == 0) GTEST_SKIP() << "nothing is packed here";
    }

    void add(const char* name, TensorType type, std::uint64_t in, std::uint64_t outs) {
        TensorView& view = views_.emplace_back();
        view.name = name;
        view.type = type;
        view.dims = {in, outs, 1, 1};
        view.data = bytes_.data() + views_.size() * 32;
    }
    void write_model(const std::string& text) { std::ofstream(model_path()) << text; }
    std::string model_path() const { return temp_.path() + "/model.gguf"; }
    std::string dir() const { return temp_.path() + "/cache/packed"; }
    std::vector<TensorView*> pointers() {
        std::vector<TensorView*> pointers;
        for (TensorView& view : views_) {
            view.packed = nullptr;
            pointers.push_back(&view);
        }
        return pointers;
    }
    std::unique_ptr<PackedWeights> begin(const std::string& dir) {
        engine::PackedOptions options;
        options.threads = 2;
        options.layers = 1;
        options.dir = dir;
        options.model_files = opened_;
        if (opened_.empty()) options.model_files = {stamped(model_path())};
        options.model_is_unchanged = [this] { return unchanged_; };
        auto weights = PackedWeights::begin(pointers(), options, gate_);
        EXPECT_TRUE(weights) << weights.error().message;
        return *std::move(weights);
    }
    static engine::StampedFile stamped(const std::string& path) {
        return {path, base::stamp_of(path).value()};
    }
    /// Settled: nothing is filled or written any more.
    std::unique_ptr<PackedWeights> open_in_file() {
        auto weights = begin(dir());
        weights->wait_until_settled();
        EXPECT_TRUE(gate_.all_open());
        return weights;
    }
    void expect_packed() {
        for (const TensorView& view : views_) {
            SCOPED_TRACE(view.name);
            const std::size_t bytes = engine::packed_bytes(view);
            if (bytes == 0) {
                EXPECT_EQ(view.packed, nullptr);
                continue;
            }
            ASSERT_NE(view.packed, nullptr);
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(view.packed) % engine::kPackedAlignment, 0u);
            std::vector<std::byte> expected(bytes);
            engine::pack(pool_, view, expected.data());
            EXPECT_EQ(std::memcmp(view.packed, expected.data(), bytes), 0);
        }
    }
    std::string only_file() const {
        std::vector<std::string> found;
        for (const auto& entry : fs::directory_iterator(dir())) found.push_back(entry.path());
        EXPECT_EQ(found.size(), 1u);
        return found.at(0);
    }

    test::TempDir temp_;
    base::ThreadPool pool_{2};
    engine::WeightGate gate_;
    std::vector<std::byte> bytes_;
    std::vector<TensorView> views_;
    std::vector<engine::StampedFile> opened_;  ///< empty: the model as it is now
    bool unchanged_ = true;
};

TEST_F(PackedWeightsTest, MemoryHoldsEveryMatrixThatHasAPackedForm) {
    const auto weights = begin("");
    gate_.wait_for_all();
    expect_packed();
    EXPECT_EQ(weights->bytes(), PackedWeights::bytes_needed(pointers()));
    EXPECT_FALSE(weights->from_file());
}

TEST_F(PackedWeightsTest, AFileIsMadeOnceAndMappedAgain) {
    {
        const auto made = open_in_file();
        expect_packed();
        EXPECT_FALSE(made->from_file());
    }
    const std::string kept = base::read_file(only_file()).value();
    const auto mapped = open_in_file();
    expect_packed();
    EXPECT_TRUE(mapped->from_file());
    EXPECT_EQ(mapped->repaired(), 0u);
    EXPECT_EQ(base::read_file(only_file()).value(), kept);
}

TEST_F(PackedWeightsTest, ADamagedMatrixIsPackedAgainAndTheFileReplaced) {
    { const auto made = open_in_file(); }
    const std::string path = only_file();
    const std::string whole = base::read_file(path).value();
    base::Rng rng(11);
    for (int round = 0; round < 20; ++round) {
        std::string damaged = whole;
        const std::size_t matrices_bytes = PackedWeights::bytes_needed(pointers());
        char& hit = damaged[4096 + rng.below(matrices_bytes)];
        hit = static_cast<char>(hit ^ 1 << rng.below(8));
        ASSERT_TRUE(base::write_file_atomically(path, damaged));
        {
            const auto repaired = open_in_file();
            EXPECT_EQ(repaired->repaired(), 1u);
            expect_packed();
        }
        EXPECT_FALSE(fs::exists(path)) << "the next start would trust it";
    }
    { const auto again = open_in_file(); }
    EXPECT_EQ(base::read_file(path).value(), whole);
}

TEST_F(PackedWeightsTest, AnyDamageLeavesTheRightWeights) {
    { const auto made = open_in_file(); }
    const std::string path = only_file();
    const std::string whole = base::read_file(path).value();
    base::Rng rng(12);
    for (int round = 0; round < 200; ++round) {
        SCOPED_TRACE(round);
        std::string damaged = whole;
        for (std::size_t i = 0; i <= rng.below(8); ++i) {
            damaged[rng.below(damaged.size())] = static_cast<char>(rng.next());
        }
        if (rng.below(4) == 0) damaged.resize(rng.below(damaged.size()));
        if (rng.below(8) == 0) damaged += std::string(rng.below(5000), 'x');
        ASSERT_TRUE(base::write_file_atomically(path, damaged));
        const auto opened = open_in_file();
        expect_packed();
    }
}

TEST_F(PackedWeightsTest, LayersOpenInOrderAndTheEndLast) {
    TensorView late = views_[2];
    std::vector<TensorView*> matrices = {&late, &views_[0]};
    const auto planned = engine::plan_packed(matrices, 3);
    ASSERT_EQ(planned.size(), 2u);
    EXPECT_EQ(planned[0].view, &views_[0]);
    EXPECT_EQ(planned[0].stage, 0u);
    EXPECT_EQ(planned[1].view, &late);
    EXPECT_EQ(planned[1].stage, 3u);
}

TEST_F(PackedWeightsTest, EndingEarlyLetsWaitersThroughAndKeepsNoHalfFile) {
    for (int round = 0; round < 20; ++round) {
        { const auto begun = begin(dir()); }
        EXPECT_TRUE(gate_.all_open());
        for (const auto& entry : fs::directory_iterator(dir())) {
            EXPECT_EQ(entry.path().extension(), ".packed") << entry.path();
        }
    }
}

TEST_F(PackedWeightsTest, SweepingRemovesWhatNoModelNeeds) {
    { const auto made = open_in_file(); }
    const std::string kept = only_file();
    std::ofstream(dir() + "/0123.packed") << "dougong packed weights 1.1\nolder";
    std::ofstream(dir() + "/0123.packed.tmp-00000000000000aa") << "half";
    auto writing = base::AtomicFileWriter::create(dir() + "/4567.packed");
    ASSERT_TRUE(writing);
    std::ofstream(dir() + "/notes.txt") << "somebody's";
    EXPECT_EQ(engine::sweep_packed_dir(dir()), 2u);
    EXPECT_TRUE(fs::exists(kept));
    EXPECT_TRUE(writing->commit()) << "it was still being written";
    EXPECT_EQ(engine::sweep_packed_dir(dir()), 1u) << "it is no side file";
    EXPECT_TRUE(fs::exists(dir() + "/notes.txt"));
    write_model("another model");
    EXPECT_EQ(engine::sweep_packed_dir(dir()), 1u);
    EXPECT_FALSE(fs::exists(kept));
    EXPECT_EQ(engine::sweep_packed_dir(dir() + "/missing"), 0u);
}

TEST_F(PackedWeightsTest, AnotherModelUnderThePathReplacesTheFile) {
    { const auto made = open_in_file(); }
    for (std::byte& b : bytes_) b ^= std::byte{0x55};
    write_model("a longer model");
    const auto again = open_in_file();
    expect_packed();
    only_file();
}

TEST_F(PackedWeightsTest, AnotherModelOfTheSameSizeAndDateReplacesTheFile) {
    { const auto made = open_in_file(); }
    struct stat before = {};
    ASSERT_EQ(::stat(model_path().c_str(), &before), 0);
    for (std::byte& b : bytes_) b ^= std::byte{0x55};
    write_model("b model");
    // As tar, rsync and image layers do. A file system's clock may stand still for some ms.
    struct stat after = before;
    while (after.st_ctim.tv_nsec == before.st_ctim.tv_nsec) {
        const timespec times[] = {before.st_atim, before.st_mtim};
        ASSERT_EQ(::utimensat(AT_FDCWD, model_path().c_str(), times, 0), 0);
        ASSERT_EQ(::stat(model_path().c_str(), &after), 0);
    }
    const auto again = open_in_file();
    EXPECT_FALSE(again->from_file());
    expect_packed();
}

TEST_F(PackedWeightsTest, AModelRenamedOverAnOpenOneGetsAFileOfItsOwn) {
    opened_ = {stamped(model_path())};
    ASSERT_TRUE(base::write_file_atomically(model_path(), "b model"));  // opened before, read after
    {
        const auto made = open_in_file();
        expect_packed();
    }
    opened_.clear();
    for (std::byte& b : bytes_) b ^= std::byte{0x55};  // what the new file holds
    const auto again = open_in_file();
    EXPECT_FALSE(again->from_file());
    EXPECT_EQ(again->repaired(), 0u);
    expect_packed();
}

TEST_F(PackedWeightsTest, NothingIsKeptOfAModelThatChangedMeanwhile) {
    unchanged_ = false;
    {
        const auto made = open_in_file();
        expect_packed();
    }
    EXPECT_TRUE(fs::is_empty(dir()));
}

TEST_F(PackedWeightsTest, AModelInSeveralFilesIsAllOfThem) {
    const std::string first = temp_.path() + "/m-00001-of-00002.gguf";
    const std::string second = temp_.path() + "/m-00002-of-00002.gguf";
    test::write_text(first, "first");
    test::write_text(second, "second");
    const auto open = [&] {
        opened_ = {stamped(first), stamped(second)};
        return open_in_file()->from_file();
    };
    EXPECT_FALSE(open());
    EXPECT_TRUE(open());
    EXPECT_EQ(engine::sweep_packed_dir(dir()), 0u);
    ASSERT_TRUE(base::write_file_atomically(second, "another"));
    EXPECT_EQ(engine::sweep_packed_dir(dir()), 1u);
    EXPECT_FALSE(open());
    EXPECT_TRUE(open());
    fs::remove(second);
    EXPECT_EQ(engine::sweep_packed_dir(dir()), 1u);
}

TEST_F(PackedWeightsTest, OtherMatricesReplaceTheFile) {
    { const auto made = open_in_file(); }
    views_[0].dims[1] = 24;
    const auto again = open_in_file();
    expect_packed();
}

TEST_F(PackedWeightsTest, ADamagedFileIsMadeAgain) {
    { const auto made = open_in_file(); }
    const std::string whole = base::read_file(only_file()).value();
    std::string bad_head = whole, bad_end = whole;
    bad_head[40] = static_cast<char>(bad_head[40] ^ 1);
    bad_end[whole.size() - 4096 + 40] = '\0';
    for (const std::string& damaged :
         {std::string(), bad_head, bad_end, whole.substr(0, whole.size() - 1), whole + "x"}) {
        ASSERT_TRUE(base::write_file_atomically(only_file(), damaged));
        const auto again = open_in_file();
        expect_packed();
        EXPECT_EQ(base::read_file(only_file()).value(), whole);
    }
}

TEST_F(PackedWeightsTest, AFolderThatCannotBeMadeIsNamed) {
    engine::PackedOptions options;
    options.dir = model_path() + "/packed";
    options.model_files = {stamped(model_path())};
    const auto weights = PackedWeights::begin(pointers(), options, gate_);
    ASSERT_FALSE(weights);
    EXPECT_NE(weights.error().message.find(model_path()), std::string::npos)
        << weights.error().message;
    for (const TensorView& view : views_) EXPECT_EQ(view.packed, nullptr);
}

TEST(PackedEngine, AnswersTheSameFromMemoryAFreshFileAndAKeptOne) {
    const test::TempDir temp;
    const std::string model = temp.file("smoke-q8.gguf");
    const std::string smoke = std::string(DG_SOURCE_DIR) + "/assets/stories260K-f16.gguf";
    ASSERT_TRUE(engine::quantize_model(smoke, model, *engine::file_type_from_name("Q8_0")));
    const base::SystemClock clock;
    const std::string folders[] = {"", temp.file("packed"), temp.file("packed")};
    std::vector<std::vector<float>> vectors;
    for (const std::string& folder : folders) {
        engine::EngineOptions options;
        options.threads = 2;
        options.packed_dir = folder;
        const auto engine = engine::Engine::open(model, options, clock);
        ASSERT_TRUE(engine) << engine.error().message;
        const std::vector<std::string> texts = {"Once upon a time there was a small dog."};
        const auto embedded = (*engine)->embed(texts);
        ASSERT_TRUE(embedded) << embedded.error().message;
        vectors.push_back(embedded->at(0));
    }
    EXPECT_EQ(vectors[1], vectors[0]);
    EXPECT_EQ(vectors[2], vectors[0]);
}

TEST(PackedEngine, AnswersTheSameFromShards) {
    const test::TempDir temp;
    const std::string whole = temp.file("smoke-q8.gguf");
    const std::string smoke = std::string(DG_SOURCE_DIR) + "/assets/stories260K-f16.gguf";
    ASSERT_TRUE(engine::quantize_model(smoke, whole, *engine::file_type_from_name("Q8_0")));
    const auto shards = test::write_shards(whole, temp.path(), "smoke", 3);
    const base::SystemClock clock;
    std::vector<std::string> texts;
    for (const std::string& model : {whole, shards[0], shards[0]}) {
        engine::EngineOptions options;
        options.threads = 2;
        options.packed_dir = temp.file("packed");
        const auto outline = engine::Engine::outline(model, options);
        ASSERT_TRUE(outline) << outline.error().message;
        const auto engine = engine::Engine::open(model, options, clock);
        ASSERT_TRUE(engine) << engine.error().message;
        const auto prompt = (*engine)->tokenizer().encode("Once upon a time");
        texts.push_back(test::generate(**engine, test::greedy(prompt, 40)).sink->text());
    }
    EXPECT_FALSE(texts[0].empty());
    EXPECT_EQ(texts[1], texts[0]);
    EXPECT_EQ(texts[2], texts[0]);
}

}  // namespace
