#pragma once
// Live sessions: an interpreter that stays, as a notebook has one. What a cell defines the next one
// finds. Works over any Sphere: a session is a command of a box, and dies with it.
//
//   SessionManager sessions(sphere, clock);
//   const SessionInfo session = DG_TRY(sessions.open(box, Language::python));
//   const CellResult two = DG_TRY(sessions.run(box, session.id, {.code = "1 + 1"}));

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "sphere/session/driver.h"
#include "sphere/sphere.h"

namespace sphere {

using SessionId = ExecId;  ///< unique within its box

struct SessionInfo {
    SessionId id = 0;
    SandboxId sandbox;
    Language language = Language::python;
    std::string version;  ///< of the interpreter
    enum class State : std::uint8_t { starting, idle, running, ended } state = State::starting;
    std::string end_reason;   ///< of an ended one, for people
    std::uint64_t cells = 0;  ///< begun, also by the one it was forked from
    SessionId forked_from = 0;
};
std::string_view session_state_name(SessionInfo::State state);

struct CellSpec {
    std::string code;                             ///< at most kCodeMax bytes
    std::chrono::milliseconds wall_timeout{0};    ///< then interrupted, then ended; 0: none
    std::uint64_t output_bytes_max = 1ull << 20;  ///< stdout and stderr together; then cut, told
};

enum class CellStatus : std::uint8_t {
    ok,
    error,        ///< the code failed; see error
    interrupted,  ///< by interrupt()
    timed_out,    ///< by wall_timeout; the session lives if the code heeded the interrupt
    ended,        ///< the session ended under it; see error.message
};
std::string_view cell_status_name(CellStatus status);

struct CellResult {
    std::uint64_t number = 0;
    CellStatus status = CellStatus::ok;
    struct Error {
        std::string name, message, traceback;
    } error;
    std::string result_text;  ///< of the last expression, text/plain; empty: it had no value
    std::string result_json;  ///< the same as JSON, when it is such a value
    bool result_truncated = false;
    int exit_code = 0;  ///< of a bash cell's last command
    std::uint64_t output_bytes = 0, output_dropped = 0;
    std::chrono::microseconds wall{0};
};

/// Hears of one cell, in order, on a thread of the sphere or of the manager, never under a lock.
class CellSink {
public:
    virtual ~CellSink() = default;
    virtual void on_output(Stream stream, std::string_view bytes) = 0;
    /// Once, last.
    virtual void on_result(const CellResult& result) = 0;
};

namespace session {
class Session;
}

/// Thread-safe. Outlived by its Sphere; sessions that still run end with their boxes.
class SessionManager {
public:
    static constexpr std::size_t kCodeMax = 512 << 10;
    static constexpr std::size_t kPerSandboxMax = 16;

    /// `python_modules`: see session::driver_command; the sphere's warm_commands should have the
    /// same.
    SessionManager(Sphere& sphere, const base::Clock& clock,
                   std::vector<std::string> python_modules = session::kPythonModules);
    ~SessionManager();

    /// Starts the interpreter and waits until it is ready. Errors: as Sphere::start; not_found
    /// where the box has no such interpreter; resource_exhausted at kPerSandboxMax.
    base::Result<SessionInfo> open(const SandboxId& box, Language language);

    /// A second session in the same box that knows all the first one does: memory is copied, page
    /// by page when one of the two writes; open files and the workspace are shared; random
    /// generators are seeded anew. Threads are not copied: a session that has any is refused.
    /// Errors: not_found; unimplemented but for python and isolation full; failed_precondition with
    /// the reason; resource_exhausted at kPerSandboxMax.
    base::Result<SessionInfo> fork(const SandboxId& box, SessionId id);

    /// Begins a cell; `sink` hears the rest. Errors: not_found; invalid_argument;
    /// failed_precondition while another cell runs, or when the session has ended.
    base::Result<void> start(const SandboxId& box, SessionId id, const CellSpec& cell,
                             std::shared_ptr<CellSink> sink);
    struct Output {
        CellResult result;
        std::string out, err;
    };
    /// start, and wait for the end.
    base::Result<Output> run(const SandboxId& box, SessionId id, const CellSpec& cell);

    /// Stops the running cell and keeps the session; nothing when none runs.
    base::Result<void> interrupt(const SandboxId& box, SessionId id);
    /// Ends the interpreter and forgets the session.
    base::Result<void> close(const SandboxId& box, SessionId id);
    base::Result<SessionInfo> info(const SandboxId& box, SessionId id) const;
    /// Of one box; sessions of boxes that are gone are forgotten.
    std::vector<SessionInfo> list(const SandboxId& box) const;

private:
    using Key = std::pair<SandboxId, SessionId>;
    using SessionPtr = std::shared_ptr<session::Session>;

    base::Result<SessionPtr> find(const SandboxId& box, SessionId id) const;
    void forget_gone();
    base::Result<void> check_room(const SandboxId& box) const;
    void run_timer();

    Sphere& sphere_;
    const base::Clock& clock_;
    const std::vector<std::string> python_modules_;

    mutable std::mutex mutex_;  // guards the rest
    std::map<Key, SessionPtr> sessions_;
    std::set<std::tuple<base::Instant, SandboxId, SessionId, std::uint64_t>> dues_;
    std::condition_variable timer_wakes_;
    bool stopping_ = false;
    std::thread timer_;
};

}  // namespace sphere
