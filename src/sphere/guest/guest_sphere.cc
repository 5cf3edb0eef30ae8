#include "sphere/guest/guest_sphere.h"

#include <algorithm>

#include "sphere/native/seccomp_program.h"

namespace sphere::guest {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

constexpr std::chrono::milliseconds kKeeperPause{250};
constexpr std::size_t kEndedKept = 1024;

/// No broker reaches in here: a secret is a variable of the commands, or refused.
Result<void> check_secrets(const SandboxSpec& spec, const Secrets& secrets) {
    for (const std::string& name : spec.secrets) {
        const auto at = std::ranges::find(secrets, name, &SecretValue::name);
        if (at == secrets.end()) {
            return fail_on("secrets", Code::failed_precondition,
                           "secret {} has no value here; a policy must inject it", name);
        }
        if (at->environment.empty()) {
            return fail_on("secrets", Code::failed_precondition,
                           "secret {} is set on requests by the egress broker, which isolation {} "
                           "has none of; use isolation full",
                           name, isolation_name(spec.isolation));
        }
    }
    return {};
}

}  // namespace

GuestSphere::GuestSphere(const SphereOptions& options, const base::Clock& clock,
                         std::unique_ptr<MachineMaker> maker)
    : options_(options),
      clock_(clock),
      maker_(std::move(maker)),
      filter_(native::build_seccomp_program()) {
    keeper_ = std::thread([this] { run_keeper(); });
}

GuestSphere::~GuestSphere() {
    {
        const Lock lock(mutex_);
        stopping_ = true;
        keeper_wakes_.notify_all();
    }
    keeper_.join();
    std::vector<BoxPtr> left;
    {
        const Lock lock(mutex_);
        for (const auto& [id, box] : boxes_) left.push_back(box);
    }
    for (const BoxPtr& box : left) box->kill(EndReason::stopped);  // all at once
    for (const BoxPtr& box : left) bury(box, EndReason::stopped, "closed");
}

Result<GuestSphere::BoxPtr> GuestSphere::find(const SandboxId& id) const {
    const Lock lock(mutex_);
    const auto at = boxes_.find(id);
    if (at != boxes_.end()) return at->second;
    return fail_on(id, Code::not_found, "sandbox {} does not exist", id);
}

Result<void> GuestSphere::check_stops(const SandboxSpec& spec, const SandboxId& id) const {
    for (const StopScope& stop : stops_) {
        if (!stop.covers(spec, id)) continue;
        return fail(Code::permission_denied,
                    "an emergency stop (tenant '{}', agent '{}', sandbox '{}'; empty: all) forbids "
                    "this until it is lifted",
                    stop.tenant, stop.agent, stop.sandbox);
    }
    return {};
}

Result<SandboxId> GuestSphere::create(const SandboxSpec& spec, const Secrets& secrets) {
    DG_TRY(check_spec(spec));
    DG_TRY(maker_->check(spec));
    DG_TRY(check_secrets(spec, secrets));
    if (!filter_) return std::unexpected(filter_.error());
    const auto box = std::make_shared<GuestBox>(make_sandbox_id(), spec, secrets, *filter_, clock_);
    const SandboxId& id = box->id();
    {
        const Lock lock(mutex_);
        DG_TRY(check_stops(spec, id));
        if (boxes_.size() >= options_.sandboxes_max) {
            return fail(Code::resource_exhausted,
                        "{} sandboxes exist; at most {} may: destroy one first", boxes_.size(),
                        options_.sandboxes_max);
        }
        boxes_[id] = box;
    }
    auto machine = maker_->make(spec, id);
    auto begun = machine ? box->begin(std::move(*machine), *maker_)
                         : Result<void>(std::unexpected(std::move(machine).error()));
    Lock lock(mutex_);
    // A stop that came meanwhile has killed what it found, which may not have been a machine yet.
    if (begun) begun = check_stops(spec, id);
    if (begun) return id;
    boxes_.erase(id);
    lock.unlock();
    box->finish(EndReason::stopped);
    return std::unexpected(std::move(begun).error());
}

void GuestSphere::bury(const BoxPtr& box, EndReason reason, std::string_view why) {
    SandboxInfo last = describe(*box);
    last.state = SandboxState::ended;
    {
        const Lock lock(mutex_);
        if (boxes_.erase(box->id()) == 0) return;  // another thread does it
        ended_.push_back(last);
        if (ended_.size() > kEndedKept) ended_.pop_front();
    }
    box->finish(reason);
    if (options_.on_sandbox_end && box->was_ready()) options_.on_sandbox_end(last, why);
}

Result<void> GuestSphere::destroy(const SandboxId& id) {
    auto box = find(id);
    if (!box) {
        if (knows(id)) return {};
        return std::unexpected(std::move(box).error());
    }
    bury(*box, EndReason::stopped, "destroyed");
    return {};
}

SandboxInfo GuestSphere::describe(const GuestBox& box) const {
    SandboxInfo info = box.describe();
    info.backend = maker_->name();
    info.enforced_by = maker_->enforced_by();
    return info;
}

Result<SandboxInfo> GuestSphere::info(const SandboxId& id) const {
    if (const auto box = find(id)) return describe(**box);
    const Lock lock(mutex_);
    const auto old = std::ranges::find(ended_, id, &SandboxInfo::id);
    if (old != ended_.end()) return *old;
    return fail_on(id, Code::not_found, "sandbox {} does not exist", id);
}

std::vector<SandboxInfo> GuestSphere::list() const {
    std::vector<BoxPtr> boxes;
    {
        const Lock lock(mutex_);
        for (const auto& [id, box] : boxes_) boxes.push_back(box);
    }
    std::vector<SandboxInfo> all;
    for (const BoxPtr& box : boxes) all.push_back(describe(*box));
    return all;
}

bool GuestSphere::knows(const SandboxId& id) const {
    const Lock lock(mutex_);
    return boxes_.contains(id) || std::ranges::find(ended_, id, &SandboxInfo::id) != ended_.end();
}

Result<ExecId> GuestSphere::start(const SandboxId& id, const ExecSpec& spec, ExecSink& sink) {
    const BoxPtr box = DG_TRY(find(id));
    {
        const Lock lock(mutex_);
        DG_TRY(check_stops(box->spec(), id));
    }
    return box->start(spec, sink);
}

Result<void> GuestSphere::write_stdin(const SandboxId& id, ExecId exec, std::string_view bytes,
                                      bool end_of_file) {
    return DG_TRY(find(id))->write_stdin(exec, bytes, end_of_file);
}
Result<void> GuestSphere::rest(const SandboxId& id, ExecId exec) {
    return DG_TRY(find(id))->rest(exec);
}
Result<void> GuestSphere::resize_tty(const SandboxId& id, ExecId exec, std::uint16_t columns,
                                     std::uint16_t rows) {
    return DG_TRY(find(id))->resize_tty(exec, columns, rows);
}
Result<void> GuestSphere::signal(const SandboxId& id, ExecId exec, int number) {
    return DG_TRY(find(id))->signal(exec, number);
}
Result<void> GuestSphere::pause(const SandboxId& id) {
    return DG_TRY(find(id))->freeze(true);
}
Result<void> GuestSphere::resume(const SandboxId& id) {
    return DG_TRY(find(id))->freeze(false);
}
Result<int> GuestSphere::open_workspace(const SandboxId& id) {
    return DG_TRY(find(id))->open_workspace();
}

std::uint32_t GuestSphere::emergency_stop(const StopScope& scope) {
    std::vector<BoxPtr> hit;
    {
        const Lock lock(mutex_);
        if (std::ranges::find(stops_, scope) == stops_.end()) stops_.push_back(scope);
        for (const auto& [id, box] : boxes_) {
            if (scope.covers(box->spec(), id)) hit.push_back(box);
        }
    }
    for (const BoxPtr& box : hit) static_cast<void>(box->freeze(true));
    for (const BoxPtr& box : hit) box->kill(EndReason::emergency);
    for (const BoxPtr& box : hit) bury(box, EndReason::emergency, "emergency");
    return static_cast<std::uint32_t>(hit.size());
}

Result<void> GuestSphere::lift_stop(const StopScope& scope) {
    const Lock lock(mutex_);
    std::erase(stops_, scope);
    return {};
}

void GuestSphere::run_keeper() {
    Lock lock(mutex_);
    while (!stopping_) {
        std::vector<std::pair<BoxPtr, std::string_view>> over;
        for (const auto& [id, box] : boxes_) {
            if (const auto why = box->over(clock_.now()); !why.empty()) over.emplace_back(box, why);
        }
        lock.unlock();
        for (const auto& [box, why] : over) bury(box, EndReason::stopped, why);
        over.clear();
        lock.lock();
        if (!stopping_) keeper_wakes_.wait_for(lock, kKeeperPause);
    }
}

}  // namespace sphere::guest
