#include "sphere/http/request_parts.h"

#include <csignal>
#include <string>
#include <utility>

namespace sphere {

using base::Code;
using base::fail_on;
using base::Result;
using base::http::Request;

Result<SandboxInfo> find_box(const Sphere& sphere, const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const std::string id(request.param("id"));
    auto info = sphere.info(id);
    if (info && info->spec.tenant == tenant) return info;
    return fail_on("id", Code::not_found, "there is no sandbox '{}'; GET /v1/sandboxes lists them",
                   id.substr(0, 64));
}

Result<ExecId> exec_of(const Request& request) {
    return number_of(request, "exec", "an exec");
}

Result<int> signal_of(std::string_view name) {
    static constexpr std::pair<std::string_view, int> kSignals[] = {
        {"TERM", SIGTERM}, {"KILL", SIGKILL}, {"INT", SIGINT},   {"HUP", SIGHUP},
        {"QUIT", SIGQUIT}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};
    const std::string_view plain = name.starts_with("SIG") ? name.substr(3) : name;
    for (const auto& [word, number] : kSignals) {
        if (word == plain) return number;
    }
    return fail_on("signal", Code::invalid_argument,
                   "'{}' is not one of TERM, KILL, INT, HUP, QUIT, USR1, USR2, WINCH",
                   name.substr(0, 32));
}

}  // namespace sphere
