#pragma once
// A sphere with everything it answers to: policies, stops, secrets, the record and its copies.

#include <memory>
#include <string>
#include <vector>

#include "app/command.h"
#include "sphere/guard/guarded_sphere.h"

namespace app {

class SandboxGuard {
public:
    /// Whose sphere it is: each has a record of its own, since one folder has one writer.
    enum class User : std::uint8_t { server, command };

    /// `own_policy`: what holds where the configuration names no policies. `inner` opens the sphere
    /// behind the guard. Errors: those of the parts; a part the configuration names is at fault
    /// with its field as subject.
    static base::Result<std::unique_ptr<SandboxGuard>> open(
        const Program& program, User user, std::string own_policy, base::metrics::Registry& metrics,
        const sphere::SphereOptions& options, const sphere::guard::GuardedSphere::OpenInner& inner);
    ~SandboxGuard();  ///< ends every box, then makes the record durable

    sphere::guard::GuardedSphere& sphere();
    /// Takes secrets' values out of texts.
    std::shared_ptr<const sphere::audit::Redactor> redactor() const;
    /// Facts for the log at the start: where policies come from, where the record is.
    std::string policies() const;
    const std::string& audit_dir() const;

private:
    struct Impl;
    explicit SandboxGuard(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// Sandboxes of the default size; no way out of them.
std::string default_server_policy();
/// Who types the command decides: what `spec` asks for is what it allows.
std::string command_line_policy(const sphere::SandboxSpec& spec);

}  // namespace app
