#pragma once
// The answer to a cell of a live session: gathered into one JSON document, or streamed as
// server-sent events   output {"stream", "text"}   end {the result}

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/http/server.h"
#include "base/json/json.h"
#include "sphere/http/exec_answer.h"
#include "sphere/session/session.h"

namespace sphere {

base::json::object to_json(const SessionInfo& info);

/// A client that leaves interrupts its cell: nobody would hear of it.
class CellAnswer final : public CellSink, public std::enable_shared_from_this<CellAnswer> {
public:
    CellAnswer(SessionManager& sessions, SandboxId box, SessionId session,
               base::http::ResponderPtr responder, bool stream);

    /// Starts the cell; an error answers the request.
    void begin(const CellSpec& cell);

    void on_output(Stream stream, std::string_view bytes) override;
    void on_result(const CellResult& result) override;

private:
    void append_output(Stream stream, std::string_view bytes, bool last);
    void fill(std::string& out);
    void tell();
    void client_left();

    SessionManager& sessions_;
    const SandboxId box_;
    const SessionId session_;
    const base::http::ResponderPtr responder_;
    const bool stream_;
    OutputText out_text_{OutputEncoding::text}, err_text_{OutputEncoding::text};
    std::string out_, err_;  ///< gathered, without `stream`; the sink's thread alone

    std::mutex mutex_;  // guards the rest; no calls out under it
    std::string events_;
    bool open_ = false, ended_ = false, left_ = false;
};

}  // namespace sphere
