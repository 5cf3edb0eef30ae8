#pragma once
// A workspace in a private folder, with bait beside it that must never be read or changed.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "sphere/files/workspace.h"
#include "support/temp_dir.h"

namespace sphere::files {

class WorkspaceTest : public testing::Test {
protected:
    static constexpr std::string_view kBait = "the host's own";

    WorkspaceTest() : workspace_(make()) { test::write_text(dir_.file("bait"), kBait); }
    ~WorkspaceTest() override {
        EXPECT_EQ(test::read_text(dir_.file("bait")), kBait);
        std::size_t entries = 0;
        for ([[maybe_unused]] const auto& entry :
             std::filesystem::directory_iterator(dir_.path())) {
            ++entries;
        }
        EXPECT_EQ(entries, 2u) << "something was made beside the workspace";
    }

    std::string path(const std::string& name) const { return dir_.file("ws/" + name); }
    void put(const std::string& name, std::string_view content) {
        std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
        test::write_text(path(name), content);
    }
    void link(const std::string& target, const std::string& name) {
        ASSERT_EQ(::symlink(target.c_str(), path(name).c_str()), 0);
    }
    base::Code read_code(std::string_view name) {
        const auto read = workspace_.read(name);
        EXPECT_NE(read.value_or(""), kBait);
        return read ? base::Code::internal : read.error().code;
    }

    test::TempDir dir_;
    Workspace workspace_;

private:
    Workspace make() {
        std::filesystem::create_directory(dir_.file("ws"));
        return std::move(*Workspace::open(dir_.file("ws")));
    }
};

}  // namespace sphere::files
