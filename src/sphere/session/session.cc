#include "sphere/session/session.h"

#include <algorithm>
#include <array>

#include "sphere/session/live_session.h"

namespace sphere {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

/// Between the interrupt at a cell's time limit and the end of a session that did not heed it.
constexpr std::chrono::seconds kInterruptPatience{2};

class GatheringSink final : public CellSink {
public:
    void on_output(Stream stream, std::string_view bytes) override {
        (stream == Stream::out ? output_.out : output_.err) += bytes;
    }
    void on_result(const CellResult& result) override {
        const std::lock_guard lock(mutex_);
        output_.result = result;
        over_ = true;
        ended_.notify_all();
    }
    SessionManager::Output wait() {
        std::unique_lock lock(mutex_);
        ended_.wait(lock, [&] { return over_; });
        return std::move(output_);
    }

private:
    SessionManager::Output output_;
    std::mutex mutex_;
    std::condition_variable ended_;
    bool over_ = false;
};

}  // namespace

std::string_view session_state_name(SessionInfo::State state) {
    constexpr std::array<std::string_view, 4> kNames = {"starting", "idle", "running", "ended"};
    return kNames[static_cast<std::size_t>(state)];
}

std::string_view cell_status_name(CellStatus status) {
    constexpr std::array<std::string_view, 5> kNames = {"ok", "error", "interrupted", "timed_out",
                                                        "ended"};
    return kNames[static_cast<std::size_t>(status)];
}

SessionManager::SessionManager(Sphere& sphere, const base::Clock& clock,
                               std::vector<std::string> python_modules)
    : sphere_(sphere),
      clock_(clock),
      python_modules_(std::move(python_modules)),
      timer_([this] { run_timer(); }) {}

SessionManager::~SessionManager() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        timer_wakes_.notify_all();
    }
    timer_.join();
    for (const auto& [key, session] : sessions_) session->end();
}

Result<SessionManager::SessionPtr> SessionManager::find(const SandboxId& box, SessionId id) const {
    const std::lock_guard lock(mutex_);
    const auto at = sessions_.find({box, id});
    if (at != sessions_.end()) return at->second;
    return fail_on("session", Code::not_found, "sandbox {} has no session {}", box, id);
}

/// An ended session is kept, so that its reason can be asked for, until its box is gone.
void SessionManager::forget_gone() {
    std::set<SandboxId> boxes;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [key, session] : sessions_) boxes.insert(key.first);
    }
    for (const SandboxId& box : boxes) {
        const auto info = sphere_.info(box);
        if (info && info->state != SandboxState::ended) continue;
        const std::lock_guard lock(mutex_);
        std::erase_if(sessions_, [&](const auto& entry) { return entry.first.first == box; });
    }
}

Result<void> SessionManager::check_room(const SandboxId& box) const {
    const auto count = list(box).size();
    if (count < kPerSandboxMax) return {};
    return fail(Code::resource_exhausted,
                "sandbox {} has {} sessions, which is the most; delete one first", box, count);
}

Result<SessionInfo> SessionManager::open(const SandboxId& box, Language language) {
    forget_gone();
    DG_TRY(check_room(box));
    const auto session = std::make_shared<session::Session>(sphere_, clock_, box, language);
    const ExecSpec command = session::driver_command(language, python_modules_);
    DG_TRY(session->begin([&](ExecSink& sink) { return sphere_.start(box, command, sink); }));
    SessionInfo info = session->info();
    const std::lock_guard lock(mutex_);
    sessions_[{box, info.id}] = session;
    return info;
}

Result<SessionInfo> SessionManager::fork(const SandboxId& box, SessionId id) {
    const SessionPtr from = DG_TRY(find(box, id));
    DG_TRY(check_room(box));
    const SessionPtr session = DG_TRY(from->fork());
    SessionInfo info = session->info();
    const std::lock_guard lock(mutex_);
    sessions_[{box, info.id}] = session;
    return info;
}

Result<void> SessionManager::start(const SandboxId& box, SessionId id, const CellSpec& cell,
                                   std::shared_ptr<CellSink> sink) {
    if (cell.code.size() > kCodeMax) {
        return fail_on("code", Code::invalid_argument,
                       "a cell of {} bytes; at most {}: put the rest into a file of the workspace",
                       cell.code.size(), kCodeMax);
    }
    const SessionPtr session = DG_TRY(find(box, id));
    if (session->info().language == Language::bash && cell.code.find('\0') != std::string::npos) {
        return fail_on("code", Code::invalid_argument, "a bash cell may not hold a zero byte");
    }
    const std::uint64_t number = DG_TRY(session->start_cell(cell, std::move(sink)));
    if (cell.wall_timeout.count() == 0) return {};
    const std::lock_guard lock(mutex_);
    dues_.insert({clock_.now() + cell.wall_timeout, box, id, number});
    timer_wakes_.notify_all();
    return {};
}

Result<SessionManager::Output> SessionManager::run(const SandboxId& box, SessionId id,
                                                   const CellSpec& cell) {
    const auto sink = std::make_shared<GatheringSink>();
    DG_TRY(start(box, id, cell, sink));
    return sink->wait();
}

Result<void> SessionManager::interrupt(const SandboxId& box, SessionId id) {
    return DG_TRY(find(box, id))->interrupt();
}

Result<void> SessionManager::close(const SandboxId& box, SessionId id) {
    DG_TRY(find(box, id))->end();
    const std::lock_guard lock(mutex_);
    sessions_.erase({box, id});
    return {};
}

Result<SessionInfo> SessionManager::info(const SandboxId& box, SessionId id) const {
    return DG_TRY(find(box, id))->info();
}

std::vector<SessionInfo> SessionManager::list(const SandboxId& box) const {
    const std::lock_guard lock(mutex_);
    std::vector<SessionInfo> all;
    for (auto at = sessions_.lower_bound({box, 0}); at != sessions_.end() && at->first.first == box;
         ++at) {
        all.push_back(at->second->info());
    }
    return all;
}

void SessionManager::run_timer() {
    std::unique_lock lock(mutex_);
    std::set<std::tuple<SandboxId, SessionId, std::uint64_t>> interrupted;
    while (!stopping_) {
        if (dues_.empty()) {
            timer_wakes_.wait(lock);
            continue;
        }
        const auto [due, box, id, number] = *dues_.begin();
        if (const base::Instant now = clock_.now(); due > now) {
            timer_wakes_.wait_for(lock, due - now);
            continue;
        }
        dues_.erase(dues_.begin());
        const bool second = interrupted.erase({box, id, number}) > 0;
        const auto at = sessions_.find({box, id});
        if (at == sessions_.end()) continue;
        const SessionPtr session = at->second;
        lock.unlock();
        const bool ran = session->time_out(number, second);
        lock.lock();
        if (!ran || second) continue;
        interrupted.insert({box, id, number});
        dues_.insert({clock_.now() + kInterruptPatience, box, id, number});
    }
}

}  // namespace sphere
