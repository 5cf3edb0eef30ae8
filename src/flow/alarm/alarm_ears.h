#pragma once
// Hears of every durable event on the runtime's thread and notes what rules are about: how runs
// end, what steps use, which runs did something that a rule names. Nothing is kept without a rule.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "flow/alarm/alarm_rows.h"
#include "flow/flow.h"

namespace flow {

class AlarmEars {
public:
    /// The runtime lives until the ears' end, which comes before its halt. Begins to listen.
    explicit AlarmEars(Runtime& runtime);
    ~AlarmEars();

    using Rules = std::shared_ptr<const std::vector<AlarmRule>>;
    void set_rules(Rules rules);

    struct Heard {
        std::map<CountKey, AlarmCounts> counts;
        std::vector<NotedRun> runs;
        bool empty() const { return counts.empty() && runs.empty(); }
    };
    /// What was heard since the last call.
    Heard take();
    /// What could not be written: it comes again with the next take().
    void give_back(Heard heard);

private:
    void heard(RunId run, const std::vector<Event>& events);
    void note(const RunState& state, const Event& event, const AlarmRule& rule, Heard& into);

    Runtime& runtime_;
    std::uint64_t watcher_ = 0;
    std::atomic<bool> listens_ = false;
    std::mutex mutex_;  // guards what is below
    Rules rules_;
    Heard heard_;
};

/// For how long a rule keeps a run that was noted at `at_ms`.
std::int64_t keep_until(const AlarmRule& rule, std::int64_t at_ms);

/// Why a run that has made no progress since `updated_ms` makes none: a call that does not come
/// back, a moment that has passed, a person who did not answer in time. Empty: it waits for
/// something that it may wait for, or it is over.
std::string stuck_why(const RunState& state, std::int64_t updated_ms, std::int64_t now_ms,
                      std::int64_t limit_ms);

}  // namespace flow
