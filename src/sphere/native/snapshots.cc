// Snapshots: what an idle box has written becomes a layer that never changes again, and the box
// goes on above it; of a box in which something runs, the files are copied while it stands still.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ranges>
#include <sstream>
#include <utility>

#include "sphere/launcher/channel.h"
#include "sphere/native/native_sphere.h"
#include "sphere/native/users.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

constexpr std::chrono::seconds kAnswerMax{20}, kStandStillMax{5};
constexpr std::size_t kNameBytesMax = 128, kDescendantsMax = 1 << 16;

/// Of /proc, whose files have no size.
std::optional<std::string> read_small(const std::string& path) {
    std::ifstream in(path);
    if (!in) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(in), {});
}

/// Everything below `pid`, as this process sees it; nothing when the kernel does not tell.
std::optional<std::vector<int>> descendants(int pid) {
    std::vector<int> all{pid};
    for (std::size_t i = 0; i < all.size() && all.size() < kDescendantsMax; ++i) {
        const std::string tasks = fmt::format("/proc/{}/task", all[i]);
        std::error_code gone;
        for (const auto& task : std::filesystem::directory_iterator(tasks, gone)) {
            const auto text = read_small((task.path() / "children").string());
            if (!text && i == 0) return std::nullopt;
            std::istringstream words(text ? *text : std::string());
            for (int child; words >> child;) all.push_back(child);
        }
        if (gone && i == 0) return std::nullopt;
    }
    all.erase(all.begin());
    return all;
}

/// T, t: stopped; Z, X: dead; nothing when it is gone.
bool stands_still(int pid) {
    const auto text = read_small(fmt::format("/proc/{}/stat", pid));
    if (!text) return true;
    const std::size_t name_end = text->rfind(')');
    return name_end != std::string::npos && name_end + 2 < text->size() &&
           std::string_view("TtZX").find((*text)[name_end + 2]) != std::string_view::npos;
}

bool tree_stands_still(const Box& box) {
    if (box.groups.has_tree()) return box.groups.is_frozen();
    const auto all = descendants(box.pid);
    return all && std::ranges::all_of(*all, stands_still);
}

std::string printable_name(const std::string& name) {
    std::string text = name.substr(0, kNameBytesMax);
    std::erase_if(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    return text;
}

}  // namespace

bool NativeSphere::is_alone(const Box& box) const {
    if (!box.groups.has_tree()) {
        const auto others = descendants(box.pid);
        return box.execs.empty() && others && others->empty();
    }
    const auto is_empty = [&](const ExecGroup& group) {
        return box.groups.exec_group_is_empty(group.number);
    };
    return std::ranges::all_of(box.leaving_groups, is_empty) &&
           std::ranges::all_of(box.execs, [&](const auto& each) {
               const Exec& exec = *each.second;
               return exec.phase == Exec::Phase::lingering && exec.group && is_empty(*exec.group);
           });
}

Result<NativeSphere::LauncherAnswer> NativeSphere::ask(Lock& lock, std::uint64_t request,
                                                       const std::function<bool()>& send) {
    asked_[request] = std::nullopt;
    const bool sent = !launcher_gone_ && send();
    const bool answered = sent && answered_.wait_for(lock, kAnswerMax, [&] {
        return launcher_gone_ || asked_.at(request).has_value();
    });
    auto answer = std::move(asked_.at(request));
    asked_.erase(request);
    if (answered && answer) return std::move(*answer);
    return fail(Code::unavailable, "the sandbox launcher does not answer; restart this server");
}

Result<void> NativeSphere::seal(Lock& lock, const Box& box, bool read_only) {
    auto message = launcher::make_message<launcher::Seal>();
    message.request = next_request_++;
    message.read_only = read_only ? 1 : 0;
    const int layer[] = {box.layer.get()};
    const auto answer = DG_TRY(ask(lock, message.request, [&] {
        return launcher::send_message(launcher_.get(), message, layer);
    }));
    if (answer.step == launcher::Step::none) return {};
    return fail(Code::unavailable, "{} failed: {}", launcher::step_name(answer.step),
                std::strerror(answer.error));
}

Result<NativeSphere::BoxPtr> NativeSphere::hold(Lock& lock, const SandboxId& id) {
    BoxPtr box = DG_TRY(find(id));
    while (box->held) {
        box->changed.wait(lock);
        box = DG_TRY(find(id));
    }
    DG_TRY(check_stops(box->spec, id));
    if (box->ending || box->gone) {
        return fail(Code::failed_precondition, "sandbox {} is ending", id);
    }
    box->held = box->touched = true;
    return box;
}

Result<void> NativeSphere::take_place(Lock& lock, const BoxPtr& old, const BoxPtr& successor) {
    if (old->ending || old->gone || successor->gone || stopping_) {
        kill_box(*successor, EndReason::stopped);
        bury(lock, successor);
        return fail(Code::failed_precondition, "sandbox {} is ending", old->id);
    }
    Box& box = *successor;
    box.id = old->id;
    box.spec = old->spec;
    box.secrets = old->secrets;
    box.groups = std::move(old->groups);
    old->groups = {};
    box.next_group = old->next_group;
    box.idle_group = std::exchange(old->idle_group, std::nullopt);
    box.leaving_groups = std::exchange(old->leaving_groups, {});
    if (old->prepared) box.leaving_groups.push_back(old->prepared->group);
    old->prepared.reset();
    box.next_exec = old->next_exec;
    box.execs_begun = old->execs_begun;
    box.created_unix_ns = old->created_unix_ns;
    box.created_at = old->created_at;
    box.used_at = clock_.now();
    box.published = true;
    box.held = true;
    old->id += " before its snapshot";
    old->published = old->held = false;
    boxes_[box.id] = successor;
    old->changed.notify_all();
    kill_box(*old, EndReason::stopped);
    bury(lock, old);
    prepare_next(box);
    return {};
}

Result<Beginning> NativeSphere::seal_workspace(Lock& lock, BoxPtr& box) {
    const BoxPtr old = box;
    if (old->beginning.layers.size() >= launcher::kLayersMax) {
        return fail(Code::resource_exhausted, "{} layers", launcher::kLayersMax);
    }
    lock.unlock();
    // An overlay's own notes are in the layers it made; elsewhere they are somebody's try.
    auto size = clean_layer(old->layer.get(), old->beginning.layers.empty());
    lock.lock();
    if (!size) return std::unexpected(std::move(size).error());
    DG_TRY(seal(lock, *old, true));
    Beginning files = old->beginning;
    files.host_id = old->host_id;
    files.layers.insert(
        files.layers.begin(),
        std::make_shared<Layer>(base::UniqueFd(::fcntl(old->layer.get(), F_DUPFD_CLOEXEC, 0)),
                                *size, layer_bytes_));
    lock.unlock();
    auto successor = make_box(old->spec, files, old.get());
    lock.lock();
    if (!successor) {
        DG_TRY(seal(lock, *old, false));
        return std::unexpected(std::move(successor).error());
    }
    DG_TRY(take_place(lock, old, *successor));
    box = *successor;
    return files;
}

Result<base::UniqueFd> NativeSphere::make_layer(Lock& lock, std::uint64_t bytes,
                                                std::uint64_t inodes, std::uint32_t host_id) {
    auto message = launcher::make_message<launcher::MakeLayer>();
    message.request = next_request_++;
    message.bytes = bytes;
    message.inodes = inodes;
    message.host_id = host_id;
    auto made = DG_TRY(ask(lock, message.request,
                           [&] { return launcher::send_message(launcher_.get(), message); }));
    if (made.step == launcher::Step::none) return std::move(made.fd);
    return fail(Code::unavailable, "{} failed: {}", launcher::step_name(made.step),
                std::strerror(made.error));
}

Result<Beginning> NativeSphere::copy_workspace(Lock& lock, const BoxPtr& box) {
    auto made = DG_TRY(make_layer(lock, options_.snapshot_bytes_max,
                                  box->spec.limits.inodes_max * (1 + box->beginning.layers.size()),
                                  box->host_id));
    const bool was_paused = box->paused;
    if (!was_paused && !set_frozen(*box, true)) {
        return fail(Code::unavailable, "sandbox {} could not be frozen: {}", box->id,
                    std::strerror(errno));
    }
    lock.unlock();
    const base::Instant until = clock_.now() + kStandStillMax;
    bool still = tree_stands_still(*box);
    while (!still && clock_.now() < until) {
        std::this_thread::sleep_for(std::chrono::microseconds(200));
        still = tree_stands_still(*box);
    }
    Result<TreeSize> size =
        still ? Result<TreeSize>(TreeSize{})
              : fail(Code::unavailable, "sandbox {} did not stand still within {} s", box->id,
                     kStandStillMax.count());
    base::UniqueFd folder;
    if (still) {
        folder = base::UniqueFd(::openat(made.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        size = copy_tree(box->workspace.get(), folder.get(), box->host_id);
    }
    lock.lock();
    if (!was_paused && !box->ending) set_frozen(*box, false);
    if (!size) return std::unexpected(std::move(size).error());
    Beginning files;
    files.host_id = box->host_id;
    files.layers.push_back(std::make_shared<Layer>(std::move(made), *size, layer_bytes_));
    return files;
}

Result<SnapshotInfo> NativeSphere::snapshot(const SandboxId& id, const SnapshotRequest& request) {
    if (is_plain()) return Sphere::snapshot(id, request);  // none
    Lock lock(mutex_);
    BoxPtr box = DG_TRY(hold(lock, id));
    const auto release = [&] {
        box->held = false;
        box->used_at = clock_.now();
        box->changed.notify_all();
    };
    if (layer_bytes_ >= options_.snapshot_bytes_max) drop_loaded(lock);
    if ((!request.persist && snapshots_.size() >= options_.snapshots_max) ||
        layer_bytes_ >= options_.snapshot_bytes_max) {
        release();
        return fail(Code::resource_exhausted,
                    "{} snapshots with {} bytes exist, at most {} with {}; remove one first, and "
                    "the sandboxes that began with it",
                    snapshots_.size(), layer_bytes_.load(), options_.snapshots_max,
                    options_.snapshot_bytes_max);
    }
    KeptSnapshot kept;
    kept.info.consistency = "idle";
    Result<Beginning> files = fail(Code::failed_precondition, "something runs");
    const bool alone = is_alone(*box);
    // The broker's sockets are of its namespace: a box with a network keeps its init.
    if (alone && !box->paused && !box->meter) files = seal_workspace(lock, box);
    if (!files && !box->gone && !box->ending) {
        kept.info.consistency = alone ? "idle" : "frozen";
        files = copy_workspace(lock, box);
    }
    if (files && layer_bytes_ > options_.snapshot_bytes_max) drop_loaded(lock);
    if (files && layer_bytes_ > options_.snapshot_bytes_max) {
        files = fail(Code::resource_exhausted,
                     "with this one snapshots would hold {} bytes, at most {}; remove others first",
                     layer_bytes_.load(), options_.snapshot_bytes_max);
    }
    if (files && (box->ending || box->gone)) {
        files = fail(Code::failed_precondition, "sandbox {} is ending", id);
    }
    release();
    if (!files) return std::unexpected(std::move(files).error());
    kept.files = std::move(*files);
    kept.info.id = make_snapshot_id();
    kept.info.from = id;
    kept.info.name = printable_name(request.name);
    kept.info.tenant = box->spec.tenant;
    kept.info.created_unix_ns = clock_.unix_ns();
    for (const auto& layer : kept.files.layers) {
        kept.info.bytes += layer->size.bytes;
        kept.info.entries += layer->size.entries;
    }
    if (request.persist) {
        const SandboxSpec spec = box->spec;
        lock.unlock();
        return persist(kept, spec);
    }
    const SnapshotInfo info = kept.info;
    snapshots_[info.id] = std::move(kept);
    return info;
}

Result<SnapshotInfo> NativeSphere::persist(const KeptSnapshot& kept, const SandboxSpec& spec) {
    const auto& layers = kept.files.layers;
    // Several layers are one tree only in a box; this one is nobody's and nothing runs in it.
    BoxPtr view;
    if (layers.size() > 1) {
        SandboxSpec whole = spec;
        whole.network = {};
        whole.root = {};
        view = DG_TRY(make_box(whole, kept.files));
    }
    auto stored = kept_.keep(kept.info, view ? view->workspace.get() : layers.front()->root.get());
    Lock lock(mutex_);
    if (view) {
        kill_box(*view, EndReason::stopped);
        bury(lock, view);
    }
    if (!stored) return std::unexpected(std::move(stored).error());
    loaded_[kept.info.id] = kept.files;  // until memory is short
    return stored->info;
}

void NativeSphere::drop_loaded(Lock& lock) {
    std::map<SnapshotId, Beginning> dropped;
    dropped.swap(loaded_);
    lock.unlock();
    dropped.clear();  // freeing memory takes a while
    lock.lock();
}

Result<Beginning> NativeSphere::load_snapshot(const StoredSnapshot& stored) {
    const std::lock_guard one_at_a_time(loading_);
    Lock lock(mutex_);
    if (const auto at = loaded_.find(stored.info.id); at != loaded_.end()) return at->second;
    if (layer_bytes_ + stored.info.bytes > options_.snapshot_bytes_max) drop_loaded(lock);
    if (layer_bytes_ + stored.info.bytes > options_.snapshot_bytes_max) {
        return fail(Code::resource_exhausted,
                    "snapshots in memory hold {} bytes, at most {}, and {} needs {}; remove others "
                    "first, and the sandboxes that began with them",
                    layer_bytes_.load(), options_.snapshot_bytes_max, stored.info.id,
                    stored.info.bytes);
    }
    Beginning files;
    files.host_id = answers_.mounts_as_root() ? make_host_id() : 0;
    // A tmpfs counts folders and links as pages too.
    const std::uint64_t bytes = stored.info.bytes + (stored.info.entries + 16) * 8192;
    auto layer = DG_TRY(make_layer(lock, bytes, stored.info.entries + 64, files.host_id));
    lock.unlock();
    const base::UniqueFd folder(::openat(layer.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const TreeSize size = DG_TRY(kept_.restore(stored, folder.get(), files.host_id));
    files.layers.push_back(std::make_shared<Layer>(std::move(layer), size, layer_bytes_));
    lock.lock();
    loaded_[stored.info.id] = files;
    return files;
}

std::vector<SnapshotInfo> NativeSphere::snapshots() const {
    std::vector<SnapshotInfo> all;
    if (!is_plain()) {
        for (StoredSnapshot& stored : kept_.list()) all.push_back(std::move(stored.info));
    }
    const Lock lock(mutex_);
    for (const auto& [id, kept] : snapshots_) all.push_back(kept.info);
    std::ranges::sort(all, {}, &SnapshotInfo::created_unix_ns);
    return all;
}

Result<void> NativeSphere::remove_snapshot(const SnapshotId& id) {
    Beginning removed;  // its layers go without the lock: freeing memory takes a while
    {
        const Lock lock(mutex_);
        if (const auto at = snapshots_.find(id); at != snapshots_.end()) {
            removed = std::move(at->second.files);
            snapshots_.erase(at);
            return {};
        }
    }
    if (is_plain()) return Sphere::remove_snapshot(id);
    DG_TRY(kept_.remove(id));
    const Lock lock(mutex_);
    if (const auto at = loaded_.find(id); at != loaded_.end()) {
        removed = std::move(at->second);
        loaded_.erase(at);
    }
    return {};
}

Result<Beginning> NativeSphere::files_of(const SandboxSpec& spec) {
    const auto missing = [&] {
        return fail_on("snapshot", Code::not_found, "snapshot {} does not exist", spec.snapshot);
    };
    {
        const Lock lock(mutex_);
        if (const auto at = snapshots_.find(spec.snapshot); at != snapshots_.end()) {
            if (at->second.info.tenant != spec.tenant) return missing();
            return at->second.files;
        }
    }
    if (is_plain()) return missing();
    const auto stored = kept_.find(spec.snapshot);
    if (!stored && stored.error().code != Code::not_found) return std::unexpected(stored.error());
    if (!stored || stored->info.tenant != spec.tenant) return missing();
    return load_snapshot(*stored);
}

Result<NativeSphere::BoxPtr> NativeSphere::make_box_from(const SandboxSpec& spec) {
    const Beginning files = DG_TRY(files_of(spec));
    auto box = make_box(spec, files);
    if (box || files.layers.size() != 1) return box;
    // A kernel that cannot put an overlay on layers has only single ones, which copies made.
    BoxPtr copied = DG_TRY(make_box(spec, {.layers = {}, .host_id = files.host_id}));
    auto size =
        copy_tree(files.layers.front()->root.get(), copied->workspace.get(), copied->host_id);
    if (size) return copied;
    Lock lock(mutex_);
    kill_box(*copied, EndReason::stopped);
    bury(lock, copied);
    return std::unexpected(std::move(size).error());
}

}  // namespace sphere::native
