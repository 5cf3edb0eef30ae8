#include "app/content_tokens.h"

#include <algorithm>
#include <utility>

namespace app {

void ContentTokens::add(gate::TokenLogprobs token, std::size_t text_bytes) {
    waiting_.push_back({std::move(token), text_bytes_, text_bytes_});
    extend(text_bytes);
}

void ContentTokens::extend(std::size_t text_bytes) {
    if (text_bytes == 0) return;
    const std::size_t begin = text_bytes_;
    text_bytes_ += text_bytes;
    for (auto one = waiting_.rbegin(); one != waiting_.rend() && one->end == begin; ++one) {
        if (one->begin != begin) break;  // it has text of its own
        one->end = text_bytes_;
    }
}

void ContentTokens::content(std::size_t at, std::size_t bytes) {
    const std::size_t end = at + bytes;
    while (!waiting_.empty() && waiting_.front().begin < end) {
        Waiting& one = waiting_.front();
        if (one.begin == one.end) break;
        if (one.end > at) {
            const std::size_t inside = std::max(one.begin, at) - at;
            content_.push_back({std::move(one.token), content_bytes_ + inside});
        }
        waiting_.pop_front();
    }
    content_bytes_ += bytes;
}

void ContentTokens::decided(std::size_t at) {
    while (!waiting_.empty() && waiting_.front().end <= at &&
           waiting_.front().begin < waiting_.front().end) {
        waiting_.pop_front();
    }
}

void ContentTokens::shown(std::size_t bytes, std::vector<gate::TokenLogprobs>& out) {
    shown_bytes_ += bytes;
    while (!content_.empty() && content_.front().begin < shown_bytes_) {
        out.push_back(std::move(content_.front().token));
        content_.pop_front();
    }
}

}  // namespace app
