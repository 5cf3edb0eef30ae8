#pragma once
// What happens to a run, as it stands in the journal. A run's state is the fold of its events
// (`apply` in state.h); nothing else is stored, and nothing of it is decided again.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace flow {

/// What the fields of an event mean is beside each kind; `path` names a step in all `step_*`.
/// Numbers are stored: add at the end.
enum class EventKind : std::uint8_t {
    run_started = 1,      ///< value: {input, labels, ...} (RunStart)
    run_paused = 2,       ///< name: why; value: by whom
    run_resumed = 3,      ///< value: by whom
    run_completed = 4,    ///< value: the output
    run_failed = 5,       ///< error
    run_cancelled = 6,    ///< name: why
    run_undoing = 7,      ///< error: what the run will fail with once compensations have run
    signal_received = 8,  ///< name, value: payload; number: of the signal, from 1
    step_started = 9,     ///< attempt; until_ms: when the attempt's time is over, 0: never
    step_finished = 10,   ///< value: output; number: the signal it took, 0: none
    step_failed = 11,     ///< error; until_ms: when it is tried again, 0: never
    step_skipped = 12,
    step_waiting = 13,  ///< until_ms, 0: for ever; name: the signal; value: what a person is shown
    step_escalated = 14,  ///< value: who is asked now; until_ms as step_waiting
    step_reset = 15,      ///< to run again, with all that came after it in its block; name: why
    step_undo = 16,       ///< value: the rendered request of its compensation
    step_child = 17,      ///< name: the run it waits for
    loop_opened = 18,     ///< value: the items, null for a while loop
    scope_opened = 19,    ///< name: arm, branch or round; number: index; value: the item
    scope_closed = 20,    ///< name: its key
    vars_set = 21,        ///< value: an object
    run_migrated = 22,    ///< name: hash of the new definition; value: {from: hash of the old one,
                          ///< versions, rules, by, left: paths, state: the whole under the new}
    run_forked = 23,      ///< name: the run it comes from; path: where it begins; value: what it
                          ///< takes over (taken_over)
    step_edited = 24,     ///< value: what stands for the step's rendered input from then on
    step_lost = 25,  ///< attempt; number: how often in a row the process died with its call out
    step_quarantined = 26,    ///< error: it was lost too often
    checkpoint_reached = 27,  ///< name; value: what the step says of it
    run_rewound = 28,         ///< name: the checkpoint the run goes on from; value: by whom
    run_queued = 30,          ///< name: the queue it waits in
    run_admitted = 31,        ///< it has a place there until it is over
};

struct Event {
    EventKind kind{};
    std::int64_t at_ms = 0;  ///< since 1970
    std::string path = {};
    std::string name = {};
    std::uint32_t attempt = 0;
    std::uint64_t number = 0;
    std::int64_t until_ms = 0;
    std::uint64_t tokens = 0;  ///< used by the step that ended
    double cost_usd = 0;
    base::json::value value = {};
    std::optional<base::Error> error = {};

    bool operator==(const Event&) const = default;
};

std::string_view event_name(EventKind kind);

inline bool ends_run(EventKind kind) {
    return kind == EventKind::run_completed || kind == EventKind::run_failed ||
           kind == EventKind::run_cancelled;
}

/// Appends `event` to `out`.
void encode(const Event& event, std::string& out);
/// Takes one event off the front of `bytes`. Errors: data_loss.
base::Result<Event> decode_event(std::string_view& bytes);

/// The same fields by name, those that say nothing left out.
base::json::object to_json(const Event& event);
/// What to_json gave. Errors: invalid_argument, naming the field.
base::Result<Event> event_from_json(const base::json::value& json);

}  // namespace flow
