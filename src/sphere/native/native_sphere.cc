#include "sphere/native/native_sphere.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/core/rng.h"
#include "sphere/launcher/channel.h"
#include "sphere/native/launcher_image.h"
#include "sphere/native/owner_name.h"
#include "sphere/native/seccomp_program.h"
#include "sphere/native/users.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr std::size_t kStreamPiece = 64 * 1024;

/// Each box takes four descriptors here, each running command up to three.
void allow_descriptors(std::uint32_t boxes) {
    rlimit limit{};
    const rlim_t wanted = 256 + 12ull * boxes;
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
    limit.rlim_cur = std::min(wanted, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Where what is to outlive a reboot lies.
std::string data_folder(const SphereOptions& options, const char* name) {
    return (options.data_dir.empty() ? options.state_dir : options.data_dir) + "/" + name;
}

}  // namespace

NativeSphere::NativeSphere(const SphereOptions& options, const base::Clock& clock,
                           ProbeAnswers answers, Isolation level)
    : options_(options),
      clock_(clock),
      answers_(std::move(answers)),
      level_(level),
      images_({.folder = data_folder(options, "images"), .bytes_max = options.image_bytes_max}),
      kept_({.folder = data_folder(options, "snapshots"),
             .snapshots_max = options.kept_snapshots_max,
             .bytes_max = options.kept_snapshot_bytes_max}),
      demand_(options.pool_size),
      buffer_(kStreamPiece),
      packet_(launcher::kMessageBytesMax) {
    if (is_plain()) return;
    for (const WarmCommand& each : options.warm_commands) {
        warm_.push_back({each, PoolDemand(each.most, each.least)});
    }
}

Result<std::unique_ptr<Sphere>> NativeSphere::open(const SphereOptions& options,
                                                   const base::Clock& clock, Isolation level) {
    ProbeAnswers answers = DG_TRY(probe_host());
    DG_TRY(level == Isolation::process ? require_process(answers) : require_full(answers));
    allow_descriptors(options.sandboxes_max);
    auto sphere =
        std::unique_ptr<NativeSphere>(new NativeSphere(options, clock, std::move(answers), level));
    DG_TRY(sphere->begin());
    return std::unique_ptr<Sphere>(std::move(sphere));
}

Result<void> NativeSphere::begin() {
    DG_TRY(make_state_dir(options_.state_dir));
    if (!options_.data_dir.empty()) DG_TRY(make_state_dir(options_.data_dir));
    clean_leftovers(options_.state_dir);
    kept_.sweep();
    const std::string token = fmt::format("{:016x}", base::entropy64());
    state_ = DG_TRY(StateFile::make(options_.state_dir, token));
    const Hierarchies hierarchies = find_hierarchies();
    clean_ownerless(hierarchies);
    const std::string name = owner_name(token, this_owner());
    // Recorded before they exist: what is made and not recorded would never be found again.
    std::vector<std::string> planned;
    for (const std::string* folder :
         {&hierarchies.unified, &hierarchies.memory, &hierarchies.cpu, &hierarchies.pids}) {
        if (!folder->empty()) planned.push_back(*folder + "/" + name);
    }
    if (is_plain()) {
        box_folder_ = StateFile::files_folder(token);
        planned.push_back(box_folder_);
    }
    DG_TRY(state_.record(planned));
    if (is_plain() &&
        (::mkdir(box_folder_.c_str(), 0711) != 0 || ::chmod(box_folder_.c_str(), 0711) != 0)) {
        return fail(Code::unavailable, "{}: {}", box_folder_, std::strerror(errno));
    }
    groups_ = DG_TRY(GroupTree::make(hierarchies, name));
    DG_TRY(start_launcher_process());

    epoll_ = base::UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
    wake_ = base::UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!epoll_ || !wake_) return fail(Code::unavailable, "epoll: {}", std::strerror(errno));
    const auto add = [&](int fd, Watch::Kind kind) {
        epoll_event event{EPOLLIN, {.u64 = next_token_}};
        watches_[next_token_++] = Watch{kind, nullptr, 0};
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
    };
    add(wake_.get(), Watch::Kind::wake);
    add(launcher_.get(), Watch::Kind::launcher);
    loop_ = std::thread([this] { run_loop(); });
    keeper_ = std::thread([this] { run_keeper(); });
    Lock lock(mutex_);
    fill_pool(lock);
    return {};
}

Result<void> NativeSphere::start_launcher_process() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return fail(Code::unavailable, "no socket: {}", std::strerror(errno));
    }
    launcher_ = base::UniqueFd(ends[0]);
    const base::UniqueFd theirs(ends[1]);
    launcher_pid_ = DG_TRY(start_launcher("", theirs.get(), -1));

    const SharedWith shared = !is_plain()         ? SharedWith::nobody
                              : has_other_users() ? SharedWith::host
                                                  : SharedWith::user;
    auto [filters, command] = DG_TRY(
        build_seccomp_programs({.shared = shared, .affinity = groups_.hierarchies().limits_cpu()}));
    auto message = launcher::make_message<launcher::Configure>();
    message.own_user_namespace = answers_.mounts_as_root() ? 0 : 1;
    message.plain = is_plain() ? 1 : 0;
    message.common_count = static_cast<std::uint32_t>(filters.size());
    message.filter_count = static_cast<std::uint32_t>(command.size());
    filters.insert(filters.end(), command.begin(), command.end());
    if (state_.staging().size() >= sizeof(message.staging)) {
        return fail(Code::invalid_argument, "the state folder's path {} is over {} bytes",
                    options_.state_dir, sizeof(message.staging) - 32);
    }
    std::memcpy(message.staging, state_.staging().c_str(), state_.staging().size() + 1);
    const std::size_t filter_bytes = filters.size() * sizeof(sock_filter);
    message.head.bytes = static_cast<std::uint32_t>(sizeof(message) + filter_bytes);
    std::vector<std::byte> packet(message.head.bytes);
    std::memcpy(packet.data(), &message, sizeof(message));
    std::memcpy(packet.data() + sizeof(message), filters.data(), filter_bytes);
    launcher::Configured answer;
    launcher::Packet received;
    pollfd waits{launcher_.get(), POLLIN, 0};
    if (!launcher::send_packet(launcher_.get(), packet) || ::poll(&waits, 1, 10'000) != 1 ||
        launcher::receive(launcher_.get(), packet_, received) != launcher::Received::packet ||
        !launcher::read_message(received.bytes, answer)) {
        return fail(Code::unavailable, "the sandbox launcher ended before it was ready");
    }
    if (answer.step == launcher::Step::none) return {};
    return fail(Code::failed_precondition, "the sandbox launcher failed when {}: {}",
                launcher::step_name(answer.step), std::strerror(answer.error));
}

NativeSphere::~NativeSphere() {
    {
        Lock lock(mutex_);
        stopping_ = true;
        keeper_wakes_.notify_all();
    }
    if (keeper_.joinable()) keeper_.join();
    if (loop_.joinable()) {
        Lock lock(mutex_);
        std::vector<BoxPtr> all;
        for (const auto& [number, box] : by_number_) all.push_back(box);
        for (const BoxPtr& box : all) {
            if (!box->ending) box->ended_by = "closed";
            kill_box(*box, EndReason::stopped);
        }
        for (const BoxPtr& box : all) bury(lock, box);
        remove_graves(lock);
    }
    loop_stops_ = true;
    if (wake_) wake();
    if (loop_.joinable()) loop_.join();
    broker_.reset();
    launcher_.reset();
    if (launcher_pid_ > 0) ::waitpid(launcher_pid_, nullptr, 0);
    spare_groups_.remove();
    groups_.remove();
    state_.remove();
}

Result<NativeSphere::BoxPtr> NativeSphere::find(const SandboxId& id) const {
    const auto at = boxes_.find(id);
    if (at != boxes_.end()) return at->second;
    return base::fail_on(id, Code::not_found, "sandbox {} does not exist", id);
}

Result<Exec*> NativeSphere::find_running(Box& box, ExecId exec) const {
    const auto at = box.execs.find(exec);
    if (at != box.execs.end() && at->second->phase == Exec::Phase::running) return at->second.get();
    return fail(Code::not_found, "sandbox {} runs no command {}", box.id, exec);
}

SandboxInfo NativeSphere::describe(const Box& box) const {
    SandboxInfo info;
    info.id = box.id;
    info.spec = box.spec;
    info.state = box.state();
    info.backend = "native";
    info.enforced_by = mechanisms(answers_, groups_.hierarchies(), level_);
    if (box.image != nullptr) {
        info.enforced_by.push_back("root: image sha256:" + box.image->digest);
        if (const std::string& user = box.image->config.user; !user.empty()) {
            info.enforced_by.push_back(fmt::format("user: {} of the box, not the image's '{}'",
                                                   launcher::kInsideId, user));
        }
    }
    info.created_unix_ns = box.created_unix_ns;
    info.execs = box.execs_begun;
    info.running = box.running();
    info.memory_bytes = box.groups.memory_bytes();
    info.cpu = std::chrono::microseconds(box.groups.cpu_us());
    if (box.meter) {
        info.network = box.meter->read();
        info.enforced_by.emplace_back("network: no device but lo, all else through the broker");
    }
    return info;
}

Result<SandboxInfo> NativeSphere::info(const SandboxId& id) const {
    const Lock lock(mutex_);
    if (const auto at = boxes_.find(id); at != boxes_.end()) return describe(*at->second);
    const auto old = std::ranges::find(ended_, id, &SandboxInfo::id);
    if (old != ended_.end()) return *old;
    return base::fail_on(id, Code::not_found, "sandbox {} does not exist", id);
}

std::vector<SandboxInfo> NativeSphere::list() const {
    const Lock lock(mutex_);
    std::vector<SandboxInfo> all;
    for (const auto& [id, box] : boxes_) all.push_back(describe(*box));
    return all;
}

Result<void> NativeSphere::pause(const SandboxId& id) {
    Lock lock(mutex_);
    const BoxPtr box = DG_TRY(find(id));
    if (box->ending || box->gone) {
        return fail(Code::failed_precondition, "sandbox {} is ending", id);
    }
    if (box->paused) return {};
    if (!set_frozen(*box, true)) {
        return fail(Code::unavailable, "sandbox {} could not be frozen: {}", id,
                    std::strerror(errno));
    }
    box->paused = true;
    return {};
}

bool NativeSphere::set_frozen(Box& box, bool frozen) {
    if (!box.groups.has_tree()) {
        auto message = launcher::make_message<launcher::Signal>();
        message.number = frozen ? SIGSTOP : SIGCONT;
        message.scope = launcher::Scope::box;
        return launcher::send_message(box.init.fd.get(), message);
    }
    box.spent = true;
    if (!box.groups.freeze(frozen)) return false;
    // Tens of microseconds; a box that takes long (a process in the kernel) stays half frozen
    // until it is, which pause need not wait for.
    for (int tries = 0; frozen && tries < 1000 && !box.groups.is_frozen(); ++tries) {
        std::this_thread::yield();
    }
    return true;
}

Result<void> NativeSphere::resume(const SandboxId& id) {
    Lock lock(mutex_);
    const BoxPtr box = DG_TRY(find(id));
    if (!box->paused) return {};
    set_frozen(*box, false);
    box->paused = false;
    box->used_at = clock_.now();
    prepare_next(*box);
    return {};
}

PoolState NativeSphere::pool() const {
    const Lock lock(mutex_);
    PoolState state{static_cast<std::uint32_t>(pool_.size()), {}};
    for (const WarmPool& warm : warm_) {
        state.warm.push_back(static_cast<std::uint32_t>(std::ranges::count_if(
            warm.boxes, [](const BoxPtr& box) { return is_warm(*box) && box->warm->ready; })));
    }
    return state;
}

Result<void> NativeSphere::check_stops(const SandboxSpec& spec, const SandboxId& id) const {
    for (const StopScope& stop : stops_) {
        if (!stop.covers(spec, id)) continue;
        return fail(Code::permission_denied,
                    "an emergency stop (tenant '{}', agent '{}', sandbox '{}'; empty: all) forbids "
                    "this until it is lifted",
                    stop.tenant, stop.agent, stop.sandbox);
    }
    return {};
}

std::uint32_t NativeSphere::emergency_stop(const StopScope& scope) {
    Lock lock(mutex_);
    if (std::ranges::find(stops_, scope) == stops_.end()) stops_.push_back(scope);
    std::vector<BoxPtr> hit;
    for (const auto& [id, box] : boxes_) {
        if (!box->gone && scope.covers(box->spec, id)) hit.push_back(box);
    }
    for (const BoxPtr& box : hit) {
        box->spent = true;
        box->groups.freeze(true);
    }
    for (const BoxPtr& box : hit) kill_box(*box, EndReason::emergency);
    // Who ordered it waits for the last process to end, not for what the kernel keeps of them.
    std::vector<BoxPtr> taken;
    for (const BoxPtr& box : hit) {
        if (take_out(lock, box)) taken.push_back(box);
    }
    graves_.insert(graves_.end(), taken.begin(), taken.end());
    keeper_wakes_.notify_one();
    lock.unlock();
    for (const BoxPtr& box : taken) tell_end(*box);
    return static_cast<std::uint32_t>(hit.size());
}

namespace {

ImageInfo describe(const images::StoredImage& image) {
    return {.digest = image.digest,
            .name = image.source,
            .bytes = image.bytes,
            .entries = image.entries,
            .dropped = image.dropped,
            .used_unix_s = image.used_unix_s};
}

}  // namespace

std::vector<ImageInfo> NativeSphere::images() const {
    std::vector<ImageInfo> all;
    if (is_plain()) return all;  // its boxes have the host's root
    for (const images::StoredImage& image : images_.list())
        all.push_back(sphere::native::describe(image));
    return all;
}

Result<ImageInfo> NativeSphere::import_image(const std::string& path, const std::string& name) {
    if (is_plain()) return Sphere::import_image(path, name);
    return sphere::native::describe(DG_TRY(images_.import(path, name)));
}

Result<void> NativeSphere::remove_image(const std::string& digest) {
    if (is_plain()) return Sphere::remove_image(digest);
    return images_.remove(digest);
}

Result<void> NativeSphere::lift_stop(const StopScope& scope) {
    const Lock lock(mutex_);
    std::erase(stops_, scope);
    return {};
}

Result<int> NativeSphere::open_workspace(const SandboxId& id) {
    const Lock lock(mutex_);
    const BoxPtr box = DG_TRY(find(id));
    if (box->ending || box->gone) {
        return fail(Code::failed_precondition, "sandbox {} is ending", id);
    }
    box->used_at = clock_.now();
    box->touched = true;
    const int fd = ::fcntl(box->workspace.get(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return fail(Code::resource_exhausted, "no descriptor: {}", std::strerror(errno));
    return fd;
}

}  // namespace sphere::native
