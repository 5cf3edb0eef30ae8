#include "agent/mcp/client/event_reader.h"

#include <charconv>

namespace agent::mcp {

using base::Code;
using base::Result;

Result<bool> EventReader::feed(std::string_view bytes) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    while (!bytes.empty()) {
        if (skip_newline_ && bytes.front() == '\n') bytes.remove_prefix(1);
        skip_newline_ = false;
        const std::size_t end = bytes.find_first_of("\r\n");
        partial_ += bytes.substr(0, end);
        if (partial_.size() + data_.size() > event_bytes_max_) {
            return base::fail(Code::payload_too_large, "one event is over {} bytes",
                              event_bytes_max_);
        }
        if (end == std::string_view::npos) return true;
        skip_newline_ = bytes[end] == '\r';
        bytes.remove_prefix(end + 1);
        std::string text;
        text.swap(partial_);
        std::string_view rest = text;
        if (!begun_ && rest.starts_with(kByteOrderMark)) rest.remove_prefix(3);
        begun_ = true;
        if (!line(rest)) return false;
    }
    return true;
}

void EventReader::reconnected() {
    partial_.clear();
    name_.clear();
    data_.clear();
    id_ = last_id_;
    has_data_ = skip_newline_ = begun_ = false;
}

bool EventReader::line(std::string_view text) {
    if (text.empty()) return dispatch();
    const std::size_t colon = text.find(':');
    const std::string_view field = text.substr(0, colon);
    std::string_view value =
        colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (field == "data") {
        if (has_data_) data_ += '\n';
        data_ += value;
        has_data_ = true;
    } else if (field == "event") {
        name_ = value;
    } else if (field == "id") {
        // A header carries it back: what no header can say is no id.
        if (value.find_first_of(std::string_view("\0\r\n", 3)) == std::string_view::npos) {
            id_ = value;
        }
    } else if (field == "retry") {
        std::uint32_t ms = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), ms);
        if (error == std::errc() && end == value.data() + value.size()) retry_ms_ = ms;
    }
    return true;
}

bool EventReader::dispatch() {
    last_id_ = id_;
    Event event{.name = name_.empty() ? "message" : std::move(name_), .data = std::move(data_)};
    name_.clear();
    data_.clear();
    if (!has_data_) return true;
    has_data_ = false;
    return take_(event);
}

}  // namespace agent::mcp
