#include "flow/run/replay.h"

#include <deque>

#include "base/core/check.h"
#include "base/json/object_reader.h"

namespace flow {

using base::Code;
using base::fail;
using base::Result;
namespace json = base::json;

namespace {

/// Told by people, or by what happened to the process: a fact, which nothing decides.
bool is_fact(EventKind kind) {
    switch (kind) {
        case EventKind::run_paused:
        case EventKind::run_resumed:
        case EventKind::run_cancelled:
        case EventKind::signal_received:
        case EventKind::step_reset:
        case EventKind::run_migrated:
        case EventKind::run_forked:
        case EventKind::step_edited:
        case EventKind::step_lost:
        case EventKind::step_quarantined:
        case EventKind::run_rewound:
        case EventKind::run_queued:  // again: a run's first asking follows from its start
            return true;
        default:
            return false;
    }
}

bool by_time(const base::Error& error) {
    return error.code == Code::deadline_exceeded &&
           (error.message.starts_with("took longer than its timeout") ||
            error.message == "nobody answered in time");
}

class Replaying {
public:
    Replaying(RunId id, std::shared_ptr<const Definition> definition, bool same,
              std::span<const Event> events)
        : same_(same), events_(events), machine_(state_) {
        state_.id = id;
        state_.definition = std::move(definition);
    }

    Result<Replay> go() {
        while (at_ < events_.size() && !out_.difference) {
            if (decided_.empty()) DG_TRY(give());
            if (!decided_.empty()) compare();
        }
        if (!out_.difference && !decided_.empty()) {
            out_.difference = {at_ + 1, std::nullopt, decided_.front(),
                               "the record ends, today more is decided"};
        }
        return std::move(out_);
    }

private:
    /// Gives the machine what led to the next event.
    Result<void> give() {
        const Event& next = events_[at_];
        if (next.kind == EventKind::run_started) return start(next);
        if (is_fact(next.kind)) {
            if (const auto folded = apply(state_, next); !folded) {
                differ(next, std::nullopt, "it has no place in what came before today");
                return {};
            }
            ++at_;
            ++out_.events;
            // What the new version makes of the run follows at once, before anything is due.
            const bool queued = at_ < events_.size() && events_[at_].kind == EventKind::run_queued;
            if (next.kind == EventKind::run_migrated && !queued && !is_final(state_.status)) {
                machine_.proceed(next.at_ms);
                take();
            }
            return {};
        }
        if (answered(next)) {
            machine_.again(next);
        } else if (next.kind == EventKind::run_admitted) {
            machine_.finished("", 0, StepOutput{}, next.at_ms);
        } else if (const auto ref = find_step(state_, next.path);
                   ref && waits_in_queue(*ref->state)) {
            machine_.finished(next.path, ref->state->attempt + 1, StepOutput{}, next.at_ms);
        } else {
            machine_.tick(next.at_ms);
        }
        take();
        if (decided_.empty()) differ(next, std::nullopt, "today nothing would happen here");
        return {};
    }

    Result<void> start(const Event& first) {
        const bool forked =
            at_ + 1 < events_.size() && events_[at_ + 1].kind == EventKind::run_forked;
        if (at_ != 0) return fail(Code::data_loss, "event {}: the run starts twice", at_ + 1);
        if (forked) {
            DG_TRY(apply(state_, first));
            ++at_;
            ++out_.events;
            return {};
        }
        RunState read;
        read.id = state_.id;
        read.definition = state_.definition;
        DG_TRY(apply(read, first));
        RunStart start{read.tenant, read.idempotency_key, read.input, read.labels, read.parent};
        start.traceparent = read.traceparent;
        if (first.value.as_object().contains("priority")) start.priority = read.priority;
        machine_.start(start, first.at_ms);
        take();
        return {};
    }

    /// Does the event tell how something outside ended?
    bool answered(const Event& event) {
        if (event.kind != EventKind::step_finished && event.kind != EventKind::step_failed) {
            return false;
        }
        const auto ref = find_step(state_, event.path);
        if (!ref || (event.error && by_time(*event.error))) return false;
        const StepState& step = *ref->state;
        if (step.status == StepStatus::running) return true;
        if (step.status == StepStatus::open) {
            return std::holds_alternative<SubflowAction>(ref->step->action);
        }
        return step.status == StepStatus::waiting &&
               std::holds_alternative<HumanAction>(ref->step->action);
    }

    void take() {
        Decision decision = machine_.take();
        for (Event& event : decision.events) decided_.push_back(std::move(event));
        for (Call& call : decision.calls) {
            out_.requests.push_back({call.path, call.attempt, std::move(call.request)});
        }
    }

    void compare() {
        const Event& recorded = events_[at_];
        const std::string what = difference(recorded, decided_.front());
        if (!what.empty()) {
            differ(recorded, decided_.front(), what);
            return;
        }
        decided_.pop_front();
        ++at_;
        ++out_.events;
    }

    void differ(const Event& recorded, std::optional<Event> today, std::string what) {
        out_.difference = {at_ + 1, recorded, std::move(today), std::move(what)};
    }

    std::string difference(const Event& recorded, const Event& today) const {
        if (recorded.kind != today.kind) return "event";
        if (recorded.path != today.path) return "step";
        if (recorded.name != today.name) return "name";
        if (recorded.attempt != today.attempt) return "attempt";
        if (recorded.number != today.number) return "number";
        if (recorded.value != today.value) return "value";
        if (recorded.error.has_value() != today.error.has_value() ||
            (recorded.error && recorded.error->code != today.error->code)) {
            return "error";
        }
        if (same_ && recorded.until_ms != today.until_ms) return "until_ms";
        return "";
    }

    const bool same_;
    const std::span<const Event> events_;
    RunState state_;
    Machine machine_;
    std::deque<Event> decided_;
    std::size_t at_ = 0;
    Replay out_;
};

}  // namespace

Result<Replay> replay(RunId id, std::shared_ptr<const Definition> definition, bool same,
                      std::span<const Event> events) {
    const std::span<const Event> part = foldable(events);
    const std::uint64_t skipped = events.size() - part.size();
    Replay out = DG_TRY(Replaying(id, std::move(definition), same, part).go());
    if (out.difference) out.difference->place += skipped;
    return out;
}

json::object to_json(const RunExport& one) {
    json::array events;
    events.reserve(one.events.size());
    for (const Event& event : one.events) events.push_back(to_json(event));
    return {{"format", kExportFormat},
            {"definition", one.definition},
            {"run", one.run},
            {"events", std::move(events)}};
}

Result<std::string> export_text(const RunExport& frame, const History& events) {
    std::string text = json::serialize(to_json(frame));
    constexpr std::string_view kEnd = "]}";  // to_json has the events last
    DG_CHECK(frame.events.empty() && text.ends_with("\"events\":[]}"));
    text.resize(text.size() - kEnd.size());
    bool first = true;
    DG_TRY(events(0, [&](const Event& event) {
        if (!first) text += ',';
        first = false;
        text += json::serialize(to_json(event));
        return true;
    }));
    text += kEnd;
    return text;
}

Result<RunExport> export_from_json(const json::value& value) {
    RunExport out;
    const json::object* object = value.if_object();
    const json::value* format = object != nullptr ? object->if_contains("format") : nullptr;
    if (format == nullptr || !format->is_string() ||
        std::string_view(format->get_string()) != kExportFormat) {
        return fail(Code::invalid_argument,
                    "this is no exported run: its 'format' is not '{}'; make one with 'dougong "
                    "flow export'",
                    kExportFormat);
    }
    const json::value* events = object->if_contains("events");
    const json::value* definition = object->if_contains("definition");
    const json::value* run = object->if_contains("run");
    if (events == nullptr || !events->is_array() || definition == nullptr || run == nullptr ||
        !run->is_object()) {
        return fail(Code::invalid_argument,
                    "an exported run has 'definition', 'run' and a list of 'events'");
    }
    out.definition = *definition;
    out.run = *run;
    out.events.reserve(events->get_array().size());
    for (const json::value& each : events->get_array()) {
        auto event = event_from_json(each);
        if (!event) {
            base::Error error = std::move(event).error();
            const std::string place = fmt::format("events[{}]", out.events.size());
            error.subject = error.subject.empty() ? place : place + "." + error.subject;
            error.message = place + ": " + error.message;
            return std::unexpected(std::move(error));
        }
        out.events.push_back(*std::move(event));
    }
    return out;
}

}  // namespace flow
