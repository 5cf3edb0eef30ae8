#include "engine/chat/output_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/json/json_text.h"

namespace engine::chat {
namespace {

using Kind = Event::Kind;

// A head longer than this is no call: nothing would be shown meanwhile.
constexpr std::size_t kHeadBytesMax = 256 * 1024;

std::size_t without_trailing_space(std::string_view text) {
    std::size_t end = text.size();
    while (end > 0 && is_space(text[end - 1])) --end;
    return end;
}

std::size_t leading_space(std::string_view text) {
    std::size_t count = 0;
    while (count < text.size() && is_space(text[count])) ++count;
    return count;
}

}  // namespace

OutputParser::OutputParser(std::shared_ptr<const ChatFormat> format,
                           std::shared_ptr<const ToolSet> tools, ParserOptions options)
    : format_(std::move(format)), tools_(std::move(tools)), options_(std::move(options)) {
    if (tools_) content_marks_ = format_->calls.openers;
    for (const std::string& text : format_->silent) content_marks_.push_back(text);
    if (format_->reasoning.anywhere && options_.split_reasoning) {
        content_marks_.push_back(format_->reasoning.open);
    }
    reasoning_close_ = {format_->reasoning.close};
    if (options_.reasoning_open && !format_->reasoning.close.empty()) {
        raw_reasoning_ = !options_.split_reasoning;
        drop_space_ = options_.split_reasoning;
        state_ = State::reasoning;
    }
}

void OutputParser::push(std::string_view text, std::vector<Event>& events) {
    events_ = &events;
    buffer_ += text;
    while (step(false)) {
    }
    buffer_.erase(0, at_);
    dropped_ += std::exchange(at_, 0);
    events_ = nullptr;
}

void OutputParser::finish(std::vector<Event>& events) {
    events_ = &events;
    while (step(false) || step(true)) {
    }
    events_ = nullptr;
}

/// One decision. False: nothing can be decided about the rest, or, at the end, nothing is left.
bool OutputParser::step(bool at_end) {
    if (at_end && rest().empty()) return false;
    switch (state_) {
        case State::start:
            return step_start(at_end);
        case State::reasoning:
            return step_reasoning(at_end);
        case State::content:
            return step_content(at_end);
        case State::head:
            return step_head(at_end);
        case State::arguments:
            return step_arguments();
        case State::object_end:
            return step_object_end(at_end);
        case State::argument_list:
            return step_argument_list(at_end);
        case State::after:
            return step_after(at_end);
    }
    return false;
}

void OutputParser::enter(State state) {
    state_ = state;
}

void OutputParser::write(Kind kind, std::string_view text) {
    if (text.empty()) return;
    const std::uint32_t index = kind == Kind::arguments ? calls_ - 1 : 0;
    // What is content is a part of the rest, from its beginning on.
    const std::size_t at = kind == Kind::content ? decided() : 0;
    events_->push_back({kind, index, at, {}, {}, std::string(text)});
}

void OutputParser::write_content(std::size_t bytes) {
    write(Kind::content, rest().substr(0, bytes));
    at_ += bytes;
}

/// The first of `texts` that is in the rest, or that the end of the rest might begin.
OutputParser::Found OutputParser::find(const std::vector<std::string>& texts) const {
    const std::string_view text = rest();
    Found first{text.size(), 0};
    for (const std::string& one : texts) {
        if (one.empty()) continue;
        const std::size_t limit = std::min(text.size(), first.at + one.size());
        std::size_t at = text.substr(0, limit).find(one);
        if (at != std::string_view::npos) {
            if (at < first.at || (at == first.at && one.size() > first.bytes)) {
                first = {at, one.size()};
            }
            continue;
        }
        const std::size_t longest = std::min(one.size() - 1, text.size());
        for (std::size_t tail = longest; tail > 0; --tail) {
            at = text.size() - tail;
            if (at >= first.at || !text.ends_with(std::string_view(one).substr(0, tail))) continue;
            first = {at, 0};
            break;
        }
    }
    return first;
}

bool OutputParser::step_start(bool at_end) {
    const std::size_t space = leading_space(rest());
    const std::string_view text = rest().substr(space);
    const std::string& open = format_->reasoning.open;
    if (!open.empty() && text.size() < open.size() && open.starts_with(text) && !at_end) {
        return false;
    }
    if (!open.empty() && text.starts_with(open)) {
        raw_reasoning_ = !options_.split_reasoning;
        drop_space_ = !raw_reasoning_;
        if (raw_reasoning_) {
            write_content(space + open.size());
        } else {
            at_ += space + open.size();
        }
        enter(State::reasoning);
        return true;
    }
    const bool bare = tools_ && format_->calls.bare && !bare_tried_;
    if (bare && text.empty() && !at_end) return false;
    if (bare && !text.empty()) {
        bare_tried_ = true;
        in_list_ = false;
        const bool may_be_call = text[0] == '{' || text[0] == '[';
        enter(may_be_call ? State::head : State::content);
        return true;
    }
    enter(State::content);
    return true;
}

bool OutputParser::step_reasoning(bool at_end) {
    if (drop_space_) {
        at_ += leading_space(rest());
        if (rest().empty()) return false;
        drop_space_ = false;
    }
    const Kind kind = raw_reasoning_ ? Kind::content : Kind::reasoning;
    const Found close = find(reasoning_close_);
    const std::string_view before = rest().substr(0, close.at);
    const std::size_t shown = raw_reasoning_ ? before.size() : without_trailing_space(before);
    if (close.bytes == 0) {
        const std::size_t bytes = at_end ? rest().size() : shown;
        write(kind, rest().substr(0, bytes));
        at_ += bytes;
        return false;
    }
    write(kind, rest().substr(0, shown));
    at_ += close.at;
    if (raw_reasoning_) {
        write_content(close.bytes);
    } else {
        at_ += close.bytes;
        drop_space_ = true;
    }
    enter(State::start);  // after it an answer begins, or a call
    if (drop_space_) enter(State::content);
    return true;
}

bool OutputParser::step_content(bool at_end) {
    if (drop_space_) {
        at_ += leading_space(rest());
        if (rest().empty()) return false;
        drop_space_ = false;
        const bool bare = tools_ && format_->calls.bare && !bare_tried_ && calls_ == 0;
        if (bare && (rest()[0] == '{' || rest()[0] == '[')) {
            bare_tried_ = true;
            in_list_ = false;
            enter(State::head);
            return true;
        }
    }
    const Found mark = find(content_marks_);
    const std::string_view before = rest().substr(0, mark.at);
    if (mark.bytes == 0) {
        const std::size_t bytes = at_end ? rest().size() : without_trailing_space(before);
        write_content(bytes);
        return false;
    }
    write_content(without_trailing_space(before));
    const std::string_view text = rest();
    const std::size_t space = leading_space(text);
    const auto is_mark = [&](const std::string& one) {
        return text.substr(space).starts_with(one);
    };
    const ReasoningSyntax& reasoning = format_->reasoning;
    if (reasoning.anywhere && options_.split_reasoning && is_mark(reasoning.open)) {
        at_ += space + mark.bytes;
        drop_space_ = true;
        enter(State::reasoning);
    } else if (std::ranges::any_of(format_->silent, is_mark)) {
        at_ += space + mark.bytes;
        drop_space_ = true;
    } else {
        in_list_ = false;
        enter(State::head);
    }
    return true;
}

/// The rest begins with white space and an opener, or inside of a list with the next call.
bool OutputParser::step_head(bool at_end) {
    Scan answer = read_head(rest(), format_->calls, *tools_, in_list_, head_);
    if (answer == Scan::more && (at_end || rest().size() > kHeadBytesMax)) answer = Scan::no;
    if (answer == Scan::more) return false;
    if (answer == Scan::no) {
        // As it was written: the opener at least, so that the same place is not tried again.
        const std::size_t space = leading_space(rest());
        std::size_t opener = 1;
        for (const std::string& one : format_->calls.openers) {
            if (rest().substr(space).starts_with(one)) opener = std::max(opener, one.size());
        }
        write_content(std::min(rest().size(), space + opener));
        enter(State::content);
        return true;
    }
    begin_call();
    return true;
}

void OutputParser::begin_call() {
    const std::string& name = head_.tool->name;
    events_->push_back({Kind::call, calls_, 0, options_.new_id(name, calls_), name, {}});
    ++calls_;
    at_ += head_.end;
    in_list_ = head_.list;
    const CallShape shape = format_->calls.shape;
    if (shape == CallShape::parameters || shape == CallShape::pythonic ||
        shape == CallShape::keyed) {
        first_argument_ = true;
        argument_search_ = 0;
        enter(State::argument_list);
    } else if (head_.arguments) {
        write(Kind::arguments, *head_.arguments);
        end_call();
    } else {
        span_ = {};
        enter(State::arguments);
    }
}

void OutputParser::end_call() {
    ++finished_;
    enter(State::after);
}

bool OutputParser::step_arguments() {
    if (rest().empty()) return false;
    const std::size_t bytes = span_.feed(rest());
    write(Kind::arguments, rest().substr(0, bytes));
    at_ += bytes;
    if (!span_.ended()) return false;
    if (head_.open_objects > 0) {
        enter(State::object_end);
    } else {
        end_call();
    }
    return true;
}

bool OutputParser::step_object_end(bool at_end) {
    std::size_t end = 0;
    const Scan answer = read_object_end(rest(), head_.open_objects, end);
    if (answer == Scan::more && !at_end && rest().size() <= kHeadBytesMax) return false;
    if (answer == Scan::more && at_end) end = rest().size();  // the text was cut: only markup
    at_ += end;
    end_call();
    if (answer != Scan::yes && !at_end) enter(State::content);
    return true;
}

bool OutputParser::step_argument_list(bool at_end) {
    Argument argument;
    const Scan answer =
        read_argument(rest(), format_->calls, *head_.tool, argument_search_, argument);
    if (answer == Scan::more && !at_end) return false;
    if (answer == Scan::more) {
        at_ += rest().size();  // half an argument: left out, as the object stays open
        return false;
    }
    if (answer == Scan::no || argument.call_ended) {
        write(Kind::arguments, first_argument_ ? "{}" : "}");
        at_ += argument.call_ended ? argument.end : 0;
        end_call();
        if (answer == Scan::no) enter(State::content);
        return true;
    }
    std::string piece = first_argument_ ? "{" : ", ";
    base::append_json_string(piece, argument.key);
    piece += ": " + argument.json;
    write(Kind::arguments, piece);
    first_argument_ = false;
    argument_search_ = 0;
    at_ += argument.end;
    return true;
}

/// Closers, what separates calls, further calls; or else the answer goes on.
bool OutputParser::step_after(bool at_end) {
    const CallSyntax& calls = format_->calls;
    const std::size_t space = leading_space(rest());
    const std::string_view text = rest().substr(space);
    if (text.empty()) {
        at_ += at_end ? space : 0;
        return false;
    }
    if (in_list_ && text[0] == ']') {
        in_list_ = false;
        at_ += space + 1;
        return true;
    }
    Cursor cursor(text);
    const Scan closer = cursor.any_literal(calls.closers);
    if (closer == Scan::yes) {
        at_ += space + cursor.at();
        return true;
    }
    const Scan opener = Cursor(text).any_literal(calls.openers);
    if (opener == Scan::yes) {
        in_list_ = false;
        enter(State::head);
        return true;
    }
    const bool one_by_one = calls.shape != CallShape::json && calls.shape != CallShape::pythonic;
    const Scan open = one_by_one ? Cursor(text).loose(calls.call_open) : Scan::no;
    if (open == Scan::yes) {
        enter(State::head);
        return true;
    }
    Scan next = Scan::no;
    if (text[0] == ',' || text[0] == ';') {
        Cursor after(text, 1);
        after.space();
        next = after.ended() ? Scan::more : Scan::no;
        const bool another = in_list_ || (calls.shape == CallShape::json && calls.bare &&
                                          !after.ended() && after.peek() == '{');
        if (next == Scan::no && another) {
            in_list_ = true;  // as in a list, a call follows without an opener
            enter(State::head);
            return true;
        }
    }
    const bool may_be =
        closer == Scan::more || opener == Scan::more || open == Scan::more || next == Scan::more;
    if (may_be && !at_end) return false;
    at_ += space;
    enter(State::content);
    return true;
}

std::vector<Event> joined(const std::vector<Event>& events) {
    std::vector<Event> out;
    for (const Event& event : events) {
        const bool same = !out.empty() && event.kind != Kind::call &&
                          out.back().kind == event.kind && out.back().index == event.index;
        if (same) {
            out.back().text += event.text;
        } else {
            out.push_back(event);
        }
    }
    return out;
}

std::string make_call_id(const CallSyntax& calls, std::string_view name, std::size_t index,
                         const std::function<std::uint64_t()>& random) {
    if (calls.named_ids) return fmt::format("functions.{}:{}", name, index);
    constexpr std::string_view kLetters =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    std::string id = calls.short_ids ? "" : "call_";
    const std::size_t length = calls.short_ids ? 9 : id.size() + 24;
    std::uint64_t bits = 0;
    for (int left = 0; id.size() < length; --left) {
        if (left == 0) {
            bits = random();
            left = 8;  // 62^8 is well below 2^64
        }
        id += kLetters[bits % kLetters.size()];
        bits /= kLetters.size();
    }
    return id;
}

}  // namespace engine::chat
