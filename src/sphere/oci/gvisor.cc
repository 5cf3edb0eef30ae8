// Level gvisor: finding a runsc that works here, by starting a box with it.
#include <cstdlib>
#include <filesystem>

#include "sphere/guest/spawn.h"
#include "sphere/oci/container_maker.h"

namespace sphere::oci {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr int kVersionMs = 10'000;

/// A folder for one trial, gone with it.
class TrialFolder {
public:
    TrialFolder() {
        if (::mkdtemp(path_) == nullptr) path_[0] = '\0';
    }
    ~TrialFolder() {
        std::error_code ignored;
        if (path_[0] != '\0') std::filesystem::remove_all(path_, ignored);
    }
    TrialFolder(const TrialFolder&) = delete;
    TrialFolder& operator=(const TrialFolder&) = delete;
    std::string path() const { return path_; }

private:
    char path_[32] = "/tmp/dougong-trial-XXXXXX";
};

/// Whether a box starts and a command in it ends as it should.
Result<void> try_once(const Runtime& runtime, const base::Clock& clock) {
    const TrialFolder folder;
    auto maker = DG_TRY(ContainerMaker::open(folder.path(), runtime));
    guest::GuestSphere sphere({.state_dir = folder.path()}, clock, std::move(maker));
    SandboxSpec spec;
    spec.isolation = runtime.level;
    DG_TRY(sphere.create(spec));
    return {};
}

}  // namespace

Result<Runtime> find_runsc(const GvisorOptions& options, const base::Clock& clock) {
    if (options.program.empty()) {
        return fail(Code::failed_precondition,
                    "isolation gvisor is off here; set sandbox.runsc to runsc");
    }
    const std::string program = guest::find_program(options.program);
    if (program.empty()) {
        return fail(Code::failed_precondition,
                    "isolation gvisor needs the program {}, which is not installed; on Debian: apt "
                    "install runsc",
                    options.program);
    }
    const auto version = DG_TRY(guest::run_and_listen(
        {.program = program, .arguments = {"--version"}, .descriptors = {}}, kVersionMs));
    if (version.wait_status != 0 || version.text.find("runsc") == std::string::npos) {
        return fail(Code::failed_precondition,
                    "isolation gvisor needs runsc; {} says something else to --version", program);
    }
    std::vector<std::string> platforms = {"systrap", "ptrace"};  // kvm hangs where it is emulated
    if (!options.platform.empty()) platforms = {options.platform};
    std::string reasons;
    for (const std::string& platform : platforms) {
        Runtime runtime = runsc(program, platform);
        const auto tried = try_once(runtime, clock);
        if (tried) return runtime;
        reasons +=
            fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", platform, tried.error().message);
    }
    return fail(Code::failed_precondition, "isolation gvisor: {} starts no box here ({})", program,
                reasons);
}

Result<std::unique_ptr<Sphere>> open_gvisor(const SphereOptions& options,
                                            const base::Clock& clock) {
    const Runtime runtime = DG_TRY(find_runsc(options.backends.gvisor, clock));
    auto maker = DG_TRY(ContainerMaker::open(options.state_dir, runtime));
    return std::unique_ptr<Sphere>(
        std::make_unique<guest::GuestSphere>(options, clock, std::move(maker)));
}

}  // namespace sphere::oci
