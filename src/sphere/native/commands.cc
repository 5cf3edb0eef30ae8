// Commands: from an ExecSpec to a message to the box's init, and what callers do to a running one.
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "sphere/launcher/channel.h"
#include "sphere/native/command_words.h"
#include "sphere/native/native_sphere.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr std::size_t kInputMax = 1 << 20;  // of write_stdin, not yet read by the command
constexpr std::chrono::milliseconds kStartMax{20'000};

void no_blocking(int fd) {
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

Result<void> open_pipe(base::UniqueFd& ours, int& theirs, bool we_read) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return fail(Code::resource_exhausted, "no pipe: {}", std::strerror(errno));
    }
    ours = base::UniqueFd(ends[we_read ? 0 : 1]);
    theirs = ends[we_read ? 1 : 0];
    no_blocking(ours.get());
    return {};
}

Result<void> open_terminal(Exec& exec, const ExecSpec& spec, int (&ends)[3]) {
    exec.out.fd = base::UniqueFd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
    const int master = exec.out.fd.get();
    if (master < 0 || ::unlockpt(master) != 0) {
        return fail(Code::resource_exhausted, "no terminal: {}", std::strerror(errno));
    }
    const winsize size{spec.tty_rows, spec.tty_columns, 0, 0};
    ::ioctl(master, TIOCSWINSZ, &size);
    for (int& end : ends) {
        end = ::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (end < 0) {
            return fail(Code::resource_exhausted, "no terminal: {}", std::strerror(errno));
        }
    }
    no_blocking(master);
    return {};
}

/// What a pipe takes at once, without SIGPIPE for this process when nobody reads any more.
std::size_t write_now(int fd, std::string_view bytes) {
    sigset_t pipe, before;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EPIPE && sigismember(&before, SIGPIPE) == 0) {
        const timespec none{};
        ::sigtimedwait(&pipe, nullptr, &none);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return put > 0 ? static_cast<std::size_t>(put) : 0;
}

std::vector<std::byte> start_packet(ExecId exec, const ExecSpec& spec, const Words& words,
                                    const launcher::ProcessLimits& limits, bool with_group) {
    auto message = launcher::make_message<launcher::Start>();
    message.exec = exec;
    message.argc = words.argc;
    message.envc = words.envc;
    message.words_bytes = static_cast<std::uint32_t>(words.text.size());
    message.head.bytes = static_cast<std::uint32_t>(sizeof(message) + words.text.size());
    message.head.descriptors = with_group ? 4 : 3;
    if (with_group) message.flags |= launcher::kExecGroup;
    if (spec.tty) message.flags |= launcher::kTerminal;
    message.limits = limits;
    if (spec.cpu_timeout.count() > 0) {
        message.limits.cpu_seconds =
            static_cast<std::uint64_t>(spec.cpu_timeout.count() + 999) / 1000;
    }
    std::vector<std::byte> packet(message.head.bytes);
    std::memcpy(packet.data(), &message, sizeof(message));
    std::memcpy(packet.data() + sizeof(message), words.text.data(), words.text.size());
    return packet;
}

/// Both ways in one, so that descriptors can be sent with what is written.
Result<void> open_socket(base::UniqueFd& ours, int& theirs) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return fail(Code::resource_exhausted, "no socket: {}", std::strerror(errno));
    }
    ours = base::UniqueFd(ends[0]);
    theirs = ends[1];
    no_blocking(ours.get());
    return {};
}

}  // namespace

void CommandEnds::close() {
    for (int& fd : fds) {
        if (fd >= 0) ::close(std::exchange(fd, -1));
    }
}

std::unique_ptr<Exec> NativeSphere::make_exec(const ExecSpec& spec, ExecSink& sink) {
    auto made = std::make_unique<Exec>();
    made->sink = &sink;
    made->tty = spec.tty;
    made->stdin_socket = spec.stdin_open && spec.stdin_socket && !spec.tty;
    made->wall_timeout = spec.wall_timeout;
    made->cpu_timeout = spec.cpu_timeout;
    made->output_max = spec.output_bytes_max;
    return made;
}

Result<void> NativeSphere::open_streams(Exec& exec, const ExecSpec& spec, int (&ends)[3]) {
    exec.input = spec.stdin_text;
    if (spec.tty) return open_terminal(exec, spec, ends);
    exec.input_ends = !spec.stdin_open;
    DG_TRY(open_pipe(exec.out.fd, ends[1], true));
    DG_TRY(open_pipe(exec.err.fd, ends[2], true));
    if (exec.stdin_socket) return open_socket(exec.in.fd, ends[0]);
    if (spec.stdin_open || !spec.stdin_text.empty()) return open_pipe(exec.in.fd, ends[0], false);
    ends[0] = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (ends[0] >= 0) return {};
    return fail(Code::unavailable, "/dev/null: {}", std::strerror(errno));
}

Result<Words> NativeSphere::words_of(const Box& box, const ExecSpec& spec) const {
    return make_words(box.spec, box.secrets, spec,
                      {.image = box.image ? &box.image->config : nullptr,
                       .folder = is_plain() ? box_folder_ + "/" + box.id : "",
                       .proxied = box.meter != nullptr});
}

Result<void> NativeSphere::send_start(Box& box, Exec& exec, const ExecSpec& spec,
                                      const int (&ends)[3]) {
    const Words words = DG_TRY(words_of(box, spec));
    std::vector<int> fds(ends, ends + 3);
    base::UniqueFd group;
    if (box.groups.has_tree()) {
        ExecGroup taken;
        group = DG_TRY(take_group(box, taken));
        exec.group = taken;
        fds.push_back(group.get());
    }
    const auto packet =
        start_packet(exec.id, spec, words, process_limits(box), exec.group.has_value());
    if (launcher::send_packet(box.init.fd.get(), packet, fds)) return {};
    return fail(Code::unavailable, "sandbox {} does not take commands: {}", box.id,
                std::strerror(errno));
}

ExecId NativeSphere::start_prepared(Lock& lock, const BoxPtr& box, std::unique_ptr<Exec>& made,
                                    const ExecSpec& spec, const int (&ends)[3]) {
    if (!box->prepared) return 0;
    const Prepared prepared = std::move(*box->prepared);
    box->prepared.reset();
    const auto give_up = [&] {
        return_group(*box, prepared.group);
        return ExecId{0};
    };
    const auto words = words_of(*box, spec);
    if (!words || prepared.limits != process_limits(*box)) return give_up();
    const auto packet = start_packet(prepared.exec, spec, *words, prepared.limits, false);
    if (!launcher::send_packet(prepared.socket.get(), packet, ends)) return give_up();
    made->id = prepared.exec;
    made->group = prepared.group;
    made->answer = prepared.socket.get();
    box->execs[made->id] = std::move(made);

    lock.unlock();
    pollfd wait{prepared.socket.get(), POLLIN, 0};
    while (::poll(&wait, 1, static_cast<int>(kStartMax.count())) < 0 && errno == EINTR) {
    }
    lock.lock();
    const auto at = box->execs.find(prepared.exec);
    if (at == box->execs.end()) return prepared.exec;  // began and ended meanwhile
    Exec& exec = *at->second;
    exec.answer = -1;
    if (exec.phase != Exec::Phase::starting) return prepared.exec;
    launcher::Packet received;
    std::array<std::byte, sizeof(launcher::StartFailed)> bytes;
    launcher::StartFailed refused;
    switch (peek_answer(prepared.socket.get())) {
        case Answer::executed:
            on_begun(box, exec);
            break;
        case Answer::refused:
            exec.phase = Exec::Phase::refused;
            if (launcher::receive(prepared.socket.get(), bytes, received) ==
                    launcher::Received::packet &&
                launcher::read_message(received.bytes, refused)) {
                exec.refusal = refused;
            }
            break;
        case Answer::ended_before:
            made = std::move(at->second);
            made->group.reset();
            box->execs.erase(at);
            return give_up();
        case Answer::waits:
            break;
    }
    return prepared.exec;
}

Result<NativeSphere::BoxPtr> NativeSphere::find_ready(Lock& lock, const SandboxId& id) const {
    BoxPtr box = DG_TRY(find(id));
    while (box->held) {
        box->changed.wait(lock);
        box = DG_TRY(find(id));
    }
    DG_TRY(check_stops(box->spec, id));
    DG_TRY(check_ready(*box));
    return box;
}

Result<void> NativeSphere::check_ready(const Box& box) {
    if (!box.ending && !box.gone && !box.paused) return {};
    return fail(Code::failed_precondition, "sandbox {} is {}; commands need it ready", box.id,
                sandbox_state_name(box.state()));
}

Result<ExecId> NativeSphere::start(const SandboxId& id, const ExecSpec& spec, ExecSink& sink) {
    DG_TRY(check_exec(spec));
    auto made = make_exec(spec, sink);
    CommandEnds ends;
    DG_TRY(open_streams(*made, spec, ends.fds));
    Lock lock(mutex_);
    BoxPtr box = DG_TRY(find_ready(lock, id));
    if (const ExecId warm = take_warm(box, spec, sink); warm != 0) return warm;
    return begin_command(lock, box, std::move(made), spec, ends.fds);
}

Result<ExecId> NativeSphere::begin_command(Lock& lock, const BoxPtr& box,
                                           std::unique_ptr<Exec> made, const ExecSpec& spec,
                                           const int (&ends)[3]) {
    made->oom_kills_before = box->groups.oom_kills();
    if (box->running() == 0) box->groups.reset_peak_memory();
    made->started_at = box->used_at = clock_.now();
    ++box->execs_begun;
    ExecId number = start_prepared(lock, box, made, spec, ends);
    if (number == 0) {
        DG_TRY(check_ready(*box));
        number = made->id = box->next_exec++;
        if (auto sent = send_start(*box, *made, spec, ends); !sent) {
            if (made->group) return_group(*box, *made->group);
            return std::unexpected(std::move(sent).error());
        }
        box->execs[number] = std::move(made);
    }
    return await_start(lock, box, number, spec);
}

Result<ExecId> NativeSphere::await_start(Lock& lock, const BoxPtr& box, ExecId number,
                                         const ExecSpec& spec) {
    box->changed.wait_for(lock, kStartMax, [&] {
        const auto at = box->execs.find(number);
        return at == box->execs.end() || at->second->phase != Exec::Phase::starting;
    });
    const auto at = box->execs.find(number);
    if (at == box->execs.end()) return number;  // began and ended meanwhile
    Exec& exec = *at->second;
    const bool told = exec.phase != Exec::Phase::starting;
    if (told && exec.phase != Exec::Phase::refused) return number;
    base::Error error =
        exec.error.value_or(base::Error{Code::unavailable, "the sandbox ended", {}});
    if (exec.refusal) error = start_error(*exec.refusal, spec);
    close_streams(exec);
    if (exec.group) return_group(*box, *exec.group);
    box->execs.erase(at);
    box->changed.notify_all();
    if (told) {
        prepare_next(*box);
    } else {
        kill_box(*box, EndReason::stopped);  // an init that does not answer is no init
    }
    return std::unexpected(std::move(error));
}

Result<void> NativeSphere::write_stdin(const SandboxId& id, ExecId number, std::string_view bytes,
                                       bool end_of_file) {
    const Lock lock(mutex_);
    const BoxPtr box = DG_TRY(find(id));
    Exec& exec = *DG_TRY(find_running(*box, number));
    WatchedFd& stream = exec.tty ? exec.out : exec.in;
    if (!stream.fd || exec.input_ends) {
        return fail(Code::failed_precondition,
                    "stdin of command {} is closed; start it with stdin_open", number);
    }
    if (exec.input.size() + bytes.size() > kInputMax) {
        return fail(Code::resource_exhausted,
                    "command {} has {} bytes of stdin still to read; at most {} wait", number,
                    exec.input.size(), kInputMax);
    }
    exec.rests = false;
    box->used_at = clock_.now();
    if (exec.phase == Exec::Phase::running && exec.input.empty() && !exec.tty) {
        bytes.remove_prefix(write_now(stream.fd.get(), bytes));
        if (bytes.empty() && !end_of_file) return {};
    }
    exec.input += bytes;
    if (end_of_file && exec.tty) exec.input += '\x04';
    exec.input_ends = end_of_file && !exec.tty;
    want_input(box, exec);
    return {};
}

Result<void> NativeSphere::rest(const SandboxId& id, ExecId number) {
    const Lock lock(mutex_);
    const BoxPtr box = DG_TRY(find(id));
    DG_TRY(find_running(*box, number))->rests = true;
    box->used_at = clock_.now();
    return {};
}

Result<void> NativeSphere::resize_tty(const SandboxId& id, ExecId number, std::uint16_t columns,
                                      std::uint16_t rows) {
    const Lock lock(mutex_);
    const BoxPtr box = DG_TRY(find(id));
    Exec& exec = *DG_TRY(find_running(*box, number));
    if (!exec.tty) {
        return fail(Code::failed_precondition, "command {} has no terminal", number);
    }
    const winsize size{rows, columns, 0, 0};
    if (::ioctl(exec.out.fd.get(), TIOCSWINSZ, &size) == 0) return {};
    return fail(Code::unavailable, "the terminal of command {}: {}", number, std::strerror(errno));
}

Result<void> NativeSphere::signal(const SandboxId& id, ExecId number, int signal_number) {
    const Lock lock(mutex_);
    if (signal_number < 1 || signal_number >= NSIG) {
        return fail(Code::invalid_argument, "{} is no signal; they go from 1 to {}", signal_number,
                    NSIG - 1);
    }
    const BoxPtr box = DG_TRY(find(id));
    Exec& exec = *DG_TRY(find_running(*box, number));
    exec.sent_signal = signal_number;
    if (signal_number == SIGKILL) {
        end_exec(*box, exec, EndReason::stopped);
        return {};
    }
    auto message = launcher::make_message<launcher::Signal>();
    message.exec = number;
    message.number = signal_number;
    if (launcher::send_message(box->init.fd.get(), message)) return {};
    return fail(Code::unavailable, "sandbox {} does not take signals: {}", id,
                std::strerror(errno));
}

}  // namespace sphere::native
