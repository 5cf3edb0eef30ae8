#include "box_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "sphere/audit/query.h"
#include "sphere/audit/verify.h"
#include "sphere/guest/spawn.h"
#include "sphere/native/native_sphere.h"
#include "sphere/oci/container_maker.h"

namespace test {
namespace {

/// The walls are to be tried here, not the ceilings.
constexpr const char* kPolicy =
    "version: 1\nname: corpus\nisolation_min: process\nroots: [host, image, directory]\n"
    "limits: {cpus: 64, memory_bytes: 1099511627776, processes_max: 4000000,"
    " workspace_bytes: 1099511627776, tmp_bytes: 1099511627776, inodes_max: 100000000,"
    " open_files_max: 1000000, lifetime_ms: 0, idle_timeout_ms: 0, gpu_share: 8}\n"
    "network: {mode: full, bytes_max: 0, allow_cidrs: ['0.0.0.0/0', '::/0']}\n"
    "secrets:\n"
    "- {name: api, header: Authorization, domains: [api.example.org]}\n"
    "- {name: key, header: X-Key, domains: ['*.example.org:443']}\n";

std::string text_of(const base::json::object& event, std::string_view name) {
    const auto* value = event.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::string asked_isolation() {
    const char* const named = std::getenv("DG_ABUSE_ISOLATION");
    return named == nullptr ? "full" : named;
}

/// The runtime that this run asks for; what a host needs to have it.
base::Result<sphere::oci::Runtime> find_runtime(const base::Clock& clock) {
    if (asked_isolation() == "gvisor") {
        return sphere::oci::find_runsc({.program = "runsc"}, clock);
    }
    const std::string program = sphere::guest::find_program("crun");
    if (program.empty()) {
        return base::fail(base::Code::failed_precondition,
                          "crun is not installed; on Debian: apt install crun");
    }
    return sphere::oci::crun(program);
}

/// Looked for once in a process: finding runsc starts a box with it.
const base::Result<sphere::oci::Runtime>& runtime(const base::Clock& clock) {
    static const auto found = find_runtime(clock);
    return found;
}

base::Result<std::unique_ptr<sphere::Sphere>> open_container(const sphere::SphereOptions& options,
                                                             const base::Clock& clock) {
    auto maker = DG_TRY(sphere::oci::ContainerMaker::open(options.state_dir, *runtime(clock)));
    return std::unique_ptr<sphere::Sphere>(
        std::make_unique<sphere::guest::GuestSphere>(options, clock, std::move(maker)));
}

}  // namespace

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
    if (in_container() && !runtime(clock)) {
        GTEST_SKIP() << "NO CONTAINERS BY " << asked_isolation()
                     << " HERE: " << runtime(clock).error().message;
    }
    open();
}

void AbuseTest::TearDown() {
    sphere.reset();
    // The folder's own files go with the sphere; whatever else were left would be a leak.
    EXPECT_EQ(state.entries(), 0u);
    if (!log) return;
    std::map<std::string, int> there, calls;
    for (const auto& event : events("sandbox")) {
        if (text_of(event, "decision") != "allow") continue;
        const bool made = text_of(event, "event") == "sandbox.create";
        if (made || text_of(event, "event") == "sandbox.destroy") {
            there[text_of(event, "sandbox")] += made ? 1 : -1;
        }
    }
    for (const auto& event : events("exec")) {
        const auto* const details = event.if_contains("details");
        const auto* const call =
            details != nullptr ? details->as_object().if_contains("call") : nullptr;
        if (call == nullptr) continue;
        calls[std::string(call->as_string())] += text_of(event, "event") == "exec.start" ? 1 : -1;
    }
    for (const auto& [box, count] : there) EXPECT_EQ(count, 0) << box << " has no end";
    for (const auto& [call, count] : calls) EXPECT_EQ(count, 0) << "command " << call;
    log.reset();
    EXPECT_TRUE(sphere::audit::verify(record.path())->ok());
}

void AbuseTest::open(std::uint32_t pool_size) {
    open({.state_dir = state.path(), .sandboxes_max = 256, .pool_size = pool_size});
}

void AbuseTest::open(const sphere::SphereOptions& options) {
    sphere.reset();
    log.reset();
    const auto part = [](auto& member, auto made) {
        ASSERT_TRUE(made) << made.error().message;
        member = std::move(*made);
    };
    part(policies, sphere::policy::PolicyStore::of(kPolicy, "corpus", clock));
    part(stops, sphere::policy::StopBoard::open(record.file("stops.json"), clock));
    part(log, sphere::audit::AuditLog::open({.dir = record.path()}, clock));
    part(sphere, sphere::guard::GuardedSphere::open(
                     {*policies, *stops, *log, secrets, metrics, clock}, options, "corpus",
                     [&](const sphere::SphereOptions& inner) {
                         return in_container()
                                    ? open_container(inner, clock)
                                    : sphere::native::NativeSphere::open(inner, clock, level());
                     }));
}

std::vector<base::json::object> AbuseTest::events(const std::string& kind, const std::string& box) {
    EXPECT_TRUE(log->sync());
    std::vector<base::json::object> found;
    sphere::audit::EventFilter filter;
    filter.event = kind;
    filter.sandbox = box;
    EXPECT_TRUE(sphere::audit::find_events(record.path(), filter, [&](std::string_view line) {
        found.push_back(base::parse_json(line)->as_object());
        return true;
    }));
    return found;
}

bool AbuseTest::in_container() {
    return asked_isolation() == "gvisor" || asked_isolation() == "crun";
}

sphere::Isolation AbuseTest::level() {
    return in_container()                   ? sphere::Isolation::gvisor
           : asked_isolation() == "process" ? sphere::Isolation::process
                                            : sphere::Isolation::full;
}

bool AbuseTest::own_kernel() {
    return asked_isolation() == "gvisor";
}

sphere::SandboxSpec AbuseTest::of_this_run(sphere::SandboxSpec spec) {
    spec.isolation = level();
    return spec;
}

sphere::SandboxId AbuseTest::make(sphere::SandboxSpec spec) {
    const auto box = sphere->create(of_this_run(std::move(spec)));
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
    std::string what;  // as the record says it; others may run in the box beside it
    for (const std::string& word : spec.argv) what += (what.empty() ? "" : " ") + word;
    what = secrets.redactor()->apply(what);
    const auto ends = [&] {
        auto found = events("exec.end", box);
        std::erase_if(found, [&](const auto& event) { return text_of(event, "what") != what; });
        return found;
    };
    const std::size_t before = ends().size();
    const auto ended = sphere->exec(box, spec, recorder);
    ASSERT_TRUE(ended) << ended.error().message;
    const auto after = ends();
    ASSERT_EQ(after.size(), before + 1) << "one event for each attempt";
    EXPECT_EQ(text_of(after.back().at("exit").as_object(), "reason"),
              end_reason_name(ended->reason));
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
