#pragma once
// What a backend with an agent inside must do itself: make a container or a virtual machine, stop
// it, say what it uses. Commands and their streams go through the agent (launcher/guest_protocol.h)
// and are the same for all (guest_box.h).

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/files/unique_fd.h"
#include "sphere/launcher/guest_protocol.h"
#include "sphere/sphere.h"

namespace sphere::guest {

struct Usage {
    std::uint64_t memory_bytes = 0, peak_memory_bytes = 0, oom_kills = 0;
    std::chrono::microseconds cpu{0};
};

/// One container or virtual machine. Thread-safe but for the destructor.
class Machine {
public:
    /// Kills it, waits until it is gone and removes its every trace.
    virtual ~Machine() = default;
    /// The stream to and from its agent, neither blocking; the machine's to close.
    virtual int to_agent() const = 0;
    virtual int from_agent() const = 0;
    /// Stops and continues every process in it. Errors: unavailable.
    virtual base::Result<void> freeze(bool frozen) = 0;
    /// Begins its end, also when frozen; the agent's stream ends by it.
    virtual void kill() = 0;
    virtual Usage usage() const = 0;
    /// A descriptor of its /workspace. Errors: unimplemented where no folder of this host is it.
    virtual base::Result<base::UniqueFd> open_workspace() const = 0;
    /// What the program that runs it said last, for a message; may be empty.
    virtual std::string last_words() const = 0;
};

/// Makes the machines of one backend. Thread-safe.
class MachineMaker {
public:
    virtual ~MachineMaker() = default;
    virtual std::string_view name() const = 0;  ///< SandboxInfo::backend
    /// Refuses by name every field of a spec that this backend cannot hold.
    virtual base::Result<void> check(const SandboxSpec& spec) const = 0;
    /// Errors: as Sphere::create's.
    virtual base::Result<std::unique_ptr<Machine>> make(const SandboxSpec& spec,
                                                        const SandboxId& id) = 0;
    virtual launcher::GuestSetup setup(const SandboxSpec& spec) const = 0;
    /// From make to an agent that answers, at most.
    virtual std::chrono::seconds start_max() const = 0;
    virtual std::vector<std::string> enforced_by() const = 0;
    /// Whether the group is its limit of processes, and an rlimit would count other machines'.
    virtual bool limits_processes() const = 0;
};

}  // namespace sphere::guest
