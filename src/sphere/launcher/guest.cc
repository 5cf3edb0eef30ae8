#include "sphere/launcher/guest.h"

#include <linux/filter.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "sphere/launcher/box_init.h"
#include "sphere/launcher/guest_setup.h"
#include "sphere/launcher/kernel.h"
#include "sphere/launcher/reaper.h"

namespace sphere::launcher {
namespace {

constexpr std::size_t kPipeBytesMax = 1 << 20;

/// A command and what is left of its streams. A terminal is both `in` and `out`.
struct Job {
    std::uint64_t exec = 0;
    bool used = false, terminal = false, input_ends = false;
    pid_t pid = 0;  ///< 0: it has ended; what it started may still hold the streams
    int in = -1, out = -1, err = -1;
    std::size_t waiting = 0;  ///< bytes of `input` not yet written
    char input[kInputWindow];
};

struct Agent {
    int in = -1, out = -1, children = -1;
    bool machine = false, ready = false;
    Outcome* child_outcome = nullptr;  ///< shared with a child until it executes
};

Job jobs[kExecsMax];
alignas(8) std::byte received[2 * kMessageBytesMax];
alignas(8) std::byte piece[sizeof(Output) + kStreamPiece];
Command command;
Resize next_size;  ///< of a terminal whose command has not begun
sock_filter filter_code[kFilterMax];
sock_fprog filter{0, filter_code};

[[noreturn]] void end(const Agent& agent) {
    if (agent.machine) ::reboot(RB_AUTOBOOT);
    ::_exit(0);
}

void send_bytes(const Agent& agent, const std::byte* bytes, std::size_t count) {
    while (count > 0) {
        const ssize_t put = ::write(agent.out, bytes, count);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && errno == EAGAIN) {  // gVisor says so of a full stream that blocks
            pollfd room{agent.out, POLLOUT, 0};
            ::poll(&room, 1, -1);
            continue;
        }
        if (put <= 0) end(agent);  // the server is gone, and with it every use of this
        bytes += put;
        count -= static_cast<std::size_t>(put);
    }
}

template <class Message>
void send(const Agent& agent, const Message& message) {
    send_bytes(agent, reinterpret_cast<const std::byte*>(&message), sizeof(message));
}

void close_fd(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
}

void release(Job& job) {
    if (job.in != job.out) close_fd(job.in);
    job.in = -1;
    close_fd(job.out);
    close_fd(job.err);
    job.used = false;
    job.waiting = 0;
}

Job* find(std::uint64_t exec) {
    for (Job& job : jobs) {
        if (job.used && job.exec == exec) return &job;
    }
    return nullptr;
}

/// A free place, or one whose command has ended and only left somebody holding its streams.
Job* free_place() {
    for (Job& job : jobs) {
        if (!job.used) return &job;
    }
    for (Job& job : jobs) {
        if (job.pid != 0) continue;
        release(job);
        return &job;
    }
    return nullptr;
}

void refuse(const Agent& agent, std::uint64_t exec, Outcome outcome) {
    auto answer = make_message<StartFailed>();
    answer.exec = exec;
    answer.step = outcome.step;
    answer.error = outcome.error;
    send(agent, answer);
}

bool make_pipe(int& ours, int& theirs, bool we_read) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    ours = ends[we_read ? 0 : 1];
    theirs = ends[we_read ? 1 : 0];
    ::fcntl(ours, F_SETFL, O_NONBLOCK);
    return true;
}

bool make_terminal(Job& job, int (&theirs)[3]) {
    const int master = ::open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0) return false;
    job.in = job.out = master;
    int number = 0, unlocked = 0;
    char name[32];
    if (::ioctl(master, TIOCSPTLCK, &unlocked) != 0 || ::ioctl(master, TIOCGPTN, &number) != 0) {
        return false;
    }
    std::snprintf(name, sizeof(name), "/dev/pts/%d", number);
    for (int& fd : theirs) {
        fd = ::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (fd < 0) return false;
    }
    if (next_size.exec == job.exec) {
        const winsize size{next_size.rows, next_size.columns, 0, 0};
        ::ioctl(master, TIOCSWINSZ, &size);
    }
    // Not before: the agent has no capability to open what is another user's.
    if (::geteuid() == 0) static_cast<void>(::chown(name, kInsideId, kInsideId));
    ::fcntl(master, F_SETFL, O_NONBLOCK);
    return true;
}

bool make_streams(Job& job, int (&theirs)[3]) {
    if (job.terminal) return make_terminal(job, theirs);
    return make_pipe(job.in, theirs[0], false) && make_pipe(job.out, theirs[1], true) &&
           make_pipe(job.err, theirs[2], true);
}

void start_command(Agent& agent, const Start& start) {
    Job* const place = free_place();
    if (place == nullptr) return refuse(agent, start.exec, {Step::table_full, EAGAIN});
    Job& job = *place;
    job.exec = start.exec;
    job.terminal = (start.flags & kTerminal) != 0;
    job.input_ends = false;
    int theirs[3] = {-1, -1, -1};
    Outcome outcome;
    if (!make_streams(job, theirs)) outcome = failed(Step::descriptors);
    long pid = -1;
    if (outcome) {
        *agent.child_outcome = {};
        // Its memory is a copy; we wait until it has executed or failed.
        pid = ::syscall(SYS_clone, CLONE_VFORK | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
        if (pid == 0) {
            Outcome child = become_guest_user();
            if (child) child = become_command(start, command, theirs, &filter);
            *agent.child_outcome = child;
            ::_exit(127);
        }
        outcome = pid < 0 ? failed(Step::clone) : *agent.child_outcome;
    }
    for (int& fd : theirs) close_fd(fd);
    if (!outcome) {
        release(job);
        return refuse(agent, start.exec, outcome);
    }
    job.used = true;
    job.pid = static_cast<pid_t>(pid);
    auto answer = make_message<Started>();
    answer.exec = start.exec;
    send(agent, answer);
}

void give_input(const Agent& agent, Job& job) {
    std::size_t written = 0;
    while (written < job.waiting && job.in >= 0) {
        const ssize_t put = ::write(job.in, job.input + written, job.waiting - written);
        if (put < 0 && (errno == EAGAIN || errno == EINTR)) break;
        if (put <= 0) {  // nobody reads any more
            written = job.waiting;
            job.input_ends = true;
            break;
        }
        written += static_cast<std::size_t>(put);
    }
    if (job.in < 0) written = job.waiting;
    std::memmove(job.input, job.input + written, job.waiting - written);
    job.waiting -= written;
    if (written > 0) {
        auto taken = make_message<InputTaken>();
        taken.exec = job.exec;
        taken.bytes = written;
        send(agent, taken);
    }
    if (job.waiting == 0 && job.input_ends && !job.terminal) close_fd(job.in);
}

void take_input(const Agent& agent, const Input& input, std::span<const std::byte> bytes) {
    Job* const job = find(input.exec);
    if (job == nullptr) return;
    const std::size_t room = sizeof(job->input) - job->waiting;
    const std::size_t count = bytes.size() < room ? bytes.size() : room;
    std::memcpy(job->input + job->waiting, bytes.data(), count);
    job->waiting += count;
    job->input_ends = job->input_ends || input.ends != 0;
    give_input(agent, *job);
}

/// Sends one piece of what a stream holds. False when it holds none for now.
bool pass_output(const Agent& agent, Job& job, bool errors) {
    int& fd = errors ? job.err : job.out;
    if (fd < 0) return false;
    const ssize_t got = ::read(fd, piece + sizeof(Output), kStreamPiece);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {  // a terminal says EIO
        if (job.in == fd) job.in = -1;
        close_fd(fd);
        return false;
    }
    if (job.pid == 0) return true;  // of what outlived the command: read, and let go
    auto output = make_message<Output>();
    output.exec = job.exec;
    output.errors = errors ? 1 : 0;
    output.head.bytes = static_cast<std::uint32_t>(sizeof(Output) + static_cast<std::size_t>(got));
    std::memcpy(piece, &output, sizeof(Output));
    send_bytes(agent, piece, output.head.bytes);
    return true;
}

std::uint64_t microseconds(const timeval& time) {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 +
           static_cast<std::uint64_t>(time.tv_usec);
}

/// How often this kernel has killed for want of memory; 0 where it does not say.
std::uint64_t oom_kills() {
    static char text[16 * 1024];
    const int file = ::open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    const ssize_t got = ::read(file, text, sizeof(text) - 1);
    ::close(file);
    text[got > 0 ? got : 0] = '\0';
    const char* const at = std::strstr(text, "oom_kill ");
    return at == nullptr ? 0 : std::strtoull(at + 9, nullptr, 10);
}

void report_end(const Agent& agent, Job& job, int status, const rusage& usage) {
    static std::uint64_t oom_seen = 0;
    for (std::size_t i = 0; i < kPipeBytesMax / 4096 && pass_output(agent, job, false); ++i) {
    }
    for (std::size_t i = 0; i < kPipeBytesMax / 4096 && pass_output(agent, job, true); ++i) {
    }
    auto told = make_message<Exited>();
    told.exec = job.exec;
    told.wait_status = status;
    told.cpu_us = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
    told.resident_bytes_max = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
    const std::uint64_t oom_now = agent.machine ? oom_kills() : 0;
    told.out_of_memory = oom_now != oom_seen ? 1 : 0;
    oom_seen = oom_now;
    job.pid = 0;
    if (job.in != job.out) close_fd(job.in);
    if (job.out < 0 && job.err < 0) release(job);
    send(agent, told);
}

void reap(const Agent& agent) {
    reap_children(agent.children, [&](pid_t pid, int status, const rusage& usage) {
        for (Job& job : jobs) {
            if (job.used && job.pid == pid) report_end(agent, job, status, usage);
        }
    });
}

void pass_signal(const Signal& signal) {
    const Job* const left = signal.scope == Scope::left ? find(signal.exec) : nullptr;
    if (signal.scope == Scope::left && (left == nullptr || left->pid != 0)) return;
    if (signal.scope != Scope::group) {
        if (::getpid() == 1) ::kill(-1, signal.number);  // or it would be for the whole host
        for (const Job& job : jobs) {
            if (job.used && job.pid != 0) ::kill(-job.pid, signal.number);
        }
        return;
    }
    const Job* const job = find(signal.exec);
    if (job != nullptr && job->pid != 0) ::kill(-job->pid, signal.number);
}

/// Without a filter there is no box, whatever kernel this is.
Outcome take_filter(const GuestSetup& setup, std::span<const std::byte> code) {
    if (setup.filter_count == 0 || setup.filter_count > kFilterMax ||
        code.size() != setup.filter_count * sizeof(sock_filter)) {
        return {Step::message, EINVAL};
    }
    std::memcpy(filter_code, code.data(), code.size());
    filter.len = static_cast<unsigned short>(setup.filter_count);
    return ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0 ? Outcome{} : failed(Step::seccomp);
}

void set_up(Agent& agent, const GuestSetup& setup, std::span<const std::byte> code) {
    Outcome outcome = take_filter(setup, code);
    if (outcome) outcome = set_up_guest(setup);
    if (!outcome) {
        auto told = make_message<SetupFailed>();
        told.step = outcome.step;
        told.error = outcome.error;
        send(agent, told);
        return end(agent);
    }
    agent.ready = true;
    send(agent, make_message<Ready>());
}

void handle(Agent& agent, std::span<std::byte> packet) {
    GuestSetup setup;
    Start start;
    Input input;
    Signal signal;
    Resize resize;
    if (!agent.ready) {
        if (read_message(packet, setup)) set_up(agent, setup, packet.subspan(sizeof(setup)));
        return;
    }
    if (read_message(packet, start)) {
        if (read_command(packet, start, command)) {
            start_command(agent, start);
        } else {
            refuse(agent, start.exec, {Step::message, EINVAL});
        }
    } else if (read_message(packet, input)) {
        take_input(agent, input, packet.subspan(sizeof(Input)));
    } else if (read_message(packet, signal)) {
        pass_signal(signal);
    } else if (read_message(packet, resize)) {
        const Job* const job = find(resize.exec);
        if (job == nullptr) next_size = resize;
        const winsize size{resize.rows, resize.columns, 0, 0};
        if (job != nullptr && job->terminal && job->out >= 0) {
            ::ioctl(job->out, TIOCSWINSZ, &size);
        }
    }
}

int serve(Agent& agent) {
    agent.children = watch_children();
    void* const shared =
        ::mmap(nullptr, sizeof(Outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (agent.children < 0 || shared == MAP_FAILED) return 1;
    agent.child_outcome = static_cast<Outcome*>(shared);
    PacketCutter cutter(received);
    send(agent, make_message<Configured>());
    for (;;) {
        pollfd waits[2 + 3 * kExecsMax];
        nfds_t count = 0;
        waits[count++] = {agent.in, POLLIN, 0};
        waits[count++] = {agent.children, POLLIN, 0};
        for (const Job& job : jobs) {  // three places each, -1 being nobody's
            const bool writes = job.used && job.waiting > 0;
            const bool both = job.terminal && writes;
            waits[count++] = {job.used ? job.out : -1,
                              static_cast<short>(POLLIN | (both ? POLLOUT : 0)), 0};
            waits[count++] = {job.used ? job.err : -1, POLLIN, 0};
            waits[count++] = {writes && !job.terminal ? job.in : -1, POLLOUT, 0};
        }
        if (::poll(waits, count, -1) < 0 && errno != EINTR) return 1;
        for (std::size_t i = 0; i < kExecsMax; ++i) {
            Job& job = jobs[i];
            const pollfd* const polled = waits + 2 + 3 * i;
            if (!job.used) continue;
            if (((polled[0].revents | polled[2].revents) & (POLLOUT | POLLERR)) != 0) {
                give_input(agent, job);
            }
            if ((polled[0].revents & ~POLLOUT) != 0) pass_output(agent, job, false);
            if (polled[1].revents != 0) pass_output(agent, job, true);
            if (job.pid == 0 && job.out < 0 && job.err < 0) release(job);
        }
        if (waits[1].revents != 0) reap(agent);
        if (waits[0].revents == 0) continue;
        const auto room = cutter.room();
        const ssize_t got = ::read(agent.in, room.data(), room.size());
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got <= 0) end(agent);
        cutter.add(static_cast<std::size_t>(got));
        for (auto packet = cutter.next(); !packet.empty(); packet = cutter.next()) {
            handle(agent, packet);
        }
        if (cutter.unsound()) end(agent);
    }
}

int open_line(const char* path) {
    const int line = ::open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    termios settings;
    if (line >= 0 && ::tcgetattr(line, &settings) == 0) {
        ::cfmakeraw(&settings);
        ::tcsetattr(line, TCSANOW, &settings);
    }
    return line;
}

int accept_machine_socket(const char* port) {
    const int listener = ::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_vm address{};
    address.svm_family = AF_VSOCK;
    address.svm_cid = VMADDR_CID_ANY;
    address.svm_port = static_cast<unsigned>(std::strtoul(port, nullptr, 10));
    if (listener < 0 ||
        ::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        ::listen(listener, 1) != 0) {
        return -1;
    }
    const int stream = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    ::close(listener);
    return stream;
}

}  // namespace

int run_guest(int argc, char** argv) {
    static Agent agent;
    const char* const kind = argc > 0 ? argv[0] : "";
    if (std::strcmp(kind, "stdio") == 0) {
        // Moved away from where a command's own streams go.
        agent.in = ::fcntl(0, F_DUPFD_CLOEXEC, 16);
        agent.out = ::fcntl(1, F_DUPFD_CLOEXEC, 16);
        const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
        ::close(null);
    } else if (argc > 1) {
        agent.machine = true;
        ::mkdir("/dev", 0755);
        ::mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=755");
        const bool line = std::strcmp(kind, "tty") == 0;
        agent.in = agent.out = line ? open_line(argv[1]) : accept_machine_socket(argv[1]);
    }
    if (agent.in < 0 || agent.out < 0) end(agent);
    return serve(agent);
}

}  // namespace sphere::launcher
