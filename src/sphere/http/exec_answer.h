#pragma once
// The answer to an exec request: gathered into one JSON document, or streamed as server-sent events
//   start {"exec"}   output {"stream", "text" | "base64"}   end {the result}

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/http/server.h"
#include "sphere/http/log_book.h"
#include "sphere/sphere.h"

namespace sphere {

enum class OutputEncoding : std::uint8_t {
    text,    ///< bytes that are not UTF-8 become U+FFFD; characters are never cut
    base64,  ///< as they came
};

/// One stream's bytes on their way into JSON strings. Not thread-safe.
class OutputText {
public:
    explicit OutputText(OutputEncoding encoding) : encoding_(encoding) {}

    /// Appends to `out` the JSON string of what is complete of held and new `bytes`; `last`: of
    /// all. Nothing, and false, when nothing is complete.
    bool append_json(std::string& out, std::string_view bytes, bool last);
    /// The member's name in the event: "text" or "base64".
    std::string_view member() const {
        return encoding_ == OutputEncoding::text ? "text" : "base64";
    }

private:
    const OutputEncoding encoding_;
    std::string held_;  ///< the beginning of a character, or of a group of three bytes
};

/// Where a character that the next bytes may complete begins; the size when none does.
std::size_t unfinished_character(std::string_view text);

/// Keeps itself alive from begin() until on_end. A client that leaves ends the command: nobody
/// would hear of it.
class ExecAnswer final : public ExecSink, public std::enable_shared_from_this<ExecAnswer> {
public:
    ExecAnswer(Sphere& sphere, LogBook& book, SandboxId sandbox, base::http::ResponderPtr responder,
               OutputEncoding encoding, bool stream);

    /// Starts the command; an error answers the request.
    void begin(const ExecSpec& spec);

    void on_output(Stream stream, std::string_view bytes) override;
    void on_end(const ExecResult& result) override;

private:
    struct StreamState {
        explicit StreamState(OutputEncoding encoding) : text(encoding) {}
        OutputText text;
        std::string gathered;  ///< without `stream`
    };
    StreamState& state(Stream stream) { return stream == Stream::out ? out_ : err_; }
    void append_output(Stream stream, std::string_view bytes, bool last);
    void fill(std::string& out);
    /// Has the network thread fetch what is there, once the head of the stream is out.
    void tell();
    void client_left();

    Sphere& sphere_;
    LogBook& book_;
    std::optional<LogBook::Writer> log_;  ///< from begin() on
    const SandboxId sandbox_;
    const base::http::ResponderPtr responder_;
    const bool stream_;
    StreamState out_, err_;             ///< touched by the sphere's thread alone
    std::shared_ptr<ExecAnswer> self_;  ///< until on_end

    std::mutex mutex_;  // guards the rest; no calls out under it
    std::string events_;
    bool open_ = false, ended_ = false, left_ = false;
    ExecId exec_ = 0;
    std::optional<std::string> early_;  ///< the answer, when it ended before the log had it
};

}  // namespace sphere
