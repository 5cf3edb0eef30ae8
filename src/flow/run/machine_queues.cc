// Places in queues: asked for by calls of their own, so that who waits is part of the state.

#include "flow/run/machine.h"

namespace flow {

/// The step waits; its call follows when the place is there.
void Machine::ask_place(const StepRef& ref, const std::string& path) {
    emit({.kind = EventKind::step_waiting,
          .path = path,
          .name = std::string(kQueuePrefix) + ref.step->queue});
    Call call = call_of(ref, path, ref.state->attempt + 1, {});
    call.admission = true;
    out_.calls.push_back(std::move(call));
}

void Machine::got_place(const StepRef& ref, const std::string& path, std::uint32_t attempt) {
    if (attempt != ref.state->attempt + 1) return;
    if (state_.status == RunStatus::running) {
        make_call(ref, path);
        settle();
        return;
    }
    // A paused run begins nothing and keeps no place from others; it asks again when it goes on.
    emit({.kind = EventKind::step_waiting, .path = path, .name = ref.state->name});
    out_.cancelled.push_back(path);
}

Call Machine::run_place() const {
    Call call;
    call.run = state_.id;
    call.tenant = state_.tenant;
    call.definition = state_.definition;
    call.admission = true;
    call.holds = state_.queued_in.empty();
    call.priority = state_.priority;
    call.since_ms = state_.started_ms;
    return call;
}

void Machine::ask_run_place() {
    emit({.kind = EventKind::run_queued, .name = state_.definition->run_queue});
    out_.calls.push_back(run_place());
}

void Machine::got_run_place() {
    if (state_.queued_in.empty()) return;
    if (state_.status == RunStatus::running) {
        emit({.kind = EventKind::run_admitted});
        settle();
        return;
    }
    emit({.kind = EventKind::run_queued, .name = state_.queued_in});
    out_.cancelled.emplace_back();
}

}  // namespace flow
