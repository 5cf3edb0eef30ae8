// Commands, files, ports, snapshots; emergency stops; decisions about tool calls.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

#include "base/json/json.h"
#include "sphere/guard/changed_files.h"
#include "sphere/guard/guard_core.h"

namespace sphere::guard {

using audit::AuditEvent;
using base::Code;
using base::Result;
using policy::AuditLevel;

namespace {

std::string_view access_name(FileAccess::Kind kind) {
    switch (kind) {
        case FileAccess::Kind::read:
            return "file.read";
        case FileAccess::Kind::write:
            return "file.write";
        case FileAccess::Kind::list:
            return "file.list";
        case FileAccess::Kind::remove:
            return "file.remove";
        case FileAccess::Kind::rename:
            return "file.rename";
        case FileAccess::Kind::watch:
            return "file.watch";
    }
    return "file";
}

bool changes_files(FileAccess::Kind kind) {
    return kind == FileAccess::Kind::write || kind == FileAccess::Kind::remove ||
           kind == FileAccess::Kind::rename;
}

void describe(const ExecSpec& spec, AuditEvent& event) {
    event.what = fmt::format("{}", fmt::join(spec.argv, " "));
    const auto detail = [&](const char* name, bool shown, std::string value) {
        if (shown) event.details[name] = std::move(value);
    };
    detail("directory", spec.working_directory != "/workspace", spec.working_directory);
    detail("tty", spec.tty, "true");
    detail("wall_timeout_ms", true, std::to_string(spec.wall_timeout.count()));
    detail("cpu_timeout_ms", spec.cpu_timeout.count() != 0,
           std::to_string(spec.cpu_timeout.count()));
    std::vector<std::string_view> names;
    for (const auto& [name, value] : spec.environment) names.push_back(name);
    detail("environment", !names.empty(), fmt::format("{}", fmt::join(names, " ")));
}

}  // namespace

Result<ExecId> GuardedSphere::start_recorded(
    const KnownBoxPtr& box, AuditEvent event, std::uint64_t bytes_in, ExecSink& sink,
    const std::function<Result<ExecId>(ExecSink&)>& begin) {
    const AuditLevel level = core_.level_of(*box);
    if (auto may = core_.may_work(*box); !may) {
        return core_.refuse(level, std::move(event), may.error());
    }
    const auto exec = std::make_shared<RecordedExec>(core_, box, actor_, sink);
    exec->what = event.what;
    exec->bytes_in = bytes_in;
    exec->since_ns = file_clock_ns();
    core_.keep(exec);
    event.decision = "allow";
    event.details["call"] = std::to_string(exec->call);
    if (auto recorded = core_.record(level, AuditLevel::calls, event); !recorded) {
        core_.forget(*exec);
        return core_.refuse(level, std::move(event), recorded.error());
    }
    core_.move(*box, [](KnownBox& b) { ++b.running; });
    auto started = begin(*exec);
    if (started) {
        core_.name(*exec, *started);
        return started;
    }
    core_.move(*box, [](KnownBox& b) { --b.running; });
    core_.forget(*exec);
    event.event = "exec.end";
    return core_.refuse(level, std::move(event), started.error());
}

Result<ExecId> GuardedSphere::start(const SandboxId& id, const ExecSpec& spec, ExecSink& sink) {
    const KnownBoxPtr box = core_.identify(id);
    AuditEvent event = core_.about("exec.start", actor_, *box);
    describe(spec, event);
    return start_recorded(box, std::move(event), spec.stdin_text.size(), sink,
                          [&](ExecSink& to) { return core_.inner->start(id, spec, to); });
}

Result<ExecId> GuardedSphere::fork_command(const SandboxId& id, ExecId exec, ExecSink& sink) {
    const KnownBoxPtr box = core_.identify(id);
    AuditEvent event = core_.about("exec.start", actor_, *box);
    event.what = fmt::format("fork of command {}", exec);
    return start_recorded(box, std::move(event), 0, sink,
                          [&](ExecSink& to) { return core_.inner->fork_command(id, exec, to); });
}

Result<void> GuardedSphere::rest(const SandboxId& id, ExecId exec) {
    return core_.inner->rest(id, exec);
}

PoolState GuardedSphere::pool() const {
    return core_.inner->pool();
}

Result<void> GuardedSphere::write_stdin(const SandboxId& id, ExecId exec, std::string_view bytes,
                                        bool end_of_file) {
    const auto running = core_.find_running(id, exec);
    DG_TRY(core_.inner->write_stdin(id, exec, bytes, end_of_file));
    if (running) running->bytes_in += bytes.size();
    return {};
}

Result<void> GuardedSphere::resize_tty(const SandboxId& id, ExecId exec, std::uint16_t columns,
                                       std::uint16_t rows) {
    return core_.inner->resize_tty(id, exec, columns, rows);
}

Result<void> GuardedSphere::signal(const SandboxId& id, ExecId exec, int number) {
    const KnownBoxPtr box = core_.identify(id);
    AuditEvent event = core_.about("exec.signal", actor_, *box);
    event.what = fmt::format("signal {} to command {}", number, exec);
    const AuditLevel level = core_.level_of(*box);
    if (auto sent = core_.inner->signal(id, exec, number); !sent) {
        return core_.refuse(level, std::move(event), sent.error());
    }
    event.decision = "allow";
    return core_.record(level, AuditLevel::calls, event);
}

Result<int> GuardedSphere::open_workspace(const SandboxId& id) {
    const KnownBoxPtr box = core_.identify(id);
    DG_TRY(core_.parts.stops.check(box->tenant, box->agent, id));
    return core_.inner->open_workspace(id);
}

Result<void> GuardedSphere::admit_file(const SandboxId& id, const FileAccess& access) {
    const KnownBoxPtr box = core_.identify(id);
    const AuditLevel level = core_.level_of(*box);
    AuditEvent event = core_.about(access_name(access.kind), actor_, *box);
    event.what = access.name;
    const bool in = access.kind == FileAccess::Kind::write;
    if (access.bytes != 0) (in ? event.bytes_in : event.bytes_out) = access.bytes;
    auto may = core_.may_work(*box);
    if (may) may = core_.inner->admit_file(id, access);
    if (!may) return core_.refuse(level, std::move(event), may.error());
    event.decision = "allow";
    return core_.record(level, changes_files(access.kind) ? AuditLevel::calls : AuditLevel::full,
                        event);
}

Result<int> GuardedSphere::dial(const SandboxId& id, std::uint16_t port) {
    const KnownBoxPtr box = core_.identify(id);
    const AuditLevel level = core_.level_of(*box);
    AuditEvent event = core_.about("port.open", actor_, *box);
    event.what = fmt::format("127.0.0.1:{}", port);
    const auto dialled = [&]() -> Result<int> {
        DG_TRY(core_.may_work(*box));
        return core_.inner->dial(id, port);
    }();
    if (!dialled) return core_.refuse(level, std::move(event), dialled.error());
    event.decision = "allow";
    if (auto recorded = core_.record(level, AuditLevel::calls, event); !recorded) {
        ::close(*dialled);
        return std::unexpected(std::move(recorded).error());
    }
    return *dialled;
}

Result<void> GuardedSphere::set_network(const SandboxId& id, const NetworkPolicy& network) {
    const KnownBoxPtr box = core_.identify(id);
    const AuditLevel level = core_.level_of(*box);
    AuditEvent event = core_.about("network.set", actor_, *box);
    event.what =
        fmt::format("{}: {} {}", network_mode_name(network.mode),
                    fmt::join(network.allow_domains, " "), fmt::join(network.allow_cidrs, " "));
    const auto allowed = [&]() -> Result<void> {
        DG_TRY(core_.may_work(*box));
        SandboxSpec spec = DG_TRY(core_.inner->info(id)).spec;
        spec.network = network;
        DG_TRY(core_.admit(spec, event));
        return {};
    }();
    if (!allowed) return core_.refuse(level, std::move(event), allowed.error());
    event.decision = "allow";
    if (auto recorded = core_.record(level, AuditLevel::decisions, event); !recorded) {
        return core_.refuse(level, std::move(event), recorded.error());
    }
    if (auto set = core_.inner->set_network(id, network); !set) {
        return core_.refuse(level, std::move(event), set.error());
    }
    return {};
}

Result<SnapshotInfo> GuardedSphere::snapshot(const SandboxId& id, const SnapshotRequest& request) {
    const KnownBoxPtr box = core_.identify(id);
    const AuditLevel level = core_.level_of(*box);
    AuditEvent event = core_.about("snapshot.create", actor_, *box);
    event.what = request.name;
    const auto kept = [&]() -> Result<SnapshotInfo> {
        DG_TRY(core_.may_work(*box));
        return core_.inner->snapshot(id, request);
    }();
    if (!kept) return core_.refuse(level, std::move(event), kept.error());
    event.decision = "allow";
    event.details = {{"snapshot", kept->id},
                     {"bytes", std::to_string(kept->bytes)},
                     {"entries", std::to_string(kept->entries)},
                     {"consistency", kept->consistency},
                     {"persist", kept->persist ? "true" : "false"}};
    auto stands = core_.parts.stops.check(box->tenant, box->agent, id);
    if (stands) stands = core_.record(level, AuditLevel::calls, event);
    if (stands) return kept;
    static_cast<void>(core_.inner->remove_snapshot(kept->id));
    return core_.refuse(level, std::move(event), stands.error());
}

Result<void> GuardedSphere::remove_snapshot(const SnapshotId& id) {
    KnownBox owner;
    const auto kept = core_.inner->snapshots();
    if (const auto at = std::ranges::find(kept, id, &SnapshotInfo::id); at != kept.end()) {
        owner.id = at->from;
        owner.tenant = at->tenant;
    }
    AuditEvent event = core_.about("snapshot.remove", actor_, owner);
    event.what = id;
    const AuditLevel level = core_.level_of(owner);
    if (auto removed = core_.inner->remove_snapshot(id); !removed) {
        return core_.refuse(level, std::move(event), removed.error());
    }
    event.decision = "allow";
    return core_.record(level, AuditLevel::calls, event);
}

Result<ImageInfo> GuardedSphere::import_image(const std::string& path, const std::string& name) {
    AuditEvent event;
    event.event = "image.import";
    event.actor = actor_;
    event.what = name;
    auto made = core_.inner->import_image(path, name);
    if (!made) return core_.refuse(AuditLevel::full, std::move(event), made.error());
    event.decision = "allow";
    event.details = {{"digest", made->digest}, {"bytes", std::to_string(made->bytes)}};
    DG_TRY(core_.record(AuditLevel::full, AuditLevel::calls, event));
    return made;
}

Result<void> GuardedSphere::remove_image(const std::string& digest) {
    AuditEvent event;
    event.event = "image.remove";
    event.actor = actor_;
    event.what = digest;
    if (auto removed = core_.inner->remove_image(digest); !removed) {
        return core_.refuse(AuditLevel::full, std::move(event), removed.error());
    }
    event.decision = "allow";
    return core_.record(AuditLevel::full, AuditLevel::calls, event);
}

GuardedSphere::StopOrder GuardedSphere::order_stop(const StopScope& scope,
                                                   const std::string& reason) {
    StopOrder order;
    // In force, then done, then written: nothing that must end waits for a disk.
    order.epoch = core_.parts.stops.raise(scope, actor_, reason);
    order.stopped = core_.inner->emergency_stop(scope);
    core_.metrics.stopped(order.stopped);
    if (auto saved = core_.parts.stops.save(); !saved) {
        order.fault = fmt::format("a restart would forget this stop: {}", saved.error().message);
    }
    AuditEvent event;
    event.event = "emergency.stop";
    event.actor = actor_;
    event.tenant = scope.tenant;
    event.agent = scope.agent;
    event.sandbox = scope.sandbox;
    event.decision = "allow";
    event.reason = reason;
    event.details = {{"epoch", std::to_string(order.epoch)},
                     {"stopped", std::to_string(order.stopped)}};
    if (!order.fault.empty()) event.details["fault"] = order.fault;
    auto recorded = core_.record(AuditLevel::full, AuditLevel::none, event);
    if (recorded) recorded = core_.parts.log.sync();
    if (!recorded) {
        order.fault += fmt::format("{}the stop is in force but not recorded: {}",
                                   order.fault.empty() ? "" : "; ", recorded.error().message);
    }
    core_.tell_stopped(scope, actor_);
    return order;
}

Result<std::uint32_t> GuardedSphere::order_lift(const StopScope& scope) {
    AuditEvent event;
    event.event = "emergency.lift";
    event.actor = actor_;
    event.tenant = scope.tenant;
    event.agent = scope.agent;
    event.sandbox = scope.sandbox;
    event.details["epoch"] = std::to_string(core_.parts.stops.epoch());
    // Recorded first: work that a stop forbade must not begin unrecorded.
    event.decision = "allow";
    if (auto recorded = core_.record(AuditLevel::full, AuditLevel::none, event); !recorded) {
        return core_.refuse(AuditLevel::full, std::move(event), recorded.error());
    }
    const auto before = core_.parts.stops.list();
    auto lifted = core_.parts.stops.lift(scope);
    if (!lifted) return core_.refuse(AuditLevel::full, std::move(event), lifted.error());
    // A backend knows a stop by its scope alone; the board goes on refusing what it still covers.
    const auto after = core_.parts.stops.list();
    for (const policy::Stop& stop : before) {
        if (!std::ranges::count(after, stop.epoch, &policy::Stop::epoch)) {
            DG_TRY(core_.inner->lift_stop(stop.scope));
        }
    }
    return *lifted;
}

std::uint32_t GuardedSphere::emergency_stop(const StopScope& scope) {
    return order_stop(scope, "").stopped;
}

Result<void> GuardedSphere::lift_stop(const StopScope& scope) {
    DG_TRY(order_lift(scope));
    return {};
}

policy::Explanation GuardedSphere::explain(const policy::ToolRequest& request) const {
    policy::Explanation explained = core_.parts.policies.explain(request);
    policy::Decision& decision = explained.decision;
    if (auto may = core_.parts.stops.check(request.tenant, request.agent, {}); !may) {
        decision.effect = policy::Effect::deny;
        decision.enforced = true;
        decision.rule = "emergency_stop";
        decision.reason = may.error().message;
    }
    return explained;
}

Result<policy::Explanation> GuardedSphere::decide(const policy::ToolRequest& request) {
    policy::Explanation explained = explain(request);
    const policy::Decision& decision = explained.decision;
    const bool rejected = decision.effect == policy::Effect::deny;
    core_.metrics.decided(decision.effect, rejected);
    AuditEvent event;
    event.event = rejected ? "tool_rejected" : "tool_decided";
    event.actor = actor_;
    event.tenant = request.tenant;
    event.agent = request.agent;
    event.what = request.tool;
    event.decision =
        fmt::format("{}{}", decision.enforced ? "" : "dry-run: ", effect_name(decision.effect));
    event.policy = decision.policy;
    event.rule = decision.rule;
    event.reason = decision.reason;
    event.details["cause"] = cause_name(decision.cause);
    event.details["arguments"] = base::to_text(request.arguments);
    if (!request.data.empty())
        event.details["data"] = fmt::format("{}", fmt::join(request.data, " "));
    DG_TRY(core_.record(decision.audit, AuditLevel::decisions, event));
    return explained;
}

Result<void> GuardedSphere::reload_policies() {
    policy::PolicyStore& policies = core_.parts.policies;
    AuditEvent event;
    event.event = "policy.load";
    event.actor = actor_;
    event.what = policies.source();
    event.details["digest_before"] = policies.digest();
    if (auto loaded = policies.reload(); !loaded) {
        return core_.refuse(AuditLevel::full, std::move(event), loaded.error());
    }
    event.decision = "allow";
    event.details["digest"] = policies.digest();
    return core_.record(AuditLevel::full, AuditLevel::none, event);
}

}  // namespace sphere::guard
