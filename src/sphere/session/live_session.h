#pragma once
// One interpreter: the sink of its command, and the cell that runs in it.

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "sphere/session/frame_splitter.h"
#include "sphere/session/session.h"

namespace sphere::session {

/// Callers come from any thread; on_output and on_end from the sphere's. Keeps itself alive from
/// begin() until its command's end.
class Session final : public ExecSink, public std::enable_shared_from_this<Session> {
public:
    Session(Sphere& sphere, const base::Clock& clock, SandboxId box, Language language);

    /// Has `start` begin the interpreter, with this for its sink, and waits for its first word.
    base::Result<void> begin(const std::function<base::Result<ExecId>(ExecSink&)>& start);
    /// A session that goes on from here, and this one from then on alone. Errors: unimplemented but
    /// for python; failed_precondition while a cell runs; those of Sphere::fork_command.
    base::Result<std::shared_ptr<Session>> fork();
    base::Result<std::uint64_t> start_cell(const CellSpec& cell, std::shared_ptr<CellSink> sink);
    base::Result<void> interrupt();
    /// Interrupts cell `number` if it still runs, or with `kill` ends the session. True when it
    /// ran.
    bool time_out(std::uint64_t number, bool kill);
    void end();
    SessionInfo info() const;

    void on_output(Stream stream, std::string_view bytes) override;
    void on_end(const ExecResult& result) override;

private:
    struct Cell {
        CellResult result;
        std::uint64_t output_max = 0;
        base::Instant began;
        std::shared_ptr<CellSink> sink;
        bool out_ended = false, answered = false, interrupted = false, timed_out = false;
    };
    /// Who is told what, once the lock is gone.
    struct Told {
        std::shared_ptr<CellSink> sink;
        CellResult result;
    };

    void take_output(Stream stream, std::string_view text);
    void take_answer(Stream stream, const std::string& text);
    std::optional<Told> finish_if_complete();

    Sphere& sphere_;
    const base::Clock& clock_;
    const SandboxId box_;
    const std::string mark_;
    FrameSplitter out_, err_;        ///< the sphere's thread alone
    std::shared_ptr<Session> self_;  ///< until on_end

    mutable std::mutex mutex_;  // guards the rest; no calls out under it
    std::condition_variable changed_;
    SessionInfo info_;
    bool broken_ = false, forking_ = false;
    std::optional<Cell> cell_;  ///< the one that runs; cell 0 is the interpreter's own start
};

}  // namespace sphere::session
