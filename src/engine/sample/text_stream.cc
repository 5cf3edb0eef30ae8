#include "engine/sample/text_stream.h"

#include <algorithm>
#include <utility>

namespace engine {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// What the first byte of a character says: its length, and the range allowed for the second byte
/// (Unicode 15, table 3-7). length 0: no character begins so.
struct Lead {
    std::size_t length = 0;
    unsigned char second_min = 0x80, second_max = 0xBF;
};

Lead lead_of(unsigned char byte) {
    if (byte < 0x80) return {1};
    if (byte < 0xC2) return {};
    if (byte < 0xE0) return {2};
    if (byte == 0xE0) return {3, 0xA0, 0xBF};
    if (byte == 0xED) return {3, 0x80, 0x9F};
    if (byte < 0xF0) return {3};
    if (byte == 0xF0) return {4, 0x90, 0xBF};
    if (byte < 0xF4) return {4};
    if (byte == 0xF4) return {4, 0x80, 0x8F};
    return {};
}

/// Bytes at the start of `text` that a character could begin with: all of one, or a valid prefix.
std::size_t valid_prefix(std::string_view text, const Lead& lead) {
    std::size_t count = 1;
    while (count < lead.length && count < text.size()) {
        const auto byte = static_cast<unsigned char>(text[count]);
        const unsigned char min = count == 1 ? lead.second_min : 0x80;
        const unsigned char max = count == 1 ? lead.second_max : 0xBF;
        if (byte < min || byte > max) break;
        ++count;
    }
    return count;
}

}  // namespace

std::string Utf8Assembler::push(std::string_view bytes) {
    const std::string all = std::exchange(waiting_, {}) + std::string(bytes);
    std::string out;
    for (std::string_view rest = all; !rest.empty();) {
        const Lead lead = lead_of(static_cast<unsigned char>(rest.front()));
        const std::size_t count = valid_prefix(rest, lead);
        if (count == lead.length) {
            out.append(rest.substr(0, count));
        } else if (lead.length > 0 && count == rest.size()) {
            waiting_ = rest;
            break;
        } else {
            out.append(kReplacement);
        }
        rest.remove_prefix(count);
    }
    return out;
}

std::string Utf8Assembler::finish() {
    return std::exchange(waiting_, {}).empty() ? std::string() : std::string(kReplacement);
}

TextStream::TextStream(std::vector<std::string> stops) : stops_(std::move(stops)) {
    std::erase(stops_, "");
}

std::string TextStream::push(std::string_view bytes) {
    return matched_ ? std::string() : release(utf8_.push(bytes));
}

std::string TextStream::finish() {
    if (matched_) return {};
    const std::string freed = release(utf8_.finish());
    return matched_ ? freed : freed + std::exchange(pending_, {});
}

std::string TextStream::release(std::string_view text) {
    pending_.append(text);
    std::size_t first = std::string::npos;
    for (const std::string& stop : stops_) {
        const std::size_t at = pending_.find(stop);
        if (at < first) {
            first = at;
            matched_ = stop;
        }
    }
    if (matched_) return std::exchange(pending_, {}).substr(0, first);
    const std::size_t free = pending_.size() - held_back_bytes();
    std::string out = pending_.substr(0, free);
    pending_.erase(0, free);
    return out;
}

std::size_t TextStream::held_back_bytes() const {
    std::size_t held = 0;
    for (const std::string& stop : stops_) {
        for (std::size_t n = std::min(stop.size() - 1, pending_.size()); n > held; --n) {
            if (std::string_view(pending_).ends_with(std::string_view(stop).substr(0, n))) held = n;
        }
    }
    return held;
}

}  // namespace engine
