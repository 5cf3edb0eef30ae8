#include "sphere/native/snapshot_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <tuple>

#include "base/files/files.h"
#include "sphere/native/tree_file.h"
#include "support/seeds.h"
#include "support/temp_dir.h"

namespace sphere::native {
namespace {

using base::Code;
namespace fs = std::filesystem;

struct Folder {
    explicit Folder(const std::string& path)
        : fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {}
    base::UniqueFd fd;
};

/// What a person would compare of two trees, by name.
using Facts = std::tuple<char, unsigned, std::int64_t, std::string, std::uint64_t>;
std::map<std::string, Facts> facts_of(const std::string& root) {
    std::map<std::string, Facts> all;
    for (const auto& entry : fs::recursive_directory_iterator(root)) {
        struct stat info {};
        EXPECT_EQ(::lstat(entry.path().c_str(), &info), 0);
        const bool link = S_ISLNK(info.st_mode), folder = S_ISDIR(info.st_mode);
        const std::string content = link     ? fs::read_symlink(entry.path()).string()
                                    : folder ? ""
                                             : test::read_text(entry.path().string());
        all[entry.path().string().substr(root.size())] = {
            link     ? 'l'
            : folder ? 'd'
                     : 'f',
            link ? 0 : info.st_mode & 07777,
            info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec, content,
            folder ? 0 : info.st_nlink};
    }
    return all;
}

/// Folders, files with and without holes, links of both kinds, odd names, modes and times.
void make_random_tree(const std::string& root, base::Rng& rng) {
    std::vector<std::string> folders{root}, files;
    for (std::uint64_t i = 0, count = rng.below(40); i < count; ++i) {
        std::string name = folders[rng.below(folders.size())] + "/" + std::to_string(i);
        if (rng.below(5) == 0) name += "\n\xff ..";
        switch (rng.below(5)) {
            case 0:
                fs::create_directory(name);
                folders.push_back(name);
                break;
            case 1:
                fs::create_symlink(rng.below(2) == 0 ? "/etc/passwd" : "../gone", name);
                break;
            case 2:
                if (!files.empty()) {
                    fs::create_hard_link(files[rng.below(files.size())], name);
                    break;
                }
                [[fallthrough]];
            default: {
                std::string text(rng.below(3) == 0 ? rng.below(700'000) : rng.below(100), '\0');
                for (char& c : text) c = static_cast<char>(rng.below(256));
                test::write_text(name, text);
                if (rng.below(4) == 0) ::truncate(name.c_str(), 5'000'000);
                ::chmod(name.c_str(), static_cast<mode_t>(0400 + rng.below(0400)));
                files.push_back(name);
            }
        }
        const timespec times[2] = {{0, 0}, {static_cast<time_t>(rng.below(2'000'000'000)), 77}};
        ::utimensat(AT_FDCWD, name.c_str(), times, AT_SYMLINK_NOFOLLOW);
    }
}

class Store : public ::testing::Test {
protected:
    SnapshotStoreOptions options() const { return {.folder = place.file("snapshots")}; }
    SnapshotStore store() const { return SnapshotStore(options()); }
    static SnapshotInfo info(std::int64_t at = 1'700'000'000'000'000'000) {
        SnapshotInfo info;
        info.id = make_snapshot_id();
        info.from = "sbx-a";
        info.name = "été";
        info.tenant = "acme";
        info.created_unix_ns = at;
        info.consistency = "idle";
        return info;
    }
    base::Result<StoredSnapshot> keep(const std::string& tree, const SnapshotStore& in) {
        return in.keep(info(), Folder(tree).fd.get());
    }
    std::size_t files() const {
        std::error_code none;
        std::size_t count = 0;
        for (const auto& entry : fs::directory_iterator(options().folder, none)) {
            count += entry.path().filename() != "lock" ? 1 : 0;
        }
        return count;
    }
    std::string layer() const {
        for (const auto& entry : fs::directory_iterator(options().folder)) {
            if (entry.path().filename().string().starts_with("layer-")) return entry.path();
        }
        return "";
    }

    test::TempDir place;
};

TEST_F(Store, WhatIsKeptIsWhatWasThere) {
    test::for_each_seed(40, [&](base::Rng& rng) {
        test::TempDir from, to;
        make_random_tree(from.path(), rng);
        const auto stored = keep(from.path(), store());
        ASSERT_TRUE(stored) << stored.error().message;
        EXPECT_TRUE(stored->info.persist);
        const auto found = SnapshotStore(options()).find(stored->info.id);
        ASSERT_TRUE(found) << found.error().message;
        EXPECT_EQ(found->info.name, "été");
        EXPECT_EQ(found->info.created_unix_ns, stored->info.created_unix_ns);
        const auto made = store().restore(*found, Folder(to.path()).fd.get(), ::geteuid());
        ASSERT_TRUE(made) << made.error().message;
        EXPECT_EQ(facts_of(from.path()), facts_of(to.path()));
        EXPECT_EQ(made->entries, stored->info.entries);
        ASSERT_TRUE(store().remove(stored->info.id));
        EXPECT_EQ(files(), 0u);
    });
}

TEST_F(Store, SetIdBitsAndNotesAndFifosAreNotKept) {
    test::TempDir from, to;
    test::write_text(from.file("suid"), "x");
    ::chmod(from.file("suid").c_str(), 04755);
    ::setxattr(from.file("suid").c_str(), "user.overlay.redirect", "/etc", 4, 0);
    ASSERT_EQ(::mkfifo(from.file("fifo").c_str(), 0600), 0);
    const auto stored = keep(from.path(), store());
    ASSERT_TRUE(stored);
    ASSERT_TRUE(store().restore(*stored, Folder(to.path()).fd.get(), ::geteuid()));
    struct stat facts {};
    ASSERT_EQ(::stat(to.file("suid").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 07777, 0755u);
    EXPECT_LT(::getxattr(to.file("suid").c_str(), "user.overlay.redirect", nullptr, 0), 0);
    EXPECT_EQ(to.entries(), 1u);
}

TEST_F(Store, EqualFilesAreThereOnceUntilTheLastIsRemoved) {
    test::TempDir from, to;
    test::write_text(from.file("a"), std::string(100'000, 'a'));
    const auto first = keep(from.path(), store()), second = keep(from.path(), store());
    ASSERT_TRUE(first && second);
    EXPECT_EQ(files(), 3u);  // two records, one layer
    ASSERT_TRUE(store().remove(first->info.id));
    EXPECT_EQ(store().remove(first->info.id).error().code, Code::not_found);
    EXPECT_TRUE(store().restore(*second, Folder(to.path()).fd.get(), ::geteuid()));
    ASSERT_TRUE(store().remove(second->info.id));
    EXPECT_EQ(files(), 0u);
}

TEST_F(Store, AFullStoreSaysWhatItHoldsAndTakesNothing) {
    test::TempDir from;
    test::write_text(from.file("a"), std::string(100'000, 'a'));
    SnapshotStoreOptions few = options();
    few.snapshots_max = 1;
    SnapshotStoreOptions small = options();
    small.bytes_max = 150'000;
    ASSERT_TRUE(keep(from.path(), SnapshotStore(few)));
    EXPECT_EQ(keep(from.path(), SnapshotStore(few)).error().code, Code::resource_exhausted);
    test::write_text(from.file("b"), std::string(100'000, 'b'));
    EXPECT_EQ(keep(from.path(), SnapshotStore(small)).error().code, Code::resource_exhausted);
    EXPECT_EQ(files(), 2u);
    EXPECT_EQ(store().list().size(), 1u);
}

TEST_F(Store, ADamagedLayerIsToldWhereverItIsDamaged) {
    test::for_each_seed(60, [&](base::Rng& rng) {
        test::TempDir from, to;
        make_random_tree(from.path(), rng);
        test::write_text(from.file("always"), "x");
        const auto stored = keep(from.path(), store());
        ASSERT_TRUE(stored);
        const std::string path = layer();
        std::string text = test::read_text(path);
        if (rng.below(3) == 0) {
            text.resize(rng.below(text.size()));
        } else {
            text[rng.below(text.size())] ^= static_cast<char>(1 + rng.below(255));
        }
        test::write_text(path, text);
        const auto made = store().restore(*stored, Folder(to.path()).fd.get(), ::geteuid());
        ASSERT_FALSE(made);
        EXPECT_TRUE(made.error().code == Code::data_loss ||
                    made.error().code == Code::resource_exhausted)
            << made.error().message;
        EXPECT_TRUE(store().remove(stored->info.id));
    });
}

/// Whoever could write the state folder still gets nothing outside the layer.
TEST_F(Store, AHostileTreeStaysBeneathItsFolder) {
    const auto entry = [](char kind, const std::string& name, const std::string& rest) {
        std::string bytes(1, kind);
        bytes += std::string("\xed\x01\0\0", 4) + std::string(12, '\0');
        const auto text = [](const std::string& t) {
            return std::string{static_cast<char>(t.size()), 0, 0, 0} + t;
        };
        bytes += text(name);
        return bytes + (rest.empty() ? "" : kind == 'f' ? rest : text(rest));
    };
    const std::string empty_file(20, '\0');
    for (const std::string& body :
         {entry('f', "../out", empty_file), entry('f', "/tmp/out", empty_file),
          entry('l', "link", "/") + entry('f', "link/tmp/dougong-out", empty_file),
          entry('d', "..", ""), entry('d', "", ""), entry('h', "mine", "../../etc/passwd"),
          entry('l', "up", "..") + entry('h', "mine", "up/secret"), entry('c', "null", "x"),
          std::string("f")}) {
        test::TempDir place_of_it;
        fs::create_directory(place_of_it.file("in"));
        test::write_text(place_of_it.file("secret"), "s");
        const std::string stream = "dougong tree 1\n" + body + "e";
        std::size_t at = 0;
        const auto made = read_tree(
            [&](char* out, std::size_t bytes) -> base::Result<void> {
                if (bytes > stream.size() - at) return base::fail(Code::data_loss, "end");
                std::copy_n(stream.data() + at, bytes, out);
                at += bytes;
                return {};
            },
            Folder(place_of_it.file("in")).fd.get(), ::geteuid());
        EXPECT_FALSE(made) << body;
        EXPECT_EQ(place_of_it.entries(), 2u) << body;
    }
}

TEST_F(Store, ADamagedRecordIsNotListedAndNothingOfOthersGoes) {
    test::TempDir from, to;
    test::write_text(from.file("a"), "x");
    const auto stored = keep(from.path(), store());
    ASSERT_TRUE(stored);
    const std::string record = options().folder + "/" + stored->info.id + ".json";
    const std::string sound = test::read_text(record);
    std::string text = sound;
    text.replace(text.find("acme"), 4, "evil");
    test::write_text(record, text);
    EXPECT_EQ(store().find(stored->info.id).error().code, Code::data_loss);
    EXPECT_TRUE(store().list().empty());
    EXPECT_EQ(store().sweep(), 0u);
    test::write_text(record, sound);
    EXPECT_EQ(store().list().size(), 1u);
    EXPECT_TRUE(store().restore(*stored, Folder(to.path()).fd.get(), ::geteuid()));
    for (const std::string id : {"", "snap-", "snap-../x", "../lock", "snap-no"}) {
        EXPECT_EQ(store().find(id).error().code, Code::not_found) << id;
        EXPECT_EQ(store().remove(id).error().code, Code::not_found) << id;
    }
}

/// The kernel kills the process at a chosen byte of what it writes: of the layer, or of the record
/// after it. SIGXFSZ ends it as suddenly as SIGKILL would.
TEST_F(Store, AKillAtAnyByteLeavesNothingThatStays) {
    test::TempDir from;
    test::write_text(from.file("a"), std::string(3000, 'a'));
    const auto whole = keep(from.path(), store());
    ASSERT_TRUE(whole);
    ASSERT_TRUE(store().remove(whole->info.id));
    int killed = 0, kept = 0;
    std::vector<rlim_t> limits = {0, 1, 14, 15, 100, 2999, 3000, whole->packed_bytes - 1};
    for (const bool small : {false, true}) {
        if (small) {  // the record is the larger one
            fs::remove(from.file("a"));
            limits = {16, 17, 100, 300, 4000};
        }
        for (const rlim_t limit : limits) {
            const pid_t child = ::fork();
            if (child == 0) {
                const rlimit bytes{limit, limit};
                ::setrlimit(RLIMIT_FSIZE, &bytes);
                ::signal(SIGXFSZ, SIG_DFL);
                ::_exit(keep(from.path(), store()) ? 0 : 1);
            }
            int status = 0;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            const std::size_t stands = store().list().size();
            if (WIFSIGNALED(status)) {
                ++killed;
                EXPECT_EQ(WTERMSIG(status), SIGXFSZ);
                EXPECT_EQ(stands, 0u) << limit;
                store().sweep();
                EXPECT_EQ(files(), 0u) << limit;
            } else {
                ++kept;
                EXPECT_EQ(WEXITSTATUS(status), 0);
                EXPECT_EQ(stands, 1u) << limit;
                EXPECT_EQ(store().sweep(), 0u);
                for (const auto& each : store().list()) EXPECT_TRUE(store().remove(each.info.id));
            }
        }
    }
    EXPECT_GE(killed, 10);
    EXPECT_GE(kept, 1);
}

TEST_F(Store, SweepingLeavesWhatIsBeingWritten) {
    fs::create_directories(options().folder);
    const std::string id = make_snapshot_id();
    auto writing = base::AtomicFileWriter::create(options().folder + "/unnamed-" + id);
    ASSERT_TRUE(writing);
    EXPECT_EQ(store().sweep(), 0u);
    EXPECT_EQ(files(), 1u);
}

}  // namespace
}  // namespace sphere::native
