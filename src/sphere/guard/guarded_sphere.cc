#include "sphere/guard/guarded_sphere.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sphere/guard/guard_core.h"
#include "sphere/spec_words.h"

namespace sphere::guard {

using audit::AuditEvent;
using base::Code;
using base::Result;
using policy::AuditLevel;
using Core = GuardedSphere::Core;

namespace {

std::string names_of(const std::map<std::string, std::string>& map) {
    std::vector<std::string_view> names;
    for (const auto& [name, value] : map) names.push_back(name);
    return fmt::format("{}", fmt::join(names, " "));
}

/// What a reader needs to know of a box beside its limits. Values of its environment stay out.
void describe(const SandboxSpec& spec, AuditEvent& event) {
    event.tenant = spec.tenant;
    event.agent = spec.agent;
    event.policy = spec.policy;
    event.limits = spec.limits;
    const auto detail = [&](const char* name, std::string value) {
        if (!value.empty()) event.details[name] = std::move(value);
    };
    detail("isolation", std::string(isolation_name(spec.isolation)));
    detail("network", std::string(network_mode_name(spec.network.mode)));
    detail("root", spec.root.kind == RootSpec::Kind::host
                       ? ""
                       : fmt::format("{} {}", word_of(kRootKinds, spec.root.kind), spec.root.path));
    detail("domains", fmt::format("{}", fmt::join(spec.network.allow_domains, " ")));
    detail("cidrs", fmt::format("{}", fmt::join(spec.network.allow_cidrs, " ")));
    detail("name", spec.name);
    detail("snapshot", spec.snapshot);
    detail("secrets", fmt::format("{}", fmt::join(spec.secrets, " ")));
    detail("environment", names_of(spec.environment));
}

AuditEvent policy_event(const policy::PolicyStore& policies, const std::string& actor) {
    AuditEvent event;
    event.event = "policy.load";
    event.actor = actor;
    event.what = policies.source();
    event.decision = "allow";
    event.details["digest"] = policies.digest();
    std::vector<std::string> names;
    for (const policy::Policy* each : policies.policies()->list()) names.push_back(each->name);
    event.details["policies"] = fmt::format("{}", fmt::join(names, " "));
    return event;
}

}  // namespace

GuardedSphere::GuardedSphere(std::unique_ptr<Core> owned, Core& core, std::string actor)
    : owned_(std::move(owned)), core_(core), actor_(std::move(actor)) {}
GuardedSphere::~GuardedSphere() = default;

Result<std::unique_ptr<GuardedSphere>> GuardedSphere::open(GuardParts parts, SphereOptions options,
                                                           std::string actor,
                                                           const OpenInner& open_inner) {
    parts.log.set_redactor(parts.secrets.redactor());
    auto core = std::make_unique<Core>(parts);
    options.on_network_attempt = [at = core.get(), told = options.on_network_attempt](
                                     const SandboxId& id, const NetworkAttempt& attempt) {
        at->on_network_attempt(id, attempt);
        if (told) told(id, attempt);
    };
    options.on_sandbox_end = [at = core.get(), told = options.on_sandbox_end](
                                 const SandboxInfo& last, std::string_view why) {
        at->on_sandbox_end(last, why);
        if (told) told(last, why);
    };
    DG_TRY(core->record(AuditLevel::full, AuditLevel::none, policy_event(parts.policies, actor)));
    core->inner = DG_TRY(open_inner(options));
    Core& shared = *core;
    return std::unique_ptr<GuardedSphere>(
        new GuardedSphere(std::move(core), shared, std::move(actor)));
}

std::unique_ptr<GuardedSphere> GuardedSphere::as(std::string actor) const {
    return std::unique_ptr<GuardedSphere>(new GuardedSphere(nullptr, core_, std::move(actor)));
}

const GuardParts& GuardedSphere::parts() const {
    return core_.parts;
}

Result<SandboxSpec> Core::admit(const SandboxSpec& asked, AuditEvent& event) const {
    DG_TRY(check_spec(asked));  // what is no spec is told as that, not as more than is allowed
    DG_TRY(parts.stops.check(asked.tenant, asked.agent, {}));
    SandboxSpec spec = DG_TRY(parts.policies.admit(asked));
    event.policy = spec.policy;
    event.decision = "allow";
    const auto set = parts.policies.policies();
    const policy::Policy* const found = set->find(spec.tenant, spec.agent);
    if (found != nullptr && found->dry_run) {
        if (const auto over = policy::check_ceilings(spec, *found); !over) {
            event.decision = "dry-run: deny";
            event.rule = over.error().subject;
            event.reason = over.error().message;
        }
    }
    return spec;
}

Result<Secrets> Core::resolve_secrets(const SandboxSpec& spec) const {
    Secrets secrets;
    if (spec.secrets.empty()) return secrets;
    const auto set = parts.policies.policies();
    const policy::Policy* const found = set->find(spec.tenant, spec.agent);
    for (const std::string& name : spec.secrets) {
        const policy::SecretGrant* grant = nullptr;
        if (found != nullptr) {
            const auto at = std::ranges::find(found->secrets, name, &policy::SecretGrant::name);
            if (at != found->secrets.end()) grant = &*at;
        }
        if (grant == nullptr) {
            return base::fail_on("secrets", Code::permission_denied,
                                 "secrets: asked {}, policy {} does not say where it may go", name,
                                 spec.policy);
        }
        secrets.push_back({name, DG_TRY(parts.secrets.value(name)), grant->environment,
                           grant->header, grant->domains});
    }
    return secrets;
}

/// Reading it of a box costs as much as making one from the pool, so it is read once a kind.
std::string Core::backend_of(const SandboxId& id, Isolation isolation) {
    {
        const std::shared_lock lock(boxes_mutex);
        if (const auto found = backends.find(isolation); found != backends.end()) {
            return found->second;
        }
    }
    const auto info = inner->info(id);
    if (!info) return "";
    const std::scoped_lock lock(boxes_mutex);
    return backends[isolation] = info->backend;
}

Result<KnownBoxPtr> Core::make(const SandboxSpec& spec, const Secrets& secrets) {
    const SandboxId id = DG_TRY(inner->create(spec, secrets));
    auto box = std::make_shared<KnownBox>();
    box->id = id;
    box->tenant = spec.tenant;
    box->agent = spec.agent;
    box->policy = spec.policy;
    box->backend = backend_of(id, spec.isolation);
    return box;
}

Result<void> Core::publish(const KnownBoxPtr& box, AuditLevel level, const AuditEvent& event) {
    // A stop that came meanwhile has not seen the box, or has ended it.
    auto allowed = parts.stops.check(box->tenant, box->agent, box->id);
    if (allowed) allowed = record(level, AuditLevel::decisions, event);
    if (!allowed) {
        static_cast<void>(inner->destroy(box->id));
        return allowed;
    }
    {
        const std::scoped_lock lock(boxes_mutex);
        boxes[box->id] = box;
        if (!ended_early.contains(box->id)) {
            move(*box, [](KnownBox& b) { b.gone = false; });
            return {};
        }
    }
    tell_end(box, "server", "ended while it was being made");
    return base::fail(Code::unavailable, "sandbox {} ended while it was being made", box->id);
}

Result<SandboxId> GuardedSphere::create(const SandboxSpec& asked, const Secrets& given) {
    AuditEvent event;
    event.event = "sandbox.create";
    event.actor = actor_;
    describe(asked, event);
    const AuditLevel level = core_.level_of(asked.tenant, asked.agent);
    const base::Instant begun = core_.parts.clock.now();
    const Core::Making making(core_);
    const auto made = [&]() -> Result<KnownBoxPtr> {
        const SandboxSpec spec = DG_TRY(core_.admit(asked, event));
        if (!given.empty()) {
            return base::fail_on("secrets", Code::permission_denied,
                                 "secrets: values come from the secret store by the policy's "
                                 "grants, not from the caller");
        }
        return core_.make(spec, DG_TRY(core_.resolve_secrets(spec)));
    }();
    if (!made) return core_.refuse(level, std::move(event), made.error());
    event.sandbox = (*made)->id;
    event.backend = (*made)->backend;
    if (auto published = core_.publish(*made, level, event); !published) {
        return core_.refuse(level, std::move(event), published.error());
    }
    core_.metrics.created(core_.parts.clock.now() - begun);
    return (*made)->id;
}

Core::Making::Making(Core& c) : core(c) {
    const std::scoped_lock lock(core.boxes_mutex);
    ++core.making;
}
Core::Making::~Making() {
    const std::scoped_lock lock(core.boxes_mutex);
    if (--core.making == 0) core.ended_early.clear();
}

Result<void> GuardedSphere::destroy(const SandboxId& id) {
    const KnownBoxPtr box = core_.identify(id);
    if (auto gone = core_.inner->destroy(id); !gone) {
        return core_.refuse(core_.level_of(*box), core_.about("sandbox.destroy", actor_, *box),
                            gone.error());
    }
    if (core_.knows(id)) core_.tell_end(box, actor_, "destroyed");
    return {};
}

Result<SandboxInfo> GuardedSphere::info(const SandboxId& id) const {
    return core_.inner->info(id);
}
std::vector<SandboxInfo> GuardedSphere::list() const {
    return core_.inner->list();
}
bool GuardedSphere::knows(const SandboxId& id) const {
    return core_.inner->knows(id);
}
HostReport GuardedSphere::host_report() const {
    return core_.inner->host_report();
}
std::vector<SnapshotInfo> GuardedSphere::snapshots() const {
    return core_.inner->snapshots();
}

std::vector<ImageInfo> GuardedSphere::images() const {
    return core_.inner->images();
}

Result<void> GuardedSphere::pause(const SandboxId& id) {
    const KnownBoxPtr box = core_.identify(id);
    AuditEvent event = core_.about("sandbox.pause", actor_, *box);
    const AuditLevel level = core_.level_of(*box);
    if (auto done = core_.inner->pause(id); !done) {
        return core_.refuse(level, std::move(event), done.error());
    }
    core_.move(*box, [](KnownBox& b) { b.paused = true; });
    event.decision = "allow";
    return core_.record(level, AuditLevel::calls, event);  // stands still all the same
}

Result<void> GuardedSphere::resume(const SandboxId& id) {
    const KnownBoxPtr box = core_.identify(id);
    AuditEvent event = core_.about("sandbox.resume", actor_, *box);
    const AuditLevel level = core_.level_of(*box);
    auto done = core_.may_work(*box);
    if (done) done = core_.inner->resume(id);
    if (!done) return core_.refuse(level, std::move(event), done.error());
    event.decision = "allow";
    if (auto recorded = core_.record(level, AuditLevel::calls, event); !recorded) {
        static_cast<void>(core_.inner->pause(id));
        return recorded;
    }
    core_.move(*box, [](KnownBox& b) { b.paused = false; });
    return {};
}

}  // namespace sphere::guard
