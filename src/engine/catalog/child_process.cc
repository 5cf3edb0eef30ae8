#include "engine/catalog/child_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/files/file_error.h"
#include "base/files/unique_fd.h"

namespace engine {

using base::Code;
using base::fail_errno;
using base::fail_on;
using base::Result;

namespace {

constexpr auto kPollPeriod = std::chrono::milliseconds(100);

std::vector<std::string> merged_environment(const ChildSpec& spec) {
    std::vector<std::string> merged;
    for (const auto& [name, value] : spec.environment) merged.push_back(name + "=" + value);
    for (char** at = environ; *at != nullptr; ++at) {
        const std::string_view entry(*at);
        const std::string_view name = entry.substr(0, entry.find('='));
        bool replaced = false;
        for (const auto& [ours, value] : spec.environment) replaced |= ours == name;
        if (!replaced) merged.emplace_back(entry);
    }
    return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (std::string& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

/// Everything the child does before it becomes another program. Only calls that are safe after
/// fork in a process with threads.
[[noreturn]] void become(char* const* arguments, char* const* environment, int output,
                         int error_pipe) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    // A server's sockets would outlive it in a child: its port stayed taken after a kill.
    ::close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    ::execvpe(arguments[0], arguments, environment);
    const int code = errno;
    static_cast<void>(!::write(error_pipe, &code, sizeof(code)));
    ::_exit(127);
}

int exit_status_of(int wait_status) {
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

}  // namespace

Result<int> run_child(const ChildSpec& spec, const std::function<bool()>& keep_going) {
    const base::UniqueFd output(
        ::open(spec.output_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!output) return fail_errno(errno, "create", spec.output_path);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return fail_errno(errno, "open a pipe for", spec.arguments[0]);
    const base::UniqueFd read_end(ends[0]);
    base::UniqueFd write_end(ends[1]);
    std::vector<std::string> arguments = spec.arguments;
    std::vector<std::string> environment = merged_environment(spec);
    const std::vector<char*> argument_pointers = pointers(arguments);
    const std::vector<char*> environment_pointers = pointers(environment);
    const pid_t child = ::fork();
    if (child < 0) return fail_errno(errno, "start", spec.arguments[0]);
    if (child == 0) {
        become(argument_pointers.data(), environment_pointers.data(), output.get(),
               write_end.get());
    }
    write_end.reset();
    int exec_error = 0;
    // Returns at once: the pipe closes when exec succeeds.
    const bool not_started = ::read(read_end.get(), &exec_error, sizeof(exec_error)) > 0;
    int status = 0;
    bool cancelled = false;
    while (::waitpid(child, &status, cancelled || not_started ? 0 : WNOHANG) == 0) {
        if (keep_going && !keep_going()) {
            cancelled = true;
            ::kill(-child, SIGKILL);
        } else {
            std::this_thread::sleep_for(kPollPeriod);
        }
    }
    if (not_started) {
        return fail_on(spec.arguments[0], Code::failed_precondition, "cannot start {}: {}",
                       spec.arguments[0], std::generic_category().message(exec_error));
    }
    if (cancelled)
        return fail_on(spec.arguments[0], Code::cancelled, "{} was stopped", spec.arguments[0]);
    return exit_status_of(status);
}

}  // namespace engine
