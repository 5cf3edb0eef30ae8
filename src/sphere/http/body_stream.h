#pragma once
// An answer's body written from a thread that may wait: no more than a little is in memory, however
// slowly the client reads.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/http/server.h"

namespace sphere {

class BodyStream : public std::enable_shared_from_this<BodyStream> {
public:
    /// Sends the head.
    static std::shared_ptr<BodyStream> begin(base::http::ResponderPtr responder, int status,
                                             base::http::Headers headers);

    /// Waits while more than kWaitingBytesMax are to be sent. False: the client left.
    bool write(std::string_view bytes);
    void end();
    /// Cuts the connection: what was sent must not look complete.
    void cut();

    static constexpr std::size_t kWaitingBytesMax = 512 * 1024;

private:
    explicit BodyStream(base::http::ResponderPtr responder) : responder_(std::move(responder)) {}
    void fill(std::string& out);
    void client_left();

    base::http::ResponderPtr responder_;

    std::mutex mutex_;  // guards the rest; no calls out under it
    std::condition_variable changed_;
    std::string waiting_;
    bool ended_ = false, left_ = false;
};

}  // namespace sphere
