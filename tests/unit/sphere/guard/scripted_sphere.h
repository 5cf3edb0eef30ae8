#pragma once
// A sphere in memory: boxes are entries of a table, commands end when the test says so.

#include <fcntl.h>

#include <map>
#include <mutex>

#include "sphere/sphere.h"

namespace test {

class ScriptedSphere final : public sphere::Sphere {
public:
    explicit ScriptedSphere(sphere::SphereOptions options) : options_(std::move(options)) {}

    using Sphere::create;
    base::Result<sphere::SandboxId> create(const sphere::SandboxSpec& spec,
                                           const sphere::Secrets& secrets) override {
        if (refuse_create) return std::unexpected(*refuse_create);
        sphere::SandboxInfo info;
        info.id = "sbx-" + std::to_string(++made);
        info.spec = spec;
        info.state = sphere::SandboxState::ready;
        info.backend = "scripted";
        boxes[info.id] = info;
        given = secrets;
        if (on_create) on_create(info);
        return info.id;
    }
    base::Result<void> destroy(const sphere::SandboxId& id) override {
        return end(id, "destroyed");
    }
    /// As a backend does by itself.
    base::Result<void> end(const sphere::SandboxId& id, std::string_view why) {
        const auto found = boxes.find(id);
        if (found == boxes.end()) {
            return base::fail_on(id, base::Code::not_found, "no sandbox {}", id);
        }
        if (found->second.state == sphere::SandboxState::ended) return {};
        found->second.state = sphere::SandboxState::ended;
        finish(id, {.reason = sphere::EndReason::stopped});
        if (tells_ends) options_.on_sandbox_end(found->second, why);
        return {};
    }
    base::Result<sphere::ExecId> start(const sphere::SandboxId& id, const sphere::ExecSpec&,
                                       sphere::ExecSink& sink) override {
        if (refuse_start) return std::unexpected(*refuse_start);
        const auto box = boxes.find(id);
        if (box == boxes.end() || box->second.state == sphere::SandboxState::ended) {
            return base::fail(base::Code::not_found, "no sandbox {}", id);
        }
        running[{id, ++execs}] = &sink;
        return execs;
    }
    base::Result<sphere::ExecId> fork_command(const sphere::SandboxId& id, sphere::ExecId,
                                              sphere::ExecSink& sink) override {
        return start(id, {}, sink);
    }
    /// Ends every command of a box.
    void finish(const sphere::SandboxId& id, const sphere::ExecResult& result) {
        std::vector<sphere::ExecSink*> sinks;
        std::erase_if(running, [&](const auto& each) {
            if (each.first.first != id) return false;
            sinks.push_back(each.second);
            return true;
        });
        for (sphere::ExecSink* sink : sinks) sink->on_end(result);
    }
    void try_network(const sphere::SandboxId& id, const sphere::NetworkAttempt& attempt) {
        options_.on_network_attempt(id, attempt);
    }

    base::Result<void> write_stdin(const sphere::SandboxId&, sphere::ExecId, std::string_view,
                                   bool) override {
        return {};
    }
    base::Result<void> resize_tty(const sphere::SandboxId&, sphere::ExecId, std::uint16_t,
                                  std::uint16_t) override {
        return {};
    }
    base::Result<void> signal(const sphere::SandboxId&, sphere::ExecId, int) override { return {}; }
    base::Result<void> pause(const sphere::SandboxId&) override { return {}; }
    base::Result<void> resume(const sphere::SandboxId&) override { return {}; }
    base::Result<sphere::SandboxInfo> info(const sphere::SandboxId& id) const override {
        const auto found = boxes.find(id);
        if (found != boxes.end()) return found->second;
        return base::fail_on(id, base::Code::not_found, "no sandbox {}", id);
    }
    std::vector<sphere::SandboxInfo> list() const override {
        std::vector<sphere::SandboxInfo> all;
        for (const auto& [id, info] : boxes) {
            if (info.state != sphere::SandboxState::ended) all.push_back(info);
        }
        return all;
    }
    std::uint32_t emergency_stop(const sphere::StopScope& scope) override {
        std::uint32_t stopped = 0;
        for (const sphere::SandboxInfo& info : list()) {
            if (!scope.tenant.empty() && scope.tenant != info.spec.tenant) continue;
            if (!scope.sandbox.empty() && scope.sandbox != info.id) continue;
            static_cast<void>(end(info.id, "emergency"));
            ++stopped;
        }
        return stopped;
    }
    base::Result<void> lift_stop(const sphere::StopScope& scope) override {
        lifted.push_back(scope.tenant);
        return {};
    }
    base::Result<int> open_workspace(const sphere::SandboxId&) override {
        const int fd = ::open(workspace.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0) return fd;
        return base::fail(base::Code::not_found, "no workspace");
    }

    std::map<sphere::SandboxId, sphere::SandboxInfo> boxes;
    std::map<std::pair<sphere::SandboxId, sphere::ExecId>, sphere::ExecSink*> running;
    std::optional<base::Error> refuse_create, refuse_start;
    std::function<void(const sphere::SandboxInfo&)> on_create;
    sphere::Secrets given;  ///< with the last create
    std::vector<std::string> lifted;
    std::string workspace;
    std::uint32_t made = 0, execs = 0;
    bool tells_ends = true;

private:
    const sphere::SphereOptions options_;
};

}  // namespace test
