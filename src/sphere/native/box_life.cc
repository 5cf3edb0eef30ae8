// Boxes from nothing to gone: asking the launcher, the pool, and the keeper that ends what is due.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/core/rng.h"
#include "sphere/egress/rules.h"
#include "sphere/launcher/channel.h"
#include "sphere/native/native_sphere.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

constexpr std::chrono::seconds kMakingMax{20}, kDyingMax{20};
constexpr std::chrono::milliseconds kKeeperPause{250};
constexpr std::size_t kEndedKept = 1024;

SandboxId make_id() {
    std::string id = "sbx-";
    while (id.size() < 24) {
        std::uint64_t bits = base::entropy64();
        for (int i = 0; i < 10; ++i, bits /= 26) id += static_cast<char>('a' + bits % 26);
    }
    return id;
}

/// A user that nobody else has: above every range that hosts hand out, below the sign bit.
std::uint32_t make_host_id() {
    return static_cast<std::uint32_t>(0x40000000u + base::entropy64() % 0x3fff0000u);
}

Result<void> check_supported(const SandboxSpec& spec) {
    if (spec.isolation == Isolation::process) {
        return fail_on("isolation", Code::unimplemented,
                       "isolation process is not offered by the native backend; full is stronger "
                       "and needs no more than this host gives");
    }
    if (spec.isolation != Isolation::full) {
        return fail_on("isolation", Code::failed_precondition,
                       "isolation {} needs a {} backend, which is not built in yet; the native "
                       "backend gives full",
                       isolation_name(spec.isolation),
                       spec.isolation == Isolation::gvisor ? "runsc" : "microVM");
    }
    if (!spec.snapshot.empty()) {
        return fail_on("snapshot", Code::unimplemented, "snapshots are not kept yet");
    }
    if (spec.root.kind == RootSpec::Kind::image) {
        return fail_on("root.kind", Code::unimplemented,
                       "root.kind image cannot be unpacked yet; unpack it and use directory");
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

/// What a waiting box cannot change any more.
bool same_shape(const SandboxSpec& a, const SandboxSpec& b) {
    return a.root.kind == b.root.kind && a.root.path == b.root.path &&
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

Result<base::UniqueFd> open_template(const RootSpec& root) {
    base::UniqueFd folder(::open(root.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder) return folder;
    return fail_on("root.path", errno == ENOENT ? Code::not_found : Code::invalid_argument,
                   "root.path {}: {}", root.path, std::strerror(errno));
}

}  // namespace

Result<void> NativeSphere::ask_launcher(Box& box, int init_socket) {
    auto message = launcher::make_message<launcher::Create>();
    const Limits& limits = box.spec.limits;
    message.box = box.number;
    message.host_id = box.host_id;
    message.tmp_bytes = limits.tmp_bytes;
    message.workspace_bytes = limits.workspace_bytes;
    message.inodes = limits.inodes_max;
    std::strcpy(message.hostname, "sandbox");
    std::vector<int> fds = {init_socket};
    const auto init_group = box.groups.open_init_group();
    if (init_group) {
        message.flags |= launcher::kLeafGroup;
        fds.push_back(init_group->get());
    }
    base::UniqueFd folder;
    if (box.spec.root.kind == RootSpec::Kind::directory) {
        folder = DG_TRY(open_template(box.spec.root));
        message.flags |= launcher::kTemplateRoot;
        fds.push_back(folder.get());
    }
    if (box.spec.network.mode != NetworkMode::none) message.flags |= launcher::kLoopback;
    if (box.spec.network.mode > NetworkMode::loopback) {
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

Result<NativeSphere::BoxPtr> NativeSphere::make_box(const SandboxSpec& spec) {
    const auto box = std::make_shared<Box>();
    box->id = make_id();
    box->spec = spec;
    box->host_id = answers_.mounts_as_root() ? make_host_id() : 0;
    box->groups = DG_TRY(BoxGroups::make(groups_, box->id, box->host_id));
    const auto undo = [&](base::Error error) {
        box->groups.remove();
        return std::unexpected(std::move(error));
    };
    if (auto limited = box->groups.set_limits(spec.limits); !limited) {
        return undo(std::move(limited).error());
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
    }
    auto asked = ask_launcher(*box, theirs.get());
    Lock lock(mutex_);
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
    while (!pool_.empty() && same_shape(spec, pool_.front()->spec)) {
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
    DG_TRY(check_supported(spec));
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
    }
    if (box == nullptr) {
        box = DG_TRY(make_box(spec));
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

void NativeSphere::kill_box(Box& box, EndReason reason) {
    if (!box.forced) box.forced = reason;
    box.ending = true;
    if (box.gone) return;
    box.groups.kill();
    if (box.life.fd) {
        ::syscall(SYS_pidfd_send_signal, box.life.fd.get(), SIGKILL, nullptr, 0u);
    } else if (box.init.fd) {
        ::shutdown(box.init.fd.get(), SHUT_RDWR);  // not yet known by its pidfd: it ends by this
    }
}

void NativeSphere::bury(Lock& lock, const BoxPtr& box) {
    box->changed.wait_for(lock, kDyingMax, [&] { return box->gone; });
    if (box->meter) {
        lock.unlock();
        broker_->detach(box->id);  // without the lock: it reports what was still open
        lock.lock();
    }
    if (by_number_.erase(box->number) == 0) return;  // another thread does it
    const bool published = boxes_.erase(box->id) > 0;
    std::erase(pool_, box);
    if (published) {
        SandboxInfo info = describe(*box);
        info.state = SandboxState::ended;
        ended_.push_back(std::move(info));
        if (ended_.size() > kEndedKept) ended_.pop_front();
    }
    unwatch(box->init);
    unwatch(box->life);
    lock.unlock();
    // The kernel lets go of a group a moment after its last process.
    for (int tries = 0; tries < 200 && !box->groups.remove(); ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    lock.lock();
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
        end_expired(lock);
        fill_pool(lock);
        if (!stopping_) keeper_wakes_.wait_for(lock, kKeeperPause);
    }
}

void NativeSphere::fill_pool(Lock& lock) {
    while (!stopping_ && !launcher_gone_ && pool_.size() + making_ < options_.pool_size) {
        ++making_;
        lock.unlock();
        auto box = make_box(default_spec_);
        lock.lock();
        --making_;
        if (!box) return;  // create() meets the same fault and tells it
        pool_.push_back(std::move(*box));
    }
}

void NativeSphere::end_expired(Lock& lock) {
    const base::Instant now = clock_.now();
    std::vector<BoxPtr> over;
    for (const auto& [id, box] : boxes_) {
        const Limits& limits = box->spec.limits;
        const bool lived = limits.lifetime.count() > 0 && now - box->created_at >= limits.lifetime;
        const bool idle = limits.idle_timeout.count() > 0 && box->running() == 0 &&
                          now - box->used_at >= limits.idle_timeout;
        if (box->gone || lived || idle) over.push_back(box);
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
