#pragma once
// What models say is known where their run is decided. Who watches it at another process is given
// it from there: this process asks the run's owner and passes on what comes.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>

#include "base/exec/worker.h"
#include "base/http/client.h"
#include "base/http/server.h"
#include "flow/flow.h"

namespace flow {

/// Thread-safe. A thread for each stream that is passed on, at most kStreamsMax.
class OwnerRelay {
public:
    static constexpr std::size_t kStreamsMax = 32;
    /// `runtime` outlives it.
    explicit OwnerRelay(Runtime& runtime);
    ~OwnerRelay();  ///< stop()
    /// Another process asks for who asked it.
    static bool was_passed_on(const base::http::Request& request);
    /// Ends what is passed on. Idempotent.
    void stop();

    /// The run is another process's: the same request is made there and its answer passed on. An
    /// owner that dies ends the stream; the client comes again. False: it is to be answered here.
    /// On a thread that may block.
    bool pass_on(RunId run, const base::http::Request& request,
                 const base::http::ResponderPtr& responder);
    /// Adds `attempt` and `token` events of a run that is another process's to a stream of the run,
    /// wherever the run goes, until it is ours or the stream ends.
    void add_tokens(RunId run, const base::http::Request& request,
                    const base::http::ResponderPtr& responder);

private:
    bool is_away(RunId run, const base::http::Request& request) const;
    base::HttpClient::Request to_owner(RunId run, std::string url,
                                       const base::http::Request& request,
                                       const base::http::ResponderPtr& responder);

    Runtime& runtime_;
    const base::HttpClient client_;
    std::mutex mutex_;
    std::condition_variable stopped_;
    std::atomic<bool> stopping_ = false;
    base::Worker threads_;
};

}  // namespace flow
