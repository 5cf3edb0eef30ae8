#include "app/sse.h"

#include <utility>

namespace app {

bool SseParser::feed(std::string_view bytes) {
    for (const char c : bytes) {
        if (c == '\n' && std::exchange(skip_newline_, false)) continue;  // the \n of a \r\n
        skip_newline_ = c == '\r';
        if (c != '\n' && c != '\r') {
            if (partial_.size() + data_.size() >= kEventBytesMax) return false;
            partial_ += c;
            continue;
        }
        line(partial_);
        partial_.clear();
    }
    return true;
}

void SseParser::line(std::string_view text) {
    if (text.empty()) {
        if (std::exchange(has_data_, false)) on_event_(data_);
        data_.clear();
        return;
    }
    if (!text.starts_with("data:")) return;
    text.remove_prefix(5);
    if (text.starts_with(' ')) text.remove_prefix(1);
    if (has_data_) data_ += '\n';
    data_ += text;
    has_data_ = true;
}

}  // namespace app
