#pragma once
// What models say while durable steps wait for them: kept for each call as long as it runs, told
// live to who watches the run or one of its steps.
//
// A call is named by the moment it was made. After a crash the attempt is made again: that is
// another call, and streams say so (`attempt`) instead of going on in the middle of another text.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/core/clock.h"
#include "base/http/server.h"
#include "flow/flow.h"

namespace flow {

/// Thread-safe.
class TokenStreams {
public:
    explicit TokenStreams(const base::Clock& clock) : clock_(clock) {}
    /// Begins to listen for the ends of steps. The runtime lives until detach().
    void attach(Runtime& runtime);
    void detach();  ///< ends all streams; idempotent

    /// One call of a model: who makes it tells what comes. Another begin() for the same step takes
    /// its place, and what this one still says is dropped.
    class Call {
    public:
        void write(std::string_view token) { streams_.write(*this, token); }

    private:
        friend class TokenStreams;
        Call(TokenStreams& streams, RunId run, std::string path)
            : streams_(streams), run_(run), path_(std::move(path)) {}
        TokenStreams& streams_;
        const RunId run_;
        const std::string path_;
        // Guarded by the streams' mutex:
        std::uint32_t attempt_ = 0;
        std::int64_t number_ = 0;          ///< when it was made, ms since 1970; larger for each
        std::string text_;                 ///< the first kTextBytesMax of it
        std::vector<std::uint32_t> ends_;  ///< of each token in text_
        std::uint64_t tokens_ = 0;
    };
    std::shared_ptr<Call> begin(RunId run, std::string_view path, std::uint32_t attempt);

    /// Streams one step: `attempt` and `token` events, at the end `done`. `last_id`: the id of the
    /// last event a client has, "CALL-TOKENS"; empty: from the first token. On a thread that may
    /// block.
    void open_step(RunId run, const std::string& path, std::string_view last_id,
                   const base::http::ResponderPtr& responder);
    /// Adds `attempt` and `token` events of all steps to the stream of a run, without ids. `alone`:
    /// the stream has nothing else, and ends with the run.
    void join(RunId run, const base::http::ResponderPtr& responder, bool alone = false);

    static constexpr std::size_t kTextBytesMax = 1u << 20;

private:
    struct Reader {
        base::http::ResponderPtr responder;
        std::string path;          ///< empty: all steps
        std::int64_t call = 0;     ///< the one it was told of
        std::uint64_t tokens = 0;  ///< that it has of it
        bool alone = false;        ///< nobody else writes to it
    };
    struct Run {
        std::map<std::string, std::shared_ptr<Call>, std::less<>> calls;
        std::vector<Reader> readers;
    };

    void write(Call& call, std::string_view token);
    bool catch_up(Reader& reader, const Call& call);
    void heard(RunId run, const std::vector<Event>& events);
    void tidy(RunId run);

    const base::Clock& clock_;
    Runtime* runtime_ = nullptr;
    std::uint64_t watcher_ = 0;
    std::mutex mutex_;  // guards what is below, and calls
    std::unordered_map<RunId, Run> runs_;
    std::atomic<std::size_t> known_ = 0;  ///< runs_.size(), for the runtime's thread
    std::int64_t number_last_ = 0;
};

}  // namespace flow
