#include "sphere/session/frame_splitter.h"

#include <algorithm>
#include <charconv>

namespace sphere::session {
namespace {

constexpr std::size_t kHeadMax = 16;  ///< digits and spaces

/// "<bytes> <0|1>"; false when it is anything else.
bool read_head(std::string_view head, std::size_t& bytes, bool& last) {
    const auto [end, error] = std::from_chars(head.data(), head.data() + head.size(), bytes);
    const std::string_view rest = head.substr(static_cast<std::size_t>(end - head.data()));
    last = rest == " 1";
    return error == std::errc() && (last || rest == " 0") && bytes <= FrameSplitter::kPieceMax;
}

/// Where `prefix`, or the beginning of one that more bytes may complete, is in `text`.
std::size_t find_prefix(std::string_view text, std::string_view prefix) {
    for (std::size_t at = text.find(prefix[0]); at != text.npos;
         at = text.find(prefix[0], at + 1)) {
        const std::size_t there = std::min(prefix.size(), text.size() - at);
        if (text.substr(at, there) == prefix.substr(0, there)) return at;
    }
    return text.size();
}

}  // namespace

FrameSplitter::FrameSplitter(std::string_view mark) : prefix_("\x1e" + std::string(mark) + " ") {}

FrameSplitter::Found FrameSplitter::next(std::string& text) {
    for (;;) {
        if (broken_) return Found::broken;
        const std::size_t output = find_prefix(held_, prefix_);
        if (output > 0) {
            text.assign(held_, 0, output);
            held_.erase(0, output);
            return Found::output;
        }
        switch (take_piece()) {
            case Piece::incomplete:
                return Found::nothing;
            case Piece::more:
                break;
            case Piece::last:
                text = std::move(answer_);
                answer_.clear();
                return Found::answer;
            case Piece::broken:
                broken_ = true;
                break;
        }
    }
}

FrameSplitter::Piece FrameSplitter::take_piece() {
    if (held_.size() < prefix_.size()) return Piece::incomplete;
    const std::string_view behind = std::string_view(held_).substr(prefix_.size());
    const std::size_t line = behind.substr(0, kHeadMax).find('\n');
    if (line == behind.npos) return behind.size() < kHeadMax ? Piece::incomplete : Piece::broken;
    std::size_t bytes = 0;
    bool last = false;
    if (!read_head(behind.substr(0, line), bytes, last) || answer_.size() + bytes > kAnswerMax) {
        return Piece::broken;
    }
    if (behind.size() < line + 1 + bytes) return Piece::incomplete;
    answer_ += behind.substr(line + 1, bytes);
    held_.erase(0, prefix_.size() + line + 1 + bytes);
    return last ? Piece::last : Piece::more;
}

}  // namespace sphere::session
