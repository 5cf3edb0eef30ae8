// The loop: what comes from the launcher, the inits and the commands' streams.
#include <fcntl.h>
#include <sys/epoll.h>

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
/// A pipe holds at most so much when its last writer has gone.
constexpr std::uint64_t kPipeBytesMax = 1 << 20;

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
        case Watch::Kind::warmth:
            return on_warmth(watch.box, events);
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
            if (at != by_number_.end() && packet.fd_count >= 3) {
                Box& box = *at->second;
                box.pid = created.pid;
                box.life.fd = base::UniqueFd(packet.take());
                box.workspace = base::UniqueFd(packet.take());
                box.layer = base::UniqueFd(packet.take());
                if (packet.fd_count == 4) box.network = base::UniqueFd(packet.take());
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

void NativeSphere::on_life(const BoxPtr& box) {
    on_init(box);  // what it said last
    std::vector<Exec*> left;
    {
        const Lock lock(mutex_);
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, box->life.fd.get(), nullptr);
        watches_.erase(box->life.token);
        box->life.token = 0;
        if (box->prepared) box->leaving_groups.push_back(box->prepared->group);
        box->prepared.reset();
        if (box->warm) box->warm->exec = 0;
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

}  // namespace sphere::native
