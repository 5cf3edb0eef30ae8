#include "app/embedded_files.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string gunzip(std::span<const std::byte> packed, std::size_t size_expected) {
    std::string out(size_expected + 1, '\0');  // one spare byte shows an answer that is too long
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
    std::string in = text(packed);
    stream.next_in = reinterpret_cast<Bytef*>(in.data());
    stream.avail_in = static_cast<uInt>(in.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    out.resize(stream.total_out);
    inflateEnd(&stream);
    return out;
}

TEST(EmbeddedFiles, RootServesAnHtmlPage) {
    const app::EmbeddedFile* page = app::find_console_file("/");
    ASSERT_NE(page, nullptr);
    EXPECT_EQ(page, app::find_console_file("/index.html"));
    EXPECT_EQ(page->mime, "text/html; charset=utf-8");
    EXPECT_NE(text(page->raw).find("<!doctype html>"), std::string::npos);
    EXPECT_FALSE(page->immutable);
}

TEST(EmbeddedFiles, PackedBytesUnpackToTheRawOnes) {
    for (const app::EmbeddedFile& file : app::console_files()) {
        if (file.gzip.empty()) continue;
        EXPECT_LT(file.gzip.size(), file.raw.size()) << file.path;
        EXPECT_EQ(gunzip(file.gzip, file.raw.size()), text(file.raw)) << file.path;
    }
}

TEST(EmbeddedFiles, AreSortedWithQuotedDistinctTags) {
    const auto files = app::console_files();
    EXPECT_TRUE(std::ranges::is_sorted(files, {}, &app::EmbeddedFile::path));
    for (const app::EmbeddedFile& file : files) {
        EXPECT_EQ(file.etag.size(), 34U) << file.path;
        EXPECT_TRUE(file.etag.starts_with('"') && file.etag.ends_with('"')) << file.path;
        EXPECT_EQ(app::find_console_file("/" + std::string(file.path)), &file);
    }
}

TEST(EmbeddedFiles, UnknownPathsAreNull) {
    EXPECT_EQ(app::find_console_file("/nothing.js"), nullptr);
    EXPECT_EQ(app::find_console_file("/../index.html"), nullptr);
    EXPECT_EQ(app::find_console_file("/assets/"), nullptr);
}

TEST(EmbeddedFiles, SmokeModelIsTheRepositorysFileAligned) {
    std::ifstream file(DG_SOURCE_DIR "/assets/stories260K-f16.gguf", std::ios::binary);
    const std::string expected{std::istreambuf_iterator<char>(file), {}};
    ASSERT_FALSE(expected.empty());
    EXPECT_EQ(text(app::smoke_model()), expected);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(app::smoke_model().data()) % 64, 0U);
}

}  // namespace
