#pragma once
// Tells people when workflows need them: what is heard of runs becomes counts, counts become states
// of alarms, and what a state says is posted to webhooks, at least once, whatever dies in between.
//
// A state and the messages that follow from it are written in one transaction. Of the processes
// that share a store one decides, under a lease; each message is claimed by who sends it.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "base/core/rng.h"
#include "base/exec/worker.h"
#include "base/metrics/metrics.h"
#include "base/store/store.h"
#include "flow/alarm/alarm_ears.h"
#include "flow/alarm/alarm_rows.h"
#include "flow/alarm/webhook.h"
#include "flow/flow.h"

namespace flow {

/// A rule and how it stands.
struct AlarmView {
    struct Alarm {
        std::string workflow;
        AlarmState state;
        AlarmReading reading;
        std::string text;
    };
    AlarmRule rule;
    std::optional<AlarmSilence> silence;  ///< one that holds
    std::vector<Alarm> alarms;            ///< not quiet, or once fired
};

/// How a test of one webhook went.
struct AlarmTest {
    std::string webhook;
    int status = 0;
    std::string error;  ///< empty: it was taken
};

/// Thread-safe.
class Alarms {
public:
    struct Parts {
        Runtime& runtime;
        RunLog& log;
        const base::Clock& clock;
        AlarmFile file = {};
        WebhookPost post = {};
        /// Bytes that are free where workflows are kept; nothing: nobody knows.
        std::function<std::optional<std::uint64_t>()> disk_free = {};
        base::metrics::Registry* metrics = nullptr;
    };
    /// `location`: as base::store::Store::open. What parts name outlives it. `threaded` false:
    /// look() and deliver() alone do the work. Errors: the store's.
    static base::Result<std::unique_ptr<Alarms>> open(const std::string& location, Parts parts,
                                                      bool threaded = true);
    ~Alarms();  ///< stop(); before the runtime's halt
    /// Decides and sends nothing more; waits for what is being sent. Idempotent.
    void stop();

    /// Writes down what was heard, looks for runs that stand still, decides. Errors: the store's;
    /// then it is tried again.
    base::Result<void> look();
    /// Sends what is due; how many that were.
    base::Result<std::size_t> deliver();

    base::Result<std::vector<AlarmView>> list(std::string_view tenant);
    /// Errors of these: not_found, with what it may have meant.
    base::Result<AlarmView> find(std::string_view tenant, std::string_view name);
    /// Errors: already_exists, not_found (a webhook), resource_exhausted.
    base::Result<void> add(const AlarmRule& rule);
    /// Errors: failed_precondition (it is in the configuration), too.
    base::Result<void> remove(std::string_view tenant, std::string_view name);
    /// Nobody is told for `for_ms`; 0: from now on somebody is.
    base::Result<AlarmSilence> silence(std::string_view tenant, std::string_view name,
                                       std::int64_t for_ms, std::string_view by);
    /// Somebody takes what fires: he is not reminded. `workflow` empty: all of the rule's. How
    /// many.
    base::Result<std::size_t> acknowledge(std::string_view tenant, std::string_view name,
                                          std::string_view workflow, std::string_view by);
    /// Sends a test to each of its webhooks, now.
    base::Result<std::vector<AlarmTest>> test(std::string_view tenant, std::string_view name);

    base::Result<std::vector<AlarmLine>> history(std::string_view tenant, std::string_view name,
                                                 std::int64_t before, std::uint32_t limit);
    base::Result<std::vector<AlarmDelivery>> deliveries(std::string_view tenant,
                                                        std::string_view status,
                                                        std::uint32_t limit);
    /// Sends a dead one again. Errors: not_found, failed_precondition (it is not dead).
    base::Result<void> send_again(std::string_view tenant, std::string_view id);
    const std::vector<Webhook>& webhooks() const { return parts_.file.webhooks; }

private:
    struct Counters;
    struct Change {
        const AlarmRule* rule = nullptr;
        std::string workflow;
        AlarmState before, after;
        AlarmReading reading;
        std::optional<AlarmTold> told;
        bool silenced = false;
    };
    Alarms(std::unique_ptr<base::store::Store> store, Parts parts);
    base::Result<void> begin();
    base::Result<void> refresh();
    base::Result<void> flush();
    base::Result<void> catch_up();
    base::Result<void> sweep();
    base::Result<void> check_noted();
    base::Result<bool> still(const NotedRun& noted, const AlarmRule& rule);
    base::Result<void> evaluate();
    base::Result<std::vector<Change>> decide(base::store::Transaction& tx, std::int64_t now_ms);
    base::Result<std::map<std::string, AlarmReading>> readings(base::store::Transaction& tx,
                                                               const AlarmRule& rule,
                                                               std::int64_t now_ms);
    base::Result<void> write(base::store::Transaction& tx, const Change& change,
                             std::int64_t now_ms);
    void count(const std::vector<Change>& changes);
    base::Result<AlarmView> view(const AlarmRule& rule);
    base::Result<const AlarmRule*> named(std::string_view tenant, std::string_view name);
    std::vector<const Webhook*> webhooks_of(const AlarmRule& rule) const;
    void send(AlarmDelivery delivery);
    template <class T>
    T ask_state(RunId run, const std::function<T(const RunState*)>& question);
    std::string ask_stuck(RunId run, std::int64_t updated_ms, std::int64_t now_ms,
                          std::int64_t limit_ms);
    std::int64_t now_ms() const { return parts_.clock.unix_ns() / 1'000'000; }
    void run(const std::stop_token& stop);
    void run_deliveries(const std::stop_token& stop);

    const std::unique_ptr<base::store::Store> store_;
    const Parts parts_;
    const std::string self_;  ///< tells this process from others
    std::unique_ptr<Counters> counters_;
    std::unique_ptr<AlarmEars> ears_;
    std::mutex mutex_;  // held while it works; guards what is below
    AlarmEars::Rules rules_;
    bool stale_ = true, leads_ = false, restless_ = false;
    std::int64_t refreshed_ms_ = 0, evaluated_ms_ = 0, pruned_ms_ = 0;
    base::Instant sweep_at_{0};
    RunId sweep_from_;
    std::atomic<std::size_t> sending_ = 0;
    std::mutex chance_mutex_;  // guards chance_
    base::Rng chance_;
    std::atomic<bool> due_ = false;
    std::mutex sleeping_;
    std::condition_variable_any wake_;
    std::unique_ptr<base::Worker> senders_;
    std::jthread thread_, delivery_thread_;
};

}  // namespace flow
