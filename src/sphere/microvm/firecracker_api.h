#pragma once
// Firecracker's HTTP API over its unix socket: what a machine needs to boot, stop and go on.

#include "base/http/client.h"
#include "base/json/json.h"
#include "sphere/microvm/boot.h"

namespace sphere::microvm {

class FirecrackerApi {
public:
    explicit FirecrackerApi(const std::string& socket);

    /// Machine, kernel, root image and socket, in this order, then the start. No network device.
    /// `agent_socket`: the path, as the monitor sees it, where its vsock comes out.
    /// Errors: failed_precondition with what the monitor said; unavailable.
    base::Result<void> boot(const Boot& boot, const Limits& limits,
                            const std::string& agent_socket) const;
    base::Result<void> set_paused(bool paused) const;

private:
    base::Result<void> send(const char* method, const std::string& path,
                            const base::json::object& body) const;

    const base::HttpClient client_;
};

}  // namespace sphere::microvm
