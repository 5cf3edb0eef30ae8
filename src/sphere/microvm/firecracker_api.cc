#include "sphere/microvm/firecracker_api.h"

namespace sphere::microvm {

namespace json = base::json;
using base::Code;
using base::fail;
using base::Result;

namespace {

constexpr std::chrono::milliseconds kCallMax{10'000};
constexpr unsigned kGuestAddress = 3;  // of the machine on its own vsock; any but 0 to 2

/// What it says is wrong, else its whole answer.
std::string fault_of(const std::string& body) {
    const auto parsed = base::parse_json(body);
    const json::object* const object = parsed ? parsed->if_object() : nullptr;
    const json::value* const fault = object ? object->if_contains("fault_message") : nullptr;
    return fault && fault->is_string() ? std::string(fault->as_string()) : body;
}

}  // namespace

FirecrackerApi::FirecrackerApi(const std::string& socket)
    : client_({.proxy = "", .ca_file = "", .unix_socket = socket}) {}

Result<void> FirecrackerApi::send(const char* method, const std::string& path,
                                  const json::object& body) const {
    base::HttpClient::Request request;
    request.method = method;
    request.url = "http://localhost" + path;
    request.headers = {{"Content-Type", "application/json"}};
    request.body = base::to_text(body);
    request.timeout = kCallMax;
    request.body_bytes_max = 64 * 1024;
    request.follow_redirects = false;
    const auto response = DG_TRY(client_.send(request));
    if (response.status >= 200 && response.status < 300) return {};
    return fail(Code::failed_precondition, "firecracker refuses {} {} with {}: {}", method, path,
                response.status, fault_of(response.body));
}

Result<void> FirecrackerApi::boot(const Boot& boot, const Limits& limits,
                                  const std::string& agent_socket) const {
    DG_TRY(send("PUT", "/machine-config",
                {{"vcpu_count", processors(limits)},
                 {"mem_size_mib", memory_mib(limits)},
                 {"smt", false}}));
    DG_TRY(send("PUT", "/boot-source",
                {{"kernel_image_path", boot.kernel},
                 {"initrd_path", boot.initramfs},
                 {"boot_args", kernel_arguments(boot)}}));
    if (!boot.disk.empty()) {
        DG_TRY(send("PUT", "/drives/root",
                    {{"drive_id", "root"},
                     {"path_on_host", boot.disk},
                     {"is_root_device", false},  // the archive's agent mounts it
                     {"is_read_only", true}}));
    }
    DG_TRY(send("PUT", "/vsock", {{"guest_cid", kGuestAddress}, {"uds_path", agent_socket}}));
    return send("PUT", "/actions", {{"action_type", "InstanceStart"}});
}

Result<void> FirecrackerApi::set_paused(bool paused) const {
    return send("PATCH", "/vm", {{"state", paused ? "Paused" : "Resumed"}});
}

}  // namespace sphere::microvm
