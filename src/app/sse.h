#pragma once
// Cuts a server-sent event stream into the data of its events. Source: WHATWG HTML, "Server-sent
// events", the parts a completion stream uses: data lines, comments, any line ending.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace app {

class SseParser {
public:
    explicit SseParser(std::function<void(std::string_view data)> on_event)
        : on_event_(std::move(on_event)) {}

    /// Bytes in any pieces. False, for good: one event is larger than kEventBytesMax.
    [[nodiscard]] bool feed(std::string_view bytes);

    static constexpr std::size_t kEventBytesMax = 4 << 20;

private:
    void line(std::string_view text);

    std::function<void(std::string_view)> on_event_;
    std::string partial_, data_;
    bool has_data_ = false, skip_newline_ = false;
};

}  // namespace app
