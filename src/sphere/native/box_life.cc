// Boxes from nothing to gone: asking the launcher, the pool, and the keeper that ends what is due.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "base/core/rng.h"
#include "sphere/egress/rules.h"
#include "sphere/files/remove_tree.h"
#include "sphere/launcher/channel.h"
#include "sphere/native/native_sphere.h"
#include "sphere/native/users.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

constexpr std::chrono::seconds kMakingMax{20}, kDyingMax{20};
constexpr std::chrono::milliseconds kKeeperPause{250};
constexpr std::size_t kEndedKept = 1024, kSpareNetworksMax = 128;
constexpr double kQuickCpus = 0.5;  ///< with so much an init ends within one period's quota

/// What a process of this host cannot be given.
Result<void> check_plain(const SandboxSpec& spec) {
    if (spec.network.mode != NetworkMode::none) {
        return fail_on("network.mode", Code::failed_precondition,
                       "network.mode {}: isolation process has no network of its own and gives "
                       "none; full does",
                       network_mode_name(spec.network.mode));
    }
    if (spec.root.kind != RootSpec::Kind::host) {
        return fail_on("root.kind", Code::failed_precondition,
                       "isolation process has the host's programs and no other root; full does");
    }
    return {};
}

Result<void> check_supported(const SandboxSpec& spec, Isolation level) {
    if (spec.isolation == Isolation::process && level == Isolation::process) {
        DG_TRY(check_plain(spec));
    } else if (spec.isolation == Isolation::process) {
        return fail_on("isolation", Code::unimplemented,
                       "this host gives isolation full, which is stronger; ask for that");
    } else if (spec.isolation != level) {
        return fail_on("isolation", Code::failed_precondition,
                       "isolation {} is another backend's; the native one gives full",
                       isolation_name(spec.isolation));
    }
    return {};
}

Result<void> check_secrets(const SandboxSpec& spec, const Secrets& secrets) {
    for (const std::string& name : spec.secrets) {
        if (std::ranges::count(secrets, name, &SecretValue::name) == 1) continue;
        return fail_on("secrets", Code::failed_precondition,
                       "secret '{}' has no value here: a policy must grant it and the server must "
                       "hold it",
                       name);
    }
    for (const SecretValue& secret : secrets) {
        if (!std::ranges::count(spec.secrets, secret.name)) {
            return fail_on("secrets", Code::invalid_argument,
                           "a value came for secret '{}', which the spec does not name",
                           secret.name);
        }
        if (!secret.header.empty() && spec.network.mode <= NetworkMode::loopback) {
            return fail_on("secrets", Code::failed_precondition,
                           "secret '{}' goes into a header of requests, and network.mode {} has "
                           "none; use egress",
                           secret.name, network_mode_name(spec.network.mode));
        }
    }
    return {};
}

Result<base::UniqueFd> open_template(const std::string& path) {
    base::UniqueFd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder) return folder;
    return fail_on("root.path", errno == ENOENT ? Code::not_found : Code::invalid_argument,
                   "root.path {}: {}", path, std::strerror(errno));
}

}  // namespace

bool same_shape(const SandboxSpec& a, const SandboxSpec& b) {
    return a.root.kind == b.root.kind && a.root.path == b.root.path && a.snapshot == b.snapshot &&
           a.network.mode == b.network.mode &&
           egress::listened_ports(a.network) == egress::listened_ports(b.network) &&
           a.limits.tmp_bytes == b.limits.tmp_bytes &&
           a.limits.workspace_bytes == b.limits.workspace_bytes &&
           a.limits.inodes_max == b.limits.inodes_max;
}

bool same_group_limits(const Limits& a, const Limits& b) {
    return a.cpus == b.cpus && a.memory_bytes == b.memory_bytes &&
           a.processes_max == b.processes_max;
}

Result<void> NativeSphere::make_box_folders(Box& box) {
    const std::string at = box_folder_ + "/" + box.id;
    const auto make = [&](const std::string& path, bool own) {
        return ::mkdir(path.c_str(), 0711) == 0 && ::chmod(path.c_str(), own ? 0700 : 0711) == 0 &&
               (!own || box.host_id == 0 || ::chown(path.c_str(), box.host_id, box.host_id) == 0);
    };
    if (make(at, false) && make(at + "/workspace", true) && make(at + "/tmp", true)) return {};
    return fail(Code::unavailable, "{}: {}", at, std::strerror(errno));
}

void NativeSphere::remove_box_folders(const Box& box) {
    if (!is_plain()) return;
    const base::UniqueFd at(
        ::open(box_folder_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (at) static_cast<void>(files::remove_tree(at.get(), at.get(), box.id, {box.id}));
}

Result<void> NativeSphere::ask_launcher(Box& box, int init_socket, std::uint64_t keep_from) {
    auto message = launcher::make_message<launcher::Create>();
    const Limits& limits = box.spec.limits;
    message.box = box.number;
    message.host_id = box.host_id;
    message.tmp_bytes = limits.tmp_bytes;
    message.workspace_bytes = limits.workspace_bytes;
    message.inodes = limits.inodes_max;
    message.keep_from = keep_from;
    std::strcpy(message.hostname, "sandbox");
    std::vector<int> fds = {init_socket};
    const auto init_group = box.groups.open_init_group();
    if (init_group) {
        message.flags |= launcher::kLeafGroup;
        fds.push_back(init_group->get());
    }
    base::UniqueFd folder;
    if (box.spec.root.kind != RootSpec::Kind::host) {
        folder = DG_TRY(open_template(box.image ? box.image->root : box.spec.root.path));
        message.flags |= launcher::kTemplateRoot;
        fds.push_back(folder.get());
    }
    base::UniqueFd files[2];
    if (is_plain()) {
        const std::string at = box_folder_ + "/" + box.id;
        files[0] = DG_TRY(open_template(at + "/workspace"));
        files[1] = DG_TRY(open_template(at + "/tmp"));
        for (const base::UniqueFd& each : files) fds.push_back(each.get());
    }
    if (box.network) {
        message.flags |= launcher::kUsedNetwork;
        fds.push_back(box.network.get());
    }
    for (const auto& layer : box.beginning.layers) fds.push_back(layer->root.get());
    message.layers = static_cast<std::uint32_t>(box.beginning.layers.size());
    const NetworkMode network = box.spec.network.mode;
    if (network != NetworkMode::none) message.flags |= launcher::kLoopback;
    if (network == NetworkMode::none && !is_plain()) message.flags |= launcher::kNoNetwork;
    if (network > NetworkMode::loopback) {
        message.flags |= launcher::kBroker;
        for (const std::uint16_t port : egress::listened_ports(box.spec.network)) {
            message.ports[message.port_count++] = port;
        }
    }
    const auto joins = DG_TRY(box.groups.open_joins());
    message.joins = static_cast<std::uint32_t>(joins.size());
    for (const auto& file : joins) fds.push_back(file.get());
    if (launcher::send_message(launcher_.get(), message, fds)) return {};
    return fail(Code::unavailable, "the sandbox launcher does not answer: {}",
                std::strerror(errno));
}

Result<NativeSphere::BoxPtr> NativeSphere::make_box(const SandboxSpec& spec, Beginning beginning,
                                                    const Box* predecessor) {
    const auto box = std::make_shared<Box>();
    box->id = make_sandbox_id();
    box->spec = spec;
    box->host_id =
        (is_plain() ? has_other_users() : answers_.mounts_as_root()) ? make_host_id() : 0;
    if (beginning.host_id != 0) box->host_id = beginning.host_id;
    box->beginning = std::move(beginning);
    if (predecessor != nullptr) {
        box->image = predecessor->image;
    } else if (spec.root.kind == RootSpec::Kind::image) {
        box->image = DG_TRY(images_.open(spec.root.path));
    }
    if (predecessor != nullptr) {
        box->groups = predecessor->groups;
    } else {
        DG_TRY(give_groups(*box));
    }
    const auto undo = [&](base::Error error) {
        if (predecessor == nullptr) box->groups.remove();
        remove_box_folders(*box);
        return std::unexpected(std::move(error));
    };
    if (predecessor == nullptr) {
        if (auto limited = box->groups.set_limits(spec.limits); !limited) {
            return undo(std::move(limited).error());
        }
    }
    if (is_plain()) {
        if (auto made = make_box_folders(*box); !made) return undo(std::move(made).error());
    }
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return undo(
            {Code::resource_exhausted, fmt::format("no socket: {}", std::strerror(errno)), {}});
    }
    box->init.fd = base::UniqueFd(ends[0]);
    ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
    const base::UniqueFd theirs(ends[1]);
    {
        const Lock lock(mutex_);
        if (launcher_gone_) {
            return undo(
                {Code::unavailable, "the sandbox launcher has ended; restart this server", {}});
        }
        box->number = next_box_++;
        by_number_[box->number] = box;
        watch(box->init, Watch::Kind::init, box, 0);
        if (spec.network.mode == NetworkMode::none && !spare_networks_.empty()) {
            box->network = std::move(spare_networks_.back());
            spare_networks_.pop_back();
        }
    }
    auto asked = ask_launcher(*box, theirs.get(), predecessor == nullptr ? 0 : predecessor->number);
    Lock lock(mutex_);
    if (predecessor != nullptr) {
        box->groups = {};  // the predecessor's until it takes its place
    } else if (asked && is_rushed()) {
        prepare_later(*box);
    } else if (asked) {
        prepare_next(*box);  // read as soon as the init is ready
    }
    if (asked) {
        box->changed.wait_for(lock, kMakingMax,
                              [&] { return box->phase != Box::Phase::making || box->gone; });
    } else {
        box->error = std::move(asked).error();
        box->phase = Box::Phase::failed;
        if (!box->life.fd) box->gone = true;
    }
    if (box->phase == Box::Phase::ready && !box->gone) return box;
    if (!box->error) {
        box->error = base::Error{
            Code::unavailable, fmt::format("sandbox {} did not become ready", box->id), {}};
    }
    kill_box(*box, EndReason::stopped);
    base::Error error = *box->error;
    bury(lock, box);
    return std::unexpected(std::move(error));
}

NativeSphere::BoxPtr NativeSphere::take_from_pool(const SandboxSpec& spec) {
    if (options_.pool_size == 0 || !same_shape(spec, default_spec_)) return nullptr;
    demand_.asked(clock_.now());
    while (!pool_.empty()) {
        BoxPtr box = std::move(pool_.front());
        pool_.pop_front();
        keeper_wakes_.notify_one();
        if (!box->gone) return box;
    }
    return nullptr;
}

Result<void> NativeSphere::publish(const BoxPtr& box, const SandboxSpec& spec,
                                   const Secrets& secrets) {
    DG_TRY(check_stops(spec, box->id));
    if (stopping_) return fail(Code::unavailable, "this sphere is being closed");
    if (boxes_.size() >= options_.sandboxes_max) {
        return fail(Code::resource_exhausted,
                    "{} sandboxes exist, which is sandboxes_max; destroy one first", boxes_.size());
    }
    box->spec = spec;
    box->secrets = secrets;
    if (box->spec.name.empty()) box->spec.name = box->id;
    box->created_unix_ns = clock_.unix_ns();
    box->created_at = box->used_at = clock_.now();
    box->published = true;
    boxes_[box->id] = box;
    return {};
}

Result<SandboxId> NativeSphere::create(const SandboxSpec& spec, const Secrets& secrets) {
    DG_TRY(check_spec(spec));
    if (is_plain() && spec.isolation == Isolation::full) DG_TRY(require_full(answers_));
    DG_TRY(check_supported(spec, level_));
    DG_TRY(check_secrets(spec, secrets));
    BoxPtr box;
    {
        const Lock lock(mutex_);
        DG_TRY(check_stops(spec, {}));
        if (boxes_.size() >= options_.sandboxes_max) {
            return fail(Code::resource_exhausted,
                        "{} sandboxes exist, which is sandboxes_max; destroy one first",
                        boxes_.size());
        }
        box = take_from_pool(spec);
        if (box == nullptr) ++creating_;
    }
    if (box == nullptr) {
        auto made = [&] {
            const Turns::Turn turn(turns_);
            return spec.snapshot.empty() ? make_box(spec) : make_box_from(spec);
        }();
        const Lock lock(mutex_);
        if (--creating_ == 0) keeper_wakes_.notify_one();
        box = DG_TRY(std::move(made));
    } else if (!same_group_limits(box->spec.limits, spec.limits)) {
        if (auto limited = box->groups.set_limits(spec.limits); !limited) {
            Lock lock(mutex_);
            kill_box(*box, EndReason::stopped);
            bury(lock, box);
            return std::unexpected(std::move(limited).error());
        }
    }
    auto published = serve(*box, spec, secrets);
    Lock lock(mutex_);
    if (published) published = publish(box, spec, secrets);
    if (!published) {
        kill_box(*box, EndReason::stopped);
        bury(lock, box);
        return std::unexpected(std::move(published).error());
    }
    return box->id;
}

Result<void> NativeSphere::give_groups(Box& box) {
    auto spare =
        is_plain() ? std::nullopt : spare_groups_.take(box.host_id, box.spec.limits.memory_bytes);
    if (spare) {
        box.groups = std::move(spare->groups);
        box.idle_group = spare->idle;
        box.next_group = spare->next_exec;
    } else {
        box.groups = DG_TRY(BoxGroups::make(groups_, box.id, box.host_id));
    }
    return {};
}

bool NativeSphere::keep_groups(Box& box) {
    if (box.spent || is_plain() || !box.beginning.layers.empty()) return false;
    for (const ExecGroup& group : std::exchange(box.leaving_groups, {})) {
        if (!box.idle_group && !group.killed) {
            box.idle_group = group;
        } else if (!box.groups.remove_exec_group(group.number)) {
            return false;
        }
    }
    return spare_groups_.give_back({box.groups, box.idle_group, box.next_group});
}

void NativeSphere::kill_tree(Box& box) {
    // A box with only its init in it ends as fast without its groups' help, and they serve another.
    box.spent = box.spent || !box.execs.empty() || is_plain() || !box.life.fd;
    if (box.spent) {
        box.groups.kill();
    } else if (box.spec.limits.cpus < kQuickCpus || box.groups.was_throttled()) {
        box.groups.lift_cpu_limit();
    }
}

void NativeSphere::kill_box(Box& box, EndReason reason) {
    if (!box.forced) box.forced = reason;
    box.ending = true;
    if (box.gone) return;
    kill_tree(box);
    if (is_plain() && box.init.fd) {
        // Killed itself, it would leave what it began; told to, it ends that first.
        ::shutdown(box.init.fd.get(), SHUT_RDWR);
    } else if (box.life.fd) {
        ::syscall(SYS_pidfd_send_signal, box.life.fd.get(), SIGKILL, nullptr, 0u);
    } else if (box.init.fd) {
        ::shutdown(box.init.fd.get(), SHUT_RDWR);  // not yet known by its pidfd: it ends by this
    }
}

bool NativeSphere::take_out(Lock& lock, const BoxPtr& box) {
    box->changed.wait_for(lock, kDyingMax, [&] { return box->gone; });
    if (box->meter) {
        lock.unlock();
        broker_->detach(box->id);  // without the lock: it reports what was still open
        lock.lock();
    }
    if (by_number_.erase(box->number) == 0) return false;
    // Every process of the box is known to be dead, and its sockets with them.
    if (box->gone && box->life.fd && box->network && spare_networks_.size() < kSpareNetworksMax) {
        spare_networks_.push_back(std::move(box->network));
    }
    const bool published = boxes_.erase(box->id) > 0;
    std::erase(pool_, box);
    if (published) {
        box->last = describe(*box);
        box->last->state = SandboxState::ended;
        ended_.push_back(*box->last);
        if (ended_.size() > kEndedKept) ended_.pop_front();
    }
    unwatch(box->init);
    unwatch(box->life);
    return true;
}

void NativeSphere::tell_end(const Box& box) const {
    if (!box.last || !options_.on_sandbox_end) return;
    const bool stopped = box.forced == EndReason::emergency;
    options_.on_sandbox_end(*box.last, stopped ? "emergency" : box.ended_by);
}

void NativeSphere::remove_traces(Box& box) {
    remove_box_folders(box);
    if (keep_groups(box)) return;
    // The kernel lets go of a group a moment after its last process.
    for (int tries = 0; tries < 200 && !box.groups.remove(); ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

void NativeSphere::bury(Lock& lock, const BoxPtr& box) {
    if (!take_out(lock, box)) return;
    lock.unlock();
    tell_end(*box);
    remove_traces(*box);
    lock.lock();
    // Whoever still looks at it for a moment must not hold the files that it began with, and
    // freeing them takes a while.
    Beginning files = std::exchange(box->beginning, {});
    lock.unlock();
    files = {};
    lock.lock();
}

void NativeSphere::remove_graves(Lock& lock) {
    while (!graves_.empty()) {
        const std::vector<BoxPtr> graves = std::exchange(graves_, {});
        lock.unlock();
        for (const BoxPtr& box : graves) remove_traces(*box);
        lock.lock();
    }
}

Result<void> NativeSphere::destroy(const SandboxId& id) {
    Lock lock(mutex_);
    const auto at = boxes_.find(id);
    if (at == boxes_.end()) {
        if (std::ranges::find(ended_, id, &SandboxInfo::id) != ended_.end()) return {};
        return fail_on(id, Code::not_found, "sandbox {} does not exist", id);
    }
    const BoxPtr box = at->second;
    kill_box(*box, EndReason::stopped);
    bury(lock, box);
    if (box->gone) return {};
    return fail(Code::internal, "sandbox {} still has processes {} s after they were killed", id,
                kDyingMax.count());
}

void NativeSphere::run_keeper() {
    Lock lock(mutex_);
    while (!stopping_) {
        remove_graves(lock);
        end_expired(lock);
        while (!discarded_.empty()) {
            const BoxPtr box = std::move(discarded_.back());
            discarded_.pop_back();
            kill_box(*box, EndReason::stopped);
            bury(lock, box);
        }
        fill_pool(lock);
        fill_warm(lock);
        if (!stopping_) keeper_wakes_.wait_for(lock, kKeeperPause);
    }
}

void NativeSphere::fill_pool(Lock& lock) {
    const auto wanted = [&] { return demand_.wanted(clock_.now()); };
    // Who waits for a box comes first: making one for later would only make both late.
    while (!stopping_ && !launcher_gone_ && creating_ == 0 && pool_.size() + making_ < wanted()) {
        ++making_;
        lock.unlock();
        auto box = make_box(default_spec_);
        lock.lock();
        --making_;
        if (!box) return;  // create() meets the same fault and tells it
        pool_.push_back(std::move(*box));
    }
    if (!stopping_ && pool_.size() > wanted()) {  // one at a time: nobody should notice
        const BoxPtr box = std::move(pool_.back());
        pool_.pop_back();
        kill_box(*box, EndReason::stopped);
        bury(lock, box);
    }
}

void NativeSphere::end_expired(Lock& lock) {
    const base::Instant now = clock_.now();
    std::vector<BoxPtr> over;
    for (const auto& [id, box] : boxes_) {
        const Limits& limits = box->spec.limits;
        const bool lived = limits.lifetime.count() > 0 && now - box->created_at >= limits.lifetime;
        const bool idle = limits.idle_timeout.count() > 0 && box->busy() == 0 &&
                          now - box->used_at >= limits.idle_timeout;
        if (!box->gone && !lived && !idle) continue;
        if (!box->ending) box->ended_by = box->gone ? "died" : lived ? "lifetime" : "idle";
        over.push_back(box);
    }
    for (const auto& box : pool_) {
        if (box->gone) over.push_back(box);
    }
    for (const BoxPtr& box : over) {
        kill_box(*box, EndReason::stopped);
        bury(lock, box);
    }
}

}  // namespace sphere::native
