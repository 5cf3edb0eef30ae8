#pragma once
// What a choice has said and nobody has written yet: text, reasoning and tool calls in the order in
// which they came.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gate/model_backend.h"

namespace gate {

struct Piece {
    enum class Kind : std::uint8_t { text, reasoning, call };
    Kind kind = Kind::text;
    std::string text;  ///< of a call: arguments, as JSON text
    std::uint32_t call_index = 0;
    std::string call_id, call_name;  ///< empty: this continues the call
};

/// Neighbours of one kind are one piece. Cleared, it keeps its memory: it is filled for each token.
class PieceList {
public:
    void add(std::string_view text, std::string_view reasoning,
             std::span<const ToolCallDelta> calls);
    std::span<const Piece> pieces() const { return {pieces_.data(), used_}; }
    bool empty() const { return used_ == 0; }
    void clear() { used_ = 0; }

private:
    Piece& piece(Piece::Kind kind, std::uint32_t call_index, bool fresh);

    std::vector<Piece> pieces_;
    std::size_t used_ = 0;
};

/// A choice's pieces joined: what an answer that is not streamed shows.
struct JoinedAnswer {
    std::string text, reasoning;
    std::vector<ToolCallDelta> calls;
};
JoinedAnswer join(std::span<const Piece> pieces);

}  // namespace gate
