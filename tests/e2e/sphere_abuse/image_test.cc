// Boxes whose root is an image: nothing of the host's system is in them.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "box_fixture.h"
#include "unit/sphere/images/image_fixture.h"

namespace test {
namespace {

using base::Code;
using sphere::EndReason;

class FromImage : public AbuseTest {
protected:
    /// The abuser as an image's only program.
    sphere::SandboxSpec image(const json::object& config = {}) const {
        const LayoutFolder layout(files_.file("layout"));
        const std::string program = read_text(abuser_path());
        layout.image({gzipped(TarText()
                                  .folder("bin", 0700)
                                  .file("bin/abuser", program, 04700)
                                  .file("etc/motd", "from the image\n", 0600)
                                  .add({.name = "bin/null", .type = '3'})
                                  .done())},
                     config);
        sphere::SandboxSpec spec;
        spec.root = {sphere::RootSpec::Kind::image, layout.folder()};
        return spec;
    }
    void expect_program_runs(const sphere::SandboxSpec& spec) {
        const auto box = sphere->create(spec);
        ASSERT_TRUE(box) << box.error().message;
        run(*box, {.argv = {"/bin/abuser", "s52"}});
        EXPECT_EQ(recorder.result->reason, EndReason::exited);
        EXPECT_EQ(recorder.result->exit_code, 0) << recorder.err;
        EXPECT_NE(recorder.out.find("hostname="), std::string::npos) << recorder.out;
        Recorder unheard;  // nothing of the host's
        EXPECT_EQ(sphere->start(*box, {.argv = {"/usr/bin/env"}}, unheard).error().code,
                  Code::not_found);
        ASSERT_TRUE(sphere->destroy(*box));
    }

    void TearDown() override {
        sphere.reset();
        std::filesystem::remove_all(state.file("images"));  // stay for the next server
        AbuseTest::TearDown();
    }

    TempDir files_;
};

TEST_F(FromImage, ItsProgramsRunAndNothingElseIsThere) {
    expect_program_runs(image());
    const std::string tarball = files_.file("root.tar");
    write_text(tarball, TarText().file("bin/abuser", read_text(abuser_path()), 0755).done());
    sphere::SandboxSpec spec;
    spec.root = {sphere::RootSpec::Kind::image, tarball};
    expect_program_runs(spec);
}

TEST_F(FromImage, ItsDefaultsHoldWhereNothingElseIsSaid) {
    sphere::SandboxSpec spec = image({{"Env", json::array{"PATH=/bin", "WHO=image", "B=image"}},
                                      {"WorkingDir", "/etc"},
                                      {"User", "daemon"}});
    spec.environment["B"] = "box";
    const auto box = sphere->create(spec);
    ASSERT_TRUE(box) << box.error().message;
    sphere::ExecSpec exec;
    exec.argv = {"abuser", "show"};
    exec.working_directory.clear();
    run(*box, exec);
    Answers answers = parse_answers(recorder.out);
    EXPECT_EQ(one(answers, "cwd"), "/etc");
    EXPECT_EQ(one(answers, "WHO"), "image");
    EXPECT_EQ(one(answers, "B"), "box");
    EXPECT_EQ(one(answers, "uid"), "1000");
    EXPECT_EQ(one(answers, "/etc/motd"), "readable");
    exec.working_directory = "/workspace";
    run(*box, exec);
    EXPECT_EQ(one(parse_answers(recorder.out), "cwd"), "/workspace");
    const auto info = sphere->info(*box);
    const auto told = [&](std::string_view part) {
        return std::ranges::any_of(info->enforced_by, [&](const std::string& line) {
            return line.find(part) != std::string::npos;
        });
    };
    EXPECT_TRUE(told("image sha256:"));
    EXPECT_TRUE(told("'daemon'"));
}

TEST_F(FromImage, S15S49ItsRootIsReadOnlyAndGivesNoPower) {
    const auto box = sphere->create(image());
    ASSERT_TRUE(box) << box.error().message;
    run(*box, {.argv = {"/bin/abuser", "modes", "/bin"}});
    const Answers answers = parse_answers(recorder.out);
    EXPECT_EQ(one(answers, "abuser"), "100755");
    EXPECT_EQ(one(answers, "null"), "missing");
    EXPECT_NE(one(answers, "write"), "ok");
}

TEST_F(FromImage, S24AnImageWithLinksAtMountPointsIsRefused) {
    for (const char* name : {"proc", "dev", "tmp", "workspace"}) {
        const LayoutFolder layout(files_.file(std::string("layout-") + name));
        layout.image({TarText()
                          .file("bin/abuser", read_text(abuser_path()), 0755)
                          .link(name, "/etc")
                          .done()});
        sphere::SandboxSpec spec;
        spec.root = {sphere::RootSpec::Kind::image, layout.folder()};
        const auto box = sphere->create(spec);
        ASSERT_FALSE(box) << name;
        EXPECT_EQ(box.error().code, Code::invalid_argument);
        EXPECT_EQ(box.error().subject, "root.path");
    }
    EXPECT_TRUE(sphere->list().empty());
}

/// Inner mount points are the launcher's own tree: an image's dev/console or dev/pts is never met.
TEST_F(FromImage, S24LinksInsideItsDevAreHidden) {
    const LayoutFolder layout(files_.file("layout"));
    layout.image({TarText()
                      .file("bin/abuser", read_text(abuser_path()), 0755)
                      .folder("dev")
                      .link("dev/console", "/etc/motd")
                      .link("dev/pts", "/etc")
                      .link("dev/shm", "/etc")
                      .done()});
    sphere::SandboxSpec spec;
    spec.root = {sphere::RootSpec::Kind::image, layout.folder()};
    expect_program_runs(spec);
}

/// S25: mount targets of a template swapped for links, and back, while boxes start.
TEST_F(FromImage, S25TargetsSwappedWhileBoxesStart) {
    const std::string root = files_.file("root"), bait = files_.file("bait");
    for (const char* name : {"bin", "dev", "proc", "tmp", "workspace"}) {
        std::filesystem::create_directories(root + "/" + name);
    }
    std::filesystem::create_directory(bait);
    std::filesystem::copy_file(abuser_path(), root + "/bin/abuser");
    ::chmod(files_.path().c_str(), 0755);
    ::chmod((root + "/bin/abuser").c_str(), 0755);
    std::filesystem::create_directory_symlink(bait, files_.file("link"));
    std::atomic<bool> over = false;
    std::thread swapper([&] {
        const std::string target = root + "/workspace", link = files_.file("link");
        while (!over) {
            ::syscall(SYS_renameat2, AT_FDCWD, target.c_str(), AT_FDCWD, link.c_str(), 2);
        }
    });
    sphere::SandboxSpec spec;
    spec.root = {sphere::RootSpec::Kind::directory, root};
    int made = 0, refused = 0;
    for (int i = 0; i < 60; ++i) {
        const auto box = sphere->create(spec);
        if (!box) {
            EXPECT_EQ(box.error().code, Code::invalid_argument) << box.error().message;
            ++refused;
            continue;
        }
        ++made;
        const int workspace = *sphere->open_workspace(*box);
        const int file = ::openat(workspace, "mark", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        ::close(file);
        ::close(workspace);
        ASSERT_TRUE(sphere->destroy(*box));
    }
    over = true;
    swapper.join();
    EXPECT_EQ(made + refused, 60);
    EXPECT_TRUE(std::filesystem::is_empty(bait));
    EXPECT_FALSE(std::filesystem::exists(root + "/workspace/mark"));
}

TEST_F(FromImage, ASnapshotOfABoxFromAnImageKeepsItsRoot) {
    const auto box = sphere->create(image());
    ASSERT_TRUE(box) << box.error().message;
    const int workspace = *sphere->open_workspace(*box);
    const int file = ::openat(workspace, "given", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    ASSERT_EQ(::write(file, "x", 1), 1);
    ::close(file);
    ::close(workspace);
    const auto fork = sphere->fork(*box, {});
    ASSERT_TRUE(fork) << fork.error().message;
    for (const auto& each : {*box, *fork}) {
        run(each, {.argv = {"/bin/abuser", "modes", "/workspace"}});
        EXPECT_EQ(one(parse_answers(recorder.out), "given"), "100644");
    }
}

}  // namespace
}  // namespace test
