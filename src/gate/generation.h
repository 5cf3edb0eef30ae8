#pragma once
// Internal to gate: one chat or completion request in progress, with all its choices. Deltas come
// in on the backend's thread, events go out on a network thread, and the client may leave at any
// time.

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "gate/answer_writer.h"
#include "gate/gateway_impl.h"

namespace gate {

class Generation : public std::enable_shared_from_this<Generation> {
public:
    Generation(Gateway::Impl& gateway, CallPtr call, GenerationCall parsed, ModelCard model);

    /// Hands every choice to the backend. On a worker thread: it tokenizes.
    void start();
    /// The client left or the gateway stops: every choice is cancelled in the backend.
    void cancel();
    /// Refuses the request as a whole; only before start().
    void fail(const ApiError& error);

    void on_delta(std::size_t index, const TokenDelta& delta);
    void on_end(std::size_t index, const GenerationEnd& end);

private:
    struct Choice {
        ChoiceText answer;  // text: all of it, or what the stream has not sent yet
        std::optional<GenerationHandle> handle;
        bool ended = false;
        bool role_sent = false, finish_sent = false;  // streams
    };

    GenerationRequest request_for(std::size_t index) const;
    base::Result<void> echo_prompts();
    bool start_choice(std::size_t index);
    void abandon_start(const base::Error& error);
    /// A backend's error in the words of the API that was called.
    ApiError told(const base::Error& error) const;
    void pump_stream();
    void fill(std::string& out);
    void append_events_locked(std::string& out, std::size_t index);
    void append_stream_end_locked(std::string& out);
    void cancel_handles(const std::vector<GenerationHandle>& handles);
    std::vector<GenerationHandle> handles_locked() const;
    UsageTotals usage_locked() const;
    std::optional<base::Error> first_error_locked() const;
    /// Sends the whole answer, or nothing when the client is gone; then finish().
    void complete();
    void finish(int status);
    void fill_record_locked(RequestRecord& record) const;

    Gateway::Impl& gateway_;
    const CallPtr call_;
    const GenerationCall parsed_;
    const AnswerWriter writer_;

    mutable std::mutex
        mutex_;  // guards what follows; the backend and responder are called outside it
    std::vector<Choice> choices_;
    std::size_t pending_bytes_ = 0;  // of the stream, not handed to the socket
    std::size_t ended_ = 0;
    bool begun_ = false;      // the stream's head is sent
    bool cancelled_ = false;  // by the client or by stop()
    bool too_slow_ = false;   // the client does not read fast enough
    bool refused_ = false;    // answered with an error before all choices were started
    bool finished_ = false;   // the call is in the request log
    base::Instant stream_started_, stream_ended_;
};

}  // namespace gate
