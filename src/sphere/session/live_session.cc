#include "sphere/session/live_session.h"

#include <csignal>
#include <utility>

#include "base/core/rng.h"
#include "base/json/json.h"

namespace sphere::session {
namespace {

namespace json = base::json;
using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

constexpr std::chrono::seconds kReadyMax{30};

std::string make_mark() {
    return fmt::format("{:016x}{:016x}", base::entropy64(), base::entropy64());
}

std::string text_of(const json::object& object, std::string_view name) {
    const json::value* const value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string())
                                                  : std::string();
}

/// The driver shares its interpreter with the cells: nothing it says is trusted to have a shape.
void read_answer(const std::string& text, CellResult& result, std::string& version) {
    const auto parsed = base::parse_json(text);
    if (!parsed || !parsed->is_object()) {
        result.status = CellStatus::error;
        result.error = {"BrokenAnswer", "the interpreter's answer could not be read", ""};
        return;
    }
    const json::object& answer = parsed->get_object();
    version = text_of(answer, "version").substr(0, 64);
    const std::string status = text_of(answer, "status");
    result.status = status == "ok"            ? CellStatus::ok
                    : status == "interrupted" ? CellStatus::interrupted
                                              : CellStatus::error;
    if (const json::value* code = answer.if_contains("exit_code"); code && code->is_int64()) {
        result.exit_code = static_cast<int>(code->get_int64());
    }
    if (const json::value* error = answer.if_contains("error"); error && error->is_object()) {
        const json::object& told = error->get_object();
        result.error = {text_of(told, "name"), text_of(told, "message"),
                        text_of(told, "traceback")};
    }
    if (const json::value* value = answer.if_contains("result"); value && value->is_object()) {
        const json::object& shown = value->get_object();
        result.result_text = text_of(shown, "text/plain");
        result.result_truncated = shown.contains("truncated");
        const std::string plain = text_of(shown, "application/json");
        if (const auto checked = base::parse_json(plain)) result.result_json = plain;
    }
}

std::string why_ended(const ExecResult& result) {
    if (result.reason == EndReason::exited) {
        return fmt::format("the interpreter exited with code {}", result.exit_code);
    }
    if (result.reason == EndReason::memory) return "the sandbox ran out of its memory";
    if (result.reason == EndReason::stopped) return "the session or its sandbox was ended";
    if (result.reason == EndReason::emergency) return "the emergency stop ended it";
    return fmt::format("the interpreter was ended by signal {} ({})", result.signal,
                       end_reason_name(result.reason));
}

}  // namespace

Session::Session(Sphere& sphere, const base::Clock& clock, SandboxId box, Language language)
    : sphere_(sphere),
      clock_(clock),
      box_(std::move(box)),
      mark_(make_mark()),
      out_(mark_),
      err_(mark_) {
    info_.sandbox = box_;
    info_.language = language;
}

Result<void> Session::begin(const std::function<Result<ExecId>(ExecSink&)>& start) {
    cell_.emplace().began = clock_.now();
    self_ = shared_from_this();
    const auto started = start(*this);
    if (!started) {
        self_.reset();
        return std::unexpected(started.error());
    }
    {
        const std::lock_guard lock(mutex_);
        info_.id = *started;
    }
    // One that has ended meanwhile tells why by its end.
    (void)sphere_.write_stdin(box_, *started, mark_ + "\n", false);
    std::unique_lock lock(mutex_);
    const auto settled = [&] { return info_.state != SessionInfo::State::starting; };
    const bool told = changed_.wait_for(lock, kReadyMax, settled);
    if (told && info_.state != SessionInfo::State::ended) return {};
    const std::string why = told ? info_.end_reason : "it said nothing for 30 s";
    lock.unlock();
    end();
    return fail(Code::unavailable, "the {} of sandbox {} did not become ready: {}",
                language_name(info_.language), box_, why);
}

Result<std::shared_ptr<Session>> Session::fork() {
    auto made = std::make_shared<Session>(sphere_, clock_, box_, info().language);
    {
        const std::lock_guard lock(mutex_);
        if (info_.language != Language::python) {
            return fail(Code::unimplemented, "a {} session cannot be forked; python's can",
                        language_name(info_.language));
        }
        if (info_.state != SessionInfo::State::idle || forking_) {
            return fail(Code::failed_precondition,
                        "session {} is {}; it is forked between cells: wait for the cell's end or "
                        "interrupt it",
                        info_.id, forking_ ? "being forked" : session_state_name(info_.state));
        }
        forking_ = true;
        made->info_.cells = info_.cells;
        made->info_.forked_from = info_.id;
    }
    const auto begun = made->begin(
        [&](ExecSink& sink) { return sphere_.fork_command(box_, made->info_.forked_from, sink); });
    {
        const std::lock_guard lock(mutex_);
        forking_ = false;
    }
    (void)sphere_.rest(box_, info().id);
    if (begun) return made;
    return std::unexpected(begun.error());
}

Result<std::uint64_t> Session::start_cell(const CellSpec& spec, std::shared_ptr<CellSink> sink) {
    std::uint64_t number = 0;
    {
        const std::lock_guard lock(mutex_);
        if (info_.state == SessionInfo::State::ended) {
            return fail(Code::failed_precondition, "session {} has ended: {}; open another one",
                        info_.id, info_.end_reason);
        }
        if (info_.state != SessionInfo::State::idle || forking_) {
            return fail(Code::failed_precondition, "session {} {}; wait for its end{}", info_.id,
                        forking_ ? "is being forked" : "runs a cell",
                        forking_ ? "" : " or interrupt it");
        }
        number = ++info_.cells;
        info_.state = SessionInfo::State::running;
        Cell& cell = cell_.emplace();
        cell.result.number = number;
        cell.output_max = spec.output_bytes_max;
        cell.began = clock_.now();
        cell.sink = std::move(sink);
    }
    auto written = sphere_.write_stdin(box_, info_.id, cell_text(number, spec.code), false);
    if (written) return number;
    const std::lock_guard lock(mutex_);
    if (cell_ && cell_->result.number == number) {
        cell_.reset();
        if (info_.state == SessionInfo::State::running) info_.state = SessionInfo::State::idle;
    }
    return std::unexpected(std::move(written).error());
}

Result<void> Session::interrupt() {
    {
        const std::lock_guard lock(mutex_);
        if (info_.state != SessionInfo::State::running) return {};
        cell_->interrupted = true;
    }
    return sphere_.signal(box_, info_.id, SIGINT);
}

bool Session::time_out(std::uint64_t number, bool kill) {
    {
        const std::lock_guard lock(mutex_);
        if (!cell_ || cell_->result.number != number) return false;
        cell_->timed_out = true;
    }
    (void)sphere_.signal(box_, info_.id, kill ? SIGKILL : SIGINT);  // it may end just now
    return true;
}

void Session::end() {
    (void)sphere_.signal(box_, info_.id, SIGKILL);  // it may have ended by itself
}

SessionInfo Session::info() const {
    const std::lock_guard lock(mutex_);
    return info_;
}

void Session::on_output(Stream stream, std::string_view bytes) {
    FrameSplitter& splitter = stream == Stream::out ? out_ : err_;
    splitter.feed(bytes);
    std::string text;
    for (;;) {
        switch (splitter.next(text)) {
            case FrameSplitter::Found::nothing:
                return;
            case FrameSplitter::Found::output:
                take_output(stream, text);
                break;
            case FrameSplitter::Found::answer:
                take_answer(stream, text);
                break;
            case FrameSplitter::Found::broken: {
                {
                    const std::lock_guard lock(mutex_);
                    if (std::exchange(broken_, true)) return;
                }
                return end();
            }
        }
    }
}

/// Between cells output has nobody who would hear it.
void Session::take_output(Stream stream, std::string_view text) {
    std::shared_ptr<CellSink> sink;
    {
        const std::lock_guard lock(mutex_);
        if (!cell_) return;
        CellResult& result = cell_->result;
        const std::uint64_t room =
            cell_->output_max - std::min(cell_->output_max, result.output_bytes);
        result.output_bytes += text.size();
        if (text.size() > room) {
            result.output_dropped += text.size() - room;
            text = text.substr(0, room);
        }
        sink = cell_->sink;
    }
    if (sink != nullptr && !text.empty()) sink->on_output(stream, text);
}

void Session::take_answer(Stream stream, const std::string& text) {
    std::optional<Told> told;
    ExecId id = 0;
    {
        const std::lock_guard lock(mutex_);
        if (!cell_) return;
        if (stream == Stream::out) {
            cell_->out_ended = true;
        } else {
            std::string version;
            read_answer(text, cell_->result, version);
            if (info_.state == SessionInfo::State::starting) info_.version = std::move(version);
            cell_->answered = true;
        }
        told = finish_if_complete();
        id = info_.id;
    }
    if (told && id != 0) (void)sphere_.rest(box_, id);  // it has ended, or its box: no matter
    if (told && told->sink) told->sink->on_result(told->result);
}

/// Each stream says that it is over; output of the cell comes before that. Pre: locked.
std::optional<Session::Told> Session::finish_if_complete() {
    if (!cell_->out_ended || !cell_->answered) return std::nullopt;
    Told told{std::move(cell_->sink), std::move(cell_->result)};
    if (cell_->timed_out && told.result.status != CellStatus::ok) {
        told.result.status = CellStatus::timed_out;
    }
    told.result.wall =
        std::chrono::duration_cast<std::chrono::microseconds>(clock_.now() - cell_->began);
    cell_.reset();
    info_.state = SessionInfo::State::idle;
    changed_.notify_all();
    return told;
}

void Session::on_end(const ExecResult& result) {
    const std::shared_ptr<Session> keep = std::move(self_);
    std::optional<Told> told;
    {
        const std::lock_guard lock(mutex_);
        info_.state = SessionInfo::State::ended;
        info_.end_reason =
            broken_ ? "what it said could not be told from output" : why_ended(result);
        if (cell_) {
            if (cell_->timed_out) {
                info_.end_reason = "a cell did not heed the interrupt at its time limit";
            }
            cell_->result.status = cell_->timed_out ? CellStatus::timed_out : CellStatus::ended;
            cell_->result.error = {"SessionEnded", info_.end_reason, ""};
            cell_->result.wall =
                std::chrono::duration_cast<std::chrono::microseconds>(clock_.now() - cell_->began);
            told = Told{std::move(cell_->sink), std::move(cell_->result)};
            cell_.reset();
        }
        changed_.notify_all();
    }
    if (told && told->sink) told->sink->on_result(told->result);
}

}  // namespace sphere::session
