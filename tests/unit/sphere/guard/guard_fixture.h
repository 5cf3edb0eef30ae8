#pragma once
// A guard over a scripted sphere, and its record as JSON.

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>

#include "base/json/json.h"
#include "base/metrics/metrics.h"
#include "scripted_sphere.h"
#include "sphere/audit/query.h"
#include "sphere/audit/verify.h"
#include "sphere/guard/guarded_sphere.h"
#include "support/manual_clock.h"
#include "support/temp_dir.h"

namespace test {

class Quiet final : public sphere::ExecSink {
public:
    void on_output(sphere::Stream, std::string_view) override {}
    void on_end(const sphere::ExecResult& ended) override { result = ended; }
    std::optional<sphere::ExecResult> result;
};

class GuardTest : public ::testing::Test {
protected:
    static constexpr const char* kPolicy =
        "version: 1\nname: team\ntenants: [acme]\n"
        "limits: {memory_bytes: 1073741824}\n"
        "network: {mode: egress, allow_domains: [example.org]}\n"
        "secrets:\n"
        "  - {name: key, environment: API_KEY}\n"
        "  - {name: token, header: Authorization, domains: [example.org]}\n"
        "tools: [{id: read, effect: allow, tools: [fs.read], data: [public],"
        " arguments: {limit: {type: integer, max: 10}}}]\n";

    GuardTest() {
        write_text(policy_file, kPolicy);
        write_text(secrets_file,
                   "key: open-sesame\ntoken: \"Bearer abcdefgh\"\nother: unused-value\n");
        std::filesystem::permissions(secrets_file, std::filesystem::perms(0600));
        EXPECT_TRUE(std::filesystem::create_directory(dir.file("workspace")));
    }
    void open(std::string actor = "test") {
        close();
        policies = std::move(*sphere::policy::PolicyStore::open(policy_file, system_clock));
        stops = std::move(*sphere::policy::StopBoard::open(dir.file("stops.json"), clock));
        log = std::move(*sphere::audit::AuditLog::open({.dir = audit_dir}, clock));
        secrets = std::move(*sphere::guard::load_secrets(secrets_file));
        metrics = std::make_unique<base::metrics::Registry>();
        auto opened = sphere::guard::GuardedSphere::open(
            {*policies, *stops, *log, *secrets, *metrics, clock}, {}, std::move(actor),
            [&](const sphere::SphereOptions& options)
                -> base::Result<std::unique_ptr<sphere::Sphere>> {
                auto made = std::make_unique<ScriptedSphere>(options);
                inner = made.get();
                inner->workspace = dir.file("workspace");
                return made;
            });
        ASSERT_TRUE(opened) << opened.error().message;
        guard = std::move(*opened);
    }
    void close() {
        guard.reset();
        log.reset();
        stops.reset();
    }
    static sphere::SandboxSpec acme() {
        sphere::SandboxSpec spec;
        spec.tenant = "acme";
        return spec;
    }
    std::string make() {
        const auto box = guard->create(acme());
        EXPECT_TRUE(box) << box.error().message;
        return box ? *box : "";
    }
    /// Every event of a kind so far, oldest first.
    std::vector<base::json::object> events(const std::string& kind = "") {
        EXPECT_TRUE(log->sync());
        std::vector<base::json::object> found;
        sphere::audit::EventFilter filter;
        filter.event = kind;
        EXPECT_TRUE(sphere::audit::find_events(audit_dir, filter, [&](std::string_view line) {
            found.push_back(base::parse_json(line)->as_object());
            return true;
        }));
        return found;
    }
    static std::string text(const base::json::object& event, std::string_view name) {
        const auto* value = event.if_contains(name);
        return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
    }
    /// What is decided about fs.read without arguments.
    sphere::policy::Decision decide() {
        sphere::policy::ToolRequest request;
        request.tenant = "acme";
        request.tool = "fs.read";
        return guard->decide(request)->decision;
    }
    std::string record() {
        EXPECT_TRUE(log->sync());
        std::string all;
        for (const auto& entry : std::filesystem::directory_iterator(audit_dir)) {
            all += read_text(entry.path().string());
        }
        return all;
    }

    TempDir dir;
    ManualClock clock;
    base::SystemClock system_clock;
    std::string policy_file = dir.file("policy.yaml"), secrets_file = dir.file("secrets.yaml"),
                audit_dir = dir.file("audit");
    std::unique_ptr<sphere::policy::PolicyStore> policies;
    std::unique_ptr<sphere::policy::StopBoard> stops;
    std::unique_ptr<sphere::audit::AuditLog> log;
    std::unique_ptr<sphere::guard::SecretStore> secrets;
    std::unique_ptr<base::metrics::Registry> metrics;
    std::unique_ptr<sphere::guard::GuardedSphere> guard;
    ScriptedSphere* inner = nullptr;
};

}  // namespace test
