#include "sphere/files/archive.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "sphere/files/gzip_stream.h"
#include "sphere/files/tar_format.h"
#include "support/seeds.h"
#include "workspace_fixture.h"

namespace sphere::files {
namespace {

using base::Code;

std::string entry(TarHead head, const std::string& content = "") {
    head.bytes = content.size();
    return tar_head(head) + content + tar_padding(content.size());
}
std::string file_entry(const std::string& name, const std::string& content) {
    return entry({.name = name}, content);
}

std::string gzipped(const std::string& plain) {
    std::string out;
    GzipWriter writer;
    EXPECT_TRUE(writer.feed(
        plain,
        [&](std::string_view piece) -> base::Result<void> {
            out += piece;
            return {};
        },
        true));
    return out;
}

class ArchiveTest : public WorkspaceTest {
protected:
    base::Result<ArchiveSummary> unpack(const std::string& bytes, const ArchiveLimits& limits = {},
                                        std::string_view folder = "", std::size_t piece = 1000) {
        Unpacker unpacker = std::move(*Unpacker::create(workspace_, folder, limits));
        for (std::size_t at = 0; at < bytes.size(); at += piece) {
            DG_TRY(unpacker.feed(std::string_view(bytes).substr(at, piece)));
        }
        return unpacker.finish();
    }
    std::string packed(std::string_view name, const PackOptions& options = {}) {
        std::string out;
        const auto summary = pack(
            workspace_, name,
            [&](std::string_view piece) -> base::Result<void> {
                out += piece;
                return {};
            },
            options);
        EXPECT_TRUE(summary.has_value()) << summary.error().message;
        return out;
    }
    Code refused(const std::string& archive, const ArchiveLimits& limits = {}) {
        const auto done = unpack(archive, limits);
        return done ? Code::internal : done.error().code;
    }
};

TEST_F(ArchiveTest, WhatIsPackedUnpacksTheSame) {
    const std::string long_name(200, 'l'), bytes_name = "bad\xFF\nname";
    put("t/a.txt", "hello");
    put("t/" + long_name + "/" + long_name, std::string(100'000, 'x'));
    put("t/" + bytes_name, "");
    std::filesystem::create_directory(path("t/empty"));
    link("a.txt", "t/link");
    link("../t/" + long_name + "/" + long_name, "t/longlink");
    ASSERT_EQ(::chmod(path("t/a.txt").c_str(), 0750), 0);
    for (const bool gzip : {false, true}) {
        const std::string archive = packed("t", {.gzip = gzip, .limits = {}});
        for (const std::size_t piece : {1u, 7u, 511u, 512u, 100'000u}) {
            const auto summary = unpack(archive, {}, "out", piece);
            ASSERT_TRUE(summary.has_value()) << summary.error().message;
            EXPECT_EQ(summary->files, 3u);
            EXPECT_EQ(summary->links, 2u);
            EXPECT_EQ(workspace_.read("out/t/a.txt").value(), "hello");
            EXPECT_EQ(workspace_.stat("out/t/a.txt")->mode, 0750u);
            EXPECT_EQ(workspace_.read("out/t/longlink").value().size(), 100'000u);
            EXPECT_EQ(workspace_.read("out/t/" + bytes_name).value(), "");
            EXPECT_EQ(workspace_.stat("out/t/empty")->type, EntryType::folder);
            ASSERT_TRUE(workspace_.remove("out", true));
        }
    }
    EXPECT_TRUE(unpack(packed("t/a.txt"), {}, "one"));
    EXPECT_EQ(workspace_.read("one/a.txt").value(), "hello");
}

/// The system's tar reads ours, and we read its, in each of its formats.
TEST_F(ArchiveTest, AgreesWithTheSystemsTar) {
    if (std::system("tar --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no tar here";
    put("t/" + std::string(80, 'p') + "/" + std::string(90, 'q'), "deep");
    put("t/f", "content");
    link("f", "t/l");
    const std::string archive = path("archive");
    for (const char* format : {"gnu", "pax", "ustar", "v7"}) {
        if (std::string(format) == "v7") {
            ASSERT_TRUE(workspace_.remove("t/" + std::string(80, 'p'), true));
        }
        const std::string make = "tar --format=" + std::string(format) + " -C " + dir_.file("ws") +
                                 " -cf " + archive + " t";
        ASSERT_EQ(std::system(make.c_str()), 0);
        const auto summary = unpack(test::read_text(archive), {}, format);
        ASSERT_TRUE(summary.has_value()) << format << ": " << summary.error().message;
        EXPECT_EQ(workspace_.read(std::string(format) + "/t/l").value(), "content");
    }
    put("t/" + std::string(80, 'p') + "/" + std::string(90, 'q'), "deep");
    test::write_text(archive, packed("t", {.gzip = true, .limits = {}}));
    std::filesystem::create_directory(path("theirs"));
    ASSERT_EQ(std::system(("tar -C " + path("theirs") + " -xzf " + archive).c_str()), 0);
    EXPECT_EQ(std::system(("diff -r " + path("t") + " " + path("theirs/t")).c_str()), 0);
}

/// S36.
TEST_F(ArchiveTest, WhatLeadsOutIsRefused) {
    for (const char* name : {"../evil", "/evil", "a/../../evil", "a/..", "..", "./../evil"}) {
        EXPECT_EQ(refused(file_entry(name, "x") + tar_end()), Code::invalid_argument) << name;
    }
    for (const char* target : {"/etc/passwd", "..", "../bait", "a/../../..", "", "./../x"}) {
        EXPECT_EQ(refused(entry({.name = "l", .link_target = target, .type = '2'}) + tar_end()),
                  Code::invalid_argument)
            << target;
    }
    EXPECT_TRUE(unpack(entry({.name = "d/l", .link_target = "../x", .type = '2'}) + tar_end()));
    for (const char type : {'1', '3', '4', '6', 'S', 'M', 'V', 'Z'}) {
        EXPECT_EQ(refused(entry({.name = "e", .link_target = "d/l", .type = type}) + tar_end()),
                  Code::invalid_argument)
            << type;
    }
    // A link inside that another entry writes through: still beneath, by the kernel.
    const std::string through = entry({.name = "in", .link_target = "real", .type = '2'}) +
                                entry({.name = "real", .type = '5'}) + file_entry("in/f", "x");
    EXPECT_TRUE(unpack(through + tar_end()));
    EXPECT_EQ(workspace_.read("real/f").value(), "x");
    // And one that leads out and was there before.
    link("..", "old");
    EXPECT_EQ(refused(file_entry("old/evil", "x") + tar_end()), Code::permission_denied);
    const std::string twice = entry({.name = "a/b", .link_target = "../c", .type = '2'}) +
                              entry({.name = "a", .link_target = ".", .type = '2'});
    EXPECT_FALSE(unpack(twice + tar_end()).has_value());
}

TEST_F(ArchiveTest, EachLimitIsHeld) {
    ArchiveLimits limits{
        .bytes_max = 1000, .entries_max = 5, .name_bytes_max = 50, .depth_max = 3, .ratio_max = 10};
    EXPECT_TRUE(unpack(file_entry("a", std::string(1000, 'x')) + tar_end(), limits));
    EXPECT_EQ(
        refused(file_entry("b", std::string(600, 'x')) + file_entry("c", std::string(401, 'x')),
                limits),
        Code::payload_too_large);
    std::string many;
    for (int i = 0; i < 6; ++i) many += file_entry(std::to_string(i), "");
    EXPECT_EQ(refused(many, limits), Code::payload_too_large);
    EXPECT_EQ(refused(file_entry(std::string(51, 'n'), ""), limits), Code::payload_too_large);
    EXPECT_EQ(refused(file_entry(std::string(256, 'n'), ""), {.depth_max = 9}),
              Code::invalid_argument);
    EXPECT_EQ(refused(file_entry("1/2/3/4", ""), limits), Code::payload_too_large);
    limits.bytes_max = 1u << 30;
    EXPECT_EQ(refused(gzipped(file_entry("z", std::string(20 << 20, '\0')) + tar_end()), limits),
              Code::payload_too_large);
    EXPECT_LT(workspace_.list("")->entries.size(), 20u);
    const auto listing = workspace_.list("");
    for (const Entry& left : listing->entries) {
        EXPECT_LE(left.bytes, 1000u) << "no file is left half unpacked";
    }
    // A head that states more than it brings.
    TarHead lie{.name = "lie", .bytes = 1ull << 50};
    EXPECT_EQ(refused(tar_head(lie)), Code::payload_too_large);
}

TEST_F(ArchiveTest, ACutArchiveIsNotComplete) {
    const std::string whole =
        file_entry("a", std::string(2000, 'x')) + file_entry("b", "y") + tar_end();
    for (const std::size_t length : {0u, 1u, 100u, 512u, 1000u, 2511u, 2560u + 100u}) {
        EXPECT_EQ(refused(whole.substr(0, length)), Code::invalid_argument) << length;
    }
    const std::string gz = gzipped(whole);
    EXPECT_EQ(refused(gz.substr(0, gz.size() - 5)), Code::invalid_argument);
    EXPECT_EQ(refused("hello, this is no archive" + std::string(1000, 'x')),
              Code::invalid_argument);
}

TEST_F(ArchiveTest, SetIdBitsAreStripped) {
    ASSERT_TRUE(unpack(entry({.name = "s", .mode = 07755}, "x") + tar_end()));
    EXPECT_EQ(workspace_.stat("s")->mode, 0755u);
}

TEST_F(ArchiveTest, PackingHoldsItsLimits) {
    put("t/a/b/c/d", std::string(1000, 'x'));
    const auto code = [&](ArchiveLimits limits) {
        const auto done =
            pack(workspace_, "t", [](std::string_view) -> base::Result<void> { return {}; },
                 {.gzip = false, .limits = limits});
        return done ? Code::internal : done.error().code;
    };
    EXPECT_EQ(code({}), Code::internal);
    EXPECT_EQ(code({.bytes_max = 999}), Code::payload_too_large);
    EXPECT_EQ(code({.entries_max = 4}), Code::payload_too_large);
    EXPECT_EQ(code({.depth_max = 4}), Code::payload_too_large);
    EXPECT_EQ(code({.name_bytes_max = 8}), Code::payload_too_large);
    const auto stopped = pack(workspace_, "t", [](std::string_view) -> base::Result<void> {
        return base::fail(Code::cancelled, "enough");
    });
    EXPECT_EQ(stopped.error().code, Code::cancelled);
}

TEST_F(ArchiveTest, SurvivesRandomDamageAndStaysInside) {
    std::string whole = entry({.name = "dir", .type = '5'}) +
                        entry({.name = "dir/" + std::string(180, 'n')}, std::string(700, 'c')) +
                        entry({.name = "dir/l", .link_target = "x", .type = '2'}) +
                        file_entry("dir/f", "content") + tar_end();
    test::for_each_seed(1500, [&](base::Rng& rng) {
        std::string bytes = whole;
        for (std::uint64_t i = 0; i < 1 + rng.below(4); ++i) {
            bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
        }
        // Make the sums right again, so that damage gets past them.
        if (rng.below(2) == 0) {
            for (std::size_t at = 0; at + kTarBlock <= bytes.size(); at += kTarBlock) {
                if (bytes.compare(at + 257, 5, "ustar") != 0) continue;
                std::uint64_t sum = 0;
                for (std::size_t k = 0; k < kTarBlock; ++k) {
                    sum += k >= 148 && k < 156 ? 32u : static_cast<unsigned char>(bytes[at + k]);
                }
                char text[8];
                std::snprintf(text, sizeof(text), "%06lo", static_cast<unsigned long>(sum));
                bytes.replace(at + 148, 7, text, 7);
            }
        }
        if (rng.below(4) == 0) bytes = gzipped(bytes);
        static_cast<void>(unpack(bytes, {.bytes_max = 1 << 20}, "f", 1 + rng.below(2000)));
        if (rng.below(20) == 0) static_cast<void>(workspace_.remove("f", true));
    });
}

}  // namespace
}  // namespace sphere::files
