#pragma once
// What a sandbox is asked to be, and what is run in it: plain values that travel over HTTP, into
// the audit log and back. Checked by check_spec before anything is created.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace sphere {

/// How strong the wall is. A spec states the least it accepts; nothing falls back by itself.
enum class Isolation : std::uint8_t {
    process = 1,  ///< Landlock and seccomp around a process of this host
    full = 2,     ///< namespaces, a root of its own, limits, Landlock and seccomp
    gvisor = 3,   ///< a kernel in user space between the box and this host's
    microvm = 4,  ///< a kernel of its own
};
std::string_view isolation_name(Isolation level);  ///< "process", "full", "gvisor", "microvm"

enum class NetworkMode : std::uint8_t {
    none,      ///< no interface, not even loopback
    loopback,  ///< the box's own 127.0.0.1 and ::1
    egress,    ///< loopback, and what the allowlist names, through the broker
    full,      ///< the host's network; private and metadata addresses stay closed unless named
};
std::string_view network_mode_name(NetworkMode mode);

/// Counted exactly; the call or byte that goes over is refused.
struct NetworkPolicy {
    NetworkMode mode = NetworkMode::none;
    /// "example.org", "*.example.org" (not itself), "example.org:8443"; lower case. Without a port:
    /// 80 and 443.
    std::vector<std::string> allow_domains;
    std::vector<std::string> allow_cidrs;  ///< "203.0.113.0/24", "2001:db8::/32"
    std::uint64_t calls_max = 0;           ///< connections, requests and queries; 0: no limit
    std::uint64_t bytes_max = 0;           ///< both directions together; 0: no limit
};

/// What a box may take of the host. Every one is enforced or the box is refused; which mechanism
/// does it is told by SandboxInfo::enforced_by.
struct Limits {
    double cpus = 1.;                                        ///< of processor time per second
    std::uint64_t memory_bytes = 512ull << 20;               ///< swap included; tmpfs included
    std::uint32_t processes_max = 128;                       ///< threads count
    std::uint64_t workspace_bytes = 256ull << 20;            ///< of /workspace
    std::uint64_t tmp_bytes = 64ull << 20;                   ///< of /tmp
    std::uint64_t inodes_max = 65'536;                       ///< files in each of the two
    std::uint32_t open_files_max = 1024;                     ///< per process
    std::chrono::milliseconds lifetime{0};                   ///< after create; 0: no end of its own
    std::chrono::milliseconds idle_timeout{30 * 60 * 1000};  ///< without use; 0: none
    double gpu_share = 0;  ///< refused until devices can be shared, never ignored
};

/// From where a box's read-only root comes.
struct RootSpec {
    enum class Kind : std::uint8_t { host, image, directory } kind = Kind::host;
    /// image: the absolute path of an OCI layout, of an archive of an image or of a root's tarball,
    /// or the name or "sha256:<digest>" of one that was imported; directory: a prepared tree.
    std::string path = {};
};

struct SandboxSpec {
    std::string name;  ///< for people; [a-z0-9-], at most 63; empty: the id
    std::string tenant = "default", agent;
    Isolation isolation = Isolation::full;
    RootSpec root;
    Limits limits;
    NetworkPolicy network;
    std::map<std::string, std::string> environment;  ///< added to a minimal one
    std::map<std::string, std::string> labels;
    std::string snapshot;  ///< whose files /workspace begins with; empty: none
    /// Names of secrets the policy injects; values never appear in listings, logs or the audit.
    std::vector<std::string> secrets;
    std::string policy;  ///< name of the policy it is created under; empty: the tenant's default
};

/// 1 to 256 of letters, digits and "._/:@+-", no '/' first: what an imported image may be called.
bool is_image_reference(std::string_view text);

/// The first thing wrong with `spec`, by its JSON path as subject.
/// Errors: invalid_argument; unimplemented for gpu_share.
base::Result<void> check_spec(const SandboxSpec& spec);

struct ExecSpec {
    std::vector<std::string> argv;  ///< at least one; looked up in the box's PATH
    std::map<std::string, std::string> environment = {};
    std::string working_directory = "/workspace";  ///< empty: the image's, else /workspace
    std::string stdin_text = {};                   ///< given whole, then end of file
    bool stdin_open = false;  ///< no end of file: write_stdin gives more; a tty's is always open
    /// With stdin_open, where the backend can: stdin is a stream socket, and what the command reads
    /// from it may be an order to fork (Sphere::fork_command).
    bool stdin_socket = false;
    bool tty = false;  ///< one terminal instead of three pipes
    std::uint16_t tty_columns = 80, tty_rows = 24;
    std::chrono::milliseconds wall_timeout{60'000};  ///< 0: none
    std::chrono::milliseconds cpu_timeout{0};        ///< 0: none
    std::uint64_t output_bytes_max = 8ull << 20;     ///< stdout and stderr together; then cut, told

    bool operator==(const ExecSpec&) const = default;
};
base::Result<void> check_exec(const ExecSpec& spec);

enum class EndReason : std::uint8_t {
    exited,     ///< by itself; see exit_code
    signalled,  ///< by a signal nobody of ours sent; see signal
    wall_time,  ///< ran out of wall_timeout
    cpu_time,   ///< ran out of cpu_timeout
    memory,     ///< the box's memory limit killed it
    forbidden,  ///< a system call that the filter ends a process for
    stopped,    ///< signal or destroy by the caller
    emergency,  ///< the emergency stop
};
std::string_view end_reason_name(EndReason reason);

struct ExecResult {
    EndReason reason = EndReason::exited;
    int exit_code = 0;                 ///< of exited
    int signal = 0;                    ///< of the others, 0 when unknown
    std::uint64_t output_bytes = 0;    ///< written by the process
    std::uint64_t output_dropped = 0;  ///< of these, what came after output_bytes_max
    std::chrono::microseconds wall{0}, cpu{0};
    std::uint64_t peak_memory_bytes = 0;
};

}  // namespace sphere
