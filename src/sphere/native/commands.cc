// Commands: from an ExecSpec to a message to the box's init, and what callers do to a running one.
#include <fcntl.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "sphere/launcher/channel.h"
#include "sphere/native/native_sphere.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

constexpr std::size_t kInputMax = 1 << 20;  // of write_stdin, not yet read by the command
constexpr std::chrono::seconds kStartMax{20};

std::map<std::string, std::string> environment_of(const Box& box, const ExecSpec& exec) {
    std::map<std::string, std::string> variables = {
        {"PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"},
        {"HOME", "/workspace"},
        {"USER", "box"},
        {"LANG", "C.UTF-8"}};
    if (exec.tty) variables["TERM"] = "xterm-256color";
    if (box.meter) {  // programs that know of proxies save themselves a look-up by these
        for (const char* name : {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"}) {
            variables[name] = fmt::format("http://127.0.0.1:{}", launcher::kHttpProxyPort);
        }
        for (const char* name : {"no_proxy", "NO_PROXY"})
            variables[name] = "localhost,127.0.0.1,::1";
    }
    for (const auto& [name, value] : box.spec.environment) variables[name] = value;
    for (const auto& [name, value] : exec.environment) variables[name] = value;
    for (const SecretValue& secret : box.secrets) {
        if (!secret.environment.empty()) variables[secret.environment] = secret.value;
    }
    return variables;
}

struct Words {
    std::string text;
    std::uint32_t argc = 0, envc = 0;
};

Result<Words> make_words(const Box& box, const ExecSpec& exec) {
    Words words;
    const auto add = [&](std::string_view word) {
        words.text += word;
        words.text += '\0';
    };
    add(exec.working_directory);
    for (const std::string& argument : exec.argv) add(argument);
    const auto environment = environment_of(box, exec);
    for (const auto& [name, value] : environment) add(name + "=" + value);
    words.argc = static_cast<std::uint32_t>(exec.argv.size());
    words.envc = static_cast<std::uint32_t>(environment.size());
    constexpr std::size_t kBytesMax = launcher::kMessageBytesMax - sizeof(launcher::Start);
    if (words.text.size() > kBytesMax) {
        return fail_on("argv", Code::payload_too_large,
                       "arguments and environment take {} bytes; at most {} go into a command: "
                       "put the rest into a file of the workspace or into stdin",
                       words.text.size(), kBytesMax);
    }
    if (exec.argv.size() > launcher::kWordsMax || environment.size() > launcher::kWordsMax) {
        return fail_on("argv", Code::payload_too_large,
                       "{} arguments and {} variables; at most {} of each go into a command",
                       exec.argv.size(), environment.size(), launcher::kWordsMax);
    }
    return words;
}

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

/// An error of the init's, told as a person would say it.
base::Error start_error(const launcher::StartFailed& failed, const ExecSpec& spec) {
    const std::string why = std::strerror(failed.error);
    if (failed.step == launcher::Step::execute) {
        const Code code = failed.error == ENOENT ? Code::not_found : Code::invalid_argument;
        return {code, fmt::format("{} cannot be run in the sandbox: {}", spec.argv[0], why),
                "argv[0]"};
    }
    if (failed.step == launcher::Step::directory) {
        return {Code::not_found,
                fmt::format("working_directory {}: {}", spec.working_directory, why),
                "working_directory"};
    }
    const bool full = failed.error == EAGAIN || failed.error == ENOMEM;
    return {full ? Code::resource_exhausted : Code::unavailable,
            fmt::format("{} was not started: {}: {}", spec.argv[0],
                        launcher::step_name(failed.step), why),
            {}};
}

}  // namespace

Result<void> NativeSphere::open_streams(Exec& exec, const ExecSpec& spec, int (&ends)[3]) {
    exec.input = spec.stdin_text;
    if (spec.tty) return open_terminal(exec, spec, ends);
    exec.input_ends = !spec.stdin_open;
    DG_TRY(open_pipe(exec.out.fd, ends[1], true));
    DG_TRY(open_pipe(exec.err.fd, ends[2], true));
    if (spec.stdin_open || !spec.stdin_text.empty()) return open_pipe(exec.in.fd, ends[0], false);
    ends[0] = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (ends[0] >= 0) return {};
    return fail(Code::unavailable, "/dev/null: {}", std::strerror(errno));
}

Result<void> NativeSphere::send_start(Box& box, Exec& exec, const ExecSpec& spec,
                                      const int (&ends)[3]) {
    const Words words = DG_TRY(make_words(box, spec));
    const Limits& limits = box.spec.limits;
    const Hierarchies& groups = groups_.hierarchies();
    auto message = launcher::make_message<launcher::Start>();
    message.exec = exec.id;
    message.argc = words.argc;
    message.envc = words.envc;
    message.words_bytes = static_cast<std::uint32_t>(words.text.size());
    message.head.bytes = static_cast<std::uint32_t>(sizeof(message) + words.text.size());
    message.open_files = limits.open_files_max;
    message.processes = limits.processes_max + 1;  // the init counts
    if (spec.cpu_timeout.count() > 0) {
        message.cpu_seconds = static_cast<std::uint64_t>(spec.cpu_timeout.count() + 999) / 1000;
    }
    if (!groups.limits_memory()) message.data_bytes = limits.memory_bytes;
    if (!groups.limits_cpu()) {
        message.processors = static_cast<std::uint32_t>(std::ceil(limits.cpus));
    }
    std::vector<int> fds(ends, ends + 3);
    base::UniqueFd group;
    if (box.groups.has_tree()) {
        group = DG_TRY(box.groups.make_exec_group(exec.id));
        exec.has_group = true;
        message.flags |= launcher::kExecGroup;
        fds.push_back(group.get());
    }
    if (spec.tty) message.flags |= launcher::kTerminal;
    message.head.descriptors = static_cast<std::uint32_t>(fds.size());
    std::vector<std::byte> packet(message.head.bytes);
    std::memcpy(packet.data(), &message, sizeof(message));
    std::memcpy(packet.data() + sizeof(message), words.text.data(), words.text.size());
    if (launcher::send_packet(box.init.fd.get(), packet, fds)) return {};
    return fail(Code::unavailable, "sandbox {} does not take commands: {}", box.id,
                std::strerror(errno));
}

Result<ExecId> NativeSphere::start(const SandboxId& id, const ExecSpec& spec, ExecSink& sink) {
    DG_TRY(check_exec(spec));
    Lock lock(mutex_);
    const BoxPtr box = DG_TRY(find(id));
    DG_TRY(check_stops(box->spec, id));
    if (box->ending || box->gone || box->paused) {
        return fail(Code::failed_precondition, "sandbox {} is {}; commands need it ready", id,
                    sandbox_state_name(box->state()));
    }
    auto made = std::make_unique<Exec>();
    Exec& exec = *made;
    exec.id = box->next_exec++;
    exec.sink = &sink;
    exec.tty = spec.tty;
    exec.wall_timeout = spec.wall_timeout;
    exec.cpu_timeout = spec.cpu_timeout;
    exec.output_max = spec.output_bytes_max;
    exec.oom_kills_before = box->groups.oom_kills();
    if (box->running() == 0) box->groups.reset_peak_memory();
    int ends[3] = {-1, -1, -1};
    auto sent = open_streams(exec, spec, ends);
    if (sent) sent = send_start(*box, exec, spec, ends);
    for (const int end : ends) {
        if (end >= 0) ::close(end);
    }
    if (!sent) {
        if (exec.has_group) box->groups.remove_exec_group(exec.id);
        return std::unexpected(std::move(sent).error());
    }
    exec.started_at = clock_.now();
    box->execs[exec.id] = std::move(made);
    ++box->execs_begun;
    box->used_at = exec.started_at;

    const ExecId number = exec.id;
    const bool told = box->changed.wait_for(lock, kStartMax, [&] {
        const auto at = box->execs.find(number);
        return at == box->execs.end() || at->second->phase != Exec::Phase::starting;
    });
    const auto at = box->execs.find(number);
    if (at == box->execs.end()) return number;  // began and ended meanwhile
    if (told && at->second->phase != Exec::Phase::refused) return number;
    base::Error error =
        at->second->error.value_or(base::Error{Code::unavailable, "the sandbox ended", {}});
    if (at->second->refusal) error = start_error(*at->second->refusal, spec);
    close_streams(*at->second);
    if (at->second->has_group) box->groups.remove_exec_group(number);
    box->execs.erase(at);
    box->changed.notify_all();
    if (!told) kill_box(*box, EndReason::stopped);  // an init that does not answer is no init
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
    exec.input += bytes;
    if (end_of_file && exec.tty) exec.input += '\x04';
    exec.input_ends = end_of_file && !exec.tty;
    want_input(box, exec);
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
