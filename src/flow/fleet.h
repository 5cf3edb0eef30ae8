#pragma once
// Many processes, one log: what a shared log offers an engine beside keeping events.
//
// A process is a worker with a lease. Every open run has one owner, which alone decides for it;
// each commit proves that its worker's lease still holds. The runs of a worker whose lease ran out
// are claimed by others, who take them up as after a crash. What somebody has for a run of another
// worker goes into that run's inbox, in the commit of what led to it, and is taken out of it in the
// commit in which it takes effect: exactly once.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "flow/run/run_input.h"
#include "flow/run_log.h"

namespace flow {

/// For the inbox of a run, or of all that wait for an event.
struct Posting {
    RunId run = {};  ///< none: every open run of the tenant that waits for `event`
    std::string tenant = {};
    bool checked = false;          ///< the run is known to be the tenant's
    std::string event = {};        ///< as in RunHead::waiting
    std::vector<RunId> told = {};  ///< with `event`: they know
    RunInput input = {};
};

/// What the inbox had for a run of ours.
struct Arrival {
    std::uint64_t number = 0;
    RunId run;
    RunInput input;
    std::int64_t asker = 0;   ///< the worker that wants to know how it went; 0: none
    std::uint64_t token = 0;  ///< its name for the question
};

/// An arrival that has taken effect, or was refused.
struct Settled {
    std::uint64_t number = 0;
    std::int64_t asker = 0;
    std::uint64_t token = 0;
    std::optional<base::Error> refusal = {};
};

struct SharedCommit {
    std::span<const RunChange> changes;
    std::span<const Posting> postings = {};
    std::span<const Settled> settled = {};
};

/// A run that is ours now.
struct Claimed {
    RunHead head = {};
    bool crashed = false;  ///< who had it did not give it back: its lease ran out
};

struct FleetWorker {
    std::int64_t number = 0;
    std::string url;  ///< for people
    std::int64_t lease_until_ms = 0;
    std::uint64_t runs = 0;  ///< open ones that it owns
    bool self = false;
};

class Fleet {
public:
    virtual ~Fleet() = default;
    /// What an engine is told, on any thread, in order.
    struct Events {
        std::function<void(std::vector<Claimed>)> claimed;
        std::function<void(std::vector<Arrival>)> arrived;
        /// Events of a run that is watched and another's, from place `first` on.
        std::function<void(RunId, std::vector<Event>, std::uint64_t first)> moved;
        /// Our lease is gone, and with it every run. All appends fail until rejoin().
        std::function<void()> lost;
        /// Makes an event whole before it is told as moved; may be empty. Where it fails, all are
        /// told later.
        std::function<base::Result<void>(RunId, Event&)> whole = {};
    };
    /// Once, before anything below. `take_up`: claim what has no owner any more.
    virtual void join(Events events, bool take_up) = 0;
    /// A new worker after `lost`; it owns nothing yet. Errors: unavailable.
    virtual base::Result<void> rejoin() = 0;
    /// Waits for what is on its way, then gives all runs back; nothing is told any more.
    /// Idempotent.
    virtual void leave() = 0;

    /// As RunLog::append, with what goes into inboxes and out of them.
    virtual void commit(const SharedCommit& commit, RunLog::Done done) = 0;
    /// An arrival that was not for us after all: it is told again should its run be ours.
    virtual void give_back(const Arrival& arrival) = 0;
    /// The run when it is ours, or nobody had it and it is from now on; nothing when it is
    /// another's. Errors: not_found, unavailable.
    virtual base::Result<std::optional<Claimed>> own(RunId run) = 0;
    /// Puts it into the inbox; `done` is told how it went, on any thread, when the owner has taken
    /// it. Errors: the input's; unavailable (nobody knows).
    virtual void ask(Posting posting, RunLog::Done done) = 0;
    /// Events of this run from place `from` on are told (moved) until unwatch.
    virtual void watch(RunId run, std::uint64_t from) = 0;
    virtual void unwatch(RunId run) = 0;
    /// Where people find this process from now on.
    virtual void announce(std::string url) = 0;
    /// Live workers. Errors: unavailable.
    virtual base::Result<std::vector<FleetWorker>> workers() = 0;
    /// Where the process that owns a run is found; empty: it is ours, or nobody's now. Errors:
    /// unavailable.
    virtual base::Result<std::string> owner_url(RunId run) = 0;
};

}  // namespace flow
