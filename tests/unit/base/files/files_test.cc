#include "base/files/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <thread>

#include "base/files/mapped_file.h"
#include "base/files/sha256.h"
#include "base/files/unique_fd.h"
#include "support/temp_dir.h"

namespace {

using base::Code;

std::string text_of(const base::MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

TEST(MappedFile, ShowsTheWholeFileAndSurvivesAMove) {
    const test::TempDir dir;
    test::write_text(dir.file("a"), "hello");
    auto file = base::MappedFile::open(dir.file("a"));
    ASSERT_TRUE(file.has_value()) << file.error().message;
    const std::byte* address = file->bytes().data();
    file->advise(base::AccessHint::will_need);
    file->advise(base::AccessHint::random, 2, 3);
    const base::MappedFile moved = *std::move(file);
    EXPECT_EQ(text_of(moved), "hello");
    EXPECT_EQ(moved.bytes().data(), address);
}

// Whether the page cache has it or not; any offset and length; again after it is there.
TEST(MappedFile, LoadingAnyPartChangesNothing) {
    const test::TempDir dir;
    std::string text;
    for (int i = 0; i < 300'000; ++i) text += static_cast<char>('a' + i * 7 % 26);
    test::write_text(dir.file("a"), text);
    for (const bool cached : {false, true}) {
        const base::UniqueFd file(::open(dir.file("a").c_str(), O_RDONLY | O_CLOEXEC));
        if (!cached) ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
        const auto mapped = base::MappedFile::open(dir.file("a"));
        ASSERT_TRUE(mapped.has_value());
        mapped->load(5'000, 200'001);
        mapped->load(0, 0);
        mapped->load(text.size() - 1, 1);
        mapped->load(0, text.size());
        EXPECT_EQ(text_of(*mapped), text);
    }
}

TEST(MappedFile, KeepsTheOldContentWhenTheFileIsReplaced) {
    const test::TempDir dir;
    test::write_text(dir.file("a"), "old");
    const auto file = base::MappedFile::open(dir.file("a"));
    ASSERT_TRUE(base::write_file_atomically(dir.file("a"), "newer").has_value());
    EXPECT_EQ(text_of(*file), "old");
}

TEST(MappedFile, OpensAnEmptyFileAndRefusesAFolder) {
    const test::TempDir dir;
    test::write_text(dir.file("empty"), "");
    EXPECT_TRUE(base::MappedFile::open(dir.file("empty"))->bytes().empty());
    EXPECT_EQ(base::MappedFile::open(dir.path()).error().code, Code::invalid_argument);
    const auto absent = base::MappedFile::open(dir.file("absent"));
    EXPECT_EQ(absent.error().code, Code::not_found);
    EXPECT_EQ(absent.error().subject, dir.file("absent"));
}

TEST(WriteFileAtomically, CreatesReplacesAndLeavesNoTemporary) {
    const test::TempDir dir;
    for (const char* text : {"one", "two, longer", ""}) {
        ASSERT_TRUE(base::write_file_atomically(dir.file("a"), text).has_value());
        EXPECT_EQ(base::read_file(dir.file("a")).value(), text);
        EXPECT_EQ(dir.entries(), 1u);
    }
}

TEST(WriteFileAtomically, KeepsTheOldFileWhenItFails) {
    const test::TempDir dir;
    std::filesystem::create_directory(dir.file("a"));
    test::write_text(dir.file("a/inner"), "x");  // a folder that is not empty cannot be replaced
    EXPECT_FALSE(base::write_file_atomically(dir.file("a"), "text").has_value());
    EXPECT_EQ(dir.entries(), 1u);
    EXPECT_EQ(base::write_file_atomically(dir.file("absent/a"), "text").error().code,
              Code::not_found);
}

bool any(std::string_view) {
    return true;
}

TEST(RemoveAbandoned, TakesWhatAKilledWriterLeftAndNothingElse) {
    const test::TempDir dir;
    int started[2] = {};
    ASSERT_EQ(::pipe(started), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        auto writer = base::AtomicFileWriter::create(dir.file("model.gguf"));
        const bool good = writer && writer->write("half of it");
        if (good && ::write(started[1], "x", 1) == 1) ::pause();
        ::_exit(3);
    }
    char ready = 0;
    ASSERT_EQ(::read(started[0], &ready, 1), 1);
    ASSERT_EQ(dir.entries(), 1u);
    EXPECT_EQ(base::remove_abandoned(dir.path(), any), 0u) << "it is being written";
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    test::write_text(dir.file("a.tmp-1"), "");
    test::write_text(dir.file("a.tmp-0123456789abcdeF"), "");
    test::write_text(dir.file(".tmp-0123456789abcdef"), "");
    std::filesystem::create_directory(dir.file("a.tmp-0123456789abcdef"));
    std::filesystem::create_symlink(dir.path(), dir.file("b.tmp-0123456789abcdef"));
    EXPECT_EQ(base::remove_abandoned(dir.path(),
                                     [](std::string_view name) { return name != "model.gguf"; }),
              0u);
    EXPECT_EQ(base::remove_abandoned(dir.path(), any), 1u);
    EXPECT_EQ(dir.entries(), 5u);
    EXPECT_EQ(base::remove_abandoned(dir.file("absent"), any), 0u);
    ::close(started[0]);
    ::close(started[1]);
}

// Writers whose temporaries a sweeper meets in the moment they are made take another.
TEST(RemoveAbandoned, NeverTakesAFileThatIsWritten) {
    const test::TempDir dir;
    std::atomic<bool> done{false};
    std::thread sweeper([&] {
        while (!done) base::remove_abandoned(dir.path(), any);
    });
    for (int i = 0; i < 200; ++i) {
        const std::string text = std::to_string(i);
        const auto written = base::write_file_atomically(dir.file("a"), text);
        EXPECT_TRUE(written) << written.error().message;
        EXPECT_EQ(test::read_text(dir.file("a")), text);
        if (HasFailure()) break;
    }
    done = true;
    sweeper.join();
    EXPECT_EQ(dir.entries(), 1u);
}

TEST(MappedFile, KnowsWhetherItsFileChanged) {
    const test::TempDir dir;
    const auto changed_by = [&](const std::function<void()>& change) {
        EXPECT_TRUE(base::write_file_atomically(dir.file("a"), "text"));
        const auto file = base::MappedFile::open(dir.file("a"));
        EXPECT_EQ(file->stamp(), base::stamp_of(dir.file("a")).value());
        EXPECT_TRUE(file->is_unchanged());
        change();
        return !file->is_unchanged();
    };
    EXPECT_FALSE(changed_by([] {}));
    EXPECT_TRUE(changed_by([&] { std::filesystem::remove(dir.file("a")); }));
    EXPECT_TRUE(changed_by([&] { std::filesystem::resize_file(dir.file("a"), 3); }));
    EXPECT_TRUE(changed_by([&] { base::write_file_atomically(dir.file("a"), "text").value(); }));
}

TEST(AtomicFileWriter, LeavesNothingWithoutCommit) {
    const test::TempDir dir;
    test::write_text(dir.file("a"), "old");
    {
        auto writer = base::AtomicFileWriter::create(dir.file("a"));
        ASSERT_TRUE(writer.has_value());
        ASSERT_TRUE(writer->write("new").has_value());
        EXPECT_EQ(writer->bytes_written(), 3u);
    }
    EXPECT_EQ(test::read_text(dir.file("a")), "old");
    EXPECT_EQ(dir.entries(), 1u);
}

TEST(ReadFile, RefusesMoreThanItsLimit) {
    const test::TempDir dir;
    test::write_text(dir.file("a"), std::string(100'000, 'x'));
    EXPECT_EQ(base::read_file(dir.file("a"))->size(), 100'000u);
    EXPECT_EQ(base::read_file(dir.file("a"), 99'999).error().code, Code::payload_too_large);
    EXPECT_EQ(base::read_file(dir.file("a"), 100'000)->size(), 100'000u);
}

TEST(TemporaryDir, DisappearsWithItsContent) {
    const test::TempDir dir;
    {
        const auto inner = base::TemporaryDir::create(dir.path(), "t-");
        ASSERT_TRUE(inner.has_value());
        test::write_text(inner->path() + "/file", "x");
        EXPECT_EQ(dir.entries(), 1u);
    }
    EXPECT_EQ(dir.entries(), 0u);
}

TEST(CacheDir, FollowsTheUsualOrder) {
    EXPECT_EQ(base::cache_dir("/x", "/home/u", "p"), "/x/p");
    EXPECT_EQ(base::cache_dir("", "/home/u", "p"), "/home/u/.cache/p");
    EXPECT_EQ(base::cache_dir("", "", "p"), "/tmp/p");
}

// FIPS 180-4's published examples.
TEST(Sha256, MatchesPublishedDigestsHoweverTheInputIsCut) {
    EXPECT_EQ(base::Sha256().finish_hex(),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const std::string text = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    for (std::size_t cut = 0; cut <= text.size(); cut += 7) {
        base::Sha256 digest;
        digest.update(std::as_bytes(std::span(text).first(cut)));
        digest.update(std::as_bytes(std::span(text).subspan(cut)));
        EXPECT_EQ(digest.finish_hex(),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
}

TEST(Sha256File, ReportsProgressAndStops) {
    const test::TempDir dir;
    test::write_text(dir.file("a"), "abc");
    std::uint64_t seen = 0;
    EXPECT_EQ(base::sha256_file(dir.file("a"),
                                [&](std::uint64_t n) {
                                    seen = n;
                                    return true;
                                })
                  .value(),
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    EXPECT_EQ(seen, 3u);
    EXPECT_EQ(base::sha256_file(dir.file("a"), [](std::uint64_t) { return false; }).error().code,
              Code::cancelled);
    EXPECT_EQ(base::sha256_file(dir.file("b")).error().code, Code::not_found);
}

}  // namespace
