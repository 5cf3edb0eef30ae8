// What is written down: one place makes events from what callers did and backends told.
#include <fmt/format.h>
#include <unistd.h>

#include "sphere/guard/changed_files.h"
#include "sphere/guard/guard_core.h"

namespace sphere::guard {

using audit::AuditEvent;
using base::Code;
using base::Error;
using base::Result;
using policy::AuditLevel;
using Core = GuardedSphere::Core;

RecordedExec::RecordedExec(Core& core, KnownBoxPtr b, std::string a, ExecSink& to)
    : box(std::move(b)), actor(std::move(a)), core_(core), to_(to) {}

void RecordedExec::on_end(const ExecResult& result) {
    core_.on_exec_end(*this, result);
    to_.on_end(result);
    core_.forget(*this);  // ends this object
}

AuditLevel Core::level_of(std::string_view tenant, std::string_view agent) const {
    const auto set = parts.policies.policies();
    const policy::Policy* const found = set->find(tenant, agent);
    return found == nullptr ? AuditLevel::full : found->audit;
}

AuditLevel Core::level_of(const KnownBox& box) const {
    return level_of(box.tenant, box.agent);
}

Result<void> Core::record(AuditLevel level, AuditLevel least, const AuditEvent& event) {
    if (level < least) return {};
    const auto appended = parts.log.append(event);
    metrics.recorded(appended.has_value());
    if (appended) return {};
    return base::fail(Code::unavailable, "this cannot be recorded, so it is not done: {}",
                      appended.error().message);
}

std::unexpected<Error> Core::refuse(AuditLevel level, AuditEvent event, Error error) {
    metrics.refused(event.event, error.code);
    event.decision = "deny";
    event.reason = error.message;
    event.details["code"] = base::code_name(error.code);
    if (event.rule.empty()) event.rule = error.subject == event.sandbox ? "" : error.subject;
    static_cast<void>(record(level, AuditLevel::decisions, event));  // counted; refused anyway
    return std::unexpected(std::move(error));
}

AuditEvent Core::about(std::string_view kind, const std::string& actor, const KnownBox& box) const {
    AuditEvent event;
    event.event = kind;
    event.actor = actor;
    event.tenant = box.tenant;
    event.agent = box.agent;
    event.sandbox = box.id;
    event.backend = box.backend;
    event.policy = box.policy;
    return event;
}

KnownBoxPtr Core::identify(const SandboxId& id) const {
    {
        const std::shared_lock lock(boxes_mutex);
        if (const auto found = boxes.find(id); found != boxes.end()) return found->second;
    }
    auto box = std::make_shared<KnownBox>();
    box->id = id;
    if (const auto ended = inner->info(id)) {
        box->tenant = ended->spec.tenant;
        box->agent = ended->spec.agent;
        box->policy = ended->spec.policy;
        box->backend = ended->backend;
    }
    return box;
}

bool Core::knows(const SandboxId& id) const {
    const std::shared_lock lock(boxes_mutex);
    return boxes.contains(id);
}

Result<void> Core::may_work(const KnownBox& box) const {
    DG_TRY(parts.stops.check(box.tenant, box.agent, box.id));
    return parts.policies.check_fresh();
}

void Core::move(KnownBox& box, const std::function<void(KnownBox&)>& change) {
    using Presence = GuardMetrics::Presence;
    const auto presence = [&] {
        if (box.gone) return Presence::none;
        if (box.paused) return Presence::paused;
        return box.running > 0 ? Presence::executing : Presence::ready;
    };
    const std::scoped_lock lock(box.mutex);
    const Presence before = presence();
    change(box);
    metrics.moved(before, presence());
}

void Core::keep(const std::shared_ptr<RecordedExec>& exec) {
    const std::scoped_lock lock(running_mutex);
    exec->call = next_call++;
    running[exec->call] = exec;
}

void Core::name(RecordedExec& exec, ExecId number) {
    const std::scoped_lock lock(running_mutex);
    exec.exec = number;
    calls[{exec.box->id, number}] = exec.call;
}

void Core::forget(RecordedExec& exec) {
    std::shared_ptr<RecordedExec> last;  // ended outside the lock
    const std::scoped_lock lock(running_mutex);
    if (exec.exec != 0) calls.erase({exec.box->id, exec.exec});
    const auto found = running.find(exec.call);
    if (found == running.end()) return;
    last = std::move(found->second);
    running.erase(found);
}

std::shared_ptr<RecordedExec> Core::find_running(const SandboxId& id, ExecId number) {
    const std::scoped_lock lock(running_mutex);
    const auto call = calls.find({id, number});
    if (call == calls.end()) return nullptr;
    const auto found = running.find(call->second);
    return found == running.end() ? nullptr : found->second;
}

void Core::on_exec_end(RecordedExec& exec, const ExecResult& result) {
    KnownBox& box = *exec.box;
    move(box, [](KnownBox& b) { --b.running; });
    metrics.ended(result);
    const AuditLevel level = level_of(box);
    auto tried = network.take(box.id);
    if (level < AuditLevel::calls) return;
    AuditEvent event = about("exec.end", exec.actor, box);
    event.what = exec.what;
    event.details["call"] = std::to_string(exec.call);
    event.ending = audit::Ending{std::string(end_reason_name(result.reason)),
                                 result.exit_code,
                                 result.signal,
                                 result.output_bytes,
                                 result.output_dropped,
                                 static_cast<std::uint64_t>(result.wall.count()),
                                 static_cast<std::uint64_t>(result.cpu.count()),
                                 result.peak_memory_bytes};
    event.bytes_in = exec.bytes_in.load();
    event.bytes_out = result.output_bytes;
    if (level >= AuditLevel::full) {
        event.network = std::move(tried.listed);
        if (const auto workspace = inner->open_workspace(box.id)) {
            ChangedFiles changed = find_changed(*workspace, exec.since_ns);
            ::close(*workspace);
            event.files_changed = std::move(changed.names);
            if (!changed.complete) event.details["files_changed"] = "not all were looked at";
        }
    }
    event.network_more = tried.more;
    static_cast<void>(record(level, AuditLevel::calls, event));  // it has happened; counted
}

void Core::on_network_attempt(const SandboxId& id, const NetworkAttempt& attempt) {
    metrics.attempted(attempt);
    if (!network.add(id, attempt)) return;
    const KnownBoxPtr box = identify(id);
    AuditEvent event = about("network.refused", "sandbox", *box);
    event.what = attempt.target;
    event.decision = "deny";
    event.reason = attempt.reason;
    event.details["protocol"] = attempt.protocol;
    event.bytes_out = attempt.bytes_out;
    event.bytes_in = attempt.bytes_in;
    static_cast<void>(record(level_of(*box), AuditLevel::decisions, event));
}

void Core::on_sandbox_end(const SandboxInfo& last, std::string_view why) {
    KnownBoxPtr box;
    {
        const std::scoped_lock lock(boxes_mutex);
        const auto found = boxes.find(last.id);
        if (found == boxes.end()) {
            if (making > 0) ended_early.insert(last.id);
            return;
        }
        box = found->second;
    }
    if (why != "destroyed") tell_end(box, "server", why);  // destroy() tells who asked
}

void Core::tell_end(const KnownBoxPtr& box, const std::string& actor, std::string_view why) {
    bool first = false;
    move(*box, [&](KnownBox& b) {
        first = !std::exchange(b.told, true);
        b.gone = true;
    });
    if (!first) return;
    const AuditLevel level = level_of(*box);
    auto tried = network.take(box->id);
    AuditEvent event = about("sandbox.destroy", actor, *box);
    event.decision = "allow";
    event.reason = why;
    if (level >= AuditLevel::full) event.network = std::move(tried.listed);
    event.network_more = tried.more;
    static_cast<void>(record(level, AuditLevel::decisions, event));  // it has happened; counted
    network.forget(box->id);
    const std::scoped_lock lock(boxes_mutex);
    boxes.erase(box->id);
}

void Core::tell_stopped(const StopScope& scope, const std::string& actor) {
    const auto within = [](const std::string& asked, const std::string& has) {
        return asked.empty() || asked == has;
    };
    std::vector<KnownBoxPtr> covered;
    {
        const std::shared_lock lock(boxes_mutex);
        for (const auto& [id, box] : boxes) {
            if (within(scope.tenant, box->tenant) && within(scope.agent, box->agent) &&
                within(scope.sandbox, id)) {
                covered.push_back(box);
            }
        }
    }
    for (const KnownBoxPtr& box : covered) {
        const auto info = inner->info(box->id);
        if (!info || info->state == SandboxState::ended) tell_end(box, actor, "emergency");
    }
}

}  // namespace sphere::guard
