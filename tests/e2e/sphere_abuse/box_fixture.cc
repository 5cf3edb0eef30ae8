#include "box_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "sphere/native/native_sphere.h"

namespace test {

Answers parse_answers(const std::string& text) {
    Answers answers;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        const std::size_t equals = line.find('=');
        if (equals != std::string::npos) {
            answers.emplace(line.substr(0, equals), line.substr(equals + 1));
        }
    }
    return answers;
}

std::string one(const Answers& answers, const std::string& name) {
    if (answers.count(name) > 1) return "several";
    const auto at = answers.find(name);
    return at == answers.end() ? "missing" : at->second;
}

long long number(const Answers& answers, const std::string& name) {
    const auto at = answers.find(name);
    EXPECT_NE(at, answers.end()) << name;
    return at == answers.end() ? -1 : std::atoll(at->second.c_str());
}

std::string errno_text(int error) {
    return std::to_string(error);
}

std::string abuser_path() {
    const char* const named = std::getenv("DG_ABUSER");
    return named != nullptr ? named : DG_ABUSER_FILE;
}

void AbuseTest::SetUp() {
    const sphere::HostReport host = sphere::inspect_host();
    if (host.levels.empty()) {
        std::string why = "NO SANDBOX CAN BE MADE ON THIS HOST:";
        for (const auto& fact : host.facts) {
            if (fact.finding == sphere::Finding::missing) {
                why += " " + fact.primitive + " (" + fact.detail + ")";
            }
        }
        GTEST_SKIP() << why;
    }
    open();
}

void AbuseTest::TearDown() {
    sphere.reset();
    // The folder's own files go with the sphere; whatever else were left would be a leak.
    EXPECT_EQ(state.entries(), 0u);
}

void AbuseTest::open(std::uint32_t pool_size) {
    sphere.reset();
    const sphere::SphereOptions options{
        .state_dir = state.path(), .sandboxes_max = 256, .pool_size = pool_size};
    auto opened = sphere::native::NativeSphere::open(options, clock, level());
    ASSERT_TRUE(opened) << opened.error().message;
    sphere = std::move(*opened);
}

sphere::Isolation AbuseTest::level() {
    const char* const named = std::getenv("DG_ABUSE_ISOLATION");
    return named != nullptr && std::string_view(named) == "process" ? sphere::Isolation::process
                                                                    : sphere::Isolation::full;
}

sphere::SandboxId AbuseTest::make(sphere::SandboxSpec spec) {
    spec.isolation = level();
    const auto box = sphere->create(spec);
    EXPECT_TRUE(box) << box.error().message;
    if (!box) return {};
    install(*box);
    return *box;
}

void AbuseTest::install(const sphere::SandboxId& box) {
    const auto workspace = sphere->open_workspace(box);
    ASSERT_TRUE(workspace) << workspace.error().message;
    static const std::string program = read_text(abuser_path());
    const int file = ::openat(*workspace, "abuser", O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0755);
    ASSERT_GE(file, 0);
    ASSERT_EQ(::write(file, program.data(), program.size()), static_cast<ssize_t>(program.size()));
    ::close(file);
    ::close(*workspace);
}

void AbuseTest::run(const sphere::SandboxId& box, sphere::ExecSpec spec) {
    recorder = Recorder();
    const auto ended = sphere->exec(box, spec, recorder);
    ASSERT_TRUE(ended) << ended.error().message;
}

Answers AbuseTest::abuse(const sphere::SandboxId& box, std::vector<std::string> arguments,
                         sphere::ExecSpec spec) {
    spec.argv = {"./abuser"};
    for (std::string& argument : arguments) spec.argv.push_back(std::move(argument));
    run(box, spec);
    return parse_answers(recorder.out);
}

Answers AbuseTest::abuse(std::vector<std::string> arguments) {
    return abuse(make(), std::move(arguments));
}

bool AbuseTest::works_here(std::string_view what) const {
    for (const auto& fact : sphere::inspect_host().facts) {
        if (fact.primitive == what) return fact.finding == sphere::Finding::works;
    }
    return false;
}

std::vector<std::string> AbuseTest::recorded_groups() const {
    std::vector<std::string> groups;
    for (const auto& entry : std::filesystem::directory_iterator(state.path())) {
        if (entry.path().extension() != ".sphere") continue;
        std::istringstream lines(read_text(entry.path().string()));
        for (std::string line; std::getline(lines, line);) groups.push_back(line);
    }
    return groups;
}

}  // namespace test
