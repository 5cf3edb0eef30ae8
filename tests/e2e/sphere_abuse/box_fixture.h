#pragma once
// Boxes for the abuse corpus: one guarded sphere for each way of running it (as root, as an
// ordinary user), the abuser inside, its answers as a table, and the record that every attempt must
// leave.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/json/json.h"
#include "base/metrics/metrics.h"
#include "sphere/guard/guarded_sphere.h"
#include "support/temp_dir.h"

namespace test {

/// What an exec printed and how it ended.
class Recorder final : public sphere::ExecSink {
public:
    void on_output(sphere::Stream stream, std::string_view bytes) override {
        (stream == sphere::Stream::out ? out : err) += bytes;
    }
    void on_end(const sphere::ExecResult& ended) override { result = ended; }

    std::string out, err;
    std::optional<sphere::ExecResult> result;
};

/// "name=value" lines, every value given under a name.
using Answers = std::multimap<std::string, std::string>;
Answers parse_answers(const std::string& text);
/// The one value of `name`; "missing" or "several" when there is not one.
std::string one(const Answers& answers, const std::string& name);
long long number(const Answers& answers, const std::string& name);
std::string errno_text(int error);
/// The hostile program's file on this side.
std::string abuser_path();

/// What the corpus' policy grants: `api` in a header for api.example.org, `key` in one for every
/// name below example.org, by TLS.
class CorpusSecrets final : public sphere::guard::SecretStore {
public:
    static constexpr const char* kValue = "sk-live-4f9a8c7d6e5b";
    base::Result<std::string> value(std::string_view) const override { return kValue; }
    std::shared_ptr<const sphere::audit::Redactor> redactor() const override { return redactor_; }

private:
    std::shared_ptr<const sphere::audit::Redactor> redactor_ =
        std::make_shared<const sphere::audit::Redactor>(
            *sphere::audit::Redactor::create({{"api", kValue}}));
};

class AbuseTest : public ::testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;

    /// DG_ABUSE_ISOLATION: which level this run's boxes have, and by what: "process", "gvisor" (by
    /// runsc), "crun" (a container that stands for level gvisor's, of this host's kernel); else
    /// full.
    static sphere::Isolation level();
    static bool in_container();
    /// Whether what a box sees of a kernel is a kernel of its own: devices, /sys and process 1 in
    /// there are not the host's.
    static bool own_kernel();
    /// How many processes but its own a command sees: gVisor's /proc hides nobody, so the agent.
    static int others_seen() { return own_kernel() ? 1 : 0; }
    /// `spec` at this run's level.
    static sphere::SandboxSpec of_this_run(sphere::SandboxSpec spec = {});
    /// The sphere's shared options: no pool, so that each box is made as its spec says.
    void open(std::uint32_t pool_size = 0);
    void open(const sphere::SphereOptions& options);
    sphere::SandboxId make(sphere::SandboxSpec spec = {});
    /// The abuser's answers in `box`; its result is in recorder().result.
    Answers abuse(const sphere::SandboxId& box, std::vector<std::string> arguments,
                  sphere::ExecSpec spec = {});
    Answers abuse(std::vector<std::string> arguments);
    /// Puts the abuser into the box's workspace.
    void install(const sphere::SandboxId& box);
    /// Leaves exactly one event of its end, which says what the result says.
    void run(const sphere::SandboxId& box, sphere::ExecSpec spec);
    /// Whether the host report says `what` works here, of limits: by control groups.
    bool works_here(std::string_view what) const;
    bool limited_by_groups(std::string_view what) const { return works_here(what); }
    /// The record's events of a kind so far, oldest first.
    std::vector<base::json::object> events(const std::string& kind, const std::string& box = "");
    /// The control groups that spheres with this state folder have written down.
    std::vector<std::string> recorded_groups() const;

    TempDir state, record;
    base::SystemClock clock;
    base::metrics::Registry metrics;
    CorpusSecrets secrets;
    std::unique_ptr<sphere::policy::PolicyStore> policies;
    std::unique_ptr<sphere::policy::StopBoard> stops;
    std::unique_ptr<sphere::audit::AuditLog> log;
    std::unique_ptr<sphere::Sphere> sphere;
    Recorder recorder;
};

}  // namespace test
