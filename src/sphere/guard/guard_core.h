#pragma once
// What all views of one guarded sphere share: the boxes it knows, the running commands, the record.
// Internal to guard.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <unordered_map>

#include "sphere/guard/guard_metrics.h"
#include "sphere/guard/guarded_sphere.h"
#include "sphere/guard/network_ledger.h"

namespace sphere::guard {

/// Who a box belongs to. Written once, but for its presence.
struct KnownBox {
    SandboxId id;
    std::string tenant, agent, policy, backend;

    std::mutex mutex;           // guards the rest; nothing else is locked under it
    std::uint32_t running = 0;  ///< commands
    bool paused = false;
    bool gone = true;   ///< or not there yet
    bool told = false;  ///< its end is recorded
};
using KnownBoxPtr = std::shared_ptr<KnownBox>;

/// A command's sink, which writes down its end before the caller hears of it.
class RecordedExec final : public ExecSink {
public:
    RecordedExec(GuardedSphere::Core& core, KnownBoxPtr box, std::string actor, ExecSink& to);
    void on_output(Stream stream, std::string_view bytes) override { to_.on_output(stream, bytes); }
    void on_end(const ExecResult& result) override;

    KnownBoxPtr box;
    std::string actor, what;
    std::uint64_t call = 0;     ///< its number in the record; a backend's is known too late
    ExecId exec = 0;            // by Core::running_mutex; 0: not told yet
    std::int64_t since_ns = 0;  ///< of file_clock_ns
    std::atomic<std::uint64_t> bytes_in{0};

private:
    GuardedSphere::Core& core_;
    ExecSink& to_;
};

struct GuardedSphere::Core {
    explicit Core(GuardParts p) : parts(p), metrics(p.metrics) {}

    // Recording (recording.cc).
    policy::AuditLevel level_of(const KnownBox& box) const;
    policy::AuditLevel level_of(std::string_view tenant, std::string_view agent) const;
    /// Appends when `level` holds events of kind `least`. Errors: unavailable.
    base::Result<void> record(policy::AuditLevel level, policy::AuditLevel least,
                              const audit::AuditEvent& event);
    /// Writes a refusal down and gives it back.
    std::unexpected<base::Error> refuse(policy::AuditLevel level, audit::AuditEvent event,
                                        base::Error error);
    audit::AuditEvent about(std::string_view kind, const std::string& actor,
                            const KnownBox& box) const;
    /// The box by its id; one that nobody knows has no tenant.
    KnownBoxPtr identify(const SandboxId& id) const;
    bool knows(const SandboxId& id) const;
    /// An emergency stop, or policies that are not what was loaded, forbid new work.
    base::Result<void> may_work(const KnownBox& box) const;
    void move(KnownBox& box, const std::function<void(KnownBox&)>& change);

    // What the backend tells of (recording.cc).
    void on_network_attempt(const SandboxId& id, const NetworkAttempt& attempt);
    void on_sandbox_end(const SandboxInfo& last, std::string_view why);
    void on_exec_end(RecordedExec& exec, const ExecResult& result);
    /// Records a box's end once. `actor`: who ended it.
    void tell_end(const KnownBoxPtr& box, const std::string& actor, std::string_view why);
    /// For backends that tell of no ends: boxes in scope that are gone by now.
    void tell_stopped(const StopScope& scope, const std::string& actor);

    // Making boxes (guarded_sphere.cc).
    base::Result<SandboxSpec> admit(const SandboxSpec& asked, audit::AuditEvent& event) const;
    base::Result<Secrets> resolve_secrets(const SandboxSpec& spec) const;
    base::Result<KnownBoxPtr> make(const SandboxSpec& spec, const Secrets& secrets);
    /// Records it and lets it be known; a box that may not be is destroyed.
    base::Result<void> publish(const KnownBoxPtr& box, policy::AuditLevel level,
                               const audit::AuditEvent& event);
    /// While one lives, ends of boxes that nobody knows yet are kept.
    struct Making {
        explicit Making(Core& core);
        ~Making();
        Core& core;
    };
    std::string backend_of(const SandboxId& id, Isolation isolation);

    GuardParts parts;
    GuardMetrics metrics;
    NetworkLedger network;

    mutable std::shared_mutex boxes_mutex;  // before KnownBox::mutex; nothing is called under it
    std::unordered_map<SandboxId, KnownBoxPtr> boxes;  // by boxes_mutex
    std::uint32_t making = 0;                          // by boxes_mutex: creates under way
    std::set<SandboxId> ended_early;            // by boxes_mutex: gone before create had returned
    std::map<Isolation, std::string> backends;  // by boxes_mutex

    void keep(const std::shared_ptr<RecordedExec>& exec);
    void name(RecordedExec& exec, ExecId number);
    void forget(RecordedExec& exec);
    std::shared_ptr<RecordedExec> find_running(const SandboxId& id, ExecId number);

    std::mutex running_mutex;     // nothing else is locked or called under it
    std::uint64_t next_call = 1;  // by running_mutex
    std::unordered_map<std::uint64_t, std::shared_ptr<RecordedExec>> running;  // by call
    std::map<std::pair<SandboxId, ExecId>, std::uint64_t> calls;               // by running_mutex

    std::unique_ptr<Sphere> inner;  // last: its end is told to all of the above
};

}  // namespace sphere::guard
