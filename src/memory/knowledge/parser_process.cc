#include "memory/knowledge/parser_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/files/unique_fd.h"

extern "C" {
extern const char dg_document_worker_begin[];
extern const char dg_document_worker_end[];
}

namespace memory::knowledge {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::UniqueFd;
using Time = std::chrono::steady_clock;

constexpr int kInput = 3, kProgram = 4;  // as the worker knows them
constexpr int kHigh = 16;                // ours are above, so that none is written over
constexpr std::size_t kAnswerBytesMax = 1u << 29;

UniqueFd high(int fd) {
    const UniqueFd low(fd);
    return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, kHigh));
}

Result<UniqueFd> file_of(const char* name, std::initializer_list<std::string_view> parts) {
    UniqueFd file = high(::memfd_create(name, MFD_CLOEXEC));
    if (!file) {
        return fail(Code::resource_exhausted, "no memory for {}: {}", name, std::strerror(errno));
    }
    for (std::string_view rest : parts) {
        while (!rest.empty()) {
            const auto wrote = ::write(file.get(), rest.data(), rest.size());
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote <= 0) {
                return fail(Code::resource_exhausted, "no memory for {}: {}", name,
                            std::strerror(errno));
            }
            rest.remove_prefix(static_cast<std::size_t>(wrote));
        }
    }
    return file;
}

/// A started worker. Ends it when nobody waited for it.
class Child {
public:
    static Result<Child> start(int program, int input, int output) {
        Child child;
        const std::string path = "/proc/self/fd/" + std::to_string(kProgram);
        std::array<char*, 2> arguments = {const_cast<char*>("dougong-document"), nullptr};
        std::array<char*, 3> environment = {const_cast<char*>("LANG=C.UTF-8"),
                                            const_cast<char*>("PATH=/usr/bin:/bin"), nullptr};
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions, output, 1);
        ::posix_spawn_file_actions_adddup2(&actions, input, kInput);
        ::posix_spawn_file_actions_adddup2(&actions, program, kProgram);
        ::posix_spawn_file_actions_addclosefrom_np(&actions, kProgram + 1);
        posix_spawnattr_t attributes;
        ::posix_spawnattr_init(&attributes);
        sigset_t none;
        ::sigemptyset(&none);
        ::posix_spawnattr_setsigmask(&attributes, &none);
        // A group of its own, so that a program it started ends with it.
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
        const int error = ::posix_spawn(&child.id_, path.c_str(), &actions, &attributes,
                                        arguments.data(), environment.data());
        ::posix_spawnattr_destroy(&attributes);
        ::posix_spawn_file_actions_destroy(&actions);
        if (error == 0) return child;
        child.id_ = -1;
        return fail(Code::resource_exhausted, "cannot start the parser's process: {}",
                    std::strerror(error));
    }
    Child(Child&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
    Child& operator=(Child&&) = delete;
    ~Child() {
        if (id_ > 0) end();
    }

    void kill() const { ::kill(-id_, SIGKILL); }
    int wait() {
        int status = 0;
        while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
        }
        id_ = -1;
        return status;
    }

private:
    Child() = default;
    void end() {
        kill();
        wait();
    }
    pid_t id_ = -1;
};

/// Until the worker closes its end. Errors: deadline_exceeded, data_loss (too much).
Result<std::string> read_until(int fd, Time::time_point deadline) {
    std::string answer;
    char block[64u << 10];
    for (;;) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Time::now()).count();
        pollfd one{fd, POLLIN, 0};
        const int ready = left <= 0 ? 0 : ::poll(&one, 1, static_cast<int>(left));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return fail(Code::deadline_exceeded, "no answer in time");
        const auto got = ::read(fd, block, sizeof(block));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return answer;
        answer.append(block, static_cast<std::size_t>(got));
        if (answer.size() > kAnswerBytesMax) {
            return fail(Code::payload_too_large, "the parser's answer has no end");
        }
    }
}

std::unexpected<base::Error> died(int status) {
    constexpr int kNoLibrary = 127;
    if (WIFEXITED(status) && WEXITSTATUS(status) == kNoLibrary) {
        return fail(Code::failed_precondition,
                    "the parser's process cannot start; install the packages libpoppler-cpp0v5, "
                    "libarchive13 and libpugixml1v5");
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU) {
        return fail(Code::deadline_exceeded, "the document takes too long to read");
    }
    if (WIFSIGNALED(status)) {
        return fail(Code::invalid_argument,
                    "the parser died on this document ({}); open it in its own program and save it "
                    "again",
                    ::sigdescr_np(WTERMSIG(status)));
    }
    return fail(Code::internal, "the parser's process ended with status {}", WEXITSTATUS(status));
}

class ParserProcess final : public DocumentParser {
public:
    explicit ParserProcess(ParserProcessOptions options) : options_(options) {}

    Result<Parsed> parse(std::string_view bytes, const ParseRequest& request) override {
        const UniqueFd program =
            DG_TRY(file_of("dougong-document",
                           {std::string_view(dg_document_worker_begin,
                                             static_cast<std::size_t>(dg_document_worker_end -
                                                                      dg_document_worker_begin))}));
        const UniqueFd input = DG_TRY(file_of("document", {encode_request(request), "\n", bytes}));
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) {
            return fail(Code::resource_exhausted, "no pipe to the parser: {}",
                        std::strerror(errno));
        }
        const UniqueFd out(ends[0]);
        UniqueFd in = high(ends[1]);
        Child child = DG_TRY(Child::start(program.get(), input.get(), in.get()));
        in.reset();
        auto answer = read_until(out.get(), Time::now() + options_.time_max);
        if (!answer) child.kill();
        const int status = child.wait();
        if (!answer && answer.error().code == Code::deadline_exceeded) {
            return fail(Code::deadline_exceeded,
                        "the document was not read within {} s; split it or make it simpler",
                        options_.time_max.count() / 1000);
        }
        if (!answer) return std::unexpected(std::move(answer).error());
        if (status != 0) return died(status);
        Parsed parsed = DG_TRY(decode_answer(*answer));
        DG_TRY(check_parsed(parsed, request.text_bytes_max));
        return parsed;
    }

private:
    const ParserProcessOptions options_;
};

}  // namespace

std::unique_ptr<DocumentParser> make_parser_process(ParserProcessOptions options) {
    return std::make_unique<ParserProcess>(options);
}

}  // namespace memory::knowledge
