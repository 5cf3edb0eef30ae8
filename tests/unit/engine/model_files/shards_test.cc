#include "engine/model_files/shards.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "engine/model_files/gguf.h"
#include "engine/model_files/quantize.h"
#include "support/seeds.h"
#include "support/sharded_model.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;
using base::Code;
using engine::GgufFile;
using engine::TensorView;

const std::string kStories = std::string(DG_SOURCE_DIR) + "/assets/stories260K-f16.gguf";

TEST(ShardNames, AreTheFieldsOwn) {
    EXPECT_EQ(
        engine::shard_names("a/m-Q4_0-00002-of-00003.gguf"),
        (std::vector<std::string>{"a/m-Q4_0-00001-of-00003.gguf", "a/m-Q4_0-00002-of-00003.gguf",
                                  "a/m-Q4_0-00003-of-00003.gguf"}));
    for (const char* alone : {"m.gguf", "m-00001-of-00002.bin", "m-00003-of-00002.gguf",
                              "m-00000-of-00002.gguf", "m-1-of-2.gguf", "m-0000x-of-00002.gguf",
                              "-00001-of-00002.gguf", "m-00001-of-99999.gguf"}) {
        EXPECT_EQ(engine::shard_names(alone), std::vector<std::string>{alone});
    }
}

class Shards : public ::testing::Test {
protected:
    std::vector<std::string> write(std::uint32_t count, const test::ShardClaims& claims = {},
                                   const std::string& stem = "m") {
        return test::write_shards(kStories, dir_.path(), stem, count, claims);
    }
    /// The refusal of opening `path`, which must name `named` and say something to do.
    Code refusal(const std::string& path, const std::string& named) {
        const auto file = GgufFile::open(path);
        if (file) return Code::internal;
        EXPECT_NE(file.error().message.find(named), std::string::npos) << file.error().message;
        return file.error().code;
    }
    void expect_stories(const GgufFile& file) {
        const auto whole = GgufFile::open(kStories);
        ASSERT_EQ(file.tensors().size(), whole->tensors().size());
        for (const TensorView& tensor : whole->tensors()) {
            SCOPED_TRACE(tensor.name);
            const auto found = file.tensor(tensor.name);
            ASSERT_TRUE(found);
            ASSERT_EQ(found->dims, tensor.dims);
            EXPECT_EQ(std::memcmp(found->data, tensor.data, tensor.bytes()), 0);
        }
        EXPECT_EQ(file.get_strings("tokenizer.ggml.tokens").value(),
                  whole->get_strings("tokenizer.ggml.tokens").value());
        EXPECT_EQ(engine::read_model_info(file)->parameters, 260'032u);
    }

    test::TempDir dir_;
};

TEST_F(Shards, AreOneModel) {
    for (const bool in_first : {true, false}) {
        const auto paths = write(3, {.tensors_in_first = in_first});
        const auto file = GgufFile::open(paths[0]);
        ASSERT_TRUE(file) << file.error().message;
        expect_stories(*file);
        ASSERT_EQ(file->files().size(), 3u);
        std::uint64_t bytes = 0;
        for (std::size_t i = 0; i < paths.size(); ++i) {
            EXPECT_EQ(file->files()[i].path, paths[i]);
            EXPECT_EQ(file->files()[i].stamp, base::stamp_of(paths[i]).value());
            bytes += fs::file_size(paths[i]);
        }
        EXPECT_EQ(file->file_bytes(), bytes);
        EXPECT_EQ(engine::read_model_info(*file)->file_bytes, bytes);
        for (const TensorView& tensor : file->tensors()) {  // reaches the right map, or ends
            file->will_read(tensor);
            file->release_pages(tensor);
        }
        EXPECT_TRUE(file->is_unchanged());
        test::write_text(paths[2], "another file");
        EXPECT_FALSE(file->is_unchanged());
    }
}

TEST_F(Shards, AMissingOneIsNamed) {
    const auto paths = write(3);
    fs::remove(paths[1]);
    EXPECT_EQ(refusal(paths[0], paths[1]), Code::not_found);
}

TEST_F(Shards, OnlyTheFirstOpensTheModel) {
    const auto paths = write(3);
    EXPECT_EQ(refusal(paths[2], paths[0]), Code::invalid_argument);
    EXPECT_TRUE(GgufFile::check_one(paths[2]));
}

TEST_F(Shards, ARenamedOneIsToldItsName) {
    const auto paths = write(2);
    fs::copy(paths[0], dir_.file("model.gguf"));
    EXPECT_EQ(refusal(dir_.file("model.gguf"), "NAME-00001-of-00002.gguf"), Code::invalid_argument);
    fs::copy(paths[0], dir_.file("m-00001-of-00003.gguf"));  // an extra one is said to be there
    EXPECT_EQ(refusal(dir_.file("m-00001-of-00003.gguf"), "m-00001-of-00002.gguf"),
              Code::invalid_argument);
}

TEST_F(Shards, ThoseOfAnotherModelAreRefused) {
    const auto paths = write(3);
    const auto put = [&](const std::string& other) {
        fs::copy(other, paths[1], fs::copy_options::overwrite_existing);
    };
    put(paths[2]);  // twice the same
    EXPECT_EQ(refusal(paths[0], paths[1]), Code::data_loss);
    put(kStories);  // a whole model
    EXPECT_EQ(refusal(paths[0], paths[1]), Code::data_loss);
    put(write(4, {}, "other")[1]);  // split in another way
    EXPECT_EQ(refusal(paths[0], paths[1]), Code::data_loss);
    put(write(3, {.tensors_in_first = false}, "other")[1]);  // has what the first one has too
    EXPECT_EQ(refusal(paths[0], paths[1]), Code::data_loss);
}

TEST_F(Shards, ATensorThatNoneHasIsMissed) {
    for (const std::int32_t more : {-1, 1}) {
        const auto paths = write(2, {.tensors_more = more});
        EXPECT_EQ(refusal(paths[0], paths[0]), Code::data_loss);
    }
}

TEST_F(Shards, ATruncatedOneIsNamed) {
    const auto paths = write(3);
    const std::string whole = test::read_text(paths[2]);
    test::for_each_seed(50, [&](base::Rng& rng) {
        test::write_text(paths[2], whole.substr(0, rng.below(whole.size() - 64)));
        EXPECT_EQ(refusal(paths[0], paths[2]), Code::data_loss);
    });
}

TEST_F(Shards, AnyDamageOfAHeadIsRefusedOrLeavesTensorsInTheFiles) {
    const auto paths = write(3);
    std::vector<std::string> whole;
    for (const std::string& path : paths) whole.push_back(test::read_text(path));
    test::for_each_seed(400, [&](base::Rng& rng) {
        const std::size_t hit = rng.below(paths.size());
        std::string damaged = whole[hit];
        for (std::size_t i = 0; i <= rng.below(3); ++i) {
            damaged[rng.below(hit == 0 ? 16'000 : 900)] = static_cast<char>(rng.next());
        }
        test::write_text(paths[hit], damaged);
        std::uint64_t sum = 0;
        if (const auto file = GgufFile::open(paths[0])) {
            for (const TensorView& tensor : file->tensors()) {
                const auto* bytes = reinterpret_cast<const std::uint8_t*>(tensor.data);
                sum += bytes[0] + bytes[tensor.bytes() - 1];
            }
        } else {
            EXPECT_FALSE(file.error().message.empty());
        }
        EXPECT_GE(sum, 0u);
        test::write_text(paths[hit], whole[hit]);
    });
    expect_stories(*GgufFile::open(paths[0]));
}

TEST_F(Shards, AreNotLinkedIn) {
    const std::string bytes = test::read_text(write(2)[0]);
    const auto file = GgufFile::from_memory(std::as_bytes(std::span(bytes)), "memory");
    ASSERT_FALSE(file);
    EXPECT_EQ(file.error().code, Code::invalid_argument);
}

TEST_F(Shards, AreQuantisedIntoOneFile) {
    const auto paths = write(3);
    const auto type = engine::file_type_from_name("Q8_0").value();
    ASSERT_TRUE(engine::quantize_model(kStories, dir_.file("a.gguf"), type));
    const auto report = engine::quantize_model(paths[0], dir_.file("b.gguf"), type);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(test::read_text(dir_.file("a.gguf")), test::read_text(dir_.file("b.gguf")));
    EXPECT_EQ(engine::quantize_model(paths[0], paths[2], type).error().code,
              Code::invalid_argument);
}

}  // namespace
