#pragma once
// What many commits write, as one pipe of statements: few of them, each over arrays, so that a
// hundred runs cost the server little more than one.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/store/postgres_pipe.h"
#include "flow/fleet.h"

namespace flow {

/// A commit on its way, as bytes: what it was made of may be gone.
struct QueuedCommit {
    struct Change {
        RunHead head;
        bool created = false;
        std::uint64_t first = 0, count = 0;
        std::string events, snapshot;
    };
    struct Post {
        RunId run;
        std::string tenant, event, input;  ///< event: its key in the index
        std::vector<RunId> told;
        bool checked = false;
        std::uint64_t token = 0;  ///< of a question; 0: none
    };
    std::vector<Change> changes;
    std::vector<Post> posts;
    std::vector<Settled> settled;
    RunLog::Done done;
    std::size_t bytes = 0;
    std::int64_t worker = 0;  ///< who this process was when it was decided
};
QueuedCommit queued(const SharedCommit& commit, RunLog::Done done);

/// Who writes, and what else the transaction has to say.
struct BatchFrame {
    std::int64_t worker = 0, fence = 0;
    std::int64_t commits = 0;    ///< of this worker with this one: how it is looked up afterwards
    base::store::PipeValue now;  ///< null: the server's clock
    std::int64_t lease_ms = 0;
    std::string channels;  ///< what names of channels begin with
    bool watched = false;  ///< somebody may want to hear of these runs
};

/// The statements of one transaction. The first fails with division_by_zero (22012) when the
/// worker's lease does not hold; `asked` says which of them answers with the tokens of questions
/// that found an inbox (0: none).
class PostgresBatch {
public:
    explicit PostgresBatch(const BatchFrame& frame);
    void add(const QueuedCommit& commit);
    /// Once, after the last add.
    std::vector<base::store::PipeStatement> take(std::size_t& asked);

private:
    void take_broadcasts();
    void take_heads();
    void take_records();
    void take_inbox();

    const BatchFrame frame_;
    std::vector<const QueuedCommit*> commits_;
    std::vector<base::store::PipeStatement> out_;
    std::size_t asked_ = 0;
};

/// Milliseconds since 1970: parameter `place`, or the server's clock where it is null.
std::string now_sql(int place);

}  // namespace flow
