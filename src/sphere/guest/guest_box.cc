#include "sphere/guest/guest_box.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "sphere/native/command_end.h"
#include "sphere/native/command_words.h"

namespace sphere::guest {

using base::Code;
using base::fail;
using base::fail_on;
using base::Instant;
using base::Result;

namespace {

constexpr std::size_t kInputMax = 1 << 20;  // of write_stdin, not yet read by the command
constexpr std::chrono::seconds kStartMax{20};
constexpr std::chrono::milliseconds kKillPatience{2000};

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

struct GuestBox::Exec {
    enum class Phase { starting, refused, running };

    ExecId id = 0;
    ExecSink* sink = nullptr;
    Phase phase = Phase::starting;
    std::optional<launcher::StartFailed> refusal;
    bool tty = false;
    bool rests = false;  ///< see Sphere::rest
    std::string input;
    std::size_t on_the_way = 0;  ///< bytes of input the agent has not taken yet
    bool input_ends = false, end_sent = false;
    std::uint64_t output_max = 0, output_bytes = 0, delivered = 0;
    std::chrono::milliseconds cpu_timeout{0};
    Instant started_at, due = Instant::never();
    std::optional<EndReason> forced;
    int sent_signal = 0;
    bool kill_sent = false;
    Usage before;  ///< of the whole machine
};

GuestBox::GuestBox(SandboxId id, SandboxSpec spec, Secrets secrets,
                   std::span<const sock_filter> filter, const base::Clock& clock)
    : id_(std::move(id)),
      spec_(std::move(spec)),
      secrets_(std::move(secrets)),
      filter_(filter),
      clock_(clock),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      buffer_(2 * launcher::kMessageBytesMax),
      created_unix_ns_(clock.unix_ns()),
      begun_at_(clock.now()),
      used_at_(begun_at_) {}

GuestBox::~GuestBox() {
    finish(EndReason::stopped);
}

void GuestBox::finish(EndReason reason) {
    kill(reason);
    std::thread thread;
    {
        const Lock lock(mutex_);
        thread.swap(thread_);
    }
    if (thread.joinable()) thread.join();
    std::unique_ptr<Machine> machine;
    {
        const Lock lock(mutex_);
        gone_ = true;
        machine.swap(machine_);
        changed_.notify_all();
    }
}

Result<void> GuestBox::begin(std::unique_ptr<Machine> machine, MachineMaker& maker) {
    Lock lock(mutex_);
    if (ending_) return fail(Code::failed_precondition, "sandbox {} was ended meanwhile", id_);
    machine_ = std::move(machine);
    limit_processes_ = !maker.limits_processes();
    setup_ = maker.setup(spec_);
    setup_.filter_count = static_cast<std::uint32_t>(filter_.size());
    thread_ = std::thread([this] { run(); });
    const bool told =
        changed_.wait_for(lock, maker.start_max(), [&] { return ready_ || gone_ || refusal_; });
    if (ready_) {
        begun_at_ = used_at_ = clock_.now();
        return {};
    }
    if (refusal_) {
        return fail(Code::failed_precondition, "sandbox {}: its agent failed when {}: {}", id_,
                    launcher::step_name(refusal_->step), std::strerror(refusal_->error));
    }
    const std::string words = machine_ ? machine_->last_words() : "";
    if (!told) {
        return fail(Code::deadline_exceeded, "sandbox {}: nothing answered in it after {} s{}{}",
                    id_, maker.start_max().count(), words.empty() ? "" : "; it said: ", words);
    }
    return fail(Code::failed_precondition, "{} could not start a sandbox{}{}", maker.name(),
                words.empty() ? "" : ": ", words);
}

template <class Message>
void GuestBox::send(const Message& message, std::string_view tail) {
    Message whole = message;
    whole.head.bytes = static_cast<std::uint32_t>(sizeof(Message) + tail.size());
    outbox_.append(reinterpret_cast<const char*>(&whole), sizeof(whole));
    outbox_.append(tail);
    wake();
}

void GuestBox::wake() const {
    const std::uint64_t one = 1;
    if (wake_) static_cast<void>(::write(wake_.get(), &one, sizeof(one)));
}

Result<GuestBox::Exec*> GuestBox::find_running(ExecId exec) {
    const auto at = execs_.find(exec);
    if (at != execs_.end() && at->second->phase == Exec::Phase::running) return at->second.get();
    return fail(Code::not_found, "sandbox {} runs no command {}", id_, exec);
}

Result<ExecId> GuestBox::start(const ExecSpec& spec, ExecSink& sink) {
    DG_TRY(check_exec(spec));
    const native::Words words = DG_TRY(native::make_words(spec_, secrets_, spec));
    Lock lock(mutex_);
    if (!ready_) return fail(Code::failed_precondition, "sandbox {} is being made", id_);
    if (ending_ || gone_ || paused_) {
        return fail(Code::failed_precondition, "sandbox {} is {}; commands need it ready", id_,
                    paused_ ? "paused" : "ending");
    }
    auto made = std::make_unique<Exec>();
    Exec& exec = *made;
    exec.id = next_exec_++;
    exec.sink = &sink;
    exec.tty = spec.tty;
    exec.input = spec.stdin_text;
    exec.input_ends = !spec.stdin_open && !spec.tty;
    exec.output_max = spec.output_bytes_max;
    exec.cpu_timeout = spec.cpu_timeout;
    exec.before = machine_->usage();
    exec.started_at = used_at_ = clock_.now();
    if (spec.wall_timeout.count() > 0) exec.due = exec.started_at + spec.wall_timeout;
    auto message = launcher::make_message<launcher::Start>();
    message.exec = exec.id;
    if (spec.tty) message.flags |= launcher::kTerminal;
    message.argc = words.argc;
    message.envc = words.envc;
    message.words_bytes = static_cast<std::uint32_t>(words.text.size());
    message.limits.open_files = spec_.limits.open_files_max;
    // Elsewhere the machine's user is another machine's, too, and an rlimit counts both.
    if (limit_processes_) message.limits.processes = spec_.limits.processes_max;
    if (spec.cpu_timeout.count() > 0) {
        message.limits.cpu_seconds =
            static_cast<std::uint64_t>(spec.cpu_timeout.count() + 999) / 1000;
    }
    const ExecId number = exec.id;
    execs_[number] = std::move(made);
    ++begun_;
    if (spec.tty) {  // before the command can ask for it
        auto size = launcher::make_message<launcher::Resize>();
        size.exec = number;
        size.columns = spec.tty_columns;
        size.rows = spec.tty_rows;
        send(size);
    }
    send(message, words.text);
    const bool told = changed_.wait_for(lock, kStartMax, [&] {
        const auto at = execs_.find(number);
        return at == execs_.end() || at->second->phase != Exec::Phase::starting;
    });
    const auto at = execs_.find(number);
    if (at == execs_.end()) return number;  // began and ended meanwhile
    if (told && at->second->phase == Exec::Phase::running) return number;
    const auto refusal = at->second->refusal;
    execs_.erase(at);
    lock.unlock();
    if (refusal) return std::unexpected(native::start_error(*refusal, spec));
    if (!told) kill(EndReason::stopped);  // an agent that does not answer is none
    return fail(Code::unavailable, "sandbox {} ended before the command began", id_);
}

Result<void> GuestBox::write_stdin(ExecId number, std::string_view bytes, bool end_of_file) {
    const Lock lock(mutex_);
    Exec& exec = *DG_TRY(find_running(number));
    if (exec.input_ends) {
        return fail(Code::failed_precondition,
                    "stdin of command {} is closed; start it with stdin_open", number);
    }
    if (exec.input.size() + bytes.size() > kInputMax) {
        return fail(Code::resource_exhausted,
                    "command {} has {} bytes of stdin still to read; at most {} wait", number,
                    exec.input.size(), kInputMax);
    }
    exec.rests = false;
    used_at_ = clock_.now();
    exec.input += bytes;
    if (end_of_file && exec.tty) exec.input += '\x04';
    exec.input_ends = end_of_file && !exec.tty;
    send_input(exec);
    return {};
}

Result<void> GuestBox::rest(ExecId number) {
    const Lock lock(mutex_);
    DG_TRY(find_running(number))->rests = true;
    used_at_ = clock_.now();
    return {};
}

void GuestBox::send_input(Exec& exec) {
    while (!exec.end_sent && exec.on_the_way < launcher::kInputWindow &&
           (!exec.input.empty() || exec.input_ends)) {
        const std::size_t count = std::min(
            {exec.input.size(), launcher::kStreamPiece, launcher::kInputWindow - exec.on_the_way});
        auto message = launcher::make_message<launcher::Input>();
        message.exec = exec.id;
        message.ends = exec.input_ends && count == exec.input.size() ? 1 : 0;
        exec.end_sent = message.ends != 0;
        send(message, std::string_view(exec.input).substr(0, count));
        exec.input.erase(0, count);
        exec.on_the_way += count;
    }
}

Result<void> GuestBox::resize_tty(ExecId number, std::uint16_t columns, std::uint16_t rows) {
    const Lock lock(mutex_);
    const Exec& exec = *DG_TRY(find_running(number));
    if (!exec.tty) return fail(Code::failed_precondition, "command {} has no terminal", number);
    auto message = launcher::make_message<launcher::Resize>();
    message.exec = number;
    message.columns = columns;
    message.rows = rows;
    send(message);
    return {};
}

Result<void> GuestBox::signal(ExecId number, int signal_number) {
    const Lock lock(mutex_);
    if (signal_number < 1 || signal_number >= NSIG) {
        return fail(Code::invalid_argument, "{} is no signal; they go from 1 to {}", signal_number,
                    NSIG - 1);
    }
    Exec& exec = *DG_TRY(find_running(number));
    exec.sent_signal = signal_number;
    if (signal_number == SIGKILL) {
        end_exec(exec, EndReason::stopped);
        return {};
    }
    auto message = launcher::make_message<launcher::Signal>();
    message.exec = number;
    message.number = signal_number;
    send(message);
    return {};
}

/// What a command started cannot be told from the rest of its box: all of it goes.
void GuestBox::end_exec(Exec& exec, EndReason reason) {
    if (!exec.forced) exec.forced = reason;
    exec.kill_sent = true;
    exec.due = clock_.now() + kKillPatience;
    send_kill(exec.id, launcher::Scope::box);
}

void GuestBox::send_kill(ExecId exec, launcher::Scope scope) {
    auto message = launcher::make_message<launcher::Signal>();
    message.exec = exec;
    message.number = SIGKILL;
    message.scope = scope;
    send(message);
}

Result<void> GuestBox::freeze(bool frozen) {
    const Lock lock(mutex_);
    if (ending_ || gone_) return fail(Code::failed_precondition, "sandbox {} is ending", id_);
    if (!machine_) return fail(Code::failed_precondition, "sandbox {} is being made", id_);
    if (paused_ == frozen) return {};
    DG_TRY(machine_->freeze(frozen));
    paused_ = frozen;
    used_at_ = clock_.now();
    return {};
}

Result<int> GuestBox::open_workspace() {
    const Lock lock(mutex_);
    if (ending_ || gone_) return fail(Code::failed_precondition, "sandbox {} is ending", id_);
    if (!machine_) return fail(Code::failed_precondition, "sandbox {} is being made", id_);
    used_at_ = clock_.now();
    const base::UniqueFd folder = DG_TRY(machine_->open_workspace());
    const int fd = ::fcntl(folder.get(), F_DUPFD_CLOEXEC, 0);
    if (fd >= 0) return fd;
    return fail(Code::resource_exhausted, "no descriptor: {}", std::strerror(errno));
}

void GuestBox::kill(EndReason reason) {
    const Lock lock(mutex_);
    if (!ending_) forced_ = reason;
    ending_ = true;
    if (machine_ && !gone_) machine_->kill();
}

SandboxInfo GuestBox::describe() const {
    const Lock lock(mutex_);
    SandboxInfo info;
    info.id = id_;
    info.spec = spec_;
    info.created_unix_ns = created_unix_ns_;
    info.execs = begun_;
    info.running = static_cast<std::uint32_t>(execs_.size());
    info.state = gone_            ? SandboxState::ended
                 : ending_        ? SandboxState::ending
                 : !ready_        ? SandboxState::creating
                 : paused_        ? SandboxState::paused
                 : execs_.empty() ? SandboxState::ready
                                  : SandboxState::executing;
    if (machine_ && !gone_) {
        const Usage usage = machine_->usage();
        info.memory_bytes = usage.memory_bytes;
        info.cpu = usage.cpu;
    }
    return info;
}

bool GuestBox::was_ready() const {
    const Lock lock(mutex_);
    return ready_;
}

std::string_view GuestBox::over(Instant now) const {
    const Lock lock(mutex_);
    const Limits& limits = spec_.limits;
    const bool rests =
        std::ranges::all_of(execs_, [](const auto& entry) { return entry.second->rests; });
    if (!ready_) return "";  // begin() tells
    if (gone_) return "died";
    if (limits.lifetime.count() > 0 && now - begun_at_ >= limits.lifetime) return "lifetime";
    const bool idle = limits.idle_timeout.count() > 0 && now - used_at_ >= limits.idle_timeout;
    return idle && rests ? "idle" : "";
}

// The thread.

int GuestBox::wait_ms(Instant now) const {
    Instant next = Instant::never();
    for (const auto& [id, exec] : execs_) next = std::min(next, exec->due);
    for (const auto& [id, due] : left_) next = std::min(next, due);
    if (next == Instant::never()) return -1;
    if (next <= now) return 0;
    return static_cast<int>(std::min<std::int64_t>((next - now).count() / 1'000'000 + 1, 60'000));
}

void GuestBox::run() {
    sigset_t pipe;  // writing to an agent that is gone is an error here, not the server's end
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    for (;;) {
        pollfd waits[3] = {{machine_->from_agent(), POLLIN, 0},
                           {wake_.get(), POLLIN, 0},
                           {machine_->to_agent(), POLLOUT, 0}};
        int timeout = 0;
        {
            const Lock lock(mutex_);
            timeout = wait_ms(clock_.now());
            if (outbox_.empty()) waits[2].fd = -1;
        }
        ::poll(waits, 3, timeout);
        std::uint64_t woken = 0;
        if (waits[1].revents != 0) static_cast<void>(::read(wake_.get(), &woken, sizeof(woken)));
        if (waits[2].revents != 0) write_out();
        if (waits[0].revents != 0 && !read_in()) break;
        run_timers();
    }
    on_gone();
}

bool GuestBox::write_out() {
    const Lock lock(mutex_);
    const ssize_t put = ::write(machine_->to_agent(), outbox_.data(), outbox_.size());
    if (put < 0) {
        if (errno == EAGAIN || errno == EINTR) return true;
        outbox_.clear();  // its end is near: reading tells
        return false;
    }
    outbox_.erase(0, static_cast<std::size_t>(put));
    return true;
}

bool GuestBox::read_in() {
    static_assert(launcher::kStreamPiece < launcher::kMessageBytesMax);
    const auto room = cutter_.room();
    const ssize_t got = ::read(machine_->from_agent(), room.data(), room.size());
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    cutter_.add(static_cast<std::size_t>(got));
    for (auto packet = cutter_.next(); !packet.empty(); packet = cutter_.next()) handle(packet);
    return !cutter_.unsound();
}

void GuestBox::handle(std::span<std::byte> packet) {
    launcher::Output output;
    launcher::Exited exited;
    if (launcher::read_message(packet, output)) {
        on_output(output, as_text(packet.subspan(sizeof(output))));
        return;
    }
    if (launcher::read_message(packet, exited)) {
        Exec* exec = nullptr;
        {
            const Lock lock(mutex_);
            const auto at = execs_.find(exited.exec);
            if (at == execs_.end()) return;
            exec = at->second.get();  // only this thread takes away a command that runs
        }
        on_exited(&exited, *exec);
        return;
    }
    const Lock lock(mutex_);
    launcher::InputTaken taken;
    launcher::Started started;
    launcher::StartFailed refused;
    launcher::SetupFailed failed;
    launcher::Ready ready;
    launcher::Configured listens;
    const auto exec_of = [&](std::uint64_t id) {
        const auto at = execs_.find(id);
        return at == execs_.end() ? nullptr : at->second.get();
    };
    if (launcher::read_message(packet, taken)) {
        if (Exec* const exec = exec_of(taken.exec)) {
            exec->on_the_way -= std::min<std::size_t>(taken.bytes, exec->on_the_way);
            send_input(*exec);
        }
        return;
    }
    if (launcher::read_message(packet, listens)) {
        send(setup_, as_text(std::as_bytes(filter_)));
    } else if (launcher::read_message(packet, started)) {
        if (Exec* const exec = exec_of(started.exec)) {
            exec->phase = Exec::Phase::running;
            send_input(*exec);
        }
    } else if (launcher::read_message(packet, refused)) {
        if (Exec* const exec = exec_of(refused.exec)) {
            exec->refusal = refused;
            exec->phase = Exec::Phase::refused;
            exec->due = Instant::never();
        }
    } else if (launcher::read_message(packet, failed)) {
        refusal_ = failed;
    } else if (launcher::read_message(packet, ready)) {
        ready_ = true;
    }
    changed_.notify_all();
}

void GuestBox::on_output(const launcher::Output& output, std::string_view bytes) {
    Exec* exec = nullptr;
    {
        const Lock lock(mutex_);
        const auto at = execs_.find(output.exec);
        if (at == execs_.end()) return;
        exec = at->second.get();
    }
    exec->output_bytes += bytes.size();
    bytes = bytes.substr(0, exec->output_max - exec->delivered);
    exec->delivered += bytes.size();
    if (!bytes.empty())
        exec->sink->on_output(output.errors != 0 ? Stream::err : Stream::out, bytes);
}

void GuestBox::on_exited(const launcher::Exited* exited, Exec& exec) {
    const Usage usage = machine_->usage();
    ExecResult result;
    ExecSink* const sink = exec.sink;
    {
        const Lock lock(mutex_);
        native::judge_end({.exited = exited,
                           .out_of_memory = usage.oom_kills > exec.before.oom_kills ||
                                            (exited != nullptr && exited->out_of_memory != 0),
                           .sent_signal = exec.sent_signal,
                           .cpu_limited = exec.cpu_timeout.count() > 0},
                          result);
        if (exec.forced) {
            result.reason = *exec.forced;
        } else if (forced_ && (exited == nullptr || result.signal != 0 || result.exit_code != 0)) {
            // Also a shell that lived just long enough to fail at something.
            result.reason = *forced_;
        }
        result.output_bytes = exec.output_bytes;
        result.output_dropped = exec.output_bytes - exec.delivered;
        const Instant now = clock_.now();
        result.wall = std::chrono::duration_cast<std::chrono::microseconds>(now - exec.started_at);
        if (exited != nullptr) {
            result.cpu = std::chrono::microseconds(exited->cpu_us);
            // gVisor's kernel counts threads that wait for a processor; the host's groups do not.
            if (usage.cpu.count() > 0)
                result.cpu = std::min(result.cpu, usage.cpu - exec.before.cpu);
            result.peak_memory_bytes = exited->resident_bytes_max;
        }
        used_at_ = now;
        if (exited != nullptr && exec.due != Instant::never()) left_[exec.id] = exec.due;
        execs_.erase(exec.id);
        changed_.notify_all();
    }
    sink->on_end(result);
}

void GuestBox::on_gone() {
    for (;;) {
        Exec* left = nullptr;
        {
            const Lock lock(mutex_);
            ending_ = true;
            // Those that are starting are told by start() itself.
            for (const auto& [id, exec] : execs_) {
                if (exec->phase == Exec::Phase::starting) exec->phase = Exec::Phase::refused;
                if (exec->phase == Exec::Phase::running) left = exec.get();
            }
        }
        if (left == nullptr) break;
        on_exited(nullptr, *left);
    }
    const Lock lock(mutex_);
    gone_ = true;
    changed_.notify_all();
}

void GuestBox::run_timers() {
    const Lock lock(mutex_);
    const Instant now = clock_.now();
    for (const auto& [id, exec] : execs_) {
        if (exec->due > now) continue;
        exec->due = Instant::never();
        if (exec->kill_sent) {
            if (!ending_) forced_ = exec->forced;
            ending_ = true;
            machine_->kill();  // its agent does not report: take the box
        } else {
            end_exec(*exec, EndReason::wall_time);
        }
    }
    std::erase_if(left_, [&](const auto& entry) {
        if (entry.second > now) return false;
        send_kill(entry.first, launcher::Scope::left);
        return true;
    });
}

}  // namespace sphere::guest
