// The guard's parts: the file of secrets, and which files a command changed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "sphere/guard/changed_files.h"
#include "sphere/guard/secret_store.h"
#include "support/temp_dir.h"

namespace sphere::guard {
namespace {

using base::Code;

class SecretsFile : public testing::Test {
protected:
    std::string write(std::string_view text, mode_t mode = 0600) {
        const std::string path = dir_.file("secrets.yaml");
        std::filesystem::remove(path);
        test::write_text(path, text);
        ::chmod(path.c_str(), mode);
        return path;
    }
    test::TempDir dir_;
};

TEST_F(SecretsFile, GivesValuesByNameAndTakesThemOutOfTexts) {
    const auto store = load_secrets(write("key: open-sesame\nother: \"a b: c#d\"\n"));
    ASSERT_TRUE(store) << store.error().message;
    EXPECT_EQ((*store)->value("key").value(), "open-sesame");
    EXPECT_EQ((*store)->value("other").value(), "a b: c#d");
    EXPECT_EQ((*store)->value("none").error().code, Code::not_found);
    EXPECT_EQ((*store)->redactor()->apply("x open-sesame y"), "x [secret:key] y");
    EXPECT_TRUE(load_secrets(write("")));
}

TEST_F(SecretsFile, IsRefusedWhenOthersCouldReachIt) {
    for (const mode_t mode : {0640, 0604, 0620, 0660, 0644, 0610}) {
        const auto store = load_secrets(write("key: open-sesame\n", mode));
        ASSERT_FALSE(store) << mode;
        EXPECT_EQ(store.error().code, Code::permission_denied);
    }
    EXPECT_TRUE(load_secrets(write("key: open-sesame\n", 0400)));
    const std::string link = dir_.file("link");
    ASSERT_EQ(::symlink(dir_.file("secrets.yaml").c_str(), link.c_str()), 0);
    EXPECT_FALSE(load_secrets(link)) << "what a name points at may change";
    EXPECT_FALSE(load_secrets(dir_.path()));
    EXPECT_EQ(load_secrets(dir_.file("missing")).error().code, Code::not_found);
    if (::geteuid() == 0) {
        const std::string path = write("key: open-sesame\n");
        ASSERT_EQ(::chown(path.c_str(), 65534, 65534), 0);
        EXPECT_EQ(load_secrets(path).error().code, Code::permission_denied);
    }
    const std::string pipe = dir_.file("pipe");
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_FALSE(load_secrets(pipe)) << "and nobody waits for it";
}

TEST_F(SecretsFile, NoMessageHasAValueInIt) {
    for (const char* text :
         {"key: [open-sesame]\n", "key: {a: open-sesame}\n", "- open-sesame\n",
          "bad name!: open-sesame\n", "open-sesame", "key: open-sesame\nk2: ab\n"}) {
        const auto store = load_secrets(write(text));
        ASSERT_FALSE(store) << text;
        EXPECT_EQ(store.error().message.find("sesame"), std::string::npos) << store.error().message;
        EXPECT_EQ(store.error().message.find(": ab"), std::string::npos) << store.error().message;
    }
}

class Changed : public testing::Test {
protected:
    Changed() : workspace_(::open(dir_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
    ~Changed() override { ::close(workspace_); }
    /// Until the file clock has moved on: what was written before is older than now.
    static std::int64_t later() {
        // Not the coarse clock: kernels since 6.13 give a file a finer time that is ahead of it.
        const auto before = std::chrono::system_clock::now().time_since_epoch();
        std::int64_t now = file_clock_ns();
        while (std::chrono::nanoseconds(now) <= before) now = file_clock_ns();
        return now;
    }
    std::vector<std::string> since(std::int64_t ns) const {
        auto names = find_changed(workspace_, ns).names;
        std::ranges::sort(names);
        return names;
    }
    test::TempDir dir_;
    int workspace_;
};

TEST_F(Changed, NamesWhatWasWrittenSince) {
    std::filesystem::create_directories(dir_.file("a/b"));
    test::write_text(dir_.file("old"), "x");
    test::write_text(dir_.file("a/b/old"), "x");
    const std::int64_t moment = later();
    EXPECT_EQ(since(moment), std::vector<std::string>{});
    test::write_text(dir_.file("a/b/new"), "x");
    test::write_text(dir_.file("old"), "y");
    ASSERT_EQ(::symlink("/etc", dir_.file("a/link").c_str()), 0);
    EXPECT_EQ(since(moment), (std::vector<std::string>{"a/b/new", "a/link", "old"}));
    EXPECT_EQ(since(0).size(), 4u);
}

TEST_F(Changed, AFolderThatLostSomethingIsNamed) {
    std::filesystem::create_directories(dir_.file("a"));
    test::write_text(dir_.file("a/gone"), "x");
    test::write_text(dir_.file("gone"), "x");
    std::int64_t moment = later();
    std::filesystem::remove(dir_.file("a/gone"));
    EXPECT_EQ(since(moment), std::vector<std::string>{"a/"});
    moment = later();
    std::filesystem::remove(dir_.file("gone"));
    EXPECT_EQ(since(moment), std::vector<std::string>{"./"});
}

TEST_F(Changed, LooksAtABoundedNumberOfNames) {
    for (int i = 0; i < 300; ++i) test::write_text(dir_.file(std::to_string(i)), "");
    const ChangedFiles found = find_changed(workspace_, 0, 100);
    EXPECT_EQ(found.names.size(), 100u);
    EXPECT_FALSE(found.complete);
    EXPECT_TRUE(find_changed(workspace_, 0, 301).complete);
    std::string deep = dir_.path();
    for (int i = 0; i < 40; ++i) std::filesystem::create_directory(deep += "/d");
    EXPECT_FALSE(find_changed(workspace_, 0, 1000).complete);
}

}  // namespace
}  // namespace sphere::guard
