// The folder side of the catalogue, and pulls of local files.
#include "engine/catalog/catalog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "engine/catalog/pull_source.h"
#include "support/temp_dir.h"

namespace {

using base::Code;
using engine::Catalog;

const std::string kStories = std::string(DG_SOURCE_DIR) + "/assets/stories260K-f16.gguf";

Catalog open_catalog(const std::string& folder) {
    engine::CatalogOptions options;
    options.models_dir = folder;
    auto catalog = Catalog::open(options);
    EXPECT_TRUE(catalog.has_value());
    return *std::move(catalog);
}

TEST(Catalog, IsEmptyWithoutAFolder) {
    const test::TempDir dir;
    const Catalog catalog = open_catalog(dir.file("absent"));
    EXPECT_TRUE(catalog.list()->empty());
    const auto found = catalog.find("x");
    ASSERT_FALSE(found.has_value());
    EXPECT_EQ(found.error().code, Code::not_found);
}

TEST(Catalog, ListsFilesPutThereByHand) {
    const test::TempDir dir;
    std::filesystem::copy(kStories, dir.file("b.gguf"));
    std::filesystem::copy(kStories, dir.file("a.gguf"));
    test::write_text(dir.file("notes.txt"), "no model");
    const auto entries = open_catalog(dir.path()).list();
    ASSERT_TRUE(entries.has_value());
    ASSERT_EQ(entries->size(), 2u);
    EXPECT_EQ((*entries)[0].name, "a");
    EXPECT_EQ((*entries)[1].name, "b");
    EXPECT_EQ((*entries)[0].bytes, std::filesystem::file_size(kStories));
    EXPECT_EQ((*entries)[0].sha256, "");
}

TEST(Catalog, PullsALocalFileUnderAName) {
    const test::TempDir dir;
    Catalog catalog = open_catalog(dir.file("models"));
    const auto pulled = catalog.pull(kStories, {.sha256 = "", .quantization = "", .name = "tiny"});
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(pulled->entry.name, "tiny");
    EXPECT_EQ(pulled->entry.sha256.size(), 64u);
    EXPECT_FALSE(pulled->already_there);
    for (const char* name : {"tiny", "stories260K-f16", "stories260K-f16.gguf"}) {
        EXPECT_EQ(catalog.find(name)->path, pulled->entry.path) << name;
    }
    EXPECT_EQ(catalog.find(kStories)->path, kStories);
    EXPECT_TRUE(catalog.pull(kStories)->already_there);
}

TEST(Catalog, CopiesWhenAskedNotToLink) {
    const test::TempDir dir;
    Catalog catalog = open_catalog(dir.file("models"));
    engine::PullOptions options;
    options.link = false;
    const auto pulled = catalog.pull(kStories, options);
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(std::filesystem::hard_link_count(pulled->entry.path), 1u);
    EXPECT_EQ(test::read_text(pulled->entry.path), test::read_text(kStories));
}

TEST(Catalog, PullsAllShardsOfALocalModel) {
    const test::TempDir dir;
    std::filesystem::copy(kStories, dir.file("m-00001-of-00002.gguf"));
    Catalog catalog = open_catalog(dir.file("models"));
    EXPECT_EQ(catalog.pull(dir.file("m-00001-of-00002.gguf")).error().code, Code::not_found);
    std::filesystem::copy(kStories, dir.file("m-00002-of-00002.gguf"));
    const auto pulled = catalog.pull(dir.file("m-00001-of-00002.gguf"));
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(pulled->entry.files.size(), 2u);
    EXPECT_TRUE(catalog.verify(pulled->entry.name)->recorded);
}

TEST(Catalog, RefusesALocalFileThatIsNoModel) {
    const test::TempDir dir;
    test::write_text(dir.file("bad.gguf"), "no model at all");
    Catalog catalog = open_catalog(dir.file("models"));
    EXPECT_EQ(catalog.pull(dir.file("bad.gguf")).error().code, Code::data_loss);
    EXPECT_EQ(catalog.pull(dir.file("absent.gguf")).error().code, Code::not_found);
    EXPECT_TRUE(catalog.list()->empty());
}

TEST(Catalog, InspectsAModel) {
    const test::TempDir dir;
    std::filesystem::copy(kStories, dir.file("a.gguf"));
    const auto details = open_catalog(dir.path()).inspect("a");
    ASSERT_TRUE(details.has_value()) << details.error().message;
    EXPECT_EQ(details->info.architecture, "llama");
    const auto tensor =
        std::ranges::find(details->tensors, "token_embd.weight", &engine::TensorSummary::name);
    ASSERT_NE(tensor, details->tensors.end());
    EXPECT_EQ(tensor->type, "F16");
    EXPECT_EQ(tensor->dims, (std::vector<std::uint64_t>{64, 512}));
    const auto key =
        std::ranges::find(details->metadata, "llama.block_count", &engine::MetadataSummary::key);
    ASSERT_NE(key, details->metadata.end());
    EXPECT_EQ(key->value, "5");
}

TEST(Catalog, VerifyNoticesOneChangedByte) {
    const test::TempDir dir;
    Catalog catalog = open_catalog(dir.file("models"));
    engine::PullOptions options;
    options.link = false;
    const auto pulled = catalog.pull(kStories, options);
    ASSERT_TRUE(pulled.has_value());
    const auto before = catalog.verify(pulled->entry.name);
    ASSERT_TRUE(before.has_value());
    EXPECT_TRUE(before->ok() && before->recorded);
    std::string bytes = test::read_text(pulled->entry.path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    test::write_text(pulled->entry.path, bytes);
    const auto after = catalog.verify(pulled->entry.name);
    ASSERT_TRUE(after.has_value());
    EXPECT_FALSE(after->ok());
    EXPECT_NE(after->files[0].found, after->files[0].expected);
}

TEST(Catalog, VerifySaysWhenNothingWasRecorded) {
    const test::TempDir dir;
    std::filesystem::copy(kStories, dir.file("a.gguf"));
    const auto report = open_catalog(dir.path()).verify("a");
    ASSERT_TRUE(report.has_value());
    EXPECT_TRUE(report->ok());
    EXPECT_FALSE(report->recorded);
}

TEST(Catalog, RemovesOnlyItsOwnFiles) {
    const test::TempDir dir;
    Catalog catalog = open_catalog(dir.file("models"));
    ASSERT_TRUE(catalog.pull(kStories).has_value());
    ASSERT_TRUE(catalog.remove("stories260K-f16").has_value());
    EXPECT_TRUE(std::filesystem::is_empty(dir.file("models")));
    EXPECT_EQ(catalog.remove(kStories).error().code, Code::permission_denied);
    EXPECT_TRUE(std::filesystem::exists(kStories));
}

TEST(Catalog, NamesTooLongForAFileAreNotFound) {
    const test::TempDir dir;
    Catalog catalog = open_catalog(dir.path());
    const std::string name = "./" + std::string(5000, 'a') + ".gguf";
    EXPECT_EQ(catalog.find(name).error().code, Code::not_found);
    EXPECT_EQ(catalog.inspect(name).error().code, Code::not_found);
    EXPECT_FALSE(catalog.pull(name).has_value());
}

TEST(Catalog, TakesOnlyFilesItWillList) {
    const test::TempDir dir;
    Catalog catalog = open_catalog(dir.file("models"));
    std::filesystem::copy(kStories, dir.file("a.bin"));
    for (const std::string& source :
         {dir.file("a.bin"), std::string("owner/name:b.gguf.manifest.json")}) {
        const auto pulled = catalog.pull(source);
        ASSERT_FALSE(pulled.has_value()) << source;
        EXPECT_EQ(pulled.error().code, Code::invalid_argument);
    }
    EXPECT_TRUE(std::filesystem::is_empty(dir.file("models")));
}

TEST(Catalog, RefusesOneChecksumForManyFiles) {
    const test::TempDir dir;
    Catalog catalog = open_catalog(dir.file("models"));
    const std::string first = dir.file("m-00001-of-00002.gguf");
    std::filesystem::copy(kStories, first);
    std::filesystem::copy(kStories, dir.file("m-00002-of-00002.gguf"));
    engine::PullOptions options;
    options.sha256 = std::string(64, '0');
    const auto pulled = catalog.pull(first, options);
    ASSERT_FALSE(pulled.has_value());
    EXPECT_EQ(pulled.error().subject, "sha256");
}

TEST(Catalog, RefusesOptionsOutOfRange) {
    engine::CatalogOptions options;
    EXPECT_EQ(Catalog::open(options).error().code, Code::invalid_argument);
    options.models_dir = "/tmp/x";
    options.ranges_parallel = 0;
    EXPECT_EQ(Catalog::open(options).error().subject, "ranges_parallel");
}

TEST(Catalog, PinsEveryKnownModel) {
    for (const engine::KnownModel& known : Catalog::known_models()) {
        EXPECT_EQ(known.sha256.size(), 64u) << known.name;
        EXPECT_TRUE(engine::parse_pull_source(known.source).has_value()) << known.name;
    }
    EXPECT_EQ(Catalog::default_model(), "smollm2-135m-instruct");
}

TEST(PullSource, UnderstandsItsThreeForms) {
    const auto hub = engine::parse_pull_source("owner/name:dir/file.gguf");
    ASSERT_TRUE(hub.has_value());
    EXPECT_EQ(std::get<engine::HubSource>(*hub).file, "dir/file.gguf");
    const auto package = engine::parse_pull_source("pip:pkg==1.2:in/file.gguf");
    ASSERT_TRUE(package.has_value());
    EXPECT_EQ(std::get<engine::PackageSource>(*package).version, "1.2");
    const auto local = engine::parse_pull_source("./file.gguf");
    ASSERT_TRUE(local.has_value());
    EXPECT_EQ(std::get<engine::LocalSource>(*local).path, "./file.gguf");
}

TEST(PullSource, RefusesWhatCouldLeaveItsPlace) {
    for (const char* text :
         {"", "name", "owner/name:../x.gguf", "owner/name:/etc/x", "owner/na me", "pip:pkg:file",
          "pip:--evil==1:file.gguf", "pip:pkg==1:../file.gguf", "owner/name:", "-o/name",
          "owner/name/x:file.gguf", "owner/name:a//b.gguf"}) {
        EXPECT_FALSE(engine::parse_pull_source(text).has_value()) << text;
    }
}

}  // namespace
