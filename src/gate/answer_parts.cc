#include "gate/answer_parts.h"

#include <algorithm>

namespace gate {

Piece& PieceList::piece(Piece::Kind kind, std::uint32_t call_index, bool fresh) {
    if (used_ > 0 && !fresh) {
        Piece& last = pieces_[used_ - 1];
        if (last.kind == kind && (kind != Piece::Kind::call || last.call_index == call_index)) {
            return last;
        }
    }
    if (used_ == pieces_.size()) pieces_.emplace_back();
    Piece& next = pieces_[used_++];
    next.kind = kind;
    next.text.clear();
    next.call_index = call_index;
    next.call_id.clear();
    next.call_name.clear();
    return next;
}

void PieceList::add(std::string_view text, std::string_view reasoning,
                    std::span<const ToolCallDelta> calls) {
    if (!reasoning.empty()) piece(Piece::Kind::reasoning, 0, false).text += reasoning;
    if (!text.empty()) piece(Piece::Kind::text, 0, false).text += text;
    for (const ToolCallDelta& call : calls) {
        const bool fresh = !call.id.empty() || !call.name.empty();
        Piece& to = piece(Piece::Kind::call, call.index, fresh);
        if (fresh) {
            to.call_id = call.id;
            to.call_name = call.name;
        }
        to.text += call.arguments;
    }
}

JoinedAnswer join(std::span<const Piece> pieces) {
    JoinedAnswer out;
    for (const Piece& piece : pieces) {
        if (piece.kind == Piece::Kind::text) {
            out.text += piece.text;
        } else if (piece.kind == Piece::Kind::reasoning) {
            out.reasoning += piece.text;
        } else {
            auto call = std::ranges::find(out.calls, piece.call_index, &ToolCallDelta::index);
            if (call == out.calls.end()) {
                out.calls.push_back({piece.call_index, piece.call_id, piece.call_name, {}});
                call = std::prev(out.calls.end());
            }
            call->arguments += piece.text;
        }
    }
    return out;
}

}  // namespace gate
