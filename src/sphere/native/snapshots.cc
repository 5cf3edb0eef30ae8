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

Result<Beginning> NativeSphere::copy_workspace(Lock& lock, const BoxPtr& box) {
    auto message = launcher::make_message<launcher::MakeLayer>();
    message.request = next_request_++;
    message.bytes = options_.snapshot_bytes_max;
    message.inodes = box->spec.limits.inodes_max * (1 + box->beginning.layers.size());
    message.host_id = box->host_id;
    auto made = DG_TRY(ask(lock, message.request,
                           [&] { return launcher::send_message(launcher_.get(), message); }));
    if (made.step != launcher::Step::none) {
        return fail(Code::unavailable, "{} failed: {}", launcher::step_name(made.step),
                    std::strerror(made.error));
    }
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
        folder = base::UniqueFd(::openat(made.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        size = copy_tree(box->workspace.get(), folder.get(), box->host_id);
    }
    lock.lock();
    if (!was_paused && !box->ending) set_frozen(*box, false);
    if (!size) return std::unexpected(std::move(size).error());
    Beginning files;
    files.host_id = box->host_id;
    files.layers.push_back(std::make_shared<Layer>(std::move(made.fd), *size, layer_bytes_));
    return files;
}

Result<SnapshotInfo> NativeSphere::snapshot(const SandboxId& id, const std::string& name) {
    if (is_plain()) return Sphere::snapshot(id, name);  // none
    Lock lock(mutex_);
    BoxPtr box = DG_TRY(hold(lock, id));
    const auto release = [&] {
        box->held = false;
        box->used_at = clock_.now();
        box->changed.notify_all();
    };
    if (snapshots_.size() >= options_.snapshots_max ||
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
    kept.info.name = printable_name(name);
    kept.info.tenant = box->spec.tenant;
    kept.info.created_unix_ns = clock_.unix_ns();
    for (const auto& layer : kept.files.layers) {
        kept.info.bytes += layer->size.bytes;
        kept.info.entries += layer->size.entries;
    }
    const SnapshotInfo info = kept.info;
    snapshots_[info.id] = std::move(kept);
    return info;
}

std::vector<SnapshotInfo> NativeSphere::snapshots() const {
    const Lock lock(mutex_);
    std::vector<SnapshotInfo> all;
    for (const auto& [id, kept] : snapshots_) all.push_back(kept.info);
    std::ranges::sort(all, {}, &SnapshotInfo::created_unix_ns);
    return all;
}

Result<void> NativeSphere::remove_snapshot(const SnapshotId& id) {
    KeptSnapshot removed;  // its layers go without the lock: freeing memory takes a while
    const Lock lock(mutex_);
    const auto at = snapshots_.find(id);
    if (at == snapshots_.end()) {
        return fail_on(id, Code::not_found, "snapshot {} does not exist", id);
    }
    removed = std::move(at->second);
    snapshots_.erase(at);
    return {};
}

Result<NativeSphere::BoxPtr> NativeSphere::make_box_from(const SandboxSpec& spec) {
    Beginning files;
    {
        const Lock lock(mutex_);
        const auto at = snapshots_.find(spec.snapshot);
        if (at == snapshots_.end() || at->second.info.tenant != spec.tenant) {
            return fail_on("snapshot", Code::not_found, "snapshot {} does not exist",
                           spec.snapshot);
        }
        files = at->second.files;
    }
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
