#pragma once
// Tells a driver's answers from what the cells write: one stream carries both. An answer is
//   \x1e <mark> ' ' <bytes> ' ' <1: the last piece, 0: more> '\n' <bytes>
// The mark is 128 random bits that only the driver was given, so no output looks like one by chance
// or by copying. Code that digs it out of its own interpreter can lie about its own session only.

#include <cstdint>
#include <string>
#include <string_view>

namespace sphere::session {

class FrameSplitter {
public:
    static constexpr std::size_t kPieceMax = 4096;
    static constexpr std::size_t kAnswerMax = 8 << 20;

    explicit FrameSplitter(std::string_view mark);

    /// More of the stream. Read with next() until `nothing`.
    void feed(std::string_view bytes) { held_ += bytes; }

    enum class Found { nothing, output, answer, broken };
    /// What comes next: output of the cell or a whole answer, in `text`. broken: a mark with no
    /// sound head behind it, or an answer over kAnswerMax; nothing follows.
    Found next(std::string& text);

private:
    enum class Piece { incomplete, more, last, broken };
    /// Pre: held_ is empty or begins like an answer.
    Piece take_piece();

    std::string prefix_;  ///< how every answer begins
    std::string held_, answer_;
    bool broken_ = false;
};

}  // namespace sphere::session
