// The loop: what comes from the launcher, the inits and the commands' streams, and whose time is
// up.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "sphere/launcher/channel.h"
#include "sphere/native/native_sphere.h"

namespace sphere::native {
namespace {

using base::Code;
using base::Instant;

constexpr int kEventsMax = 64;
/// Shorter than most time limits, so that a command's start rarely has to wake the loop.
constexpr std::chrono::seconds kNapMax{10};
constexpr std::chrono::milliseconds kCpuCheckMin{5}, kKillPatience{2000};
/// A box that ends with its command must not pay for a next one.
constexpr std::chrono::milliseconds kPrepareAfter{3};
constexpr ExecId kNoExec = 0;  ///< of a due: time to prepare the box's next command
/// A pipe holds at most so much when its last writer has gone.
constexpr std::uint64_t kPipeBytesMax = 1 << 20;

std::uint64_t microseconds(base::Duration duration) {
    return static_cast<std::uint64_t>(duration.count() / 1000);
}

std::uint64_t cpu_used_us(const Box& box, const Exec& exec) {
    return box.groups.exec_cpu_us(exec.group->number) - exec.group->cpu_us_before;
}

}  // namespace

void NativeSphere::wake() {
    const std::uint64_t one = 1;
    if (::write(wake_.get(), &one, sizeof(one)) < 0) return;  // full: it is awake anyway
}

void NativeSphere::watch(WatchedFd& fd, Watch::Kind kind, const BoxPtr& box, ExecId exec) {
    fd.token = next_token_++;
    watches_[fd.token] = Watch{kind, box, exec};
    epoll_event event{EPOLLIN, {.u64 = fd.token}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.fd.get(), &event);
}

void NativeSphere::unwatch(WatchedFd& fd) {
    if (fd.token != 0) {
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd.fd.get(), nullptr);
        watches_.erase(fd.token);
    }
    fd.token = 0;
    fd.fd.reset();
}

void NativeSphere::close_streams(Exec& exec) {
    for (WatchedFd* stream : {&exec.in, &exec.out, &exec.err}) unwatch(*stream);
}

int NativeSphere::wait_ms() {
    const Lock lock(mutex_);
    const Instant now = clock_.now();
    loop_sleeps_until_ = now + kNapMax;
    if (!dues_.empty()) {
        loop_sleeps_until_ = std::clamp(std::get<Instant>(*dues_.begin()), now, loop_sleeps_until_);
    }
    return static_cast<int>(((loop_sleeps_until_ - now).count() + 999'999) / 1'000'000);
}

void NativeSphere::run_loop() {
    // A command that closes its stdin is a failed write here, not this process's end.
    sigset_t pipes;
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipes, nullptr);
    std::array<epoll_event, kEventsMax> events;
    while (!loop_stops_) {
        const int count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, wait_ms());
        for (int i = 0; i < count; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            handle(event.data.u64, event.events);
        }
        run_timers();
    }
}

void NativeSphere::handle(std::uint64_t token, std::uint32_t events) {
    Watch watch;
    {
        const Lock lock(mutex_);
        const auto at = watches_.find(token);
        if (at == watches_.end()) return;  // closed by an event before this one
        watch = at->second;
    }
    switch (watch.kind) {
        case Watch::Kind::wake: {
            std::uint64_t count;
            while (::read(wake_.get(), &count, sizeof(count)) > 0) {
            }
            return;
        }
        case Watch::Kind::launcher:
            return on_launcher();
        case Watch::Kind::init:
            return on_init(watch.box);
        case Watch::Kind::life:
            return on_life(watch.box);
        case Watch::Kind::input:
        case Watch::Kind::output:
        case Watch::Kind::errors:
            return on_stream(watch, events);
    }
}

void NativeSphere::on_launcher() {
    for (;;) {
        launcher::Packet packet;
        const auto received = launcher::receive(launcher_.get(), packet_, packet);
        if (received == launcher::Received::nothing) return;
        const Lock lock(mutex_);
        if (received == launcher::Received::closed) {
            // Its children got SIGKILL with it; their pidfds tell.
            launcher_gone_ = true;
            ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, launcher_.get(), nullptr);
            for (const auto& [number, box] : by_number_) {
                if (!box->life.fd) box->gone = true;
                box->changed.notify_all();
            }
            answered_.notify_all();
            return;
        }
        const auto answer = [&](const auto& message) {
            const auto at = asked_.find(message.request);
            if (at == asked_.end()) return;
            at->second = LauncherAnswer{message.step, message.error, base::UniqueFd(packet.take())};
            answered_.notify_all();
        };
        launcher::LayerMade layer;
        launcher::Sealed sealed;
        launcher::Created created;
        launcher::CreateFailed failed;
        if (launcher::read_message(packet.bytes, created)) {
            const auto at = by_number_.find(created.box);
            if (at != by_number_.end() && packet.fd_count == 3) {
                Box& box = *at->second;
                box.pid = created.pid;
                box.life.fd = base::UniqueFd(packet.take());
                box.workspace = base::UniqueFd(packet.take());
                box.layer = base::UniqueFd(packet.take());
                watch(box.life, Watch::Kind::life, at->second, 0);
                if (box.ending) kill_box(box, EndReason::stopped);
                if (box.init_ready && box.phase == Box::Phase::making) {
                    box.phase = Box::Phase::ready;
                }
                box.changed.notify_all();
            }
        } else if (launcher::read_message(packet.bytes, failed)) {
            const auto at = by_number_.find(failed.box);
            if (at != by_number_.end()) {
                Box& box = *at->second;
                box.error = base::Error{
                    Code::failed_precondition,
                    fmt::format("this host refuses a sandbox when {}: {}; see dougong sandbox "
                                "doctor",
                                launcher::step_name(failed.step), std::strerror(failed.error)),
                    {}};
                box.phase = Box::Phase::failed;
                box.gone = true;
                box.changed.notify_all();
            }
        } else if (launcher::read_message(packet.bytes, layer)) {
            answer(layer);
        } else if (launcher::read_message(packet.bytes, sealed)) {
            answer(sealed);
        }
        packet.close_all();
    }
}

void NativeSphere::on_init(const BoxPtr& box) {
    for (;;) {
        launcher::Packet packet;
        const auto received = launcher::receive(box->init.fd.get(), packet_, packet);
        if (received == launcher::Received::nothing) return;
        if (received == launcher::Received::closed) {
            const Lock lock(mutex_);
            if (box->phase == Box::Phase::making) {
                box->phase = Box::Phase::failed;
            }
            unwatch(box->init);
            box->changed.notify_all();
            return;
        }
        if (take_socket(*box, packet)) continue;
        packet.close_all();  // nothing else comes with one
        launcher::Exited exited;
        if (launcher::read_message(packet.bytes, exited)) {
            on_exited(box, exited);
            continue;
        }
        const Lock lock(mutex_);
        launcher::Started started;
        launcher::StartFailed refused;
        launcher::SetupFailed failed;
        launcher::Ready ready;
        if (launcher::read_message(packet.bytes, started)) {
            const auto at = box->execs.find(started.exec);
            if (at == box->execs.end()) continue;
            on_begun(box, *at->second);
        } else if (launcher::read_message(packet.bytes, refused)) {
            const auto at = box->execs.find(refused.exec);
            if (at == box->execs.end()) continue;
            at->second->refusal = refused;
            at->second->phase = Exec::Phase::refused;
        } else if (launcher::read_message(packet.bytes, failed)) {
            const bool by_template =
                box->spec.root.kind != RootSpec::Kind::host &&
                (failed.error == ENOENT || failed.error == ELOOP || failed.error == ENOTDIR ||
                 failed.error == EXDEV || failed.error == EAGAIN);  // the last two: moved meanwhile
            box->error = base::Error{
                by_template ? Code::invalid_argument : Code::failed_precondition,
                by_template
                    ? fmt::format("root.path {}: {} failed: {}; dev, proc, tmp and workspace must "
                                  "be real folders in it, not links",
                                  box->spec.root.path, launcher::step_name(failed.step),
                                  std::strerror(failed.error))
                    : fmt::format("this host refuses a sandbox when {}: {}; see dougong sandbox "
                                  "doctor",
                                  launcher::step_name(failed.step), std::strerror(failed.error)),
                by_template ? "root.path" : ""};
            box->phase = Box::Phase::failed;
        } else if (launcher::read_message(packet.bytes, ready)) {
            box->init_ready = true;
            if (box->life.fd && box->phase == Box::Phase::making) box->phase = Box::Phase::ready;
        }
        box->changed.notify_all();
    }
}

void NativeSphere::on_begun(const BoxPtr& box, Exec& exec) {
    exec.phase = Exec::Phase::running;
    if (exec.out.fd) watch(exec.out, Watch::Kind::output, box, exec.id);
    if (exec.err.fd) watch(exec.err, Watch::Kind::errors, box, exec.id);
    if (!exec.input.empty() || exec.input_ends) want_input(box, exec);
    Instant due = Instant::never();
    if (exec.wall_timeout.count() > 0) due = exec.started_at + exec.wall_timeout;
    if (exec.cpu_timeout.count() > 0) due = std::min(due, clock_.now() + kCpuCheckMin);
    set_due(*box, exec, due);
}

void NativeSphere::on_life(const BoxPtr& box) {
    on_init(box);  // what it said last
    std::vector<Exec*> left;
    {
        const Lock lock(mutex_);
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, box->life.fd.get(), nullptr);
        watches_.erase(box->life.token);
        box->life.token = 0;
        box->prepared.reset();
        for (const auto& [id, exec] : box->execs) {
            if (exec->phase == Exec::Phase::starting) exec->phase = Exec::Phase::refused;
            if (exec->phase != Exec::Phase::refused) left.push_back(exec.get());
        }
    }
    for (Exec* exec : left) {
        drain(*box, *exec);
        report(*box, *exec, nullptr);
    }
    const Lock lock(mutex_);
    box->gone = true;
    if (!box->ending && box->published) keeper_wakes_.notify_one();
    box->changed.notify_all();
}

void NativeSphere::want_input(const BoxPtr& box, Exec& exec) {
    if (exec.tty) {
        if (exec.out.token == 0) return;  // watched when it runs
        epoll_event event{EPOLLIN | EPOLLOUT, {.u64 = exec.out.token}};
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, exec.out.fd.get(), &event);
        return;
    }
    if (!exec.in.fd || exec.in.token != 0) return;
    watch(exec.in, Watch::Kind::input, box, exec.id);
    epoll_event event{EPOLLOUT, {.u64 = exec.in.token}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, exec.in.fd.get(), &event);
}

void NativeSphere::write_input(const BoxPtr&, Exec& exec) {
    const Lock lock(mutex_);
    WatchedFd& stream = exec.tty ? exec.out : exec.in;
    if (!stream.fd) return;
    while (!exec.input.empty()) {
        const ssize_t put = ::write(stream.fd.get(), exec.input.data(), exec.input.size());
        if (put < 0 && errno == EAGAIN) return;
        if (put <= 0) {  // nobody reads any more
            exec.input.clear();
            exec.input_ends = true;
            break;
        }
        exec.input.erase(0, static_cast<std::size_t>(put));
    }
    if (exec.tty) {
        epoll_event event{EPOLLIN, {.u64 = stream.token}};
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, stream.fd.get(), &event);
    } else if (exec.input_ends) {
        unwatch(stream);
    } else {  // quiet until there is more
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, stream.fd.get(), nullptr);
        watches_.erase(stream.token);
        stream.token = 0;
    }
}

void NativeSphere::on_stream(const Watch& stream, std::uint32_t events) {
    Exec* exec = nullptr;
    {
        const Lock lock(mutex_);
        const auto at = stream.box->execs.find(stream.exec);
        if (at == stream.box->execs.end()) return;
        exec = at->second.get();  // only this thread takes away a command that runs
    }
    if (stream.kind == Watch::Kind::input || (events & EPOLLOUT) != 0) {
        write_input(stream.box, *exec);
    }
    if (stream.kind == Watch::Kind::input || (events & ~std::uint32_t{EPOLLOUT}) == 0) return;
    const Stream which = stream.kind == Watch::Kind::errors ? Stream::err : Stream::out;
    WatchedFd& fd = which == Stream::err ? exec->err : exec->out;
    if (!read_output(*stream.box, *exec, which)) {
        const Lock lock(mutex_);
        unwatch(fd);
    }
}

bool NativeSphere::read_output(Box&, Exec& exec, Stream stream) {
    const int fd = (stream == Stream::err ? exec.err : exec.out).fd.get();
    const ssize_t got = ::read(fd, buffer_.data(), buffer_.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (got <= 0) return false;  // end of file; a terminal says EIO
    if (exec.phase == Exec::Phase::lingering) return true;
    const auto bytes = static_cast<std::uint64_t>(got);
    exec.output_bytes += bytes;
    const std::uint64_t pass = std::min(bytes, exec.output_max - exec.delivered);
    exec.delivered += pass;
    if (pass > 0) exec.sink->on_output(stream, {buffer_.data(), static_cast<std::size_t>(pass)});
    return true;
}

void NativeSphere::drain(Box& box, Exec& exec) {
    for (const Stream stream : {Stream::out, Stream::err}) {
        WatchedFd& fd = stream == Stream::err ? exec.err : exec.out;
        const std::uint64_t enough = exec.output_bytes + kPipeBytesMax;
        while (fd.fd && exec.output_bytes < enough) {
            const std::uint64_t before = exec.output_bytes;
            const bool open = read_output(box, exec, stream);
            if (!open) {
                const Lock lock(mutex_);
                unwatch(fd);
            }
            if (exec.output_bytes == before) break;
        }
    }
}

void NativeSphere::on_exited(const BoxPtr& box, const launcher::Exited& exited) {
    Exec* exec = nullptr;
    {
        const Lock lock(mutex_);
        const auto at = box->execs.find(exited.exec);
        if (at == box->execs.end()) {
            // One that refused its command, and start() was faster; or it ended while it waited,
            // and its like would, too.
            if (!box->prepared || box->prepared->exec != exited.exec) return prepare_next(*box);
            return_group(*box, box->prepared->group);
            return box->prepared.reset();
        }
        exec = at->second.get();
        if (exec->phase == Exec::Phase::starting && exec->answer >= 0 &&
            peek_answer(exec->answer) == Answer::executed) {
            on_begun(box, *exec);  // start() has not looked yet
            box->changed.notify_all();
        }
        if (exec->phase != Exec::Phase::running) return;
    }
    drain(*box, *exec);
    report(*box, *exec, &exited);
}

void NativeSphere::report(Box& box, Exec& exec, const launcher::Exited* exited) {
    if (exec.phase == Exec::Phase::lingering) {
        const Lock lock(mutex_);
        set_due(box, exec, Instant::never());
        close_streams(exec);
        box.execs.erase(exec.id);
        return;
    }
    ExecResult result;
    int sent_signal = 0;
    {
        const Lock lock(mutex_);
        sent_signal = exec.sent_signal;
    }
    const bool oom = box.groups.oom_kills() > exec.oom_kills_before;
    if (exited == nullptr) {  // with its box
        result.signal = SIGKILL;
        result.reason = oom ? EndReason::memory : EndReason::stopped;
    } else if (WIFEXITED(exited->wait_status)) {
        result.exit_code = WEXITSTATUS(exited->wait_status);
        if (oom && result.exit_code == 128 + SIGKILL) result.reason = EndReason::memory;
    } else {
        result.signal = WTERMSIG(exited->wait_status);
        result.reason =
            result.signal == SIGSYS           ? EndReason::forbidden
            : result.signal == SIGKILL && oom ? EndReason::memory
            : result.signal == sent_signal    ? EndReason::stopped
            : exec.cpu_timeout.count() > 0 && (result.signal == SIGXCPU || result.signal == SIGKILL)
                ? EndReason::cpu_time
                : EndReason::signalled;
    }
    result.output_bytes = exec.output_bytes;
    result.output_dropped = exec.output_bytes - exec.delivered;
    const Instant now = clock_.now();
    result.wall = std::chrono::microseconds(microseconds(now - exec.started_at));
    if (exec.group) result.cpu = std::chrono::microseconds(cpu_used_us(box, exec));
    if (result.cpu.count() == 0 && exited != nullptr) {
        result.cpu = std::chrono::microseconds(exited->cpu_us);
    }
    result.peak_memory_bytes = box.groups.peak_memory_bytes();
    if (result.peak_memory_bytes == 0 && exited != nullptr) {
        result.peak_memory_bytes = exited->resident_bytes_max;
    }
    ExecSink& sink = *exec.sink;
    {
        const Lock lock(mutex_);
        if (exec.forced)
            result.reason = *exec.forced;
        else if (box.forced && (exited == nullptr || result.signal == SIGKILL)) {
            result.reason = *box.forced;
        }
        box.used_at = now;
        const bool all_gone =
            exited == nullptr || (exec.group ? box.groups.exec_group_is_empty(exec.group->number)
                                             : !exec.out.fd && !exec.err.fd);
        if (all_gone) {
            set_due(box, exec, Instant::never());
            close_streams(exec);
            if (exec.group && exited != nullptr) return_group(box, *exec.group);
            box.execs.erase(exec.id);
        } else {
            exec.phase = Exec::Phase::lingering;
            exec.sink = nullptr;
            unwatch(exec.in);
            set_due(box, exec,
                    exec.wall_timeout.count() > 0 ? exec.started_at + exec.wall_timeout
                                                  : Instant::never());
        }
        box.changed.notify_all();
    }
    if (box.meter) tell_closed_ports(box);
    sink.on_end(result);
    const Lock lock(mutex_);
    if (box.execs.empty()) dues_.insert({clock_.now() + kPrepareAfter, box.number, kNoExec});
}

void NativeSphere::set_due(Box& box, Exec& exec, Instant due) {
    if (exec.due != Instant::never()) dues_.erase({exec.due, box.number, exec.id});
    exec.due = due;
    if (due == Instant::never()) return;
    dues_.insert({due, box.number, exec.id});
    if (due < loop_sleeps_until_) wake();
}

void NativeSphere::run_timers() {
    const Lock lock(mutex_);
    const Instant now = clock_.now();
    while (!dues_.empty() && std::get<Instant>(*dues_.begin()) <= now) {
        const auto [due, number, id] = *dues_.begin();
        const auto box = by_number_.find(number);
        if (id == kNoExec) {
            dues_.erase(dues_.begin());
            if (box != by_number_.end()) prepare_next(*box->second);
            continue;
        }
        if (box == by_number_.end() || !box->second->execs.contains(id)) {
            dues_.erase(dues_.begin());
            continue;
        }
        Exec& exec = *box->second->execs.at(id);
        set_due(*box->second, exec, Instant::never());
        on_due(box->second, exec, now);
    }
}

void NativeSphere::on_due(const BoxPtr& box, Exec& exec, Instant now) {
    if (exec.kill_sent) {
        if (exec.phase == Exec::Phase::lingering) {
            if (exec.group) return_group(*box, *exec.group);
            close_streams(exec);
            box->execs.erase(exec.id);
            return;
        }
        kill_box(*box, *exec.forced);  // its init does not report: take the box
        return;
    }
    if (exec.wall_timeout.count() > 0 && now >= exec.started_at + exec.wall_timeout) {
        end_exec(*box, exec, EndReason::wall_time);
        return;
    }
    if (exec.phase != Exec::Phase::running || exec.cpu_timeout.count() == 0) return;
    const auto limit_us = static_cast<std::uint64_t>(exec.cpu_timeout.count()) * 1000;
    const std::uint64_t used_us = exec.group ? cpu_used_us(*box, exec) : 0;
    if (exec.group && used_us >= limit_us) {
        end_exec(*box, exec, EndReason::cpu_time);
        return;
    }
    // It cannot use the rest sooner than all its processors running allow.
    const double left_us = static_cast<double>(limit_us - used_us) / box->spec.limits.cpus;
    const auto wait = std::max<base::Duration>(
        kCpuCheckMin, std::chrono::microseconds(static_cast<std::int64_t>(left_us)));
    Instant due = now + wait;
    if (exec.wall_timeout.count() > 0) due = std::min(due, exec.started_at + exec.wall_timeout);
    set_due(*box, exec, due);
}

void NativeSphere::end_exec(Box& box, Exec& exec, EndReason reason) {
    if (!exec.forced && exec.phase == Exec::Phase::running) exec.forced = reason;
    exec.kill_sent = true;
    exec.killed_at = clock_.now();
    if (exec.group) {
        exec.group->killed = true;
        box.groups.kill_exec(exec.group->number);
    } else {
        // Without a group of its own its children cannot be told from others of the box.
        auto message = launcher::make_message<launcher::Signal>();
        message.number = SIGKILL;
        message.scope = launcher::Scope::box;
        launcher::send_message(box.init.fd.get(), message);
    }
    set_due(box, exec, exec.killed_at + kKillPatience);
}

}  // namespace sphere::native
