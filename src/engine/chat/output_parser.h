#pragma once
// From what a model writes to what a client gets: content, reasoning, and tool calls, while it is
// being written.
//
// What is promised, for any cut of the text into pieces:
// - The joined events are the same.
// - Only what may still become markup is held back, and white space that may stand before it.
// - Content and reasoning are parts of the text in its order. What is left out is markup of a call
//   that came out, reasoning markers, and white space beside either.
// - A call that is malformed before its arguments begin, or names no known tool, is content, as it
//   was written. Later the call is out already: it ends there, and the rest is content. Arguments
//   of JSON formats are passed on as written; whoever runs the tool parses them.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/chat/call_reader.h"
#include "engine/chat/chat_format.h"
#include "engine/chat/cursor.h"
#include "engine/chat/tool_set.h"

namespace engine::chat {

struct Event {
    enum class Kind : std::uint8_t { content, reasoning, call, arguments };
    Kind kind = Kind::content;
    std::uint32_t index = 0;  ///< of the call, from 0
    std::size_t at = 0;       ///< of content: where it stands in the text of all pushes
    std::string id, name;     ///< with call
    std::string text;         ///< content, reasoning, or a piece of the arguments' JSON
    bool operator==(const Event&) const = default;
};

struct ParserOptions {
    bool split_reasoning = true;  ///< else reasoning stays in the content, markers included
    bool reasoning_open = false;  ///< the prompt ends inside of reasoning
    /// Makes the id of a call from the tool's name and the call's index. Pre: set.
    std::function<std::string(std::string_view name, std::uint32_t index)> new_id;
};

class OutputParser {
public:
    /// tools: null when no calls are wanted; their markup is content then.
    OutputParser(std::shared_ptr<const ChatFormat> format, std::shared_ptr<const ToolSet> tools,
                 ParserOptions options);

    /// Appends to `events`.
    void push(std::string_view text, std::vector<Event>& events);
    /// The end of the text: what was held back comes out.
    void finish(std::vector<Event>& events);

    /// Bytes of the text that came out or were left out: what they are does not change any more.
    std::size_t decided() const { return dropped_ + at_; }

    std::uint32_t calls() const { return calls_; }              ///< begun
    std::uint32_t calls_finished() const { return finished_; }  ///< their arguments are complete

private:
    enum class State : std::uint8_t {
        start,  // nothing but white space yet
        reasoning,
        content,
        head,           // at the opener of a call
        arguments,      // inside of its JSON object
        object_end,     // after that, before the object around it ends
        argument_list,  // between arguments that are written one by one
        after,          // behind a call
    };
    bool step(bool at_end);
    bool step_start(bool at_end);
    bool step_reasoning(bool at_end);
    bool step_content(bool at_end);
    bool step_head(bool at_end);
    bool step_arguments();
    bool step_object_end(bool at_end);
    bool step_argument_list(bool at_end);
    bool step_after(bool at_end);

    std::string_view rest() const { return std::string_view(buffer_).substr(at_); }
    void enter(State state);
    void begin_call();
    void end_call();
    void write(Event::Kind kind, std::string_view text);
    void write_content(std::size_t bytes);  ///< that many of the rest
    struct Found {
        std::size_t at = std::string_view::npos;  ///< where it begins, or might begin
        std::size_t bytes = 0;                    ///< of it; 0: not complete yet
    };
    Found find(const std::vector<std::string>& texts) const;

    std::shared_ptr<const ChatFormat> format_;
    std::shared_ptr<const ToolSet> tools_;
    ParserOptions options_;
    std::vector<std::string>
        content_marks_;  ///< openers, silent markers, reasoning that comes again
    std::vector<std::string> reasoning_close_;

    State state_ = State::start;
    std::string buffer_;
    std::size_t at_ = 0;       ///< bytes of the buffer that are done
    std::size_t dropped_ = 0;  ///< bytes of the text before the buffer
    std::vector<Event>* events_ = nullptr;
    std::uint32_t calls_ = 0, finished_ = 0;
    CallHead head_;
    ObjectSpan span_;
    std::size_t argument_search_ = 0;
    bool in_list_ = false, first_argument_ = true;
    bool bare_tried_ = false, drop_space_ = false, raw_reasoning_ = false;
};

/// Adjacent events of one kind become one.
std::vector<Event> joined(const std::vector<Event>& events);

/// A fresh id in the form that `calls` asks for. index: of the call in the whole conversation.
/// `random` gives 64 random bits.
std::string make_call_id(const CallSyntax& calls, std::string_view name, std::size_t index,
                         const std::function<std::uint64_t()>& random);

}  // namespace engine::chat
