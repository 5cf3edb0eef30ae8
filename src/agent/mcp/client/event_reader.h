#pragma once
// Reads a stream of server-sent events from bytes in any pieces. Source: WHATWG HTML, "Server-sent
// events". Pure.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace agent::mcp {

class EventReader {
public:
    struct Event {
        std::string name;  ///< "message" when it says none
        std::string data;  ///< empty: it was there for its id only
    };
    /// False from `take` ends the reading: what follows is left.
    EventReader(std::size_t event_bytes_max, std::function<bool(const Event&)> take)
        : event_bytes_max_(event_bytes_max), take_(std::move(take)) {}

    /// Errors: payload_too_large: one event is over event_bytes_max. False: `take` has enough.
    base::Result<bool> feed(std::string_view bytes);
    /// A new connection to the same stream: what was half read is dropped, ids stay.
    void reconnected();

    /// Of the last event that was complete.
    const std::string& last_id() const { return last_id_; }
    /// How long to wait before coming back, in milliseconds, when the server said so.
    std::optional<std::uint32_t> retry_ms() const { return retry_ms_; }

private:
    bool line(std::string_view text);
    bool dispatch();

    const std::size_t event_bytes_max_;
    const std::function<bool(const Event&)> take_;
    std::string partial_, name_, data_, id_, last_id_;
    bool has_data_ = false, skip_newline_ = false, begun_ = false;
    std::optional<std::uint32_t> retry_ms_;
};

}  // namespace agent::mcp
