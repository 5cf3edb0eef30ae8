#include "engine/chat/grammar_text.h"

#include "base/core/check.h"

namespace engine::chat {

using constrain::ByteSet;
using constrain::NodeId;

namespace {

constexpr std::uint32_t kSpaceMax = 16, kIdMax = 24;

ByteSet text_bytes() {
    return ByteSet::range(0x01, 0xFE);  // 0xFF begins control tokens
}

ByteSet id_bytes() {
    ByteSet set = ByteSet::range('0', '9');
    set |= ByteSet::range('a', 'z');
    set |= ByteSet::range('A', 'Z');
    return set;
}

}  // namespace

NodeId TextNodes::one_of(std::string_view characters) {
    ByteSet set;
    for (const char c : characters) set.add(static_cast<std::uint8_t>(c));
    return builder_.bytes(set);
}

NodeId TextNodes::none_of(std::string_view characters) {
    ByteSet set;
    for (unsigned byte = 0x01; byte < 0xFF; ++byte) {
        if (characters.find(static_cast<char>(byte)) == std::string_view::npos) {
            set.add(static_cast<std::uint8_t>(byte));
        }
    }
    return builder_.bytes(set);
}

NodeId TextNodes::reasoning(const ReasoningSyntax& syntax, ReasoningState state) {
    if (state == ReasoningState::done || syntax.open.empty()) return builder_.sequence({});
    const NodeId rest = builder_.sequence({until(syntax.close), any_space(), markup(syntax.then)});
    if (state == ReasoningState::open) return rest;
    return builder_.optional(builder_.sequence({any_space(), markup(syntax.open), rest}));
}

NodeId TextNodes::any_text() {
    return builder_.repeat(builder_.bytes(text_bytes()), 0);
}

NodeId TextNodes::any_space() {
    return builder_.repeat(one_of(" \t\n\r"), 0, kSpaceMax);
}

NodeId TextNodes::text_not_starting_with(std::string_view first) {
    return builder_.optional(builder_.sequence({none_of(first), any_text()}));
}

NodeId TextNodes::text_unlike(std::string_view start, std::string_view first) {
    std::vector<NodeId> forms{text_not_starting_with(std::string(first) + start.front())};
    for (std::size_t same = 1; same < start.size(); ++same) {
        forms.push_back(builder_.sequence({builder_.literal(start.substr(0, same)),
                                           text_not_starting_with(start.substr(same, 1))}));
    }
    return builder_.choice(std::move(forms));
}

NodeId TextNodes::markup(std::string_view text) {
    std::vector<NodeId> parts;
    std::string plain;
    const auto flush = [&] {
        if (!plain.empty()) parts.push_back(builder_.literal(plain));
        plain.clear();
    };
    while (!text.empty()) {
        if (text.front() == kAnyId) {
            flush();
            parts.push_back(builder_.repeat(builder_.bytes(id_bytes()), 1, kIdMax));
            text.remove_prefix(1);
            continue;
        }
        std::string_view control;
        for (const std::string& one : control_texts_) {
            if (control.empty() && text.starts_with(one)) control = one;
        }
        if (control.empty()) {
            plain += text.front();
            text.remove_prefix(1);
            continue;
        }
        flush();
        parts.push_back(builder_.control(control));
        text.remove_prefix(control.size());
    }
    flush();
    return builder_.sequence(std::move(parts));
}

NodeId TextNodes::text_not_like(std::string_view start) {
    std::vector<NodeId> forms;
    for (std::size_t same = 0; same < start.size(); ++same) {
        const std::string wrong = std::string{start[same]} + (same == 0 ? " \t\n\r" : "");
        forms.push_back(
            builder_.sequence({builder_.literal(start.substr(0, same)), none_of(wrong)}));
    }
    return builder_.sequence({builder_.choice(std::move(forms)), any_text()});
}

/// With m0 the marker's first character, which it has only once, a text without the marker is made
/// of characters other than m0, and of beginnings of the marker that go on differently: with
/// another m0, which begins the next one, or with a character that is neither m0 nor the right one.
NodeId TextNodes::until(std::string_view marker) {
    DG_CHECK(!marker.empty() && marker.find(marker.front(), 1) == std::string_view::npos);
    for (const std::string& control : control_texts_) {
        if (marker == control) return builder_.sequence({any_text(), builder_.control(control)});
    }
    const char first = marker.front();
    std::vector<NodeId> begun, broken;
    for (std::size_t length = 1; length < marker.size(); ++length) {
        const NodeId part = builder_.literal(marker.substr(0, length));
        begun.push_back(part);
        broken.push_back(builder_.sequence({part, none_of(std::string{first, marker[length]})}));
    }
    const NodeId other = none_of(std::string{first});
    if (begun.empty()) {
        return builder_.sequence({builder_.repeat(other, 0), builder_.literal(marker)});
    }
    const NodeId restarts = builder_.repeat(builder_.choice(std::move(begun)), 0);
    const NodeId piece = builder_.sequence({restarts, builder_.choice(std::move(broken))});
    return builder_.sequence(
        {builder_.repeat(builder_.choice({other, piece}), 0), restarts, builder_.literal(marker)});
}

}  // namespace engine::chat
