#include "sphere/backends/router.h"

#include <algorithm>
#include <iterator>
#include <optional>

namespace sphere::backends {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

}  // namespace

Result<std::unique_ptr<Router>> Router::open(std::vector<Backend> backends, SphereOptions options) {
    auto router = std::unique_ptr<Router>(new Router(std::move(options)));
    for (Backend& how : backends) {
        router->slots_.push_back(std::make_unique<Slot>());
        router->slots_.back()->how = std::move(how);
    }
    std::optional<base::Error> refusal;
    for (const auto& slot : router->slots_) {
        // The others are asked at once only when a host has nothing else to offer.
        if (!slot->how.at_open && (!refusal || !router->begun().empty())) continue;
        auto opened = router->begin(*slot);
        if (!opened && !refusal) refusal = std::move(opened).error();
    }
    if (router->begun().empty() && refusal) return std::unexpected(std::move(*refusal));
    return router;
}

std::vector<Sphere*> Router::begun() const {
    std::vector<Sphere*> all;
    for (const auto& slot : slots_) {
        if (Sphere* const sphere = slot->sphere.load()) all.push_back(sphere);
    }
    return all;
}

Result<Sphere*> Router::begin(Slot& slot) {
    const std::lock_guard lock(opening_);
    if (Sphere* const sphere = slot.sphere.load()) return sphere;
    slot.owner = DG_TRY(slot.how.open());
    // Under the lock of the stops: an order either finds it begun or is replayed here.
    const std::lock_guard stops_lock(stopping_);
    for (const StopScope& stop : stops_) slot.owner->emergency_stop(stop);
    slot.sphere = slot.owner.get();
    return slot.owner.get();
}

Result<Sphere*> Router::backend_for(Isolation level) {
    for (const auto& slot : slots_) {
        if (std::ranges::find(slot->how.levels, level) == slot->how.levels.end()) continue;
        if (Sphere* const sphere = slot->sphere.load()) return sphere;
        return begin(*slot);
    }
    return fail_on("isolation", Code::failed_precondition, "isolation {} has no backend here",
                   isolation_name(level));
}

Result<Sphere*> Router::owner_of(const SandboxId& id) const {
    const auto all = begun();
    if (all.size() == 1) return all.front();  // it says itself what it does not know
    for (Sphere* const sphere : all) {
        if (sphere->knows(id)) return sphere;
    }
    return fail_on(id, Code::not_found, "sandbox {} does not exist", id);
}

/// Counts a box that is being made. One backend alone counts its own.
Result<void> Router::count_in() {
    const std::lock_guard lock(counting_);
    const auto all = begun();
    std::size_t boxes = creating_;
    if (all.size() > 1) {
        for (const Sphere* const sphere : all) boxes += sphere->list().size();
    }
    if (all.size() > 1 && boxes >= options_.sandboxes_max) {
        return fail(Code::resource_exhausted,
                    "{} sandboxes exist, over all levels; at most {} may: destroy one first", boxes,
                    options_.sandboxes_max);
    }
    ++creating_;
    return {};
}

Result<SandboxId> Router::create(const SandboxSpec& spec, const Secrets& secrets) {
    DG_TRY(check_spec(spec));
    Sphere* const backend = DG_TRY(backend_for(spec.isolation));
    DG_TRY(count_in());
    auto made = backend->create(spec, secrets);
    const std::lock_guard lock(counting_);
    --creating_;
    return made;
}

Result<void> Router::destroy(const SandboxId& id) {
    return DG_TRY(owner_of(id))->destroy(id);
}
Result<ExecId> Router::start(const SandboxId& id, const ExecSpec& spec, ExecSink& sink) {
    return DG_TRY(owner_of(id))->start(id, spec, sink);
}
Result<void> Router::write_stdin(const SandboxId& id, ExecId exec, std::string_view bytes,
                                 bool end_of_file) {
    return DG_TRY(owner_of(id))->write_stdin(id, exec, bytes, end_of_file);
}
Result<void> Router::rest(const SandboxId& id, ExecId exec) {
    return DG_TRY(owner_of(id))->rest(id, exec);
}
Result<ExecId> Router::fork_command(const SandboxId& id, ExecId exec, ExecSink& sink) {
    return DG_TRY(owner_of(id))->fork_command(id, exec, sink);
}
/// Of the backend that has one.
PoolState Router::pool() const {
    for (const Sphere* const sphere : begun()) {
        PoolState state = sphere->pool();
        if (state.boxes > 0 || !state.warm.empty()) return state;
    }
    return {};
}
Result<void> Router::resize_tty(const SandboxId& id, ExecId exec, std::uint16_t columns,
                                std::uint16_t rows) {
    return DG_TRY(owner_of(id))->resize_tty(id, exec, columns, rows);
}
Result<void> Router::signal(const SandboxId& id, ExecId exec, int number) {
    return DG_TRY(owner_of(id))->signal(id, exec, number);
}
Result<void> Router::pause(const SandboxId& id) {
    return DG_TRY(owner_of(id))->pause(id);
}
Result<void> Router::resume(const SandboxId& id) {
    return DG_TRY(owner_of(id))->resume(id);
}
Result<SandboxInfo> Router::info(const SandboxId& id) const {
    return DG_TRY(owner_of(id))->info(id);
}
bool Router::knows(const SandboxId& id) const {
    return std::ranges::any_of(begun(), [&](const Sphere* sphere) { return sphere->knows(id); });
}
Result<int> Router::open_workspace(const SandboxId& id) {
    return DG_TRY(owner_of(id))->open_workspace(id);
}
Result<void> Router::admit_file(const SandboxId& id, const FileAccess& access) {
    return DG_TRY(owner_of(id))->admit_file(id, access);
}
Result<int> Router::dial(const SandboxId& id, std::uint16_t port) {
    return DG_TRY(owner_of(id))->dial(id, port);
}
Result<void> Router::set_network(const SandboxId& id, const NetworkPolicy& policy) {
    return DG_TRY(owner_of(id))->set_network(id, policy);
}
Result<SnapshotInfo> Router::snapshot(const SandboxId& id, const SnapshotRequest& request) {
    return DG_TRY(owner_of(id))->snapshot(id, request);
}

std::vector<SandboxInfo> Router::list() const {
    std::vector<SandboxInfo> all;
    for (const Sphere* const sphere : begun())
        std::ranges::move(sphere->list(), std::back_inserter(all));
    return all;
}

std::vector<SnapshotInfo> Router::snapshots() const {
    std::vector<SnapshotInfo> all;
    for (const Sphere* const sphere : begun()) {
        std::ranges::move(sphere->snapshots(), std::back_inserter(all));
    }
    return all;
}

Result<void> Router::remove_snapshot(const SnapshotId& id) {
    for (Sphere* const sphere : begun()) {
        auto removed = sphere->remove_snapshot(id);
        if (removed || removed.error().code != Code::not_found) return removed;
    }
    return fail_on(id, Code::not_found, "snapshot {} does not exist", id);
}

std::vector<ImageInfo> Router::images() const {
    std::vector<ImageInfo> all;
    for (const Sphere* const sphere : begun()) {
        std::ranges::move(sphere->images(), std::back_inserter(all));
    }
    return all;
}

Result<ImageInfo> Router::import_image(const std::string& path, const std::string& name) {
    return DG_TRY(backend_for(Isolation::full))->import_image(path, name);
}

Result<void> Router::remove_image(const std::string& digest) {
    return DG_TRY(backend_for(Isolation::full))->remove_image(digest);
}

HostReport Router::host_report() const {
    return inspect_host(options_.backends);
}

std::uint32_t Router::emergency_stop(const StopScope& scope) {
    std::vector<Sphere*> all;
    {
        const std::lock_guard lock(stopping_);
        if (std::ranges::find(stops_, scope) == stops_.end()) stops_.push_back(scope);
        all = begun();
    }
    std::uint32_t stopped = 0;
    for (Sphere* const sphere : all) stopped += sphere->emergency_stop(scope);
    return stopped;
}

Result<void> Router::lift_stop(const StopScope& scope) {
    const std::lock_guard lock(stopping_);
    std::erase(stops_, scope);
    for (Sphere* const sphere : begun()) DG_TRY(sphere->lift_stop(scope));
    return {};
}

}  // namespace sphere::backends
