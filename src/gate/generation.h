#pragma once
// Internal to gate: one generating request in progress, with all its choices. Deltas come in on the
// backend's thread, events go out on a network thread, and the client may leave at any time, for
// good or to come back for the rest.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "gate/answer_writer.h"
#include "gate/gateway_impl.h"

namespace gate {

class ResponsesWriter;

class Generation : public std::enable_shared_from_this<Generation> {
public:
    Generation(Gateway::Impl& gateway, CallPtr call, GenerationCall parsed, ModelCard model);
    ~Generation();

    /// Hands every choice to the backend. On a worker thread: it tokenizes.
    void start();
    /// Every choice is cancelled in the backend.
    void cancel();
    /// The connection of the request died: cancels, unless the answer is kept for later.
    void client_left();
    /// Refuses the request as a whole; only before start().
    void fail(const ApiError& error);

    void on_delta(std::size_t index, const TokenDelta& delta);
    void on_end(std::size_t index, const GenerationEnd& end);

    static std::string answer_id(const Call& call, Api api);
    /// The answer outlives its connection.
    bool kept() const { return parsed_.resumable || background(); }
    bool background() const { return parsed_.response && parsed_.response->background; }

    /// Background responses: answers now with what the response is so far.
    void answer_in_background();

    // Streams that can be read again.

    /// The id clients know: the answer's.
    const std::string& id() const { return id_; }
    const std::string& tenant() const { return parsed_.request.tenant; }
    bool resumable() const { return parsed_.resumable; }
    /// Sends the events from `from` on to `responder`, who takes the place of the reader before.
    /// Errors: not_found (they are dropped already), invalid_argument (not made yet).
    base::Result<void> attach(const base::http::ResponderPtr& responder, std::uint64_t from);
    /// True when the stream has been without a reader, or has been over, since before `then`.
    bool idle_since(base::Instant then) const;
    bool finished() const;
    /// /v1/responses: the object as it is now.
    std::string response_object() const;
    /// Once, when the request is over; at once when it is.
    void on_finished(std::function<void()> callback);
    /// Cancels, and the response is not stored.
    void forget();

private:
    struct Choice {
        ChoiceOutput output;
        std::optional<GenerationHandle> handle;
        base::Instant last_token;  // backend's thread only
    };
    /// Who reads a stream. Network threads ask for more until there is none.
    struct Reader {
        base::http::ResponderPtr responder;
        std::uint64_t next = 0;  // event
        bool ended = false;
    };
    using ReaderPtr = std::shared_ptr<Reader>;

    GenerationRequest request_for(std::size_t index) const;
    base::Result<void> echo_prompts();
    bool start_choice(std::size_t index);
    void abandon_start(const base::Error& error);
    /// A backend's error in the words of the API that was called.
    ApiError told(const base::Error& error) const;

    void pump_stream();
    void open_stream(const ReaderPtr& reader);
    void fill(const ReaderPtr& reader, std::string& out);
    void write_events_locked(std::string& out);
    void log_events_locked();
    void append_choices_locked(EventText& text);
    void write_end_locked(EventText& text);
    AnswerEnd answer_end_locked() const;
    /// `refused`: why it never ran, when it did not.
    std::string whole_answer_locked(const ApiError* refused = nullptr);

    void cancel_handles(const std::vector<GenerationHandle>& handles);
    std::vector<GenerationHandle> handles_locked() const;
    UsageTotals usage_locked() const;
    std::optional<base::Error> first_error_locked() const;
    /// Sends the whole answer, or nothing when the client is gone; then finish().
    void complete();
    void finish(int status);
    void fill_record_locked(RequestRecord& record) const;
    void store_response_locked(const ApiError* refused = nullptr);

    Gateway::Impl& gateway_;
    const CallPtr call_;
    const GenerationCall parsed_;
    const std::string id_;

    mutable std::mutex
        mutex_;  // guards what follows; the backend and responder are called outside it
    std::unique_ptr<AnswerWriter> writer_;
    ResponsesWriter* responses_ = nullptr;  // writer_, with /v1/responses
    std::vector<Choice> choices_;
    std::size_t pending_bytes_ = 0;  // of the stream, not handed to the socket
    std::size_t ended_ = 0;
    ReaderPtr reader_;        // null: nobody reads
    EventLog log_;            // resumable streams
    bool begun_ = false;      // the stream's head is sent
    bool asked_ = false;      // the network thread has been told that there is more
    bool written_ = false;    // the stream's end is written
    bool cancelled_ = false;  // by the client or by stop()
    bool too_slow_ = false;   // the client does not read fast enough
    bool refused_ = false;    // answered with an error before all choices were started
    bool finished_ = false;   // the call is in the request log
    bool answered_ = false;   // background: the client has its answer already
    bool forgotten_ = false;  // a response that shall not be stored
    std::vector<std::function<void()>> finished_callbacks_;
    std::uint64_t next_event_ = 0;  // streams that are not logged
    std::string response_;          // /v1/responses: the final object, once there is one
    base::Instant stream_started_, stream_ended_, unread_since_;
};

}  // namespace gate
