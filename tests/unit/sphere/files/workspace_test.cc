#include "sphere/files/workspace.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <set>
#include <thread>

#include "sphere/files/name_text.h"
#include "support/seeds.h"
#include "workspace_fixture.h"

namespace sphere::files {
namespace {

using base::Code;

TEST_F(WorkspaceTest, WritesReadsAndReplaces) {
    ASSERT_TRUE(workspace_.write("a/b/c.txt", "hello"));
    EXPECT_EQ(workspace_.read("a/b/c.txt").value(), "hello");
    EXPECT_EQ(workspace_.read("./a//b/./c.txt").value(), "hello");
    EXPECT_EQ(workspace_.read("a/b/c.txt", 1, 3).value(), "ell");
    EXPECT_EQ(workspace_.read("a/b/c.txt", 5, 3).value(), "");
    EXPECT_EQ(workspace_.read("a/b/c.txt", UINT64_MAX, 3).value(), "");
    ASSERT_EQ(::chmod(path("a/b/c.txt").c_str(), 0750), 0);
    ASSERT_TRUE(workspace_.write("a/b/c.txt", "new"));
    EXPECT_EQ(workspace_.stat("a/b/c.txt")->mode, 0750u) << "the mode stays";
    EXPECT_EQ(workspace_.write("a/b/c.txt", "x", {.replace = false}).error().code,
              Code::already_exists);
    EXPECT_EQ(workspace_.write("z/c.txt", "x", {.create_parents = false}).error().code,
              Code::not_found);
    ASSERT_TRUE(workspace_.write("run", "x", {.mode = 06755}));
    EXPECT_EQ(workspace_.stat("run")->mode, 0755u) << "no set-id bits";
    EXPECT_EQ(workspace_.write("a/b", "x").error().code, Code::failed_precondition);
    EXPECT_EQ(workspace_.write("run/x", "x").error().code, Code::failed_precondition);
    EXPECT_EQ(workspace_.list("")->entries.size(), 2u) << "no temporary is left";
}

TEST_F(WorkspaceTest, NamesThatCannotBeMeantAreRefused) {
    put("a", "x");
    for (const std::string_view name :
         {std::string_view("../bait"), std::string_view("a/../../bait"),
          std::string_view("/etc/passwd"), std::string_view(".."), std::string_view("a\0b", 3),
          std::string_view("x/..")}) {
        EXPECT_EQ(read_code(name), Code::invalid_argument) << name;
        EXPECT_EQ(workspace_.write(name, "x").error().code, Code::invalid_argument) << name;
        EXPECT_EQ(workspace_.remove(name, true).error().code, Code::invalid_argument) << name;
        EXPECT_EQ(workspace_.list(name).error().code, Code::invalid_argument) << name;
        EXPECT_EQ(workspace_.rename("a", name).error().code, Code::invalid_argument) << name;
        EXPECT_EQ(workspace_.rename(name, "b").error().code, Code::invalid_argument) << name;
        EXPECT_EQ(workspace_.make_folder(name).error().code, Code::invalid_argument) << name;
        EXPECT_EQ(workspace_.stat(name).error().code, Code::invalid_argument) << name;
    }
    for (const std::string_view name : {"", ".", "./"}) {
        EXPECT_EQ(workspace_.remove(name, true).error().code, Code::invalid_argument);
        EXPECT_EQ(workspace_.write(name, "").error().code, Code::invalid_argument);
    }
    EXPECT_EQ(read_code(std::string(256, 'n')), Code::invalid_argument);
    EXPECT_EQ(read_code("missing"), Code::not_found);
    EXPECT_EQ(read_code("a/b"), Code::failed_precondition);
}

TEST_F(WorkspaceTest, LinksThatLeaveAreNotFollowedOthersAre) {
    put("in/file", "inside");
    std::filesystem::create_directory(path("sub"));
    link("../../bait", "sub/up");
    link("..", "out");
    link(dir_.file("bait"), "absolute");
    link(dir_.path(), "folder");
    link("/proc/self/root" + dir_.file("bait"), "magic");
    link("in/file", "good");
    link("../in", "sub/good");
    link("loop", "loop");
    for (const char* name : {"sub/up", "out/bait", "absolute", "folder/bait", "magic", "loop"}) {
        EXPECT_EQ(read_code(name), Code::permission_denied) << name;
    }
    for (const char* name : {"out/new", "folder/new", "out/a/b"}) {
        EXPECT_EQ(workspace_.write(name, "x").error().code, Code::permission_denied) << name;
        EXPECT_EQ(workspace_.make_folder(name).error().code, Code::permission_denied) << name;
    }
    EXPECT_EQ(workspace_.list("out").error().code, Code::permission_denied);
    EXPECT_EQ(workspace_.remove("out/bait").error().code, Code::permission_denied);
    EXPECT_EQ(workspace_.rename("out/bait", "x").error().code, Code::permission_denied);
    EXPECT_EQ(workspace_.rename("in/file", "out/x").error().code, Code::permission_denied);
    EXPECT_EQ(workspace_.read("good").value(), "inside");
    EXPECT_EQ(workspace_.read("sub/good/file").value(), "inside");

    ASSERT_TRUE(workspace_.write("absolute", "mine")) << "the link is replaced, not followed";
    EXPECT_EQ(workspace_.stat("absolute")->type, EntryType::file);
    EXPECT_EQ(workspace_.stat("sub/up")->link_target, "../../bait");
    ASSERT_TRUE(workspace_.remove("folder")) << "the link, not what it names";
    ASSERT_TRUE(workspace_.remove("sub", true));
    EXPECT_EQ(workspace_.read("in/file").value(), "inside") << "sub/good was a link to in";
}

TEST_F(WorkspaceTest, AHardLinkIsNeverWrittenThrough) {
    ASSERT_EQ(::link(dir_.file("bait").c_str(), path("hard").c_str()), 0);
    ASSERT_TRUE(workspace_.write("hard", "mine"));
    EXPECT_EQ(workspace_.read("hard").value(), "mine");
}

TEST_F(WorkspaceTest, SpecialFilesAreRefusedAtOnce) {
    ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0666), 0);
    EXPECT_EQ(read_code("fifo"), Code::failed_precondition);
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path("socket").c_str(), sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    ::close(socket);
    EXPECT_EQ(read_code("socket"), Code::failed_precondition);
    EXPECT_EQ(read_code(""), Code::invalid_argument);
    std::filesystem::create_directory(path("folder"));
    EXPECT_EQ(read_code("folder"), Code::failed_precondition);
    EXPECT_EQ(workspace_.stat("fifo")->type, EntryType::other);
    ASSERT_TRUE(workspace_.write("fifo", "now a file"));
    if (::mknod(path("null").c_str(), S_IFCHR | 0666, 0x103) == 0) {
        const Code code = read_code("null");  // denied where devices have no meaning (nodev)
        EXPECT_TRUE(code == Code::failed_precondition || code == Code::permission_denied);
    }
}

TEST_F(WorkspaceTest, ListsByNameWithLimits) {
    put("b/2", "22");
    put("b/1", "1");
    put("a", "aaa");
    link("a", "l");
    const auto flat = workspace_.list("");
    ASSERT_EQ(flat->entries.size(), 3u);
    EXPECT_EQ(flat->entries[0].name, "a");
    EXPECT_EQ(flat->entries[0].bytes, 3u);
    EXPECT_EQ(flat->entries[1].type, EntryType::folder);
    EXPECT_EQ(flat->entries[2].link_target, "a");
    const auto deep = workspace_.list("", {.recursive = true});
    ASSERT_EQ(deep->entries.size(), 5u);
    EXPECT_EQ(deep->entries[3].name, "b/1");
    EXPECT_FALSE(deep->truncated);
    EXPECT_EQ(workspace_.list("b")->entries[1].name, "b/2");
    for (std::size_t limit = 0; limit < 5; ++limit) {
        const auto cut = workspace_.list("", {.recursive = true, .entries_max = limit});
        EXPECT_EQ(cut->entries.size(), limit);
        EXPECT_TRUE(cut->truncated);
    }
    EXPECT_FALSE(workspace_.list("", {.recursive = true, .entries_max = 5})->truncated);
    EXPECT_TRUE(workspace_.list("", {.recursive = true, .depth_max = 1})->truncated);
    EXPECT_EQ(workspace_.list("a").error().code, Code::failed_precondition);
}

TEST_F(WorkspaceTest, RenamesRemovesAndMakesFolders) {
    put("a", "1");
    put("b", "2");
    EXPECT_EQ(workspace_.rename("a", "b").error().code, Code::already_exists);
    ASSERT_TRUE(workspace_.rename("a", "b", true));
    EXPECT_EQ(workspace_.read("b").value(), "1");
    ASSERT_TRUE(workspace_.make_folder("x/y/z"));
    ASSERT_TRUE(workspace_.make_folder("x/y/z"));
    EXPECT_EQ(workspace_.make_folder("b").error().code, Code::already_exists);
    EXPECT_EQ(workspace_.make_folder("q/r", false).error().code, Code::not_found);
    EXPECT_EQ(workspace_.remove("x").error().code, Code::failed_precondition);
    ASSERT_TRUE(workspace_.remove("x", true));
    EXPECT_EQ(workspace_.stat("x").error().code, Code::not_found);
    EXPECT_EQ(workspace_.remove("x").error().code, Code::not_found);
}

/// S48: any bytes make a name; what a listing prints leads back to the file.
TEST_F(WorkspaceTest, EveryNameIsListedReadAndRemoved) {
    test::for_each_seed(60, [&](base::Rng& rng) {
        std::string name;
        for (std::uint64_t n = 1 + rng.below(254); n > 0; --n) {
            const char c = static_cast<char>(1 + rng.below(255));
            name += c == '/' ? '\n' : c;
        }
        if (name == "." || name == "..") return;
        ASSERT_TRUE(workspace_.write(name, "content"));
        const auto listing = workspace_.list("");
        ASSERT_EQ(listing->entries.size(), 1u);
        const std::string shown = escape_name(listing->entries[0].name);
        ASSERT_EQ(unescape_name(shown).value(), name);
        ASSERT_EQ(workspace_.read(*unescape_name(shown)).value(), "content");
        ASSERT_TRUE(workspace_.remove(*unescape_name(shown)));
    });
    for (const std::string& name :
         {std::string(255, 'x'), std::string("a\nb"), std::string("\xFF\xFE"), std::string("\\x41"),
          std::string(85, '\0').replace(0, 85, 85, 'y')}) {
        ASSERT_TRUE(workspace_.write(name, ""));
        EXPECT_EQ(unescape_name(escape_name(name)).value(), name);
    }
    EXPECT_FALSE(unescape_name("a\\").has_value());
    EXPECT_FALSE(unescape_name("\\xg1").has_value());
}

/// S48: deeper than a path can say and than descriptors allow.
TEST_F(WorkspaceTest, DepthOfAThousandIsListedReadAndRemoved) {
    for (const std::string& part : {std::string("d"), std::string(255, 'n')}) {
        std::string name;
        for (int i = 0; i < 1000; ++i) name += part + "/";
        name += "file";
        ASSERT_TRUE(workspace_.write(name, "deep"));
        EXPECT_EQ(workspace_.read(name).value(), "deep");
        const auto listing = workspace_.list("", {.recursive = true});
        ASSERT_TRUE(listing.has_value()) << listing.error().message;
        ASSERT_EQ(listing->entries.size(), 1001u);
        EXPECT_EQ(listing->entries.back().name, name);
        ASSERT_TRUE(workspace_.remove(part, true));
        EXPECT_TRUE(workspace_.list("")->entries.empty());
    }
}

/// S47: a link in the way flips between inside and outside, 10^5 times, while everything is called.
TEST_F(WorkspaceTest, ASwappedLinkNeverLeadsOutside) {
    put("real/file", "inside");
    // To the folder itself, to the host's by an absolute and by a relative way.
    link("real", "way");
    link(dir_.path(), "spare0");
    link("..", "spare1");
    std::atomic<bool> done{false};
    std::thread box([&] {
        const std::string way = path("way"), spares[] = {path("spare0"), path("spare1")};
        for (int i = 0; i < 100'000; ++i) {
            EXPECT_EQ(::renameat2(AT_FDCWD, spares[i % 2].c_str(), AT_FDCWD, way.c_str(),
                                  RENAME_EXCHANGE),
                      0);
        }
        done = true;
    });
    std::uint64_t good = 0, calls = 0;
    while (!done) {
        ++calls;
        const auto read = workspace_.read("way/file");
        if (read) {
            ASSERT_EQ(*read, "inside");
            ++good;
        }
        const auto bait = workspace_.read("way/bait");
        ASSERT_FALSE(bait.has_value());
        const auto written = workspace_.write("way/bait", "mine");
        if (written) {
            ASSERT_TRUE(workspace_.remove("real/bait"));
        }
        static_cast<void>(workspace_.remove("way/bait"));
        static_cast<void>(workspace_.rename("way/bait", "stolen"));
        static_cast<void>(workspace_.make_folder("way/made/here"));
        if (const auto listing = workspace_.list("way", {.recursive = true})) {
            for (const Entry& entry : listing->entries) ASSERT_NE(entry.name, "way/ws");
        }
    }
    box.join();
    EXPECT_GT(calls, 0u);
    ASSERT_TRUE(workspace_.write("real/file", "inside"));
}

/// A folder is swapped for a link to the host's while its tree is removed.
TEST_F(WorkspaceTest, ASwapDuringRemovalNeverLeadsOutside) {
    std::atomic<bool> done{false};
    std::filesystem::create_directory(path("a"));
    std::thread box([&] {
        const std::string folder = path("a/sub"), link_name = path("a/link");
        while (!done) {
            ::mkdir(path("a").c_str(), 0755);
            ::unlink(folder.c_str());  // a link of the last round: nothing is written through it
            ::mkdir(folder.c_str(), 0755);
            test::write_text(folder + "/f", "x");
            if (::symlink(dir_.path().c_str(), link_name.c_str()) == 0) {
                ::renameat2(AT_FDCWD, folder.c_str(), AT_FDCWD, link_name.c_str(), RENAME_EXCHANGE);
            }
        }
    });
    for (int i = 0; i < 2000; ++i) static_cast<void>(workspace_.remove("a", true));
    done = true;
    box.join();
}

}  // namespace
}  // namespace sphere::files
