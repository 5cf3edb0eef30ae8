#pragma once
// The sandbox plane of a server: opened where the host allows it, else its routes say why not.

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "app/command.h"
#include "base/http/router.h"
#include "sphere/backend_options.h"

namespace base::metrics {
class Registry;
}
namespace sphere::tools {
class SandboxTools;
}
namespace sphere {
class Sphere;
}

namespace app {

/// Where boxes' leftovers are written down: sandbox.state_dir, else a folder of this user's own.
std::string sandbox_state_dir(const Program& program);
/// Where images and kept snapshots outlive a reboot: sandbox.data_dir, else this user's data
/// folder. Empty, which is the state folder, where that one is named or no data folder can be
/// written.
std::string sandbox_data_dir(const SandboxConfig& config, const Environment& environment);

/// The programs of the stronger levels, as configured.
sphere::BackendOptions sandbox_backends(const Config& config);

/// Why this configuration offers no sandboxes, whatever the host could do; empty: it does. Who can
/// reach the port can run programs in them, so beyond loopback only sandbox.enabled on does.
std::string sandboxes_refused(const Config& config);

/// While one lives, SIGUSR1 is the emergency stop of every sandbox. [WP 5.7]
class Sandboxes {
public:
    /// Make it before threads that should leave SIGUSR1 alone. Errors: Sphere::open's, with
    /// sandbox.enabled on; auto keeps the reason instead, but for what the configuration names.
    static base::Result<std::unique_ptr<Sandboxes>> open(const Program& program,
                                                         base::metrics::Registry& metrics);
    ~Sandboxes();  ///< stop()

    void register_routes(base::http::Router& router);
    /// Why there are none; empty when there are.
    const std::string& unavailable() const;
    /// The same sandboxes as another part of the server uses them: under `actor` in the record.
    /// Null where there are none. Must go before stop().
    std::unique_ptr<sphere::Sphere> sphere_as(std::string_view actor);
    /// What agents do with sandboxes, under their policies. Null where there are none. Not after
    /// stop().
    sphere::tools::SandboxTools* tools();
    /// For the log: where policies come from and their digest; where the record is. Empty without.
    std::string policies() const;
    std::string audit_dir() const;
    /// Takes secrets' values out of a log line; empty when there are none.
    std::function<std::string(std::string_view)> scrubber() const;
    /// Ends every box. After the server's stop. Idempotent.
    void stop();

private:
    struct Impl;
    explicit Sandboxes(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace app
