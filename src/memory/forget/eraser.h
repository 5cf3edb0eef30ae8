#pragma once
// What was hidden is erased in the background: rows, files, the proof of it. What is open is in the
// tables, so that a process that starts again goes on where the last one stopped. Thread-safe.

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "base/store/store.h"
#include "memory/forget/forgetter.h"
#include "memory/forget/receipts.h"
#include "memory/truth/session_truth.h"
#include "memory/truth/truth.h"

namespace memory::forget {

class Eraser {
public:
    /// Everything outlives it. `sessions` may be null.
    Eraser(truth::Truth& truth, truth::SessionTruth* sessions, const Hooks& hooks,
           const base::Clock& clock, std::int64_t deadline_ms)
        : truth_(truth),
          sessions_(sessions),
          hooks_(hooks),
          clock_(clock),
          deadline_ms_(deadline_ms) {}

    /// Makes the tables where they are missing, erases keys that a dead process left, and begins.
    base::Result<void> start();

    /// While it lives the receipt is still being written, and is left alone.
    class Asking {
    public:
        Asking(Eraser& eraser, ForgetId id);
        ~Asking();
        Asking(const Asking&) = delete;
        Asking& operator=(const Asking&) = delete;

    private:
        Eraser& eraser_;
        const ForgetId id_;
    };
    /// So many more receipts are in the tables.
    void opened(std::uint64_t receipts);
    std::uint64_t open();
    /// Waits until nothing is open. Errors: of the last attempt.
    base::Result<void> finish();
    /// How far those are that are not done.
    void tell_progress(std::span<Receipt> receipts);
    /// Those of `rows`, ascending, that are in Redis. Errors: its; failed_precondition (there are
    /// some, and it is not configured).
    base::Result<truth::Erased> erase_sessions(std::string_view tenant,
                                               std::span<const truth::RowId> rows);

private:
    UnixMs now() const { return clock_.unix_ns() / 1'000'000; }
    void run(const std::stop_token& stop);
    void told(const Open& open, double progress);
    base::Result<void> work_on(base::store::Store& store, bool hurry, const std::stop_token& stop,
                               bool& later);
    base::Result<void> erase_all(base::store::Store& store, std::vector<Open>& all, bool hurry,
                                 const std::stop_token& stop, bool& later);
    base::Result<void> erase_keys(const Open& open);
    base::Result<void> erase_keyed(base::store::Store& store, Open& open,
                                   const std::stop_token& stop);
    base::Result<void> erase(base::store::Store& store, Open& open, const std::stop_token& stop);
    base::Result<Scan> verify(base::store::Store& store, const Open& open);

    truth::Truth& truth_;
    truth::SessionTruth* const sessions_;  // null: short-term entries are with the others
    const Hooks& hooks_;
    const base::Clock& clock_;
    const std::int64_t deadline_ms_;
    std::map<const base::store::Store*, base::Instant> quiet_until_;  // of the thread alone
    std::mutex mutex_;                                                // guards what follows
    std::condition_variable_any wake_;
    std::set<ForgetId> asking_;
    std::uint64_t open_ = 0, failures_ = 0;
    bool wanted_ = false, hurry_ = false;
    base::Error last_error_;
    std::map<ForgetId, double> progress_;
    std::jthread thread_;  // stopped first
};

}  // namespace memory::forget
