#pragma once
// A process among others: renews its lease, claims runs that nobody has, empties the inboxes of its
// runs, hears answers to its questions and what happens to runs that are watched. One thread, woken
// by notifications; everything is also looked for without any.

#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "flow/fleet.h"
#include "flow/log/postgres_worker.h"
#include "flow/log/postgres_writer.h"

namespace flow {

/// Thread-safe.
class PostgresMember {
public:
    using History = std::function<base::Result<std::vector<Event>>(RunId, std::uint64_t skip,
                                                                   std::uint32_t limit)>;
    PostgresMember(PostgresWorker& worker, PostgresWriter& writer, History history);
    ~PostgresMember();  ///< stop()

    void join(Fleet::Events events, bool take_up);
    base::Result<void> rejoin();
    void stop();
    /// The lease is gone: tells the engine, and whoever waits for an answer.
    void lost();

    /// A question's token; `done` hears of it.
    std::uint64_t expect(RunLog::Done done);
    void unheard(const std::vector<std::uint64_t>& tokens);
    /// It could not be asked.
    void refused(std::uint64_t token, const base::Result<void>& why) { answer(token, why); }
    void watch(RunId run, std::uint64_t from);
    void unwatch(RunId run);
    void on_places(std::function<void()> told);
    /// The engine has done with this arrival: it is told again when it is still in the inbox of a
    /// run of ours.
    void forget(std::uint64_t number);

    /// Everything once, as the thread does. Errors: the server's.
    base::Result<void> look();

private:
    struct Watch {
        std::uint64_t next = 0;
        bool known = false;  ///< its row is written
    };
    using Pipe = PostgresWorker::Pipe;
    void run();
    void wake();
    void heard(std::string_view what);
    bool stopping();
    base::Result<void> ensure_pipe();
    base::Result<void> claim();
    base::Result<void> take_inbox(std::int64_t worker);
    base::Result<void> take_replies(std::int64_t worker);
    base::Result<void> look_at_watched(std::int64_t worker);
    base::Result<void> tidy();
    void answer(std::uint64_t token, const base::Result<void>& result);
    std::optional<Fleet::Events> events();

    PostgresWorker& worker_;
    PostgresWriter& writer_;
    const History history_;
    std::unique_ptr<Pipe> pipe_;  // of the thread that looks
    std::int64_t listening_ = 0;  // the worker whose channel it hears
    std::uint64_t looks_ = 0;

    std::mutex mutex_;  // guards what is below
    std::optional<Fleet::Events> events_;
    bool take_up_ = false, stopping_ = false;
    std::function<void()> places_told_;
    std::unordered_map<std::uint64_t, RunLog::Done> expected_;
    std::uint64_t token_last_ = 0;
    std::unordered_map<RunId, Watch> watches_;
    std::vector<RunId> unwatched_;
    std::set<std::uint64_t> given_;        ///< arrivals that the engine has
    std::vector<std::uint64_t> finished_;  ///< of those; forgotten before the next look
    int wake_fd_ = -1;
    std::thread thread_;
};

}  // namespace flow
