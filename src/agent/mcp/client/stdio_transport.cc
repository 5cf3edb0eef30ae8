#include "agent/mcp/client/stdio_transport.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace agent::mcp {
namespace {

using base::Code;
using base::Result;

constexpr std::size_t kPieceBytes = 64 << 10, kErrorsKept = 4 << 10;
constexpr std::chrono::milliseconds kAskEvery{200};

struct Pipe {
    base::UniqueFd read, write;
};

Result<Pipe> make_pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        return base::fail(Code::resource_exhausted, "pipe: {}", std::strerror(errno));
    }
    return Pipe{base::UniqueFd(ends[0]), base::UniqueFd(ends[1])};
}

/// A process in a group of its own, with these as its standard streams.
Result<pid_t> spawn(const StdioTransportOptions& options, int in, int out, int err) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_adddup2(&files, in, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
    if (!options.folder.empty()) {
        ::posix_spawn_file_actions_addchdir_np(&files, options.folder.c_str());
    }
    sigset_t none, standard;
    ::sigemptyset(&none);
    ::sigemptyset(&standard);
    for (const int signal : {SIGPIPE, SIGINT, SIGTERM}) ::sigaddset(&standard, signal);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &standard);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<char*> words, variables;
    for (const std::string& word : options.command)
        words.push_back(const_cast<char*>(word.c_str()));
    for (const std::string& one : options.environment) {
        variables.push_back(const_cast<char*>(one.c_str()));
    }
    words.push_back(nullptr);
    variables.push_back(nullptr);
    pid_t pid = -1;
    const int failed =
        ::posix_spawnp(&pid, words[0], &files, &attributes, words.data(), variables.data());
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
    if (failed == 0) return pid;
    const Code code = failed == ENOENT   ? Code::not_found
                      : failed == EACCES ? Code::permission_denied
                                         : Code::resource_exhausted;
    return base::fail(code, "cannot start '{}': {}{}", options.command[0], std::strerror(failed),
                      failed == ENOENT ? "; is it installed, and its folder in PATH?" : "");
}

}  // namespace

Result<std::unique_ptr<StdioTransport>> StdioTransport::start(StdioTransportOptions options) {
    if (options.command.empty() || options.command[0].empty()) {
        return base::fail(Code::invalid_argument, "which program? its name comes first");
    }
    std::unique_ptr<StdioTransport> made(new StdioTransport(std::move(options)));
    Pipe in = DG_TRY(make_pipe());
    Pipe out = DG_TRY(make_pipe());
    Pipe err = DG_TRY(make_pipe());
    made->waker_ = base::UniqueFd(::eventfd(0, EFD_CLOEXEC));
    made->pid_ = DG_TRY(spawn(made->options_, in.read.get(), out.write.get(), err.write.get()));
    made->in_ = std::move(in.write);
    ::fcntl(made->in_.get(), F_SETFL, O_NONBLOCK);
    made->out_ = std::move(out.read);
    made->err_ = std::move(err.read);
    made->reader_ = std::thread([self = made.get()] { self->read_lines(); });
    made->error_reader_ = std::thread([self = made.get()] { self->read_errors(); });
    return made;
}

StdioTransport::~StdioTransport() {
    close();
}

void StdioTransport::set_hear(std::function<void(const Message&)> hear) {
    const std::lock_guard lock(mutex_);
    hear_ = std::move(hear);
}

void StdioTransport::set_warn(std::function<void(const std::string&)> warn) {
    const std::lock_guard lock(mutex_);
    warn_ = std::move(warn);
}

void StdioTransport::read_errors() {
    std::string piece(kPieceBytes, '\0');
    for (;;) {
        pollfd waits[] = {{err_.get(), POLLIN, 0}, {waker_.get(), POLLIN, 0}};
        if (::poll(waits, 2, -1) < 0 && errno == EINTR) continue;
        // What it said until it was closed is read to the end; a grandchild may hold it open.
        if (waits[0].revents == 0) break;
        const ssize_t got = ::read(err_.get(), piece.data(), piece.size());
        if (got <= 0) break;
        const std::string_view said(piece.data(), static_cast<std::size_t>(got));
        if (options_.say_error) options_.say_error(said);
        const std::lock_guard lock(mutex_);
        last_errors_ += said;
        if (last_errors_.size() > kErrorsKept) {
            last_errors_.erase(0, last_errors_.size() - kErrorsKept);
        }
    }
    const std::lock_guard lock(mutex_);
    errors_over_ = true;
    changed_.notify_all();
}

void StdioTransport::read_lines() {
    std::string piece(kPieceBytes, '\0'), line;
    for (;;) {
        pollfd waits[] = {{out_.get(), POLLIN, 0}, {waker_.get(), POLLIN, 0}};
        if (::poll(waits, 2, -1) < 0 && errno == EINTR) continue;
        if (waits[1].revents != 0) return broke({Code::cancelled, "the client is closed", ""});
        const ssize_t got = ::read(out_.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            return broke({Code::unavailable,
                          fmt::format("'{}' ended or closed its output", options_.command[0]), ""});
        }
        std::string_view rest(piece.data(), static_cast<std::size_t>(got));
        while (!rest.empty()) {
            const std::size_t end = rest.find('\n');
            line += rest.substr(0, end);
            if (line.size() > options_.message_bytes_max) {
                return broke({Code::payload_too_large,
                              fmt::format("a message of '{}' is over {} bytes", options_.command[0],
                                          options_.message_bytes_max),
                              ""});
            }
            if (end == std::string_view::npos) break;
            rest.remove_prefix(end + 1);
            take_line(line);
            line.clear();
        }
    }
}

void StdioTransport::take_line(std::string_view line) {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
    const auto value = base::parse_json(line);
    auto message = value ? read_message(*value) : Result<Message>(std::unexpected(value.error()));
    std::unique_lock lock(mutex_);
    const auto hear = hear_;
    const auto warn = warn_;
    if (!message) {
        const bool enough = ++bad_lines_ > options_.bad_lines_max;
        lock.unlock();
        if (!enough) {
            return warn(
                fmt::format("left out a line that is no message ({})", message.error().message));
        }
        return broke({Code::data_loss,
                      fmt::format("'{}' wrote {} lines that are no messages; does it speak MCP on "
                                  "its standard output?",
                                  options_.command[0], options_.bad_lines_max),
                      ""});
    }
    if (message->kind != Message::Kind::response) {
        lock.unlock();
        return hear(*message);
    }
    const auto found = waiting_.find(json::serialize(message->id));
    if (found != waiting_.end()) {
        found->second = std::move(message->outcome);
        changed_.notify_all();
        return;
    }
    lock.unlock();
    warn("left out an answer to what nobody asked, or asks no more");
}

void StdioTransport::broke(base::Error why) {
    std::unique_lock lock(mutex_);
    // Its last words usually say why; they may still be on their way.
    changed_.wait_for(lock, options_.patience, [this] { return errors_over_ || closed_; });
    if (!last_errors_.empty() && why.code != Code::cancelled) {
        std::string said;
        for (const char c : last_errors_) said += c == '\n' || (c >= ' ' && c <= '~') ? c : ' ';
        while (said.ends_with('\n')) said.pop_back();
        constexpr std::size_t kShown = 600;
        if (said.size() > kShown) said = "..." + said.substr(said.size() - kShown);
        why.message += "; it said: " + said;
    }
    if (!broken_) broken_ = std::move(why);
    changed_.notify_all();
}

Result<void> StdioTransport::write(const json::object& message) {
    const std::string line = base::to_text(message) + "\n";
    const std::lock_guard lock(write_mutex_);
    for (std::string_view rest = line; !rest.empty();) {
        if (!in_) return base::fail(Code::cancelled, "the client is closed");
        const ssize_t put = ::write(in_.get(), rest.data(), rest.size());
        if (put >= 0) {
            rest.remove_prefix(static_cast<std::size_t>(put));
            continue;
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN) {
            pollfd waits[] = {{in_.get(), POLLOUT, 0}, {waker_.get(), POLLIN, 0}};
            ::poll(waits, 2, -1);
            if (waits[1].revents != 0) return base::fail(Code::cancelled, "the client is closed");
            continue;
        }
        // Who does not read has mostly ended: its reader finds out, and what it said last.
        const std::string fault = std::strerror(errno);
        std::unique_lock why(mutex_);
        changed_.wait_for(why, 2 * options_.patience, [this] { return broken_.has_value(); });
        if (broken_) return std::unexpected(*broken_);
        return base::fail(Code::unavailable, "'{}' does not read what it is asked: {}",
                          options_.command[0], fault);
    }
    return {};
}

Result<Answer> StdioTransport::ask(const Outgoing& request, const Stop& stop) {
    const std::string id = json::serialize(request.message.at("id"));
    {
        const std::lock_guard lock(mutex_);
        if (broken_) return std::unexpected(*broken_);
        waiting_[id] = std::nullopt;
    }
    auto written = write(request.message);
    std::unique_lock lock(mutex_);
    std::optional<base::Error> why;
    if (!written) why = std::move(written).error();
    while (!why && !waiting_[id]) {
        if (broken_) {
            why = *broken_;
            break;
        }
        changed_.wait_for(lock, kAskEvery, [&] { return waiting_[id] || broken_; });
        if (waiting_[id] || broken_) continue;
        lock.unlock();
        why = stop();
        lock.lock();
    }
    auto outcome = std::move(waiting_[id]);
    waiting_.erase(id);
    if (outcome) return Answer{*std::move(outcome), 200};
    return std::unexpected(*std::move(why));
}

Result<void> StdioTransport::tell(const Outgoing& message) {
    return write(message.message);
}

bool StdioTransport::ended() {
    // A descriptor that becomes readable when the process has ended: no polling.
    const base::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!process) return ::waitpid(pid_, nullptr, WNOHANG) != 0;
    pollfd wait{process.get(), POLLIN, 0};
    int ready = 0;
    do {
        ready = ::poll(&wait, 1, static_cast<int>(options_.patience.count()));
    } while (ready < 0 && errno == EINTR);
    if (ready <= 0) return false;
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    return true;
}

void StdioTransport::close() {
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        closed_ = true;
        if (!broken_) broken_ = base::Error{Code::cancelled, "the client is closed", ""};
    }
    changed_.notify_all();
    if (pid_ > 0) {
        {
            // A writer that waits for a server that does not read holds the lock: it is woken
            // below.
            const std::unique_lock lock(write_mutex_, std::try_to_lock);
            if (lock) in_.reset();
        }
        if (!ended()) {
            ::kill(-pid_, SIGTERM);
            if (!ended()) {
                ::kill(-pid_, SIGKILL);
                while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
                }
            }
        }
        ::kill(-pid_, SIGKILL);  // what it started and left behind
    }
    if (waker_) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto put = ::write(waker_.get(), &one, sizeof(one));
    }
    if (reader_.joinable()) reader_.join();
    if (error_reader_.joinable()) error_reader_.join();
}

}  // namespace agent::mcp
